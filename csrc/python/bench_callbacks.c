/* SPDX-License-Identifier: MIT */
/* For the clock of a thread. */
#define _POSIX_C_SOURCE 200809L

#include <stddef.h>
#include <time.h>

#include "bench_callbacks.h"
#include "walk.h"

unsigned long bench_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	(void)sc;
	return (unsigned long)(uintptr_t)shrinker->private_data;
}

unsigned long bench_count_recorded(struct shrinker *shrinker,
				   struct shrink_control *sc)
{
	struct bench_recording *recording = shrinker->private_data;
	unsigned long count = recording->counts[recording->next];

	(void)sc;
	if (++recording->next == recording->nr_counts)
		recording->next = 0;
	return count;
}

unsigned long bench_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	(void)shrinker;
	return sc->nr_to_scan;
}

unsigned long bench_walk(struct reclaim_domain *domain, const int *priorities,
			 unsigned long nr_priorities, unsigned long rounds)
{
	unsigned long freed = 0;

	for (; rounds; rounds--)
		for (unsigned long i = 0; i < nr_priorities; i++)
			freed += reclaim_shrink_slab(domain, GFP_KERNEL, 0, NULL,
						     priorities[i]);
	return freed;
}

unsigned long bench_create_memcgs(struct mem_cgroup *parent,
				  struct mem_cgroup **memcgs, unsigned long nr)
{
	unsigned long made;

	for (made = 0; made < nr; made++)
		if (mem_cgroup_create(parent, &memcgs[made]))
			break;
	return made;
}

void bench_remove_memcgs(struct mem_cgroup **memcgs, unsigned long nr)
{
	for (unsigned long i = 0; i < nr; i++) {
		mem_cgroup_offline(memcgs[i]);
		mem_cgroup_remove(memcgs[i]);
		mem_cgroup_put(memcgs[i]);
	}
}

void bench_set_bits(struct mem_cgroup **memcgs, unsigned long nr, int nr_nodes,
		    const int *ids, unsigned long nr_ids, unsigned long rounds)
{
	for (; rounds; rounds--)
		for (unsigned long i = 0; i < nr; i++)
			for (int nid = 0; nid < nr_nodes; nid++)
				for (unsigned long k = 0; k < nr_ids; k++)
					set_shrinker_bit(memcgs[i], nid, ids[k]);
}

unsigned long bench_walk_memcgs(struct reclaim_domain *domain,
				struct mem_cgroup **memcgs, unsigned long nr,
				int nr_nodes, int priority, unsigned long rounds)
{
	unsigned long freed = 0;

	for (; rounds; rounds--)
		for (unsigned long i = 0; i < nr; i++)
			for (int nid = 0; nid < nr_nodes; nid++)
				freed += reclaim_shrink_slab(domain, GFP_KERNEL,
							     nid, memcgs[i],
							     priority);
	return freed;
}

unsigned long bench_count_1000(struct shrinker *shrinker,
			       struct shrink_control *sc)
{
	(void)shrinker;
	(void)sc;
	return 1000;
}

/* What the calibration loops work on; the compiler knows nothing of it. */
struct calibration {
	_Alignas(CACHE_LINE) unsigned long (*call)(struct shrinker *shrinker,
						   struct shrink_control *sc);
	_Alignas(CACHE_LINE) _Atomic(int64_t) deferred;
	_Alignas(CACHE_LINE) _Atomic(int64_t) refs;
};

uint64_t bench_calibrate_c2(uint64_t loops)
{
	struct calibration on = { .call = bench_count_1000 };
	uint64_t sum = 0;

	__asm__ volatile("" : : "r"(&on) : "memory");
	for (; loops; loops--) {
		sum += on.call(NULL, NULL);
		sum += (uint64_t)atomic_exchange(&on.deferred, 0);
		sum += (uint64_t)atomic_fetch_add(&on.deferred, 1);
	}
	return sum;
}

uint64_t bench_calibrate_c4(uint64_t loops)
{
	struct calibration on = { .call = bench_count_1000 };
	uint64_t sum = 0;

	__asm__ volatile("" : : "r"(&on) : "memory");
	for (; loops; loops--) {
		atomic_fetch_add(&on.refs, 1);
		sum += on.call(NULL, NULL);
		sum += (uint64_t)atomic_exchange(&on.deferred, 0);
		sum += (uint64_t)atomic_fetch_add(&on.deferred, 1);
		atomic_fetch_sub(&on.refs, 1);
	}
	return sum;
}

uint64_t bench_pass(struct shrinker *shrinker, int priority, bool reset,
		    uint64_t passes)
{
	struct walker *walk = reclaim_begin(shrinker->domain);
	uint64_t freed = 0;

	if (!walk)
		return 0;
	if (walk_to(walk, shrinker)) {
		walk_change_host(walk, host_of(shrinker));
		for (; passes; passes--) {
			struct shrink_control sc = { .gfp_mask = GFP_KERNEL };

			if (reset)
				atomic_store_explicit(&shrinker->deferred_here, 0,
						      memory_order_relaxed);
			freed += do_shrink_slab(walk, &sc, shrinker, priority);
		}
	}
	walk_end(walk);
	return freed;
}

static __attribute__((noinline)) uint64_t bare_calls(struct shrinker *shrinker,
						     struct shrink_control *sc,
						     unsigned long scans)
{
	uint64_t count = shrinker->count_objects(shrinker, sc);
	uint64_t scanned = 0, freed = 0;
	unsigned long i;

	for (i = 0; i < scans; i++) {
		sc->nr_to_scan = sc->nr_scanned = SHRINK_BATCH;
		freed += shrinker->scan_objects(shrinker, sc);
		scanned += sc->nr_scanned;
	}
	if (scans)
		atomic_fetch_add(&shrinker->deferred_here, (int64_t)scanned);
	return count + freed;
}

uint64_t bench_bare_calls(struct shrinker *shrinker, unsigned long scans,
			  uint64_t passes)
{
	uint64_t sum = 0;

	for (; passes; passes--) {
		struct shrink_control sc = { .gfp_mask = GFP_KERNEL };

		sum += bare_calls(shrinker, &sc, scans);
	}
	return sum;
}

void bench_defer(struct shrinker *shrinker, int64_t objects)
{
	atomic_store(&shrinker->deferred_here, objects);
}

unsigned long bench_register(struct reclaim_domain *domain,
			     struct shrinker **shrinkers, unsigned long nr)
{
	unsigned long made;

	for (made = 0; made < nr; made++) {
		struct shrinker *shrinker =
			reclaim_shrinker_alloc(domain, 0, "bench");

		if (!shrinker)
			break;
		shrinker->count_objects = bench_count_1000;
		shrinker->scan_objects = bench_scan;
		shrinker_register(shrinker);
		shrinkers[made] = shrinker;
	}
	return made;
}

void bench_free(struct shrinker **shrinkers, unsigned long nr)
{
	for (unsigned long i = 0; i < nr; i++)
		shrinker_free(shrinkers[i]);
}

static uint64_t thread_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t bench_walk_ns(struct reclaim_domain *domain, int priority,
		       unsigned long rounds)
{
	uint64_t begin = thread_ns();

	bench_walk(domain, &priority, 1, rounds);
	return thread_ns() - begin;
}
