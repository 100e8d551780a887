/* SPDX-License-Identifier: MIT */
/*
 * Shrinkers, names, walks, events and the default domain where memory runs out, at
 * each allocation in turn: the call returns an error, nothing visible has changed,
 * nothing leaks, and the next call works.
 */
#include <linux/list_lru.h>
#include <shrinker/events.h>

#include "injector.h"
#include "threads.h"

/* Runs first: after it has failed, the default domain can still be made. */
static void the_default_domain(void)
{
	struct reclaim_domain *domain = NULL;
	struct list_lru lru;
	unsigned long number;

	WITH_ALLOCATIONS(0, CHECK(!reclaim_default_domain()));
	WITH_ALLOCATIONS(0, CHECK(!shrinker_alloc(0, "s")));
	WITH_ALLOCATIONS(0, CHECK_EQ(list_lru_init(&lru), -ENOMEM));
	list_lru_destroy(&lru);
	WITH_ALLOCATIONS(0, CHECK_EQ(shrink_slab(GFP_KERNEL, 0, NULL, 0), 0));
	WITH_ALLOCATIONS(0, drop_slab());
	for (number = 0; !domain; number++) {
		CHECK(number < 20);
		WITH_ALLOCATIONS(number, domain = reclaim_default_domain());
	}
	CHECK(number > 1);
	CHECK(reclaim_default_domain() == domain);
	CHECK_EQ(list_lru_init(&lru), 0);
	list_lru_destroy(&lru);
}

static void formatting_a_name(void)
{
	struct shrinker *shrinker = NULL;
	unsigned long number;
	char name[16];

	for (number = 0; !shrinker; number++)
		WITH_ALLOCATIONS(number, shrinker = shrinker_alloc(0, "s-%d", 7));
	/* The text, the shrinker, its name, the domain's first debugfs ids and
	 * counts. */
	CHECK_EQ(number, 6);
	CHECK_EQ(shrinker_copy_name(shrinker, name, sizeof(name)), 3);
	CHECK_TEXT(name, "s-7");
	shrinker_free(shrinker);
}

/* With one counter, or one for each node. */
static void allocating_a_shrinker(void)
{
	static const unsigned int flags[] = { 0, SHRINKER_NUMA_AWARE };
	unsigned long i, number;

	for (i = 0; i < 2; i++) {
		struct reclaim_domain *domain = domain_new(3);
		struct shrinker *shrinker = NULL;

		for (number = 0; !shrinker; number++) {
			WITH_ALLOCATIONS(number,
					 shrinker = reclaim_shrinker_alloc(
						 domain, flags[i], "s"));
			CHECK_EQ(walk(domain, 0), 0);
		}
		/* The shrinker, its name, the counts; debugfs ids, which stay
		 * for the next attempt, or counters for nodes. */
		CHECK_EQ(number, 5);
		/* Registering and freeing need nothing. */
		shrinker->count_objects = cache_count;
		shrinker->scan_objects = cache_scan;
		WITH_ALLOCATIONS(0, shrinker_register(shrinker));
		WITH_ALLOCATIONS(0, shrinker_free(shrinker));
		WITH_ALLOCATIONS(0, reclaim_domain_put(domain));
	}
}

static void renaming_a_shrinker(struct reclaim_domain *domain)
{
	struct cache cache;
	char name[16];

	cache_open(&cache, domain, 'a', 10);
	WITH_ALLOCATIONS(0, CHECK(!shrinker_rename(cache.shrinker, "b")));
	CHECK_EQ(shrinker_copy_name(cache.shrinker, name, sizeof(name)), 1);
	CHECK_TEXT(name, "a");
	CHECK(shrinker_rename(cache.shrinker, "b"));
}

/* --- walks ---------------------------------------------------------------- */

static unsigned int deepest, depth, refused;

static void count_inside(struct cache *cache, struct shrink_control *sc)
{
	struct shrink_control inner = { .gfp_mask = sc->gfp_mask };
	unsigned long count = 77;

	if (depth == deepest)
		return;
	depth++;
	if (!shrinker_count_objects(cache->shrinker, &inner, &count)) {
		CHECK_EQ(count, 77);
		refused++;
	}
	depth--;
}

/* Four walks need no memory, because reclaim runs when memory is short.  A fifth
 * one inside them is refused, and the others go on. */
static void walks_inside_walks(struct reclaim_domain *domain)
{
	struct cache cache;

	cache_open(&cache, domain, 'a', 1000);
	cache.on_count = count_inside;
	deepest = 3;
	WITH_ALLOCATIONS(0, CHECK_EQ(walk(domain, 0), 1000));
	CHECK_EQ(refused, 0);
	atomic_store(&cache.objects, 1000);
	deepest = 4;
	WITH_ALLOCATIONS(0, CHECK_EQ(walk(domain, 0), 1000));
	CHECK_EQ(refused, 1);
	atomic_store(&cache.objects, 1000);
	CHECK_EQ(walk(domain, 0), 1000);
	CHECK_EQ(refused, 1);
	/* The record that the last walk allocated stays. */
	atomic_store(&cache.objects, 1000);
	WITH_ALLOCATIONS(0, CHECK_EQ(walk(domain, 0), 1000));
	CHECK_EQ(refused, 1);
}

/* A fifth walk beside four others has no record: it frees nothing. */
static void walks_beside_walks(struct reclaim_domain *domain)
{
	struct reclaim_request request = { .nr_to_reclaim = 1, .nid = -1 };
	struct reclaim_result result;
	struct sleepers s;
	int i;

	sleepers_open(&s, domain, false);
	sleepers_walk(&s, 4);
	WITH_ALLOCATIONS(0, CHECK_EQ(walk(domain, 0), 0));
	WITH_ALLOCATIONS(0, CHECK_EQ(reclaim_drop_slab(domain), 0));
	WITH_ALLOCATIONS(0, CHECK(reclaim_run(domain, &request, &result)));
	CHECK_EQ(result.nr_reclaimed, 0);
	for (i = 0; i < 4; i++)
		sleepers_wake(&s);
	sleepers_join(&s);
}

/* --- events --------------------------------------------------------------- */

static void starting_events(struct reclaim_domain *domain)
{
	struct shrink_event event;
	int error = -ENOMEM;
	unsigned long number;

	for (number = 0; error; number++) {
		CHECK_EQ(error, -ENOMEM);
		CHECK_EQ(reclaim_trace_read(domain, &event, 1), 0);
		WITH_ALLOCATIONS(number, error = reclaim_trace_start(domain, 10));
	}
	CHECK_EQ(number, 3);
	WITH_ALLOCATIONS(0, reclaim_trace_stop(domain));
}

/* Without memory for more events these are counted as lost.  Passes go on, and
 * later events are kept again. */
static void keeping_many_events(struct reclaim_domain *domain)
{
	struct shrink_event events[700];
	struct cache cache;
	int i;

	cache_open(&cache, domain, 'a', 1);
	cache.keeps = true;
	CHECK_EQ(reclaim_trace_start(domain, 100000), 0);
	for (i = 0; i < 300; i++)
		WITH_ALLOCATIONS(0, CHECK_EQ(walk(domain, 0), 2));
	CHECK_EQ(reclaim_trace_lost(domain), 600 - 512);
	CHECK_EQ(walk(domain, 0), 2);
	CHECK_EQ(reclaim_trace_lost(domain), 600 - 512);
	CHECK_EQ(reclaim_trace_read(domain, events, 700), 514);
	reclaim_trace_stop(domain);
}

int main(void)
{
	RUN(the_default_domain);
	RUN(formatting_a_name);
	RUN(allocating_a_shrinker);
	run_in(domain_new(1), renaming_a_shrinker);
	run_in(domain_new(1), walks_inside_walks);
	run_in(domain_new(1), walks_beside_walks);
	run_in(domain_new(1), starting_events);
	run_in(domain_new(1), keeping_many_events);
	return checks_report("test_no_memory_registry");
}
