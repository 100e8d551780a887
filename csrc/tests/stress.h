/* SPDX-License-Identifier: MIT */
/*
 * The frame of a stress: threads that repeat one step each until they are told to
 * end, and counters of what they do.
 */
#ifndef TESTS_STRESS_H
#define TESTS_STRESS_H

#include <sched.h>
#include <time.h>

#include "threads.h"

typedef _Atomic(unsigned long) counter;

static inline void count(counter *of)
{
	atomic_fetch_add_explicit(of, 1, memory_order_relaxed);
}

static _Thread_local uint64_t random_state;

static inline uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 8;
}

/**
 * struct role - one thread
 * @step: is repeated
 * @end: called once at the end; NULL: nothing
 */
struct role {
	void (*step)(void);
	void (*end)(void);
	pthread_t thread;
	uint64_t seed;
	_Atomic(bool) over;
};

static inline void *role_thread(void *arg)
{
	struct role *role = arg;

	random_state = role->seed;
	while (!atomic_load(&role->over))
		role->step();
	if (role->end)
		role->end();
	return NULL;
}

static inline void roles_start(struct role *role, int number)
{
	int i;

	for (i = 0; i < number; i++) {
		role[i].seed = (uint64_t)time(NULL) * 7919 + (uint64_t)i + 1;
		role[i].thread = thread_start(role_thread, &role[i]);
	}
}

static inline void roles_end(struct role *role, int number)
{
	int i;

	for (i = 0; i < number; i++)
		atomic_store(&role[i].over, true);
	for (i = 0; i < number; i++)
		thread_join(role[i].thread);
}

/* Sleeps for as many seconds as the first argument says, or 2. */
static inline void sleep_as_told(int argc, char **argv)
{
	struct timespec seconds = { .tv_sec = argc > 1 ? atoi(argv[1]) : 2 };

	nanosleep(&seconds, NULL);
	alarm(TEST_SECONDS);
}

#endif /* TESTS_STRESS_H */
