/* SPDX-License-Identifier: MIT */
/* One pass as callbacks see it: batches, deferred work, statistics, stalls. */
#include <shrinker/events.h>

#include "threads.h"

static void add_to_sum(struct cache *cache, struct shrink_control *sc)
{
	unsigned long *sum = cache->arg;

	CHECK_EQ(sc->gfp_mask, GFP_NOFS);
	CHECK_EQ(sc->nid, 0);
	CHECK_EQ(sc->nr_scanned, sc->nr_to_scan);
	*sum += sc->nr_to_scan;
}

/* 1,000 objects at priority 0: 15 batches of 128 of the 2,000 objects to scan, and
 * 80 deferred; the statistics of shrinker and domain say so. */
static void a_pass_scans_by_the_formula(struct reclaim_domain *domain)
{
	struct reclaim_statistics statistics, expected = {
		.walks = 1, .passes = 1, .scan_calls = 15, .slabs_scanned = 1920,
		.freed = 1920
	};
	struct shrinker_statistics own, own_expected = {
		.passes = 1, .scan_calls = 15, .scanned = 1920, .freed = 1920
	};
	unsigned long sum = 0;
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	a.keeps = true;
	a.on_scan = add_to_sum;
	a.arg = &sum;
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_NOFS, 0, NULL, 0), 1920);
	CHECK_EQ(sum, 1920);
	CHECK_EQ(atomic_load(&a.scans), 15);
	CHECK_EQ(cache_deferred(&a), 80);
	statistics = statistics_of(domain);
	CHECK_NUMBERS(&statistics, &expected);
	own = statistics_of_cache(&a);
	CHECK_NUMBERS(&own, &own_expected);

	/* The next pass scans at most 2,000 objects again, and defers 80 more. */
	CHECK_EQ(reclaim_shrink_slab(domain, GFP_NOFS, 0, NULL, 0), 1920);
	CHECK_EQ(cache_deferred(&a), 160);
}

/* A pass uses the owner's batch and seeks. */
static void batch_and_seeks_are_the_owners(struct reclaim_domain *domain)
{
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
	CHECK_EQ(cache_deferred(&a), 0);
}

/* Walks shrinkers of all kinds; the count sets their batch from 128 to 512. */
static void check_batch(struct reclaim_domain *domain, unsigned int more_flags,
			unsigned long scans, unsigned long batch)
{
	static const unsigned int flags[] = { 0, SHRINKER_NUMA_AWARE, AWARE };
	size_t i;

	for (i = 0; i < LENGTH(flags); i++) {
		struct cache a;

		cache_prepare(&a, domain, flags[i], 'a', 1000);
		a.keeps = true;
		a.on_count = set_batch_to_512;
		a.shrinker->flags |= more_flags;
		shrinker_register(a.shrinker);
		CHECK_EQ(walk(domain, 0), scans * batch);
		CHECK_EQ(atomic_load(&a.scans), scans);
		CHECK_EQ(cache_deferred(&a), 2000 - scans * batch);
		CHECK_EQ(walk(domain, 0), 3 * 512);
		cache_close(&a);
	}
}

/* A batch that the count callback sets is that of the next pass. */
static void the_batch_is_read_before_the_count(struct reclaim_domain *domain)
{
	check_batch(domain, 0, 15, 128);
}

/* With RECLAIM_BATCH_BY_COUNT it is that of this very pass. */
static void the_batch_may_be_read_after_the_count(struct reclaim_domain *domain)
{
	check_batch(domain, RECLAIM_BATCH_BY_COUNT, 3, 512);
}

static void check_count_of_nothing(struct reclaim_domain *domain, bool unknown)
{
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	a.zero_is_unknown = unknown;
	cache_answer(&a, SHRINK_STOP);
	CHECK_EQ(walk(domain, 0), 0);
	CHECK_EQ(cache_deferred(&a), 2000);

	atomic_store(&a.objects, 0);
	a.answers = false;
	a.keeps = true;
	CHECK_EQ(walk(domain, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 2);
	CHECK_EQ(atomic_load(&a.scans), 1);
	CHECK_EQ(cache_deferred(&a), 2000);
	CHECK_EQ(statistics_of_cache(&a).passes, 1);

	/* Without the deferred objects this pass would scan nothing. */
	atomic_store(&a.objects, 10);
	a.shrinker->batch = 1;
	a.shrinker->seeks = 1000000;
	CHECK_EQ(walk(domain, 8), 7);
	CHECK_EQ(cache_deferred(&a), 20);
	cache_close(&a);
}

/* After a count of SHRINK_EMPTY or 0 the deferred work stays as it was, and no pass
 * is counted.  All of it is used when there are objects again. */
static void a_count_of_nothing_keeps_deferred_work(struct reclaim_domain *domain)
{
	check_count_of_nothing(domain, false);
	CHECK_EQ(statistics_of(domain).passes, 2);
	check_count_of_nothing(domain, true);
	CHECK_EQ(statistics_of(domain).passes, 4);
}

static void stop_in_the_third_scan(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	cache->answers = atomic_load(&cache->scans) == 3;
}

/* SHRINK_STOP ends the pass, and its call is not accounted. */
static void a_stop_is_not_accounted(struct reclaim_domain *domain)
{
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	a.keeps = true;
	a.on_scan = stop_in_the_third_scan;
	a.answer = SHRINK_STOP;
	CHECK_EQ(walk(domain, 0), 256);
	CHECK_EQ(atomic_load(&a.scans), 3);
	CHECK_EQ(cache_deferred(&a), 2000 - 256);
	CHECK_EQ(statistics_of(domain).scan_calls, 2);
	CHECK_EQ(statistics_of(domain).slabs_scanned, 256);
}

static void scan_twice(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	sc->nr_scanned *= 2;
}

/* The pass subtracts nr_scanned as the callback has set it, larger or smaller. */
static void nr_scanned_is_the_callbacks(struct reclaim_domain *domain)
{
	struct cache a, b;

	/* 7 calls of 128 objects count as 1,792 of 2,000; an 8th scans 208 more. */
	cache_open(&a, domain, 'a', 1000);
	a.keeps = true;
	a.on_scan = scan_twice;
	CHECK_EQ(walk(domain, 0), 8 * 128);
	CHECK_EQ(statistics_of(domain).slabs_scanned, 8 * 256);
	CHECK_EQ(cache_deferred(&a), 0);
	cache_close(&a);

	/* Each call counts as 64 objects: the last one leaves 80 of 144. */
	cache_open(&b, domain, 'b', 1000);
	b.keeps = true;
	b.on_scan = scan_half;
	CHECK_EQ(walk(domain, 0), 30 * 128);
	CHECK_EQ(atomic_load(&b.scans), 30);
	CHECK_EQ(cache_deferred(&b), 80);
}

/* Freed objects are added modulo 2^64.  A walk takes a pass whose sum is
 * SHRINK_EMPTY for an empty one: 0. */
static void a_sum_may_be_shrink_empty(struct reclaim_domain *domain)
{
	struct cache cache[2];

	caches_open(cache, domain, "ab", 10, NULL);
	atomic_store(&cache[0].objects, 1);
	cache_answer(&cache[0], SHRINK_EMPTY);
	CHECK_EQ(walk(domain, 0), 10);
	cache_answer(&cache[0], SHRINK_EMPTY - 1);
	atomic_store(&cache[1].objects, 10);
	CHECK_EQ(walk(domain, 0), 7);
}

/* NUMA-aware shrinkers have deferred work for each node, others for all nodes
 * together. The callbacks of both see the walk's node. */
static void deferred_work_belongs_to_the_node(struct reclaim_domain *domain)
{
	static const unsigned int flags[] = { SHRINKER_NUMA_AWARE, 0 };
	char log[2][LOG_SIZE] = { "", "" };
	struct cache cache[2];
	int i;

	for (i = 0; i < 2; i++) {
		cache_prepare(&cache[i], domain, flags[i], 'c', 1000);
		cache[i].on_count = note_the_node;
		cache[i].arg = log[i];
		cache_answer(&cache[i], SHRINK_STOP);
		shrinker_register(cache[i].shrinker);
	}
	/* Priority 3 defers 250 objects each time. */
	reclaim_shrink_slab(domain, GFP_KERNEL, 2, NULL, 3);
	reclaim_shrink_slab(domain, GFP_KERNEL, 1, NULL, 3);
	reclaim_shrink_slab(domain, GFP_KERNEL, 2, NULL, 3);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(shrinker_nr_deferred(cache[0].shrinker, i, NULL), 250 * i);
		CHECK_EQ(shrinker_nr_deferred(cache[1].shrinker, i, NULL), 750);
	}
	CHECK_EQ(shrinker_nr_deferred(cache[0].shrinker, 3, NULL), 0);
	CHECK_EQ(shrinker_nr_deferred(cache[0].shrinker, -1, NULL), 0);
	CHECK_TEXT(log[0], "212");
	CHECK_TEXT(log[1], "212");
}

/* --- passes that make no progress ----------------------------------------- */

static void scan_backwards(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	sc->nr_scanned = ~0UL;
}

/* Every other call makes progress; the others add up all the same. */
static void scan_every_other_time(struct cache *cache, struct shrink_control *sc)
{
	sc->nr_scanned = atomic_load(&cache->scans) % 2;
}

/* The limit ends a pass after exactly so many calls without progress in all. */
static void the_stall_limit_is_exact(void)
{
	static const struct {
		unsigned long limit;
		cache_hook on_scan;
		unsigned long calls;
	} rows[] = {
		{ 1, scan_nothing, 1 },
		{ 5, scan_nothing, 5 },
		{ RECLAIM_STALL_LIMIT, scan_nothing, 1024 },
		{ 5, scan_backwards, 5 },
		{ 5, scan_every_other_time, 10 },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		struct reclaim_domain *domain =
			reclaim_domain_create(1, rows[i].limit, 0);
		struct cache a;

		CHECK(domain);
		cache_open(&a, domain, 'a', 100000);
		cache_answer(&a, 1);
		a.on_scan = rows[i].on_scan;
		CHECK_EQ(walk(domain, 0), rows[i].calls);
		CHECK_EQ(atomic_load(&a.scans), rows[i].calls);
		CHECK_EQ(statistics_of(domain).stalled, 1);
		CHECK_EQ(statistics_of(domain).scan_calls, rows[i].calls);
		CHECK_EQ(statistics_of_cache(&a).stalled, 1);
		domain_close(domain);
	}
}

static void scan_nothing_5000_times(struct cache *cache, struct shrink_control *sc)
{
	sc->nr_scanned = 0;
	if (atomic_load(&cache->scans) == 5000)
		cache->answer = SHRINK_STOP;
}

/* With a limit of 0 a pass goes on as long as the callback does, as in the
 * kernel. */
static void a_stall_limit_of_0_means_none(void)
{
	struct reclaim_domain *domain = reclaim_domain_create(1, 0, 0);
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	cache_answer(&a, 1);
	a.on_scan = scan_nothing_5000_times;
	CHECK_EQ(walk(domain, 0), 4999);
	CHECK_EQ(statistics_of(domain).stalled, 0);
	CHECK_EQ(cache_deferred(&a), 2000);
	domain_close(domain);
}

/* --- several passes at once ------------------------------------------------ */

#define THREADS 4

/**
 * struct walks - what the threads of a test do
 * @priority: of the threads with even and with odd numbers
 * @number: walks of each thread
 */
struct walks {
	struct reclaim_domain *domain;
	int priority[2];
	int number;
	_Atomic(int) threads;
};

static void *walk_many(void *arg)
{
	struct walks *walks = arg;
	int priority = walks->priority[atomic_fetch_add(&walks->threads, 1) % 2];
	int i;

	for (i = 0; i < walks->number; i++)
		walk(walks->domain, priority);
	return NULL;
}

static _Atomic(unsigned long) scan_calls_made;

static unsigned long stop_every_third_time(struct shrinker *shrinker,
					   struct shrink_control *sc)
{
	(void)shrinker;
	return atomic_fetch_add(&scan_calls_made, 1) % 3 == 2 ? SHRINK_STOP :
								sc->nr_to_scan;
}

/*
 * However passes overlap, no deferred object is lost or added: what is deferred at
 * the end is what all passes added, less what they scanned.  And the statistics of
 * shrinker and domain are the same.
 *
 * A pass that scans takes the counter and puts it back later.  A pass that scans
 * nothing changes it in one step, between these two or not.
 */
static void overlapping_passes_keep_all_deferred_work(void)
{
	static const struct {
		unsigned long objects;
		long batch;
		int priority[2];
		int walks;
		uint64_t delta[2];
	} rows[] = {
		/* All passes scan. */
		{ 4096000, 0, { 12, 12 }, 400, { 2000, 2000 } },
		/* Half of them find less than a batch. */
		{ 4096000, 0, { 12, 16 }, 400, { 2000, 124 } },
		/* None scans, so that they meet at the counter as often as
		 * possible. */
		{ 1UL << 50, 1L << 60, { 30, 30 }, 50000, { 1 << 21, 1 << 21 } },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		struct walks walks = { domain_new(1),
				       { rows[i].priority[0], rows[i].priority[1] },
				       rows[i].walks, 0 };
		uint64_t added = THREADS / 2 * (uint64_t)rows[i].walks *
				 (rows[i].delta[0] + rows[i].delta[1]);
		struct reclaim_statistics statistics;
		struct shrinker_statistics own;
		pthread_t thread[THREADS];
		struct cache a;

		cache_prepare(&a, walks.domain, 0, 'a', rows[i].objects);
		a.shrinker->scan_objects = stop_every_third_time;
		a.shrinker->batch = rows[i].batch;
		shrinker_register(a.shrinker);
		atomic_store(&scan_calls_made, 0);
		threads_start(thread, THREADS, walk_many, &walks);
		threads_join(thread, THREADS);

		statistics = statistics_of(walks.domain);
		own = statistics_of_cache(&a);
		CHECK_EQ(cache_deferred(&a), added - statistics.slabs_scanned);
		CHECK_EQ(statistics.walks, THREADS * rows[i].walks);
		CHECK_EQ(statistics.passes, THREADS * rows[i].walks);
		CHECK_EQ(statistics.slabs_scanned > 0, rows[i].batch == 0);
		CHECK_EQ(own.passes, statistics.passes);
		CHECK_EQ(own.scan_calls, statistics.scan_calls);
		CHECK_EQ(own.scanned, statistics.slabs_scanned);
		CHECK_EQ(own.freed, statistics.freed);
		domain_close(walks.domain);
	}
}

static void walk_in_another_thread(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	cache->on_scan = NULL;
	thread_join(thread_start(walk_thread, cache->shrinker->domain));
}

/* The counter is 0 while a pass scans, and the pass adds to what other passes have
 * deferred meanwhile. */
static void a_pass_adds_to_what_others_deferred(struct reclaim_domain *domain)
{
	struct shrink_event event[8];
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	cache_answer(&a, SHRINK_STOP);
	walk(domain, 3);
	CHECK_EQ(cache_deferred(&a), 250);
	a.on_scan = walk_in_another_thread;
	CHECK_EQ(reclaim_trace_start(domain, 8), 0);
	walk(domain, 3);
	CHECK_EQ(reclaim_trace_read(domain, event, 8), 4);
	reclaim_trace_stop(domain);
	CHECK_EQ(event[0].nr, 250);
	CHECK_EQ(event[1].nr, 0); /* The other pass, at priority 0. */
	CHECK_EQ(event[2].new_nr, 2000);
	CHECK_EQ(event[3].nr, 250);
	CHECK_EQ(event[3].new_nr, 2500);
	CHECK_EQ(cache_deferred(&a), 2500);
}

int main(void)
{
	run_in(domain_new(1), a_pass_scans_by_the_formula);
	run_in(domain_new(1), batch_and_seeks_are_the_owners);
	run_in(memcg_domain_new(2), the_batch_is_read_before_the_count);
	run_in(memcg_domain_new(2), the_batch_may_be_read_after_the_count);
	run_in(domain_new(1), a_count_of_nothing_keeps_deferred_work);
	run_in(domain_new(1), a_stop_is_not_accounted);
	run_in(domain_new(1), nr_scanned_is_the_callbacks);
	run_in(domain_new(1), a_sum_may_be_shrink_empty);
	run_in(domain_new(3), deferred_work_belongs_to_the_node);
	RUN(the_stall_limit_is_exact);
	RUN(a_stall_limit_of_0_means_none);
	RUN(overlapping_passes_keep_all_deferred_work);
	run_in(domain_new(1), a_pass_adds_to_what_others_deferred);
	return checks_report("test_pass");
}
