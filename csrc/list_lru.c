/* SPDX-License-Identifier: MIT */
/*
 * Lists of objects that could be freed, by node and group.
 *
 * The lru itself has the lists of the root, or of all groups where it ignores
 * groups.  Any other group has its lists in a block, which is in the group's table
 * at the lru's index.  The block is made when the group gets its first item, and
 * stays at its address until the lru is destroyed or the group is released.
 *
 *   1. A block is made under id_lock, for a group that is online, after the blocks
 *      of the group's ancestors.  So each list has a list of the parent to move to.
 *   2. A group goes offline under id_lock.  A thread that sees it offline sees all
 *      the blocks that it will ever have.
 *   3. Then the items of its lists are moved to its parent's lists, under the locks
 *      of both, and from then on its lists are dead.  A thread that finds a group
 *      offline without a block, or finds a list dead, goes on to the parent.  So an
 *      item is always found with the group with which it was added.
 *
 * Step 3 and list_lru_destroy() exclude each other by memcg_lock.  Lock order:
 * memcg_lock, a list, the list of its parent, id_lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <shrinker/list_lru.h>

#include "holding.h"
#include "list_lock.h"
#include "memcg.h"

/**
 * struct list_lru_one - one list
 * @items: in the order in which they were added
 * @nr_items: number of items; written under @lock, read without it
 * @in_node: the node's count that includes this list's items; an item that an isolate
 *	callback takes off counts until the callback has returned
 * @shares_in_node: @in_node includes other lists' items too
 * @dead: step 3 was done: the list stays empty
 * @lock: guards all but @in_node where that is shared
 */
struct list_lru_one {
	struct list_head items;
	_Atomic(int64_t) nr_items;
	_Atomic(int64_t) *in_node;
	bool shares_in_node;
	bool dead;
	struct list_lock lock;
};

/**
 * struct list_lru_node - one node of an lru
 * @list: of the root, or of all groups
 * @in_list: items that count in the node, and were added to or removed from @list
 * @in_groups: the same, for the lists of all other groups
 *
 * The sum of both is the number of items.  An item that has moved from a group's
 * list to @list was added in one and is removed in the other.
 */
struct list_lru_node {
	_Alignas(CACHE_LINE) struct list_lru_one list;
	_Atomic(int64_t) in_list;
	_Atomic(int64_t) in_groups;
};

/**
 * struct list_lru_memcg - a block: the lists of a group
 * @lru, @memcg, @nr_nodes: constant
 * @below: in make_blocks() only: the new block of the child
 * @list: one for each node
 */
struct list_lru_memcg {
	struct list_lru *lru;
	struct mem_cgroup *memcg;
	struct list_lru_memcg *below;
	int nr_nodes;
	struct list_lru_one list[];
};

/* --- one list ------------------------------------------------------------- */

static void one_init(struct list_lru_one *list, struct list_lru *lru, int nid,
		     bool shares_in_node)
{
	struct list_lru_node *node = &lru->node[nid];

	INIT_LIST_HEAD(&list->items);
	atomic_init(&list->nr_items, 0);
	list->in_node = shares_in_node ? &node->in_groups : &node->in_list;
	list->shares_in_node = shares_in_node;
	list->dead = false;
	list_lock_init(&list->lock, lru->domain);
}

void list_lru_lock(struct list_lru_one *list)
{
	list_lock(&list->lock);
}

void list_lru_unlock(struct list_lru_one *list)
{
	list_unlock(&list->lock);
}

/*
 * Called under the lock of the only list that writes the count.  Release order is
 * for list_lru_count_node(); it costs nothing where it is not needed.
 */
static inline void count_grow(_Atomic(int64_t) *count, int64_t by)
{
	atomic_store_explicit(count,
			      atomic_load_explicit(count, memory_order_relaxed) + by,
			      memory_order_release);
}

static inline void node_grow(struct list_lru_one *list, int64_t by)
{
	if (list->shares_in_node)
		shared_add(list->in_node, by);
	else
		count_grow(list->in_node, by);
}

static inline void isolate_item(struct list_lru_one *list, struct list_head *item)
{
	list_del_init(item);
	count_grow(&list->nr_items, -1);
}

void list_lru_isolate(struct list_lru_one *list, struct list_head *item)
{
	isolate_item(list, item);
}

void list_lru_isolate_move(struct list_lru_one *list, struct list_head *item,
			   struct list_head *head)
{
	list_move(item, head);
	count_grow(&list->nr_items, -1);
}

/* Takes all items off and destroys a list that no other thread can reach. */
static void one_destroy(struct list_lru_one *list)
{
	while (!list_empty(&list->items))
		list_del_init(list->items.next);
	list_lock_destroy(&list->lock);
}

/* --- the lists of a group ------------------------------------------------- */

static void block_free(struct list_lru_memcg *block)
{
	int nid;

	for (nid = 0; nid < block->nr_nodes; nid++)
		one_destroy(&block->list[nid]);
	free(block);
}

static struct list_lru_memcg *block_alloc(struct list_lru *lru,
					  struct mem_cgroup *memcg)
{
	int nr_nodes = lru->domain->nr_nodes;
	struct list_lru_memcg *block;
	int nid;

	block = malloc(sizeof(*block) + (size_t)nr_nodes * sizeof(block->list[0]));
	if (!block)
		return NULL;
	block->lru = lru;
	block->memcg = memcg;
	block->below = NULL;
	block->nr_nodes = nr_nodes;
	for (nid = 0; nid < nr_nodes; nid++)
		one_init(&block->list[nid], lru, nid, true);
	return block;
}

/* Called under id_lock, for a table that has room for @index. */
static void table_set(_Atomic(struct unit_table *) *table, int index, void *entry)
{
	atomic_store_explicit(&atomic_load(table)->unit[index], entry,
			      memory_order_release);
}

/*
 * Step 1: makes blocks for a group and for each ancestor that has none, the highest
 * ancestor first.  Does nothing for a group that is offline (step 2).
 *
 * Return: false where memory ran out; at most, tables have more room then.
 */
static bool make_blocks(struct list_lru *lru, struct mem_cgroup *memcg)
{
	pthread_mutex_t *lock = &lru->domain->id_lock;
	struct list_lru_memcg *made = NULL, *block;
	bool enough = true;

	pthread_mutex_lock(lock);
	if (!atomic_load(&memcg->online))
		goto out;
	for (; memcg->parent && !table_get(&memcg->lists, lru->index);
	     memcg = memcg->parent) {
		block = NULL;
		if (table_reserve(&memcg->lists, lru->index + 1))
			block = block_alloc(lru, memcg);
		if (!block) {
			enough = false;
			break;
		}
		block->below = made;
		made = block;
	}
	while ((block = made)) {
		made = block->below;
		if (enough)
			table_set(&block->memcg->lists, lru->index, block);
		else
			block_free(block);
	}
out:
	pthread_mutex_unlock(lock);
	return enough;
}

/*
 * The group's own list, which may be dead; NULL where it has none.  An lru that
 * ignores groups has one list for all of them.
 */
static inline __attribute__((always_inline)) struct list_lru_one *
find_list(struct list_lru *lru, int nid, struct mem_cgroup *memcg)
{
	struct list_lru_memcg *block;

	if (lru->index < 0 || !memcg || !memcg->parent)
		return &lru->node[nid].list;
	block = table_get(&memcg->lists, lru->index);
	return block ? &block->list[nid] : NULL;
}

/* Locks the group's own list; returns NULL where it has none, or a dead one. */
static inline struct list_lru_one *lock_own_list(struct list_lru *lru, int nid,
						 struct mem_cgroup *memcg)
{
	struct list_lru_one *list = find_list(lru, nid, memcg);

	if (unlikely(!list))
		return NULL;
	list_lock(&list->lock);
	if (likely(!list->dead))
		return list;
	list_unlock(&list->lock);
	return NULL;
}

/*
 * The list that has the group's items now, as step 3 says.
 * @memcg: receives the group that this list belongs to
 *
 * Return: the list, locked; NULL where *@memcg is online and has no lists yet.
 */
static __attribute__((noinline)) struct list_lru_one *
lock_heirs_list(struct list_lru *lru, int nid, struct mem_cgroup **memcg)
{
	for (;; *memcg = (*memcg)->parent) {
		struct list_lru_one *list = find_list(lru, nid, *memcg);

		/* The block may be made before the group goes offline, and after it
		 * was looked for. */
		if (!list && atomic_load(&(*memcg)->online))
			return NULL;
		list = lock_own_list(lru, nid, *memcg);
		if (list)
			return list;
	}
}

/* lock_heirs_list(), which makes a missing block.  Return: NULL without memory. */
static __attribute__((noinline)) struct list_lru_one *
lock_new_list(struct list_lru *lru, int nid, struct mem_cgroup **memcg)
{
	struct list_lru_one *list;

	while (!(list = lock_heirs_list(lru, nid, memcg)))
		if (!make_blocks(lru, *memcg))
			break;
	return list;
}

/* --- groups that go offline ----------------------------------------------- */

/* Step 3 for one list.  Returns whether there were items to move. */
static bool move_to_parent(struct list_lru_one *list, struct list_lru_one *parents)
{
	int64_t moved;

	list_lock(&list->lock);
	list_lock(&parents->lock);
	moved = atomic_load_explicit(&list->nr_items, memory_order_relaxed);
	list_splice_init(&list->items, &parents->items);
	count_grow(&parents->nr_items, moved);
	count_grow(&list->nr_items, -moved);
	list->dead = true;
	list_unlock(&parents->lock);
	list_unlock(&list->lock);
	return moved;
}

/**
 * list_lru_reparent - step 3, for all lists of a group
 * @memcg: offline, its parent online
 *
 * Context: under memcg_lock.
 */
void list_lru_reparent(struct mem_cgroup *memcg)
{
	struct unit_table *table = atomic_load(&memcg->lists);
	int index, nid;

	for (index = 0; table && index < table->capacity; index++) {
		struct list_lru_memcg *block = table_get(&memcg->lists, index);

		for (nid = 0; block && nid < block->nr_nodes; nid++)
			if (move_to_parent(&block->list[nid],
					   find_list(block->lru, nid,
						     memcg->parent)))
				set_shrinker_bit(memcg->parent, nid,
						 block->lru->shrinker_id);
	}
}

/**
 * list_lru_release - release the lists of a group that is released
 * @memcg: no other thread can reach it; its lists are empty
 *
 * Context: any locks held.  The lrus may be destroyed, and are not accessed.
 */
void list_lru_release(struct mem_cgroup *memcg)
{
	struct unit_table *table = atomic_load(&memcg->lists);
	int index;

	for (index = 0; table && index < table->capacity; index++) {
		struct list_lru_memcg *block = table_get(&memcg->lists, index);

		if (block)
			block_free(block);
	}
	table_free(&memcg->lists, false);
}

/* --- making and destroying an lru ----------------------------------------- */

/* Takes the lowest free index; returns false where memory ran out. */
static bool take_index(struct list_lru *lru)
{
	struct reclaim_domain *domain = lru->domain;
	int index = 0;

	pthread_mutex_lock(&domain->id_lock);
	while (table_get(&domain->lrus, index))
		index++;
	if (table_reserve(&domain->lrus, index + 1)) {
		table_set(&domain->lrus, index, lru);
		lru->index = index;
	}
	pthread_mutex_unlock(&domain->id_lock);
	return lru->index == index;
}

int list_lru_init_domain(struct list_lru *lru, struct reclaim_domain *domain,
			 struct shrinker *shrinker)
{
	size_t size = (size_t)domain->nr_nodes * sizeof(*lru->node);
	int nid;

	memset(lru, 0, sizeof(*lru));
	lru->index = lru->shrinker_id = -1;
	if (shrinker && shrinker->domain != domain)
		return -EINVAL;
	lru->node = aligned_alloc(CACHE_LINE, size);
	if (!lru->node)
		return -ENOMEM;
	lru->domain = domain;
	for (nid = 0; nid < domain->nr_nodes; nid++) {
		one_init(&lru->node[nid].list, lru, nid, false);
		atomic_init(&lru->node[nid].in_list, 0);
		atomic_init(&lru->node[nid].in_groups, 0);
	}
	/* Without accounting of kernel memory there is one list for all groups;
	 * only walks over NONSLAB shrinkers look at bits then. */
	if (shrinker && (domain->kmem || shrinker->flags & SHRINKER_NONSLAB))
		lru->shrinker_id = shrinker->id;
	if (shrinker && domain->root && domain->kmem && !take_index(lru)) {
		free(lru->node);
		lru->node = NULL;
		return -ENOMEM;
	}
	atomic_fetch_add(&domain->refs, 1);
	return 0;
}

int list_lru_init_memcg(struct list_lru *lru, struct shrinker *shrinker)
{
	return list_lru_init_domain(lru, shrinker->domain, shrinker);
}

int list_lru_init(struct list_lru *lru)
{
	struct reclaim_domain *domain = reclaim_default_domain();

	if (!domain) {
		memset(lru, 0, sizeof(*lru));
		return -ENOMEM;
	}
	return list_lru_init_domain(lru, domain, NULL);
}

/* Releases the blocks of all groups, and the lru's index. */
static void drop_blocks(struct list_lru *lru)
{
	struct reclaim_domain *domain = lru->domain;
	struct mem_cgroup *memcg = NULL;

	pthread_mutex_lock(&domain->memcg_lock);
	while ((memcg = memcg_next_all(domain, memcg))) {
		struct list_lru_memcg *block = table_get(&memcg->lists, lru->index);

		if (!block)
			continue;
		pthread_mutex_lock(&domain->id_lock);
		table_set(&memcg->lists, lru->index, NULL);
		pthread_mutex_unlock(&domain->id_lock);
		block_free(block);
	}
	pthread_mutex_lock(&domain->id_lock);
	table_set(&domain->lrus, lru->index, NULL);
	pthread_mutex_unlock(&domain->id_lock);
	pthread_mutex_unlock(&domain->memcg_lock);
}

void list_lru_destroy(struct list_lru *lru)
{
	struct reclaim_domain *domain = lru->domain;
	int nid;

	if (!lru->node)
		return;
	if (lru->index >= 0)
		drop_blocks(lru);
	for (nid = 0; nid < domain->nr_nodes; nid++)
		one_destroy(&lru->node[nid].list);
	free(lru->node);
	lru->node = NULL;
	domain_put(domain);
}

/* --- items ---------------------------------------------------------------- */

/* Whether the node and the group are of the lru's domain; an lru that needs the group
 * neither for a list nor for a bit takes any. */
static inline bool is_place(const struct list_lru *lru, int nid,
			    const struct mem_cgroup *memcg)
{
	return nid_is_valid(lru->domain, nid) &&
	       (!memcg || memcg->domain == lru->domain ||
		(lru->index < 0 && lru->shrinker_id < 0));
}

static inline int insert(struct list_lru *lru, struct list_head *item, int nid,
			 struct mem_cgroup *memcg)
{
	struct list_lru_one *list;
	int error = -EEXIST;

	if (!is_place(lru, nid, memcg))
		return -EINVAL;
	list = lock_own_list(lru, nid, memcg);
	if (unlikely(!list)) {
		struct mem_cgroup *heir = memcg;

		list = lock_new_list(lru, nid, &heir);
		if (!list)
			return -ENOMEM;
		memcg = heir;
	}
	if (list_empty(item)) {
		bool first = list_empty(&list->items);

		list_add_tail(item, &list->items);
		count_grow(&list->nr_items, 1);
		node_grow(list, 1);
		if (first && lru->shrinker_id >= 0)
			set_shrinker_bit(memcg, nid, lru->shrinker_id);
		error = 0;
	}
	list_unlock(&list->lock);
	return error;
}

int list_lru_insert(struct list_lru *lru, struct list_head *item, int nid,
		    struct mem_cgroup *memcg)
{
	return insert(lru, item, nid, memcg);
}

bool list_lru_add(struct list_lru *lru, struct list_head *item, int nid,
		  struct mem_cgroup *memcg)
{
	return insert(lru, item, nid, memcg) == 0;
}

bool list_lru_del(struct list_lru *lru, struct list_head *item, int nid,
		  struct mem_cgroup *memcg)
{
	struct list_lru_one *list;
	bool was_there;

	if (!is_place(lru, nid, memcg))
		return false;
	list = lock_own_list(lru, nid, memcg);
	if (unlikely(!list)) {
		struct mem_cgroup *heir = memcg;

		list = lock_heirs_list(lru, nid, &heir);
		if (!list)
			return false;
	}
	was_there = !list_empty(item);
	if (was_there) {
		isolate_item(list, item);
		node_grow(list, -1);
	}
	list_unlock(&list->lock);
	return was_there;
}

/* --- counting ------------------------------------------------------------- */

/* A callback that isolates twice, or says that it did and has not, makes a
 * number negative; that reads 0. */
static inline unsigned long not_negative(int64_t nr)
{
	return nr > 0 ? (unsigned long)nr : 0;
}

static inline unsigned long count_one(struct list_lru *lru, int nid,
				      struct mem_cgroup *memcg)
{
	struct list_lru_one *list;

	if (!is_place(lru, nid, memcg))
		return 0;
	list = find_list(lru, nid, memcg);
	return list ? not_negative(atomic_load_explicit(&list->nr_items,
							memory_order_relaxed)) :
		      0;
}

unsigned long list_lru_count_one(struct list_lru *lru, int nid,
				 struct mem_cgroup *memcg)
{
	return count_one(lru, nid, memcg);
}

unsigned long list_lru_count_node(struct list_lru *lru, int nid)
{
	struct list_lru_node *node;
	int64_t in_list;

	if (!nid_is_valid(lru->domain, nid))
		return 0;
	node = &lru->node[nid];
	/* Acquire order: where an item's removal from @list is seen, its addition
	 * to a group's list is, too. */
	in_list = atomic_load_explicit(&node->in_list, memory_order_acquire);
	return not_negative(in_list + atomic_load_explicit(&node->in_groups,
							   memory_order_relaxed));
}

unsigned long list_lru_count(struct list_lru *lru)
{
	unsigned long count = 0;
	int nid;

	for (nid = 0; nid < lru->domain->nr_nodes; nid++)
		count += list_lru_count_node(lru, nid);
	return count;
}

unsigned long list_lru_shrink_count(struct list_lru *lru,
				    struct shrink_control *sc)
{
	return count_one(lru, sc->nid, sc->memcg);
}

/* --- walks ---------------------------------------------------------------- */

static unsigned long walk_list(struct list_lru_one *list, list_lru_walk_cb isolate,
			       void *arg, unsigned long *nr_to_walk)
{
	unsigned long isolated = 0;
	struct list_head *item, *next;
	enum lru_status status;

	list_lock(&list->lock);
	for (item = list->items.next; item != &list->items && *nr_to_walk;
	     item = next) {
		next = item->next;
		/* Fetched while the callback runs. */
		__builtin_prefetch(next);
		--*nr_to_walk;
		status = isolate(item, list, arg);
		if (status == LRU_SKIP)
			continue;
		if (status == LRU_REMOVED || status == LRU_REMOVED_RETRY) {
			isolated++;
			node_grow(list, -1);
		}
		if (status == LRU_ROTATE)
			list_move_tail(item, &list->items);
		else if (status == LRU_REMOVED_RETRY || status == LRU_RETRY)
			next = list->items.next;
		else if (status != LRU_REMOVED)
			break;
	}
	list_unlock(&list->lock);
	return isolated;
}

unsigned long list_lru_walk_one(struct list_lru *lru, int nid,
				struct mem_cgroup *memcg,
				list_lru_walk_cb isolate, void *arg,
				unsigned long *nr_to_walk)
{
	struct list_lru_one *list;

	if (!is_place(lru, nid, memcg))
		return 0;
	list = find_list(lru, nid, memcg);
	return list ? walk_list(list, isolate, arg, nr_to_walk) : 0;
}

unsigned long list_lru_walk_node(struct list_lru *lru, int nid,
				 list_lru_walk_cb isolate, void *arg,
				 unsigned long *nr_to_walk)
{
	struct mem_cgroup *memcg = NULL;
	unsigned long isolated = 0;

	if (lru->index < 0)
		return list_lru_walk_one(lru, nid, NULL, isolate, arg,
					 nr_to_walk);
	while (*nr_to_walk && (memcg = memcg_next_online(lru->domain, memcg)))
		isolated += list_lru_walk_one(lru, nid, memcg, isolate, arg,
					      nr_to_walk);
	if (memcg)
		memcg_put(memcg);
	return isolated;
}

unsigned long list_lru_walk(struct list_lru *lru, list_lru_walk_cb isolate,
			    void *arg, unsigned long nr_to_walk)
{
	unsigned long isolated = 0;
	int nid;

	for (nid = 0; nid < lru->domain->nr_nodes; nid++)
		isolated += list_lru_walk_node(lru, nid, isolate, arg,
					       &nr_to_walk);
	return isolated;
}

unsigned long list_lru_shrink_walk(struct list_lru *lru,
				   struct shrink_control *sc,
				   list_lru_walk_cb isolate, void *arg)
{
	return list_lru_walk_one(lru, sc->nid, sc->memcg, isolate, arg,
				 &sc->nr_to_scan);
}
