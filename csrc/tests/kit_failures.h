/* SPDX-License-Identifier: MIT */
/* Tests of the driver test kit: what it complains of is kept, and looked at. */
#ifndef TESTS_KIT_FAILURES_H
#define TESTS_KIT_FAILURES_H

#include <shrinker_test.h>

#include "check.h"

static char failure[512];
static int failures;

static inline void note(const char *text)
{
	snprintf(failure, sizeof(failure), "%s", text);
	failures++;
}

static inline void begin(void)
{
	shrinker_test_begin();
	shrinker_test_on_failure(note);
	failures = 0;
	failure[0] = 0;
}

/* Whether there was one failure since the last look, with that text in it. */
static inline bool failed_with(const char *text)
{
	bool failed = failures == 1 && strstr(failure, text);

	if (!failed && failures)
		fprintf(stderr, "%d failures: %s\n", failures, failure);
	failures = 0;
	failure[0] = 0;
	shrinker_test_failures();
	return failed;
}

static inline void end(void)
{
	CHECK_EQ(failures, 0);
	CHECK_EQ(shrinker_test_end(), 0);
}

#endif /* TESTS_KIT_FAILURES_H */
