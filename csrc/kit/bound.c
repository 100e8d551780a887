/* SPDX-License-Identifier: MIT */
/*
 * A wait that lasts longer than its bound fails the test, so that a test never hangs.
 * Bounds are in real time; shrinker_test_advance() does not shorten them.
 */
#define _GNU_SOURCE 1

#include <time.h>

#include <shrinker_test.h>

#include "kit.h"

/* Far longer than a thread of a test holds anything, and short for a person. */
#define DEFAULT_WAIT_LIMIT_MS 10000UL
/* The longest wait before the bound is looked at again. */
#define SLICE_MS 10UL

static _Atomic(unsigned long) wait_limit = DEFAULT_WAIT_LIMIT_MS;

void shrinker_test_wait_limit(unsigned long milliseconds)
{
	wait_limit = milliseconds;
}

unsigned long kit_wait_limit(void)
{
	return wait_limit;
}

void kit_bound_begin(void)
{
	wait_limit = DEFAULT_WAIT_LIMIT_MS;
}

static long long real_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The first look begins the wait.  Return: false once it has lasted too long. */
static bool is_within(struct shrinker_kit_bound *bound)
{
	long long now = real_ms();

	if (!bound->end)
		bound->end = now + (long long)kit_wait_limit();
	return now < bound->end;
}

/* A moment of CLOCK_REALTIME, which timed waits of pthreads take. */
void kit_real_time_in(struct timespec *time, unsigned long milliseconds)
{
	clock_gettime(CLOCK_REALTIME, time);
	time->tv_sec += (time_t)(milliseconds / 1000);
	time->tv_nsec += (long)(milliseconds % 1000) * 1000000;
	if (time->tv_nsec >= 1000000000) {
		time->tv_sec++;
		time->tv_nsec -= 1000000000;
	}
}

/* Waits a while for a signal.  Return: false once the wait has lasted too long. */
bool kit_wait_for(struct shrinker_kit_bound *bound, pthread_cond_t *cond,
		  pthread_mutex_t *mutex)
{
	struct timespec time;

	if (!is_within(bound))
		return false;
	kit_real_time_in(&time, SLICE_MS);
	pthread_cond_timedwait(cond, mutex, &time);
	return true;
}

/* The same for what has no signal. */
bool kit_pause(struct shrinker_kit_bound *bound)
{
	const struct timespec time = { .tv_nsec = 100000 };

	if (!is_within(bound))
		return false;
	nanosleep(&time, NULL);
	return true;
}

/* @taken_at: where the lock that is waited for was taken; NULL: not known. */
void kit_waited_too_long(const struct shrinker_kit_bound *bound,
			 const char *taken_at)
{
	kit_fail("%s: %s has waited for %lu ms%s%s, and nothing ends it (shrinker_test_wait_limit() sets the bound)",
		 bound->place, bound->what, kit_wait_limit(),
		 taken_at ? " for what was taken at " : "",
		 taken_at ? taken_at : "");
}
