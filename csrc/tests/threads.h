/* SPDX-License-Identifier: MIT */
/*
 * Threads for tests, callbacks that sleep in them, and forked children.
 */
#ifndef TESTS_THREADS_H
#define TESTS_THREADS_H

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>

#include "cache.h"

static inline pthread_t thread_start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, run, arg), 0);
	return thread;
}

static inline void thread_join(pthread_t thread)
{
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static inline void threads_start(pthread_t *thread, int number, void *(*run)(void *),
				 void *arg)
{
	while (number--)
		thread[number] = thread_start(run, arg);
}

static inline void threads_join(pthread_t *thread, int number)
{
	while (number--)
		thread_join(thread[number]);
}

static inline void *walk_thread(void *domain)
{
	walk(domain, 0);
	return NULL;
}

/* Long enough for a thread that does not wait to have gone on. */
static inline void moment(void)
{
	usleep(20000);
}

static inline void wait_until_lingering(struct reclaim_domain *domain)
{
	while (!reclaim_domain_nr_lingering(domain))
		usleep(100);
}

/* --- callbacks that sleep ------------------------------------------------- */

/**
 * struct sleeper - where callbacks sleep
 * @entered: posted by each callback
 * @leave: each callback waits for it once
 * @left: callbacks that have gone on
 */
struct sleeper {
	sem_t entered;
	sem_t leave;
	_Atomic(unsigned int) left;
};

static inline void sleeper_init(struct sleeper *sleeper)
{
	memset(sleeper, 0, sizeof(*sleeper));
	sem_init(&sleeper->entered, 0, 0);
	sem_init(&sleeper->leave, 0, 0);
}

static inline void semaphore_wait(sem_t *semaphore)
{
	while (sem_wait(semaphore))
		CHECK_EQ(errno, EINTR);
}

/* A hook; @arg: the sleeper. */
static inline void sleep_here(struct cache *cache, struct shrink_control *sc)
{
	struct sleeper *sleeper = cache->arg;

	(void)sc;
	sem_post(&sleeper->entered);
	semaphore_wait(&sleeper->leave);
	atomic_fetch_add(&sleeper->left, 1);
}

/**
 * struct sleepers - a cache of 10 objects, and threads whose walks sleep in it
 */
struct sleepers {
	struct cache cache;
	struct sleeper sleeper;
	pthread_t thread[12];
	int number;
};

/* Adds the cache to the domain; its callbacks sleep. */
static inline void sleepers_open(struct sleepers *sleepers,
				 struct reclaim_domain *domain, bool in_scan)
{
	struct cache *cache = &sleepers->cache;

	sleeper_init(&sleepers->sleeper);
	cache_open(cache, domain, 's', 10);
	cache->arg = &sleepers->sleeper;
	*(in_scan ? &cache->on_scan : &cache->on_count) = sleep_here;
	sleepers->number = 0;
}

/* Starts walks; returns when all of them sleep in the cache. */
static inline void sleepers_walk(struct sleepers *sleepers, int number)
{
	struct reclaim_domain *domain = sleepers->cache.shrinker->domain;
	int i;

	CHECK(number <= (int)LENGTH(sleepers->thread));
	sleepers->number = number;
	threads_start(sleepers->thread, number, walk_thread, domain);
	for (i = 0; i < number; i++)
		semaphore_wait(&sleepers->sleeper.entered);
}

/* sleepers_open() and one walk. */
static inline void sleepers_start(struct sleepers *sleepers,
				  struct reclaim_domain *domain)
{
	sleepers_open(sleepers, domain, false);
	sleepers_walk(sleepers, 1);
}

/* Wakes one of the callbacks. */
static inline void sleepers_wake(struct sleepers *sleepers)
{
	sem_post(&sleepers->sleeper.leave);
}

static inline void sleepers_join(struct sleepers *sleepers)
{
	threads_join(sleepers->thread, sleepers->number);
}

/* --- calls that wait ------------------------------------------------------ */

/**
 * struct waiter - shrinker_free(), or shrinker_unregister(), in a thread of its own
 * @done: it has returned
 */
struct waiter {
	struct shrinker *shrinker;
	bool frees;
	pthread_t thread;
	_Atomic(bool) done;
};

static inline void *waiter_thread(void *arg)
{
	struct waiter *waiter = arg;

	if (waiter->frees)
		shrinker_free(waiter->shrinker);
	else
		CHECK(shrinker_unregister(waiter->shrinker, true));
	atomic_store(&waiter->done, true);
	return NULL;
}

static inline void waiter_start(struct waiter *waiter, struct shrinker *shrinker,
				bool frees)
{
	waiter->shrinker = shrinker;
	waiter->frees = frees;
	atomic_store(&waiter->done, false);
	waiter->thread = thread_start(waiter_thread, waiter);
}

/* --- forked children ------------------------------------------------------ */

/* Without the parent's exit handlers, but with what coverage has counted. */
static inline void leave_child(void)
{
#ifdef TESTS_COVERAGE
	extern void __gcov_dump(void);

	__gcov_dump();
#endif
	_exit(0);
}

static inline void wait_for_child(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* Runs @child in a forked child under a time limit; it may use CHECK. */
static inline void in_child(void (*child)(void *arg), void *arg)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		alarm(30);
		child(arg);
		leave_child();
	}
	wait_for_child(pid);
}

#endif /* TESTS_THREADS_H */
