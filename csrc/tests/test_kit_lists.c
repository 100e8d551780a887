/* SPDX-License-Identifier: MIT */
/* The driver test kit: lists of each kind: broken ones are told. */

#include "check.h"
#include "kit_failures.h"

#include <linux/list_nulls.h>
#include <linux/list_sort.h>
#include <linux/llist.h>
#include <linux/rculist.h>
#include <linux/sort.h>

/* Items that are added or deleted twice. */
static void lists_go_wrong(void)
{
	struct list_head a, b, stray = { NULL, NULL };
	struct hlist_node node = { NULL, NULL }, next;
	struct hlist_head bucket = HLIST_HEAD_INIT;
	LIST_HEAD(list);

	begin();
	list_add(&a, &list);
	list_add(&a, &list);
	CHECK(failed_with("list_add() of"));
	list_add_tail(&a, &list);
	CHECK(failed_with("on the list already"));
	list_add_tail(&b, &list);
	list_del(&a);
	list_del(&a);
	CHECK(failed_with("deleted before, or never added"));
	list_del_init(&a);
	CHECK(failed_with("list_del_init() of"));
	list_move(&a, &list);
	CHECK(failed_with("list_move() of"));
	list_add(&a, &stray);
	CHECK(failed_with("not initialised"));
	/* Added to a second list, seen when the first one changes. */
	{
		LIST_HEAD(second);

		list_add(&b, &second);
		list_add_tail(&a, &list);
		CHECK(failed_with("the list is broken"));
		second.next = &second;
		list_del_rcu(&b);
		CHECK(failed_with("neighbours do not know it"));
		list_add_rcu(&a, &second);
		CHECK(failed_with("list is broken"));
	}
	hlist_add_head(&node, &bucket);
	hlist_add_head(&node, &bucket);
	CHECK(failed_with("in the bucket already"));
	hlist_add_head(&next, &bucket);
	next.next = NULL;
	hlist_del_rcu(&node);
	CHECK(failed_with("neighbours do not know it"));
	next.next = &node;
	node.pprev = &bucket.first;
	hlist_del(&next);
	CHECK(failed_with("neighbours do not know it"));
	node.pprev = &next.next;
	hlist_del(&node);
	hlist_del(&node);
	CHECK(failed_with("hlist_del() of"));
	hlist_add_fake(&node);
	hlist_del_init(&node);
	end();
}

/* Broken neighbours on each side are told; RCU's forms too. */
static void broken_lists(void)
{
	struct list_head a, b, other, half = { NULL, &half };
	struct hlist_head bucket = HLIST_HEAD_INIT;
	struct hlist_node first, second;
	LIST_HEAD(list);

	begin();
	INIT_LIST_HEAD_RCU(&other);
	list_add_tail_rcu(&a, &list);
	list_add_rcu(&b, &list);
	CHECK(list_first_or_null_rcu(&list, struct list_head, next));
	list_add_tail_rcu(&a, &list);
	CHECK(failed_with("on the list already"));
	list_add_rcu(&b, &list);
	CHECK(failed_with("on the list already"));
	list_replace_rcu(&b, &other);
	list_del_rcu(&b);
	CHECK(failed_with("deleted before"));
	list_move_tail(&b, &list);
	CHECK(failed_with("list_move_tail() of"));
	list_replace(&b, &other);
	CHECK(failed_with("list_replace() of"));
	list_add(&b, &half);
	CHECK(failed_with("not initialised"));
	half.next = &half;
	half.prev = NULL;
	list_add_tail(&b, &half);
	CHECK(failed_with("not initialised"));
	half.prev = &half;
	half.next = NULL;
	list_del(&half);
	CHECK(failed_with("deleted before"));
	a.next = &a;
	list_del(&a);
	CHECK(failed_with("neighbours do not know it"));
	a.next = &list;
	list_cut_position(&half, &list, &list);
	CHECK(list_empty(&half));
	list_cut_position(&half, &half, &list);
	CHECK(list_empty(&half) && !list_is_singular(&half));
	CHECK(!list_is_singular(&list));
	list_swap(&other, &a);
	CHECK(list.next == &a);
	list_swap(&a, &other);
	CHECK(list.next == &other);
	hlist_add_head_rcu(&first, &bucket);
	hlist_add_head_rcu(&second, &bucket);
	hlist_del_init_rcu(&first);
	hlist_del_init_rcu(&first);
	hlist_del_init(&first);
	hlist_del_init_rcu(&second);
	hlist_add_head_rcu(&first, &bucket);
	hlist_add_head(&second, &bucket);
	hlist_del(&second);
	hlist_replace_rcu(&first, &second);
	CHECK(bucket.first == &second);
	end();
}

struct listed {
	struct llist_node node;
	struct hlist_nulls_node nulls;
	struct hlist_node hash;
	int value;
};

/* Lists without locks, with numbered ends, and under RCU. */
static void other_lists(void)
{
	struct listed items[3] = { { .value = 1 }, { .value = 2 }, { .value = 3 } };
	struct listed *item, *after;
	struct hlist_nulls_node *node;
	struct hlist_nulls_head nulls;
	struct hlist_head bucket = HLIST_HEAD_INIT;
	struct llist_node *all;
	LLIST_HEAD(list);
	int i, sum = 0;

	begin();
	INIT_HLIST_NULLS_HEAD(&nulls, 5);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(llist_add(&items[i].node, &list), !i);
		hlist_nulls_add_head_rcu(&items[i].nulls, &nulls);
		hlist_add_tail_rcu(&items[i].hash, &bucket);
	}
	CHECK(llist_del_first(&list) == &items[2].node);
	all = llist_reverse_order(llist_del_all(&list));
	llist_for_each_entry(item, all, node)
		sum = sum * 10 + item->value;
	llist_for_each_entry_safe(item, after, all, node)
		sum += item->value;
	CHECK_EQ(sum, 15);
	CHECK(llist_empty(&list) && !llist_del_first(&list));
	hlist_nulls_del_init_rcu(&items[1].nulls);
	hlist_nulls_del_init_rcu(&items[1].nulls);
	sum = 0;
	hlist_nulls_for_each_entry_rcu(item, node, &nulls, nulls)
		sum = sum * 10 + item->value;
	CHECK_EQ(sum, 31);
	CHECK_EQ(get_nulls_value(node), 5);
	hlist_replace_rcu(&items[0].hash, &items[0].hash);
	sum = 0;
	hlist_for_each_entry_rcu(item, &bucket, hash)
		sum = sum * 10 + item->value;
	CHECK_EQ(sum, 123);
	end();
}

struct item {
	struct list_head list;
	int value, order;
};

static int compare_items(void *unused, const struct list_head *a, const struct list_head *b)
{
	(void)unused;
	return container_of(a, struct item, list)->value -
	       container_of(b, struct item, list)->value;
}

/* Equals keep their order. */
static void lists_in_order(void)
{
	static struct item items[100];
	const struct item *before = NULL;
	struct item *item;
	LIST_HEAD(list);
	int i;

	begin();
	list_sort(NULL, &list, compare_items);
	for (i = 0; i < 100; i++) {
		items[i].value = i * 37 % 10;
		items[i].order = i;
		list_add_tail(&items[i].list, &list);
	}
	list_sort(NULL, &list, compare_items);
	CHECK_EQ(list_count_nodes(&list), 100);
	list_for_each_entry(item, &list, list) {
		if (before)
			CHECK(before->value < item->value ||
			      (before->value == item->value && before->order < item->order));
		before = item;
	}
	list_swap(&items[3].list, &items[70].list);
	CHECK_EQ(list_count_nodes(&list), 100);
	end();
}

struct placed {
	int value;
	struct placed **at;
};

static int compare_values(const void *a, const void *b)
{
	return ((const struct placed *)a)->value - ((const struct placed *)b)->value;
}

static int compare_downwards(const void *a, const void *b, const void *swaps)
{
	CHECK(swaps);
	return compare_values(b, a);
}

/* Keeps the pointers to the elements true. */
static void swap_placed(void *a, void *b, int size)
{
	struct placed *one = a, *two = b, kept = *one;

	CHECK_EQ(size, sizeof(kept));
	*one = *two;
	*two = kept;
	*one->at = one;
	*two->at = two;
}

/* Arrays of each length, and the swaps that a driver has to see. */
static void arrays_in_order(void)
{
	struct placed array[100], *places[100];
	int n, i;

	for (n = 0; n <= 100; n++) {
		for (i = 0; i < n; i++) {
			array[i] = (struct placed){ i * 37 % 101, &places[i] };
			places[i] = &array[i];
		}
		sort(array, (size_t)n, sizeof(*array), compare_values, swap_placed);
		for (i = 0; i < n; i++)
			CHECK(*array[i].at == &array[i] &&
			      (!i || array[i - 1].value < array[i].value));
		sort_r(array, (size_t)n, sizeof(*array), compare_downwards, NULL, &n);
		for (i = 1; i < n; i++)
			CHECK(array[i - 1].value > array[i].value);
	}
}

int main(void)
{
	RUN(lists_go_wrong);
	RUN(broken_lists);
	RUN(other_lists);
	RUN(lists_in_order);
	RUN(arrays_in_order);
	return checks_report("test_kit_lists");
}
