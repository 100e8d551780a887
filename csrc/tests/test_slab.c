/* SPDX-License-Identifier: MIT */
/* One pass as callbacks see it, and the walk around it. */
#include <stdint.h>

#include <shrinker/trace.h>

#include "cache.h"

static struct reclaim_statistics statistics_of(struct reclaim_domain *domain)
{
	struct reclaim_statistics statistics;

	reclaim_domain_get_statistics(domain, &statistics);
	return statistics;
}

/* --- one pass ------------------------------------------------------------- */

static void note_the_sum(struct cache *cache, struct shrink_control *sc)
{
	unsigned long *sum = cache->arg;

	CHECK_EQ(sc->gfp_mask, GFP_NOFS);
	CHECK_EQ(sc->nid, 0);
	CHECK_EQ(sc->nr_scanned, sc->nr_to_scan);
	*sum += sc->nr_to_scan;
}

/* 1,000 objects at priority 0: 15 batches of 128 of the 2,000 that are wanted,
 * and 80 left; the statistics of shrinker and domain say so. */
static void a_pass_is_the_formula(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct reclaim_statistics statistics;
	struct shrinker_statistics own;
	unsigned long sum = 0;
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	a.keeps = true;
	a.on_scan = note_the_sum;
	a.arg = &sum;
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_NOFS, 0, NULL, 0), 1920);
	CHECK_EQ(sum, 1920);
	CHECK_EQ(atomic_load(&a.scans), 15);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 80);

	statistics = statistics_of(domain);
	CHECK_EQ(statistics.walks, 1);
	CHECK_EQ(statistics.passes, 1);
	CHECK_EQ(statistics.scan_calls, 15);
	CHECK_EQ(statistics.slabs_scanned, 1920);
	CHECK_EQ(statistics.freed, 1920);
	CHECK_EQ(statistics.stalled, 0);
	CHECK_EQ(statistics.nested, 0);
	CHECK_EQ(statistics.host_entries, 0);
	shrinker_get_statistics(a.shrinker, &own);
	CHECK_EQ(own.passes, 1);
	CHECK_EQ(own.scan_calls, 15);
	CHECK_EQ(own.scanned, 1920);
	CHECK_EQ(own.freed, 1920);
	CHECK_EQ(own.stalled, 0);

	/* The 80 are not forgotten: 2,000 are the cap, one call more fits. */
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_NOFS, 0, NULL, 0), 1920);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 160);
	cache_close(&a);
	reclaim_domain_put(domain);
}

/* batch and seeks of the owner are the ones that count. */
static void batch_and_seeks_are_the_owners(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache a;

	cache_prepare(&a, domain, 0, 'a', 1000);
	a.keeps = true;
	a.shrinker->batch = 100;
	a.shrinker->seeks = 8;
	shrinker_register(a.shrinker);
	CHECK_EQ(walk(domain, 0), 500);
	CHECK_EQ(atomic_load(&a.scans), 5);
	a.shrinker->seeks = 0;
	CHECK_EQ(walk(domain, 12), 500);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 0);
	cache_close(&a);
	reclaim_domain_put(domain);
}

/* Nothing to count: deferred work stays as it was, no pass is counted, and it
 * applies in full when objects come back.  0 and SHRINK_EMPTY alike. */
static void no_objects_leave_deferred_work_alone(void)
{
	int unknown;

	for (unknown = 0; unknown < 2; unknown++) {
		struct reclaim_domain *domain = domain_new(1);
		struct cache a;

		cache_open(&a, domain, 'a', 1000);
		a.zero_is_unknown = unknown;
		a.answers = true;
		a.answer = SHRINK_STOP;
		CHECK_EQ(walk(domain, 0), 0);
		CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 2000);

		atomic_store(&a.objects, 0);
		a.answers = false;
		a.keeps = true;
		CHECK_EQ(walk(domain, 0), 0);
		CHECK_EQ(atomic_load(&a.counts), 2);
		CHECK_EQ(atomic_load(&a.scans), 1);
		CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 2000);
		CHECK_EQ(statistics_of(domain).passes, 1);

		/* Priority 12 alone would scan nothing. */
		atomic_store(&a.objects, 10);
		a.shrinker->batch = 1;
		a.shrinker->seeks = 1000000;
		CHECK_EQ(walk(domain, 8), 7);
		CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 20);
		cache_close(&a);
		reclaim_domain_put(domain);
	}
}

static void stop_at_the_third(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	cache->answers = atomic_load(&cache->scans) == 3;
}

/* SHRINK_STOP ends the pass, and nothing of its call is accounted. */
static void a_stop_is_not_accounted(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	a.keeps = true;
	a.on_scan = stop_at_the_third;
	a.answer = SHRINK_STOP;
	CHECK_EQ(walk(domain, 0), 256);
	CHECK_EQ(atomic_load(&a.scans), 3);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 2000 - 256);
	CHECK_EQ(statistics_of(domain).scan_calls, 2);
	CHECK_EQ(statistics_of(domain).slabs_scanned, 256);
	cache_close(&a);
	reclaim_domain_put(domain);
}

static void report_twice(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	sc->nr_scanned *= 2;
}

static void report_half(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	sc->nr_scanned /= 2;
}

/* A callback that says it has scanned more, or less, is believed. */
static void nr_scanned_is_the_callbacks(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache a;

	/* 2,000 wanted: 7 calls of 128 count as 1,792, and 208 more make 8. */
	cache_open(&a, domain, 'a', 1000);
	a.keeps = true;
	a.on_scan = report_twice;
	CHECK_EQ(walk(domain, 0), 8 * 128);
	CHECK_EQ(statistics_of(domain).slabs_scanned, 8 * 256);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 0);
	cache_close(&a);

	/* 64 for each call: the last begins at 144 and leaves 80. */
	cache_open(&a, domain, 'a', 1000);
	a.keeps = true;
	a.on_scan = report_half;
	CHECK_EQ(walk(domain, 0), 30 * 128);
	CHECK_EQ(atomic_load(&a.scans), 30);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 80);
	cache_close(&a);
	reclaim_domain_put(domain);
}

/* Freed objects are summed modulo 2^64, and where the sum of one pass happens
 * to be SHRINK_EMPTY the walk takes it for 0. */
static void a_sum_may_look_like_empty(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache a, b;

	cache_open(&a, domain, 'a', 1);
	cache_open(&b, domain, 'b', 10);
	a.answers = true;
	a.answer = SHRINK_EMPTY;
	CHECK_EQ(walk(domain, 0), 10);
	a.answer = SHRINK_EMPTY - 1;
	atomic_store(&b.objects, 10);
	CHECK_EQ(walk(domain, 0), 7);
	cache_close(&a);
	cache_close(&b);
	reclaim_domain_put(domain);
}

/* --- nodes ---------------------------------------------------------------- */

static void note_the_node(struct cache *cache, struct shrink_control *sc)
{
	log_append(cache->arg, (char)('0' + sc->nid));
}

/* NUMA-aware shrinkers put work off for each node, others for all together;
 * callbacks see the walk's node in both. */
static void deferred_work_belongs_to_the_node(void)
{
	struct reclaim_domain *domain = domain_new(3);
	char aware_log[LOG_SIZE] = "", unaware_log[LOG_SIZE] = "";
	struct cache aware, unaware;
	int nid;

	cache_prepare(&aware, domain, SHRINKER_NUMA_AWARE, 'a', 1000);
	cache_prepare(&unaware, domain, 0, 'u', 1000);
	aware.on_count = unaware.on_count = note_the_node;
	aware.arg = aware_log;
	unaware.arg = unaware_log;
	aware.answers = unaware.answers = true;
	aware.answer = unaware.answer = SHRINK_STOP;
	shrinker_register(aware.shrinker);
	shrinker_register(unaware.shrinker);

	/* Delta at priority 3 is 250; node 2 twice, node 1 once. */
	reclaim_shrink_slab(domain, GFP_KERNEL, 2, NULL, 3);
	reclaim_shrink_slab(domain, GFP_KERNEL, 1, NULL, 3);
	reclaim_shrink_slab(domain, GFP_KERNEL, 2, NULL, 3);
	CHECK_TEXT(aware_log, "212");
	CHECK_TEXT(unaware_log, "212");
	CHECK_EQ(shrinker_nr_deferred(aware.shrinker, 0, NULL), 0);
	CHECK_EQ(shrinker_nr_deferred(aware.shrinker, 1, NULL), 250);
	CHECK_EQ(shrinker_nr_deferred(aware.shrinker, 2, NULL), 500);
	for (nid = 0; nid < 3; nid++)
		CHECK_EQ(shrinker_nr_deferred(unaware.shrinker, nid, NULL), 750);
	CHECK_EQ(shrinker_nr_deferred(aware.shrinker, 3, NULL), 0);
	CHECK_EQ(shrinker_nr_deferred(aware.shrinker, -1, NULL), 0);
	cache_close(&aware);
	cache_close(&unaware);
	reclaim_domain_put(domain);
}

/* An argument out of range: nothing is called and nothing counted. */
static void wrong_arguments_change_nothing(void)
{
	struct reclaim_domain *domain = domain_new(2);
	struct shrink_control sc = { .nid = 2 };
	unsigned long ret = 7;
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_KERNEL, 2, NULL, 0), 0);
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_KERNEL, -1, NULL, 0), 0);
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_KERNEL, 0, NULL, -1), 0);
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_KERNEL, 0, NULL, 64), 0);
	CHECK(!shrinker_count_objects(a.shrinker, &sc, &ret));
	CHECK(!shrinker_scan_objects(a.shrinker, &sc, &ret));
	CHECK_EQ(ret, 7);
	CHECK_EQ(atomic_load(&a.counts), 0);
	CHECK_EQ(atomic_load(&a.scans), 0);
	CHECK_EQ(statistics_of(domain).walks, 0);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 0);
	/* 63 is in range: nothing is left of the count. */
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_KERNEL, 1, NULL, 63), 0);
	CHECK_EQ(atomic_load(&a.counts), 1);
	cache_close(&a);
	reclaim_domain_put(domain);
}

/* --- passes that make no progress ----------------------------------------- */

static void scan_nothing(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	sc->nr_scanned = 0;
}

static void scan_backwards(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	sc->nr_scanned = ~0UL;
}

/* Every other call makes progress; the fruitless ones add up all the same. */
static void scan_now_and_then(struct cache *cache, struct shrink_control *sc)
{
	sc->nr_scanned = atomic_load(&cache->scans) % 2;
}

static unsigned long calls_until_stalled(unsigned long limit, cache_hook on_scan)
{
	struct reclaim_domain *domain = reclaim_domain_create(1, limit, 0);
	struct shrinker_statistics own;
	unsigned long calls;
	struct cache a;

	CHECK(domain);
	cache_open(&a, domain, 'a', 100000);
	a.answers = true;
	a.answer = 1;
	a.on_scan = on_scan;
	calls = walk(domain, 0);
	CHECK_EQ(atomic_load(&a.scans), calls);
	CHECK_EQ(statistics_of(domain).stalled, 1);
	CHECK_EQ(statistics_of(domain).scan_calls, calls);
	shrinker_get_statistics(a.shrinker, &own);
	CHECK_EQ(own.stalled, 1);
	cache_close(&a);
	reclaim_domain_put(domain);
	return calls;
}

/* The guard ends a pass after exactly so many fruitless calls in all. */
static void the_stall_limit_is_exact(void)
{
	CHECK_EQ(calls_until_stalled(1, scan_nothing), 1);
	CHECK_EQ(calls_until_stalled(5, scan_nothing), 5);
	CHECK_EQ(calls_until_stalled(RECLAIM_STALL_LIMIT, scan_nothing), 1024);
	CHECK_EQ(calls_until_stalled(5, scan_backwards), 5);
	CHECK_EQ(calls_until_stalled(5, scan_now_and_then), 10);
}

static void scan_nothing_for_long(struct cache *cache, struct shrink_control *sc)
{
	sc->nr_scanned = 0;
	if (atomic_load(&cache->scans) == 5000)
		cache->answer = SHRINK_STOP;
}

/* A limit of 0 lets a pass go on for as long as it likes, as in the kernel. */
static void no_stall_limit_no_guard(void)
{
	struct reclaim_domain *domain = reclaim_domain_create(1, 0, 0);
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	a.answers = true;
	a.answer = 1;
	a.on_scan = scan_nothing_for_long;
	CHECK_EQ(walk(domain, 0), 4999);
	CHECK_EQ(statistics_of(domain).stalled, 0);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 2000);
	cache_close(&a);
	reclaim_domain_put(domain);
}

/* --- several walks at once ------------------------------------------------ */

#define THREADS 4
#define WALKS 400

static _Atomic(unsigned long) scan_calls_made;

static unsigned long stop_now_and_then(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	(void)shrinker;
	return atomic_fetch_add(&scan_calls_made, 1) % 3 == 2 ? SHRINK_STOP :
								sc->nr_to_scan;
}

static void *walk_many(void *arg)
{
	struct reclaim_domain *domain = arg;
	int i;

	for (i = 0; i < WALKS; i++)
		walk(domain, 12);
	return NULL;
}

/* However passes overlap, no deferred work is lost or made: what is left is
 * what all of them added less what all of them scanned; and the statistics of
 * the walks add up to the shrinker's. */
static void overlapping_passes_conserve_work(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct reclaim_statistics statistics;
	struct shrinker_statistics own;
	pthread_t thread[THREADS];
	struct cache a;
	int i;

	/* Delta is 2,000; the cap of 2 x freeable is never reached. */
	cache_prepare(&a, domain, 0, 'a', 4096000);
	a.shrinker->scan_objects = stop_now_and_then;
	shrinker_register(a.shrinker);
	atomic_store(&scan_calls_made, 0);
	for (i = 0; i < THREADS; i++)
		thread[i] = thread_start(walk_many, domain);
	for (i = 0; i < THREADS; i++)
		thread_join(thread[i]);

	statistics = statistics_of(domain);
	CHECK_EQ(statistics.walks, THREADS * WALKS);
	CHECK_EQ(statistics.passes, THREADS * WALKS);
	CHECK(statistics.slabs_scanned > 0);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL),
		 2000 * statistics.passes - statistics.slabs_scanned);
	shrinker_get_statistics(a.shrinker, &own);
	CHECK_EQ(own.passes, statistics.passes);
	CHECK_EQ(own.scan_calls, statistics.scan_calls);
	CHECK_EQ(own.scanned, statistics.slabs_scanned);
	CHECK_EQ(own.freed, statistics.freed);
	cache_close(&a);
	reclaim_domain_put(domain);
}

static void *walk_many_gently(void *arg)
{
	struct reclaim_domain *domain = arg;
	int i;

	for (i = 0; i < WALKS; i++)
		walk(domain, 16);
	return NULL;
}

/* Passes that scan take the counter and put it back later; passes that find too
 * little to scan change it in one step, between or instead. */
static void passes_of_both_kinds_conserve_work(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct reclaim_statistics statistics;
	struct shrinker_statistics own;
	pthread_t thread[THREADS];
	struct cache a;
	int i;

	/* Delta is 2,000 for one kind, and 124 for the other, below the batch. */
	cache_prepare(&a, domain, 0, 'a', 4096000);
	a.shrinker->scan_objects = stop_now_and_then;
	shrinker_register(a.shrinker);
	atomic_store(&scan_calls_made, 0);
	for (i = 0; i < THREADS; i++)
		thread[i] = thread_start(i % 2 ? walk_many_gently : walk_many,
					 domain);
	for (i = 0; i < THREADS; i++)
		thread_join(thread[i]);

	statistics = statistics_of(domain);
	CHECK_EQ(statistics.passes, THREADS * WALKS);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL),
		 (2000 + 124) * THREADS / 2 * WALKS - statistics.slabs_scanned);
	shrinker_get_statistics(a.shrinker, &own);
	CHECK_EQ(own.passes, statistics.passes);
	CHECK_EQ(own.scan_calls, statistics.scan_calls);
	CHECK_EQ(own.scanned, statistics.slabs_scanned);
	CHECK_EQ(own.freed, statistics.freed);
	cache_close(&a);
	reclaim_domain_put(domain);
}

#define SHORT_WALKS 50000

static void *walk_shortly(void *arg)
{
	struct reclaim_domain *domain = arg;
	int i;

	for (i = 0; i < SHORT_WALKS; i++)
		walk(domain, 30);
	return NULL;
}

/* The same of passes that do nothing but take the counter and put it back, so
 * that they meet there as often as can be. */
static void no_addition_is_lost(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct shrinker_statistics own;
	pthread_t thread[THREADS];
	struct cache a;
	int i;

	/* Delta is 2^21 at priority 30; far from the batch and from the cap. */
	cache_prepare(&a, domain, 0, 'a', 1UL << 50);
	a.shrinker->batch = 1L << 60;
	shrinker_register(a.shrinker);
	for (i = 0; i < THREADS; i++)
		thread[i] = thread_start(walk_shortly, domain);
	for (i = 0; i < THREADS; i++)
		thread_join(thread[i]);
	CHECK_EQ(atomic_load(&a.scans), 0);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL),
		 (1UL << 21) * THREADS * SHORT_WALKS);
	shrinker_get_statistics(a.shrinker, &own);
	CHECK_EQ(own.passes, THREADS * SHORT_WALKS);
	cache_close(&a);
	reclaim_domain_put(domain);
}

static void add_by_another_walk(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	/* A walk in another thread, from begin to end, inside this callback. */
	cache->on_scan = NULL;
	thread_join(thread_start(walk_thread, cache->shrinker->domain));
}

/* A pass zeroes the counter while it runs, and adds to what others left. */
static void a_pass_adds_to_what_others_left(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct shrink_event event[8];
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	a.answers = true;
	a.answer = SHRINK_STOP;
	walk(domain, 3);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 250);
	a.on_scan = add_by_another_walk;
	CHECK_EQ(reclaim_trace_start(domain, 8), 0);
	walk(domain, 3);
	CHECK_EQ(reclaim_trace_read(domain, event, 8), 4);
	reclaim_trace_stop(domain);
	CHECK_EQ(event[0].nr, 250);
	CHECK_EQ(event[1].nr, 0); /* The other walk, at priority 0. */
	CHECK_EQ(event[2].new_nr, 2000);
	CHECK_EQ(event[3].nr, 250);
	CHECK_EQ(event[3].new_nr, 2500);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 2500);
	cache_close(&a);
	reclaim_domain_put(domain);
}

/* --- reclaim inside a callback -------------------------------------------- */

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

/* Reclaim is not entered from a callback, in whichever domain; it is counted. */
static void reclaim_does_not_nest(void)
{
	struct reclaim_domain *domain = domain_new(1), *other = domain_new(1);
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
	cache_close(&a);
	cache_close(&b);
	reclaim_domain_put(domain);
	reclaim_domain_put(other);
}

/* --- callbacks outside any pass ------------------------------------------- */

static void ask_the_other(struct cache *cache, struct shrink_control *sc)
{
	struct shrink_control own = { .gfp_mask = GFP_NOIO };
	struct cache *other = cache->arg;
	unsigned long count = 0;

	(void)sc;
	CHECK(shrinker_count_objects(other->shrinker, &own, &count));
	CHECK_EQ(count, 20);
	/* And itself, one level down. */
	cache->on_count = NULL;
	CHECK(shrinker_count_objects(cache->shrinker, &own, &count));
	CHECK(reclaim_in_callback());
}

/* count and scan can be called alone, from callbacks too; that is no pass. */
static void direct_calls_are_no_passes(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL, .nr_to_scan = 7 };
	struct reclaim_statistics statistics;
	char log[LOG_SIZE] = "";
	unsigned long ret;
	struct cache a, b, c;

	cache_open(&a, domain, 'a', 10);
	cache_open(&b, domain, 'b', 20);
	cache_open(&c, domain, 'c', 30);
	a.log = b.log = c.log = log;
	CHECK(shrinker_scan_objects(b.shrinker, &sc, &ret));
	CHECK_EQ(ret, 7);
	CHECK_EQ(sc.nr_scanned, 7);
	CHECK(shrinker_count_objects(b.shrinker, &sc, &ret));
	CHECK_EQ(ret, 13);
	CHECK_TEXT(log, "b");
	CHECK_EQ(shrinker_nr_deferred(b.shrinker, 0, NULL), 0);
	statistics = statistics_of(domain);
	CHECK_EQ(statistics.walks + statistics.passes + statistics.scan_calls, 0);

	/* The walk around such calls goes on where it was. */
	atomic_store(&b.objects, 20);
	a.on_count = ask_the_other;
	a.arg = &b;
	CHECK_EQ(walk(domain, 0), 60);
	CHECK_TEXT(log, "bababc");
	CHECK(shrinker_unregister(b.shrinker, true));
	CHECK(!shrinker_count_objects(b.shrinker, &sc, &ret));
	CHECK(!shrinker_scan_objects(b.shrinker, &sc, &ret));
	cache_close(&a);
	cache_close(&b);
	cache_close(&c);
	reclaim_domain_put(domain);
}

/* --- hosts ---------------------------------------------------------------- */

/* What two hosts and the callbacks between were called for, in order. */
static char host_log[LOG_SIZE];
static bool host_lets_stay;
static int hosts_inside;
static struct reclaim_domain *host_domain;

static void use_the_library(void)
{
	struct shrinker *shrinker =
		reclaim_shrinker_alloc(host_domain, 0, "from a host");

	/* No lock is held that these take. */
	CHECK(shrinker);
	CHECK_EQ(reclaim_domain_nr_lingering(host_domain), 0);
	CHECK(shrinker_free_nowait(shrinker));
}

static void host_enter(uintptr_t *state)
{
	CHECK_EQ(*state, 0);
	CHECK_EQ(hosts_inside++, 0);
	*state = 42;
	log_append(host_log, '(');
	use_the_library();
}

static void host_leave(uintptr_t *state)
{
	CHECK_EQ(*state, 42);
	CHECK_EQ(hosts_inside--, 1);
	log_append(host_log, ')');
	use_the_library();
}

static bool host_may_stay(uintptr_t *state)
{
	CHECK_EQ(*state, 42);
	log_append(host_log, '?');
	use_the_library();
	return host_lets_stay;
}

static void other_enter(uintptr_t *state)
{
	CHECK_EQ(*state, 0);
	CHECK_EQ(hosts_inside++, 0);
	log_append(host_log, '[');
}

static void other_leave(uintptr_t *state)
{
	(void)state;
	CHECK_EQ(hosts_inside--, 1);
	log_append(host_log, ']');
}

static const struct reclaim_host host = {
	.enter = host_enter,
	.leave = host_leave,
	.may_stay = host_may_stay,
};

static const struct reclaim_host other_host = {
	.enter = other_enter,
	.leave = other_leave,
	.may_stay = host_may_stay,
};

/*
 * Registers a shrinker for each letter of @kinds: n is native, h of the host, o
 * of the other host.  Returns the log of a walk.
 */
static const char *walk_with_hosts(const char *kinds, bool lets_stay)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache cache[8];
	int i;

	host_domain = domain;
	host_lets_stay = lets_stay;
	host_log[0] = '\0';
	for (i = 0; kinds[i]; i++) {
		cache_prepare(&cache[i], domain, 0, kinds[i], 10);
		cache[i].log = host_log;
		if (kinds[i] == 'h')
			shrinker_set_host(cache[i].shrinker, &host);
		if (kinds[i] == 'o')
			shrinker_set_host(cache[i].shrinker, &other_host);
		shrinker_register(cache[i].shrinker);
	}
	walk(domain, 0);
	CHECK_EQ(hosts_inside, 0);
	while (i--)
		cache_close(&cache[i]);
	reclaim_domain_put(domain);
	return host_log;
}

/* A walk enters a host once, at its first hosted pass, asks it before native
 * passes, and has left when it ends. */
static void hosts_are_entered_once(void)
{
	CHECK_TEXT(walk_with_hosts("nnn", true), "nnn");
	CHECK_TEXT(walk_with_hosts("hhh", true), "(hhh)");
	CHECK_TEXT(walk_with_hosts("nhhnhn", true), "n(hh?nh?n)");
	CHECK_TEXT(walk_with_hosts("nhhnnhn", false), "n(hh?)nn(h?)n");
	CHECK_TEXT(walk_with_hosts("hoh", true), "(h)[o](h)");
}

static void start_nested_count(struct cache *cache, struct shrink_control *sc)
{
	struct cache *native = cache->arg;
	unsigned long count;

	CHECK(shrinker_count_objects(native->shrinker, sc, &count));
}

/* Direct calls enter the host for themselves; a ladder stays in it. */
static void hosts_around_other_reclaim(void)
{
	struct reclaim_request request = { .nr_to_reclaim = ~UINT64_C(0),
					   .nid = -1,
					   .priority = 3 };
	struct reclaim_domain *domain = domain_new(2);
	struct shrink_control sc = { .nid = 0 };
	struct reclaim_result result;
	struct cache a, b;
	unsigned long count;

	host_domain = domain;
	host_lets_stay = true;
	host_log[0] = '\0';
	cache_prepare(&a, domain, 0, 'h', 10);
	cache_prepare(&b, domain, 0, 'n', 10);
	a.log = b.log = host_log;
	shrinker_set_host(a.shrinker, &host);
	shrinker_register(a.shrinker);
	shrinker_register(b.shrinker);
	CHECK(shrinker_count_objects(a.shrinker, &sc, &count));
	CHECK(shrinker_count_objects(b.shrinker, &sc, &count));
	CHECK_TEXT(host_log, "(h)n");
	CHECK_EQ(statistics_of(domain).host_entries, 1);

	host_log[0] = '\0';
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_TEXT(host_log, "(h?nh?nh?nh?nh?nh?nh?nh?n)");
	CHECK_EQ(statistics_of(domain).host_entries, 2);

	/* A native callback inside a hosted one. */
	host_log[0] = '\0';
	a.on_count = start_nested_count;
	a.arg = &b;
	walk(domain, 0);
	CHECK_TEXT(host_log, "(hn?n)");
	cache_close(&a);
	cache_close(&b);
	reclaim_domain_put(domain);
}

static void free_this(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	shrinker_free(cache->shrinker);
}

/* A walk that has to tell of a shrinker's end takes a lock for it, and does so
 * outside the host. */
static void hosts_are_left_for_locks(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache a, b;

	host_domain = domain_new(1); /* In its own, nothing lingers. */
	host_log[0] = '\0';
	cache_prepare(&a, domain, 0, 'a', 10);
	cache_prepare(&b, domain, 0, 'b', 10);
	a.log = b.log = host_log;
	a.on_count = free_this;
	a.answers = true;
	a.answer = SHRINK_STOP;
	shrinker_set_host(a.shrinker, &host);
	shrinker_set_host(b.shrinker, &host);
	shrinker_register(a.shrinker);
	shrinker_register(b.shrinker);
	walk(domain, 0);
	CHECK_TEXT(host_log, "(a)(b)");
	cache_close(&b);
	reclaim_domain_put(domain);
	reclaim_domain_put(host_domain);
}

/* Calls that the host makes in one run; it does not tell of the last of them. */
static unsigned long host_calls;

static void host_run(uintptr_t *state, struct shrinker *shrinker,
		     struct shrink_control *sc, struct reclaim_calls *calls)
{
	unsigned long made = 0;

	CHECK_EQ(*state, 42);
	CHECK_EQ(hosts_inside, 1);
	log_append(host_log, '<');
	CHECK(!reclaim_next(calls));
	do {
		unsigned long ret;

		CHECK_EQ(sc->nr_to_scan | sc->nr_scanned, 0);
		ret = shrinker->count_objects(shrinker, sc);
		while (++made != host_calls && reclaim_called(calls, ret))
			ret = shrinker->scan_objects(shrinker, sc);
		if (made >= host_calls)
			break;
		CHECK(!reclaim_called(calls, 7));
	} while ((shrinker = reclaim_next(calls)));
	log_append(host_log, '>');
}

static const struct reclaim_host running_host = {
	.enter = host_enter,
	.leave = host_leave,
	.may_stay = host_may_stay,
	.run = host_run,
};

/* What a walk at priority 0 over one cache of 1,000 objects has left behind. */
struct outcome {
	struct reclaim_statistics statistics;
	unsigned long scans;
	int64_t deferred;
	int traced;
	struct shrink_event events[2];
};

static struct outcome outcome_of_walk(const struct reclaim_host *with,
				      cache_hook on_scan)
{
	struct reclaim_domain *domain = domain_new(1);
	struct outcome outcome = { .scans = 0 };
	struct cache cache;

	host_domain = domain_new(1);
	host_log[0] = '\0';
	cache_prepare(&cache, domain, 0, 'c', 1000);
	cache.on_scan = on_scan;
	cache.keeps = true;
	shrinker_set_host(cache.shrinker, with);
	shrinker_register(cache.shrinker);
	CHECK_EQ(reclaim_trace_start(domain, 2), 0);
	walk(domain, 0);
	outcome.traced = (int)reclaim_trace_read(domain, outcome.events, 2);
	reclaim_trace_stop(domain);
	outcome.statistics = statistics_of(domain);
	outcome.statistics.host_entries = 0;
	outcome.scans = atomic_load(&cache.scans);
	outcome.deferred = shrinker_nr_deferred(cache.shrinker, 0, NULL);
	cache_close(&cache);
	reclaim_domain_put(domain);
	reclaim_domain_put(host_domain);
	return outcome;
}

static void half_of_it(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	sc->nr_scanned = sc->nr_to_scan / 2;
}

static void none_of_it(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	sc->nr_scanned = 0;
}

static void stop_from_the_third(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	cache->answers = atomic_load(&cache->scans) >= 3;
	cache->answer = SHRINK_STOP;
}

static void end_the_walk_in_the_third(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	if (atomic_load(&cache->scans) == 3)
		reclaim_stop_walk();
}

static void leave_in_the_third(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	if (atomic_load(&cache->scans) == 3)
		shrinker_unregister(cache->shrinker, false);
}

/* A pass is the same whoever makes its calls. */
static void a_host_may_make_the_calls(void)
{
	const cache_hook hooks[] = { NULL,
				     half_of_it,
				     none_of_it,
				     stop_from_the_third,
				     end_the_walk_in_the_third,
				     leave_in_the_third };
	const unsigned long scans[] = { 15, 30, RECLAIM_STALL_LIMIT, 3, 3, 3 };
	size_t i;

	host_calls = ~0UL;
	for (i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		struct outcome here = outcome_of_walk(NULL, hooks[i]);
		struct outcome there = outcome_of_walk(&running_host, hooks[i]);
		int event;

		CHECK_TEXT(host_log, "(<>)");
		CHECK_EQ(here.scans, scans[i]);
		CHECK_EQ(there.scans, here.scans);
		CHECK_EQ(there.deferred, here.deferred);
		CHECK(!memcmp(&there.statistics, &here.statistics,
			      sizeof(here.statistics)));
		CHECK_EQ(here.traced, 2);
		CHECK_EQ(there.traced, 2);
		for (event = 0; event < 2; event++) {
			/* The machines differ, and what happened does not. */
			there.events[event].shrinker = here.events[event].shrinker;
			CHECK(!memcmp(&there.events[event], &here.events[event],
				      sizeof(struct shrink_event)));
		}
	}
}

/* What the host does not tell of was 0 or SHRINK_STOP, and deferred work is kept. */
static void a_host_may_leave_anywhere(void)
{
	struct outcome outcome;

	host_calls = 1;
	outcome = outcome_of_walk(&running_host, NULL);
	CHECK_EQ(outcome.statistics.passes, 0);
	CHECK_EQ(outcome.deferred, 0);
	CHECK_EQ(outcome.traced, 0);

	host_calls = 4;
	outcome = outcome_of_walk(&running_host, NULL);
	CHECK_EQ(outcome.scans, 3);
	CHECK_EQ(outcome.statistics.passes, 1);
	CHECK_EQ(outcome.statistics.scan_calls, 2);
	CHECK_EQ(outcome.deferred, 2000 - 2 * 128);
	CHECK_EQ(outcome.traced, 2);
}

static void free_the_one_before(struct cache *cache, struct shrink_control *sc)
{
	struct cache *before = cache->arg;

	(void)sc;
	if (before->shrinker)
		cache_close(before);
}

static void is_fresh(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	CHECK_EQ(sc->nr_to_scan | sc->nr_scanned, 0);
	CHECK_EQ(sc->nid, 0);
	/* Nobody behind this one sees what it does here. */
	sc->nid = 77;
}

/*
 * Registers a shrinker for each letter of @kinds: r is of the running host, n and
 * h as for walk_with_hosts(); R frees the one before it.  Returns the log of a walk.
 */
static const char *walk_with_runs(const char *kinds, bool lets_stay)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache cache[8];
	int i;

	host_domain = domain_new(1);
	host_lets_stay = lets_stay;
	host_log[0] = '\0';
	for (i = 0; kinds[i]; i++) {
		cache_prepare(&cache[i], domain, 0, kinds[i], 10);
		cache[i].log = host_log;
		if (kinds[i] != 'n')
			shrinker_set_host(cache[i].shrinker,
					  kinds[i] == 'h' ? &host :
							    &running_host);
		cache[i].on_count = is_fresh;
		if (kinds[i] == 'R') {
			cache[i].on_count = free_the_one_before;
			cache[i].arg = &cache[i - 1];
		}
		shrinker_register(cache[i].shrinker);
	}
	walk(domain, 0);
	CHECK_EQ(hosts_inside, 0);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	while (i--)
		if (cache[i].shrinker)
			cache_close(&cache[i]);
	reclaim_domain_put(domain);
	reclaim_domain_put(host_domain);
	return host_log;
}

/* A run goes over shrinkers of its host that follow each other, and no further. */
static void a_host_goes_on_to_its_own(void)
{
	host_calls = ~0UL;
	CHECK_TEXT(walk_with_runs("rrr", true), "(<rrr>)");
	CHECK_TEXT(walk_with_runs("rrnrnnr", true), "(<rr>?n<r>?n?n<r>)");
	CHECK_TEXT(walk_with_runs("nrrnr", false), "n(<rr>?)n(<r>)");
	CHECK_TEXT(walk_with_runs("rhr", true), "(<r>)(h)(<r>)");
	/* Each in a run of its own where the host makes two calls in one. */
	host_calls = 2;
	CHECK_TEXT(walk_with_runs("rrr", true), "(<r><r><r>)");
	/* Freed behind the walk, and under its feet. */
	host_calls = ~0UL;
	CHECK_TEXT(walk_with_runs("rrRr", true), "(<rrRr>)");
	CHECK_TEXT(walk_with_runs("nRr", true), "n(<Rr>)");
}

/* --- stopping a walk ------------------------------------------------------ */

static void stop_walk(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	(void)sc;
	reclaim_stop_walk();
}

/* reclaim_stop_walk() ends the pass as SHRINK_STOP would, and the walk; outside
 * a callback it does nothing. */
static void a_callback_can_stop_the_walk(void)
{
	struct reclaim_domain *domain = domain_new(1);
	char log[LOG_SIZE] = "";
	struct cache a, b;

	cache_open(&a, domain, 'a', 1000);
	cache_open(&b, domain, 'b', 10);
	a.log = b.log = log;
	a.keeps = true;
	a.on_scan = stop_walk;
	CHECK_EQ(walk(domain, 0), 0);
	CHECK_EQ(atomic_load(&a.scans), 1);
	CHECK_EQ(statistics_of(domain).scan_calls, 0);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 2000);

	/* From count: no scan follows, the deferred work is not even taken. */
	a.on_scan = NULL;
	a.on_count = stop_walk;
	CHECK_EQ(walk(domain, 0), 0);
	CHECK_EQ(atomic_load(&a.scans), 1);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 2000);
	atomic_store(&a.objects, 0);
	CHECK_EQ(walk(domain, 0), 0);
	CHECK_TEXT(log, "aaa");

	a.on_count = NULL;
	reclaim_stop_walk();
	CHECK_EQ(walk(domain, 0), 10);
	CHECK_TEXT(log, "aaaab");
	cache_close(&a);
	cache_close(&b);
	reclaim_domain_put(domain);
}

int main(void)
{
	RUN(a_pass_is_the_formula);
	RUN(batch_and_seeks_are_the_owners);
	RUN(no_objects_leave_deferred_work_alone);
	RUN(a_stop_is_not_accounted);
	RUN(nr_scanned_is_the_callbacks);
	RUN(a_sum_may_look_like_empty);
	RUN(deferred_work_belongs_to_the_node);
	RUN(wrong_arguments_change_nothing);
	RUN(the_stall_limit_is_exact);
	RUN(no_stall_limit_no_guard);
	RUN(overlapping_passes_conserve_work);
	RUN(passes_of_both_kinds_conserve_work);
	RUN(no_addition_is_lost);
	RUN(a_pass_adds_to_what_others_left);
	RUN(reclaim_does_not_nest);
	RUN(direct_calls_are_no_passes);
	RUN(hosts_are_entered_once);
	RUN(hosts_around_other_reclaim);
	RUN(hosts_are_left_for_locks);
	RUN(a_host_may_make_the_calls);
	RUN(a_host_may_leave_anywhere);
	RUN(a_host_goes_on_to_its_own);
	RUN(a_callback_can_stop_the_walk);
	return checks_report("test_slab");
}
