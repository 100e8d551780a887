/* SPDX-License-Identifier: MIT */
/*
 * Assertions that stay under NDEBUG, and the frame of a test program.  A check
 * that fails prints where and what, and ends the program with status 1; a
 * program that hangs is ended by SIGALRM.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Longer than any test takes under valgrind on a busy machine. */
#define TEST_SECONDS 300

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
