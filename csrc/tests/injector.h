/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out at a chosen allocation.  In each test_no_memory* the linker
 * calls these functions instead of the real ones (Makefile).  Allocations inside
 * libc do not come here, so strdup(), vasprintf() and pthread_atfork() are replaced
 * too.
 */
#ifndef TESTS_INJECTOR_H
#define TESTS_INJECTOR_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t number, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
int __real_vasprintf(char **text, const char *format, va_list arguments);
int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void),
			  void (*child)(void));
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t number, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **text, const char *format, va_list arguments);
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void),
			  void (*child)(void));

/* clang's TSan is linked into the program, and installs fork handlers before its
 * instrumentation works. */
#define BEFORE_SANITIZERS
#ifdef __has_attribute
#if __has_attribute(disable_sanitizer_instrumentation)
#undef BEFORE_SANITIZERS
#define BEFORE_SANITIZERS __attribute__((disable_sanitizer_instrumentation))
#endif
#endif

/* Allocations that still succeed; ~0UL: all do. */
static unsigned long allocations_left = ~0UL;

BEFORE_SANITIZERS static inline bool may_allocate(void)
{
	if (allocations_left == ~0UL)
		return true;
	return allocations_left && allocations_left--;
}

void *__wrap_malloc(size_t size)
{
	return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t number, size_t size)
{
	return may_allocate() ? __real_calloc(number, size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size)
{
	return may_allocate() ? __real_realloc(memory, size) : NULL;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return may_allocate() ? __real_aligned_alloc(alignment, size) : NULL;
}

char *__wrap_strdup(const char *text)
{
	return may_allocate() ? __real_strdup(text) : NULL;
}

int __wrap_vasprintf(char **text, const char *format, va_list arguments)
{
	return may_allocate() ? __real_vasprintf(text, format, arguments) : -1;
}

/* Whether pthread_atfork() fails, and how many times it installs the handlers. */
static bool atfork_fails;
static unsigned int atfork_times = 1;

BEFORE_SANITIZERS int __wrap_pthread_atfork(void (*prepare)(void),
					    void (*parent)(void),
					    void (*child)(void))
{
	unsigned int i;

	if (atfork_fails || !may_allocate())
		return ENOMEM;
	for (i = 0; i < atfork_times; i++)
		if (__real_pthread_atfork(prepare, parent, child))
			return ENOMEM;
	return 0;
}

/* Runs @attempt while @number allocations succeed. */
#define WITH_ALLOCATIONS(number, attempt)                                      \
	do {                                                                   \
		allocations_left = (number);                                   \
		attempt;                                                       \
		allocations_left = ~0UL;                                       \
	} while (0)

#endif /* TESTS_INJECTOR_H */
