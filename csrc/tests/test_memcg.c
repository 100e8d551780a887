/* SPDX-License-Identifier: MIT */
/* Memory cgroups: the tree, the maps, and walks over groups. */
#include <sched.h>

#include <shrinker/memcg.h>

#include "cache.h"

#define AWARE (SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE)

static struct reclaim_domain *machine(int nr_nodes)
{
	struct reclaim_domain *domain =
		reclaim_domain_create(nr_nodes, RECLAIM_STALL_LIMIT,
				      RECLAIM_MEMCG | RECLAIM_KMEM);

	CHECK(domain);
	return domain;
}

static struct mem_cgroup *group_new(struct mem_cgroup *parent)
{
	struct mem_cgroup *memcg;

	CHECK_EQ(mem_cgroup_create(parent, &memcg), 0);
	return memcg;
}

static void group_remove(struct mem_cgroup *memcg)
{
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	CHECK_EQ(mem_cgroup_remove(memcg), 0);
}

static void set_bit(struct cache *cache, struct mem_cgroup *memcg, int nid)
{
	set_shrinker_bit(memcg, nid, shrinker_id(cache->shrinker));
}

static bool has_bit(struct cache *cache, struct mem_cgroup *memcg, int nid)
{
	return mem_cgroup_has_bit(memcg, nid, shrinker_id(cache->shrinker));
}

static unsigned long walk_group(struct mem_cgroup *memcg,
				struct reclaim_domain *domain, int nid,
				int priority)
{
	return reclaim_shrink_slab(domain, GFP_KERNEL, nid, memcg, priority);
}

/* A cache that puts all of its work off: 250 from a walk at priority 3. */
static void lazy_open(struct cache *cache, struct reclaim_domain *domain,
		      unsigned int flags, char tag)
{
	cache_prepare(cache, domain, flags, tag, 1000);
	cache->answers = true;
	cache->answer = SHRINK_STOP;
	shrinker_register(cache->shrinker);
}

static void empty_open(struct cache *cache, struct reclaim_domain *domain,
		       unsigned int flags, char tag, char *log)
{
	cache_prepare(cache, domain, flags, tag, 0);
	cache->log = log;
	shrinker_register(cache->shrinker);
}

/* --- the tree ------------------------------------------------------------- */

/* Ids in order of the walk over the whole tree. */
static void check_tree(struct mem_cgroup *root, const char *ids)
{
	struct mem_cgroup *memcg = NULL;
	char log[LOG_SIZE] = "";

	while ((memcg = mem_cgroup_next(root, memcg)))
		log_append(log, (char)('0' + mem_cgroup_get_id(memcg)));
	CHECK_TEXT(log, ids);
}

/* Parents first, children as they were created; ids count up and are not used
 * again. */
static void the_tree_is_in_order(void)
{
	struct reclaim_domain *domain = machine(1);
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
	/* Those that are offline are there until they are removed. */
	CHECK_EQ(mem_cgroup_offline(memcg[7]), 0);
	CHECK(!mem_cgroup_is_online(memcg[7]));
	check_tree(root, "1247835");
	for (int i = 2; i < 9; i++)
		mem_cgroup_put(memcg[i]);
	check_tree(root, "1247835");
	reclaim_domain_put(domain);
}

/* What cannot be done says so, and changes nothing. */
static void the_rules_of_going(void)
{
	struct reclaim_domain *domain = machine(1);
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *above = group_new(root);
	struct mem_cgroup *below = group_new(above);
	struct mem_cgroup *second, *none = NULL;

	CHECK_EQ(mem_cgroup_offline(root), -EINVAL);
	CHECK_EQ(mem_cgroup_remove(root), -EBUSY);
	CHECK_EQ(mem_cgroup_offline(above), -EBUSY);
	CHECK(mem_cgroup_is_online(above));
	/* Any child counts, not the first alone. */
	second = group_new(above);
	CHECK_EQ(mem_cgroup_offline(below), 0);
	CHECK_EQ(mem_cgroup_offline(above), -EBUSY);
	CHECK_EQ(mem_cgroup_remove(below), 0);
	mem_cgroup_put(below);
	below = second;
	CHECK_EQ(mem_cgroup_remove(below), -EBUSY);
	CHECK_EQ(mem_cgroup_offline(below), 0);
	CHECK_EQ(mem_cgroup_offline(below), 0);
	CHECK_EQ(mem_cgroup_create(below, &none), -EINVAL);
	CHECK(!none);
	CHECK_EQ(mem_cgroup_offline(above), 0);
	CHECK_EQ(mem_cgroup_remove(above), -EBUSY);
	check_tree(root, "124");
	CHECK_EQ(mem_cgroup_remove(below), 0);
	CHECK_EQ(mem_cgroup_remove(below), 0);
	CHECK_EQ(mem_cgroup_remove(above), 0);
	check_tree(root, "1");
	CHECK(!mem_cgroup_is_online(above));
	mem_cgroup_put(above);
	mem_cgroup_put(below);
	reclaim_domain_put(domain);
}

/* A walk over the tree goes on from a group that was removed under it, with its
 * parent, and whatever became of the references. */
static void a_tree_walk_keeps_its_place(void)
{
	struct reclaim_domain *domain = machine(1);
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
	mem_cgroup_put(below);
	mem_cgroup_put(a);
	mem_cgroup_put(b);
	CHECK_EQ(mem_cgroup_get_id(memcg), 5);
	memcg = mem_cgroup_next(root, memcg);
	CHECK(memcg == c);

	/* Two walks at one place; the second ends early. */
	CHECK(mem_cgroup_next(root, NULL) == root);
	mem_cgroup_unpin(root);
	group_remove(c);
	mem_cgroup_put(c);
	CHECK(!mem_cgroup_next(root, memcg));
	check_tree(root, "1");
	reclaim_domain_put(domain);
}

/* The walk's own root may be removed as well. */
static void a_tree_walk_survives_its_root(void)
{
	struct reclaim_domain *domain = machine(1);
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *a = group_new(root), *below = group_new(a);
	struct mem_cgroup *memcg = mem_cgroup_next(a, NULL);

	memcg = mem_cgroup_next(a, memcg);
	CHECK(memcg == below);
	group_remove(below);
	group_remove(a);
	mem_cgroup_put(below);
	CHECK(!mem_cgroup_next(a, memcg));
	CHECK(!mem_cgroup_next(a, NULL));
	check_tree(root, "1");
	mem_cgroup_put(a);
	reclaim_domain_put(domain);
}

/* Who has a group has its domain; who has a shrinker too. */
static void a_group_keeps_its_domain(void)
{
	struct reclaim_domain *domain = machine(1);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));

	reclaim_domain_put(domain);
	CHECK_EQ(mem_cgroup_get_id(memcg), 2);
	group_remove(memcg);
	mem_cgroup_put(memcg);
}

static void note_the_group(struct cache *cache, struct shrink_control *sc)
{
	CHECK(sc->memcg == cache->arg);
}

/* Without memory cgroups there is no root, callbacks see no group, and nobody is
 * aware of any. */
static void without_groups_nobody_is_aware(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache a;

	CHECK(!reclaim_domain_root(domain));
	cache_prepare(&a, domain, SHRINKER_MEMCG_AWARE, 'a', 1000);
	a.on_count = note_the_group;
	shrinker_register(a.shrinker);
	CHECK_EQ(shrinker_id(a.shrinker), -1);
	CHECK(!(a.shrinker->flags & SHRINKER_MEMCG_AWARE));
	CHECK_EQ(walk(domain, 0), 1000);
	CHECK_EQ(atomic_load(&a.counts), 1);
	cache_close(&a);
	reclaim_domain_put(domain);
}

/* --- ids and maps --------------------------------------------------------- */

/* The lowest free id; an id is free when the shrinker's last callback is over. */
static void ids_are_the_lowest_free(void)
{
	struct reclaim_domain *domain = machine(1);
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
	reclaim_domain_put(domain);
}

static void free_and_make_another(struct cache *cache, struct shrink_control *sc)
{
	struct cache *other = cache->arg;

	CHECK_EQ(shrinker_id(cache->shrinker), 0);
	shrinker_free(cache->shrinker);
	cache_prepare(other, cache->shrinker->domain, AWARE, 'b', 0);
	CHECK_EQ(shrinker_id(other->shrinker), 1);
	(void)sc;
}

/* Freed by its own callback, a shrinker has its id until the pass is over: the
 * pass has its counter still. */
static void an_id_lasts_as_long_as_callbacks(void)
{
	struct reclaim_domain *domain = machine(1);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a, b, c;

	lazy_open(&a, domain, AWARE, 'a');
	a.on_scan = free_and_make_another;
	a.arg = &b;
	set_bit(&a, memcg, 0);
	CHECK_EQ(walk_group(memcg, domain, 0, 3), 0);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 0, 0), 250);
	cache_prepare(&c, domain, AWARE, 'c', 0);
	CHECK_EQ(shrinker_id(c.shrinker), 0);
	cache_close(&b);
	cache_close(&c);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
}

/* Bits are for groups below the root, nodes and ids that are there; they may be
 * set on a group that is offline and for a shrinker that is not registered. */
static void bits_are_set_where_there_are_any(void)
{
	struct reclaim_domain *domain = machine(2);
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *memcg = group_new(root);
	int64_t deferred[MEMCG_UNIT_IDS];
	struct cache a;

	/* No shrinker, no maps. */
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
	set_bit(&a, memcg, 1);
	set_shrinker_bit(memcg, 1, 63);
	CHECK(has_bit(&a, memcg, 1));
	CHECK(!has_bit(&a, memcg, 0));
	CHECK_EQ(*mem_cgroup_map(memcg, 1, 0), UINT64_C(1) << 63 | 1);
	CHECK_EQ(mem_cgroup_read_unit(memcg, 1, 0, deferred),
		 UINT64_C(1) << 63 | 1);
	CHECK_EQ(mem_cgroup_read_unit(memcg, 1, 1, deferred), 0);
	CHECK_EQ(mem_cgroup_read_unit(memcg, 1, -1, deferred), 0);
	cache_close(&a);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
}

#define WALKS 500
#define LATE_OBJECTS (UINT64_C(1) << 40)
/* What a walk at priority 12 puts off. */
#define LATE_WORK (UINT64_C(1) << 29)

static struct mem_cgroup *grown;
static struct reclaim_domain *growing;

static void *walk_while_growing(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < WALKS; i++)
		CHECK_EQ(walk_group(grown, growing, 1, 12), 0);
	return NULL;
}

/* Maps grow by 64 ids in groups old and new; walks under way lose no deferred
 * work in counters that stay where they are. */
static void growing_moves_nothing(void)
{
	enum { MANY = 200 };
	struct shrinker *shrinker[MANY];
	struct mem_cgroup *late;
	unsigned long memory;
	pthread_t thread[2];
	struct cache a;
	int i;

	growing = machine(2);
	grown = group_new(reclaim_domain_root(growing));
	lazy_open(&a, growing, AWARE, 'a');
	atomic_store(&a.objects, LATE_OBJECTS);
	set_bit(&a, grown, 1);
	memory = mem_cgroup_memory(grown);
	for (i = 0; i < 2; i++)
		thread[i] = thread_start(walk_while_growing, NULL);
	for (i = 1; i < MANY; i++) {
		shrinker[i] = reclaim_shrinker_alloc(growing, AWARE, "crowd");
		CHECK(shrinker[i]);
		CHECK_EQ(shrinker_id(shrinker[i]), i);
		CHECK_EQ(mem_cgroup_nr_max(grown), i / 64 * 64 + 64);
		usleep(20);
	}
	for (i = 0; i < 2; i++)
		thread_join(thread[i]);
	CHECK_EQ(mem_cgroup_nr_deferred(grown, 1, 0), 2 * WALKS * LATE_WORK);
	CHECK(has_bit(&a, grown, 1));
	CHECK(mem_cgroup_memory(grown) > memory);

	late = group_new(grown);
	set_shrinker_bit(late, 1, 199);
	set_shrinker_bit(grown, 0, 128);
	CHECK(mem_cgroup_has_bit(late, 1, 199));
	CHECK(mem_cgroup_has_bit(grown, 0, 128));
	CHECK_EQ(walk_group(late, growing, 1, 0), 0);
	CHECK(!mem_cgroup_has_bit(late, 1, 199));
	for (i = 1; i < MANY; i++)
		shrinker_free(shrinker[i]);
	cache_close(&a);
	mem_cgroup_put(late);
	mem_cgroup_put(grown);
	reclaim_domain_put(growing);
}

/* --- walks over a group --------------------------------------------------- */

/* By id, not by registration, those alone whose bit is set for the node. */
static void a_walk_goes_by_the_bits(void)
{
	struct reclaim_domain *domain = machine(2);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	char log[LOG_SIZE] = "";
	struct cache cache[4], unaware;
	int i;

	for (i = 0; i < 4; i++) {
		cache_prepare(&cache[i], domain, AWARE, (char)('a' + i), 1000);
		cache[i].log = log;
	}
	for (i = 3; i >= 0; i--)
		shrinker_register(cache[i].shrinker);
	cache_prepare(&unaware, domain, SHRINKER_NUMA_AWARE, 'u', 1000);
	unaware.log = log;
	shrinker_register(unaware.shrinker);

	CHECK_EQ(walk_group(memcg, domain, 0, 12), 0);
	CHECK_TEXT(log, "");
	set_bit(&cache[3], memcg, 0);
	set_bit(&cache[0], memcg, 0);
	set_bit(&cache[1], memcg, 1);
	CHECK_EQ(walk_group(memcg, domain, 0, 12), 0);
	CHECK_TEXT(log, "ad");
	CHECK(has_bit(&cache[0], memcg, 0));
	CHECK_EQ(walk_group(memcg, domain, 1, 12), 0);
	CHECK_TEXT(log, "adb");
	/* The whole machine: everybody, as registered. */
	log[0] = '\0';
	CHECK_EQ(walk(domain, 12), 0);
	CHECK_TEXT(log, "dcbau");
	for (i = 0; i < 4; i++)
		cache_close(&cache[i]);
	cache_close(&unaware);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
}

static struct cache *to_set[2];

static void set_two_bits(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	set_bit(to_set[0], sc->memcg, 0);
	set_bit(to_set[1], sc->memcg, 0);
}

/* A bit set by a callback is seen if it is for a higher id. */
static void the_map_is_read_live(void)
{
	struct reclaim_domain *domain = machine(1);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	char log[LOG_SIZE] = "";
	struct cache a, b, c;

	empty_open(&a, domain, AWARE, 'a', log);
	empty_open(&b, domain, AWARE, 'b', log);
	empty_open(&c, domain, AWARE, 'c', log);
	atomic_store(&b.objects, 1);
	b.on_count = set_two_bits;
	to_set[0] = &a;
	to_set[1] = &c;
	set_bit(&b, memcg, 0);
	walk_group(memcg, domain, 0, 12);
	CHECK_TEXT(log, "bcc");
	CHECK(has_bit(&a, memcg, 0));
	cache_close(&a);
	cache_close(&b);
	cache_close(&c);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
}

/* A bit whose shrinker is gone, or not registered yet, is cleared. */
static void bits_of_nobody_are_cleared(void)
{
	struct reclaim_domain *domain = machine(1);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a;

	cache_prepare(&a, domain, AWARE, 'a', 1000);
	set_bit(&a, memcg, 0);
	CHECK_EQ(walk_group(memcg, domain, 0, 0), 0);
	CHECK(!has_bit(&a, memcg, 0));
	shrinker_register(a.shrinker);
	CHECK_EQ(walk_group(memcg, domain, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 0);
	set_bit(&a, memcg, 0);
	CHECK_EQ(walk_group(memcg, domain, 0, 0), 1000);
	cache_close(&a);
	CHECK(mem_cgroup_has_bit(memcg, 0, 0));
	CHECK_EQ(walk_group(memcg, domain, 0, 0), 0);
	CHECK(!mem_cgroup_has_bit(memcg, 0, 0));
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
}

#define NEWCOMERS 1000

static struct mem_cgroup *busy;
static struct reclaim_domain *busy_domain;
static _Atomic(unsigned long) busy_walks;
static _Atomic(bool) newcomers_over;

static void *walk_busily(void *arg)
{
	(void)arg;
	while (!atomic_load(&newcomers_over)) {
		walk_group(busy, busy_domain, 0, 12);
		atomic_fetch_add(&busy_walks, 1);
	}
	return NULL;
}

/* A walk that clears the bit which an id's last shrinker has left does not clear
 * what the next one sets: once registered, a bit stays while there are objects. */
static void a_newcomers_bit_stays(void)
{
	pthread_t thread;
	int i;

	busy_domain = machine(1);
	busy = group_new(reclaim_domain_root(busy_domain));
	thread = thread_start(walk_busily, NULL);
	for (i = 0; i < NEWCOMERS; i++) {
		unsigned long walks;
		struct cache a;

		cache_prepare(&a, busy_domain, AWARE, 'a', 1);
		set_bit(&a, busy, 0);
		/* Some way into a walk. */
		for (walks = 0; walks < (unsigned long)i; walks++)
			atomic_signal_fence(memory_order_seq_cst);
		shrinker_register(a.shrinker);
		set_bit(&a, busy, 0);
		walks = atomic_load(&busy_walks);
		while (atomic_load(&busy_walks) < walks + 2)
			sched_yield();
		CHECK(has_bit(&a, busy, 0));
		cache_close(&a);
	}
	atomic_store(&newcomers_over, true);
	thread_join(thread);
	mem_cgroup_put(busy);
	reclaim_domain_put(busy_domain);
}

static void fill_at_the_second_count(struct cache *cache, struct shrink_control *sc)
{
	if (atomic_load(&cache->counts) == 2) {
		/* The walk has cleared it. */
		CHECK(!has_bit(cache, sc->memcg, sc->nid));
		atomic_store(&cache->objects, 64);
	}
}

static void arm_at_the_second_count(struct cache *cache, struct shrink_control *sc)
{
	if (atomic_load(&cache->counts) == 2)
		set_bit(cache, sc->memcg, sc->nid);
}

/* SHRINK_EMPTY is asked for twice; then the bit is gone, unless objects have
 * come, or the bit, meanwhile.  0 is no reason. */
static void empty_is_looked_at_twice(void)
{
	struct reclaim_domain *domain = machine(1);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a;

	empty_open(&a, domain, AWARE, 'a', NULL);
	set_bit(&a, memcg, 0);
	CHECK_EQ(walk_group(memcg, domain, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 2);
	CHECK(!has_bit(&a, memcg, 0));
	CHECK_EQ(walk_group(memcg, domain, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 2);

	atomic_store(&a.counts, 0);
	a.on_count = fill_at_the_second_count;
	set_bit(&a, memcg, 0);
	CHECK_EQ(walk_group(memcg, domain, 0, 0), 64);
	CHECK_EQ(atomic_load(&a.counts), 2);
	CHECK(has_bit(&a, memcg, 0));

	atomic_store(&a.counts, 0);
	a.on_count = arm_at_the_second_count;
	CHECK_EQ(walk_group(memcg, domain, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 2);
	CHECK(has_bit(&a, memcg, 0));

	atomic_store(&a.counts, 0);
	a.on_count = NULL;
	a.zero_is_unknown = true;
	CHECK_EQ(walk_group(memcg, domain, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 1);
	CHECK(has_bit(&a, memcg, 0));
	cache_close(&a);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
}

/* A sum that looks like SHRINK_EMPTY is taken for it, and dropped. */
static void a_sum_may_look_like_empty(void)
{
	struct reclaim_domain *domain = machine(1);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a;

	cache_prepare(&a, domain, AWARE, 'a', 1);
	a.answers = true;
	a.answer = SHRINK_EMPTY;
	shrinker_register(a.shrinker);
	set_bit(&a, memcg, 0);
	/* Two passes, each with 2 wanted in batches of 2 or less. */
	a.shrinker->batch = 2;
	CHECK_EQ(walk_group(memcg, domain, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 2);
	CHECK(!has_bit(&a, memcg, 0));
	cache_close(&a);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
}

/* Without kernel-memory accounting groups are told of other caches alone; bits
 * stay, and nothing that would hold up a free. */
static void without_kmem_slabs_are_skipped(void)
{
	struct reclaim_domain *domain =
		reclaim_domain_create(1, RECLAIM_STALL_LIMIT, RECLAIM_MEMCG);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	char log[LOG_SIZE] = "";
	struct cache slab, other;

	empty_open(&slab, domain, AWARE, 's', log);
	empty_open(&other, domain, AWARE | SHRINKER_NONSLAB, 'o', log);
	atomic_store(&other.objects, 1);
	set_bit(&slab, memcg, 0);
	set_bit(&other, memcg, 0);
	CHECK_EQ(walk_group(memcg, domain, 0, 12), 0);
	CHECK_TEXT(log, "o");
	CHECK(has_bit(&slab, memcg, 0));
	CHECK_EQ(walk(domain, 12), 0);
	CHECK_TEXT(log, "oso");
	cache_close(&slab);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_EQ(walk_group(memcg, domain, 0, 12), 0);
	CHECK(!mem_cgroup_has_bit(memcg, 0, 0));
	cache_close(&other);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
}

/* A group that is offline, or of another domain, is not walked. */
static void groups_that_are_not_walked(void)
{
	struct reclaim_domain *domain = machine(1), *other = machine(1);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a;

	cache_prepare(&a, domain, AWARE, 'a', 1000);
	shrinker_register(a.shrinker);
	set_bit(&a, memcg, 0);
	CHECK_EQ(walk_group(memcg, other, 0, 0), 0);
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	CHECK_EQ(walk_group(memcg, domain, 0, 0), 0);
	CHECK_EQ(atomic_load(&a.counts), 0);
	CHECK(has_bit(&a, memcg, 0));
	cache_close(&a);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
	reclaim_domain_put(other);
}

/* --- deferred work -------------------------------------------------------- */

/* Each group has its own, the root among them, which has that of walks over the
 * whole machine; a shrinker that is not aware has its own for all. */
static void deferred_work_belongs_to_the_group(void)
{
	struct reclaim_domain *domain = machine(2);
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *memcg = group_new(root);
	struct cache a, unaware;

	lazy_open(&a, domain, AWARE, 'a');
	lazy_open(&unaware, domain, 0, 'u');
	a.on_count = unaware.on_count = note_the_group;
	a.arg = unaware.arg = root;
	walk_group(NULL, domain, 1, 3);
	walk_group(root, domain, 1, 3);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 1, 0), 500);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 0, 0), 0);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 1, NULL), 500);
	CHECK_EQ(shrinker_nr_deferred(unaware.shrinker, 0, NULL), 500);
	a.arg = unaware.arg = memcg;
	set_bit(&a, memcg, 1);
	walk_group(memcg, domain, 1, 3);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 1, 0), 250);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 1, memcg), 250);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 1, 0), 500);
	CHECK_EQ(shrinker_nr_deferred(unaware.shrinker, 1, memcg), 500);
	cache_close(&a);
	cache_close(&unaware);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
}

/* A shrinker that is not NUMA-aware has a bit for each node, and its counter in
 * node 0. */
static void without_numa_the_counter_is_node_0s(void)
{
	struct reclaim_domain *domain = machine(3);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a;

	lazy_open(&a, domain, SHRINKER_MEMCG_AWARE, 'a');
	set_bit(&a, memcg, 2);
	walk_group(memcg, domain, 0, 3);
	CHECK_EQ(atomic_load(&a.counts), 0);
	walk_group(memcg, domain, 2, 3);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 2, 0), 0);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 0, 0), 250);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 2, memcg), 250);
	atomic_store(&a.objects, 0);
	walk_group(memcg, domain, 2, 3);
	CHECK(!has_bit(&a, memcg, 2));
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 0, 0), 250);
	cache_close(&a);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
}

/* The next shrinker with an id inherits what the last has left. */
static void an_id_inherits_bits_and_counters(void)
{
	struct reclaim_domain *domain = machine(1);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	struct cache a;

	lazy_open(&a, domain, AWARE, 'a');
	set_bit(&a, memcg, 0);
	walk_group(memcg, domain, 0, 3);
	cache_close(&a);
	CHECK_EQ(mem_cgroup_nr_deferred(memcg, 0, 0), 250);
	lazy_open(&a, domain, AWARE, 'a');
	CHECK(has_bit(&a, memcg, 0));
	walk_group(memcg, domain, 0, 3);
	CHECK_EQ(atomic_load(&a.counts), 1);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, memcg), 500);
	cache_close(&a);
	mem_cgroup_put(memcg);
	reclaim_domain_put(domain);
}

/* Going offline copies a group's deferred work to its parent, node by node, once;
 * reparent_shrinker_deferred() does so whenever it is called. */
static void deferred_work_is_copied_to_the_parent(void)
{
	struct reclaim_domain *domain = machine(2);
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *above = group_new(root), *memcg = group_new(above);
	struct cache a, b;

	lazy_open(&a, domain, AWARE, 'a');
	lazy_open(&b, domain, SHRINKER_MEMCG_AWARE, 'b');
	set_bit(&a, memcg, 1);
	set_bit(&b, memcg, 1);
	set_bit(&a, above, 1);
	walk_group(memcg, domain, 1, 3);
	walk_group(above, domain, 1, 3);
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
	reparent_shrinker_deferred(root);
	CHECK_EQ(mem_cgroup_offline(above), 0);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 1, 0), 750);
	CHECK_EQ(mem_cgroup_nr_deferred(root, 0, 1), 500);
	cache_close(&a);
	cache_close(&b);
	mem_cgroup_put(memcg);
	mem_cgroup_put(above);
	reclaim_domain_put(domain);
}

/* --- walks over the tree -------------------------------------------------- */

static void note_group_and_node(struct cache *cache, struct shrink_control *sc)
{
	log_append(cache->log, (char)('0' + mem_cgroup_get_id(sc->memcg)));
	log_append(cache->log, (char)('0' + sc->nid));
}

/* drop_slab() takes node after node, and on each the tree; the ladder takes the
 * tree, and for each group the nodes; both parents first. */
static void trees_are_walked_in_order(void)
{
	struct reclaim_domain *domain = machine(2);
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

	cache_prepare(&a, domain, AWARE, ' ', 0);
	a.zero_is_unknown = true;
	a.on_count = note_group_and_node;
	a.log = log;
	shrinker_register(a.shrinker);
	for (nid = 0; nid < 2; nid++) {
		set_bit(&a, two, nid);
		set_bit(&a, three, nid);
		set_bit(&a, four, nid);
		set_bit(&a, five, nid);
	}
	CHECK_EQ(mem_cgroup_offline(five), 0);
	CHECK_EQ(reclaim_drop_slab(domain), 0);
	CHECK_TEXT(log, " 10 20 40 30 11 21 41 31");
	log[0] = '\0';
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_TEXT(log, " 10 11 20 21 40 41 30 31 10 11 20 21 40 41 30 31");
	log[0] = '\0';
	request.memcg = two;
	request.priority = 0;
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_TEXT(log, " 20 21 40 41");
	log[0] = '\0';
	request.nid = 1;
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_TEXT(log, " 21 41");

	/* Reached at once: the rest of the tree is walked all the same. */
	log[0] = '\0';
	request.memcg = NULL;
	request.priority = 12;
	atomic_store(&a.objects, 100);
	a.keeps = true;
	a.shrinker->batch = 1;
	a.shrinker->seeks = 0;
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_TEXT(log, " 11 21 41 31");
	CHECK_EQ(result.nr_reclaimed, 200);
	CHECK_EQ(result.priority, 12);

	request.memcg = reclaim_domain_root(reclaim_default_domain());
	CHECK(!reclaim_run(domain, &request, &result));
	cache_close(&a);
	mem_cgroup_put(two);
	mem_cgroup_put(three);
	mem_cgroup_put(four);
	mem_cgroup_put(five);
	reclaim_domain_put(domain);
}

static struct mem_cgroup *victim;

static void remove_the_victim(struct cache *cache, struct shrink_control *sc)
{
	log_append(cache->log, (char)('0' + mem_cgroup_get_id(sc->memcg)));
	if (sc->memcg == victim) {
		struct mem_cgroup *parent =
			reclaim_domain_root(cache->shrinker->domain);

		group_remove(victim);
		mem_cgroup_put(victim);
		victim = NULL;
		mem_cgroup_put(group_new(parent));
	}
}

/* A group that a callback removes stays for the rest of its walk; one that it
 * creates behind is walked as well. */
static void groups_come_and_go_under_a_walk(void)
{
	struct reclaim_domain *domain = machine(2);
	struct mem_cgroup *root = reclaim_domain_root(domain);
	struct mem_cgroup *after;
	struct reclaim_request request = { .nid = -1, .priority = 0 };
	struct reclaim_result result;
	char log[LOG_SIZE] = "";
	struct cache a;

	victim = group_new(root);
	after = group_new(root);
	cache_prepare(&a, domain, AWARE, ' ', 0);
	a.zero_is_unknown = true;
	a.on_count = remove_the_victim;
	a.log = log;
	shrinker_register(a.shrinker);
	set_bit(&a, victim, 0);
	set_bit(&a, victim, 1);
	set_bit(&a, after, 0);
	CHECK(reclaim_run(domain, &request, &result));
	/* Offline by the time of its second node. */
	CHECK_TEXT(log, " 1 1 2 3");
	check_tree(root, "134");
	cache_close(&a);
	mem_cgroup_put(after);
	reclaim_domain_put(domain);
}

int main(void)
{
	RUN(the_tree_is_in_order);
	RUN(the_rules_of_going);
	RUN(a_tree_walk_keeps_its_place);
	RUN(a_tree_walk_survives_its_root);
	RUN(a_group_keeps_its_domain);
	RUN(without_groups_nobody_is_aware);
	RUN(ids_are_the_lowest_free);
	RUN(an_id_lasts_as_long_as_callbacks);
	RUN(bits_are_set_where_there_are_any);
	RUN(growing_moves_nothing);
	RUN(a_walk_goes_by_the_bits);
	RUN(the_map_is_read_live);
	RUN(bits_of_nobody_are_cleared);
	RUN(a_newcomers_bit_stays);
	RUN(empty_is_looked_at_twice);
	RUN(a_sum_may_look_like_empty);
	RUN(without_kmem_slabs_are_skipped);
	RUN(groups_that_are_not_walked);
	RUN(deferred_work_belongs_to_the_group);
	RUN(without_numa_the_counter_is_node_0s);
	RUN(an_id_inherits_bits_and_counters);
	RUN(deferred_work_is_copied_to_the_parent);
	RUN(trees_are_walked_in_order);
	RUN(groups_come_and_go_under_a_walk);
	return checks_report("test_memcg");
}
