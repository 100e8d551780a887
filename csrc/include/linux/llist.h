/* SPDX-License-Identifier: MIT */
/* Lists without a lock, to which many add and from which one takes all. */
#ifndef SHRINKER_LINUX_LLIST_H
#define SHRINKER_LINUX_LLIST_H

#include <linux/atomic.h>
#include <linux/container_of.h>
#include <linux/types.h>

struct llist_node {
	struct llist_node *next;
};
struct llist_head {
	struct llist_node *first;
};

#define LLIST_HEAD_INIT(name) { NULL }
#define LLIST_HEAD(name) struct llist_head name = LLIST_HEAD_INIT(name)
#define init_llist_head(head) ((void)((head)->first = NULL))
#define llist_entry(pointer, type, member) container_of(pointer, type, member)
#define llist_empty(head) (!READ_ONCE((head)->first))

/* Return: whether the list was empty. */
static inline bool llist_add_batch(struct llist_node *first, struct llist_node *last,
				   struct llist_head *head)
{
	struct llist_node *old = READ_ONCE(head->first);

	do
		last->next = old;
	while (!try_cmpxchg(&head->first, &old, first));
	return !old;
}

static inline bool llist_add(struct llist_node *node, struct llist_head *head)
{
	return llist_add_batch(node, node, head);
}

static inline struct llist_node *llist_del_all(struct llist_head *head)
{
	return xchg(&head->first, (struct llist_node *)NULL);
}

static inline struct llist_node *llist_del_first(struct llist_head *head)
{
	struct llist_node *first = smp_load_acquire(&head->first);

	while (first && !try_cmpxchg(&head->first, &first, first->next))
		;
	return first;
}

static inline struct llist_node *llist_reverse_order(struct llist_node *node)
{
	struct llist_node *reversed = NULL, *next;

	for (; node; node = next) {
		next = node->next;
		node->next = reversed;
		reversed = node;
	}
	return reversed;
}

#define SHRINKER_KIT_LLIST(node, type, member)                                 \
	((node) ? llist_entry(node, type, member) : NULL)
#define llist_for_each(pos, node) for ((pos) = (node); (pos); (pos) = (pos)->next)
#define llist_for_each_safe(pos, after, node)                                  \
	for ((pos) = (node); (pos) && ((after) = (pos)->next, true); (pos) = (after))
#define llist_for_each_entry(pos, node, member)                                \
	for ((pos) = SHRINKER_KIT_LLIST((node), __typeof__(*(pos)), member); (pos); \
	     (pos) = SHRINKER_KIT_LLIST((pos)->member.next, __typeof__(*(pos)), member))
#define llist_for_each_entry_safe(pos, after, node, member)                    \
	for ((pos) = SHRINKER_KIT_LLIST((node), __typeof__(*(pos)), member);   \
	     (pos) && ((after) = SHRINKER_KIT_LLIST((pos)->member.next,        \
						    __typeof__(*(pos)), member), \
		       true);                                                  \
	     (pos) = (after))

#endif /* SHRINKER_LINUX_LLIST_H */
