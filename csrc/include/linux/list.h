/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked lists through a member of what is on them, with the names that
 * sources written for the kernel use.  A head is a member that belongs to no
 * object; an empty list, or an object on no list, is a member that points to
 * itself.
 *
 * Nothing here takes a lock.
 */
#ifndef SHRINKER_LINUX_LIST_H
#define SHRINKER_LINUX_LIST_H

#ifndef SHRINKER_CDEF
#include <stdbool.h>
#include <stddef.h>
#endif

/**
 * struct list_head - a list, or the place of an object on one
 * @next: first of the list, or successor
 * @prev: last of the list, or predecessor
 */
struct list_head {
	struct list_head *next, *prev;
};

#ifndef SHRINKER_CDEF

/* The object of which @pointer is the @member. */
#ifndef container_of
#define container_of(pointer, type, member)                                    \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))
#endif

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
	return head->next == head;
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

#endif /* SHRINKER_CDEF */

#endif /* SHRINKER_LINUX_LIST_H */
