/* SPDX-License-Identifier: MIT */
/*
 * A cache for tests: a number of objects with a shrinker in front, hooks into
 * its callbacks, a log of who was visited, and a callback that sleeps until it
 * is told to go on.
 */
#ifndef TESTS_CACHE_H
#define TESTS_CACHE_H

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <shrinker/domain.h>

#include "check.h"

#define LOG_SIZE 256

struct cache;
typedef void (*cache_hook)(struct cache *cache, struct shrink_control *sc);

/**
 * struct cache - objects behind a shrinker
 * @objects: counted as they are; 0 reads SHRINK_EMPTY, unless @zero_is_unknown
 * @keeps: scanning takes nothing away, as in a cache that refills itself
 * @on_count, @on_scan: run first in the callback; NULL: nothing
 * @answer: what the scan callback returns instead, where @answers
 * @log: each count call appends @tag to it; NULL: none
 */
struct cache {
	struct shrinker *shrinker;
	char tag;
	char *log;
	_Atomic(unsigned long) objects;
	_Atomic(unsigned long) counts;
	_Atomic(unsigned long) scans;
	bool zero_is_unknown;
	bool keeps;
	bool answers;
	unsigned long answer;
	cache_hook on_count;
	cache_hook on_scan;
	void *arg;
};

static inline void log_append(char *log, char tag)
{
	size_t length = strlen(log);

	CHECK(length + 1 < LOG_SIZE);
	log[length] = tag;
	log[length + 1] = '\0';
}

static inline unsigned long cache_count(struct shrinker *shrinker,
					struct shrink_control *sc)
{
	struct cache *cache = shrinker->private_data;
	unsigned long objects;

	atomic_fetch_add(&cache->counts, 1);
	if (cache->log)
		log_append(cache->log, cache->tag);
	if (cache->on_count)
		cache->on_count(cache, sc);
	objects = atomic_load(&cache->objects);
	return objects || cache->zero_is_unknown ? objects : SHRINK_EMPTY;
}

static inline unsigned long cache_scan(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	struct cache *cache = shrinker->private_data;
	unsigned long have, taken;

	atomic_fetch_add(&cache->scans, 1);
	if (cache->on_scan)
		cache->on_scan(cache, sc);
	if (cache->answers)
		return cache->answer;
	if (cache->keeps)
		return sc->nr_to_scan;
	have = atomic_load(&cache->objects);
	do
		taken = have < sc->nr_to_scan ? have : sc->nr_to_scan;
	while (!atomic_compare_exchange_weak(&cache->objects, &have, have - taken));
	return taken;
}

/* Allocated, and not registered yet. */
static inline void cache_prepare(struct cache *cache,
				 struct reclaim_domain *domain,
				 unsigned int flags, char tag,
				 unsigned long objects)
{
	char name[] = { tag, '\0' };

	memset(cache, 0, sizeof(*cache));
	cache->tag = tag;
	atomic_store(&cache->objects, objects);
	cache->shrinker = reclaim_shrinker_alloc(domain, flags, name);
	CHECK(cache->shrinker);
	cache->shrinker->count_objects = cache_count;
	cache->shrinker->scan_objects = cache_scan;
	cache->shrinker->private_data = cache;
}

static inline void cache_open(struct cache *cache, struct reclaim_domain *domain,
			      char tag, unsigned long objects)
{
	cache_prepare(cache, domain, 0, tag, objects);
	shrinker_register(cache->shrinker);
}

static inline void cache_close(struct cache *cache)
{
	shrinker_free(cache->shrinker);
	cache->shrinker = NULL;
}

static inline struct reclaim_domain *domain_new(int nr_nodes)
{
	struct reclaim_domain *domain =
		reclaim_domain_create(nr_nodes, RECLAIM_STALL_LIMIT, 0);

	CHECK(domain);
	return domain;
}

static inline unsigned long walk(struct reclaim_domain *domain, int priority)
{
	return reclaim_shrink_slab(domain, GFP_KERNEL, 0, NULL, priority);
}

/* --- threads -------------------------------------------------------------- */

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

static inline void *walk_thread(void *domain)
{
	walk(domain, 0);
	return NULL;
}

static inline void semaphore_wait(sem_t *semaphore)
{
	while (sem_wait(semaphore))
		CHECK_EQ(errno, EINTR);
}

/* Long enough for a thread that does not wait to have gone on. */
static inline void moment(void)
{
	usleep(20000);
}

/**
 * struct sleeper - where a callback sleeps
 * @entered: posted by each callback that comes
 * @leave: each takes one and goes on
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

/* A hook; cache->arg is the sleeper. */
static inline void sleep_here(struct cache *cache, struct shrink_control *sc)
{
	struct sleeper *sleeper = cache->arg;

	(void)sc;
	sem_post(&sleeper->entered);
	semaphore_wait(&sleeper->leave);
	atomic_fetch_add(&sleeper->left, 1);
}

/**
 * struct freeing - shrinker_free() in a thread of its own
 * @done: it has returned
 */
struct freeing {
	struct shrinker *shrinker;
	pthread_t thread;
	_Atomic(bool) done;
};

static inline void *freeing_thread(void *arg)
{
	struct freeing *freeing = arg;

	shrinker_free(freeing->shrinker);
	atomic_store(&freeing->done, true);
	return NULL;
}

static inline void freeing_start(struct freeing *freeing,
				 struct shrinker *shrinker)
{
	freeing->shrinker = shrinker;
	atomic_store(&freeing->done, false);
	freeing->thread = thread_start(freeing_thread, freeing);
}

/**
 * struct unregistering - shrinker_unregister() in threads of their own
 * @done: how many have returned
 */
struct unregistering {
	struct shrinker *shrinker;
	_Atomic(int) done;
};

static inline void *unregister_thread(void *arg)
{
	struct unregistering *unregistering = arg;

	CHECK(shrinker_unregister(unregistering->shrinker, true));
	atomic_fetch_add(&unregistering->done, 1);
	return NULL;
}

#endif /* TESTS_CACHE_H */
