/* SPDX-License-Identifier: MIT */
/* Lists by node and group, walks over them, and groups that go offline. */
#include <errno.h>

#include <linux/list_lru.h>

#include "threads.h"

#define NR_ITEMS 8

/**
 * struct fixture - a domain of two nodes, an lru in it, and items
 * @shrinker: the lru's; memcg-aware, not registered
 * @log: tags of the items for which callbacks were called
 * @script: what callbacks return, a letter each; at its end: LRU_SKIP
 * @moved: receives the items of list_lru_isolate_move()
 */
struct fixture {
	struct reclaim_domain *domain;
	struct mem_cgroup *root;
	struct shrinker *shrinker;
	struct list_lru lru;
	struct entry {
		char tag;
		struct list_head item;
	} entry[NR_ITEMS];
	char log[LOG_SIZE];
	const char *script;
	struct list_head moved;
};

static void fixture_open(struct fixture *f)
{
	int i;

	memset(f, 0, sizeof(*f));
	f->domain = memcg_domain_new(2);
	f->root = reclaim_domain_root(f->domain);
	f->shrinker = reclaim_shrinker_alloc(f->domain, AWARE, "lru");
	CHECK(f->shrinker);
	CHECK_EQ(list_lru_init_memcg(&f->lru, f->shrinker), 0);
	for (i = 0; i < NR_ITEMS; i++) {
		f->entry[i].tag = (char)('a' + i);
		INIT_LIST_HEAD(&f->entry[i].item);
	}
	INIT_LIST_HEAD(&f->moved);
	f->script = "";
}

static void fixture_close(struct fixture *f)
{
	list_lru_destroy(&f->lru);
	shrinker_free(f->shrinker);
	groups_put();
	domain_close(f->domain);
}

static void run(void (*test)(struct fixture *f))
{
	struct fixture f;

	alarm(TEST_SECONDS);
	fixture_open(&f);
	test(&f);
	fixture_close(&f);
	alarm(0);
}

static bool add(struct fixture *f, char tag, int nid, struct mem_cgroup *memcg)
{
	return list_lru_add(&f->lru, &f->entry[tag - 'a'].item, nid, memcg);
}

static void add_all(struct fixture *f, const char *tags, int nid,
		    struct mem_cgroup *memcg)
{
	for (; *tags; tags++)
		CHECK(add(f, *tags, nid, memcg));
}

static bool del(struct fixture *f, char tag, int nid, struct mem_cgroup *memcg)
{
	return list_lru_del(&f->lru, &f->entry[tag - 'a'].item, nid, memcg);
}

static bool bit_is_set(struct fixture *f, int nid, struct mem_cgroup *memcg)
{
	return mem_cgroup_has_bit(memcg, nid, shrinker_id(f->shrinker));
}

static char tag_of(struct list_head *item)
{
	return list_entry(item, struct entry, item)->tag;
}

/*
 * Does what the script says: r isolate, m isolate and move, o rotate, s skip, x
 * stop; R and T unlock the list, after isolating the item and without.
 */
static enum lru_status play(struct list_head *item, struct list_lru_one *list,
			    void *arg)
{
	struct fixture *f = arg;

	log_append(f->log, tag_of(item));
	switch (*f->script ? *f->script++ : 's') {
	case 'r':
		list_lru_isolate(list, item);
		CHECK(list_empty(item));
		return LRU_REMOVED;
	case 'm':
		list_lru_isolate_move(list, item, &f->moved);
		return LRU_REMOVED;
	case 'R':
		list_lru_isolate(list, item);
		list_lru_unlock(list);
		list_lru_lock(list);
		return LRU_REMOVED_RETRY;
	case 'T':
		list_lru_unlock(list);
		list_lru_lock(list);
		return LRU_RETRY;
	case 'o':
		return LRU_ROTATE;
	case 'x':
		return LRU_STOP;
	default:
		return LRU_SKIP;
	}
}

/* Walks one list, and checks the log, the number of items removed, and the
 * budget. */
static void check_walk_one(struct fixture *f, int nid, struct mem_cgroup *memcg,
			   const char *script, unsigned long budget,
			   const char *log, unsigned long removed,
			   unsigned long budget_left)
{
	f->script = script;
	f->log[0] = '\0';
	CHECK_EQ(list_lru_walk_one(&f->lru, nid, memcg, play, f, &budget),
		 removed);
	CHECK_TEXT(f->log, log);
	CHECK_EQ(budget, budget_left);
}

/* Checks the items of a list, in order. */
static void check_list(struct fixture *f, int nid, struct mem_cgroup *memcg,
		       const char *tags)
{
	check_walk_one(f, nid, memcg, "", 100, tags, 0, 100 - strlen(tags));
	CHECK_EQ(list_lru_count_one(&f->lru, nid, memcg), strlen(tags));
}

/* --- adding and deleting -------------------------------------------------- */

/* Items are in the order in which they were added; an item is on one list, once. */
static void lists_are_in_order(struct fixture *f)
{
	CHECK(add(f, 'b', 0, NULL));
	CHECK(add(f, 'a', 0, NULL));
	CHECK(add(f, 'c', 1, NULL));
	CHECK(!add(f, 'a', 0, NULL));
	CHECK_EQ(list_lru_insert(&f->lru, &f->entry[0].item, 0, NULL), -EEXIST);
	CHECK(add(f, 'd', 0, f->root));
	check_list(f, 0, NULL, "bad");
	check_list(f, 1, NULL, "c");
	check_list(f, 1, f->root, "c");
	CHECK_EQ(list_lru_count_node(&f->lru, 0), 3);
	CHECK_EQ(list_lru_count_node(&f->lru, 1), 1);
	CHECK_EQ(list_lru_count(&f->lru), 4);

	CHECK(del(f, 'a', 0, NULL));
	CHECK(list_empty(&f->entry[0].item));
	CHECK(!del(f, 'a', 0, NULL));
	check_list(f, 0, NULL, "bd");
	CHECK(add(f, 'a', 0, NULL));
	check_list(f, 0, NULL, "bda");
	CHECK_EQ(list_lru_count_node(&f->lru, 0), 3);
}

/* Each group has lists of its own.  An item that is not on them is not found there,
 * whether the group has lists or not. */
static void groups_have_their_own_lists(struct fixture *f)
{
	struct mem_cgroup *a = group_new(f->root), *b = group_new(f->root);

	CHECK(!del(f, 'a', 0, a));
	CHECK_EQ(list_lru_count_one(&f->lru, 0, a), 0);
	CHECK(add(f, 'a', 0, a));
	CHECK(add(f, 'b', 1, a));
	CHECK(add(f, 'c', 1, b));
	CHECK(add(f, 'd', 1, NULL));
	check_list(f, 0, a, "a");
	check_list(f, 1, a, "b");
	check_list(f, 0, b, "");
	check_list(f, 1, b, "c");
	check_list(f, 1, NULL, "d");
	CHECK_EQ(list_lru_count_node(&f->lru, 0), 1);
	CHECK_EQ(list_lru_count_node(&f->lru, 1), 3);
	CHECK(del(f, 'b', 1, a));
	CHECK(!del(f, 'b', 1, a));
	CHECK_EQ(list_lru_count_node(&f->lru, 1), 2);
}

/* An lru of @shrinker in @domain has one list for all groups. */
static void check_one_list(struct fixture *f, struct reclaim_domain *domain,
			   struct shrinker *shrinker, struct mem_cgroup *memcg)
{
	struct list_head *item = &f->entry[0].item;
	unsigned long budget = 10;
	struct list_lru lru;

	CHECK_EQ(list_lru_init_domain(&lru, domain, shrinker), 0);
	CHECK(list_lru_add(&lru, item, 0, memcg));
	CHECK(!list_lru_add(&lru, item, 0, NULL));
	CHECK_EQ(list_lru_count_one(&lru, 0, NULL), 1);
	CHECK_EQ(list_lru_count_one(&lru, 0, memcg), 1);
	CHECK_EQ(list_lru_walk_node(&lru, 0, play, f, &budget), 0);
	CHECK_EQ(budget, 9);
	CHECK_EQ(list_lru_walk_one(&lru, 0, memcg, play, f, &budget), 0);
	CHECK_EQ(budget, 8);
	CHECK(list_lru_del(&lru, item, 0, reclaim_domain_root(domain)));
	list_lru_destroy(&lru);
}

/* An lru without a shrinker has one list for all groups, and sets no bit. */
static void an_unaware_lru_ignores_groups(struct fixture *f)
{
	struct mem_cgroup *memcg = group_new(f->root);

	check_one_list(f, f->domain, NULL, memcg);
	CHECK(!bit_is_set(f, 0, memcg));
}

/* The way in which an lru is initialised makes it memcg-aware, not the shrinker's
 * flags. */
static void an_lru_of_any_shrinker_has_lists_for_groups(struct fixture *f)
{
	struct shrinker *unaware =
		reclaim_shrinker_alloc(f->domain, SHRINKER_NUMA_AWARE, "u");
	struct mem_cgroup *memcg = group_new(f->root);
	struct list_lru lru;

	CHECK_EQ(list_lru_init_memcg(&lru, unaware), 0);
	CHECK(list_lru_add(&lru, &f->entry[0].item, 0, memcg));
	CHECK_EQ(list_lru_count_one(&lru, 0, NULL), 0);
	CHECK_EQ(list_lru_count_one(&lru, 0, memcg), 1);
	CHECK(!bit_is_set(f, 0, memcg));
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	CHECK_EQ(list_lru_count_one(&lru, 0, NULL), 1);
	list_lru_destroy(&lru);
	shrinker_free(unaware);
}

/* Without accounting of kernel memory there is one list for all groups.  The first
 * item sets the bit of the group with which it is added, for a NONSLAB shrinker. */
static void without_kmem_there_is_one_list(struct fixture *f)
{
	static const unsigned int flags[] = { AWARE, AWARE | SHRINKER_NONSLAB };
	struct reclaim_domain *domain = reclaim_domain_create(2, 0, RECLAIM_MEMCG);
	struct mem_cgroup *memcg = group_new(reclaim_domain_root(domain));
	unsigned int i;

	for (i = 0; i < LENGTH(flags); i++) {
		struct shrinker *shrinker =
			reclaim_shrinker_alloc(domain, flags[i], "s");

		check_one_list(f, domain, shrinker, memcg);
		CHECK_EQ(mem_cgroup_has_bit(memcg, 0, shrinker_id(shrinker)), i);
		shrinker_free(shrinker);
	}
	group_put(memcg);
	domain_close(domain);
}

/* In a domain without memory cgroups an lru of a shrinker has one list. */
static void without_memcgs_there_is_one_list(struct fixture *f)
{
	struct reclaim_domain *domain = domain_new(2);
	struct shrinker *shrinker = reclaim_shrinker_alloc(domain, AWARE, "s");

	check_one_list(f, domain, shrinker, NULL);
	shrinker_free(shrinker);
	domain_close(domain);
}

static unsigned long count_empty(struct shrinker *shrinker, struct shrink_control *sc)
{
	(void)shrinker;
	(void)sc;
	return SHRINK_EMPTY;
}

/* An addition to an empty list sets the bit for its group and node, and no other
 * addition does.  The root needs no bit. */
static void the_first_item_sets_the_bit(struct fixture *f)
{
	struct mem_cgroup *a = group_new(f->root), *b = group_new(a);

	f->shrinker->count_objects = count_empty;
	shrinker_register(f->shrinker);
	CHECK(add(f, 'a', 1, b));
	CHECK(bit_is_set(f, 1, b));
	CHECK(!bit_is_set(f, 0, b));
	CHECK(!bit_is_set(f, 1, a));
	CHECK(add(f, 'b', 0, NULL));
	CHECK(!bit_is_set(f, 0, f->root));

	/* A walk clears the bit, because the shrinker counts SHRINK_EMPTY.  It
	 * stays cleared until an item is added to the empty list. */
	CHECK_EQ(reclaim_shrink_slab(f->domain, GFP_KERNEL, 1, b, 0), 0);
	CHECK(!bit_is_set(f, 1, b));
	CHECK(add(f, 'c', 1, b));
	CHECK(!bit_is_set(f, 1, b));
	CHECK(del(f, 'a', 1, b));
	CHECK(del(f, 'c', 1, b));
	CHECK(!bit_is_set(f, 1, b));
	CHECK(add(f, 'a', 1, b));
	CHECK(bit_is_set(f, 1, b));
}

/* An invalid node, and a group or shrinker of another domain, are refused; nothing
 * changes. */
static void wrong_nodes_and_foreign_groups_are_refused(struct fixture *f)
{
	struct reclaim_domain *other = memcg_domain_new(2);
	struct mem_cgroup *foreign = reclaim_domain_root(other);
	static const int wrong[] = { -1, 2, 1000 };
	unsigned long budget = 10;
	struct list_lru lru;
	int i;

	CHECK(add(f, 'b', 0, NULL));
	for (i = 0; i < 3; i++) {
		CHECK_EQ(list_lru_insert(&f->lru, &f->entry[0].item, wrong[i], NULL),
			 -EINVAL);
		CHECK(!add(f, 'a', wrong[i], NULL));
		CHECK(!del(f, 'b', wrong[i], NULL));
		CHECK_EQ(list_lru_count_one(&f->lru, wrong[i], NULL), 0);
		CHECK_EQ(list_lru_count_node(&f->lru, wrong[i]), 0);
		check_walk_one(f, wrong[i], NULL, "", 10, "", 0, 10);
		CHECK_EQ(list_lru_walk_node(&f->lru, wrong[i], play, f, &budget),
			 0);
		CHECK_EQ(budget, 10);
	}
	CHECK_EQ(list_lru_insert(&f->lru, &f->entry[0].item, 0, foreign), -EINVAL);
	CHECK(!del(f, 'b', 0, foreign));
	CHECK_EQ(list_lru_count_one(&f->lru, 0, foreign), 0);
	check_walk_one(f, 0, foreign, "r", 10, "", 0, 10);
	CHECK(list_empty(&f->entry[0].item));
	check_list(f, 0, NULL, "b");

	CHECK_EQ(list_lru_init_domain(&lru, other, f->shrinker), -EINVAL);
	list_lru_destroy(&lru);
	reclaim_domain_put(other);
}

/* --- walks ---------------------------------------------------------------- */

/* The effect of each lru_status on the item, on the walk and on the budget. */
static void callbacks_decide_about_items(struct fixture *f)
{
	add_all(f, "abcd", 0, NULL);
	check_walk_one(f, 0, NULL, "srsr", 10, "abcd", 2, 6);
	check_list(f, 0, NULL, "ac");
	add_all(f, "bd", 0, NULL);
	check_walk_one(f, 0, NULL, "sx", 10, "ac", 0, 8);
	check_list(f, 0, NULL, "acbd");
	check_walk_one(f, 0, NULL, "rx", 10, "ac", 1, 8);
	check_list(f, 0, NULL, "cbd");
	/* The budget ends the walk. */
	check_walk_one(f, 0, NULL, "rrr", 2, "cb", 2, 0);
	check_walk_one(f, 0, NULL, "rrr", 0, "", 0, 0);
	check_list(f, 0, NULL, "d");
	CHECK_EQ(list_lru_count_node(&f->lru, 0), 1);
}

/* A rotated item is the last one, and comes again while budget is left.  The
 * rotated last item of a list does not, unless another one was rotated. */
static void rotated_items_come_again(struct fixture *f)
{
	add_all(f, "abc", 0, NULL);
	check_walk_one(f, 0, NULL, "os", 10, "abca", 0, 6);
	check_list(f, 0, NULL, "bca");
	check_walk_one(f, 0, NULL, "ooooooo", 7, "bcabcab", 0, 0);
	check_list(f, 0, NULL, "cab");
	check_walk_one(f, 0, NULL, "sso", 10, "cab", 0, 7);
	check_list(f, 0, NULL, "cab");
	check_walk_one(f, 0, NULL, "ooorrr", 10, "cabcab", 3, 4);
	check_list(f, 0, NULL, "");
	CHECK(add(f, 'a', 0, NULL));
	check_walk_one(f, 0, NULL, "ooo", 10, "a", 0, 9);
}

/* After a callback has unlocked the list, the walk starts again from the head.
 * Items removed count, and each call takes from the budget. */
static void retries_start_from_the_head(struct fixture *f)
{
	add_all(f, "abc", 0, NULL);
	check_walk_one(f, 0, NULL, "sTsR", 10, "ababac", 1, 4);
	check_list(f, 0, NULL, "ac");
	check_walk_one(f, 0, NULL, "TTTTT", 5, "aaaaa", 0, 0);
	check_walk_one(f, 0, NULL, "RR", 10, "ac", 2, 8);
	check_list(f, 0, NULL, "");
}

/* list_lru_isolate_move() puts each item before those that it moved earlier. */
static void items_can_be_moved_to_another_list(struct fixture *f)
{
	struct entry *entry, *after;
	char tags[NR_ITEMS] = "";

	add_all(f, "abcd", 1, NULL);
	check_walk_one(f, 1, NULL, "msmm", 10, "abcd", 3, 6);
	check_list(f, 1, NULL, "b");
	CHECK_EQ(list_lru_count_node(&f->lru, 1), 1);
	list_for_each_entry_safe(entry, after, &f->moved, item) {
		list_del_init(&entry->item);
		log_append(tags, entry->tag);
	}
	CHECK_TEXT(tags, "dca");
	add_all(f, "acd", 1, NULL);
	check_list(f, 1, NULL, "bacd");
}

/* Takes the item off; the list counts one less at once, and the node when the
 * callback has returned. */
static enum lru_status count_inside(struct list_head *item, struct list_lru_one *list,
				    void *arg)
{
	struct fixture *f = arg;
	unsigned long nr = list_lru_count_node(&f->lru, 0);

	CHECK_EQ(list_lru_count_one(&f->lru, 0, NULL), nr);
	list_lru_isolate(list, item);
	CHECK_EQ(list_lru_count_one(&f->lru, 0, NULL), nr - 1);
	CHECK_EQ(list_lru_count_node(&f->lru, 0), nr);
	return nr == 2 ? LRU_REMOVED_RETRY : LRU_REMOVED;
}

static void a_node_counts_after_the_callback(struct fixture *f)
{
	unsigned long budget = 10;

	add_all(f, "abc", 0, NULL);
	CHECK_EQ(list_lru_walk_one(&f->lru, 0, NULL, count_inside, f, &budget), 3);
	CHECK_EQ(list_lru_count_node(&f->lru, 0), 0);
}

/* Isolates an item twice, which is not allowed, and does not say so. */
static enum lru_status isolate_twice(struct list_head *item, struct list_lru_one *list,
				     void *arg)
{
	struct list_head *next = item->next;

	(void)arg;
	list_lru_isolate(list, item);
	list_lru_isolate(list, item);
	list_add_tail(item, next);
	return LRU_STOP;
}

/* Says that it has removed an item, and has not. */
static enum lru_status remove_nothing(struct list_head *item,
				      struct list_lru_one *list, void *arg)
{
	(void)item;
	(void)list;
	(void)arg;
	return LRU_REMOVED;
}

/* A callback that isolates twice or not at all leaves no count below 0. */
static void misuse_leaves_counts_at_0(struct fixture *f)
{
	unsigned long budget = 10;

	add_all(f, "a", 0, NULL);
	CHECK_EQ(list_lru_walk_one(&f->lru, 0, NULL, isolate_twice, f, &budget), 0);
	CHECK_EQ(list_lru_count_one(&f->lru, 0, NULL), 0);
	CHECK_EQ(list_lru_count_node(&f->lru, 0), 1);
	budget = 10;
	CHECK_EQ(list_lru_walk_one(&f->lru, 0, NULL, remove_nothing, f, &budget), 1);
	CHECK(del(f, 'a', 0, NULL));
	CHECK_EQ(list_lru_count_one(&f->lru, 0, NULL), 0);
	CHECK_EQ(list_lru_count_node(&f->lru, 0), 0);
}

static void check_walk_node(struct fixture *f, const char *script, unsigned long budget,
			    const char *log, unsigned long removed)
{
	f->script = script;
	f->log[0] = '\0';
	CHECK_EQ(list_lru_walk_node(&f->lru, 0, play, f, &budget), removed);
	CHECK_TEXT(f->log, log);
}

/* A walk of a node takes the root's list first, then the groups' in order of their
 * kmem ids, wherever they are in the tree, while budget is left. */
static void a_nodes_walk_goes_by_id(struct fixture *f)
{
	struct mem_cgroup *a = group_new(f->root), *b = group_new(f->root);
	struct mem_cgroup *below_a = group_new(a);
	unsigned long budget = 10;

	add_all(f, "ab", 0, below_a);
	add_all(f, "cd", 0, b);
	add_all(f, "e", 0, a);
	add_all(f, "f", 0, NULL);
	add_all(f, "g", 1, a);
	CHECK_EQ(list_lru_walk_node(&f->lru, 0, play, f, &budget), 0);
	CHECK_TEXT(f->log, "fecdab");
	CHECK_EQ(budget, 4);

	/* The end of the budget ends the walk; LRU_STOP ends that of one list. */
	check_walk_node(f, "rsr", 3, "fec", 2);
	check_walk_node(f, "sxx", 10, "eda", 0);
	CHECK_EQ(list_lru_count_node(&f->lru, 0), 4);

	f->log[0] = '\0';
	f->script = "rrrrrrr";
	CHECK_EQ(list_lru_walk(&f->lru, play, f, 100), 5);
	CHECK_TEXT(f->log, "edabg");
	CHECK_EQ(list_lru_count(&f->lru), 0);
	/* Held by the creator and the tree; a by its child too. */
	CHECK_EQ(a->refs, 3);
	CHECK_EQ(b->refs, 2);
	CHECK_EQ(below_a->refs, 2);
}

/* A group gets the lowest kmem id that no online group has, and so may come before
 * groups that are older. */
static void kmem_ids_are_reused(struct fixture *f)
{
	struct mem_cgroup *a = group_new(f->root), *b = group_new(f->root);
	struct mem_cgroup *c, *d;

	CHECK_EQ(mem_cgroup_kmem_id(f->root), 0);
	CHECK_EQ(mem_cgroup_kmem_id(a), 1);
	CHECK_EQ(mem_cgroup_kmem_id(b), 2);
	CHECK_EQ(mem_cgroup_offline(a), 0);
	c = group_new(b);
	d = group_new(f->root);
	CHECK_EQ(mem_cgroup_kmem_id(c), 1);
	CHECK_EQ(mem_cgroup_kmem_id(d), 3);

	/* What is added with the offline group is on the root's list. */
	add_all(f, "a", 0, d);
	add_all(f, "b", 0, b);
	add_all(f, "c", 0, c);
	add_all(f, "d", 0, a);
	check_walk_node(f, "", 10, "dcba", 0);

	CHECK_EQ(mem_cgroup_offline(d), 0);
	CHECK_EQ(mem_cgroup_offline(c), 0);
	CHECK_EQ(mem_cgroup_offline(b), 0);
	CHECK_EQ(mem_cgroup_kmem_id(group_new(f->root)), 1);
	CHECK_EQ(mem_cgroup_kmem_id(group_new(f->root)), 2);
}

/* For callbacks of a shrinker: node, group and budget are in the shrink_control. */
static void a_shrink_control_names_the_list(struct fixture *f)
{
	struct mem_cgroup *memcg = group_new(f->root);
	struct shrink_control sc = { .nid = 1, .memcg = memcg, .nr_to_scan = 3 };

	add_all(f, "abcd", 1, memcg);
	CHECK_EQ(list_lru_shrink_count(&f->lru, &sc), 4);
	f->script = "rsr";
	CHECK_EQ(list_lru_shrink_walk(&f->lru, &sc, play, f), 2);
	CHECK_EQ(sc.nr_to_scan, 0);
	CHECK_TEXT(f->log, "abc");
	CHECK_EQ(list_lru_shrink_count(&f->lru, &sc), 2);
	sc.nid = 0;
	CHECK_EQ(list_lru_shrink_count(&f->lru, &sc), 0);
}

struct target {
	struct list_lru *lru;
	struct mem_cgroup *memcg;
};

static enum lru_status add_to_target(struct list_head *item,
				     struct list_lru_one *list, void *arg)
{
	struct target *target = arg;

	list_lru_isolate(list, item);
	CHECK(list_lru_add(target->lru, item, 0, target->memcg));
	return LRU_REMOVED;
}

/* A callback can add items to lists of other lrus, also for a group without lists,
 * and to lists of parents. */
static void callbacks_can_add_to_other_lists(struct fixture *f)
{
	struct mem_cgroup *above = group_new(f->root), *memcg = group_new(above);
	unsigned long budget = 10;
	struct list_lru other;
	struct target target;

	CHECK_EQ(list_lru_init_memcg(&other, f->shrinker), 0);
	add_all(f, "ab", 0, memcg);
	target = (struct target){ &other, memcg };
	CHECK_EQ(list_lru_walk_one(&f->lru, 0, memcg, add_to_target, &target, &budget),
		 2);
	CHECK_EQ(list_lru_count_one(&other, 0, memcg), 2);
	CHECK_EQ(list_lru_count(&f->lru), 0);
	list_lru_destroy(&other);
	add_all(f, "ab", 0, memcg);
	target = (struct target){ &f->lru, above };
	CHECK_EQ(list_lru_walk_one(&f->lru, 0, memcg, add_to_target, &target, &budget),
		 2);
	check_list(f, 0, above, "ab");
	CHECK(bit_is_set(f, 0, above));
}

/* --- groups that go offline ----------------------------------------------- */

/* A group's items are moved before its parent's, and the parent's bit is set for
 * their nodes.  They are found with either group. */
static void items_are_moved_to_the_parent(struct fixture *f)
{
	struct mem_cgroup *above = group_new(f->root), *memcg = group_new(above);

	add_all(f, "ab", 0, memcg);
	add_all(f, "c", 0, above);
	CHECK(!bit_is_set(f, 1, above));
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	CHECK_EQ(list_lru_count_one(&f->lru, 0, memcg), 0);
	check_walk_one(f, 0, memcg, "r", 10, "", 0, 10);
	check_list(f, 0, above, "abc");
	CHECK(!bit_is_set(f, 1, above));
	CHECK_EQ(list_lru_count_node(&f->lru, 0), 3);

	CHECK_EQ(list_lru_insert(&f->lru, &f->entry[0].item, 0, memcg), -EEXIST);
	CHECK(del(f, 'a', 0, memcg));
	CHECK(!del(f, 'a', 0, memcg));
	CHECK(del(f, 'b', 0, above));
	check_list(f, 0, above, "c");

	/* An item that is added later goes to the nearest ancestor that is online,
	 * and sets its bit. */
	CHECK(add(f, 'a', 1, memcg));
	CHECK(bit_is_set(f, 1, above));
	check_list(f, 1, above, "a");
	CHECK(del(f, 'a', 1, memcg));

	/* A second call changes nothing. */
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	check_list(f, 0, above, "c");
}

/* Level by level up to the root, which has lists and needs no bits; also through a
 * group that never had an item of its own. */
static void items_are_moved_up_level_by_level(struct fixture *f)
{
	struct mem_cgroup *memcg[5];
	int i;

	memcg[0] = f->root;
	for (i = 1; i < 5; i++)
		memcg[i] = group_new(memcg[i - 1]);
	add_all(f, "ab", 0, memcg[4]);
	add_all(f, "c", 1, memcg[2]);
	for (i = 4; i > 0; i--) {
		CHECK_EQ(mem_cgroup_offline(memcg[i]), 0);
		check_list(f, 0, memcg[i], "");
		check_list(f, 0, memcg[i - 1], "ab");
		CHECK_EQ(bit_is_set(f, 0, memcg[i - 1]), i > 1);
		check_list(f, 1, memcg[2], i > 2 ? "c" : "");
		CHECK_EQ(list_lru_count(&f->lru), 3);
		/* Found with the group with which they were added. */
		CHECK(del(f, 'a', 0, memcg[4]));
		CHECK(del(f, 'b', 0, memcg[4]));
		CHECK(add(f, 'a', 0, memcg[4]));
		CHECK(add(f, 'b', 0, memcg[4]));
	}
	check_list(f, 0, NULL, "ab");
	check_list(f, 1, NULL, "c");

	/* After the groups are released the items are still there. */
	for (i = 4; i > 0; i--) {
		CHECK_EQ(mem_cgroup_remove(memcg[i]), 0);
		group_put(memcg[i]);
	}
	CHECK_EQ(list_lru_count(&f->lru), 3);
	CHECK(del(f, 'a', 0, NULL));
	check_list(f, 0, NULL, "b");
}

/* An item that is added with a group that went offline without lists goes to an
 * ancestor, whether that has lists or not. */
static void late_items_skip_groups_without_lists(struct fixture *f)
{
	struct mem_cgroup *above = group_new(f->root), *middle = group_new(above);
	struct mem_cgroup *below = group_new(middle);

	CHECK_EQ(mem_cgroup_offline(below), 0);
	CHECK_EQ(mem_cgroup_offline(middle), 0);
	CHECK(!del(f, 'a', 0, below));
	CHECK(add(f, 'a', 0, below));
	CHECK(bit_is_set(f, 0, above));
	check_list(f, 0, above, "a");
	check_list(f, 0, below, "");
	CHECK(del(f, 'a', 0, middle));
	CHECK_EQ(mem_cgroup_offline(above), 0);
	CHECK(add(f, 'b', 0, below));
	check_list(f, 0, NULL, "b");
	CHECK(del(f, 'b', 0, below));
}

static struct mem_cgroup *going;

/* Removes the group while its list is not locked; script: R isolates the item. */
static enum lru_status remove_the_group(struct list_head *item,
					struct list_lru_one *list, void *arg)
{
	struct fixture *f = arg;

	log_append(f->log, tag_of(item));
	if (*f->script == 'R')
		list_lru_isolate(list, item);
	list_lru_unlock(list);
	group_remove(going);
	list_lru_lock(list);
	return *f->script == 'R' ? LRU_REMOVED_RETRY : LRU_RETRY;
}

/* When the items were moved meanwhile, the walk of the group's list ends. */
static void removing_the_group_ends_the_walk(struct fixture *f)
{
	static const char *const scripts[] = { "T", "R" };
	static const char *const left[] = { "abc", "bc" };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		unsigned long budget = 10;
		const char *tag;

		f->script = scripts[i];
		f->log[0] = '\0';
		going = group_new(f->root);
		add_all(f, "abc", 0, going);
		CHECK_EQ(list_lru_walk_one(&f->lru, 0, going, remove_the_group, f,
					   &budget),
			 i);
		CHECK_TEXT(f->log, "a");
		CHECK_EQ(budget, 9);
		check_list(f, 0, NULL, left[i]);
		CHECK_EQ(list_lru_count_node(&f->lru, 0), strlen(left[i]));
		for (tag = left[i]; *tag; tag++)
			CHECK(del(f, *tag, 0, going));
	}
}

/* Removes the group, and drops its last reference but the walk's. */
static enum lru_status release_the_group(struct list_head *item,
					 struct list_lru_one *list, void *arg)
{
	struct fixture *f = arg;

	log_append(f->log, tag_of(item));
	if (going) {
		list_lru_unlock(list);
		group_remove(going);
		group_put(going);
		going = NULL;
		list_lru_lock(list);
		return LRU_RETRY;
	}
	return LRU_SKIP;
}

/* A walk of a node holds the group that it is at. */
static void a_nodes_walk_holds_the_group(struct fixture *f)
{
	struct mem_cgroup *next;
	unsigned long budget = 10;

	going = group_new(f->root);
	next = group_new(f->root);
	add_all(f, "ab", 0, going);
	add_all(f, "c", 0, next);
	CHECK_EQ(list_lru_walk_node(&f->lru, 0, release_the_group, f, &budget), 0);
	CHECK_TEXT(f->log, "ac");
	check_list(f, 0, NULL, "ab");
}

static struct sleeper sleeper;
static _Atomic(bool) offline;

static enum lru_status sleep_locked(struct list_head *item,
				    struct list_lru_one *list, void *arg)
{
	(void)item;
	(void)list;
	(void)arg;
	sem_post(&sleeper.entered);
	semaphore_wait(&sleeper.leave);
	return LRU_SKIP;
}

static void *walk_sleeping(void *arg)
{
	unsigned long budget = 1;

	list_lru_walk_one(arg, 0, going, sleep_locked, NULL, &budget);
	return NULL;
}

static void *go_offline(void *arg)
{
	(void)arg;
	CHECK_EQ(mem_cgroup_offline(going), 0);
	atomic_store(&offline, true);
	return NULL;
}

/* Going offline waits for a callback on the group's list.  Meanwhile counts and
 * other lists go on. */
static void offline_waits_for_the_lists_lock(struct fixture *f)
{
	pthread_t walking, leaving;

	sleeper_init(&sleeper);
	going = group_new(f->root);
	add_all(f, "ab", 0, going);
	walking = thread_start(walk_sleeping, &f->lru);
	semaphore_wait(&sleeper.entered);
	leaving = thread_start(go_offline, NULL);
	moment();
	CHECK(!atomic_load(&offline));
	CHECK_EQ(list_lru_count_one(&f->lru, 0, going), 2);
	CHECK(add(f, 'c', 1, NULL));
	sem_post(&sleeper.leave);
	thread_join(walking);
	thread_join(leaving);
	CHECK(atomic_load(&offline));
	check_list(f, 0, NULL, "ab");
}

/* --- making and destroying an lru ----------------------------------------- */

/* Destroying takes all items off, wherever they are.  A second time, or without
 * initialisation, it does nothing. */
static void destroying_takes_all_items_off(struct fixture *f)
{
	struct mem_cgroup *memcg = group_new(f->root), *gone = group_new(memcg);
	struct list_lru zero;
	int i;

	add_all(f, "ab", 0, NULL);
	add_all(f, "cd", 1, memcg);
	add_all(f, "e", 1, gone);
	CHECK_EQ(mem_cgroup_offline(gone), 0);
	list_lru_destroy(&f->lru);
	for (i = 0; i < NR_ITEMS; i++)
		CHECK(list_empty(&f->entry[i].item));
	list_lru_destroy(&f->lru);
	memset(&zero, 0, sizeof(zero));
	list_lru_destroy(&zero);

	/* A new lru in the same memory is empty. */
	CHECK_EQ(list_lru_init_memcg(&f->lru, f->shrinker), 0);
	check_list(f, 1, memcg, "");
	CHECK_EQ(list_lru_count(&f->lru), 0);
	add_all(f, "de", 1, gone);
	check_list(f, 1, memcg, "de");
}

/* Each of many lrus has lists of its own in a group, and the next one gets a free
 * index. */
static void many_lrus_do_not_mix(struct fixture *f)
{
	enum { MANY = 70 };
	struct list_lru lru[MANY];
	struct list_head item[MANY], late[MANY];
	struct mem_cgroup *memcg = group_new(f->root);
	int i;

	for (i = 0; i < MANY; i++) {
		CHECK_EQ(list_lru_init_memcg(&lru[i], f->shrinker), 0);
		INIT_LIST_HEAD(&item[i]);
		INIT_LIST_HEAD(&late[i]);
		if (i % 3 == 0)
			CHECK(list_lru_add(&lru[i], &item[i], i % 2, memcg));
	}
	for (i = 0; i < MANY; i += 2)
		list_lru_destroy(&lru[i]);
	for (i = 0; i < MANY; i += 2)
		CHECK_EQ(list_lru_init_memcg(&lru[i], f->shrinker), 0);
	for (i = 0; i < MANY; i++)
		CHECK_EQ(list_lru_count_one(&lru[i], i % 2, memcg),
			 i % 3 == 0 && i % 2);
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	for (i = 0; i < MANY; i++) {
		CHECK(list_lru_add(&lru[i], &late[i], i % 2, memcg));
		CHECK_EQ(list_lru_count_one(&lru[i], i % 2, NULL),
			 1 + (i % 3 == 0 && i % 2));
		list_lru_destroy(&lru[i]);
		CHECK(list_empty(&item[i]));
		CHECK(list_empty(&late[i]));
	}
}

/* An lru holds its domain.  Without memory cgroups it is not memcg-aware. */
static void an_lru_holds_its_domain(void)
{
	struct reclaim_domain *domain = domain_new(2);
	struct shrinker *shrinker = reclaim_shrinker_alloc(
		domain, SHRINKER_MEMCG_AWARE, "becomes unaware");
	struct list_head item;
	struct list_lru lru;

	INIT_LIST_HEAD(&item);
	CHECK_EQ(list_lru_init_memcg(&lru, shrinker), 0);
	shrinker_free(shrinker);
	reclaim_domain_put(domain);
	CHECK(list_lru_add(&lru, &item, 1, NULL));
	CHECK_EQ(list_lru_count(&lru), 1);
	CHECK(list_lru_del(&lru, &item, 1, NULL));
	list_lru_destroy(&lru);
}

/* list_lru_init() makes an lru of the default domain. */
static void list_lru_init_uses_the_default_domain(void)
{
	struct list_lru lru;
	LIST_HEAD(item);

	CHECK_EQ(list_lru_init(&lru), 0);
	CHECK(list_lru_add(&lru, &item, 0, NULL));
	CHECK(list_lru_del(&lru, &item, 0, NULL));
	CHECK(!list_lru_del(&lru, &item, 0, NULL));
	list_lru_destroy(&lru);
}

/* --- threads -------------------------------------------------------------- */

static struct fixture *shared;
static struct mem_cgroup *shared_group;
static _Atomic(bool) over;
static _Atomic(unsigned long) added, deleted;

static void *add_and_delete(void *arg)
{
	char tag = *(char *)arg;
	int i;

	for (i = 0; i < 3000; i++) {
		if (add(shared, tag, 0, shared_group))
			atomic_fetch_add(&added, 1);
		if (del(shared, tag, 0, shared_group))
			atomic_fetch_add(&deleted, 1);
	}
	return NULL;
}

static void *read_counts(void *arg)
{
	(void)arg;
	while (!atomic_load(&over)) {
		CHECK(list_lru_count_one(&shared->lru, 0, shared_group) <= 2);
		CHECK(list_lru_count_one(&shared->lru, 0, NULL) <= 2);
		CHECK(list_lru_count_node(&shared->lru, 0) <= 2);
	}
	return NULL;
}

/* Two threads for each item, while the group goes offline: each addition is deleted
 * once, and no count is ever negative. */
static void counts_are_never_negative(struct fixture *f)
{
	char tags[] = "aabb";
	pthread_t thread[4], reader;
	int i;

	shared = f;
	shared_group = group_new(f->root);
	reader = thread_start(read_counts, NULL);
	for (i = 0; i < 4; i++)
		thread[i] = thread_start(add_and_delete, &tags[i]);
	usleep(1000);
	CHECK_EQ(mem_cgroup_offline(shared_group), 0);
	threads_join(thread, 4);
	atomic_store(&over, true);
	thread_join(reader);
	CHECK_EQ(atomic_load(&added), atomic_load(&deleted));
	CHECK_EQ(list_lru_count(&shared->lru), 0);
}

int main(void)
{
	run(lists_are_in_order);
	run(groups_have_their_own_lists);
	run(an_unaware_lru_ignores_groups);
	run(an_lru_of_any_shrinker_has_lists_for_groups);
	run(without_kmem_there_is_one_list);
	run(without_memcgs_there_is_one_list);
	run(the_first_item_sets_the_bit);
	run(wrong_nodes_and_foreign_groups_are_refused);
	run(callbacks_decide_about_items);
	run(rotated_items_come_again);
	run(retries_start_from_the_head);
	run(items_can_be_moved_to_another_list);
	run(a_node_counts_after_the_callback);
	run(misuse_leaves_counts_at_0);
	run(a_nodes_walk_goes_by_id);
	run(kmem_ids_are_reused);
	run(a_shrink_control_names_the_list);
	run(callbacks_can_add_to_other_lists);
	run(items_are_moved_to_the_parent);
	run(items_are_moved_up_level_by_level);
	run(late_items_skip_groups_without_lists);
	run(removing_the_group_ends_the_walk);
	run(a_nodes_walk_holds_the_group);
	run(offline_waits_for_the_lists_lock);
	run(destroying_takes_all_items_off);
	run(many_lrus_do_not_mix);
	RUN(an_lru_holds_its_domain);
	RUN(list_lru_init_uses_the_default_domain);
	run(counts_are_never_negative);
	return checks_report("test_list_lru");
}
