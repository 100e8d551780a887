/* SPDX-License-Identifier: MIT */
/*
 * A domain is a machine: it holds what a kernel has once, the number of nodes,
 * the registry, the counters and the trace sink.  The kernel-named functions of
 * shrinker.h work on the default domain; tests, simulations and services make
 * their own.
 */
#ifndef SHRINKER_DOMAIN_H
#define SHRINKER_DOMAIN_H

#include <shrinker/shrinker.h>

/* Fruitless scan calls after which a pass is ended, unless a domain says
 * otherwise. */
#define RECLAIM_STALL_LIMIT 1024
/* Nodes of a domain at most, as many as the kernel can be built for. */
#define RECLAIM_MAX_NODES 1024

/**
 * struct reclaim_statistics - what happened in a domain so far
 * @walks: walks over the registry (shrink_slab() calls that were not refused)
 * @passes: passes that got past the count
 * @scan_calls: calls of scan_objects() that were accounted
 * @slabs_scanned: objects scanned in them, modulo 2^64 (the kernel's vm event)
 * @freed: objects freed in them, modulo 2^64
 * @stalled: passes ended because they made no progress
 * @nested: reclaims refused because the thread was in a callback already
 * @host_entries: how often walks entered a host runtime
 */
struct reclaim_statistics {
	uint64_t walks;
	uint64_t passes;
	uint64_t scan_calls;
	uint64_t slabs_scanned;
	uint64_t freed;
	uint64_t stalled;
	uint64_t nested;
	uint64_t host_entries;
};

/**
 * struct reclaim_request - what reclaim_run() is asked for
 * @nr_to_reclaim: objects to free; it stops after the first priority at which
 *	that many have gone
 * @gfp_mask: allocation context that callbacks are told
 * @nid: memory node; -1 for all of them
 * @memcg: walk this group and those below; NULL: all
 * @priority: where to start, DEF_PRIORITY usually; it goes down to 0
 */
struct reclaim_request {
	uint64_t nr_to_reclaim;
	gfp_t gfp_mask;
	int nid;
	struct mem_cgroup *memcg;
	int priority;
};

/**
 * struct reclaim_result - what came of it
 * @nr_reclaimed: objects freed, modulo 2^64
 * @nr_scanned: objects scanned, modulo 2^64
 * @passes: passes that got past the count
 * @priority: the last priority that was walked
 * @stopped: a callback ended the walk with reclaim_stop_walk()
 */
struct reclaim_result {
	uint64_t nr_reclaimed;
	uint64_t nr_scanned;
	uint64_t passes;
	int priority;
	bool stopped;
};

/* Flags of reclaim_domain_create(). */
/* There are memory cgroups; without it, shrinkers cannot be aware of them. */
#define RECLAIM_MEMCG (1U << 0)
/* Kernel-memory accounting is on; without it, walks over a memory cgroup call
 * shrinkers with SHRINKER_NONSLAB alone. */
#define RECLAIM_KMEM (1U << 1)

/**
 * reclaim_domain_create - a new machine
 * @nr_nodes: memory nodes, 1 to RECLAIM_MAX_NODES
 * @stall_limit: fruitless scan calls after which a pass is ended as if the
 *	callback had said SHRINK_STOP; 0: never, as in the kernel
 * @flags: RECLAIM_*
 *
 * Return: the domain, held once for the caller; NULL where memory ran out, also
 * for handlers without which a child of fork() could find the domain locked for
 * ever, or @nr_nodes is out of range.
 */
struct reclaim_domain *reclaim_domain_create(int nr_nodes,
					     unsigned long stall_limit,
					     unsigned int flags);

/**
 * reclaim_domain_put - let go of a domain
 *
 * Its memory goes with the last of its shrinkers.  The default domain stays.
 *
 * Context: no walk of the caller's may be under way in it.
 */
void reclaim_domain_put(struct reclaim_domain *domain);

/**
 * reclaim_default_domain - the domain behind the kernel-named functions
 *
 * Made at the first call: one node, the default stall limit, memory cgroups and
 * kernel-memory accounting.
 *
 * Return: the domain, not held for the caller; NULL where memory ran out.
 */
struct reclaim_domain *reclaim_default_domain(void);

int reclaim_domain_nr_nodes(const struct reclaim_domain *domain);

/**
 * reclaim_shrinker_alloc - shrinker_alloc() for any domain
 * @name: taken as it is
 *
 * The shrinker holds its domain.
 */
struct shrinker *reclaim_shrinker_alloc(struct reclaim_domain *domain,
					unsigned int flags, const char *name);

/**
 * reclaim_shrink_slab - shrink_slab() for any domain
 */
unsigned long reclaim_shrink_slab(struct reclaim_domain *domain, gfp_t gfp_mask,
				  int nid, struct mem_cgroup *memcg,
				  int priority);

/**
 * reclaim_drop_slab - drop_slab() for any domain
 *
 * Return: objects freed in all rounds, modulo 2^64.
 */
unsigned long reclaim_drop_slab(struct reclaim_domain *domain);

/**
 * reclaim_run - the ladder: from request->priority down to 0 until enough is
 * freed
 *
 * At each priority every memory cgroup under the target is walked, parents first,
 * each on every node asked for, so that nobody is spared for standing late.
 *
 * Context: as shrink_slab().
 * Return: false, and nothing happens, where @request is out of range.  Inside a
 * callback true, with nothing walked.
 */
bool reclaim_run(struct reclaim_domain *domain,
		 const struct reclaim_request *request,
		 struct reclaim_result *result);

/**
 * reclaim_stop_walk - end the calling thread's walk after this callback
 *
 * The pass ends as if the callback had said SHRINK_STOP, whatever it returns;
 * ladder and drop_slab() end too.  Outside a callback it does nothing.
 */
void reclaim_stop_walk(void);

/**
 * reclaim_in_callback - whether the calling thread is inside a callback
 */
bool reclaim_in_callback(void);

/**
 * reclaim_domain_nr_lingering - shrinkers that were freed while callbacks of
 * theirs were running, and have not been released yet
 */
unsigned long reclaim_domain_nr_lingering(struct reclaim_domain *domain);

/**
 * reclaim_domain_stalled - where the domain counts passes without progress
 *
 * For callers to whom a call is dear.  Another thread's count may be seen late.
 *
 * Return: valid as long as the domain; to be read only.
 */
const volatile uint64_t *reclaim_domain_stalled(struct reclaim_domain *domain);

/**
 * reclaim_domain_get_statistics - what happened so far
 *
 * Each number is exact for the walks that have ended; of a walk under way some
 * may be missing.
 */
void reclaim_domain_get_statistics(struct reclaim_domain *domain,
				   struct reclaim_statistics *statistics);

#endif /* SHRINKER_DOMAIN_H */
