/* SPDX-License-Identifier: MIT */
/* Memory cgroups: the tree, the ids of shrinkers, bits and counters, going
 * offline. */
#include <errno.h>

#include "memcg_caches.h"
#include "threads.h"

/* --- the tree ------------------------------------------------------------- */

/* Parents first, children in order of creation; ids count up and are not reused. */
static void the_tree_is_in_order(struct reclaim_domain *domain)
{
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *memcg[9];

	CHECK_EQ(mem_cgroup_get_id(root), MEMCG_ROOT_ID);
	CHECK(mem_cgroup_is_online(root));
	check_tree(root, "1");
	memcg[2] = group_new(root);
	memcg[3] = group_new(root);
	memcg[4] = group_new(memcg[2]);
	memcg[5] = group_new(memcg[3]);
	memcg[6] = group_new(memcg[2]);
	memcg[7] = group_new(memcg[4]);
	check_tree(root, "1247635");
	check_tree(memcg[2], "2476");
	check_tree(memcg[6], "6");
	group_remove(memcg[6]);
	check_tree(root, "124735");
	memcg[8] = group_new(memcg[2]);
	CHECK_EQ(mem_cgroup_get_id(memcg[8]), 8);
	check_tree(root, "1247835");
	/* Groups that are offline are in the tree until they are removed. */
	CHECK_EQ(mem_cgroup_offline(memcg[7]), 0);
	CHECK(!mem_cgroup_is_online(memcg[7]));
	check_tree(root, "1247835");
	groups_put();
	check_tree(root, "1247835");
}

/* A call that must fail returns an error and changes nothing. */
static void refusals_change_nothing(struct reclaim_domain *domain)
{
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *above = group_new(root);
	struct mem_cgroup *first = group_new(above), *second;
	struct mem_cgroup *none = NULL;

	CHECK_EQ(mem_cgroup_offline(root), -EINVAL);
	CHECK_EQ(mem_cgroup_remove(root), -EBUSY);
	CHECK_EQ(mem_cgroup_offline(above), -EBUSY);
	CHECK(mem_cgroup_is_online(above));
	/* Any child counts, not only the first. */
	second = group_new(above);
	CHECK_EQ(mem_cgroup_offline(first), 0);
	CHECK_EQ(mem_cgroup_offline(above), -EBUSY);
	CHECK_EQ(mem_cgroup_remove(first), 0);
	group_put(first);
	CHECK_EQ(mem_cgroup_remove(second), -EBUSY);
	CHECK_EQ(mem_cgroup_offline(second), 0);
	CHECK_EQ(mem_cgroup_offline(second), 0);
	CHECK_EQ(mem_cgroup_create(second, &none), -EINVAL);
	CHECK(!none);
	CHECK_EQ(mem_cgroup_offline(above), 0);
	CHECK_EQ(mem_cgroup_remove(above), -EBUSY);
	check_tree(root, "124");
	CHECK_EQ(mem_cgroup_remove(second), 0);
	CHECK_EQ(mem_cgroup_remove(second), 0);
	CHECK_EQ(mem_cgroup_remove(above), 0);
	check_tree(root, "1");
	CHECK(!mem_cgroup_is_online(above));
}

/* A walk over the tree goes on from a group that was removed meanwhile with its
 * parent, also without their creators' references. */
static void a_tree_walk_keeps_its_place(struct reclaim_domain *domain)
{
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *a = group_new(root), *b = group_new(root);
	struct mem_cgroup *c = group_new(root), *below = group_new(a);
	struct mem_cgroup *memcg;

	memcg = mem_cgroup_next(root, NULL);
	CHECK(memcg == root);
	memcg = mem_cgroup_next(root, memcg);
	memcg = mem_cgroup_next(root, memcg);
	CHECK(memcg == below);
	group_remove(below);
	group_remove(a);
	group_remove(b);
	group_put(below);
	group_put(a);
	group_put(b);
	CHECK_EQ(mem_cgroup_get_id(memcg), 5);
	memcg = mem_cgroup_next(root, memcg);
	CHECK(memcg == c);

	/* Two walks; the second ends early. */
	CHECK(mem_cgroup_next(root, NULL) == root);
	mem_cgroup_unpin(root);
	group_remove(c);
	group_put(c);
	CHECK(!mem_cgroup_next(root, memcg));
	check_tree(root, "1");
}

/* The group at which the walk began may be removed too. */
static void a_tree_walk_survives_its_root(struct reclaim_domain *domain)
{
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *a = group_new(root), *below = group_new(a);
	struct mem_cgroup *memcg = mem_cgroup_next(a, NULL);

	memcg = mem_cgroup_next(a, memcg);
	CHECK(memcg == below);
	group_remove(below);
	group_remove(a);
	group_put(below);
	CHECK(!mem_cgroup_next(a, memcg));
	CHECK(!mem_cgroup_next(a, NULL));
	check_tree(root, "1");
}

/* A group holds its domain. */
static void a_group_holds_its_domain(void)
{
	struct reclaim_domain *domain = memcg_domain_new(1);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));

	reclaim_domain_put(domain);
	CHECK_EQ(mem_cgroup_get_id(memcg), 2);
	group_remove(memcg);
	groups_put();
}

/* --- ids and maps --------------------------------------------------------- */

/* A shrinker gets the lowest free id, and gives it back when it is freed. */
static void ids_are_the_lowest_free(struct reclaim_domain *domain)
{
	struct cache cache[4];
	int i;

	for (i = 0; i < 4; i++) {
		cache_prepare(&cache[i], domain, AWARE, 'c', 0);
		CHECK_EQ(shrinker_id(cache[i].shrinker), i);
	}
	shrinker_register(cache[2].shrinker);
	cache_close(&cache[1]);
	cache_close(&cache[2]);
	for (i = 1; i < 3; i++) {
		cache_prepare(&cache[i], domain, AWARE, 'c', 0);
		CHECK_EQ(shrinker_id(cache[i].shrinker), i);
	}
	for (i = 0; i < 4; i++)
		cache_close(&cache[i]);
	cache_prepare(&cache[0], domain, SHRINKER_NUMA_AWARE, 'c', 0);
	CHECK_EQ(shrinker_id(cache[0].shrinker), -1);
	cache_close(&cache[0]);
}

static void free_and_make_another(struct cache *cache, struct shrink_control *sc)
{
	struct cache *other = cache->arg;
	struct reclaim_domain *domain = cache->shrinker->domain;

	CHECK_EQ(shrinker_id(cache->shrinker), 0);
	free_itself(cache, sc);
	cache_prepare(other, domain, AWARE, 'b', 0);
	CHECK_EQ(shrinker_id(other->shrinker), 1);
}

/* A shrinker that its own callback frees keeps its id to the end of the pass, which
 * still uses its counter. */
static void an_id_lasts_as_long_as_the_pass(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a, b, c;

	lazy_open(&a, domain, AWARE, 'a');
	a.on_scan = free_and_make_another;
	a.arg = &b;
	cache_set_bit(&a, memcg, 0);
	CHECK_EQ(walk_group(memcg, 0, 3), 0);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 0, 0), 250);
	cache_prepare(&c, domain, AWARE, 'c', 0);
	CHECK_EQ(shrinker_id(c.shrinker), 0);
	cache_close(&b);
	cache_close(&c);
}

/* Bits exist for groups below the root, valid nodes and ids.  They can be set on a
 * group that is offline, and for a shrinker that is not registered. */
static void bits_are_set_where_there_are_any(struct reclaim_domain *domain)
{
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *memcg = group_new(root);
	int64_t deferred[MEMCG_UNIT_IDS];
	struct cache a;

	/* Without a memcg-aware shrinker there are no maps. */
	CHECK_EQ(mem_cgroup_nr_max(memcg), 0);
	set_shrinker_bit(memcg, 0, 0);
	CHECK(!mem_cgroup_has_bit(memcg, 0, 0));
	CHECK_EQ(mem_cgroup_read_unit(memcg, 0, 0, deferred), 0);

	cache_prepare(&a, domain, AWARE, 'a', 0);
	CHECK_EQ(mem_cgroup_nr_max(memcg), MEMCG_UNIT_IDS);
	set_shrinker_bit(NULL, 0, 0);
	set_shrinker_bit(root, 0, 0);
	set_shrinker_bit(memcg, 0, -1);
	set_shrinker_bit(memcg, 0, MEMCG_UNIT_IDS);
	set_shrinker_bit(memcg, 2, 0);
	set_shrinker_bit(memcg, -1, 0);
	CHECK_EQ(mem_cgroup_read_unit(memcg, 0, 0, deferred), 0);
	CHECK_EQ(mem_cgroup_read_unit(memcg, 1, 0, deferred), 0);
	CHECK_EQ(mem_cgroup_read_unit(root, 0, 0, deferred), 0);
	CHECK(!mem_cgroup_has_bit(memcg, 2, 0));
	CHECK(!mem_cgroup_has_bit(NULL, 0, 0));
	CHECK(!mem_cgroup_has_bit(memcg, 0, -1));
	CHECK(!mem_cgroup_map(memcg, 2, 0));
	CHECK(!mem_cgroup_map(memcg, 0, MEMCG_UNIT_IDS));
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, -1, 0), 0);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 0, MEMCG_UNIT_IDS), 0);

	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	cache_set_bit(&a, memcg, 1);
	set_shrinker_bit(memcg, 1, 63);
	CHECK(has_bit(&a, memcg, 1));
	CHECK(!has_bit(&a, memcg, 0));
	CHECK_EQ(*mem_cgroup_map(memcg, 1, 0), UINT64_C(1) << 63 | 1);
	CHECK_EQ(mem_cgroup_read_unit(memcg, 1, 0, deferred),
		 UINT64_C(1) << 63 | 1);
	CHECK_EQ(mem_cgroup_read_unit(memcg, 1, 1, deferred), 0);
	CHECK_EQ(mem_cgroup_read_unit(memcg, 1, -1, deferred), 0);
	cache_close(&a);
}

#define WALKS 500

static void *walk_while_growing(void *memcg)
{
	int i;

	for (i = 0; i < WALKS; i++)
		CHECK_EQ(walk_group(memcg, 1, 12), 0);
	return NULL;
}

/* Maps grow by 64 ids, in old groups and new ones.  Counters do not move: walks
 * beside lose no deferred object. */
static void growing_moves_nothing(struct reclaim_domain *domain)
{
	enum { MANY = 200 };
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain)), *late;
	struct shrinker *shrinker[MANY];
	unsigned long memory;
	pthread_t thread[2];
	struct cache a;
	int i;

	/* A walk at priority 12 defers 2^29 objects of 2^40. */
	lazy_open(&a, domain, AWARE, 'a');
	atomic_store(&a.objects, UINT64_C(1) << 40);
	cache_set_bit(&a, memcg, 1);
	memory = mem_cgroup_memory(memcg);
	threads_start(thread, 2, walk_while_growing, memcg);
	for (i = 1; i < MANY; i++) {
		shrinker[i] = reclaim_shrinker_alloc(domain, AWARE, "crowd");
		CHECK(shrinker[i]);
		CHECK_EQ(shrinker_id(shrinker[i]), i);
		CHECK_EQ(mem_cgroup_nr_max(memcg), i / 64 * 64 + 64);
		usleep(20);
	}
	threads_join(thread, 2);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 1, 0),
		 2 * WALKS * (UINT64_C(1) << 29));
	CHECK(has_bit(&a, memcg, 1));
	CHECK(mem_cgroup_memory(memcg) > memory);

	late = group_new(memcg);
	set_shrinker_bit(late, 1, 199);
	set_shrinker_bit(memcg, 0, 128);
	CHECK(mem_cgroup_has_bit(late, 1, 199));
	CHECK(mem_cgroup_has_bit(memcg, 0, 128));
	CHECK_EQ(walk_group(late, 1, 0), 0);
	CHECK(!mem_cgroup_has_bit(late, 1, 199));
	for (i = 1; i < MANY; i++)
		shrinker_free(shrinker[i]);
}

/* --- deferred work -------------------------------------------------------- */

/* Each group has its own deferred work.  The root's is that of walks over the whole
 * machine.  A shrinker that is not memcg-aware has one counter for all groups. */
static void deferred_work_belongs_to_the_group(struct reclaim_domain *domain)
{
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *memcg = group_new(root);
	struct cache a, unaware;

	lazy_open(&a, domain, AWARE, 'a');
	lazy_open(&unaware, domain, 0, 'u');
	a.on_count = unaware.on_count = check_group;
	a.arg = unaware.arg = root;
	reclaim_shrink_slab(domain, GFP_KERNEL, 1, NULL, 3);
	walk_group(root, 1, 3);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 1, 0), 500);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 0, 0), 0);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 1, NULL), 500);
	CHECK_EQ(shrinker_nr_deferred(unaware.shrinker, 0, NULL), 500);
	a.arg = unaware.arg = memcg;
	cache_set_bit(&a, memcg, 1);
	walk_group(memcg, 1, 3);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 1, 0), 250);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 1, memcg), 250);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 1, 0), 500);
	CHECK_EQ(shrinker_nr_deferred(unaware.shrinker, 1, memcg), 500);
}

/* A shrinker that is not NUMA-aware has a bit for each node, and one counter, which
 * is node 0's. */
static void without_numa_awareness_node_0_counts(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a;

	lazy_open(&a, domain, SHRINKER_MEMCG_AWARE, 'a');
	cache_set_bit(&a, memcg, 2);
	walk_group(memcg, 0, 3);
	CHECK_EQ(atomic_load(&a.counts), 0);
	walk_group(memcg, 2, 3);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 2, 0), 0);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 0, 0), 250);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 2, memcg), 250);
	atomic_store(&a.objects, 0);
	walk_group(memcg, 2, 3);
	CHECK(!has_bit(&a, memcg, 2));
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 0, 0), 250);
}

/* The next shrinker with an id gets the bits and counters that the last one
 * left. */
static void an_id_keeps_bits_and_counters(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a;

	lazy_open(&a, domain, AWARE, 'a');
	cache_set_bit(&a, memcg, 0);
	walk_group(memcg, 0, 3);
	cache_close(&a);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 0, 0), 250);
	lazy_open(&a, domain, AWARE, 'a');
	CHECK(has_bit(&a, memcg, 0));
	walk_group(memcg, 0, 3);
	CHECK_EQ(atomic_load(&a.counts), 1);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, memcg), 500);
}

/* Going offline adds a group's deferred objects to its parent's, node by node,
 * once; reparent_shrinker_deferred() does so each time that it is called.  The
 * root's are doubled by it. */
static void deferred_work_is_added_to_the_parents(struct reclaim_domain *domain)
{
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *above = group_new(root), *memcg = group_new(above);
	struct cache a, b;

	lazy_open(&a, domain, AWARE, 'a');
	lazy_open(&b, domain, SHRINKER_MEMCG_AWARE, 'b');
	cache_set_bit(&a, memcg, 1);
	cache_set_bit(&b, memcg, 1);
	cache_set_bit(&a, above, 1);
	walk_group(memcg, 1, 3);
	walk_group(above, 1, 3);
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 1, 0), 250);
	CHECK_EQ(mem_cgroup_nr_deferred(above, 1, 0), 500);
	CHECK_EQ(mem_cgroup_nr_deferred(above, 0, 1), 250);
	CHECK_EQ(mem_cgroup_nr_deferred(above, 0, 0), 0);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 1, 0), 0);
	/* Deferred work alone sets no bit. */
	CHECK(!has_bit(&b, above, 1));
	reparent_shrinker_deferred(memcg);
	CHECK_EQ(mem_cgroup_nr_deferred(above, 1, 0), 750);
	CHECK_EQ(mem_cgroup_offline(above), 0);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 1, 0), 750);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 0, 1), 500);
	reparent_shrinker_deferred(root);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 1, 0), 1500);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 0, 1), 1000);
}

int main(void)
{
	run_in(memcg_domain_new(1), the_tree_is_in_order);
	run_in(memcg_domain_new(1), refusals_change_nothing);
	run_in(memcg_domain_new(1), a_tree_walk_keeps_its_place);
	run_in(memcg_domain_new(1), a_tree_walk_survives_its_root);
	RUN(a_group_holds_its_domain);
	run_in(memcg_domain_new(1), ids_are_the_lowest_free);
	run_in(memcg_domain_new(1), an_id_lasts_as_long_as_the_pass);
	run_in(memcg_domain_new(2), bits_are_set_where_there_are_any);
	run_in(memcg_domain_new(2), growing_moves_nothing);
	run_in(memcg_domain_new(2), deferred_work_belongs_to_the_group);
	run_in(memcg_domain_new(3), without_numa_awareness_node_0_counts);
	run_in(memcg_domain_new(1), an_id_keeps_bits_and_counters);
	run_in(memcg_domain_new(2), deferred_work_is_added_to_the_parents);
	return checks_report("test_memcg");
}
