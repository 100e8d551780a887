/* SPDX-License-Identifier: MIT */
/* How the kit says that something is wrong. */
#define _GNU_SOURCE 1

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <shrinker_test.h>
#include <linux/list.h>
#include <linux/printk.h>

#include "kit.h"

static void (*_Atomic on_failure)(const char *text);
static _Atomic(unsigned long) warnings, failures;

void shrinker_test_on_failure(void (*handler)(const char *text))
{
	on_failure = handler;
}

/**
 * kit_fail - the driver has done something that a kernel would suffer from
 *
 * Returns where the test has a handler.
 */
void kit_fail(const char *format, ...)
{
	void (*handler)(const char *text) = on_failure;
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (handler) {
		failures++;
		handler(text);
		return;
	}
	fflush(stdout);
	fprintf(stderr, "%s\n", text);
	abort();
}

void shrinker_kit_bug(const char *what, const char *place)
{
	kit_fail("%s: %s", place, what);
}

void shrinker_kit_list_fail(const char *call, const void *item, const char *what,
			    const char *place)
{
	kit_fail("%s: %s of %p: %s", place, call, item, what);
}

void shrinker_kit_warn(bool *once, const char *place, const char *format, ...)
{
	va_list arguments;

	if (once && __atomic_exchange_n(once, true, __ATOMIC_RELAXED))
		return;
	warnings++;
	fprintf(stderr, "%s: warning: ", place);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
}

unsigned long shrinker_test_warnings(void)
{
	return warnings;
}

unsigned long shrinker_test_failures(void)
{
	return atomic_exchange(&failures, 0);
}

void kit_reset_counts(void)
{
	failures = 0;
	warnings = 0;
}

int shrinker_kit_printk(const char *format, ...)
{
	va_list arguments;
	int length;

	/* The level: an escape and a character. */
	if (format[0] == '\001' && format[1])
		format += 2;
	va_start(arguments, format);
	length = vfprintf(stderr, format, arguments);
	va_end(arguments);
	return length;
}
