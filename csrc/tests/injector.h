/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out at a chosen allocation.  The linker puts these functions
 * before the real ones in every test_no_memory* (Makefile); what libc allocates
 * for itself is not concerned, hence strdup(), vasprintf() and pthread_atfork()
 * beside malloc().
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

/* clang's TSan is linked into the program, and installs handlers of its own before it
 * can stand being called. */
#define BEFORE_SANITIZERS
#ifdef __has_attribute
#if __has_attribute(disable_sanitizer_instrumentation)
#undef BEFORE_SANITIZERS
#define BEFORE_SANITIZERS __attribute__((disable_sanitizer_instrumentation))
#endif
#endif

/* Allocations that work before one fails; then all fail. */
static unsigned long left = ~0UL;

BEFORE_SANITIZERS static inline bool may(void)
{
	if (left == ~0UL)
		return true;
	return left && left--;
}

void *__wrap_malloc(size_t size)
{
	return may() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t number, size_t size)
{
	return may() ? __real_calloc(number, size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size)
{
	return may() ? __real_realloc(memory, size) : NULL;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return may() ? __real_aligned_alloc(alignment, size) : NULL;
}

char *__wrap_strdup(const char *text)
{
	return may() ? __real_strdup(text) : NULL;
}

int __wrap_vasprintf(char **text, const char *format, va_list arguments)
{
	return may() ? __real_vasprintf(text, format, arguments) : -1;
}

/* Whether pthread_atfork() alone fails, and how often it installs otherwise. */
static bool atfork_fails;
static unsigned int atfork_times = 1;

BEFORE_SANITIZERS int __wrap_pthread_atfork(void (*prepare)(void),
					    void (*parent)(void),
					    void (*child)(void))
{
	unsigned int i;

	if (atfork_fails || !may())
		return ENOMEM;
	for (i = 0; i < atfork_times; i++)
		if (__real_pthread_atfork(prepare, parent, child))
			return ENOMEM;
	return 0;
}

/* Does something while only so many allocations work. */
#define WITH_ALLOCATIONS(number, attempt)                                      \
	do {                                                                   \
		left = (number);                                               \
		attempt;                                                       \
		left = ~0UL;                                                   \
	} while (0)

#endif /* TESTS_INJECTOR_H */
