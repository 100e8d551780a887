/* SPDX-License-Identifier: MIT */
/* For the clock of a thread. */
#define _POSIX_C_SOURCE 200809L

#include <stddef.h>
#include <time.h>

#include <shrinker/list_lru.h>

#include "native_loops.h"
#include "walk.h"

static unsigned long count_1000(struct shrinker *shrinker,
				struct shrink_control *sc)
{
	(void)shrinker;
	(void)sc;
	return 1000;
}

static unsigned long count_4096(struct shrinker *shrinker,
				struct shrink_control *sc)
{
	(void)shrinker;
	(void)sc;
	return 4096;
}

static unsigned long scan_all(struct shrinker *shrinker,
			      struct shrink_control *sc)
{
	(void)shrinker;
	return sc->nr_to_scan;
}

/* --- shrinkers -------------------------------------------------------------- */

unsigned long register_shrinkers(struct reclaim_domain *domain, bool memcg_aware,
				 struct shrinker **shrinkers, unsigned long nr)
{
	unsigned int flags =
		memcg_aware ? SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE : 0;
	unsigned long made;

	for (made = 0; made < nr; made++) {
		struct shrinker *shrinker =
			reclaim_shrinker_alloc(domain, flags, "bench");

		if (!shrinker)
			break;
		shrinker->count_objects = memcg_aware ? count_4096 : count_1000;
		shrinker->scan_objects = scan_all;
		shrinker_register(shrinker);
		shrinkers[made] = shrinker;
	}
	return made;
}

void free_shrinkers(struct shrinker **shrinkers, unsigned long nr)
{
	for (unsigned long i = 0; i < nr; i++)
		shrinker_free(shrinkers[i]);
}

/* --- what passes and walks are compared with ---------------------------------- */

/* A cache line for each; the compiler must not know what is in them. */
struct compared {
	_Alignas(CACHE_LINE) unsigned long (*call)(struct shrinker *shrinker,
						   struct shrink_control *sc);
	_Alignas(CACHE_LINE) _Atomic(int64_t) deferred;
	_Alignas(CACHE_LINE) _Atomic(int64_t) refs;
};

static inline __attribute__((always_inline)) uint64_t
loop_compared(uint64_t loops, bool refs)
{
	struct compared on = { .call = count_1000 };
	uint64_t sum = 0;

	__asm__ volatile("" : : "r"(&on) : "memory");
	for (; loops; loops--) {
		if (refs)
			atomic_fetch_add(&on.refs, 1);
		sum += on.call(NULL, NULL);
		sum += (uint64_t)atomic_exchange(&on.deferred, 0);
		sum += (uint64_t)atomic_fetch_add(&on.deferred, 1);
		if (refs)
			atomic_fetch_sub(&on.refs, 1);
	}
	return sum;
}

uint64_t loop_c2(uint64_t loops)
{
	return loop_compared(loops, false);
}

uint64_t loop_c4(uint64_t loops)
{
	return loop_compared(loops, true);
}

static __attribute__((noinline)) uint64_t call_once(struct shrinker *shrinker,
						    struct shrink_control *sc,
						    unsigned long scans)
{
	uint64_t count = shrinker->count_objects(shrinker, sc);
	uint64_t scanned = 0, freed = 0;

	for (unsigned long i = 0; i < scans; i++) {
		sc->nr_to_scan = sc->nr_scanned = SHRINK_BATCH;
		freed += shrinker->scan_objects(shrinker, sc);
		scanned += sc->nr_scanned;
	}
	if (scans)
		atomic_fetch_add(&shrinker->deferred_here, (int64_t)scanned);
	return count + freed;
}

uint64_t bare_calls(struct shrinker *shrinker, unsigned long scans,
		    uint64_t passes)
{
	uint64_t sum = 0;

	for (; passes; passes--) {
		struct shrink_control sc = { .gfp_mask = GFP_KERNEL };

		sum += call_once(shrinker, &sc, scans);
	}
	return sum;
}

/* --- passes and walks --------------------------------------------------------- */

uint64_t make_passes(struct shrinker *shrinker, int priority, bool reset,
		     uint64_t passes)
{
	struct walker *walk = reclaim_begin(shrinker->domain);
	uint64_t freed = 0;

	if (!walk)
		return 0;
	if (walk_to(walk, shrinker)) {
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

void set_deferred(struct shrinker *shrinker, int64_t objects)
{
	atomic_store(&shrinker->deferred_here, objects);
}

static uint64_t thread_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t make_walks(struct reclaim_domain *domain, int priority,
		    unsigned long walks)
{
	uint64_t begin = thread_ns();

	for (; walks; walks--)
		reclaim_shrink_slab(domain, GFP_KERNEL, 0, NULL, priority);
	return thread_ns() - begin;
}

/* --- memory cgroups ----------------------------------------------------------- */

unsigned long create_memcgs(struct reclaim_domain *domain,
			    struct mem_cgroup **memcgs, unsigned long nr)
{
	struct mem_cgroup *root = reclaim_domain_root(domain);
	unsigned long made;

	for (made = 0; made < nr; made++)
		if (mem_cgroup_create(root, &memcgs[made]))
			break;
	return made;
}

void remove_memcgs(struct mem_cgroup **memcgs, unsigned long nr)
{
	for (unsigned long i = 0; i < nr; i++) {
		mem_cgroup_offline(memcgs[i]);
		mem_cgroup_remove(memcgs[i]);
		mem_cgroup_put(memcgs[i]);
	}
}

void set_bits(struct mem_cgroup *memcg, int nr_nodes, const int *ids,
	      unsigned long nr_ids, unsigned long rounds)
{
	for (; rounds; rounds--)
		for (int nid = 0; nid < nr_nodes; nid++)
			for (unsigned long i = 0; i < nr_ids; i++)
				set_shrinker_bit(memcg, nid, ids[i]);
}

unsigned long walk_memcgs(struct reclaim_domain *domain,
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

/* --- lists -------------------------------------------------------------------- */

/* As many as one scan call takes. */
#define LIST_ITEMS 128

static enum lru_status isolate(struct list_head *item, struct list_lru_one *list,
			       void *arg)
{
	(void)arg;
	list_lru_isolate(list, item);
	return LRU_REMOVED;
}

static enum lru_status skip(struct list_head *item, struct list_lru_one *list,
			    void *arg)
{
	(void)item;
	(void)list;
	(void)arg;
	return LRU_SKIP;
}

static unsigned long walk_items(struct list_lru *lru, struct mem_cgroup *memcg,
				list_lru_walk_cb callback)
{
	unsigned long budget = LIST_ITEMS;

	return list_lru_walk_one(lru, 0, memcg, callback, NULL, &budget);
}

static uint64_t use_list(struct list_lru *lru, struct mem_cgroup *memcg,
			 enum list_use use, uint64_t items)
{
	struct list_head item[LIST_ITEMS];
	uint64_t sum = 0;
	int i;

	for (i = 0; i < LIST_ITEMS; i++) {
		INIT_LIST_HEAD(&item[i]);
		if (use == LIST_COUNT || use == LIST_SKIP)
			list_lru_add(lru, &item[i], 0, memcg);
	}
	for (; items > 0; items -= items < LIST_ITEMS ? items : LIST_ITEMS) {
		for (i = 0; i < LIST_ITEMS; i++)
			switch (use) {
			case LIST_ADD_DEL:
				list_lru_add(lru, &item[i], 0, memcg);
				list_lru_del(lru, &item[i], 0, memcg);
				break;
			case LIST_ADD_ISOLATE:
				list_lru_add(lru, &item[i], 0, memcg);
				break;
			case LIST_COUNT:
				sum += list_lru_count_one(lru, 0, memcg);
				break;
			case LIST_SKIP:
				break;
			}
		if (use == LIST_ADD_ISOLATE)
			sum += walk_items(lru, memcg, isolate);
		else if (use == LIST_SKIP)
			sum += walk_items(lru, memcg, skip);
	}
	walk_items(lru, memcg, isolate);
	return sum;
}

uint64_t use_lists(struct reclaim_domain *domain, struct shrinker *shrinker,
		   bool grouped, enum list_use use, uint64_t items)
{
	struct mem_cgroup *memcg = NULL;
	struct list_lru lru;
	uint64_t sum = 0;

	if (list_lru_init_domain(&lru, domain, grouped ? shrinker : NULL))
		return 0;
	if (!grouped || create_memcgs(domain, &memcg, 1))
		sum = use_list(&lru, memcg, use, items);
	list_lru_destroy(&lru);
	if (memcg)
		remove_memcgs(&memcg, 1);
	return sum;
}
