/* SPDX-License-Identifier: MIT */
/*
 * Hash buckets whose end says which bucket it is.
 *
 * The end is a number with its lowest bit set.
 */
#ifndef SHRINKER_LINUX_LIST_NULLS_H
#define SHRINKER_LINUX_LIST_NULLS_H

#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/types.h>

struct hlist_nulls_node {
	struct hlist_nulls_node *next, **pprev;
};
struct hlist_nulls_head {
	struct hlist_nulls_node *first;
};

#define NULLS_MARKER(value) ((struct hlist_nulls_node *)(1UL | (((unsigned long)(value)) << 1)))
#define INIT_HLIST_NULLS_HEAD(head, value) ((void)((head)->first = NULLS_MARKER(value)))
#define hlist_nulls_entry(pointer, type, member) container_of(pointer, type, member)
#define is_a_nulls(node) ((int)((unsigned long)(node) & 1))
#define get_nulls_value(node) (((unsigned long)(node)) >> 1)
#define hlist_nulls_unhashed(node) (!(node)->pprev)
#define hlist_nulls_empty(head) is_a_nulls(READ_ONCE((head)->first))

static inline void hlist_nulls_add_head(struct hlist_nulls_node *node,
					struct hlist_nulls_head *head)
{
	struct hlist_nulls_node *first = head->first;

	node->next = first;
	node->pprev = &head->first;
	smp_store_release(&head->first, node);
	if (!is_a_nulls(first))
		first->pprev = &node->next;
}

static inline void hlist_nulls_del(struct hlist_nulls_node *node)
{
	WRITE_ONCE(*node->pprev, node->next);
	if (!is_a_nulls(node->next))
		node->next->pprev = node->pprev;
	node->pprev = NULL;
}

#define hlist_nulls_add_head_rcu(node, head) hlist_nulls_add_head(node, head)
#define hlist_nulls_del_rcu(node) hlist_nulls_del(node)
#define hlist_nulls_del_init_rcu(node)                                         \
	do {                                                                   \
		if (!hlist_nulls_unhashed(node))                               \
			hlist_nulls_del(node);                                 \
	} while (0)
#define hlist_nulls_for_each_entry(entry, node, head, member)                  \
	for ((node) = READ_ONCE((head)->first);                                \
	     !is_a_nulls(node) &&                                              \
	     ((entry) = hlist_nulls_entry(node, __typeof__(*(entry)), member), true); \
	     (node) = smp_load_acquire(&(node)->next))
#define hlist_nulls_for_each_entry_rcu(entry, node, head, member)              \
	hlist_nulls_for_each_entry(entry, node, head, member)

#endif /* SHRINKER_LINUX_LIST_NULLS_H */
