/* SPDX-License-Identifier: MIT */
/*
 * Hash buckets with a lock in the lowest bit of their pointer.
 */
#ifndef SHRINKER_LINUX_LIST_BL_H
#define SHRINKER_LINUX_LIST_BL_H

#include <linux/bit_spinlock.h>
#include <linux/bug.h>
#include <linux/list.h>

struct hlist_bl_node {
	struct hlist_bl_node *next, **pprev;
};

struct hlist_bl_head {
	struct hlist_bl_node *first;
};

#define LIST_BL_LOCKMASK 1UL
#define INIT_HLIST_BL_HEAD(head) ((head)->first = NULL)
#define hlist_bl_entry(pointer, type, member) container_of(pointer, type, member)

static inline void INIT_HLIST_BL_NODE(struct hlist_bl_node *node)
{
	node->next = NULL;
	node->pprev = NULL;
}

static inline bool hlist_bl_unhashed(const struct hlist_bl_node *node)
{
	return !node->pprev;
}

static inline struct hlist_bl_node *hlist_bl_first(struct hlist_bl_head *head)
{
	unsigned long word =
		__atomic_load_n((unsigned long *)(void *)head, __ATOMIC_RELAXED);

	return (struct hlist_bl_node *)(word & ~LIST_BL_LOCKMASK);
}

/* The bucket is locked, and stays so. */
static inline void hlist_bl_set_first(struct hlist_bl_head *head,
				      struct hlist_bl_node *node)
{
	__atomic_store_n((unsigned long *)(void *)head,
			 (unsigned long)node | LIST_BL_LOCKMASK, __ATOMIC_RELAXED);
}

static inline bool hlist_bl_empty(const struct hlist_bl_head *head)
{
	return !hlist_bl_first((struct hlist_bl_head *)(unsigned long)head);
}

static inline void hlist_bl_add_head(struct hlist_bl_node *node,
				     struct hlist_bl_head *head)
{
	struct hlist_bl_node *first = hlist_bl_first(head);

	node->next = first;
	if (first)
		first->pprev = &node->next;
	node->pprev = &head->first;
	hlist_bl_set_first(head, node);
}

static inline void __hlist_bl_del(struct hlist_bl_node *node)
{
	struct hlist_bl_node *next = node->next;
	unsigned long *link = (unsigned long *)(void *)node->pprev;

	/* The link may be the bucket, with its lock. */
	__atomic_store_n(link,
			 (unsigned long)next |
				 (__atomic_load_n(link, __ATOMIC_RELAXED) &
				  LIST_BL_LOCKMASK),
			 __ATOMIC_RELAXED);
	if (next)
		next->pprev = node->pprev;
}

static inline void hlist_bl_del(struct hlist_bl_node *node)
{
	__hlist_bl_del(node);
	INIT_HLIST_BL_NODE(node);
}

static inline void hlist_bl_del_init(struct hlist_bl_node *node)
{
	if (!hlist_bl_unhashed(node))
		hlist_bl_del(node);
}

#define hlist_bl_lock(head)                                                    \
	bit_spin_lock(0, (unsigned long *)(void *)(head))
#define hlist_bl_unlock(head)                                                  \
	bit_spin_unlock(0, (unsigned long *)(void *)(head))
#define hlist_bl_is_locked(head)                                               \
	bit_spin_is_locked(0, (unsigned long *)(void *)(head))

/* @entry is set to each object in turn; @at is the object's node. */
#define hlist_bl_for_each_entry(entry, at, head, member)                       \
	for ((at) = hlist_bl_first(head);                                      \
	     (at) && ((entry) = hlist_bl_entry((at), __typeof__(*(entry)),     \
					       member), 1);                    \
	     (at) = (at)->next)
#define hlist_bl_for_each_entry_safe(entry, at, after, head, member)           \
	for ((at) = hlist_bl_first(head);                                      \
	     (at) && ((after) = (at)->next,                                    \
	     (entry) = hlist_bl_entry((at), __typeof__(*(entry)), member), 1); \
	     (at) = (after))

#endif /* SHRINKER_LINUX_LIST_BL_H */
