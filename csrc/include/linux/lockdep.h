/* SPDX-License-Identifier: MIT */
/*
 * Which locks this thread holds.  Every lock of the kit knows; shrinker_test.h
 * says what is checked.
 *
 * Left out: classes of locks and the order between them.  A thread sanitizer finds
 * orders that can deadlock.
 */
#ifndef SHRINKER_LINUX_LOCKDEP_H
#define SHRINKER_LINUX_LOCKDEP_H

#include <linux/kit.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * shrinker_kit_held - whether the calling thread holds the lock
 */
bool shrinker_kit_held(const void *lock);
/* Fails, naming @lock and @place, where the thread does not hold it, or not so. */
void shrinker_kit_assert_held(const void *lock, bool for_writing, const char *name,
			      const char *place);
/* Fails where @holds is false and locks are checked. */
void shrinker_kit_assert(bool holds, const char *condition, const char *place);
void shrinker_kit_assert_not_held(const void *lock, const char *name,
				  const char *place);

#define lockdep_is_held(lock) shrinker_kit_held(lock)
#define lockdep_assert_held(lock)                                              \
	shrinker_kit_assert_held((lock), false, #lock, SHRINKER_KIT_PLACE)
#define lockdep_assert_held_write(lock)                                        \
	shrinker_kit_assert_held((lock), true, #lock, SHRINKER_KIT_PLACE)
#define lockdep_assert_held_read(lock) lockdep_assert_held(lock)
#define lockdep_assert_held_once(lock) lockdep_assert_held(lock)
#define lockdep_assert_not_held(lock)                                          \
	shrinker_kit_assert_not_held((lock), #lock, SHRINKER_KIT_PLACE)
#define lockdep_is_held_type(lock, read) lockdep_is_held(lock)
#define lockdep_assert_none_held_once() ((void)0)
#define lockdep_assert_irqs_disabled() ((void)0)
#define lockdep_assert_preemption_disabled() ((void)0)
#define lockdep_register_key(key) ((void)(key))
#define lockdep_unregister_key(key) ((void)(key))
#define lockdep_init_map(map, name, key, subclass) ((void)0)
#define might_lock(lock) ((void)(lock))
#define might_lock_read(lock) ((void)(lock))
#define lock_map_acquire(map) ((void)0)
#define lock_map_release(map) ((void)0)
#define SINGLE_DEPTH_NESTING 1
#define lockdep_assert(condition)                                              \
	shrinker_kit_assert((condition), #condition, SHRINKER_KIT_PLACE)
#define lockdep_set_class(lock, key) ((void)(lock))
#define lockdep_set_class_and_name(lock, key, name) ((void)(lock))
#define lockdep_set_subclass(lock, subclass) ((void)(lock))
#define lockdep_off() ((void)0)
#define lockdep_on() ((void)0)

struct lock_class_key {
	char unused;
};

struct lockdep_map {
	char unused;
};

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_LOCKDEP_H */
