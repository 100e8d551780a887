/* SPDX-License-Identifier: MIT */
/*
 * Lists that are read under rcu_read_lock() while one writer changes them.
 */
#ifndef SHRINKER_LINUX_RCULIST_H
#define SHRINKER_LINUX_RCULIST_H

#include <linux/list.h>
#include <linux/rcupdate.h>

static inline void shrinker_kit_list_add_rcu(struct list_head *item,
					     struct list_head *head,
					     const char *place)
{
	struct list_head *next = head->next;

	if (!shrinker_kit_may_add("list_add_rcu()", item, head, next, place))
		return;
	item->next = next;
	item->prev = head;
	rcu_assign_pointer(head->next, item);
	next->prev = item;
}

static inline void shrinker_kit_list_add_tail_rcu(struct list_head *item,
						  struct list_head *head,
						  const char *place)
{
	struct list_head *last = head->prev;

	if (!shrinker_kit_may_add("list_add_tail_rcu()", item, last, head, place))
		return;
	item->next = head;
	item->prev = last;
	rcu_assign_pointer(last->next, item);
	head->prev = item;
}

/* A reader that is at @item goes on from it. */
static inline void shrinker_kit_list_del_rcu(struct list_head *item,
					     const char *place)
{
	if (!shrinker_kit_may_del("list_del_rcu()", item, place))
		return;
	item->next->prev = item->prev;
	WRITE_ONCE(item->prev->next, item->next);
	item->prev = NULL;
}

#define list_add_rcu(item, head)                                               \
	shrinker_kit_list_add_rcu((item), (head), SHRINKER_KIT_PLACE)
#define list_add_tail_rcu(item, head)                                          \
	shrinker_kit_list_add_tail_rcu((item), (head), SHRINKER_KIT_PLACE)
#define list_del_rcu(item) shrinker_kit_list_del_rcu((item), SHRINKER_KIT_PLACE)

static inline void INIT_LIST_HEAD_RCU(struct list_head *list)
{
	WRITE_ONCE(list->next, list);
	WRITE_ONCE(list->prev, list);
}

static inline void list_replace_rcu(struct list_head *old,
				    struct list_head *item)
{
	item->next = old->next;
	item->prev = old->prev;
	rcu_assign_pointer(item->prev->next, item);
	item->next->prev = item;
	old->prev = NULL;
}

#define list_entry_rcu(pointer, type, member)                                  \
	list_entry(rcu_dereference(pointer), type, member)
#define list_first_or_null_rcu(head, type, member)                             \
	__extension__({                                                        \
		struct list_head *lf_ = rcu_dereference((head)->next);         \
		lf_ == (head) ? NULL : list_entry(lf_, type, member);          \
	})
#define list_for_each_entry_rcu(entry, head, member, ...)                      \
	for ((entry) = list_entry_rcu((head)->next, __typeof__(*(entry)), member); \
	     &(entry)->member != (head);                                       \
	     (entry) = list_entry_rcu((entry)->member.next,                    \
				      __typeof__(*(entry)), member))

static inline void hlist_add_head_rcu(struct hlist_node *node,
				      struct hlist_head *head)
{
	struct hlist_node *first = head->first;

	node->next = first;
	WRITE_ONCE(node->pprev, &head->first);
	rcu_assign_pointer(head->first, node);
	if (first)
		WRITE_ONCE(first->pprev, &node->next);
}

static inline void shrinker_kit_hlist_del_rcu(struct hlist_node *node,
					      const char *place)
{
	if (!shrinker_kit_may_unhash("hlist_del_rcu()", node, place))
		return;
	WRITE_ONCE(*node->pprev, node->next);
	if (node->next)
		WRITE_ONCE(node->next->pprev, node->pprev);
	WRITE_ONCE(node->pprev, (struct hlist_node **)NULL);
}

#define hlist_del_rcu(node) shrinker_kit_hlist_del_rcu((node), SHRINKER_KIT_PLACE)

static inline void hlist_del_init_rcu(struct hlist_node *node)
{
	if (!hlist_unhashed(node))
		hlist_del_rcu(node);
}

static inline void hlist_add_tail_rcu(struct hlist_node *node,
				      struct hlist_head *head)
{
	struct hlist_node *last = head->first;

	if (!last) {
		hlist_add_head_rcu(node, head);
		return;
	}
	while (last->next)
		last = last->next;
	node->next = NULL;
	WRITE_ONCE(node->pprev, &last->next);
	rcu_assign_pointer(last->next, node);
}

static inline void hlist_replace_rcu(struct hlist_node *old, struct hlist_node *node)
{
	node->next = old->next;
	WRITE_ONCE(node->pprev, old->pprev);
	rcu_assign_pointer(*node->pprev, node);
	if (node->next)
		WRITE_ONCE(node->next->pprev, &node->next);
	WRITE_ONCE(old->pprev, (struct hlist_node **)NULL);
}

#define list_next_rcu(item) ((item)->next)
#define list_tail_rcu(head) ((head)->prev)
#define list_for_each_rcu(item, head)                                          \
	for ((item) = rcu_dereference((head)->next); (item) != (head);         \
	     (item) = rcu_dereference((item)->next))
#define list_for_each_entry_lockless(entry, head, member)                      \
	list_for_each_entry_rcu(entry, head, member)
#define list_for_each_entry_continue_rcu(entry, head, member)                  \
	for ((entry) = list_entry_rcu((entry)->member.next,                    \
				      __typeof__(*(entry)), member);           \
	     &(entry)->member != (head);                                       \
	     (entry) = list_entry_rcu((entry)->member.next,                    \
				      __typeof__(*(entry)), member))
#define hlist_next_rcu(node) ((node)->next)
#define hlist_for_each_entry_rcu_notrace(entry, head, member)                  \
	hlist_for_each_entry_rcu(entry, head, member)
#define hlist_for_each_entry_rcu_bh(entry, head, member)                       \
	hlist_for_each_entry_rcu(entry, head, member)
#define hlist_first_rcu(head) ((head)->first)
#define hlist_for_each_entry_rcu(entry, head, member, ...)                     \
	for ((entry) = hlist_entry_safe(rcu_dereference((head)->first),        \
					__typeof__(*(entry)), member);         \
	     (entry);                                                          \
	     (entry) = hlist_entry_safe(rcu_dereference((entry)->member.next), \
					__typeof__(*(entry)), member))

#endif /* SHRINKER_LINUX_RCULIST_H */
