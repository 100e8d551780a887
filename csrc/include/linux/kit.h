/* SPDX-License-Identifier: MIT */
/*
 * What the headers of this directory share: where in the driver a call stands, and
 * what happens when it is wrong.  Drivers and their tests need not know this file.
 */
#ifndef SHRINKER_LINUX_KIT_H
#define SHRINKER_LINUX_KIT_H

#include <stdbool.h>
#include <stddef.h>

/* Makes a call, and is that value: no signal ever comes, say. */
#define SHRINKER_KIT_VALUE(call, value)                                        \
	__extension__({                                                        \
		call;                                                          \
		value;                                                         \
	})

/* A member that C++ has a word for. */
#ifdef __cplusplus
#define SHRINKER_KIT_PRIVATE private_
#else
#define SHRINKER_KIT_PRIVATE private
#endif

/* What succeeds and does nothing: unlike a plain 0 it may be passed over. */
static inline int shrinker_kit_zero(void)
{
	return 0;
}

#ifdef __cplusplus
extern "C" {
#endif

/* "file:line", of the driver. */
#define SHRINKER_KIT_TEXT(x) #x
#define SHRINKER_KIT_TEXT_OF(x) SHRINKER_KIT_TEXT(x)
#define SHRINKER_KIT_PLACE __FILE__ ":" SHRINKER_KIT_TEXT_OF(__LINE__)

/**
 * struct shrinker_kit_bound - a wait for another thread, and its bound
 * @what: the call; @place: where it stands
 * @end: the library's; 0 at first
 *
 * One that lasts longer than shrinker_test_wait_limit() fails the test.
 */
struct shrinker_kit_bound {
	const char *what, *place;
	long long end;
};
#define SHRINKER_KIT_BOUND(what) { what, SHRINKER_KIT_PLACE, 0 }

/**
 * shrinker_kit_bug - the driver cannot go on
 *
 * Prints @what and @place and aborts, or calls shrinker_test_on_failure()'s handler.
 */
void shrinker_kit_bug(const char *what, const char *place);

/**
 * shrinker_kit_warn - something is wrong, and the test will fail at its end
 * @once: set at the first time, after which nothing is printed; NULL: always print
 */
void shrinker_kit_warn(bool *once, const char *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * shrinker_kit_may_allocate - count an allocation that may reclaim
 *
 * Return: false where shrinker_test_fail_allocation() lets this one fail.
 */
bool shrinker_kit_may_allocate(const char *place);

/**
 * shrinker_kit_made, shrinker_kit_drop_made - what has to be destroyed by its maker
 * @kind: a word that says what; a constant
 *
 * What was made and not dropped is told at the end of the test.
 *
 * Return: false where there is no memory to know it by.
 */
bool shrinker_kit_made(const char *kind, const void *object, const char *place);
void shrinker_kit_drop_made(const char *kind, const void *object);

/**
 * shrinker_kit_might_sleep - the call may block
 *
 * Fails where the thread holds a spinlock or reads under RCU.
 */
void shrinker_kit_might_sleep(const char *place);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_KIT_H */
