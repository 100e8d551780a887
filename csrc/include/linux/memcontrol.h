/* SPDX-License-Identifier: MIT */
/*
 * Memory cgroups, as far as shrinkers name them.  A test makes groups with
 * mem_cgroup_create() (shrinker/memcg.h) and allocates in one between
 * set_active_memcg() and the next.
 *
 * Left out: charging, limits, statistics of groups.
 */
#ifndef SHRINKER_LINUX_MEMCONTROL_H
#define SHRINKER_LINUX_MEMCONTROL_H

#include <linux/sched.h>
#include <shrinker/domain.h>
#include <shrinker/memcg.h>

#ifdef __cplusplus
extern "C" {
#endif

#define root_mem_cgroup reclaim_domain_root(reclaim_default_domain())
#define mem_cgroup_is_root(memcg) ((memcg) == root_mem_cgroup)
#define mem_cgroup_disabled() (!root_mem_cgroup)
#define mem_cgroup_online(memcg) mem_cgroup_is_online(memcg)
#define mem_cgroup_id(memcg_) ((unsigned short)mem_cgroup_get_id(memcg_))
#define memcg_kmem_online() true

static inline struct mem_cgroup *set_active_memcg(struct mem_cgroup *memcg)
{
	struct mem_cgroup *old = shrinker_kit_current()->active_memcg;

	shrinker_kit_current()->active_memcg = memcg;
	return old;
}

/* The group in which a SLAB_ACCOUNT or __GFP_ACCOUNT object was allocated. */
struct mem_cgroup *mem_cgroup_from_slab_obj(void *object);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_MEMCONTROL_H */
