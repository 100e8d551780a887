/* SPDX-License-Identifier: MIT */
/* Lists of objects per node and group, and where they go with their groups. */
#include <linux/list_lru.h>

#include "cache.h"
#include "memcg.h"

#define NR_ITEMS 8

/**
 * struct fixture - a domain of two nodes, an lru in it, and items
 * @shrinker: the lru's, memcg-aware; not registered
 * @log: tags of the items that callbacks have seen
 * @script: what the callbacks answer, a letter each; at its end: LRU_SKIP
 * @moved: receives the items that a callback moves away
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
	f->domain = reclaim_domain_create(2, RECLAIM_STALL_LIMIT,
					  RECLAIM_MEMCG | RECLAIM_KMEM);
	CHECK(f->domain);
	f->root = reclaim_domain_root(f->domain);
	f->shrinker = reclaim_shrinker_alloc(
		f->domain, SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE, "lru");
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
	reclaim_domain_put(f->domain);
}

static struct mem_cgroup *group_new(struct mem_cgroup *parent)
{
	struct mem_cgroup *memcg;

	CHECK_EQ(mem_cgroup_create(parent, &memcg), 0);
	return memcg;
}

static bool add(struct fixture *f, char tag, int nid, struct mem_cgroup *memcg)
{
	return list_lru_add(&f->lru, &f->entry[tag - 'a'].item, nid, memcg);
}

static bool del(struct fixture *f, char tag, int nid, struct mem_cgroup *memcg)
{
	return list_lru_del(&f->lru, &f->entry[tag - 'a'].item, nid, memcg);
}

static bool has_bit(struct fixture *f, int nid, struct mem_cgroup *memcg)
{
	return mem_cgroup_has_bit(memcg, nid, shrinker_id(f->shrinker));
}

static char tag_of(struct list_head *item)
{
	return list_entry(item, struct entry, item)->tag;
}

/*
 * Does what the script says: r remove, m move away, o rotate, s skip, x stop; R
 * and T let go of the lock, with removal and without.
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

/* A walk over one list; its log and how many were removed. */
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

/* What is on a list, in order; the list stays as it is. */
static void check_list(struct fixture *f, int nid, struct mem_cgroup *memcg,
		       const char *tags)
{
	check_walk_one(f, nid, memcg, "", 100, tags, 0, 100 - strlen(tags));
	CHECK_EQ(list_lru_count_one(&f->lru, nid, memcg), strlen(tags));
}

/* --- adding and deleting -------------------------------------------------- */

/* First in, first out; an item is on one list, once. */
static void lists_are_in_order(void)
{
	struct fixture f;

	fixture_open(&f);
	CHECK(add(&f, 'b', 0, NULL));
	CHECK(add(&f, 'a', 0, NULL));
	CHECK(add(&f, 'c', 1, NULL));
	CHECK(!add(&f, 'a', 0, NULL));
	CHECK_EQ(list_lru_insert(&f.lru, &f.entry[0].item, 0, NULL), -EEXIST);
	CHECK(add(&f, 'd', 0, f.root));
	check_list(&f, 0, NULL, "bad");
	check_list(&f, 1, NULL, "c");
	check_list(&f, 1, f.root, "c");
	CHECK_EQ(list_lru_count_node(&f.lru, 0), 3);
	CHECK_EQ(list_lru_count_node(&f.lru, 1), 1);
	CHECK_EQ(list_lru_count(&f.lru), 4);

	CHECK(del(&f, 'a', 0, NULL));
	CHECK(list_empty(&f.entry[0].item));
	CHECK(!del(&f, 'a', 0, NULL));
	check_list(&f, 0, NULL, "bd");
	CHECK(add(&f, 'a', 0, NULL));
	check_list(&f, 0, NULL, "bda");
	CHECK_EQ(list_lru_count_node(&f.lru, 0), 3);
	fixture_close(&f);
}

/* Lists of groups are apart; an item that is on none of a group's is not found
 * there, whether the group has lists or not. */
static void groups_are_apart(void)
{
	struct fixture f;
	struct mem_cgroup *a, *b;

	fixture_open(&f);
	a = group_new(f.root);
	b = group_new(f.root);
	CHECK(!del(&f, 'a', 0, a));
	CHECK_EQ(list_lru_count_one(&f.lru, 0, a), 0);
	CHECK(add(&f, 'a', 0, a));
	CHECK(add(&f, 'b', 1, a));
	CHECK(add(&f, 'c', 1, b));
	CHECK(add(&f, 'd', 1, NULL));
	check_list(&f, 0, a, "a");
	check_list(&f, 1, a, "b");
	check_list(&f, 0, b, "");
	check_list(&f, 1, b, "c");
	check_list(&f, 1, NULL, "d");
	CHECK_EQ(list_lru_count_node(&f.lru, 0), 1);
	CHECK_EQ(list_lru_count_node(&f.lru, 1), 3);
	CHECK(del(&f, 'b', 1, a));
	CHECK(!del(&f, 'b', 1, a));
	CHECK_EQ(list_lru_count_node(&f.lru, 1), 2);
	mem_cgroup_put(a);
	mem_cgroup_put(b);
	fixture_close(&f);
}

/* An lru of a shrinker that is not memcg-aware, or of none, has one list for all
 * groups, and sets nobody's bit. */
static void an_unaware_lru_ignores_groups(void)
{
	struct fixture f;
	struct shrinker *unaware;
	struct mem_cgroup *memcg;
	struct list_lru lru;
	int i;

	fixture_open(&f);
	unaware = reclaim_shrinker_alloc(f.domain, SHRINKER_NUMA_AWARE, "u");
	memcg = group_new(f.root);
	for (i = 0; i < 2; i++) {
		unsigned long budget = 10;

		CHECK_EQ(list_lru_init_domain(&lru, f.domain, i ? unaware : NULL),
			 0);
		CHECK(list_lru_add(&lru, &f.entry[0].item, 0, memcg));
		CHECK(!list_lru_add(&lru, &f.entry[0].item, 0, NULL));
		CHECK_EQ(list_lru_count_one(&lru, 0, NULL), 1);
		CHECK_EQ(list_lru_count_one(&lru, 0, memcg), 1);
		CHECK(!has_bit(&f, 0, memcg));
		CHECK_EQ(list_lru_walk_node(&lru, 0, play, &f, &budget), 0);
		CHECK_EQ(budget, 9);
		CHECK(list_lru_del(&lru, &f.entry[0].item, 0, f.root));
		list_lru_destroy(&lru);
	}
	mem_cgroup_put(memcg);
	shrinker_free(unaware);
	fixture_close(&f);
}

static unsigned long nothing_to_count(struct shrinker *shrinker,
				      struct shrink_control *sc)
{
	(void)shrinker;
	(void)sc;
	return SHRINK_EMPTY;
}

/* The first addition to an empty list sets the bit for its group and node, and
 * no other does; the root needs none. */
static void the_first_item_sets_the_bit(void)
{
	struct fixture f;
	struct mem_cgroup *a, *b;

	fixture_open(&f);
	a = group_new(f.root);
	b = group_new(a);
	f.shrinker->count_objects = nothing_to_count;
	shrinker_register(f.shrinker);
	CHECK(add(&f, 'a', 1, b));
	CHECK(has_bit(&f, 1, b));
	CHECK(!has_bit(&f, 0, b));
	CHECK(!has_bit(&f, 1, a));
	CHECK(add(&f, 'b', 0, NULL));
	CHECK(!has_bit(&f, 0, f.root));

	/* The shrinker denies it, and is believed until the list was empty. */
	CHECK_EQ(reclaim_shrink_slab(f.domain, GFP_KERNEL, 1, b, 0), 0);
	CHECK(!has_bit(&f, 1, b));
	CHECK(add(&f, 'c', 1, b));
	CHECK(!has_bit(&f, 1, b));
	CHECK(del(&f, 'a', 1, b));
	CHECK(del(&f, 'c', 1, b));
	CHECK(!has_bit(&f, 1, b));
	CHECK(add(&f, 'a', 1, b));
	CHECK(has_bit(&f, 1, b));
	mem_cgroup_put(a);
	mem_cgroup_put(b);
	fixture_close(&f);
}

/* A node that is not there, a group or a shrinker of another domain: refused, and
 * nothing has changed. */
static void strangers_are_refused(void)
{
	struct fixture f;
	struct reclaim_domain *other = reclaim_domain_create(2, 0, RECLAIM_MEMCG);
	struct mem_cgroup *stranger = reclaim_domain_root(other);
	static const int wrong[] = { -1, 2, 1000 };
	unsigned long budget = 10;
	struct list_lru lru;
	int i;

	fixture_open(&f);
	CHECK(add(&f, 'b', 0, NULL));
	for (i = 0; i < 3; i++) {
		CHECK_EQ(list_lru_insert(&f.lru, &f.entry[0].item, wrong[i], NULL),
			 -EINVAL);
		CHECK(!add(&f, 'a', wrong[i], NULL));
		CHECK(!del(&f, 'b', wrong[i], NULL));
		CHECK_EQ(list_lru_count_one(&f.lru, wrong[i], NULL), 0);
		CHECK_EQ(list_lru_count_node(&f.lru, wrong[i]), 0);
		check_walk_one(&f, wrong[i], NULL, "", 10, "", 0, 10);
		CHECK_EQ(list_lru_walk_node(&f.lru, wrong[i], play, &f, &budget),
			 0);
		CHECK_EQ(budget, 10);
	}
	CHECK_EQ(list_lru_insert(&f.lru, &f.entry[0].item, 0, stranger), -EINVAL);
	CHECK(!del(&f, 'b', 0, stranger));
	CHECK_EQ(list_lru_count_one(&f.lru, 0, stranger), 0);
	check_walk_one(&f, 0, stranger, "r", 10, "", 0, 10);
	CHECK(list_empty(&f.entry[0].item));
	check_list(&f, 0, NULL, "b");

	CHECK_EQ(list_lru_init_domain(&lru, other, f.shrinker), -EINVAL);
	list_lru_destroy(&lru);
	fixture_close(&f);
	reclaim_domain_put(other);
}

/* --- walks ---------------------------------------------------------------- */

static void add_all(struct fixture *f, const char *tags, int nid,
		    struct mem_cgroup *memcg)
{
	for (; *tags; tags++)
		CHECK(add(f, *tags, nid, memcg));
}

/* What each answer does to the item, to the walk and to the budget. */
static void answers_do_what_they_say(void)
{
	struct fixture f;

	fixture_open(&f);
	add_all(&f, "abcd", 0, NULL);
	check_walk_one(&f, 0, NULL, "srsr", 10, "abcd", 2, 6);
	check_list(&f, 0, NULL, "ac");
	add_all(&f, "bd", 0, NULL);
	check_walk_one(&f, 0, NULL, "sx", 10, "ac", 0, 8);
	check_list(&f, 0, NULL, "acbd");
	check_walk_one(&f, 0, NULL, "rx", 10, "ac", 1, 8);
	check_list(&f, 0, NULL, "cbd");
	/* The budget ends it first. */
	check_walk_one(&f, 0, NULL, "rrr", 2, "cb", 2, 0);
	check_walk_one(&f, 0, NULL, "rrr", 0, "", 0, 0);
	check_list(&f, 0, NULL, "d");
	CHECK_EQ(list_lru_count_node(&f.lru, 0), 1);
	fixture_close(&f);
}

/* A rotated item is last from then on, and comes again while there is budget;
 * the last of the list has nobody to come after, unless one was rotated. */
static void rotated_items_come_again(void)
{
	struct fixture f;

	fixture_open(&f);
	add_all(&f, "abc", 0, NULL);
	check_walk_one(&f, 0, NULL, "os", 10, "abca", 0, 6);
	check_list(&f, 0, NULL, "bca");
	check_walk_one(&f, 0, NULL, "ooooooo", 7, "bcabcab", 0, 0);
	check_list(&f, 0, NULL, "cab");
	check_walk_one(&f, 0, NULL, "sso", 10, "cab", 0, 7);
	check_list(&f, 0, NULL, "cab");
	check_walk_one(&f, 0, NULL, "ooorrr", 10, "cabcab", 3, 4);
	check_list(&f, 0, NULL, "");
	CHECK(add(&f, 'a', 0, NULL));
	check_walk_one(&f, 0, NULL, "ooo", 10, "a", 0, 9);
	fixture_close(&f);
}

/* After the lock was let go of, the walk starts again from the head; removals
 * count, and each call takes from the budget. */
static void retries_start_from_the_head(void)
{
	struct fixture f;

	fixture_open(&f);
	add_all(&f, "abc", 0, NULL);
	check_walk_one(&f, 0, NULL, "sTsR", 10, "ababac", 1, 4);
	check_list(&f, 0, NULL, "ac");
	check_walk_one(&f, 0, NULL, "TTTTT", 5, "aaaaa", 0, 0);
	check_walk_one(&f, 0, NULL, "RR", 10, "ac", 2, 8);
	check_list(&f, 0, NULL, "");
	fixture_close(&f);
}

/* Items moved away are on the list that the callback gave, in order. */
static void items_can_be_moved_away(void)
{
	struct fixture f;
	struct entry *entry, *after;
	char tags[NR_ITEMS] = "";

	fixture_open(&f);
	add_all(&f, "abcd", 1, NULL);
	check_walk_one(&f, 1, NULL, "msmm", 10, "abcd", 3, 6);
	check_list(&f, 1, NULL, "b");
	CHECK_EQ(list_lru_count_node(&f.lru, 1), 1);
	list_for_each_entry_safe(entry, after, &f.moved, item) {
		list_del_init(&entry->item);
		log_append(tags, entry->tag);
	}
	CHECK_TEXT(tags, "acd");
	add_all(&f, "acd", 1, NULL);
	check_list(&f, 1, NULL, "bacd");
	fixture_close(&f);
}

/* A node's walk takes the root's list first, then the groups' by id, wherever
 * they are in the tree, while budget is left. */
static void a_nodes_walk_goes_by_id(void)
{
	struct fixture f;
	struct mem_cgroup *a, *b, *below_a;
	unsigned long budget = 10;

	fixture_open(&f);
	a = group_new(f.root);
	b = group_new(f.root);
	below_a = group_new(a);
	add_all(&f, "ab", 0, below_a);
	add_all(&f, "cd", 0, b);
	add_all(&f, "e", 0, a);
	add_all(&f, "f", 0, NULL);
	add_all(&f, "g", 1, a);
	CHECK_EQ(list_lru_walk_node(&f.lru, 0, play, &f, &budget), 0);
	CHECK_TEXT(f.log, "fecdab");
	CHECK_EQ(budget, 4);

	/* It ends where the budget does; STOP ends one list's. */
	budget = 3;
	f.log[0] = '\0';
	f.script = "rsr";
	CHECK_EQ(list_lru_walk_node(&f.lru, 0, play, &f, &budget), 2);
	CHECK_TEXT(f.log, "fec");
	budget = 10;
	f.log[0] = '\0';
	f.script = "sxx";
	CHECK_EQ(list_lru_walk_node(&f.lru, 0, play, &f, &budget), 0);
	CHECK_TEXT(f.log, "eda");
	CHECK_EQ(list_lru_count_node(&f.lru, 0), 4);

	f.log[0] = '\0';
	f.script = "rrrrrrr";
	CHECK_EQ(list_lru_walk(&f.lru, play, &f, 100), 5);
	CHECK_TEXT(f.log, "edabg");
	CHECK_EQ(list_lru_count(&f.lru), 0);
	/* None is held any more but by its creator and the tree. */
	CHECK_EQ(a->refs, 3);
	CHECK_EQ(b->refs, 2);
	CHECK_EQ(below_a->refs, 2);
	mem_cgroup_put(a);
	mem_cgroup_put(b);
	mem_cgroup_put(below_a);
	fixture_close(&f);
}

/* The callbacks of a shrinker: node, group and budget from the shrink_control. */
static void shrink_controls_name_the_list(void)
{
	struct fixture f;
	struct mem_cgroup *memcg;
	struct shrink_control sc = { .nid = 1, .nr_to_scan = 3 };

	fixture_open(&f);
	memcg = group_new(f.root);
	sc.memcg = memcg;
	add_all(&f, "abcd", 1, memcg);
	CHECK_EQ(list_lru_shrink_count(&f.lru, &sc), 4);
	f.script = "rsr";
	CHECK_EQ(list_lru_shrink_walk(&f.lru, &sc, play, &f), 2);
	CHECK_EQ(sc.nr_to_scan, 0);
	CHECK_TEXT(f.log, "abc");
	CHECK_EQ(list_lru_shrink_count(&f.lru, &sc), 2);
	sc.nid = 0;
	CHECK_EQ(list_lru_shrink_count(&f.lru, &sc), 0);
	mem_cgroup_put(memcg);
	fixture_close(&f);
}

struct onward {
	struct list_lru *lru;
	struct mem_cgroup *memcg;
};

static enum lru_status pass_on(struct list_head *item, struct list_lru_one *list,
			       void *arg)
{
	struct onward *onward = arg;

	list_lru_isolate(list, item);
	CHECK(list_lru_add(onward->lru, item, 0, onward->memcg));
	return LRU_REMOVED;
}

/* A callback can add to other lists, also where the group has none yet; among
 * them those of parents. */
static void callbacks_can_pass_items_on(void)
{
	struct fixture f;
	struct mem_cgroup *above, *memcg;
	unsigned long budget = 10;
	struct list_lru other;
	struct onward onward;

	fixture_open(&f);
	above = group_new(f.root);
	memcg = group_new(above);
	CHECK_EQ(list_lru_init_memcg(&other, f.shrinker), 0);
	add_all(&f, "ab", 0, memcg);
	onward = (struct onward){ &other, memcg };
	CHECK_EQ(list_lru_walk_one(&f.lru, 0, memcg, pass_on, &onward, &budget),
		 2);
	CHECK_EQ(list_lru_count_one(&other, 0, memcg), 2);
	CHECK_EQ(list_lru_count(&f.lru), 0);
	list_lru_destroy(&other);
	add_all(&f, "ab", 0, memcg);
	onward = (struct onward){ &f.lru, above };
	CHECK_EQ(list_lru_walk_one(&f.lru, 0, memcg, pass_on, &onward, &budget),
		 2);
	check_list(&f, 0, above, "ab");
	CHECK(has_bit(&f, 0, above));
	mem_cgroup_put(above);
	mem_cgroup_put(memcg);
	fixture_close(&f);
}

/* --- groups that go ------------------------------------------------------- */

/* A group's items go behind its parent's, whose bit is set for the nodes of what
 * was moved; they are found in the name of either. */
static void items_go_to_the_parent(void)
{
	struct fixture f;
	struct mem_cgroup *above, *memcg;

	fixture_open(&f);
	above = group_new(f.root);
	memcg = group_new(above);
	add_all(&f, "ab", 0, memcg);
	add_all(&f, "c", 0, above);
	CHECK(!has_bit(&f, 1, above));
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	CHECK_EQ(list_lru_count_one(&f.lru, 0, memcg), 0);
	check_walk_one(&f, 0, memcg, "r", 10, "", 0, 10);
	check_list(&f, 0, above, "cab");
	CHECK(!has_bit(&f, 1, above));
	CHECK_EQ(list_lru_count_node(&f.lru, 0), 3);

	CHECK_EQ(list_lru_insert(&f.lru, &f.entry[0].item, 0, memcg), -EEXIST);
	CHECK(del(&f, 'a', 0, memcg));
	CHECK(!del(&f, 'a', 0, memcg));
	CHECK(del(&f, 'b', 0, above));
	check_list(&f, 0, above, "c");

	/* Too late: the nearest living ancestor gets it, and its bit is set. */
	CHECK(add(&f, 'a', 1, memcg));
	CHECK(has_bit(&f, 1, above));
	check_list(&f, 1, above, "a");
	CHECK(del(&f, 'a', 1, memcg));

	/* Twice changes nothing. */
	CHECK_EQ(mem_cgroup_offline(memcg), 0);
	check_list(&f, 0, above, "c");
	mem_cgroup_put(above);
	mem_cgroup_put(memcg);
	fixture_close(&f);
}

/* Level after level up to the root, which has lists and needs no bits; also
 * where a group on the way never had an item of its own. */
static void items_go_up_level_by_level(void)
{
	struct fixture f;
	struct mem_cgroup *memcg[5];
	int i;

	fixture_open(&f);
	memcg[0] = f.root;
	for (i = 1; i < 5; i++)
		memcg[i] = group_new(memcg[i - 1]);
	add_all(&f, "ab", 0, memcg[4]);
	add_all(&f, "c", 1, memcg[2]);
	for (i = 4; i > 0; i--) {
		CHECK_EQ(mem_cgroup_offline(memcg[i]), 0);
		check_list(&f, 0, memcg[i], "");
		check_list(&f, 0, memcg[i - 1], "ab");
		CHECK_EQ(has_bit(&f, 0, memcg[i - 1]), i > 1);
		check_list(&f, 1, memcg[2], i > 2 ? "c" : "");
		CHECK_EQ(list_lru_count(&f.lru), 3);
		/* In the name of the one that it was added for. */
		CHECK(del(&f, 'a', 0, memcg[4]));
		CHECK(del(&f, 'b', 0, memcg[4]));
		CHECK(add(&f, 'a', 0, memcg[4]));
		CHECK(add(&f, 'b', 0, memcg[4]));
	}
	check_list(&f, 0, NULL, "ab");
	check_list(&f, 1, NULL, "c");

	/* Their memory goes; what was moved does not care. */
	for (i = 4; i > 0; i--) {
		CHECK_EQ(mem_cgroup_remove(memcg[i]), 0);
		mem_cgroup_put(memcg[i]);
	}
	CHECK_EQ(list_lru_count(&f.lru), 3);
	CHECK(del(&f, 'a', 0, NULL));
	check_list(&f, 0, NULL, "b");
	fixture_close(&f);
}

/* Groups that went without ever having had lists of the lru pass on what comes
 * late, to one that has lists and to one that has none. */
static void late_items_pass_groups_without_lists(void)
{
	struct fixture f;
	struct mem_cgroup *above, *middle, *below;

	fixture_open(&f);
	above = group_new(f.root);
	middle = group_new(above);
	below = group_new(middle);
	CHECK_EQ(mem_cgroup_offline(below), 0);
	CHECK_EQ(mem_cgroup_offline(middle), 0);
	CHECK(!del(&f, 'a', 0, below));
	CHECK(add(&f, 'a', 0, below));
	CHECK(has_bit(&f, 0, above));
	check_list(&f, 0, above, "a");
	check_list(&f, 0, below, "");
	CHECK(del(&f, 'a', 0, middle));
	CHECK_EQ(mem_cgroup_offline(above), 0);
	CHECK(add(&f, 'b', 0, below));
	check_list(&f, 0, NULL, "b");
	CHECK(del(&f, 'b', 0, below));
	mem_cgroup_put(below);
	mem_cgroup_put(middle);
	mem_cgroup_put(above);
	fixture_close(&f);
}

static struct mem_cgroup *going;

/* The group goes while its list is not locked. */
static enum lru_status go_meanwhile(struct list_head *item,
				    struct list_lru_one *list, void *arg)
{
	struct fixture *f = arg;

	log_append(f->log, tag_of(item));
	if (*f->script == 'R')
		list_lru_isolate(list, item);
	list_lru_unlock(list);
	CHECK_EQ(mem_cgroup_offline(going), 0);
	CHECK_EQ(mem_cgroup_remove(going), 0);
	list_lru_lock(list);
	return *f->script == 'R' ? LRU_REMOVED_RETRY : LRU_RETRY;
}

/* Where the items have gone meanwhile, the walk ends: they are another's. */
static void a_group_may_go_under_a_walk(void)
{
	struct fixture f;
	int i;

	for (i = 0; i < 2; i++) {
		unsigned long budget = 10;

		fixture_open(&f);
		f.script = i ? "R" : "T";
		going = group_new(f.root);
		add_all(&f, "abc", 0, going);
		CHECK_EQ(list_lru_walk_one(&f.lru, 0, going, go_meanwhile, &f,
					   &budget),
			 i);
		CHECK_TEXT(f.log, "a");
		CHECK_EQ(budget, 9);
		check_list(&f, 0, NULL, i ? "bc" : "abc");
		CHECK_EQ(list_lru_count_node(&f.lru, 0), i ? 2 : 3);
		CHECK(del(&f, 'b', 0, going));
		mem_cgroup_put(going);
		fixture_close(&f);
	}
}

/* By nobody's reference but the walk's: a node's walk holds the group it is at. */
static enum lru_status put_meanwhile(struct list_head *item,
				     struct list_lru_one *list, void *arg)
{
	struct fixture *f = arg;

	log_append(f->log, tag_of(item));
	if (going) {
		list_lru_unlock(list);
		CHECK_EQ(mem_cgroup_offline(going), 0);
		CHECK_EQ(mem_cgroup_remove(going), 0);
		mem_cgroup_put(going);
		going = NULL;
		list_lru_lock(list);
		return LRU_RETRY;
	}
	return LRU_SKIP;
}

static void a_nodes_walk_holds_the_group(void)
{
	struct fixture f;
	struct mem_cgroup *next;
	unsigned long budget = 10;

	fixture_open(&f);
	going = group_new(f.root);
	next = group_new(f.root);
	add_all(&f, "ab", 0, going);
	add_all(&f, "c", 0, next);
	CHECK_EQ(list_lru_walk_node(&f.lru, 0, put_meanwhile, &f, &budget), 0);
	CHECK_TEXT(f.log, "ac");
	check_list(&f, 0, NULL, "ab");
	mem_cgroup_put(next);
	fixture_close(&f);
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

/* Going offline waits for a callback that has the list, and for no other: in the
 * meantime counts go on, and so do other lists. */
static void offline_waits_for_the_lists_lock(void)
{
	struct fixture f;
	pthread_t walking, leaving;

	fixture_open(&f);
	sleeper_init(&sleeper);
	going = group_new(f.root);
	add_all(&f, "ab", 0, going);
	walking = thread_start(walk_sleeping, &f.lru);
	semaphore_wait(&sleeper.entered);
	leaving = thread_start(go_offline, NULL);
	moment();
	CHECK(!atomic_load(&offline));
	CHECK_EQ(list_lru_count_one(&f.lru, 0, going), 2);
	CHECK(add(&f, 'c', 1, NULL));
	sem_post(&sleeper.leave);
	thread_join(walking);
	thread_join(leaving);
	CHECK(atomic_load(&offline));
	check_list(&f, 0, NULL, "ab");
	mem_cgroup_put(going);
	fixture_close(&f);
}

/* --- life ----------------------------------------------------------------- */

/* An lru's end takes all items off, wherever they are; a second end, and one
 * without a beginning, are nothing. */
static void the_end_takes_all_items_off(void)
{
	struct fixture f;
	struct mem_cgroup *memcg, *gone;
	struct list_lru zero;
	int i;

	fixture_open(&f);
	memcg = group_new(f.root);
	gone = group_new(memcg);
	add_all(&f, "ab", 0, NULL);
	add_all(&f, "cd", 1, memcg);
	add_all(&f, "e", 1, gone);
	CHECK_EQ(mem_cgroup_offline(gone), 0);
	list_lru_destroy(&f.lru);
	for (i = 0; i < NR_ITEMS; i++)
		CHECK(list_empty(&f.entry[i].item));
	list_lru_destroy(&f.lru);
	memset(&zero, 0, sizeof(zero));
	list_lru_destroy(&zero);

	/* The next one finds nothing of it. */
	CHECK_EQ(list_lru_init_memcg(&f.lru, f.shrinker), 0);
	check_list(&f, 1, memcg, "");
	CHECK_EQ(list_lru_count(&f.lru), 0);
	add_all(&f, "de", 1, gone);
	check_list(&f, 1, memcg, "de");
	mem_cgroup_put(gone);
	mem_cgroup_put(memcg);
	fixture_close(&f);
}

/* Many lrus at a time, each with lists of its own in each group, whatever goes
 * first. */
static void many_lrus_keep_apart(void)
{
	enum { MANY = 70 };
	struct fixture f;
	struct list_lru lru[MANY];
	struct list_head item[MANY], late[MANY];
	struct mem_cgroup *memcg;
	int i;

	fixture_open(&f);
	memcg = group_new(f.root);
	for (i = 0; i < MANY; i++) {
		CHECK_EQ(list_lru_init_memcg(&lru[i], f.shrinker), 0);
		INIT_LIST_HEAD(&item[i]);
		INIT_LIST_HEAD(&late[i]);
		if (i % 3 == 0)
			CHECK(list_lru_add(&lru[i], &item[i], i % 2, memcg));
	}
	for (i = 0; i < MANY; i += 2)
		list_lru_destroy(&lru[i]);
	for (i = 0; i < MANY; i += 2)
		CHECK_EQ(list_lru_init_memcg(&lru[i], f.shrinker), 0);
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
	mem_cgroup_put(memcg);
	fixture_close(&f);
}

/* An lru keeps its domain, and a domain without groups has lrus without. */
static void an_lru_keeps_its_domain(void)
{
	struct reclaim_domain *domain = domain_new(2);
	struct shrinker *shrinker = reclaim_shrinker_alloc(
		domain, SHRINKER_MEMCG_AWARE, "unaware after all");
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

/* The kernel's name works on the default domain. */
static void the_default_domain_has_lrus(void)
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

static struct fixture shared;
static struct mem_cgroup *shared_group;
static _Atomic(bool) over;
static _Atomic(unsigned long) added, deleted;

static void *add_and_delete(void *arg)
{
	char tag = *(char *)arg;
	int i;

	for (i = 0; i < 3000; i++) {
		if (add(&shared, tag, 0, shared_group))
			atomic_fetch_add(&added, 1);
		if (del(&shared, tag, 0, shared_group))
			atomic_fetch_add(&deleted, 1);
	}
	return NULL;
}

static void *read_counts(void *arg)
{
	(void)arg;
	while (!atomic_load(&over)) {
		CHECK(list_lru_count_one(&shared.lru, 0, shared_group) <= 2);
		CHECK(list_lru_count_one(&shared.lru, 0, NULL) <= 2);
		CHECK(list_lru_count_node(&shared.lru, 0) <= 2);
	}
	return NULL;
}

/* Two threads for each item, the group going meanwhile: each addition is deleted
 * once, and no count is ever negative. */
static void counts_are_never_negative(void)
{
	char tags[] = "aabb";
	pthread_t thread[4], reader;
	int i;

	fixture_open(&shared);
	shared_group = group_new(shared.root);
	reader = thread_start(read_counts, NULL);
	for (i = 0; i < 4; i++)
		thread[i] = thread_start(add_and_delete, &tags[i]);
	usleep(1000);
	CHECK_EQ(mem_cgroup_offline(shared_group), 0);
	for (i = 0; i < 4; i++)
		thread_join(thread[i]);
	atomic_store(&over, true);
	thread_join(reader);
	CHECK_EQ(atomic_load(&added), atomic_load(&deleted));
	CHECK_EQ(list_lru_count(&shared.lru), 0);
	mem_cgroup_put(shared_group);
	fixture_close(&shared);
}

int main(void)
{
	RUN(lists_are_in_order);
	RUN(groups_are_apart);
	RUN(an_unaware_lru_ignores_groups);
	RUN(the_first_item_sets_the_bit);
	RUN(strangers_are_refused);
	RUN(answers_do_what_they_say);
	RUN(rotated_items_come_again);
	RUN(retries_start_from_the_head);
	RUN(items_can_be_moved_away);
	RUN(a_nodes_walk_goes_by_id);
	RUN(shrink_controls_name_the_list);
	RUN(callbacks_can_pass_items_on);
	RUN(items_go_to_the_parent);
	RUN(items_go_up_level_by_level);
	RUN(late_items_pass_groups_without_lists);
	RUN(a_group_may_go_under_a_walk);
	RUN(a_nodes_walk_holds_the_group);
	RUN(offline_waits_for_the_lists_lock);
	RUN(the_end_takes_all_items_off);
	RUN(many_lrus_keep_apart);
	RUN(an_lru_keeps_its_domain);
	RUN(the_default_domain_has_lrus);
	RUN(counts_are_never_negative);
	return checks_report("test_list_lru");
}
