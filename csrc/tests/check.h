/* SPDX-License-Identifier: MIT */
/*
 * Assertions that work with NDEBUG too, and the frame of a test program.  A check
 * that fails prints file, line and values, and ends the program with status 1.
 * SIGALRM ends a program that hangs.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Longer than any test takes under valgrind on a busy machine. */
#define TEST_SECONDS 300

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static _Atomic(unsigned long) checks_made;

static inline void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
	fflush(stderr);
	_exit(1);
}

static inline void check_equal(const char *file, int line, const char *what,
			       unsigned long long a, unsigned long long b)
{
	atomic_fetch_add_explicit(&checks_made, 1, memory_order_relaxed);
	if (a == b)
		return;
	fprintf(stderr, "%s:%d: %llu (%lld) != %llu (%lld)\n", file, line, a,
		(long long)a, b, (long long)b);
	check_failed(file, line, what);
}

static inline void check_text(const char *file, int line, const char *what,
			      const char *a, const char *b)
{
	atomic_fetch_add_explicit(&checks_made, 1, memory_order_relaxed);
	if (strcmp(a, b) == 0)
		return;
	fprintf(stderr, "%s:%d: \"%s\" != \"%s\"\n", file, line, a, b);
	check_failed(file, line, what);
}

static inline void check_numbers(const char *file, int line, const char *what,
				 const uint64_t *a, const uint64_t *b, size_t size)
{
	size_t i;

	for (i = 0; i < size / sizeof(*a); i++) {
		if (a[i] != b[i])
			fprintf(stderr, "%s:%d: number %zu differs\n", file, line, i);
		check_equal(file, line, what, a[i], b[i]);
	}
}

#define CHECK(condition)                                                       \
	do {                                                                   \
		atomic_fetch_add_explicit(&checks_made, 1,                     \
					  memory_order_relaxed);               \
		if (!(condition))                                              \
			check_failed(__FILE__, __LINE__, #condition);          \
	} while (0)

/* Integers of any width and sign, compared as 64-bit ones. */
#define CHECK_EQ(a, b)                                                         \
	check_equal(__FILE__, __LINE__, #a " == " #b, (unsigned long long)(a), \
		    (unsigned long long)(b))

#define CHECK_TEXT(a, b) check_text(__FILE__, __LINE__, #a " == " #b, a, b)

/* Two structures that have 64-bit numbers only, such as statistics. */
#define CHECK_NUMBERS(a, b)                                                    \
	check_numbers(__FILE__, __LINE__, #a " == " #b, (const void *)(a),     \
		      (const void *)(b), sizeof(*(a)))

/* Under AddressSanitizer: whether memory is released, or still allocated. */
#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#define CHECK_RELEASED(pointer) CHECK(__asan_address_is_poisoned(pointer))
#define CHECK_ALLOCATED(pointer) CHECK(!__asan_address_is_poisoned(pointer))
#else
#define CHECK_RELEASED(pointer) CHECK((pointer) != NULL)
#define CHECK_ALLOCATED(pointer) CHECK((pointer) != NULL)
#endif

#define RUN(test)                                                              \
	do {                                                                   \
		alarm(TEST_SECONDS);                                           \
		test();                                                        \
		alarm(0);                                                      \
	} while (0)

static inline int checks_report(const char *program)
{
	printf("%s: %lu checks\n", program, atomic_load(&checks_made));
	return 0;
}

#endif /* TESTS_CHECK_H */
