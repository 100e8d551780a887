/* SPDX-License-Identifier: MIT */
/*
 * Memory cgroups: a tree of groups, each with a map of the shrinkers that may
 * hold objects of it, and with its own deferred work, per node.
 *
 * What may run beside what: everything beside everything, from any thread,
 * callbacks included, with one care: whoever calls a function with a group
 * holds it (mem_cgroup_create() and the domain, for its root, do so).
 */
#ifndef SHRINKER_MEMCG_H
#define SHRINKER_MEMCG_H

#include <shrinker/shrinker.h>

/* Ids of groups count up from here and are not used twice in a domain. */
#define MEMCG_ROOT_ID 1
/* Ids of shrinkers that one unit of a map has room for. */
#define MEMCG_UNIT_IDS 64

/**
 * reclaim_domain_root - the group above all others
 *
 * Return: not held for the caller; NULL in a domain without memory cgroups.
 */
struct mem_cgroup *reclaim_domain_root(struct reclaim_domain *domain);

/**
 * mem_cgroup_create - add a group under another
 * @parent: its domain is the new group's; online
 * @memcg: receives the group, online, held once for the caller, with its domain
 *
 * It stands behind its elder siblings.
 *
 * Context: takes memcg_lock; calls nothing back.
 * Return: 0; -EINVAL where @parent is offline, -ENOMEM; nothing has changed
 * then.
 */
int mem_cgroup_create(struct mem_cgroup *parent, struct mem_cgroup **memcg);

/**
 * mem_cgroup_offline - end the group's life
 *
 * Its deferred work is added to the parent's, its list_lru lists are spliced to
 * the parent's, whose bits are set for what was moved.  Walks over it return 0
 * from then on.  A second time does nothing.
 *
 * Context: takes memcg_lock and the locks of lists, and so waits for isolate
 * callbacks on lists of the group and its parent; calls nothing back.
 * Return: 0; -EBUSY where a child is online, -EINVAL for the root; nothing has
 * changed then.
 */
int mem_cgroup_offline(struct mem_cgroup *memcg);

/**
 * mem_cgroup_remove - take the group out of the tree
 *
 * Return: 0; -EBUSY where it is online or has children.
 */
int mem_cgroup_remove(struct mem_cgroup *memcg);

/**
 * mem_cgroup_put - let go of what mem_cgroup_create() gave
 *
 * The group stays in the tree until it is removed.
 */
void mem_cgroup_put(struct mem_cgroup *memcg);

bool mem_cgroup_is_online(const struct mem_cgroup *memcg);

/**
 * mem_cgroup_online_flag - where the group says whether it is online
 *
 * For callers to whom a call is dear.  Return: valid as long as the group; to be
 * read only.
 */
const volatile bool *mem_cgroup_online_flag(const struct mem_cgroup *memcg);

uint64_t mem_cgroup_get_id(const struct mem_cgroup *memcg);

/**
 * mem_cgroup_next - walk the tree, parents first, children as they were created
 * @root: where to start, and never to leave
 * @previous: what the last call returned; NULL: start
 *
 * Groups that were removed are left out.  The group returned is kept from being
 * unlinked until the next call; who ends early calls mem_cgroup_unpin().
 *
 * Return: NULL behind the last.
 */
struct mem_cgroup *mem_cgroup_next(struct mem_cgroup *root,
				   struct mem_cgroup *previous);

void mem_cgroup_unpin(struct mem_cgroup *memcg);

/**
 * set_shrinker_bit - say that a shrinker may hold objects of the group
 * @memcg: offline ones too; NULL and the root have no use for bits: nothing
 *	happens
 * @shrinker_id: shrinker_id(); negative: nothing happens
 *
 * Whatever the caller has stored before is seen by the walk that sees the bit.
 */
void set_shrinker_bit(struct mem_cgroup *memcg, int nid, int shrinker_id);

/**
 * mem_cgroup_has_bit - whether set_shrinker_bit() was called, and no walk found
 * the shrinker empty since
 */
bool mem_cgroup_has_bit(struct mem_cgroup *memcg, int nid, int shrinker_id);

/**
 * mem_cgroup_map - the word of the map that has a shrinker's bit
 *
 * For callers to whom a call is dear: it is bit @shrinker_id % MEMCG_UNIT_IDS.
 *
 * Return: valid as long as the group; to be read only.  NULL where there is no
 * such bit.
 */
const volatile uint64_t *mem_cgroup_map(struct mem_cgroup *memcg, int nid,
					int shrinker_id);

/**
 * mem_cgroup_nr_deferred - deferred objects of a shrinker in the group
 */
int64_t mem_cgroup_nr_deferred(struct mem_cgroup *memcg, int nid,
			       int shrinker_id);

/**
 * mem_cgroup_nr_max - ids that the maps have room for, a multiple of 64
 */
int mem_cgroup_nr_max(const struct mem_cgroup *memcg);

/**
 * mem_cgroup_read_unit - a part of the map and its counters
 * @unit: 0 to mem_cgroup_nr_max() / MEMCG_UNIT_IDS - 1
 * @nr_deferred: receives MEMCG_UNIT_IDS counters
 *
 * Return: bit i stands for shrinker id @unit * MEMCG_UNIT_IDS + i; 0 where there
 * is no such unit.
 */
uint64_t mem_cgroup_read_unit(struct mem_cgroup *memcg, int nid, int unit,
			      int64_t *nr_deferred);

/**
 * mem_cgroup_memory - bytes that the group takes, without its list_lru lists
 */
unsigned long mem_cgroup_memory(struct mem_cgroup *memcg);

/**
 * reparent_shrinker_deferred - add the group's deferred work to its parent's
 *
 * It copies: the group keeps its own.  For the root nothing happens.
 */
void reparent_shrinker_deferred(struct mem_cgroup *memcg);

#endif /* SHRINKER_MEMCG_H */
