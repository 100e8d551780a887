/* SPDX-License-Identifier: MIT */
/*
 * Loops in C for the benchmarks: around callbacks that do next to nothing, and
 * around functions of the core.  harness.py compiles them with the sources of the core
 * into a module of their own; the package has none of it.
 *
 * What registers or creates returns how many were made, fewer than @nr where memory
 * ran out.  What returns freed objects has them modulo 2^64.
 */
#ifndef SHRINKER_NATIVE_LOOPS_H
#define SHRINKER_NATIVE_LOOPS_H

#include <shrinker/domain.h>
#include <shrinker/memcg.h>

/*
 * Shrinkers that free all that they are asked for: aware of memory cgroups and
 * nodes, with 4,096 objects, or of neither, with 1,000.
 */
unsigned long register_shrinkers(struct reclaim_domain *domain, bool memcg_aware,
				 struct shrinker **shrinkers, unsigned long nr);

/*
 * The oldest first: a walk beside this is more often at a shrinker that is freed
 * than where the youngest go first.
 */
void free_shrinkers(struct shrinker **shrinkers, unsigned long nr);

/*
 * C2, what a pass is compared with: one indirect call that returns a constant, one
 * atomic exchange, one atomic addition.
 */
uint64_t loop_c2(uint64_t loops);

/* C4, what a walk is compared with: C2, an atomic increment and a decrement. */
uint64_t loop_c4(uint64_t loops);

/*
 * The calls of passes, and nothing else of them: no pass with as many @scans can be
 * faster.  With scans there is one atomic addition too.
 */
uint64_t bare_calls(struct shrinker *shrinker, unsigned long scans,
		    uint64_t passes);

/*
 * Passes over a shrinker with one deferred counter, without the walk around them.
 * @reset: forget the deferred work before each.  Returns freed objects.
 */
uint64_t make_passes(struct shrinker *shrinker, int priority, bool reset,
		     uint64_t passes);

/* Change the work that a shrinker with one deferred counter has put off. */
void set_deferred(struct shrinker *shrinker, int64_t objects);

/*
 * Walks over the whole domain.  Returns nanoseconds of the thread's processor time:
 * a caller from Python waits for the GIL before and after, so C reads the clock.
 */
uint64_t make_walks(struct reclaim_domain *domain, int priority,
		    unsigned long walks);

/* Groups under the root, each held once for the caller. */
unsigned long create_memcgs(struct reclaim_domain *domain,
			    struct mem_cgroup **memcgs, unsigned long nr);

/* Take childless groups offline and out of the tree, and let go of them. */
void remove_memcgs(struct mem_cgroup **memcgs, unsigned long nr);

/* Say that shrinkers may hold objects of a group, on each of @nr_nodes nodes. */
void set_bits(struct mem_cgroup *memcg, int nr_nodes, const int *ids,
	      unsigned long nr_ids, unsigned long rounds);

/* Walk over each group on each of @nr_nodes nodes.  Returns freed objects. */
unsigned long walk_memcgs(struct reclaim_domain *domain,
			  struct mem_cgroup **memcgs, unsigned long nr,
			  int nr_nodes, int priority, unsigned long rounds);

enum list_use {
	LIST_ADD_DEL,
	LIST_ADD_ISOLATE,
	LIST_COUNT,
	LIST_SKIP,
};

/**
 * use_lists - use one list_lru list, so often
 * @grouped: the list of a group; otherwise of an lru that ignores groups
 * @items: additions and deletions, additions and isolations, counts, or steps of
 *	walks; in multiples of 128
 */
uint64_t use_lists(struct reclaim_domain *domain, struct shrinker *shrinker,
		   bool grouped, enum list_use use, uint64_t items);

#endif /* SHRINKER_NATIVE_LOOPS_H */
