/* SPDX-License-Identifier: MIT */
/*
 * The private structure of a memory cgroup, and the tables that memcg.c,
 * memcg_maps.c, slab.c, registry.c and list_lru.c share.
 */
#ifndef SHRINKER_MEMCG_PRIVATE_H
#define SHRINKER_MEMCG_PRIVATE_H

#include <shrinker/memcg.h>

#include "domain.h"

/**
 * struct shrinker_unit - bits and counters of MEMCG_UNIT_IDS shrinkers
 * @map: bit i: shrinker i of the unit may have objects of the group
 * @nr_deferred: deferred objects
 *
 * Never moves, so that a walk may use a counter while the maps grow.
 */
struct shrinker_unit {
	_Atomic(uint64_t) map;
	_Atomic(int64_t) nr_deferred[MEMCG_UNIT_IDS];
};

/**
 * struct unit_table - pointers to units, or to other entries
 * @smaller: the table that this one has replaced; readers may still use it
 * @capacity: number of entries that it has room for
 */
struct unit_table {
	struct unit_table *smaller;
	int capacity;
	_Atomic(void *) unit[];
};

/**
 * struct mem_cgroup - a group
 * @domain: constant
 * @parent: constant, held; NULL: the root
 * @id: constant
 * @kmem_id: constant; the lowest number that no online group had when it was made
 * @online: goes from true to false once, under id_lock
 * @removed: walks over the tree skip it; it stays linked while it is pinned
 * @linked: in its parent's list of children
 * @first_child, @last_child, @next_sibling, @prev_sibling: the tree
 * @next_all, @prev_all: all groups of the domain that were not released, by id
 * @pins: walks over the tree that are at this group
 * @refs: one each for the creator, the tree, each child and each memcg_next_all()
 * @lists: struct list_lru_memcg by the lru's index (list_lru.c); written under
 *	id_lock
 * @units: for each node, a table of struct shrinker_unit
 *
 * tree_lock guards the links, @removed, @linked, @pins and @refs.
 */
struct mem_cgroup {
	struct reclaim_domain *domain;
	struct mem_cgroup *parent;
	uint64_t id;
	int kmem_id;
	_Atomic(bool) online;
	bool removed;
	bool linked;
	struct mem_cgroup *first_child, *last_child;
	struct mem_cgroup *next_sibling, *prev_sibling;
	struct mem_cgroup *next_all, *prev_all;
	unsigned long pins;
	unsigned long refs;
	_Atomic(struct unit_table *) lists;
	_Atomic(struct unit_table *) units[];
};

/*
 * The table's entry; NULL where there is none, or no room for that index.  Acquire
 * order: the loads of table and entry come before any load through them, as their
 * stores come after the initialisation (table_reserve(), table_set()).
 */
static inline void *table_get(_Atomic(struct unit_table *) *table, int index)
{
	struct unit_table *now = atomic_load_explicit(table, memory_order_acquire);

	if (!now || index >= now->capacity)
		return NULL;
	return atomic_load_explicit(&now->unit[index], memory_order_acquire);
}

#pragma GCC visibility push(hidden)

/* memcg_maps.c: the contracts are there. */
bool table_reserve(_Atomic(struct unit_table *) *table, int capacity);
void table_free(_Atomic(struct unit_table *) *table, bool entries);
bool memcg_grow(struct mem_cgroup *memcg, int nr_max);
bool memcg_alloc_id(struct reclaim_domain *domain, int *id);
void memcg_release_id(struct reclaim_domain *domain, int id);

/* memcg.c */
bool memcg_init(struct reclaim_domain *domain);
void memcg_destroy(struct reclaim_domain *domain);
struct mem_cgroup *memcg_next_all(struct reclaim_domain *domain,
				  struct mem_cgroup *previous);
struct mem_cgroup *memcg_next_online(struct reclaim_domain *domain,
				     struct mem_cgroup *previous);
void memcg_put(struct mem_cgroup *memcg);

/* list_lru.c */
void list_lru_reparent(struct mem_cgroup *memcg);
void list_lru_release(struct mem_cgroup *memcg);

#pragma GCC visibility pop

static inline struct shrinker_unit *memcg_unit(struct mem_cgroup *memcg, int nid,
					       int id)
{
	return table_get(&memcg->units[nid], id / MEMCG_UNIT_IDS);
}

static inline _Atomic(int64_t) *memcg_deferred(struct mem_cgroup *memcg, int nid,
					       int id)
{
	return &memcg_unit(memcg, nid, id)->nr_deferred[id % MEMCG_UNIT_IDS];
}

/**
 * struct id_unit - registered shrinkers by id
 *
 * Never moves, and lives as long as the domain.
 */
struct id_unit {
	_Atomic(struct shrinker *) shrinker[MEMCG_UNIT_IDS];
};

static inline _Atomic(struct shrinker *) *shrinker_by_id(struct reclaim_domain *domain,
							 int id)
{
	struct id_unit *unit = table_get(&domain->by_id, id / MEMCG_UNIT_IDS);

	return &unit->shrinker[id % MEMCG_UNIT_IDS];
}

#endif /* SHRINKER_MEMCG_PRIVATE_H */
