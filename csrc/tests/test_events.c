/* SPDX-License-Identifier: MIT */
/* Keeping events: order, limit, memory, and several threads. */
#include <errno.h>
#include <malloc.h>

#include <shrinker/events.h>

#include "threads.h"

/* The start and the end of a pass have all numbers of the formula. */
static void events_have_the_numbers_of_the_pass(struct reclaim_domain *domain)
{
	struct shrink_event event[8];
	struct cache a, b;

	cache_prepare(&a, domain, SHRINKER_NUMA_AWARE, 'a', 1000);
	cache_open(&b, domain, 'b', 0);
	shrinker_set_label(a.shrinker, 7);
	a.keeps = true;
	shrinker_register(a.shrinker);
	CHECK_EQ(reclaim_trace_start(domain, 100), 0);
	reclaim_shrink_slab(domain, GFP_NOFS, 1, NULL, 0);
	reclaim_shrink_slab(domain, GFP_NOIO, 1, NULL, 1);
	CHECK_EQ(reclaim_trace_read(domain, event, 8), 4); /* b has none. */

	CHECK_EQ(event[0].type, SHRINK_EVENT_START);
	CHECK_EQ(event[0].label, 7);
	CHECK_EQ(event[0].shrinker, (uintptr_t)a.shrinker);
	CHECK_EQ(event[0].scan_objects, (uintptr_t)cache_scan);
	CHECK_EQ(event[0].nid, 1);
	CHECK_EQ(event[0].gfp_mask, GFP_NOFS);
	CHECK_EQ(event[0].priority, 0);
	CHECK_EQ(event[0].nr, 0);
	CHECK_EQ(event[0].freeable, 1000);
	CHECK_EQ(event[0].delta, 2000);
	CHECK_EQ(event[0].total_scan, 2000);

	CHECK_EQ(event[1].type, SHRINK_EVENT_END);
	CHECK_EQ(event[1].label, 7);
	CHECK_EQ(event[1].shrinker, (uintptr_t)a.shrinker);
	CHECK_EQ(event[1].scan_objects, (uintptr_t)cache_scan);
	CHECK_EQ(event[1].nid, 1);
	CHECK_EQ(event[1].nr, 0);
	CHECK_EQ(event[1].new_nr, 80);
	CHECK_EQ(event[1].total_scan, 80);
	CHECK_EQ(event[1].retval, 1920);

	CHECK_EQ(event[2].gfp_mask, GFP_NOIO);
	CHECK_EQ(event[2].priority, 1);
	CHECK_EQ(event[2].nr, 80);
	CHECK_EQ(event[2].delta, 1000);
	CHECK_EQ(event[2].total_scan, 1040);
	CHECK_EQ(event[3].nr, 80);
	CHECK_EQ(event[3].total_scan, 1040 - 8 * 128);
	CHECK_EQ(event[3].new_nr, 80 + 1000 - 8 * 128);
	CHECK_EQ(reclaim_trace_read(domain, event, 8), 0);
	reclaim_trace_stop(domain);
}

/* Emits an event with a number. */
static void emit(struct reclaim_domain *domain, uint32_t label, int64_t number)
{
	struct shrink_event event = { .type = SHRINK_EVENT_END,
				      .label = label,
				      .nr = number };

	event_emit(domain, &event);
}

/* Events past the limit are counted as lost; reading makes room. */
static void the_limit_is_exact(struct reclaim_domain *domain)
{
	struct shrink_event event[10];
	int i;

	CHECK_EQ(reclaim_trace_start(domain, 5), 0);
	for (i = 0; i < 8; i++)
		emit(domain, 0, i);
	CHECK_EQ(reclaim_trace_lost(domain), 3);
	CHECK_EQ(reclaim_trace_read(domain, event, 2), 2);
	CHECK_EQ(event[1].nr, 1);
	for (i = 8; i < 12; i++)
		emit(domain, 0, i);
	CHECK_EQ(reclaim_trace_lost(domain), 5);
	CHECK_EQ(reclaim_trace_read(domain, event, 10), 5);
	CHECK_EQ(event[2].nr, 4);
	CHECK_EQ(event[3].nr, 8);
	CHECK_EQ(event[4].nr, 9);
	CHECK_EQ(reclaim_trace_read(domain, event, 10), 0);
	reclaim_trace_stop(domain);

	CHECK_EQ(reclaim_trace_start(domain, 0), 0);
	emit(domain, 0, 0);
	CHECK_EQ(reclaim_trace_lost(domain), 1);
	CHECK_EQ(reclaim_trace_read(domain, event, 10), 0);
	reclaim_trace_stop(domain);
}

/* A second start is refused.  Before a start there is nothing to read, lose or
 * stop. */
static void a_domain_is_started_once(void)
{
	struct reclaim_domain *domain = domain_new(1), *other = domain_new(1);
	struct shrink_event event;

	CHECK_EQ(reclaim_trace_read(domain, &event, 1), 0);
	CHECK_EQ(reclaim_trace_lost(domain), 0);
	reclaim_trace_stop(domain);
	CHECK_EQ(reclaim_trace_start(domain, 10), 0);
	emit(domain, 0, 1);
	CHECK_EQ(reclaim_trace_start(domain, 10), -EBUSY);
	CHECK_EQ(reclaim_trace_start(other, 10), 0);
	CHECK_EQ(reclaim_trace_read(other, &event, 1), 0);
	CHECK_EQ(reclaim_trace_read(domain, &event, 1), 1);
	emit(domain, 0, 2);
	reclaim_trace_stop(domain);
	CHECK_EQ(reclaim_trace_read(domain, &event, 1), 0);

	/* Events that were not read are dropped. */
	CHECK_EQ(reclaim_trace_start(domain, 10), 0);
	CHECK_EQ(reclaim_trace_read(domain, &event, 1), 0);
	emit(domain, 0, 3);

	/* Releasing a domain releases its events. */
	reclaim_domain_put(domain);
	reclaim_domain_put(other);
}

/* Events come back in order across chunks, in portions of any size. */
static void order_is_kept_across_chunks(void)
{
	static const unsigned long portions[] = { 1, 7, 511, 512, 513, 5000 };
	struct shrink_event event[5000];
	unsigned int p;

	for (p = 0; p < LENGTH(portions); p++) {
		struct reclaim_domain *domain = domain_new(1);
		unsigned long n, i;
		int64_t next = 0;
		int64_t number;

		CHECK_EQ(reclaim_trace_start(domain, 1000000), 0);
		for (number = 0; number < 5000; number++)
			emit(domain, 0, number);
		while ((n = reclaim_trace_read(domain, event, portions[p]))) {
			for (i = 0; i < n; i++)
				CHECK_EQ(event[i].nr, next++);
			/* Emitting goes on meanwhile. */
			if (number < 6000)
				emit(domain, 0, number++);
		}
		CHECK_EQ(next, number);
		CHECK_EQ(reclaim_trace_lost(domain), 0);
		reclaim_domain_put(domain);
	}
}

/* Whether mallinfo2() counts allocations: not under sanitizers and valgrind. */
static bool mallinfo_counts(void)
{
	size_t before = mallinfo2().uordblks;
	void *volatile block = malloc(10000);
	bool counts = mallinfo2().uordblks >= before + 10000;

	free(block);
	return counts;
}

/* If events are read as fast as they are emitted, the memory does not grow. */
static void reading_frees_memory(struct reclaim_domain *domain)
{
	struct shrink_event event[100];
	size_t before, after;
	int64_t number;
	int i;

	CHECK_EQ(reclaim_trace_start(domain, 1000), 0);
	before = mallinfo2().uordblks;
	for (number = 0, i = 0; i < 1000; i++) {
		int j;

		for (j = 0; j < 100; j++)
			emit(domain, 0, number++);
		CHECK_EQ(reclaim_trace_read(domain, event, 100), 100);
		CHECK_EQ(event[99].nr, number - 1);
	}
	after = mallinfo2().uordblks;
	/* 100,000 events were read; the limit allows memory for 2,000. */
	CHECK(after <= before + 2000 * sizeof(struct shrink_event));
	reclaim_trace_stop(domain);
}

/* While a thread emits an event no chunk is freed, because the thread may use any
 * of them.  Such a thread is simulated by its count in domain->emitting. */
static void a_thread_that_emits_keeps_chunks(struct reclaim_domain *domain)
{
	struct shrink_event event[100];
	size_t before, during, after;
	int64_t number = 0;

	CHECK_EQ(reclaim_trace_start(domain, 1000), 0);
	before = mallinfo2().uordblks;
	atomic_fetch_add(&domain->emitting, 1);
	while (number < 20000) {
		emit(domain, 0, number++);
		CHECK_EQ(reclaim_trace_read(domain, event, 100), 1);
	}
	during = mallinfo2().uordblks;
	atomic_fetch_sub(&domain->emitting, 1);
	CHECK_EQ(reclaim_trace_read(domain, event, 100), 0);
	after = mallinfo2().uordblks;
	if (mallinfo_counts()) {
		CHECK(during >= before + 19000 * sizeof(struct shrink_event));
		CHECK(after <= before + 2000 * sizeof(struct shrink_event));
	}
	reclaim_trace_stop(domain);
}

#define WRITERS 3
#define NUMBERS 60000

struct writer {
	struct reclaim_domain *domain;
	uint32_t label;
	_Atomic(bool) *stop;
};

static void *write_numbers(void *arg)
{
	struct writer *writer = arg;
	int64_t number;

	for (number = 1; number <= NUMBERS; number++)
		emit(writer->domain, writer->label, number);
	return NULL;
}

/* Several threads emit, one reads: the events of each thread come in order, each
 * once, and all others are counted as lost. */
static void several_threads_emit_while_one_reads(struct reclaim_domain *domain)
{
	struct shrink_event event[300];
	int64_t last[WRITERS] = { 0 };
	struct writer writer[WRITERS];
	pthread_t thread[WRITERS];
	unsigned long read = 0, n, i;
	int w;

	CHECK_EQ(reclaim_trace_start(domain, 5000), 0);
	for (w = 0; w < WRITERS; w++) {
		writer[w] = (struct writer){ domain, (uint32_t)w, NULL };
		thread[w] = thread_start(write_numbers, &writer[w]);
	}
	while (read + reclaim_trace_lost(domain) < WRITERS * NUMBERS) {
		n = reclaim_trace_read(domain, event, 300);
		for (i = 0; i < n; i++) {
			CHECK(event[i].label < WRITERS);
			CHECK(event[i].nr > last[event[i].label]);
			last[event[i].label] = event[i].nr;
		}
		read += n;
	}
	threads_join(thread, WRITERS);
	CHECK_EQ(reclaim_trace_read(domain, event, 300), 0);
	CHECK_EQ(read + reclaim_trace_lost(domain), WRITERS * NUMBERS);
	CHECK(read > 0);
	reclaim_trace_stop(domain);
}

static void *write_until_stopped(void *arg)
{
	struct writer *writer = arg;
	int64_t number = 0;

	while (!atomic_load(writer->stop))
		emit(writer->domain, writer->label, ++number);
	return NULL;
}

/* Events can be stopped and started again while threads emit them. */
static void stop_and_start_while_threads_emit(struct reclaim_domain *domain)
{
	struct writer writer[WRITERS];
	struct shrink_event event[50];
	pthread_t thread[WRITERS];
	_Atomic(bool) stop = false;
	unsigned long i, n;
	int w, round;

	for (w = 0; w < WRITERS; w++) {
		writer[w] = (struct writer){ domain, (uint32_t)w, &stop };
		thread[w] = thread_start(write_until_stopped, &writer[w]);
	}
	for (round = 0; round < 300; round++) {
		int64_t last[WRITERS] = { 0 };

		CHECK_EQ(reclaim_trace_start(domain, 2000), 0);
		if (round % 10 == 0)
			usleep(1000);
		n = reclaim_trace_read(domain, event, 50);
		for (i = 0; i < n; i++) {
			CHECK(event[i].nr > last[event[i].label]);
			last[event[i].label] = event[i].nr;
		}
		reclaim_trace_stop(domain);
	}
	atomic_store(&stop, true);
	threads_join(thread, WRITERS);
}

static void start_events(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	CHECK_EQ(reclaim_trace_start(cache->shrinker->domain, 10), 0);
	cache->on_scan = NULL;
}

static void stop_events(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	reclaim_trace_stop(cache->shrinker->domain);
	cache->on_scan = NULL;
}

/* Start and stop can be called in a callback: they cut its pass in two. */
static void start_and_stop_inside_a_pass(struct reclaim_domain *domain)
{
	struct shrink_event event[4];
	struct cache a;

	cache_open(&a, domain, 'a', 1000);
	a.keeps = true;
	a.on_scan = start_events;
	walk(domain, 0);
	CHECK_EQ(reclaim_trace_read(domain, event, 4), 1);
	CHECK_EQ(event[0].type, SHRINK_EVENT_END);
	a.on_scan = stop_events;
	walk(domain, 0);
	CHECK_EQ(reclaim_trace_read(domain, event, 4), 0);
	CHECK_EQ(reclaim_trace_start(domain, 10), 0);
	walk(domain, 0);
	CHECK_EQ(reclaim_trace_read(domain, event, 4), 2);
	reclaim_trace_stop(domain);
}

int main(void)
{
	run_in(domain_new(2), events_have_the_numbers_of_the_pass);
	run_in(domain_new(1), the_limit_is_exact);
	RUN(a_domain_is_started_once);
	RUN(order_is_kept_across_chunks);
	run_in(domain_new(1), reading_frees_memory);
	run_in(domain_new(1), a_thread_that_emits_keeps_chunks);
	run_in(domain_new(1), several_threads_emit_while_one_reads);
	run_in(domain_new(1), stop_and_start_while_threads_emit);
	run_in(domain_new(1), start_and_stop_inside_a_pass);
	return checks_report("test_events");
}
