/* SPDX-License-Identifier: MIT */
/*
 * The tree of memory cgroups.  memcg_maps.c has their bits and counters.
 *
 * Locks: under memcg_lock groups are created, go offline and get larger maps, one
 * at a time; it is held while memory is allocated.  tree_lock guards links and
 * references and is held for a few instructions; walks take it between two groups.
 * domain.h has their order.
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

/* Called under tree_lock.  A group without references drops one of its parent and
 * goes to @dead, linked by next_sibling, for free_dead() after unlocking. */
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

/* Under tree_lock: unlinks a removed group, if no walk is at it or below it. */
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
		/* The parent may have stayed linked for this child alone. */
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
 * memcg_next_all - go through all groups in order of id, removed ones too
 * @previous: what the last call returned; NULL: start
 *
 * Holds the group until the next call.  A caller that ends early calls memcg_put().
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

/**
 * memcg_next_online - online groups by kmem_id, the root first
 *
 * Holds as memcg_next_all() does.
 */
struct mem_cgroup *memcg_next_online(struct reclaim_domain *domain,
				     struct mem_cgroup *previous)
{
	struct mem_cgroup *dead = NULL;
	struct mem_cgroup *next = NULL;
	struct unit_table *online;
	int id = previous ? previous->kmem_id + 1 : 0;

	pthread_mutex_lock(&domain->tree_lock);
	online = atomic_load(&domain->online);
	for (; !next && id < online->capacity; id++)
		next = table_get(&domain->online, id);
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

/* Under tree_lock. */
static void set_online(struct mem_cgroup *memcg, struct mem_cgroup *entry)
{
	struct unit_table *online = atomic_load(&memcg->domain->online);

	atomic_store_explicit(&online->unit[memcg->kmem_id], entry,
			      memory_order_release);
}

/* Under memcg_lock, or alone.  Return: false where memory ran out. */
static bool find_kmem_id(struct mem_cgroup *memcg)
{
	struct reclaim_domain *domain = memcg->domain;

	while (table_get(&domain->online, domain->free_kmem_id))
		domain->free_kmem_id++;
	memcg->kmem_id = domain->free_kmem_id;
	return table_reserve(&domain->online, memcg->kmem_id + 1);
}

/* A group that is not linked yet; called under memcg_lock, or for a new domain. */
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
	if (!find_kmem_id(memcg) ||
	    !memcg_grow(memcg, atomic_load(&domain->nr_max))) {
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
	memcg->refs = 2; /* The creator's and the tree's. */
	memcg->linked = true;
	memcg->prev_all = domain->last_memcg;
	if (domain->last_memcg)
		domain->last_memcg->next_all = memcg;
	else
		domain->first_memcg = memcg;
	domain->last_memcg = memcg;
	set_online(memcg, memcg);
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
 * memcg_destroy - release all groups of a domain that is released
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
	table_free(&domain->online, false);
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
			/* The creator's reference holds the domain too. */
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
		/* Lists are made under this lock, and only for groups that are
		 * online: the group gets no more lists. */
		pthread_mutex_lock(&domain->id_lock);
		atomic_store(&memcg->online, false);
		pthread_mutex_unlock(&domain->id_lock);
		pthread_mutex_lock(&domain->tree_lock);
		set_online(memcg, NULL);
		pthread_mutex_unlock(&domain->tree_lock);
		if (memcg->kmem_id < domain->free_kmem_id)
			domain->free_kmem_id = memcg->kmem_id;
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

int mem_cgroup_kmem_id(const struct mem_cgroup *memcg)
{
	return memcg->kmem_id;
}
