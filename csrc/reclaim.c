/* SPDX-License-Identifier: MIT */
/*
 * What makes walks: the priority ladder and drop_slab().
 */
#include <string.h>

#include "memcg.h"
#include "walk.h"

/*
 * Goes to the next group of the tree under @root, parents first.  Without memory
 * cgroups there is one turn, with NULL.  Other groups may come and go meanwhile;
 * the current one stays (mem_cgroup_next()).
 */
static bool next_group(struct mem_cgroup *root, struct mem_cgroup **memcg,
		       bool *begun)
{
	bool first = !*begun;

	*begun = true;
	if (!root)
		return first;
	*memcg = mem_cgroup_next(root, *memcg);
	return *memcg;
}

/* The target and each group below it, on node @nid; -1: on all nodes. */
static unsigned long walk_groups(struct walker *walk, gfp_t gfp_mask, int nid,
				 struct mem_cgroup *target, int priority)
{
	struct mem_cgroup *root = target ? target : walk->domain->root;
	struct mem_cgroup *memcg = NULL;
	unsigned long freed = 0;
	bool begun = false;
	int node;

	while (next_group(root, &memcg, &begun))
		for (node = 0; node < walk->domain->nr_nodes; node++)
			if (!walk->stop && (nid < 0 || nid == node))
				freed += walk_slab(walk, gfp_mask, node, memcg,
						   priority);
	return freed;
}

/* On each node, each group: the order of drop_slab(). */
static unsigned long walk_nodes(struct walker *walk)
{
	unsigned long freed = 0;
	int node;

	for (node = 0; node < walk->domain->nr_nodes; node++) {
		struct mem_cgroup *memcg = NULL;
		bool begun = false;

		while (next_group(walk->domain->root, &memcg, &begun))
			if (!walk->stop)
				freed += walk_slab(walk, GFP_KERNEL, node, memcg,
						   0);
	}
	return freed;
}

unsigned long reclaim_drop_slab(struct reclaim_domain *domain)
{
	struct walker *walk = reclaim_begin(domain);
	unsigned long freed, total = 0;
	int shift = 0;

	if (!walk)
		return 0;
	/* The number of objects that a round has to free doubles from round to
	 * round, so that this ends with caches that refill themselves too. */
	do {
		freed = walk_nodes(walk);
		total += freed;
	} while (!walk->stop && freed >> shift++ > 1 && shift < 64);
	walk_end(walk);
	return total;
}

bool reclaim_run(struct reclaim_domain *domain,
		 const struct reclaim_request *request,
		 struct reclaim_result *result)
{
	struct walker *walk;
	uint64_t scanned, passes;
	int priority;

	memset(result, 0, sizeof(*result));
	result->priority = request->priority;
	if (!priority_is_valid(request->priority) ||
	    (request->nid != -1 && !nid_is_valid(domain, request->nid)) ||
	    (request->memcg && request->memcg->domain != domain))
		return false;
	walk = reclaim_begin(domain);
	if (!walk)
		return true;

	scanned = atomic_load(&walk->counted.scanned);
	passes = atomic_load(&walk->counted.passes);
	for (priority = request->priority; priority >= 0; priority--) {
		result->priority = priority;
		result->nr_reclaimed += walk_groups(walk, request->gfp_mask,
						    request->nid,
						    request->memcg, priority);
		if (walk->stop || result->nr_reclaimed >= request->nr_to_reclaim)
			break;
	}
	result->nr_scanned = atomic_load(&walk->counted.scanned) - scanned;
	result->passes = atomic_load(&walk->counted.passes) - passes;
	result->stopped = walk->stop;
	walk_end(walk);
	return true;
}
