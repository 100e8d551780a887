/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked lists through a member of what is on them, with the names that
 * sources written for the kernel use.  A head is a member that belongs to no
 * object; an empty list, or an object on no list, is a member that points to
 * itself.
 *
 * Nothing here takes a lock, nor checks anything: <linux/list.h> checks.
 */
#ifndef SHRINKER_LIST_H
#define SHRINKER_LIST_H

#ifndef SHRINKER_CDEF
#include <stdbool.h>
#include <linux/container_of.h>
#endif
#include <linux/list_types.h>

#ifndef SHRINKER_CDEF

#define LIST_HEAD_INIT(name) { &(name), &(name) }

/* <sys/queue.h> has something else under this name. */
#ifndef LIST_HEAD
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)
#endif

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list->prev = list;
}

static inline bool list_empty(const struct list_head *head)
{
	return __atomic_load_n(&head->next, __ATOMIC_RELAXED) == head;
}

static inline bool list_empty_careful(const struct list_head *head)
{
	return list_empty(head) && head->prev == head;
}

static inline bool list_is_singular(const struct list_head *head)
{
	return !list_empty(head) && head->next == head->prev;
}

static inline bool list_is_head(const struct list_head *item,
				const struct list_head *head)
{
	return item == head;
}

static inline bool list_is_first(const struct list_head *item,
				 const struct list_head *head)
{
	return item->prev == head;
}

static inline bool list_is_last(const struct list_head *item,
				const struct list_head *head)
{
	return item->next == head;
}

/* Makes @left and @right neighbours. */
static inline void shrinker_list_join(struct list_head *left,
				      struct list_head *right)
{
	left->next = right;
	right->prev = left;
}

/* Puts @item first. */
static inline void list_add(struct list_head *item, struct list_head *head)
{
	shrinker_list_join(item, head->next);
	shrinker_list_join(head, item);
}

/* Puts @item last. */
static inline void list_add_tail(struct list_head *item, struct list_head *head)
{
	shrinker_list_join(head->prev, item);
	shrinker_list_join(item, head);
}

/* Takes @item off its list; it is good for nothing before it is put on one. */
static inline void list_del(struct list_head *item)
{
	shrinker_list_join(item->prev, item->next);
	item->next = item->prev = NULL;
}

/* Takes @item off its list, or off none. */
static inline void list_del_init(struct list_head *item)
{
	shrinker_list_join(item->prev, item->next);
	INIT_LIST_HEAD(item);
}

static inline void list_move(struct list_head *item, struct list_head *head)
{
	shrinker_list_join(item->prev, item->next);
	list_add(item, head);
}

static inline void list_move_tail(struct list_head *item, struct list_head *head)
{
	shrinker_list_join(item->prev, item->next);
	list_add_tail(item, head);
}

static inline void list_replace(struct list_head *old, struct list_head *item)
{
	shrinker_list_join(item, old->next);
	shrinker_list_join(old->prev, item);
}

static inline void list_replace_init(struct list_head *old,
				     struct list_head *item)
{
	list_replace(old, item);
	INIT_LIST_HEAD(old);
}

/* Makes the first item the last. */
static inline void list_rotate_left(struct list_head *head)
{
	if (!list_empty(head))
		list_move_tail(head->next, head);
}

/* Moves @first to @last, which stand one behind the other, to the tail of @head. */
static inline void list_bulk_move_tail(struct list_head *head,
				       struct list_head *first,
				       struct list_head *last)
{
	shrinker_list_join(first->prev, last->next);
	shrinker_list_join(head->prev, first);
	shrinker_list_join(last, head);
}

/* The items of @head up to @last go to @list, which has none. */
static inline void list_cut_position(struct list_head *list,
				     struct list_head *head,
				     struct list_head *last)
{
	if (list_empty(head) || last == head) {
		INIT_LIST_HEAD(list);
		return;
	}
	shrinker_list_join(list, head->next);
	shrinker_list_join(head, last->next);
	shrinker_list_join(last, list);
}

/* All of @list behind the last of @head; @list is empty then. */
static inline void list_splice_tail_init(struct list_head *list,
					 struct list_head *head)
{
	if (list_empty(list))
		return;
	shrinker_list_join(head->prev, list->next);
	shrinker_list_join(list->prev, head);
	INIT_LIST_HEAD(list);
}

/* All of @list before the first of @head; @list is empty then. */
static inline void list_splice_init(struct list_head *list,
				    struct list_head *head)
{
	if (list_empty(list))
		return;
	shrinker_list_join(list->prev, head->next);
	shrinker_list_join(head, list->next);
	INIT_LIST_HEAD(list);
}

/* As the two above; @list is good for nothing before it is made anew. */
static inline void list_splice(struct list_head *list, struct list_head *head)
{
	list_splice_init(list, head);
}

static inline void list_splice_tail(struct list_head *list,
				    struct list_head *head)
{
	list_splice_tail_init(list, head);
}

static inline unsigned long list_count_nodes(const struct list_head *head)
{
	const struct list_head *item;
	unsigned long n = 0;

	for (item = head->next; item != head; item = item->next)
		n++;
	return n;
}

#define list_entry(pointer, type, member) container_of(pointer, type, member)

/* Of a list that is not empty. */
#define list_first_entry(head, type, member)                                   \
	list_entry((head)->next, type, member)
#define list_last_entry(head, type, member)                                    \
	list_entry((head)->prev, type, member)

#define list_first_entry_or_null(head, type, member)                           \
	(list_empty(head) ? NULL : list_first_entry(head, type, member))

#define list_for_each(item, head)                                              \
	for ((item) = (head)->next; (item) != (head); (item) = (item)->next)

/* @item may be taken off the list meanwhile; @after may not. */
#define list_for_each_safe(item, after, head)                                  \
	for ((item) = (head)->next, (after) = (item)->next; (item) != (head);  \
	     (item) = (after), (after) = (item)->next)

/* What @member of the entry at @pointer points to, as an entry. */
#define list_next_entry(entry, member)                                         \
	list_entry((entry)->member.next, __typeof__(*(entry)), member)

#define list_for_each_entry(entry, head, member)                               \
	for ((entry) = list_entry((head)->next, __typeof__(*(entry)), member); \
	     &(entry)->member != (head);                                       \
	     (entry) = list_next_entry(entry, member))

/* @entry may be taken off the list, and be freed, meanwhile; @after may not. */
#define list_for_each_entry_safe(entry, after, head, member)                   \
	for ((entry) = list_entry((head)->next, __typeof__(*(entry)), member), \
	    (after) = list_next_entry(entry, member);                          \
	     &(entry)->member != (head);                                       \
	     (entry) = (after), (after) = list_next_entry(after, member))

#define list_prev_entry(entry, member)                                         \
	list_entry((entry)->member.prev, __typeof__(*(entry)), member)
#define list_entry_is_head(entry, head, member) (&(entry)->member == (head))
#define list_for_each_prev(item, head)                                         \
	for ((item) = (head)->prev; (item) != (head); (item) = (item)->prev)

#define list_for_each_entry_reverse(entry, head, member)                       \
	for ((entry) = list_entry((head)->prev, __typeof__(*(entry)), member); \
	     &(entry)->member != (head);                                       \
	     (entry) = list_prev_entry(entry, member))

#define list_for_each_entry_safe_reverse(entry, before, head, member)          \
	for ((entry) = list_entry((head)->prev, __typeof__(*(entry)), member), \
	    (before) = list_prev_entry(entry, member);                         \
	     &(entry)->member != (head);                                       \
	     (entry) = (before), (before) = list_prev_entry(before, member))

/* Behind @entry, which is on the list. */
#define list_for_each_entry_continue(entry, head, member)                      \
	for ((entry) = list_next_entry(entry, member);                         \
	     &(entry)->member != (head);                                       \
	     (entry) = list_next_entry(entry, member))
#define list_for_each_entry_from(entry, head, member)                          \
	for (; &(entry)->member != (head);                                     \
	     (entry) = list_next_entry(entry, member))
#define list_safe_reset_next(entry, after, member)                             \
	((after) = list_next_entry(entry, member))

#define list_last_entry_or_null(head, type, member)                            \
	(list_empty(head) ? NULL : list_last_entry(head, type, member))
#define list_next_entry_circular(entry, head, member)                          \
	(list_is_last(&(entry)->member, head) ?                                \
		 list_first_entry(head, __typeof__(*(entry)), member) :        \
		 list_next_entry(entry, member))
#define list_for_each_continue(item, head)                                     \
	for ((item) = (item)->next; (item) != (head); (item) = (item)->next)
#define list_for_each_prev_safe(item, before, head)                            \
	for ((item) = (head)->prev, (before) = (item)->prev; (item) != (head); \
	     (item) = (before), (before) = (item)->prev)
#define list_for_each_entry_continue_reverse(entry, head, member)              \
	for ((entry) = list_prev_entry(entry, member);                         \
	     &(entry)->member != (head);                                       \
	     (entry) = list_prev_entry(entry, member))
#define list_for_each_entry_from_reverse(entry, head, member)                  \
	for (; &(entry)->member != (head);                                     \
	     (entry) = list_prev_entry(entry, member))
#define list_for_each_entry_safe_continue(entry, after, head, member)          \
	for ((entry) = list_next_entry(entry, member),                         \
	    (after) = list_next_entry(entry, member);                          \
	     &(entry)->member != (head);                                       \
	     (entry) = (after), (after) = list_next_entry(after, member))
#define list_for_each_entry_safe_from(entry, after, head, member)              \
	for ((after) = list_next_entry(entry, member);                         \
	     &(entry)->member != (head);                                       \
	     (entry) = (after), (after) = list_next_entry(after, member))
#define list_prepare_entry(entry, head, member)                                \
	((entry) ? (entry) : list_entry(head, __typeof__(*(entry)), member))

/* Exchanges the places of two items. */
static inline void list_swap(struct list_head *one, struct list_head *two)
{
	struct list_head *before = two->prev;

	shrinker_list_join(two->prev, two->next);
	two->next = two->prev = two;
	list_replace(one, two);
	if (before == one)
		before = two;
	list_add(one, before);
}

/* --- hash buckets ----------------------------------------------------------- */

#define HLIST_HEAD_INIT { NULL }
#define HLIST_HEAD(name) struct hlist_head name = HLIST_HEAD_INIT
#define INIT_HLIST_HEAD(head) ((void)((head)->first = NULL))

static inline void INIT_HLIST_NODE(struct hlist_node *node)
{
	node->next = NULL;
	node->pprev = NULL;
}

static inline bool hlist_unhashed(const struct hlist_node *node)
{
	return !__atomic_load_n(&node->pprev, __ATOMIC_RELAXED);
}

static inline bool hlist_empty(const struct hlist_head *head)
{
	return !__atomic_load_n(&head->first, __ATOMIC_RELAXED);
}

static inline void hlist_add_head(struct hlist_node *node,
				  struct hlist_head *head)
{
	node->next = head->first;
	if (head->first)
		head->first->pprev = &node->next;
	head->first = node;
	node->pprev = &head->first;
}

static inline void hlist_add_before(struct hlist_node *node,
				    struct hlist_node *next)
{
	node->pprev = next->pprev;
	node->next = next;
	next->pprev = &node->next;
	*node->pprev = node;
}

static inline void hlist_add_behind(struct hlist_node *node,
				    struct hlist_node *before)
{
	node->next = before->next;
	before->next = node;
	node->pprev = &before->next;
	if (node->next)
		node->next->pprev = &node->next;
}

static inline void hlist_del(struct hlist_node *node)
{
	*node->pprev = node->next;
	if (node->next)
		node->next->pprev = node->pprev;
	INIT_HLIST_NODE(node);
}

static inline void hlist_del_init(struct hlist_node *node)
{
	if (!hlist_unhashed(node))
		hlist_del(node);
}

static inline void hlist_move_list(struct hlist_head *from,
				   struct hlist_head *to)
{
	to->first = from->first;
	if (to->first)
		to->first->pprev = &to->first;
	from->first = NULL;
}

#define hlist_entry(pointer, type, member) container_of(pointer, type, member)
#define hlist_entry_safe(pointer, type, member)                                \
	__extension__({                                                        \
		struct hlist_node *he_ = (pointer);                            \
		he_ ? hlist_entry(he_, type, member) : NULL;                   \
	})
static inline bool hlist_unhashed_lockless(const struct hlist_node *node)
{
	return hlist_unhashed(node);
}

static inline bool hlist_is_singular_node(const struct hlist_node *node,
					  const struct hlist_head *head)
{
	return !node->next && node->pprev == &head->first;
}

/* A node that is in no bucket, and may be deleted all the same. */
static inline void hlist_add_fake(struct hlist_node *node)
{
	node->pprev = &node->next;
}

static inline bool hlist_fake(const struct hlist_node *node)
{
	return node->pprev == &node->next;
}

#define hlist_for_each(node, head)                                             \
	for ((node) = (head)->first; (node); (node) = (node)->next)
#define hlist_for_each_safe(node, after, head)                                 \
	for ((node) = (head)->first; (node) && ((after) = (node)->next, 1);    \
	     (node) = (after))
#define hlist_for_each_entry(entry, head, member)                              \
	for ((entry) = hlist_entry_safe((head)->first, __typeof__(*(entry)),   \
					member);                               \
	     (entry);                                                          \
	     (entry) = hlist_entry_safe((entry)->member.next,                  \
					__typeof__(*(entry)), member))
#define hlist_for_each_entry_continue(entry, member)                           \
	for ((entry) = hlist_entry_safe((entry)->member.next,                  \
					__typeof__(*(entry)), member);         \
	     (entry);                                                          \
	     (entry) = hlist_entry_safe((entry)->member.next,                  \
					__typeof__(*(entry)), member))
#define hlist_for_each_entry_from(entry, member)                               \
	for (; (entry); (entry) = hlist_entry_safe(                            \
				(entry)->member.next, __typeof__(*(entry)), member))
/* @after: a struct hlist_node pointer. */
#define hlist_for_each_entry_safe(entry, after, head, member)                  \
	for ((entry) = hlist_entry_safe((head)->first, __typeof__(*(entry)),   \
					member);                               \
	     (entry) && ((after) = (entry)->member.next, 1);                   \
	     (entry) = hlist_entry_safe((after), __typeof__(*(entry)), member))

#endif /* SHRINKER_CDEF */

#endif /* SHRINKER_LIST_H */
