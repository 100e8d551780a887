/* SPDX-License-Identifier: MIT */
/*
 * Lists of objects that could be freed, in the order in which they were added: one
 * list for each memory node and, where the lru is memcg-aware, for each memory
 * cgroup.  Names and signatures are the kernel's.
 *
 * An item is a struct list_head inside the caller's object, initialised by
 * INIT_LIST_HEAD().  As long as it is on a list it belongs to the lru.  The caller
 * always passes the node and the group with which it was added: they lead to its
 * list, also after the group has gone offline and the item was moved to the
 * parent's list.  As everywhere (memcg.h), the caller holds the group.
 *
 * All functions may run beside each other, in any thread, with one exception: while
 * list_lru_init*() or list_lru_destroy() runs, no other thread may use the same
 * lru.  Groups may go offline, and be removed, at any time.
 *
 * Locks: each list has a lock, and isolate callbacks run under it.  A callback may
 *   - isolate the item that it is called with, and no other item of this list;
 *   - set bits, free memory, register shrinkers, and drop references to groups,
 *     except for the last reference to the list's own group;
 *   - add items to and delete items from lists of other lrus, nodes and groups, if
 *     all code of the caller's takes the locks of two lists in the same order.  For
 *     lists of one lru and node, a group's lock comes before its parent's.
 * Before it has called list_lru_unlock() it must not
 *   - use the list in any other way, or walk it;
 *   - create a group, take one offline or remove one, make a memcg-aware shrinker,
 *     destroy an lru, or fork(): these may wait for a thread that waits for it;
 *   - wait for another thread that does any of these.
 *
 * After fork() the child may use an lru that no other thread was using.
 */
#ifndef SHRINKER_LIST_LRU_H
#define SHRINKER_LIST_LRU_H

#include <shrinker/list.h>
#include <shrinker/memcg.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One list, of one lru, node and group. */
struct list_lru_one;

/**
 * enum lru_status - what an isolate callback returns
 * @LRU_REMOVED: it has isolated the item
 * @LRU_REMOVED_RETRY: it has isolated the item, and has unlocked the list meanwhile
 * @LRU_ROTATE: move the item to the tail
 * @LRU_SKIP: leave the item where it is
 * @LRU_RETRY: it has unlocked the list meanwhile, and has not isolated the item
 * @LRU_STOP: end the walk of this list
 *
 * After LRU_REMOVED_RETRY and LRU_RETRY the walk starts again from the head.
 */
enum lru_status {
	LRU_REMOVED,
	LRU_REMOVED_RETRY,
	LRU_ROTATE,
	LRU_SKIP,
	LRU_RETRY,
	LRU_STOP
};

/**
 * typedef list_lru_walk_cb - isolate callback, called for one item
 *
 * Context: called with the list's lock held, and returns with it held.
 */
typedef enum lru_status (*list_lru_walk_cb)(struct list_head *item,
					    struct list_lru_one *list,
					    void *arg);

/**
 * struct list_lru - the lists of one kind of objects
 *
 * In the caller's memory; must not move before list_lru_destroy().
 */
struct list_lru {
#ifdef SHRINKER_CDEF
	...;
#else
	/* private: the library's. */
	struct reclaim_domain *domain;
	/* For each node, the list of the root or of all groups; NULL: destroyed. */
	struct list_lru_node *node;
	/* Index in the groups' tables of lists; -1: one list for all groups. */
	int index;
	/* Its bit is set when an item is added to an empty list; -1: none. */
	int shrinker_id;
#endif
};

/**
 * list_lru_init - make an lru of the default domain that ignores groups
 *
 * Return: 0, or -ENOMEM.
 */
int list_lru_init(struct list_lru *lru);

/**
 * list_lru_init_memcg - make an lru in the domain of a shrinker
 * @shrinker: allocated, registered or not.  Not accessed after this call.
 *
 * The lru is memcg-aware, even where the shrinker is not: it has lists for each
 * group.  If the shrinker is memcg-aware too, an addition to an empty list sets its
 * bit for this group and node.
 *
 * In a domain without memory cgroups or without kernel-memory accounting, the lru
 * has one list for each node.  Without the accounting, an addition to an empty list
 * sets the bit of the group that the caller passes, for a NONSLAB shrinker only.
 *
 * Return: 0, or -ENOMEM.
 */
int list_lru_init_memcg(struct list_lru *lru, struct shrinker *shrinker);

/**
 * list_lru_init_domain - make an lru in any domain
 * @shrinker: of that domain, as for list_lru_init_memcg(); NULL: the lru ignores
 *	groups
 *
 * The lru holds the domain.
 *
 * Return: 0; -EINVAL where @shrinker is of another domain, -ENOMEM.  @lru may be
 * given to list_lru_destroy() in any case.
 */
int list_lru_init_domain(struct list_lru *lru, struct reclaim_domain *domain,
			 struct shrinker *shrinker);

/**
 * list_lru_destroy - destroy an lru
 * @lru: initialised, destroyed already, or all zero
 *
 * Deletes the items that are left; their memory stays the caller's.  Bits stay
 * until a walk finds nothing.
 *
 * Context: no other thread uses the lru.  Takes memcg_lock, so it must not be
 * called from an isolate callback.
 */
void list_lru_destroy(struct list_lru *lru);

/**
 * list_lru_insert - put an item at the tail, and return the error if that fails
 * @item: initialised, in the caller's memory
 * @nid: node that the object is on
 * @memcg: group that the object is charged to; NULL: the root.  Ignored by an lru
 *	that is not memcg-aware
 *
 * If the group is offline, its nearest ancestor that is online gets the item.  If
 * the list was empty, the bit of the lru's shrinker is set for the group that got
 * the item.  A group's first item allocates its lists.
 *
 * Context: takes the list's lock.
 * Return: 0; -EEXIST where the item is on a list, -EINVAL where there is no such
 * node or the group is of another domain, -ENOMEM.  An error changes nothing.
 */
int list_lru_insert(struct list_lru *lru, struct list_head *item, int nid,
		    struct mem_cgroup *memcg);

/**
 * list_lru_add - put an item at the tail
 *
 * Return: true where list_lru_insert() returns 0.  After false, list_empty(@item)
 * says whether the item is on no list, if no other thread uses it.
 */
bool list_lru_add(struct list_lru *lru, struct list_head *item, int nid,
		  struct mem_cgroup *memcg);

/**
 * list_lru_del - take an item off its list
 * @nid, @memcg: with which it was added
 *
 * Context: takes the list's lock.
 * Return: false where the item is on no list, or there is no such list.
 */
bool list_lru_del(struct list_lru *lru, struct list_head *item, int nid,
		  struct mem_cgroup *memcg);

/**
 * list_lru_count_one - items on one list
 *
 * Context: takes no lock; may or may not count items that are added or removed
 * meanwhile.
 * Return: 0 or more; 0 for a group that is offline.  Does not count an item that an
 * isolate callback has isolated.
 */
unsigned long list_lru_count_one(struct list_lru *lru, int nid,
				 struct mem_cgroup *memcg);

/**
 * list_lru_count_node - items on a node's lists, of all groups
 *
 * Context: as list_lru_count_one(); as fast, with any number of groups.
 * Return: 0 or more.  Counts an item that an isolate callback has isolated until
 * the callback has returned.
 */
unsigned long list_lru_count_node(struct list_lru *lru, int nid);

/**
 * list_lru_count - items on all lists
 */
unsigned long list_lru_count(struct list_lru *lru);

/**
 * list_lru_shrink_count - list_lru_count_one() for a count callback
 *
 * Return: the number of items.  0 does not become SHRINK_EMPTY; that is the
 * caller's decision.
 */
unsigned long list_lru_shrink_count(struct list_lru *lru,
				    struct shrink_control *sc);

/**
 * list_lru_walk_one - call @isolate for the items of one list, from the head on
 * @isolate: decides about each item
 * @arg: argument for @isolate
 * @nr_to_walk: budget: calls of @isolate that are left.  Decremented before each
 *	call, also for an item that comes again
 *
 * An item that is rotated may come again.
 *
 * Context: takes the list's lock; @isolate runs under it.
 * Return: number of items that @isolate removed, by what it returned.
 */
unsigned long list_lru_walk_one(struct list_lru *lru, int nid,
				struct mem_cgroup *memcg,
				list_lru_walk_cb isolate, void *arg,
				unsigned long *nr_to_walk);

/**
 * list_lru_walk_node - list_lru_walk_one() for all lists of a node
 *
 * The root's list comes first, then each online group's in order of its
 * mem_cgroup_kmem_id(), while budget is left.  LRU_STOP ends the walk of one list;
 * that of the next follows.
 */
unsigned long list_lru_walk_node(struct list_lru *lru, int nid,
				 list_lru_walk_cb isolate, void *arg,
				 unsigned long *nr_to_walk);

/**
 * list_lru_walk - list_lru_walk_node() for all nodes, while budget is left
 */
unsigned long list_lru_walk(struct list_lru *lru, list_lru_walk_cb isolate,
			    void *arg, unsigned long nr_to_walk);

/**
 * list_lru_shrink_walk - list_lru_walk_one() for a scan callback
 * @sc: node, group and, in @nr_to_scan, the budget, which is decremented
 */
unsigned long list_lru_shrink_walk(struct list_lru *lru,
				   struct shrink_control *sc,
				   list_lru_walk_cb isolate, void *arg);

/**
 * list_lru_isolate - take off the item that an isolate callback is called with
 *
 * Context: in the callback, before it unlocks the list.
 */
void list_lru_isolate(struct list_lru_one *list, struct list_head *item);

/**
 * list_lru_isolate_move - take the item off and put it on a list of the caller's
 * @head: the caller's list; the item becomes its first
 *
 * Context: as list_lru_isolate().
 */
void list_lru_isolate_move(struct list_lru_one *list, struct list_head *item,
			   struct list_head *head);

/**
 * list_lru_unlock - unlock the list in an isolate callback
 *
 * From here on the item may be gone, unless the callback has isolated it; the list
 * stays.  The callback locks the list again with list_lru_lock().  Then it returns
 * LRU_REMOVED_RETRY if it has isolated the item, otherwise LRU_RETRY or LRU_STOP.
 */
void list_lru_unlock(struct list_lru_one *list);

/**
 * list_lru_lock - lock the list again after list_lru_unlock()
 */
void list_lru_lock(struct list_lru_one *list);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LIST_LRU_H */
