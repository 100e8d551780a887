/* SPDX-License-Identifier: MIT */
/*
 * Memory cgroups ("groups"): a tree.  For each node, a group has a map, in which a
 * bit is set for each shrinker that may have objects of the group, and a counter of
 * deferred objects for each shrinker.
 *
 * All functions may run beside each other, in any thread, inside callbacks too.
 * The caller has to hold each group that it passes: by mem_cgroup_create(), or, for
 * the root, by its domain.
 */
#ifndef SHRINKER_MEMCG_H
#define SHRINKER_MEMCG_H

#include <shrinker/shrinker.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Id of the root.  Ids of groups count up and are not reused in a domain. */
#define MEMCG_ROOT_ID 1
/* Shrinker ids in one unit of a map. */
#define MEMCG_UNIT_IDS 64

/**
 * reclaim_domain_root - the root of the domain's tree of groups
 *
 * Return: the root, held by the domain, not for the caller; NULL in a domain
 * without memory cgroups.
 */
struct mem_cgroup *reclaim_domain_root(struct reclaim_domain *domain);

/**
 * mem_cgroup_create - add a group under another
 * @parent: its domain is the new group's; online
 * @memcg: receives the group, online, held once for the caller, as is its domain
 *
 * Walks visit it after its parent's earlier children.
 *
 * Context: takes memcg_lock; calls nothing back.
 * Return: 0; -EINVAL where @parent is offline, -ENOMEM.  An error changes
 * nothing.
 */
int mem_cgroup_create(struct mem_cgroup *parent, struct mem_cgroup **memcg);

/**
 * mem_cgroup_offline - take the group offline
 *
 * Adds its deferred objects to its parent's, moves the items of its list_lru lists
 * to its parent's lists, and sets the parent's bits for them.  From then on a walk
 * for this group returns 0.  A second call does nothing.
 *
 * Context: takes memcg_lock and the locks of the lists of the group and its parent,
 * so it waits for isolate callbacks on these lists; calls nothing back.
 * Return: 0; -EBUSY where a child is online, -EINVAL for the root.  An error
 * changes nothing.
 */
int mem_cgroup_offline(struct mem_cgroup *memcg);

/**
 * mem_cgroup_remove - take the group out of the tree
 *
 * Return: 0, also the second time; -EBUSY where it is online or has children.
 */
int mem_cgroup_remove(struct mem_cgroup *memcg);

/**
 * mem_cgroup_put - drop the reference that mem_cgroup_create() gave
 *
 * The group stays in the tree until mem_cgroup_remove().
 */
void mem_cgroup_put(struct mem_cgroup *memcg);

bool mem_cgroup_is_online(const struct mem_cgroup *memcg);

/**
 * mem_cgroup_online_flag - the address of what mem_cgroup_is_online() returns
 *
 * For callers for which a call is too expensive.
 *
 * Return: valid as long as the group; read only.
 */
const volatile bool *mem_cgroup_online_flag(const struct mem_cgroup *memcg);

uint64_t mem_cgroup_get_id(const struct mem_cgroup *memcg);

/**
 * mem_cgroup_kmem_id - the group's place in walks over the lists of a node
 *
 * Return: 0 for the root; otherwise the lowest number that no online group had
 * when this one was created.  Once it is offline another group can get the number.
 */
int mem_cgroup_kmem_id(const struct mem_cgroup *memcg);

/**
 * mem_cgroup_next - walk a tree: parents first, children in order of creation
 * @root: the walk visits it and the groups below it
 * @previous: what the last call returned; NULL: start
 *
 * Skips groups that were removed.  Pins the group that it returns until the next
 * call: the group may be removed meanwhile, and the walk goes on from there.  A
 * caller that ends early calls mem_cgroup_unpin().
 *
 * Return: the next group; NULL after the last.
 */
struct mem_cgroup *mem_cgroup_next(struct mem_cgroup *root,
				   struct mem_cgroup *previous);

void mem_cgroup_unpin(struct mem_cgroup *memcg);

/**
 * set_shrinker_bit - say that a shrinker may have objects of the group
 * @memcg: online or offline; NULL or the root, which needs no bits: nothing happens
 * @shrinker_id: of shrinker_id(); negative: nothing happens
 *
 * A walk that sees the bit sees all that the caller has stored before this call.
 */
void set_shrinker_bit(struct mem_cgroup *memcg, int nid, int shrinker_id);

/**
 * mem_cgroup_has_bit - whether the bit is set: set_shrinker_bit() was called, and
 * no walk has found the shrinker empty, or gone, since then
 */
bool mem_cgroup_has_bit(struct mem_cgroup *memcg, int nid, int shrinker_id);

/**
 * mem_cgroup_map - the address of the word that has a shrinker's bit
 *
 * For callers for which a call is too expensive.  The bit's number in the word is
 * @shrinker_id % MEMCG_UNIT_IDS.
 *
 * Return: valid as long as the group; read only.  NULL where there is no such bit.
 */
const volatile uint64_t *mem_cgroup_map(struct mem_cgroup *memcg, int nid,
					int shrinker_id);

/**
 * mem_cgroup_nr_deferred - deferred objects of a shrinker in the group
 */
int64_t mem_cgroup_nr_deferred(struct mem_cgroup *memcg, int nid,
			       int shrinker_id);

/**
 * mem_cgroup_nr_max - number of shrinker ids that the maps have room for, a
 * multiple of MEMCG_UNIT_IDS
 */
int mem_cgroup_nr_max(const struct mem_cgroup *memcg);

/**
 * mem_cgroup_read_unit - read one unit: MEMCG_UNIT_IDS bits and counters
 * @unit: 0 to mem_cgroup_nr_max() / MEMCG_UNIT_IDS - 1
 * @nr_deferred: receives MEMCG_UNIT_IDS counters
 *
 * Return: the bits; bit i is that of shrinker id @unit * MEMCG_UNIT_IDS + i.  0
 * where there is no such unit.
 */
uint64_t mem_cgroup_read_unit(struct mem_cgroup *memcg, int nid, int unit,
			      int64_t *nr_deferred);

/**
 * mem_cgroup_memory - bytes of memory that the group takes, without list_lru lists
 */
unsigned long mem_cgroup_memory(struct mem_cgroup *memcg);

/**
 * reparent_shrinker_deferred - add the group's deferred objects to its parent's
 *
 * The group's own counters stay as they are.  The root's are added to themselves, and
 * so double.
 */
void reparent_shrinker_deferred(struct mem_cgroup *memcg);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_MEMCG_H */
