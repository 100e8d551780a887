/* SPDX-License-Identifier: MIT */
/* The clock, sleeping, and the running task. */
#define _GNU_SOURCE 1

#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/ktime.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <shrinker_test.h>

#include "kit.h"

/* Nanoseconds by which the test has put the clock forward. */
static _Atomic(s64) advanced;
static u64 random_state;

static ktime_t clock_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec + advanced;
}

ktime_t ktime_get(void)
{
	return clock_now(CLOCK_MONOTONIC);
}

ktime_t ktime_get_real(void)
{
	return clock_now(CLOCK_REALTIME);
}

unsigned long shrinker_kit_jiffies(void)
{
	unsigned long now = (unsigned long)(ktime_get() / NSEC_PER_MSEC);

	return now ? now : 1;
}

void kit_advance(unsigned long milliseconds)
{
	advanced += (s64)milliseconds * NSEC_PER_MSEC;
}

void shrinker_kit_sleep(unsigned long microseconds, const char *place)
{
	struct timespec time = {
		.tv_sec = (time_t)(microseconds / USEC_PER_SEC),
		.tv_nsec = (long)(microseconds % USEC_PER_SEC) * NSEC_PER_USEC,
	};

	if (place)
		shrinker_kit_might_sleep(place);
	nanosleep(&time, NULL);
}

void shrinker_kit_yield(const char *place)
{
	if (place)
		shrinker_kit_might_sleep(place);
	sched_yield();
}

struct task_struct *shrinker_kit_current(void)
{
	struct task_struct *task = &kit_thread.task;

	if (!task->pid) {
		task->pid = (int)syscall(SYS_gettid);
		task->tgid = getpid();
		prctl(PR_GET_NAME, task->comm);
	}
	return task;
}

void shrinker_test_seed(unsigned long seed)
{
	__atomic_store_n(&random_state, seed, __ATOMIC_RELAXED);
}

/* A Weyl sequence, mixed. */
u64 get_random_u64(void)
{
	u64 x = __atomic_add_fetch(&random_state, 0x9e3779b97f4a7c15ull,
				   __ATOMIC_RELAXED);

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

void get_random_bytes(void *to, size_t size)
{
	unsigned char *byte = to;

	while (size--)
		*byte++ = (unsigned char)get_random_u64();
}
