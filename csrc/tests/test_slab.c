/* SPDX-License-Identifier: MIT */
/* Walks over the whole machine, and callbacks outside any pass. */
#include "cache.h"

/* For an argument out of range nothing is called or counted. */
static void wrong_arguments_change_nothing(struct reclaim_domain *domain)
{
	struct shrink_control sc = { .nid = 2 };
	unsigned long ret = 7;
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_KERNEL, 2, NULL, 0), 0);
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_KERNEL, -1, NULL, 0), 0);
	CHECK_EQ(walk(domain, -1), 0);
	CHECK_EQ(walk(domain, 64), 0);
	CHECK(!shrinker_count_objects(a.shrinker, &sc, &ret));
	CHECK(!shrinker_scan_objects(a.shrinker, &sc, &ret));
	CHECK_EQ(ret, 7);
	CHECK_EQ(atomic_load(&a.counts), 0);
	CHECK_EQ(atomic_load(&a.scans), 0);
	CHECK_EQ(statistics_of(domain).walks, 0);
	CHECK_EQ(cache_deferred(&a), 0);
	/* 63 is in range: the shifted count is 0. */
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_KERNEL, 1, NULL, 63), 0);
	CHECK_EQ(atomic_load(&a.counts), 1);
}

static void reclaim_again(struct cache *cache, struct shrink_control *sc)
{
	struct reclaim_request request = { .nid = -1, .priority = 12 };
	struct reclaim_domain *domain = cache->arg;
	struct reclaim_result result;

	(void)sc;
	CHECK(reclaim_in_callback());
	CHECK_EQ(walk(domain, 0), 0);
	CHECK_EQ(reclaim_drop_slab(domain), 0);
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_EQ(result.nr_reclaimed, 0);
	CHECK_EQ(result.passes, 0);
	CHECK(reclaim_in_callback());
}

/* A callback cannot begin another reclaim, in any domain; attempts are counted. */
static void reclaim_does_not_nest(struct reclaim_domain *domain)
{
	struct reclaim_domain *other = domain_new(1);
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };
	unsigned long count;
	struct cache a, b;

	cache_open(&a, domain, 'a', 10);
	cache_open(&b, other, 'b', 10);
	a.on_count = reclaim_again;
	CHECK(!reclaim_in_callback());
	a.arg = other;
	CHECK_EQ(walk(domain, 0), 10);
	CHECK_EQ(statistics_of(other).nested, 3);
	CHECK_EQ(statistics_of(other).walks, 0);
	CHECK_EQ(atomic_load(&b.counts), 0);
	a.arg = domain;
	CHECK(shrinker_count_objects(a.shrinker, &sc, &count));
	CHECK_EQ(statistics_of(domain).nested, 3);
	CHECK_EQ(atomic_load(&a.counts), 2);
	CHECK(!reclaim_in_callback());
	CHECK_EQ(walk(other, 0), 10);
	domain_close(other);
}

static void count_other_and_itself(struct cache *cache, struct shrink_control *sc)
{
	struct shrink_control own = { .gfp_mask = GFP_NOIO };
	struct cache *other = cache->arg;
	unsigned long count = 0;

	(void)sc;
	CHECK(shrinker_count_objects(other->shrinker, &own, &count));
	CHECK_EQ(count, 20);
	cache->on_count = NULL;
	CHECK(shrinker_count_objects(cache->shrinker, &own, &count));
	CHECK(reclaim_in_callback());
}

/* count and scan can be called alone, in callbacks too; that is no pass. */
static void direct_calls_are_no_passes(struct reclaim_domain *domain)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL, .nr_to_scan = 7 };
	struct reclaim_statistics statistics, none = { .walks = 0 };
	char log[LOG_SIZE] = "";
	struct cache cache[3], *b = &cache[1];
	unsigned long ret;

	caches_open(cache, domain, "abc", 20, log);
	CHECK(shrinker_scan_objects(b->shrinker, &sc, &ret));
	CHECK_EQ(ret, 7);
	CHECK_EQ(sc.nr_scanned, 7);
	CHECK(shrinker_count_objects(b->shrinker, &sc, &ret));
	CHECK_EQ(ret, 13);
	CHECK_TEXT(log, "b");
	CHECK_EQ(cache_deferred(b), 0);
	statistics = statistics_of(domain);
	CHECK_NUMBERS(&statistics, &none);

	/* The walk goes on after such calls. */
	atomic_store(&b->objects, 20);
	cache[0].on_count = count_other_and_itself;
	cache[0].arg = b;
	CHECK_EQ(walk(domain, 0), 60);
	CHECK_TEXT(log, "bababc");
	CHECK(shrinker_unregister(b->shrinker, true));
	CHECK(!shrinker_count_objects(b->shrinker, &sc, &ret));
	CHECK(!shrinker_scan_objects(b->shrinker, &sc, &ret));
	cache_close(b);
}

/* reclaim_stop_walk() ends the pass as SHRINK_STOP does, and the walk.  Outside a
 * callback it does nothing. */
static void a_callback_can_stop_the_walk(struct reclaim_domain *domain)
{
	char log[LOG_SIZE] = "";
	struct cache cache[2], *a = &cache[0];

	caches_open(cache, domain, "ab", 10, log);
	atomic_store(&a->objects, 1000);
	a->keeps = true;
	a->on_scan = stop_walk;
	CHECK_EQ(walk(domain, 0), 0);
	CHECK_EQ(atomic_load(&a->scans), 1);
	CHECK_EQ(statistics_of(domain).scan_calls, 0);
	CHECK_EQ(cache_deferred(a), 2000);

	/* In the count: no scan follows, and the deferred work stays as it was. */
	a->on_scan = NULL;
	a->on_count = stop_walk;
	CHECK_EQ(walk(domain, 0), 0);
	CHECK_EQ(atomic_load(&a->scans), 1);
	CHECK_EQ(cache_deferred(a), 2000);
	atomic_store(&a->objects, 0);
	CHECK_EQ(walk(domain, 0), 0);
	CHECK_TEXT(log, "aaa");

	a->on_count = NULL;
	reclaim_stop_walk();
	CHECK_EQ(walk(domain, 0), 10);
	CHECK_TEXT(log, "aaaab");
}

int main(void)
{
	run_in(domain_new(2), wrong_arguments_change_nothing);
	run_in(domain_new(1), reclaim_does_not_nest);
	run_in(domain_new(1), direct_calls_are_no_passes);
	run_in(domain_new(1), a_callback_can_stop_the_walk);
	return checks_report("test_slab");
}
