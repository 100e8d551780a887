/* SPDX-License-Identifier: MIT */
/*
 * A domain is a machine.  It has what a kernel has once: the number of nodes, the
 * registry, the memory cgroups, the counters, the events.  The functions of
 * shrinker.h that have kernel names work on the default domain.  Tests, simulations
 * and services make their own domains.
 */
#ifndef SHRINKER_DOMAIN_H
#define SHRINKER_DOMAIN_H

#include <shrinker/shrinker.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Usual stall limit: a pass ends after so many scan calls that made no progress. */
#define RECLAIM_STALL_LIMIT 1024
/* Most nodes of a domain, as many as the kernel can be built for. */
#define RECLAIM_MAX_NODES 1024

/**
 * struct reclaim_statistics - counts of a domain since it was made
 * @walks: walks: calls of shrink_slab() that were not refused
 * @passes: passes that got past the count
 * @scan_calls: calls of scan_objects() that were accounted
 * @slabs_scanned: objects scanned in these calls, modulo 2^64 (SLABS_SCANNED)
 * @freed: objects freed in these calls, modulo 2^64
 * @stalled: passes that were ended because they made no progress
 * @nested: reclaims that were refused because the thread was in a callback
 * @host_entries: number of times that walks entered a host
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
 * struct reclaim_request - arguments of reclaim_run()
 * @nr_to_reclaim: objects to free; the ladder ends after the first priority at
 *	which so many are freed
 * @gfp_mask: allocation context, for the callbacks
 * @nid: memory node; -1: all nodes
 * @memcg: walk this group and the groups below it; NULL: all groups
 * @priority: first priority, usually DEF_PRIORITY; the last one is 0
 */
struct reclaim_request {
	uint64_t nr_to_reclaim;
	gfp_t gfp_mask;
	int nid;
	struct mem_cgroup *memcg;
	int priority;
};

/**
 * struct reclaim_result - results of reclaim_run()
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
/* There are memory cgroups.  Without it, no shrinker is memcg-aware. */
#define RECLAIM_MEMCG (1U << 0)
/* Kernel-memory accounting is on.  Without it, walks for a memory cgroup call only
 * shrinkers with SHRINKER_NONSLAB. */
#define RECLAIM_KMEM (1U << 1)

/**
 * reclaim_domain_create - make a domain
 * @nr_nodes: memory nodes, 1 to RECLAIM_MAX_NODES
 * @stall_limit: scan calls without progress after which a pass ends, as if the
 *	callback had returned SHRINK_STOP; 0: no limit, as in the kernel
 * @flags: RECLAIM_*
 *
 * Return: the domain, held once for the caller.  NULL where @nr_nodes is out of
 * range, or memory ran out for the domain or for the handlers that fork() needs.
 */
struct reclaim_domain *reclaim_domain_create(int nr_nodes,
					     unsigned long stall_limit,
					     unsigned int flags);

/**
 * reclaim_domain_put - drop the creator's reference to a domain
 * @domain: NULL is allowed; the default domain stays
 *
 * Shrinkers, lrus and groups hold their domain: the last reference releases it.
 *
 * Context: not inside a callback of a walk in this domain.
 */
void reclaim_domain_put(struct reclaim_domain *domain);

/**
 * reclaim_default_domain - the domain of the functions with kernel names
 *
 * The first call makes it: one node, RECLAIM_STALL_LIMIT, memory cgroups,
 * kernel-memory accounting.
 *
 * Return: the domain, not held for the caller; NULL where memory ran out.
 */
struct reclaim_domain *reclaim_default_domain(void);

int reclaim_domain_nr_nodes(const struct reclaim_domain *domain);

/**
 * reclaim_shrinker_alloc - shrinker_alloc() for any domain
 * @name: the name itself, not a format
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
 * reclaim_run - the priority ladder: walk at one priority after the other, from
 * request->priority down to 0, until enough objects are freed
 *
 * At each priority, walks the target and all groups below it, parents first, each
 * on every node of the request.  It does not stop within a priority: groups late in
 * the order get as many walks as the first.
 *
 * Context: as shrink_slab().
 * Return: false, and nothing happens, where @request is out of range.  Inside a
 * callback: true, and nothing is walked.
 */
bool reclaim_run(struct reclaim_domain *domain,
		 const struct reclaim_request *request,
		 struct reclaim_result *result);

/**
 * reclaim_stop_walk - end the calling thread's walk after this callback
 *
 * The pass ends as if the callback had returned SHRINK_STOP.  reclaim_run() and
 * drop_slab() end too.  Outside a callback it does nothing.
 */
void reclaim_stop_walk(void);

/**
 * reclaim_in_callback - whether the calling thread is inside a callback
 */
bool reclaim_in_callback(void);

/**
 * reclaim_domain_nr_lingering - number of shrinkers that were unregistered and
 * whose callbacks may still run
 */
unsigned long reclaim_domain_nr_lingering(struct reclaim_domain *domain);

/**
 * reclaim_domain_stalled - the address of the domain's count of stalled passes
 *
 * For callers for which a call is too expensive.  May be late by what other threads
 * have just counted.
 *
 * Return: valid as long as the domain; read only.
 */
const volatile uint64_t *reclaim_domain_stalled(struct reclaim_domain *domain);

/**
 * reclaim_domain_get_statistics - read the domain's counts
 *
 * Includes all walks that have ended, and a part of the walks that run.
 */
void reclaim_domain_get_statistics(struct reclaim_domain *domain,
				   struct reclaim_statistics *statistics);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_DOMAIN_H */
