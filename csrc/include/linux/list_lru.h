/* SPDX-License-Identifier: MIT */
/*
 * The lists of <shrinker/list_lru.h>, and items that know their own place.
 *
 * Isolate callbacks may have three arguments, as from Linux 6.13 on, or four with the
 * lock before the last, as up to 6.12 (in C++ three).  The lock is the list's: unlocked
 * by spin_unlock() and taken again before the callback returns.
 */
#ifndef SHRINKER_LINUX_LIST_LRU_H
#define SHRINKER_LINUX_LIST_LRU_H

#include <linux/errno.h>
#include <linux/kit.h>
#include <linux/list.h>
#include <linux/nodemask.h>
#include <linux/shrinker.h>
#include <linux/spinlock.h>
#include <shrinker/list_lru.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * list_lru_add_obj, list_lru_del_obj - with the node and group of the object
 *
 * The group is that in which the object was allocated (<linux/memcontrol.h>), the
 * node is 0.
 */
bool list_lru_add_obj(struct list_lru *lru, struct list_head *item);
bool list_lru_del_obj(struct list_lru *lru, struct list_head *item);

/* Known until it is destroyed, and told at the end of the test if it is not. */
int shrinker_kit_lru_init(struct list_lru *lru, bool memcg_aware,
			  struct shrinker *shrinker, const char *place);
void shrinker_kit_lru_destroy(struct list_lru *lru);

/* An isolate callback of either kind; the other one is NULL. */
struct shrinker_kit_isolate {
	list_lru_walk_cb three;
	enum lru_status (*four)(struct list_head *item, struct list_lru_one *list,
				spinlock_t *lock, void *arg);
	void *arg;
	const char *place;
};
/* Calls it with the list's lock known as one that this thread holds. */
enum lru_status shrinker_kit_isolate_item(struct list_head *item,
					  struct list_lru_one *list, void *isolate);

#ifdef __cplusplus
}
#endif

/* An lru of the root alone: @shrinker is NULL, or not memcg-aware. */
#define list_lru_init(lru)                                                     \
	shrinker_kit_lru_init((lru), false, NULL, SHRINKER_KIT_PLACE)
#define list_lru_init_memcg(lru, shrinker)                                     \
	shrinker_kit_lru_init((lru), true, (shrinker), SHRINKER_KIT_PLACE)
#define list_lru_init_key(lru, key) ((void)(key), list_lru_init(lru))
#define list_lru_destroy(lru) shrinker_kit_lru_destroy(lru)
#define list_lru_from_kmem(object) ((void)(object), (void *)NULL)
/* A group's lists are made at its first item. */
#define memcg_list_lru_alloc(memcg, lru, gfp) ((void)(memcg), (void)(lru), (void)(gfp), 0)

#ifndef __cplusplus

static inline struct shrinker_kit_isolate
shrinker_kit_three(list_lru_walk_cb isolate, void *arg, const char *place)
{
	return (struct shrinker_kit_isolate){ isolate, NULL, arg, place };
}

static inline struct shrinker_kit_isolate
shrinker_kit_four(enum lru_status (*isolate)(struct list_head *, struct list_lru_one *,
					     spinlock_t *, void *),
		  void *arg, const char *place)
{
	return (struct shrinker_kit_isolate){ NULL, isolate, arg, place };
}

#define SHRINKER_KIT_ISOLATE(isolate, arg)                                     \
	shrinker_kit_isolate_item,                                             \
	(struct shrinker_kit_isolate[1]){ _Generic((isolate),                  \
		list_lru_walk_cb: shrinker_kit_three,                          \
		default: shrinker_kit_four)((isolate), (arg), SHRINKER_KIT_PLACE) }
#endif
#define list_lru_walk_one_irq(lru, nid, memcg, isolate, arg, budget)           \
	list_lru_walk_one(lru, nid, memcg, isolate, arg, budget)
#define list_lru_shrink_walk_irq(lru, sc, isolate, arg)                        \
	list_lru_shrink_walk(lru, sc, isolate, arg)

#ifndef __cplusplus
#define list_lru_walk_one(lru, nid, memcg, isolate, arg, budget)               \
	list_lru_walk_one((lru), (nid), (memcg), SHRINKER_KIT_ISOLATE(isolate, arg), \
			  (budget))
#define list_lru_walk_node(lru, nid, isolate, arg, budget)                     \
	list_lru_walk_node((lru), (nid), SHRINKER_KIT_ISOLATE(isolate, arg), (budget))
#define list_lru_walk(lru, isolate, arg, budget)                               \
	list_lru_walk((lru), SHRINKER_KIT_ISOLATE(isolate, arg), (budget))
#define list_lru_shrink_walk(lru, sc, isolate, arg)                            \
	list_lru_shrink_walk((lru), (sc), SHRINKER_KIT_ISOLATE(isolate, arg))
#endif

#endif /* SHRINKER_LINUX_LIST_LRU_H */
