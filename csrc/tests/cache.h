/* SPDX-License-Identifier: MIT */
/*
 * A cache for tests: a number of objects with a shrinker in front, hooks in its
 * callbacks, and a log of the caches that walks have counted.
 */
#ifndef TESTS_CACHE_H
#define TESTS_CACHE_H

#include "setup.h"

#define LOG_SIZE 256

struct cache;
typedef void (*cache_hook)(struct cache *cache, struct shrink_control *sc);

/**
 * struct cache - objects behind a shrinker
 * @log: each count call appends @tag to it; NULL: no log
 * @objects: returned by the count callback; SHRINK_EMPTY instead of 0, unless
 *	@zero_is_unknown
 * @counts, @scans: calls of the callbacks
 * @keeps: scanning takes no object away, as in a cache that refills itself
 * @answers: the scan callback returns @answer and takes no object away
 * @on_count, @on_scan: called first in the callback; NULL: nothing
 * @arg: for the hooks
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

/* A hook. */
static inline void set_batch_to_512(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	cache->shrinker->batch = 512;
}

/* Allocated, not registered. */
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

/* A cache for each tag, all with the same log. */
static inline void caches_open(struct cache *cache, struct reclaim_domain *domain,
			       const char *tags, unsigned long objects, char *log)
{
	for (; *tags; cache++, tags++) {
		cache_open(cache, domain, *tags, objects);
		cache->log = log;
	}
}

static inline void cache_close(struct cache *cache)
{
	shrinker_free(cache->shrinker);
	cache->shrinker = NULL;
}

/* Makes the scan callback return @answer. */
static inline void cache_answer(struct cache *cache, unsigned long answer)
{
	cache->answers = true;
	cache->answer = answer;
}

static inline int64_t cache_deferred(struct cache *cache)
{
	return shrinker_nr_deferred(cache->shrinker, 0, NULL);
}

static inline struct shrinker_statistics statistics_of_cache(struct cache *cache)
{
	struct shrinker_statistics statistics;

	shrinker_get_statistics(cache->shrinker, &statistics);
	return statistics;
}

static inline void cache_set_bit(struct cache *cache, struct mem_cgroup *memcg, int nid)
{
	set_shrinker_bit(memcg, nid, shrinker_id(cache->shrinker));
}

static inline bool has_bit(struct cache *cache, struct mem_cgroup *memcg, int nid)
{
	return mem_cgroup_has_bit(memcg, nid, shrinker_id(cache->shrinker));
}

/* --- hooks ---------------------------------------------------------------- */

static inline void stop_walk(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	(void)sc;
	reclaim_stop_walk();
}

static inline void scan_half(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	sc->nr_scanned /= 2;
}

static inline void scan_nothing(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	sc->nr_scanned = 0;
}

/* The cache's own shrinker. */
static inline void free_itself(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	CHECK(reclaim_in_callback());
	cache_close(cache);
}

/* @arg: the other cache. */
static inline void free_other(struct cache *cache, struct shrink_control *sc)
{
	struct cache *other = cache->arg;

	(void)sc;
	if (other->shrinker)
		cache_close(other);
}

/* @arg: a log, which gets the digit of the walk's node. */
static inline void note_the_node(struct cache *cache, struct shrink_control *sc)
{
	log_append(cache->arg, (char)('0' + sc->nid));
}

#endif /* TESTS_CACHE_H */
