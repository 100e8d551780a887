/* SPDX-License-Identifier: MIT */
/* Caches of memory cgroups for tests, and the order of a tree. */
#ifndef TESTS_MEMCG_CACHES_H
#define TESTS_MEMCG_CACHES_H

#include "cache.h"

/* A cache of 1,000 objects that scans nothing: a walk at priority 3 defers 250. */
static inline void lazy_open(struct cache *cache, struct reclaim_domain *domain,
			     unsigned int flags, char tag)
{
	cache_prepare(cache, domain, flags, tag, 1000);
	cache_answer(cache, SHRINK_STOP);
	shrinker_register(cache->shrinker);
}

/* A memcg-aware cache. */
static inline void aware_open(struct cache *cache, struct reclaim_domain *domain,
			      char tag, unsigned long objects, char *log)
{
	cache_prepare(cache, domain, AWARE, tag, objects);
	cache->log = log;
	shrinker_register(cache->shrinker);
}

/* A hook; @arg: the group that the callback should see. */
static inline void check_group(struct cache *cache, struct shrink_control *sc)
{
	CHECK(sc->memcg == cache->arg);
}

/* Compares the ids of the groups under @root, in order of a walk over the tree. */
static inline void check_tree(struct mem_cgroup *root, const char *ids)
{
	struct mem_cgroup *memcg = NULL;
	char log[LOG_SIZE] = "";

	while ((memcg = mem_cgroup_next(root, memcg)))
		log_append(log, (char)('0' + mem_cgroup_get_id(memcg)));
	CHECK_TEXT(log, ids);
}

#endif /* TESTS_MEMCG_CACHES_H */
