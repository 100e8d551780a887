/* SPDX-License-Identifier: MIT */
/*
 * Memory cgroups and lists where memory runs out, at each allocation in turn: the
 * call returns an error, nothing visible has changed, nothing leaks, and the next
 * call works.
 */
#include <errno.h>

#include <linux/list_lru.h>

#include "cache.h"
#include "injector.h"

static struct shrinker *shrinker_new(struct reclaim_domain *domain)
{
	return reclaim_shrinker_alloc(domain, AWARE, "s");
}

static void making_a_domain(void)
{
	struct reclaim_domain *domain = NULL;
	unsigned long number;

	for (number = 0; !domain; number++)
		WITH_ALLOCATIONS(number, domain = reclaim_domain_create(
						 2, RECLAIM_STALL_LIMIT,
						 RECLAIM_MEMCG | RECLAIM_KMEM));
	CHECK(number > 2);
	CHECK_EQ(mem_cgroup_get_id(reclaim_domain_root(domain)), MEMCG_ROOT_ID);
	reclaim_domain_put(domain);
}

static void creating_a_group(struct reclaim_domain *domain)
{
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct shrinker *shrinker[65];
	struct mem_cgroup *memcg = NULL;
	int error = -ENOMEM;
	unsigned long number;
	int i;

	for (i = 0; i < 65; i++)
		shrinker[i] = shrinker_new(domain);
	for (number = 0; error; number++) {
		CHECK_EQ(error, -ENOMEM);
		CHECK(!memcg);
		CHECK(mem_cgroup_next(root, NULL) == root);
		CHECK(!mem_cgroup_next(root, root));
		WITH_ALLOCATIONS(number, error = mem_cgroup_create(root, &memcg));
	}
	/* The group; for each node two units and at least one table. */
	CHECK(number > 7);
	CHECK_EQ(mem_cgroup_get_id(memcg), 2);
	set_shrinker_bit(memcg, 1, 64);
	CHECK(mem_cgroup_has_bit(memcg, 1, 64));
	for (i = 0; i < 65; i++)
		shrinker_free(shrinker[i]);
	mem_cgroup_put(memcg);
}

/* Allocating a shrinker for which the maps of all groups have to grow. */
static void growing_maps(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg[3];
	struct shrinker *shrinker[66];
	unsigned long number;
	int i;

	for (i = 0; i < 3; i++)
		memcg[i] = group_new(reclaim_domain_root(domain));
	for (i = 0; i < 64; i++)
		shrinker[i] = shrinker_new(domain);
	shrinker[64] = NULL;
	for (number = 0; !shrinker[64]; number++) {
		CHECK_EQ(mem_cgroup_nr_max(memcg[0]), 64);
		CHECK(!mem_cgroup_has_bit(memcg[0], 0, 64));
		WITH_ALLOCATIONS(number, shrinker[64] = shrinker_new(domain));
	}
	CHECK_EQ(shrinker_id(shrinker[64]), 64);
	CHECK_EQ(mem_cgroup_nr_max(memcg[0]), 128);
	for (i = 0; i < 3; i++) {
		set_shrinker_bit(memcg[i], 1, 127);
		CHECK(mem_cgroup_has_bit(memcg[i], 1, 127));
	}
	/* The maps have room now.  A shrinker that fails takes no id. */
	shrinker[65] = NULL;
	for (number = 0; !shrinker[65]; number++)
		WITH_ALLOCATIONS(number, shrinker[65] = shrinker_new(domain));
	CHECK_EQ(shrinker_id(shrinker[65]), 65);
	for (i = 0; i < 66; i++)
		shrinker_free(shrinker[i]);
}

static void making_an_lru(struct reclaim_domain *domain)
{
	struct shrinker *shrinker = shrinker_new(domain);
	int error = -ENOMEM;
	struct list_lru lru;
	unsigned long number;

	for (number = 0; error; number++) {
		CHECK_EQ(error, -ENOMEM);
		WITH_ALLOCATIONS(number,
				 error = list_lru_init_memcg(&lru, shrinker));
		if (error)
			list_lru_destroy(&lru);
	}
	CHECK_EQ(number, 3);
	CHECK_EQ(list_lru_count(&lru), 0);
	list_lru_destroy(&lru);
	shrinker_free(shrinker);
}

/* Adding the first item of a group whose parents have no lists either. */
static void adding_an_item(struct reclaim_domain *domain)
{
	struct shrinker *shrinker = shrinker_new(domain);
	struct mem_cgroup *memcg[3];
	int error = -ENOMEM;
	struct list_lru lru;
	LIST_HEAD(item);
	unsigned long number;
	int i;

	memcg[0] = group_new(reclaim_domain_root(domain));
	memcg[1] = group_new(memcg[0]);
	memcg[2] = group_new(memcg[1]);
	CHECK_EQ(list_lru_init_memcg(&lru, shrinker), 0);
	for (number = 0; error; number++) {
		CHECK_EQ(error, -ENOMEM);
		CHECK(list_empty(&item));
		CHECK_EQ(list_lru_count(&lru), 0);
		for (i = 0; i < 3; i++) {
			CHECK(!mem_cgroup_has_bit(memcg[i], 0, 0));
			CHECK(!list_lru_del(&lru, &item, 0, memcg[i]));
		}
		WITH_ALLOCATIONS(number, error = list_lru_insert(&lru, &item, 0,
								memcg[2]));
	}
	/* Three tables and three blocks.  Tables stay when blocks fail. */
	CHECK(number > 4);
	CHECK_EQ(list_lru_count_one(&lru, 0, memcg[2]), 1);
	/* Going offline needs no memory. */
	WITH_ALLOCATIONS(0, CHECK_EQ(mem_cgroup_offline(memcg[2]), 0));
	WITH_ALLOCATIONS(0, CHECK_EQ(mem_cgroup_offline(memcg[1]), 0));
	CHECK_EQ(list_lru_count_one(&lru, 0, memcg[0]), 1);
	CHECK(list_lru_del(&lru, &item, 0, memcg[2]));
	list_lru_destroy(&lru);
	shrinker_free(shrinker);
}

int main(void)
{
	RUN(making_a_domain);
	run_in(memcg_domain_new(2), creating_a_group);
	run_in(memcg_domain_new(2), growing_maps);
	run_in(memcg_domain_new(2), making_an_lru);
	run_in(memcg_domain_new(2), adding_an_item);
	return checks_report("test_no_memory_memcg");
}
