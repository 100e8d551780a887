/* SPDX-License-Identifier: MIT */
/*
 * Lists of objects that could be freed, in the order in which they were added:
 * one list for each memory node and, where the lru belongs to a memcg-aware
 * shrinker, for each memory cgroup.  Names and signatures are the kernel's.
 *
 * An item is a struct list_head inside the caller's object, made by
 * INIT_LIST_HEAD().  As long as it is on a list it belongs to the lru, and it is
 * always named with the same node and group: that of the list is found with
 * them, also when the group has gone offline and the item lives on with its
 * parent.  Who names a group holds it, as everywhere (memcg.h).
 *
 * What may run beside what: everything beside everything, from any thread,
 * but list_lru_init*() and list_lru_destroy() of the lru itself.  Groups may go
 * offline, and be removed, at any time.
 *
 * Locks: each list has its own, which an isolate callback runs under.  Such a
 * callback may
 *   - isolate the item that it is called with, and no other of this list;
 *   - set bits, free memory, drop references to groups (but the last one to the
 *     group at hand), register shrinkers;
 *   - add to, and delete from, lists of other lrus and of other nodes and groups,
 *     if the caller sees to it that nobody takes the two locks in the other
 *     order.  For lists of one lru and node the order is there: a group's list
 *     comes before its parent's.
 * It must not, before it has let go by list_lru_unlock(),
 *   - touch the list in any other way, or walk it;
 *   - create, take offline or remove a group, make a memcg-aware shrinker,
 *     destroy an lru, or fork(): these wait for whoever waits for this list;
 *   - wait for another thread that does any of this.
 *
 * After fork() the child may use lrus that no other thread was using.
 */
#ifndef SHRINKER_LIST_LRU_H
#define SHRINKER_LIST_LRU_H

#include <linux/list.h>
#include <shrinker/memcg.h>

/* One list: of an lru, a node and a group. */
struct list_lru_one;

/**
 * enum lru_status - what an isolate callback has done with an item
 * @LRU_REMOVED: isolated it
 * @LRU_REMOVED_RETRY: isolated it, and let go of the lock meanwhile
 * @LRU_ROTATE: nothing; it goes to the tail
 * @LRU_SKIP: nothing; it stays where it is
 * @LRU_RETRY: nothing, but it let go of the lock meanwhile
 * @LRU_STOP: nothing; the walk of this list is over
 *
 * After both RETRYs the walk starts again from the head.
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
 * typedef list_lru_walk_cb - decides about one item
 *
 * Context: under the list's lock; it returns under it, whatever it does between.
 */
typedef enum lru_status (*list_lru_walk_cb)(struct list_head *item,
					    struct list_lru_one *list,
					    void *arg);

/**
 * struct list_lru - lists of one kind of objects
 *
 * Lives where the caller likes, and stays there until list_lru_destroy().
 */
struct list_lru {
#ifdef SHRINKER_CDEF
	...;
#else
	/* private: the library's. */
	struct reclaim_domain *domain;
	/* For each node, the list of the root, or of all; NULL: destroyed. */
	struct list_lru_node *node;
	/* Index in the groups' tables of lists; -1 where not memcg-aware. */
	int index;
	/* Bit that an addition to an empty list sets. */
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
 * @shrinker: allocated, registered or not; where it is memcg-aware the lru is,
 *	and the first addition to a list sets the shrinker's bit for its group and
 *	node.  Not used after this call.
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
 * list_lru_destroy - the end of an lru
 * @lru: initialised, destroyed already or all zero
 *
 * Items that are left are taken off, as if each had been deleted: whoever owns
 * them still has their memory.  Bits stay until a walk finds nothing.
 *
 * Context: nobody uses the lru.  Takes memcg_lock: not from an isolate callback.
 */
void list_lru_destroy(struct list_lru *lru);

/**
 * list_lru_insert - put an item at the tail, and say why not
 * @item: initialised, its memory the caller's
 * @nid: node that the object is on
 * @memcg: group that it is charged to; NULL: the root; ignored by an lru that
 *	is not memcg-aware
 *
 * A group that is offline has no lists: the nearest ancestor that is online gets
 * the item.  Where the list was empty, the bit of the lru's shrinker is set for
 * the group that has got it.  The group's first item allocates its lists.
 *
 * Context: takes the list's lock.
 * Return: 0; -EEXIST where it is on a list, -EINVAL where there is no such node
 * or the group is of another domain, -ENOMEM; nothing has changed then.
 */
int list_lru_insert(struct list_lru *lru, struct list_head *item, int nid,
		    struct mem_cgroup *memcg);

/**
 * list_lru_add - put an item at the tail
 *
 * Return: whether list_lru_insert() returns 0.  Where it does not, list_empty()
 * of the item tells that it is on no list, if nobody else uses it.
 */
bool list_lru_add(struct list_lru *lru, struct list_head *item, int nid,
		  struct mem_cgroup *memcg);

/**
 * list_lru_del - take an item off its list
 * @nid, @memcg: as it was added
 *
 * Context: takes the list's lock.
 * Return: false where it is on none, or there is no such list.
 */
bool list_lru_del(struct list_lru *lru, struct list_head *item, int nid,
		  struct mem_cgroup *memcg);

/**
 * list_lru_count_one - items on one list
 *
 * Context: takes no lock: what is added or removed meanwhile may count or not.
 * Return: 0 or more; 0 for a group that is offline.
 */
unsigned long list_lru_count_one(struct list_lru *lru, int nid,
				 struct mem_cgroup *memcg);

/**
 * list_lru_count_node - items on a node's lists, of all groups
 *
 * Context: as list_lru_count_one(); takes the same time however many groups
 * there are.
 */
unsigned long list_lru_count_node(struct list_lru *lru, int nid);

/**
 * list_lru_count - items on all lists
 */
unsigned long list_lru_count(struct list_lru *lru);

/**
 * list_lru_shrink_count - list_lru_count_one() for a count callback
 *
 * Return: a number of items, never SHRINK_EMPTY: that is for the caller to say.
 */
unsigned long list_lru_shrink_count(struct list_lru *lru,
				    struct shrink_control *sc);

/**
 * list_lru_walk_one - offer items of one list to a callback, from the head on
 * @isolate: says what becomes of each item
 * @arg: handed to it
 * @nr_to_walk: calls of @isolate that are allowed; one is taken off before each,
 *	also for an item that comes again
 *
 * Items that are rotated can come again.
 *
 * Context: takes the list's lock; @isolate runs under it.
 * Return: how many items @isolate said it has removed.
 */
unsigned long list_lru_walk_one(struct list_lru *lru, int nid,
				struct mem_cgroup *memcg,
				list_lru_walk_cb isolate, void *arg,
				unsigned long *nr_to_walk);

/**
 * list_lru_walk_node - offer a node's items to a callback, of all groups
 *
 * The root's list first, then each group's in order of its id, while budget is
 * left: LRU_STOP ends the walk of one list, and the next is begun.  Otherwise as
 * list_lru_walk_one().
 */
unsigned long list_lru_walk_node(struct list_lru *lru, int nid,
				 list_lru_walk_cb isolate, void *arg,
				 unsigned long *nr_to_walk);

/**
 * list_lru_walk - offer all items to a callback, node after node
 *
 * As list_lru_walk_node(), while budget is left.
 */
unsigned long list_lru_walk(struct list_lru *lru, list_lru_walk_cb isolate,
			    void *arg, unsigned long nr_to_walk);

/**
 * list_lru_shrink_walk - list_lru_walk_one() for a scan callback
 * @sc: node, group and, in @nr_to_scan, the budget, of which the rest is left
 */
unsigned long list_lru_shrink_walk(struct list_lru *lru,
				   struct shrink_control *sc,
				   list_lru_walk_cb isolate, void *arg);

/**
 * list_lru_isolate - take off the item that an isolate callback is called with
 *
 * Context: in the callback, which has not let go of the lock yet.
 */
void list_lru_isolate(struct list_lru_one *list, struct list_head *item);

/**
 * list_lru_isolate_move - take the item off and put it on a list of the caller's
 * @head: gets it at the tail
 *
 * Context: as list_lru_isolate().
 */
void list_lru_isolate_move(struct list_lru_one *list, struct list_head *item,
			   struct list_head *head);

/**
 * list_lru_unlock - let go of the list in the middle of an isolate callback
 *
 * The item may be gone by the next moment, unless the callback has isolated it;
 * the list itself stays.  The callback takes the lock again by list_lru_lock()
 * and returns LRU_REMOVED_RETRY or LRU_RETRY, or LRU_STOP where it has not
 * isolated the item.
 */
void list_lru_unlock(struct list_lru_one *list);

void list_lru_lock(struct list_lru_one *list);

#endif /* SHRINKER_LIST_LRU_H */
