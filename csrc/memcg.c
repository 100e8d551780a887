/* SPDX-License-Identifier: MIT */
/*
 * The tree of memory cgroups; memcg_maps.c has what they know of shrinkers.
 *
 * Locks: memcg_lock makes creating, going offline and growing take turns, and is
 * held while memory is allocated.  tree_lock guards links and references, for
 * moments; walks take it between groups.  domain.h has their order.
 */
#include <errno.h>
#include <stdlib.h>

#include "holding.h"
#include "memcg.h"

/* --- references and links ----------------------------------------------- */

static void memcg_free(struct mem_cgroup *memcg)
{
	int nid;

	list_lru_release(memcg);
	for (nid = 0; nid < memcg->domain->nr_nodes; nid++)
		table_free(&memcg->units[nid], true);
	free(memcg);
}

/* Called under tree_lock; the dead are chained by next_sibling. */
static void drop_ref(struct mem_cgroup *memcg, struct mem_cgroup **dead)
{
	while (memcg && --memcg->refs == 0) {
		struct mem_cgroup *parent = memcg->parent;
		struct reclaim_domain *domain = memcg->domain;

		if (memcg->prev_all)
			memcg->prev_all->next_all = memcg->next_all;
		else
			domain->first_memcg = memcg->next_all;
		if (memcg->next_all)
			memcg->next_all->prev_all = memcg->prev_all;
		else
			domain->last_memcg = memcg->prev_all;
		memcg->next_sibling = *dead;
		*dead = memcg;
		memcg = parent;
	}
}

/* Under tree_lock: unlinks a removed group that nobody needs as a place. */
static void unlink_if_unused(struct mem_cgroup *memcg, struct mem_cgroup **dead)
{
	while (memcg->linked && memcg->removed && !memcg->pins &&
	       !memcg->first_child) {
		struct mem_cgroup *parent = memcg->parent;

		if (memcg->prev_sibling)
			memcg->prev_sibling->next_sibling = memcg->next_sibling;
		else
			parent->first_child = memcg->next_sibling;
		if (memcg->next_sibling)
			memcg->next_sibling->prev_sibling = memcg->prev_sibling;
		else
			parent->last_child = memcg->prev_sibling;
		memcg->linked = false;
		drop_ref(memcg, dead);
		/* The parent may have waited for its last child.  It is linked,
		 * and so still there, or it has been unlinked before. */
		if (!parent->linked)
			return;
		memcg = parent;
	}
}

static void free_dead(struct mem_cgroup *dead)
{
	while (dead) {
		struct mem_cgroup *next = dead->next_sibling;

		memcg_free(dead);
		dead = next;
	}
}

void memcg_put(struct mem_cgroup *memcg)
{
	struct reclaim_domain *domain = memcg->domain;
	struct mem_cgroup *dead = NULL;

	pthread_mutex_lock(&domain->tree_lock);
	drop_ref(memcg, &dead);
	pthread_mutex_unlock(&domain->tree_lock);
	free_dead(dead);
}

void mem_cgroup_put(struct mem_cgroup *memcg)
{
	struct reclaim_domain *domain = memcg->domain;

	memcg_put(memcg);
	domain_put(domain);
}

/**
 * memcg_next_all - all groups, removed ones too, by id
 *
 * Each is held until the next call; who ends early puts the last.
 */
struct mem_cgroup *memcg_next_all(struct reclaim_domain *domain,
				  struct mem_cgroup *previous)
{
	struct mem_cgroup *dead = NULL;
	struct mem_cgroup *next;

	pthread_mutex_lock(&domain->tree_lock);
	next = previous ? previous->next_all : domain->first_memcg;
	if (next)
		next->refs++;
	if (previous)
		drop_ref(previous, &dead);
	pthread_mutex_unlock(&domain->tree_lock);
	free_dead(dead);
	return next;
}

static struct mem_cgroup *preorder_next(const struct mem_cgroup *root,
					struct mem_cgroup *memcg)
{
	if (memcg->first_child)
		return memcg->first_child;
	while (memcg != root && !memcg->next_sibling)
		memcg = memcg->parent;
	return memcg == root ? NULL : memcg->next_sibling;
}

static void unpin(struct mem_cgroup *memcg, struct mem_cgroup **dead)
{
	memcg->pins--;
	unlink_if_unused(memcg, dead);
}

struct mem_cgroup *mem_cgroup_next(struct mem_cgroup *root,
				   struct mem_cgroup *previous)
{
	struct reclaim_domain *domain = root->domain;
	struct mem_cgroup *dead = NULL;
	struct mem_cgroup *next;

	pthread_mutex_lock(&domain->tree_lock);
	next = previous ? preorder_next(root, previous) : root;
	while (next && next->removed)
		next = preorder_next(root, next);
	if (next)
		next->pins++;
	if (previous)
		unpin(previous, &dead);
	pthread_mutex_unlock(&domain->tree_lock);
	free_dead(dead);
	return next;
}

void mem_cgroup_unpin(struct mem_cgroup *memcg)
{
	struct reclaim_domain *domain = memcg->domain;
	struct mem_cgroup *dead = NULL;

	pthread_mutex_lock(&domain->tree_lock);
	unpin(memcg, &dead);
	pthread_mutex_unlock(&domain->tree_lock);
	free_dead(dead);
}

/* --- life ---------------------------------------------------------------- */

/* A group that is in no list yet; called under memcg_lock, or alone. */
static struct mem_cgroup *memcg_alloc(struct reclaim_domain *domain,
				      struct mem_cgroup *parent)
{
	struct mem_cgroup *memcg;

	memcg = calloc(1, sizeof(*memcg) + (size_t)domain->nr_nodes *
						   sizeof(memcg->units[0]));
	if (!memcg)
		return NULL;
	memcg->domain = domain;
	memcg->parent = parent;
	memcg->id = domain->next_memcg_id;
	atomic_init(&memcg->online, true);
	if (!memcg_grow(memcg, atomic_load(&domain->nr_max))) {
		memcg_free(memcg);
		return NULL;
	}
	domain->next_memcg_id++;
	return memcg;
}

static void link_memcg(struct mem_cgroup *memcg)
{
	struct reclaim_domain *domain = memcg->domain;
	struct mem_cgroup *parent = memcg->parent;

	pthread_mutex_lock(&domain->tree_lock);
	memcg->refs = 2; /* The creator and the tree. */
	memcg->linked = true;
	memcg->prev_all = domain->last_memcg;
	if (domain->last_memcg)
		domain->last_memcg->next_all = memcg;
	else
		domain->first_memcg = memcg;
	domain->last_memcg = memcg;
	if (parent) {
		parent->refs++;
		memcg->prev_sibling = parent->last_child;
		if (parent->last_child)
			parent->last_child->next_sibling = memcg;
		else
			parent->first_child = memcg;
		parent->last_child = memcg;
	}
	pthread_mutex_unlock(&domain->tree_lock);
}

/**
 * memcg_init - give a new domain its root
 *
 * Return: false where memory ran out.
 */
bool memcg_init(struct reclaim_domain *domain)
{
	domain->next_memcg_id = MEMCG_ROOT_ID;
	domain->root = memcg_alloc(domain, NULL);
	if (!domain->root)
		return false;
	link_memcg(domain->root);
	return true;
}

/**
 * memcg_destroy - release all groups of a domain that nobody uses any more
 */
void memcg_destroy(struct reclaim_domain *domain)
{
	struct mem_cgroup *memcg, *next;

	for (memcg = domain->first_memcg; memcg; memcg = next) {
		next = memcg->next_all;
		memcg_free(memcg);
	}
	table_free(&domain->by_id, true);
	table_free(&domain->lrus, false);
	free(domain->ids_used);
}

struct mem_cgroup *reclaim_domain_root(struct reclaim_domain *domain)
{
	return domain->root;
}

int mem_cgroup_create(struct mem_cgroup *parent, struct mem_cgroup **memcg)
{
	struct reclaim_domain *domain = parent->domain;
	int error = 0;

	pthread_mutex_lock(&domain->memcg_lock);
	if (!atomic_load(&parent->online)) {
		error = -EINVAL;
	} else {
		*memcg = memcg_alloc(domain, parent);
		if (*memcg) {
			link_memcg(*memcg);
			/* Whoever has a group has its domain. */
			atomic_fetch_add(&domain->refs, 1);
		} else {
			error = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&domain->memcg_lock);
	return error;
}

static bool has_child(struct mem_cgroup *memcg, bool online)
{
	struct mem_cgroup *child;

	pthread_mutex_lock(&memcg->domain->tree_lock);
	for (child = memcg->first_child; child; child = child->next_sibling)
		if (online ? atomic_load(&child->online) : !child->removed)
			break;
	pthread_mutex_unlock(&memcg->domain->tree_lock);
	return child;
}

int mem_cgroup_offline(struct mem_cgroup *memcg)
{
	struct reclaim_domain *domain = memcg->domain;
	int error = 0;

	pthread_mutex_lock(&domain->memcg_lock);
	if (!memcg->parent)
		error = -EINVAL;
	else if (has_child(memcg, true))
		error = -EBUSY;
	else if (atomic_load(&memcg->online)) {
		reparent_shrinker_deferred(memcg);
		/* Who makes lists for the group looks at this under the lock:
		 * all that it ever gets are there now. */
		pthread_mutex_lock(&domain->id_lock);
		atomic_store(&memcg->online, false);
		pthread_mutex_unlock(&domain->id_lock);
		list_lru_reparent(memcg);
	}
	pthread_mutex_unlock(&domain->memcg_lock);
	return error;
}

int mem_cgroup_remove(struct mem_cgroup *memcg)
{
	struct reclaim_domain *domain = memcg->domain;
	struct mem_cgroup *dead = NULL;
	int error = 0;

	pthread_mutex_lock(&domain->memcg_lock);
	if (atomic_load(&memcg->online) || has_child(memcg, false)) {
		error = -EBUSY;
	} else {
		pthread_mutex_lock(&domain->tree_lock);
		memcg->removed = true;
		unlink_if_unused(memcg, &dead);
		pthread_mutex_unlock(&domain->tree_lock);
	}
	pthread_mutex_unlock(&domain->memcg_lock);
	free_dead(dead);
	return error;
}

bool mem_cgroup_is_online(const struct mem_cgroup *memcg)
{
	return atomic_load(&memcg->online);
}

const volatile bool *mem_cgroup_online_flag(const struct mem_cgroup *memcg)
{
	_Static_assert(sizeof(memcg->online) == sizeof(bool),
		       "an atomic flag is a flag");
	return (const volatile bool *)&memcg->online;
}

uint64_t mem_cgroup_get_id(const struct mem_cgroup *memcg)
{
	return memcg->id;
}
