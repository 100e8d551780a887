/* SPDX-License-Identifier: MIT */
/* The driver test kit: trees, arrays and tables. */

#include "check.h"
#include "kit_failures.h"

#include <linux/idr.h>
#include <linux/radix-tree.h>
#include <linux/random.h>
#include <linux/rhashtable.h>

struct number {
	struct rb_node node;
	int value;
};

static bool is_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct number, node)->value <
	       rb_entry(b, struct number, node)->value;
}

/* Black nodes on each way down; -1 where ways differ, or a red node has a red child. */
static int blacks(const struct rb_node *node, bool above_is_red)
{
	int left, right;

	if (!node)
		return 1;
	if (node->red && above_is_red)
		return -1;
	left = blacks(node->rb_left, node->red);
	right = blacks(node->rb_right, node->red);
	return left < 0 || left != right ? -1 : left + !node->red;
}

/* The tree keeps its order and its balance while nodes come and go. */
static void trees_keep_their_balance(void)
{
	enum { N = 500 };
	static struct number numbers[N];
	static bool inside[N];
	struct rb_root root = RB_ROOT;
	struct rb_node *node;
	int i, step, n = 0, seen;

	shrinker_test_seed(1);
	for (i = 0; i < N; i++)
		numbers[i].value = i;
	for (step = 0; step < 20000; step++) {
		i = (int)get_random_u32_below(N);
		if (inside[i])
			rb_erase(&numbers[i].node, &root);
		else
			rb_add(&numbers[i].node, &root, is_less);
		n += inside[i] ? -1 : 1;
		inside[i] = !inside[i];
		if (step % 50)
			continue;
		CHECK(blacks(root.rb_node, true) > 0);
		seen = 0;
		for (node = rb_first(&root), i = -1; node; node = rb_next(node)) {
			CHECK(rb_entry(node, struct number, node)->value > i);
			i = rb_entry(node, struct number, node)->value;
			CHECK(inside[i]);
			seen++;
		}
		CHECK_EQ(seen, n);
		for (node = rb_last(&root); node; node = rb_prev(node))
			seen--;
		CHECK_EQ(seen, 0);
		for (node = rb_first_postorder(&root); node;
		     node = rb_next_postorder(node))
			seen++;
		CHECK_EQ(seen, n);
	}
}

/* Trees without nodes, and roots without children. */
static void small_trees(void)
{
	struct number one = { .value = 1 }, two = { .value = 2 };
	struct rb_root root = RB_ROOT;

	CHECK(!rb_first(&root) && !rb_last(&root) && !rb_first_postorder(&root));
	CHECK(!rb_next_postorder(NULL));
	RB_CLEAR_NODE(&one.node);
	CHECK(!rb_prev(&one.node));
	rb_add(&one.node, &root, is_less);
	rb_replace_node(&one.node, &two.node, &root);
	CHECK(root.rb_node == &two.node && !rb_next(&two.node));
	rb_erase(&two.node, &root);
	CHECK(!root.rb_node);
}

/* A node can stand in for another. */
static void a_node_is_replaced(void)
{
	struct number numbers[3] = { 0 }, other = { 0 };
	struct rb_root root = RB_ROOT;

	rb_link_node(&numbers[1].node, NULL, &root.rb_node);
	rb_insert_color(&numbers[1].node, &root);
	rb_link_node(&numbers[0].node, &numbers[1].node, &numbers[1].node.rb_left);
	rb_insert_color(&numbers[0].node, &root);
	rb_link_node(&numbers[2].node, &numbers[1].node, &numbers[1].node.rb_right);
	rb_insert_color(&numbers[2].node, &root);
	rb_replace_node(&numbers[1].node, &other.node, &root);
	CHECK(root.rb_node == &other.node);
	CHECK(rb_next(&numbers[0].node) == &other.node);
	CHECK(rb_prev(&numbers[2].node) == &other.node);
	RB_CLEAR_NODE(&numbers[1].node);
	CHECK(!rb_next(&numbers[1].node));
}

/* Entries are found by their index, in its order, and by their mark. */
static void arrays(void)
{
	static int entries[4];
	struct xarray xa;
	unsigned long index;
	unsigned long sum = 0;
	void *entry;

	begin();
	xa_init(&xa);
	CHECK(xa_empty(&xa));
	CHECK(!xa_store(&xa, 5, &entries[0], GFP_KERNEL));
	CHECK(!xa_store(&xa, 1UL << 40, &entries[1], GFP_KERNEL));
	CHECK(!xa_store(&xa, 7, &entries[2], GFP_KERNEL));
	CHECK(xa_load(&xa, 7) == &entries[2] && !xa_load(&xa, 6));
	CHECK(xa_store(&xa, 7, &entries[3], GFP_KERNEL) == &entries[2]);
	CHECK_EQ(xa_insert(&xa, 7, &entries[2], GFP_KERNEL), -EBUSY);
	CHECK_EQ(xa_insert(&xa, 8, &entries[2], GFP_KERNEL), 0);
	CHECK(xa_cmpxchg(&xa, 8, &entries[0], NULL, GFP_KERNEL) == &entries[2]);
	CHECK(xa_cmpxchg(&xa, 8, &entries[2], NULL, GFP_KERNEL) == &entries[2]);
	xa_for_each(&xa, index, entry)
		sum += index;
	CHECK_EQ(sum, (1UL << 40) + 12);
	xa_set_mark(&xa, 7, XA_MARK_1);
	xa_set_mark(&xa, 6, XA_MARK_1);
	CHECK(xa_get_mark(&xa, 7, XA_MARK_1) && !xa_get_mark(&xa, 6, XA_MARK_1));
	CHECK(!xa_get_mark(&xa, 5, XA_MARK_1));
	CHECK(xa_marked(&xa, XA_MARK_1) && !xa_marked(&xa, XA_MARK_2));
	sum = 0;
	xa_for_each_marked(&xa, index, entry, XA_MARK_1)
		sum += index;
	CHECK_EQ(sum, 7);
	xa_clear_mark(&xa, 7, XA_MARK_1);
	CHECK(!xa_marked(&xa, XA_MARK_1));
	index = 6;
	CHECK(!xa_find(&xa, &index, 6, XA_PRESENT));
	index = ~0UL;
	CHECK(!xa_find_after(&xa, &index, ~0UL, XA_PRESENT));
	CHECK(xa_erase(&xa, 5) == &entries[0] && !xa_erase(&xa, 5));
	shrinker_test_fail_allocation(1);
	CHECK_EQ(xa_err(xa_store(&xa, 9, &entries[0], GFP_KERNEL)), -ENOMEM);
	CHECK(xa_is_value(xa_mk_value(3)) && xa_to_value(xa_mk_value(3)) == 3);
	xa_destroy(&xa);
	CHECK_EQ(radix_tree_insert(&xa, 3, &entries[0]), 0);
	CHECK_EQ(radix_tree_insert(&xa, 3, &entries[1]), -EEXIST);
	CHECK(radix_tree_lookup(&xa, 3) == &entries[0]);
	CHECK_EQ(radix_tree_gang_lookup(&xa, &entry, 0, 1), 1);
	CHECK(radix_tree_delete(&xa, 3) == &entries[0]);
	end();
}

static int stop_at(int id, void *entry, void *data)
{
	(void)entry;
	return id == *(int *)data ? id : 0;
}

/* Numbers are the lowest free ones, or go round. */
static void small_numbers(void)
{
	DEFINE_XARRAY_ALLOC1(from_one);
	static int entry;
	DEFINE_IDR(idr);
	DEFINE_IDA(ida);
	u32 index, next = 2;
	int id, sum = 0;
	void *found;

	begin();
	CHECK_EQ(idr_alloc(&idr, &entry, 0, 0, GFP_KERNEL), 0);
	CHECK_EQ(idr_alloc(&idr, &entry, 0, 2, GFP_KERNEL), 1);
	CHECK_EQ(idr_alloc(&idr, &entry, 0, 2, GFP_KERNEL), -ENOSPC);
	CHECK(idr_remove(&idr, 0) == &entry);
	CHECK_EQ(idr_alloc_cyclic(&idr, &entry, 0, 3, GFP_KERNEL), 0);
	CHECK_EQ(idr_alloc_cyclic(&idr, &entry, 0, 3, GFP_KERNEL), 2);
	idr_remove(&idr, 1);
	CHECK_EQ(idr_alloc_cyclic(&idr, &entry, 0, 3, GFP_KERNEL), 1);
	idr_for_each_entry(&idr, found, id)
		sum += id;
	CHECK_EQ(sum, 3);
	id = 2;
	CHECK_EQ(idr_for_each(&idr, stop_at, &id), 2);
	id = 7;
	CHECK_EQ(idr_for_each(&idr, stop_at, &id), 0);
	CHECK(!idr_get_next(&idr, &id) && idr_find(&idr, 2));
	idr_destroy(&idr);
	CHECK(idr_is_empty(&idr));
	CHECK_EQ(ida_alloc(&ida, GFP_KERNEL), 0);
	CHECK_EQ(ida_alloc_min(&ida, 5, GFP_KERNEL), 5);
	CHECK_EQ(ida_alloc_max(&ida, 0, GFP_KERNEL), -ENOSPC);
	shrinker_test_fail_allocation(1);
	CHECK_EQ(ida_alloc(&ida, GFP_KERNEL), -ENOMEM);
	ida_free(&ida, 5);
	ida_destroy(&ida);
	CHECK_EQ(xa_alloc(&from_one, &index, &entry, xa_limit_32b, GFP_KERNEL), 0);
	CHECK_EQ(index, 1);
	CHECK_EQ(xa_alloc_cyclic(&from_one, &index, &entry, XA_LIMIT(1, 2), &next, GFP_KERNEL), 0);
	CHECK_EQ(index, 2);
	CHECK_EQ(xa_alloc_cyclic(&from_one, &index, &entry, XA_LIMIT(1, 2), &next, GFP_KERNEL), -EBUSY);
	xa_destroy(&from_one);
	end();
}

struct thing {
	u32 key;
	struct rhash_head head;
};

static u32 hash_key(const void *key, u32 length, u32 seed)
{
	(void)length;
	return *(const u32 *)key + seed;
}

static u32 hash_object(const void *object, u32 length, u32 seed)
{
	(void)length;
	return ((const struct thing *)object)->key + seed;
}

static int compare_key(struct rhashtable_compare_arg *argument, const void *object)
{
	return *(const u32 *)argument->key != ((const struct thing *)object)->key;
}

static void free_thing(void *thing, void *count)
{
	++*(int *)count;
	kfree(thing);
}

static void one_table(const struct rhashtable_params params)
{
	struct rhashtable table;
	struct rhashtable_iter iter;
	struct thing *thing, twice = { .key = 5 };
	u32 key;
	int n = 0;

	CHECK_EQ(rhashtable_init(&table, &params), 0);
	for (key = 0; key < 2000; key++) {
		thing = kzalloc(sizeof(*thing), GFP_KERNEL);
		thing->key = key;
		CHECK_EQ(rhashtable_lookup_insert_fast(&table, &thing->head, params), 0);
	}
	CHECK_EQ(rhashtable_lookup_insert_fast(&table, &twice.head, params), -EEXIST);
	CHECK_EQ(atomic_read(&table.nelems), 2000);
	key = 1500;
	thing = rhashtable_lookup_fast(&table, &key, params);
	CHECK_EQ(thing->key, 1500);
	CHECK_EQ(rhashtable_remove_fast(&table, &thing->head, params), 0);
	CHECK_EQ(rhashtable_remove_fast(&table, &thing->head, params), -ENOENT);
	CHECK(!rhashtable_lookup_fast(&table, &key, params));
	CHECK_EQ(rhashtable_insert_fast(&table, &thing->head, params), 0);
	rhashtable_walk_enter(&table, &iter);
	rhashtable_walk_start(&iter);
	while (rhashtable_walk_next(&iter))
		n++;
	rhashtable_walk_stop(&iter);
	rhashtable_walk_exit(&iter);
	CHECK_EQ(n, 2000);
	n = 0;
	rhashtable_free_and_destroy(&table, free_thing, &n);
	CHECK_EQ(n, 2000);
	shrinker_test_fail_allocation(1);
	CHECK_EQ(rhashtable_init(&table, &params), -ENOMEM);
	CHECK_EQ(rhashtable_init(&table, &params), 0);
	rhashtable_destroy(&table);
}

/* Objects are found by their key, with the kit's functions and with the driver's. */
static void tables(void)
{
	struct rhashtable_params params = {
		.key_len = sizeof(u32),
		.key_offset = offsetof(struct thing, key),
		.head_offset = offsetof(struct thing, head),
	};

	begin();
	one_table(params);
	params.hashfn = hash_key;
	params.obj_hashfn = hash_object;
	params.obj_cmpfn = compare_key;
	one_table(params);
	end();
}

int main(void)
{
	RUN(trees_keep_their_balance);
	RUN(small_trees);
	RUN(a_node_is_replaced);
	RUN(arrays);
	RUN(small_numbers);
	RUN(tables);
	return checks_report("test_kit_tables");
}
