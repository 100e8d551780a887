/* SPDX-License-Identifier: MIT */
/*
 * Lists of objects that could be freed, per node and group.
 *
 * The root's lists, or those of an lru that ignores groups, are the lru's own.
 * Another group's are in a block that hangs in the group's table, at the index of
 * the lru; it is made when the group gets its first item, and stays, where it is,
 * until the lru is destroyed or the group's memory goes.
 *
 *   1. Blocks are made under id_lock, for groups that are online there, and never
 *      for a group before its ancestors: a list always has a list to go to.
 *   2. A group goes offline under id_lock.  Whoever sees it offline sees all
 *      blocks that it ever gets.
 *   3. Then its lists are emptied into its parent's, under the locks of both, and
 *      are dead from that moment.  Whoever finds a group offline without a block,
 *      or a list that is dead, goes on to the parent: so an item that was added
 *      in the name of a group is found in its name, wherever it has gone.
 *
 * memcg_lock keeps 3 and the end of an lru apart.  Order: memcg_lock, a list, the
 * list of its parent, id_lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <shrinker/list_lru.h>

#include "holding.h"
#include "memcg.h"

/**
 * struct list_lru_one - one list
 * @lock: guards all but @in_node
 * @dead: emptied into the parent's, for ever
 * @items: first added first
 * @nr_items: their number; read by anyone
 * @in_node: number of items on all lists of the lru and node
 */
struct list_lru_one {
	pthread_mutex_t lock;
	bool dead;
	struct list_head items;
	_Atomic(long) nr_items;
	_Atomic(long) *in_node;
};

/* Lists of one node for those who name no group, and the node's sum. */
struct list_lru_node {
	_Alignas(CACHE_LINE) struct list_lru_one list;
	_Atomic(long) nr_items;
};

/**
 * struct list_lru_memcg - the lists of a group
 * @lru, @memcg, @nr_nodes: constant
 * @below: while it is made: the child's, which is new as well
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

static void one_init(struct list_lru_one *list, _Atomic(long) *in_node)
{
	pthread_mutex_init(&list->lock, NULL);
	list->dead = false;
	INIT_LIST_HEAD(&list->items);
	atomic_init(&list->nr_items, 0);
	list->in_node = in_node;
}

void list_lru_lock(struct list_lru_one *list)
{
	pthread_mutex_lock(&list->lock);
}

void list_lru_unlock(struct list_lru_one *list)
{
	pthread_mutex_unlock(&list->lock);
}

/* Under the list's lock: the only one that writes.  Whoever reads wants an
 * estimate, or has been told by a shrinker's bit. */
static inline void one_grow(struct list_lru_one *list, long by)
{
	atomic_store_explicit(&list->nr_items,
			      atomic_load_explicit(&list->nr_items,
						   memory_order_relaxed) + by,
			      memory_order_relaxed);
}

static void account_removed(struct list_lru_one *list)
{
	one_grow(list, -1);
	atomic_fetch_sub_explicit(list->in_node, 1, memory_order_relaxed);
}

void list_lru_isolate(struct list_lru_one *list, struct list_head *item)
{
	list_del_init(item);
	account_removed(list);
}

void list_lru_isolate_move(struct list_lru_one *list, struct list_head *item,
			   struct list_head *head)
{
	list_move_tail(item, head);
	account_removed(list);
}

/* Takes all items off and ends the list; nobody else can reach it. */
static void one_destroy(struct list_lru_one *list)
{
	while (!list_empty(&list->items))
		list_del_init(list->items.next);
	pthread_mutex_destroy(&list->lock);
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
		one_init(&block->list[nid], &lru->node[nid].nr_items);
	return block;
}

/* Under id_lock, in a table that has room for it. */
static void table_set(_Atomic(struct unit_table *) *table, int index, void *entry)
{
	atomic_store_explicit(&atomic_load(table)->unit[index], entry,
			      memory_order_release);
}

/*
 * Steps 1 and 2: blocks for a group that is online and for each ancestor without
 * one, the highest first.  Return: false where memory ran out; what has changed
 * then is the room in tables.
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

/* The group's own list, dead or alive; NULL where it has none. */
static struct list_lru_one *find_list(struct list_lru *lru, int nid,
				      struct mem_cgroup *memcg)
{
	struct list_lru_memcg *block;

	if (!memcg || !memcg->parent)
		return &lru->node[nid].list;
	block = table_get(&memcg->lists, lru->index);
	return block ? &block->list[nid] : NULL;
}

/*
 * Step 3: the list that has the group's items now, locked; *@memcg becomes the
 * group that it belongs to.  NULL where it should be *@memcg's, which has none.
 */
static struct list_lru_one *lock_list(struct list_lru *lru, int nid,
				      struct mem_cgroup **memcg)
{
	for (;; *memcg = (*memcg)->parent) {
		struct list_lru_one *list = find_list(lru, nid, *memcg);

		if (!list) {
			if (atomic_load(&(*memcg)->online))
				return NULL;
			/* It may have been made just before the end. */
			list = find_list(lru, nid, *memcg);
			if (!list)
				continue;
		}
		list_lru_lock(list);
		if (likely(!list->dead))
			return list;
		list_lru_unlock(list);
	}
}

/* --- a group's end -------------------------------------------------------- */

/* Returns whether there was anything to move. */
static bool empty_into(struct list_lru_one *list, struct list_lru_one *parents)
{
	long moved;

	list_lru_lock(list);
	list_lru_lock(parents);
	moved = atomic_load_explicit(&list->nr_items, memory_order_relaxed);
	list_splice_tail_init(&list->items, &parents->items);
	one_grow(parents, moved);
	one_grow(list, -moved);
	list->dead = true;
	list_lru_unlock(parents);
	list_lru_unlock(list);
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
			if (empty_into(&block->list[nid],
				       find_list(block->lru, nid, memcg->parent)))
				set_shrinker_bit(memcg->parent, nid,
						 block->lru->shrinker_id);
	}
}

/**
 * list_lru_release - release the lists of a group whose memory goes
 * @memcg: nobody can reach it; nothing is on its lists
 *
 * Context: any locks.  The lrus are not looked into: they may have gone.
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

/* --- an lru's life -------------------------------------------------------- */

/* The lowest index that is free. */
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
		one_init(&lru->node[nid].list, &lru->node[nid].nr_items);
		atomic_init(&lru->node[nid].nr_items, 0);
	}
	if (shrinker && shrinker->id >= 0) {
		lru->shrinker_id = shrinker->id;
		if (!take_index(lru)) {
			free(lru->node);
			lru->node = NULL;
			return -ENOMEM;
		}
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

/* The blocks of all groups, and the index. */
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

/* Whether there can be such a list; an lru that ignores groups forgets @memcg. */
static inline bool is_place(struct list_lru *lru, int nid,
			    struct mem_cgroup **memcg)
{
	if (lru->index < 0)
		*memcg = NULL;
	return nid_is_valid(lru->domain, nid) &&
	       (!*memcg || (*memcg)->domain == lru->domain);
}

int list_lru_insert(struct list_lru *lru, struct list_head *item, int nid,
		    struct mem_cgroup *memcg)
{
	struct list_lru_one *list;
	int error = -EEXIST;

	if (!is_place(lru, nid, &memcg))
		return -EINVAL;
	while (!(list = lock_list(lru, nid, &memcg)))
		if (!make_blocks(lru, memcg))
			return -ENOMEM;
	if (list_empty(item)) {
		bool first = list_empty(&list->items);

		list_add_tail(item, &list->items);
		one_grow(list, 1);
		atomic_fetch_add_explicit(list->in_node, 1, memory_order_relaxed);
		if (first)
			set_shrinker_bit(memcg, nid, lru->shrinker_id);
		error = 0;
	}
	list_lru_unlock(list);
	return error;
}

bool list_lru_add(struct list_lru *lru, struct list_head *item, int nid,
		  struct mem_cgroup *memcg)
{
	return list_lru_insert(lru, item, nid, memcg) == 0;
}

bool list_lru_del(struct list_lru *lru, struct list_head *item, int nid,
		  struct mem_cgroup *memcg)
{
	struct list_lru_one *list;
	bool was_there;

	if (!is_place(lru, nid, &memcg))
		return false;
	list = lock_list(lru, nid, &memcg);
	if (!list)
		return false;
	was_there = !list_empty(item);
	if (was_there)
		list_lru_isolate(list, item);
	list_lru_unlock(list);
	return was_there;
}

/* --- counting ------------------------------------------------------------- */

unsigned long list_lru_count_one(struct list_lru *lru, int nid,
				 struct mem_cgroup *memcg)
{
	struct list_lru_one *list;

	if (!is_place(lru, nid, &memcg))
		return 0;
	list = find_list(lru, nid, memcg);
	return list ? (unsigned long)atomic_load_explicit(&list->nr_items,
							  memory_order_relaxed) :
		      0;
}

unsigned long list_lru_count_node(struct list_lru *lru, int nid)
{
	if (!nid_is_valid(lru->domain, nid))
		return 0;
	return (unsigned long)atomic_load_explicit(&lru->node[nid].nr_items,
						   memory_order_relaxed);
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
	return list_lru_count_one(lru, sc->nid, sc->memcg);
}

/* --- walks ---------------------------------------------------------------- */

static unsigned long walk_list(struct list_lru_one *list, list_lru_walk_cb isolate,
			       void *arg, unsigned long *nr_to_walk)
{
	unsigned long isolated = 0;
	struct list_head *item, *next;
	bool over = false;

	list_lru_lock(list);
	for (item = list->items.next;
	     item != &list->items && *nr_to_walk && !over; item = next) {
		next = item->next;
		--*nr_to_walk;
		switch (isolate(item, list, arg)) {
		case LRU_REMOVED:
			isolated++;
			break;
		case LRU_REMOVED_RETRY:
			isolated++;
			next = list->items.next;
			break;
		case LRU_RETRY:
			next = list->items.next;
			break;
		case LRU_ROTATE:
			list_move_tail(item, &list->items);
			break;
		case LRU_SKIP:
			break;
		case LRU_STOP:
		default:
			over = true;
			break;
		}
	}
	list_lru_unlock(list);
	return isolated;
}

unsigned long list_lru_walk_one(struct list_lru *lru, int nid,
				struct mem_cgroup *memcg,
				list_lru_walk_cb isolate, void *arg,
				unsigned long *nr_to_walk)
{
	struct list_lru_one *list;

	if (!is_place(lru, nid, &memcg))
		return 0;
	list = find_list(lru, nid, memcg);
	return list ? walk_list(list, isolate, arg, nr_to_walk) : 0;
}

unsigned long list_lru_walk_node(struct list_lru *lru, int nid,
				 list_lru_walk_cb isolate, void *arg,
				 unsigned long *nr_to_walk)
{
	struct mem_cgroup *memcg = NULL;
	unsigned long isolated;

	isolated = list_lru_walk_one(lru, nid, NULL, isolate, arg, nr_to_walk);
	if (lru->index < 0)
		return isolated;
	while (*nr_to_walk && (memcg = memcg_next_all(lru->domain, memcg)))
		if (memcg->parent)
			isolated += list_lru_walk_one(lru, nid, memcg, isolate,
						      arg, nr_to_walk);
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
