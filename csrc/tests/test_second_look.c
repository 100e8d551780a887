/* SPDX-License-Identifier: MIT */
/*
 * In a memory cgroup's walk SHRINK_EMPTY has a second count follow at once.  None
 * follows where the first has ended the walk, or freed its own shrinker: after
 * both no callback starts.
 */
#include <shrinker/memcg.h>

#include "cache.h"

static struct reclaim_domain *domain;
static struct mem_cgroup *memcg;

static void open_empty(struct cache *cache, char tag)
{
	cache_prepare(cache, domain, SHRINKER_MEMCG_AWARE, tag, 0);
	shrinker_register(cache->shrinker);
	set_shrinker_bit(memcg, 0, shrinker_id(cache->shrinker));
}

static void stop(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	(void)sc;
	reclaim_stop_walk();
}

static void free_itself(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	shrinker_free(cache->shrinker);
	cache->shrinker = NULL;
}

static unsigned long walk_the_group(void)
{
	return reclaim_shrink_slab(domain, GFP_KERNEL, 0, memcg, 0);
}

/* The bit stays as well: nobody has looked whether an object came in between. */
static void no_second_count_after_a_stop(void)
{
	struct cache cache, other;

	open_empty(&cache, 'a');
	open_empty(&other, 'b');
	cache.on_count = stop;
	CHECK_EQ(walk_the_group(), 0);
	CHECK_EQ(atomic_load(&cache.counts), 1);
	CHECK_EQ(atomic_load(&other.counts), 0);
	CHECK(mem_cgroup_has_bit(memcg, 0, shrinker_id(cache.shrinker)));
	cache.on_count = NULL;
	CHECK_EQ(walk_the_group(), 0);
	CHECK_EQ(atomic_load(&cache.counts), 3);
	CHECK(!mem_cgroup_has_bit(memcg, 0, shrinker_id(cache.shrinker)));
	cache_close(&cache);
	cache_close(&other);
}

static void no_second_count_after_a_free(void)
{
	struct cache cache, other;
	int id;

	open_empty(&cache, 'a');
	open_empty(&other, 'b');
	id = shrinker_id(cache.shrinker);
	cache.on_count = free_itself;
	CHECK_EQ(walk_the_group(), 0);
	CHECK_EQ(atomic_load(&cache.counts), 1);
	/* The walk went on to the others. */
	CHECK_EQ(atomic_load(&other.counts), 2);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_EQ(walk_the_group(), 0);
	CHECK(!mem_cgroup_has_bit(memcg, 0, id));
	cache_close(&other);
}

int main(void)
{
	domain = reclaim_domain_create(1, RECLAIM_STALL_LIMIT,
				       RECLAIM_MEMCG | RECLAIM_KMEM);
	CHECK(domain);
	CHECK_EQ(mem_cgroup_create(reclaim_domain_root(domain), &memcg), 0);
	RUN(no_second_count_after_a_stop);
	RUN(no_second_count_after_a_free);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
	return checks_report("test_second_look");
}
