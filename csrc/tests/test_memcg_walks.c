/* SPDX-License-Identifier: MIT */
/* Walks for memory cgroups: by the bits of one group, and over the tree. */
#include <sched.h>

#include "memcg_caches.h"
#include "threads.h"

/* Without memory cgroups there is no root, callbacks see no group, and no shrinker
 * is memcg-aware. */
static void without_memcg_no_shrinker_is_aware(struct reclaim_domain *domain)
{
	struct cache a;

	CHECK(!reclaim_domain_root(domain));
	cache_prepare(&a, domain, SHRINKER_MEMCG_AWARE, 'a', 1000);
	a.on_count = check_group;
	shrinker_register(a.shrinker);
	CHECK_EQ(shrinker_id(a.shrinker), -1);
	CHECK(!(a.shrinker->flags & SHRINKER_MEMCG_AWARE));
	CHECK_EQ(walk(domain, 0), 1000);
	CHECK_EQ(atomic_load(&a.counts), 1);
}

/* --- one group ------------------------------------------------------------ */

/* A walk for a group visits, in order of ids, the shrinkers whose bit is set for
 * the node.  A walk over the whole machine visits all, in order of registration. */
static void a_walk_goes_by_the_bits(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	char log[LOG_SIZE] = "";
	struct cache cache[5];
	int i;

	for (i = 0; i < 5; i++) {
		cache_prepare(&cache[i], domain, i < 4 ? AWARE : SHRINKER_NUMA_AWARE,
			      (char)('a' + i), 1000);
		cache[i].log = log;
	}
	for (i = 3; i >= 0; i--)
		shrinker_register(cache[i].shrinker);
	shrinker_register(cache[4].shrinker);

	CHECK_EQ(walk_group(memcg, 0, 12), 0);
	CHECK_TEXT(log, "");
	cache_set_bit(&cache[3], memcg, 0);
	cache_set_bit(&cache[0], memcg, 0);
	cache_set_bit(&cache[1], memcg, 1);
	CHECK_EQ(walk_group(memcg, 0, 12), 0);
	CHECK_TEXT(log, "ad");
	CHECK(has_bit(&cache[0], memcg, 0));
	CHECK_EQ(walk_group(memcg, 1, 12), 0);
	CHECK_TEXT(log, "adb");
	log[0] = '\0';
	CHECK_EQ(walk(domain, 12), 0);
	CHECK_TEXT(log, "dcbae");
}

static void set_bits_of_two(struct cache *cache, struct shrink_control *sc)
{
	struct cache **others = cache->arg;

	cache_set_bit(others[0], sc->memcg, 0);
	cache_set_bit(others[1], sc->memcg, 0);
}

/* The walk visits a shrinker whose bit is set during the walk, if its id is
 * higher. */
static void the_map_is_read_live(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	char log[LOG_SIZE] = "";
	struct cache a, b, c, *others[] = { &a, &c };

	aware_open(&a, domain, 'a', 0, log);
	aware_open(&b, domain, 'b', 1, log);
	aware_open(&c, domain, 'c', 0, log);
	b.on_count = set_bits_of_two;
	b.arg = others;
	cache_set_bit(&b, memcg, 0);
	walk_group(memcg, 0, 12);
	CHECK_TEXT(log, "bcc");
	CHECK(has_bit(&a, memcg, 0));
}

/* A walk clears the bit of a shrinker that is freed, or not registered yet. */
static void bits_without_a_shrinker_are_cleared(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a;

	cache_prepare(&a, domain, AWARE, 'a', 1000);
	cache_set_bit(&a, memcg, 0);
	CHECK_EQ(walk_group(memcg, 0, 0), 0);
	CHECK(!has_bit(&a, memcg, 0));
	shrinker_register(a.shrinker);
	CHECK_EQ(walk_group(memcg, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 0);
	cache_set_bit(&a, memcg, 0);
	CHECK_EQ(walk_group(memcg, 0, 0), 1000);
	cache_close(&a);
	CHECK(mem_cgroup_has_bit(memcg, 0, 0));
	CHECK_EQ(walk_group(memcg, 0, 0), 0);
	CHECK(!mem_cgroup_has_bit(memcg, 0, 0));
}

static _Atomic(unsigned long) walks_done;
static _Atomic(bool) walks_over;

static void *walk_until_over(void *memcg)
{
	while (!atomic_load(&walks_over)) {
		walk_group(memcg, 0, 12);
		atomic_fetch_add(&walks_done, 1);
	}
	return NULL;
}

/* A walk that clears the bit of an id's last shrinker keeps the bit that is set for
 * the next one, once that is registered. */
static void a_new_shrinkers_bit_stays(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	pthread_t thread = thread_start(walk_until_over, memcg);
	unsigned long i;

	for (i = 0; i < 1000; i++) {
		unsigned long walks;
		struct cache a;

		cache_prepare(&a, domain, AWARE, 'a', 1);
		cache_set_bit(&a, memcg, 0);
		/* Later in a walk each time. */
		for (walks = 0; walks < i; walks++)
			atomic_signal_fence(memory_order_seq_cst);
		shrinker_register(a.shrinker);
		cache_set_bit(&a, memcg, 0);
		walks = atomic_load(&walks_done);
		while (atomic_load(&walks_done) < walks + 2)
			sched_yield();
		CHECK(has_bit(&a, memcg, 0));
		cache_close(&a);
	}
	atomic_store(&walks_over, true);
	thread_join(thread);
}

/* Without kernel-memory accounting walks for a group skip slab caches, keep their
 * bits, and hold none of them. */
static void without_kmem_slab_caches_are_skipped(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	char log[LOG_SIZE] = "";
	struct cache slab, other;

	aware_open(&slab, domain, 's', 0, log);
	cache_prepare(&other, domain, AWARE | SHRINKER_NONSLAB, 'o', 1);
	other.log = log;
	shrinker_register(other.shrinker);
	cache_set_bit(&slab, memcg, 0);
	cache_set_bit(&other, memcg, 0);
	CHECK_EQ(walk_group(memcg, 0, 12), 0);
	CHECK_TEXT(log, "o");
	CHECK(has_bit(&slab, memcg, 0));
	CHECK_EQ(walk(domain, 12), 0);
	CHECK_TEXT(log, "oso");
	cache_close(&slab);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_EQ(walk_group(memcg, 0, 12), 0);
	CHECK(!mem_cgroup_has_bit(memcg, 0, 0));
}

/* A group that is offline, or of another domain, is not walked. */
static void offline_and_foreign_groups_are_not_walked(struct reclaim_domain *domain)
{
	struct reclaim_domain *other = memcg_domain_new(1);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a;

	aware_open(&a, domain, 'a', 1000, NULL);
	cache_set_bit(&a, memcg, 0);
	CHECK_EQ(reclaim_shrink_slab(other, GFP_KERNEL, 0, memcg, 0), 0);
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	CHECK_EQ(walk_group(memcg, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 0);
	CHECK(has_bit(&a, memcg, 0));
	reclaim_domain_put(other);
}

/* --- SHRINK_EMPTY, and the second count ----------------------------------- */

static void fill_in_the_second_count(struct cache *cache, struct shrink_control *sc)
{
	if (atomic_load(&cache->counts) == 2) {
		/* The walk has cleared it. */
		CHECK(!has_bit(cache, sc->memcg, sc->nid));
		atomic_store(&cache->objects, 64);
	}
}

static void set_bit_in_the_second_count(struct cache *cache, struct shrink_control *sc)
{
	if (atomic_load(&cache->counts) == 2)
		cache_set_bit(cache, sc->memcg, sc->nid);
}

/* After SHRINK_EMPTY the walk clears the bit and counts again.  The bit is set
 * again if there are objects now, or something has set it meanwhile.  A count of 0
 * keeps it. */
static void shrink_empty_is_counted_twice(struct reclaim_domain *domain)
{
	static const struct {
		cache_hook on_count;
		bool zero_is_unknown;
		unsigned long freed, counts;
		bool bit;
	} rows[] = {
		{ NULL, false, 0, 2, false },
		{ fill_in_the_second_count, false, 64, 2, true },
		{ set_bit_in_the_second_count, false, 0, 2, true },
		{ NULL, true, 0, 1, true },
	};
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		struct cache a;

		aware_open(&a, domain, 'a', 0, NULL);
		a.on_count = rows[i].on_count;
		a.zero_is_unknown = rows[i].zero_is_unknown;
		cache_set_bit(&a, memcg, 0);
		CHECK_EQ(walk_group(memcg, 0, 0), rows[i].freed);
		CHECK_EQ(atomic_load(&a.counts), rows[i].counts);
		CHECK_EQ(has_bit(&a, memcg, 0), rows[i].bit);
		if (!rows[i].bit) {
			CHECK_EQ(walk_group(memcg, 0, 0), 0);
			CHECK_EQ(atomic_load(&a.counts), rows[i].counts);
		}
		cache_close(&a);
	}
}

/* A pass whose sum of freed objects is SHRINK_EMPTY is taken for an empty one. */
static void a_sum_may_be_shrink_empty(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a;

	aware_open(&a, domain, 'a', 1, NULL);
	cache_answer(&a, SHRINK_EMPTY);
	a.shrinker->batch = 2; /* One call in each pass. */
	cache_set_bit(&a, memcg, 0);
	CHECK_EQ(walk_group(memcg, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 2);
	CHECK(!has_bit(&a, memcg, 0));
}

/* After a count that has ended the walk no callback starts, so there is no second
 * count, and the bit stays: an object may have been added meanwhile. */
static void no_second_count_after_a_stop(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a, b;

	aware_open(&a, domain, 'a', 0, NULL);
	aware_open(&b, domain, 'b', 0, NULL);
	cache_set_bit(&a, memcg, 0);
	cache_set_bit(&b, memcg, 0);
	a.on_count = stop_walk;
	CHECK_EQ(walk_group(memcg, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 1);
	CHECK_EQ(atomic_load(&b.counts), 0);
	CHECK(has_bit(&a, memcg, 0));
	a.on_count = NULL;
	CHECK_EQ(walk_group(memcg, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 3);
	CHECK(!has_bit(&a, memcg, 0));
}

/* Nor after a count that has freed its shrinker.  The walk goes on to others, and
 * the next walk clears the bit. */
static void no_second_count_after_a_free(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a, b;
	int id;

	aware_open(&a, domain, 'a', 0, NULL);
	aware_open(&b, domain, 'b', 0, NULL);
	cache_set_bit(&a, memcg, 0);
	cache_set_bit(&b, memcg, 0);
	id = shrinker_id(a.shrinker);
	a.on_count = free_itself;
	CHECK_EQ(walk_group(memcg, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 1);
	CHECK_EQ(atomic_load(&b.counts), 2);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_EQ(walk_group(memcg, 0, 0), 0);
	CHECK(!mem_cgroup_has_bit(memcg, 0, id));
}

/* --- the tree ------------------------------------------------------------- */

static void note_group_and_node(struct cache *cache, struct shrink_control *sc)
{
	log_append(cache->log, (char)('0' + mem_cgroup_get_id(sc->memcg)));
	log_append(cache->log, (char)('0' + sc->nid));
}

static struct reclaim_result check_ladder(struct cache *cache,
					  const struct reclaim_request *request,
					  const char *log)
{
	struct reclaim_result result;

	cache->log[0] = '\0';
	CHECK(reclaim_run(cache->shrinker->domain, request, &result));
	CHECK_TEXT(cache->log, log);
	return result;
}

/* drop_slab() walks the tree on each node; the ladder walks all nodes for each
 * group; both visit parents first. */
static void trees_are_walked_in_order(struct reclaim_domain *domain)
{
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *two = group_new(root), *three = group_new(root);
	struct mem_cgroup *four = group_new(two), *five = group_new(two);
	struct reclaim_request request = { .nr_to_reclaim = 1,
					   .nid = -1,
					   .priority = 1 };
	char log[LOG_SIZE] = "";
	struct reclaim_result result;
	struct cache a;
	int nid;

	aware_open(&a, domain, ' ', 0, log);
	a.zero_is_unknown = true;
	a.on_count = note_group_and_node;
	for (nid = 0; nid < 2; nid++) {
		cache_set_bit(&a, two, nid);
		cache_set_bit(&a, three, nid);
		cache_set_bit(&a, four, nid);
		cache_set_bit(&a, five, nid);
	}
	CHECK_EQ(mem_cgroup_offline(five), 0);
	CHECK_EQ(reclaim_drop_slab(domain), 0);
	CHECK_TEXT(log, " 10 20 40 30 11 21 41 31");
	check_ladder(&a, &request, " 10 11 20 21 40 41 30 31 10 11 20 21 40 41 30 31");
	request.memcg = two;
	request.priority = 0;
	check_ladder(&a, &request, " 20 21 40 41");
	request.nid = 1;
	check_ladder(&a, &request, " 21 41");

	/* After the target is reached the rest of the tree is walked too. */
	request.memcg = NULL;
	request.priority = 12;
	atomic_store(&a.objects, 100);
	a.keeps = true;
	a.shrinker->batch = 1;
	a.shrinker->seeks = 0;
	result = check_ladder(&a, &request, " 11 21 41 31");
	CHECK_EQ(result.nr_reclaimed, 200);
	CHECK_EQ(result.priority, 12);

	request.memcg = reclaim_domain_root(reclaim_default_domain());
	CHECK(!reclaim_run(domain, &request, &result));
}

static struct mem_cgroup *to_remove;

static void remove_one_and_create_one(struct cache *cache, struct shrink_control *sc)
{
	log_append(cache->log, (char)('0' + mem_cgroup_get_id(sc->memcg)));
	if (sc->memcg == to_remove) {
		group_remove(to_remove);
		group_put(to_remove);
		to_remove = NULL;
		group_new(reclaim_domain_root(cache->shrinker->domain));
	}
}

/* A group that a callback removes stays until the walk has left it; a group that
 * the callback creates later in the order is walked too. */
static void groups_come_and_go_during_a_walk(struct reclaim_domain *domain)
{
	struct mem_cgroup *root = reclaim_domain_root(domain), *after;
	struct reclaim_request request = { .nid = -1, .priority = 0 };
	char log[LOG_SIZE] = "";
	struct cache a;

	to_remove = group_new(root);
	after = group_new(root);
	aware_open(&a, domain, ' ', 0, log);
	a.zero_is_unknown = true;
	a.on_count = remove_one_and_create_one;
	cache_set_bit(&a, to_remove, 0);
	cache_set_bit(&a, to_remove, 1);
	cache_set_bit(&a, after, 0);
	/* On its second node the removed group is offline. */
	check_ladder(&a, &request, " 1 1 2 3");
	check_tree(root, "134");
}

int main(void)
{
	run_in(domain_new(1), without_memcg_no_shrinker_is_aware);
	run_in(memcg_domain_new(2), a_walk_goes_by_the_bits);
	run_in(memcg_domain_new(1), the_map_is_read_live);
	run_in(memcg_domain_new(1), bits_without_a_shrinker_are_cleared);
	run_in(memcg_domain_new(1), a_new_shrinkers_bit_stays);
	run_in(reclaim_domain_create(1, RECLAIM_STALL_LIMIT, RECLAIM_MEMCG),
	       without_kmem_slab_caches_are_skipped);
	run_in(memcg_domain_new(1), offline_and_foreign_groups_are_not_walked);
	run_in(memcg_domain_new(1), shrink_empty_is_counted_twice);
	run_in(memcg_domain_new(1), a_sum_may_be_shrink_empty);
	run_in(memcg_domain_new(1), no_second_count_after_a_stop);
	run_in(memcg_domain_new(1), no_second_count_after_a_free);
	run_in(memcg_domain_new(2), trees_are_walked_in_order);
	run_in(memcg_domain_new(2), groups_come_and_go_during_a_walk);
	return checks_report("test_memcg_walks");
}
