/* SPDX-License-Identifier: MIT */
/*
 * Lists (shrinker/list.h) whose changes are looked at first: an item that is added
 * twice, deleted twice, or whose neighbours do not know it fails the test, with the
 * place.  Nothing is changed then.
 *
 * Seen is what a kernel with CONFIG_LIST_HARDENED sees, and a bucket's node that is
 * deleted twice.  An item that is added while it is on another list is seen when that
 * list is changed beside it.
 */
#ifndef SHRINKER_LINUX_LIST_H
#define SHRINKER_LINUX_LIST_H

#include <shrinker/list.h>
#include <linux/kit.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Says what is wrong with the lists at @item. */
void shrinker_kit_list_fail(const char *call, const void *item, const char *what,
			    const char *place);

#ifdef __cplusplus
}
#endif

/* Whether @item may come between @left and @right. */
static inline bool shrinker_kit_may_add(const char *call, struct list_head *item,
					struct list_head *left,
					struct list_head *right, const char *place)
{
	const char *what = NULL;

	if (!left || !right)
		what = "the list was not initialised, or was deleted";
	else if (item == left || item == right)
		what = "it is on the list already";
	else if (left->next != right || right->prev != left)
		what = "the list is broken: was an item added twice, or freed?";
	else
		return true;
	shrinker_kit_list_fail(call, item, what, place);
	return false;
}

static inline bool shrinker_kit_may_del(const char *call, struct list_head *item,
					const char *place)
{
	const char *what = NULL;

	if (!item->prev || !item->next)
		what = "it was deleted before, or never added";
	else if (item->prev->next != item || item->next->prev != item)
		what = "its neighbours do not know it: was it added twice, or a neighbour freed?";
	else
		return true;
	shrinker_kit_list_fail(call, item, what, place);
	return false;
}

static inline bool shrinker_kit_may_hash(const char *call, struct hlist_node *node,
					 struct hlist_node *first, const char *place)
{
	if (node != first)
		return true;
	shrinker_kit_list_fail(call, node, "it is in the bucket already", place);
	return false;
}

static inline bool shrinker_kit_may_unhash(const char *call, struct hlist_node *node,
					   const char *place)
{
	const char *what = NULL;

	if (!node->pprev)
		what = "it was deleted before, or never added";
	else if (node->pprev != &node->next && *node->pprev != node)
		what = "its neighbours do not know it: was it added twice, or a neighbour freed?";
	else if (node->pprev != &node->next && node->next &&
		 node->next->pprev != &node->next)
		what = "its neighbours do not know it: was it added twice, or a neighbour freed?";
	else
		return true;
	shrinker_kit_list_fail(call, node, what, place);
	return false;
}

/* Functions of their own, so that what a macro is given is worked out once. */
static inline void shrinker_kit_list_add(struct list_head *item, struct list_head *head,
	const char *place)
{
	if (shrinker_kit_may_add("list_add()", item, head, head->next, place))
		(list_add)(item, head);
}
#define list_add(item, head) \
	shrinker_kit_list_add((item), (head), SHRINKER_KIT_PLACE)

static inline void shrinker_kit_list_add_tail(struct list_head *item, struct list_head *head,
	const char *place)
{
	if (shrinker_kit_may_add("list_add_tail()", item, head->prev, head, place))
		(list_add_tail)(item, head);
}
#define list_add_tail(item, head) \
	shrinker_kit_list_add_tail((item), (head), SHRINKER_KIT_PLACE)

static inline void shrinker_kit_list_del(struct list_head *item,
	const char *place)
{
	if (shrinker_kit_may_del("list_del()", item, place))
		(list_del)(item);
}
#define list_del(item) \
	shrinker_kit_list_del((item), SHRINKER_KIT_PLACE)

static inline void shrinker_kit_list_del_init(struct list_head *item,
	const char *place)
{
	if (shrinker_kit_may_del("list_del_init()", item, place))
		(list_del_init)(item);
}
#define list_del_init(item) \
	shrinker_kit_list_del_init((item), SHRINKER_KIT_PLACE)

static inline void shrinker_kit_list_move(struct list_head *item, struct list_head *head,
	const char *place)
{
	if (shrinker_kit_may_del("list_move()", item, place))
		(list_move)(item, head);
}
#define list_move(item, head) \
	shrinker_kit_list_move((item), (head), SHRINKER_KIT_PLACE)

static inline void shrinker_kit_list_move_tail(struct list_head *item, struct list_head *head,
	const char *place)
{
	if (shrinker_kit_may_del("list_move_tail()", item, place))
		(list_move_tail)(item, head);
}
#define list_move_tail(item, head) \
	shrinker_kit_list_move_tail((item), (head), SHRINKER_KIT_PLACE)

static inline void shrinker_kit_list_replace(struct list_head *old, struct list_head *item,
	const char *place)
{
	if (shrinker_kit_may_del("list_replace()", old, place))
		(list_replace)(old, item);
}
#define list_replace(old, item) \
	shrinker_kit_list_replace((old), (item), SHRINKER_KIT_PLACE)

static inline void shrinker_kit_hlist_add_head(struct hlist_node *node, struct hlist_head *head,
	const char *place)
{
	if (shrinker_kit_may_hash("hlist_add_head()", node, head->first, place))
		(hlist_add_head)(node, head);
}
#define hlist_add_head(node, head) \
	shrinker_kit_hlist_add_head((node), (head), SHRINKER_KIT_PLACE)

static inline void shrinker_kit_hlist_del(struct hlist_node *node,
	const char *place)
{
	if (shrinker_kit_may_unhash("hlist_del()", node, place))
		(hlist_del)(node);
}
#define hlist_del(node) \
	shrinker_kit_hlist_del((node), SHRINKER_KIT_PLACE)

#endif /* SHRINKER_LINUX_LIST_H */
