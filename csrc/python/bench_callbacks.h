/* SPDX-License-Identifier: MIT */
/*
 * Native callbacks that do next to nothing, and the loop that walks over them:
 * what `shrinker bench` measures the reclaim loop with (shrinker/bench/).
 * Part of the extension module only.
 */
#ifndef SHRINKER_BENCH_CALLBACKS_H
#define SHRINKER_BENCH_CALLBACKS_H

#include <shrinker/domain.h>
#include <shrinker/memcg.h>

/**
 * struct bench_recording - the counts of one shrinker, walk by walk
 * @counts: what it counts in each walk, in objects; 0 where it took no part
 * @nr_counts: their number, at least 1; after the last one comes the first
 * @next: index of the next
 *
 * For one walker at a time.
 */
struct bench_recording {
	const unsigned long *counts;
	unsigned long nr_counts;
	unsigned long next;
};

/**
 * bench_count - count callback: the number in private_data itself
 */
unsigned long bench_count(struct shrinker *shrinker, struct shrink_control *sc);

/**
 * bench_count_recorded - count callback: the next count of a recording
 *
 * private_data is a struct bench_recording.
 */
unsigned long bench_count_recorded(struct shrinker *shrinker,
				   struct shrink_control *sc);

/**
 * bench_scan - scan callback: frees all that it is asked for
 */
unsigned long bench_scan(struct shrinker *shrinker, struct shrink_control *sc);

/**
 * bench_walk - walk again and again, as a C program would
 * @priorities: of the walks of one round, each 0 to SHRINK_MAX_PRIORITY
 * @nr_priorities: walks of a round
 * @rounds: how often
 *
 * Context: as shrink_slab().
 * Return: objects freed, modulo 2^64.
 */
unsigned long bench_walk(struct reclaim_domain *domain, const int *priorities,
			 unsigned long nr_priorities, unsigned long rounds);

/**
 * bench_create_memcgs - add groups under another
 * @memcgs: receives @nr groups, each held once for the caller
 *
 * Return: how many were made; fewer than @nr where memory ran out.
 */
unsigned long bench_create_memcgs(struct mem_cgroup *parent,
				  struct mem_cgroup **memcgs, unsigned long nr);

/**
 * bench_remove_memcgs - take childless groups offline and out of the tree, and
 * let go of them
 */
void bench_remove_memcgs(struct mem_cgroup **memcgs, unsigned long nr);

/**
 * bench_set_bits - say that shrinkers may hold objects of groups
 * @nr_nodes: on each of the nodes below
 * @ids: shrinkers, of which there are @nr_ids
 * @rounds: how often
 */
void bench_set_bits(struct mem_cgroup **memcgs, unsigned long nr, int nr_nodes,
		    const int *ids, unsigned long nr_ids, unsigned long rounds);

/**
 * bench_walk_memcgs - walk over each group on each node, again and again
 * @nr_nodes: the nodes below
 * @rounds: how often
 *
 * Context: as shrink_slab().
 * Return: objects freed, modulo 2^64.
 */
unsigned long bench_walk_memcgs(struct reclaim_domain *domain,
				struct mem_cgroup **memcgs, unsigned long nr,
				int nr_nodes, int priority, unsigned long rounds);

/**
 * bench_count_1000 - count callback: a constant
 */
unsigned long bench_count_1000(struct shrinker *shrinker,
			       struct shrink_control *sc);

/**
 * bench_calibrate_c2 - what a pass is compared with
 * @loops: how often: one indirect call that returns a constant, one atomic
 *	exchange, one atomic fetch-and-add
 *
 * Return: a number that depends on all of it.
 */
uint64_t bench_calibrate_c2(uint64_t loops);

/**
 * bench_calibrate_c4 - what a walk is compared with, for each shrinker
 * @loops: how often: what bench_calibrate_c2() does, an atomic increment and an
 *	atomic decrement
 *
 * Return: a number that depends on all of it.
 */
uint64_t bench_calibrate_c4(uint64_t loops);

/**
 * bench_pass - passes over one shrinker, without the walk around them
 * @shrinker: registered, with one deferred counter
 * @priority: 0 to SHRINK_MAX_PRIORITY
 * @reset: forget the deferred work before each pass
 * @passes: how often
 *
 * Its host, if it has one, is entered once for all of them.
 *
 * Context: as shrink_slab().
 * Return: objects freed, modulo 2^64; 0 where there could be no walk.
 */
uint64_t bench_pass(struct shrinker *shrinker, int priority, bool reset,
		    uint64_t passes);

/**
 * bench_bare_calls - the calls of a pass, and nothing else of it
 * @scans: scan calls of each pass; where there are any, one atomic addition too
 * @passes: how often
 *
 * What no pass that makes these calls can be faster than.
 *
 * Return: a number that depends on all of it.
 */
uint64_t bench_bare_calls(struct shrinker *shrinker, unsigned long scans,
			  uint64_t passes);

/**
 * bench_defer - put work off by hand
 * @shrinker: registered, with one deferred counter
 * @objects: what its counter says from now on
 */
void bench_defer(struct shrinker *shrinker, int64_t objects);

/**
 * bench_register - register native shrinkers that count 1,000 objects
 * @shrinkers: receives @nr of them
 *
 * Return: how many were made; fewer than @nr where memory ran out.
 */
unsigned long bench_register(struct reclaim_domain *domain,
			     struct shrinker **shrinkers, unsigned long nr);

/**
 * bench_free - free them again, the oldest first
 *
 * A walk beside this stands on what goes more often than where the youngest go
 * first.
 *
 * Context: as shrinker_free().
 */
void bench_free(struct shrinker **shrinkers, unsigned long nr);

/**
 * bench_walk_ns - walk again and again, by the thread's own clock
 * @rounds: how often
 *
 * The clock is read in C: whoever calls from Python waits for the GIL before and
 * after.
 *
 * Context: as shrink_slab().
 * Return: nanoseconds of processor time of the thread.
 */
uint64_t bench_walk_ns(struct reclaim_domain *domain, int priority,
		       unsigned long rounds);

#endif /* SHRINKER_BENCH_CALLBACKS_H */
