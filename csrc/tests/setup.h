/* SPDX-License-Identifier: MIT */
/*
 * Domains and memory cgroups for tests.  run_in() gives a test a new domain, and
 * afterwards releases what the test has left: groups of group_new() and registered
 * shrinkers.
 */
#ifndef TESTS_SETUP_H
#define TESTS_SETUP_H

#include "check.h"
#include "memcg.h"

/* Flags of a shrinker that is aware of both. */
#define AWARE (SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE)

static inline struct reclaim_domain *domain_new(int nr_nodes)
{
	struct reclaim_domain *domain =
		reclaim_domain_create(nr_nodes, RECLAIM_STALL_LIMIT, 0);

	CHECK(domain);
	return domain;
}

/* With memory cgroups and kernel-memory accounting. */
static inline struct reclaim_domain *memcg_domain_new(int nr_nodes)
{
	struct reclaim_domain *domain =
		reclaim_domain_create(nr_nodes, RECLAIM_STALL_LIMIT,
				      RECLAIM_MEMCG | RECLAIM_KMEM);

	CHECK(domain);
	return domain;
}

/* Frees the shrinkers that are registered, and lets go of the domain. */
static inline void domain_close(struct reclaim_domain *domain)
{
	struct shrinker *shrinker;

	while ((shrinker = atomic_load(&domain->first)))
		shrinker_free(shrinker);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	reclaim_domain_put(domain);
}

static inline struct reclaim_statistics statistics_of(struct reclaim_domain *domain)
{
	struct reclaim_statistics statistics;

	reclaim_domain_get_statistics(domain, &statistics);
	return statistics;
}

static inline unsigned long walk(struct reclaim_domain *domain, int priority)
{
	return reclaim_shrink_slab(domain, GFP_KERNEL, 0, NULL, priority);
}

/* --- memory cgroups ------------------------------------------------------- */

/* Groups that are held for the test. */
static struct mem_cgroup *groups[16];
static int nr_groups;

/* A group that is held until group_put(), or until groups_put(). */
static inline struct mem_cgroup *group_new(struct mem_cgroup *parent)
{
	CHECK(nr_groups < (int)LENGTH(groups));
	CHECK_EQ(mem_cgroup_create(parent, &groups[nr_groups]), 0);
	return groups[nr_groups++];
}

static inline void group_put(struct mem_cgroup *memcg)
{
	int i = 0;

	while (groups[i] != memcg)
		CHECK(++i < nr_groups);
	groups[i] = groups[--nr_groups];
	mem_cgroup_put(memcg);
}

static inline void groups_put(void)
{
	while (nr_groups)
		mem_cgroup_put(groups[--nr_groups]);
}

/* Takes a group offline and out of the tree. */
static inline void group_remove(struct mem_cgroup *memcg)
{
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	CHECK_EQ(mem_cgroup_remove(memcg), 0);
}

static inline unsigned long walk_group(struct mem_cgroup *memcg, int nid, int priority)
{
	return reclaim_shrink_slab(memcg->domain, GFP_KERNEL, nid, memcg, priority);
}

/* --- running a test ------------------------------------------------------- */

static inline void run_in(struct reclaim_domain *domain,
			  void (*test)(struct reclaim_domain *domain))
{
	alarm(TEST_SECONDS);
	test(domain);
	groups_put();
	domain_close(domain);
	alarm(0);
}

#endif /* TESTS_SETUP_H */
