/* SPDX-License-Identifier: MIT */
/*
 * The registry: shrinkers in the order of their registration, and their life.
 *
 * Registering appends under registry_lock, which is never held during a callback or
 * a wait for one.  Walks read the list without a lock (holding.c).
 */
#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counts.h"
#include "holding.h"
#include "memcg.h"

/* --- debugfs ids ---------------------------------------------------------- */

/*
 * Makes room for the id of one more shrinker, so that registering allocates
 * nothing.  Return: false where memory ran out.
 */
static bool reserve_debugfs_id(struct reclaim_domain *domain)
{
	uint64_t *ids = NULL, *unused = NULL;
	size_t words = 0;
	bool enough;

	pthread_mutex_lock(&domain->registry_lock);
	while (!(enough = domain->nr_shrinkers < 64 * domain->debugfs_words)) {
		if (words > domain->debugfs_words) {
			if (domain->debugfs_words)
				memcpy(ids, domain->debugfs_ids,
				       domain->debugfs_words * sizeof(*ids));
			unused = domain->debugfs_ids;
			domain->debugfs_ids = ids;
			domain->debugfs_words = words;
			ids = NULL;
			continue;
		}
		words = domain->debugfs_words ? 2 * domain->debugfs_words : 1;
		pthread_mutex_unlock(&domain->registry_lock);
		free(ids);
		ids = calloc(words, sizeof(*ids));
		pthread_mutex_lock(&domain->registry_lock);
		if (!ids)
			break;
	}
	domain->nr_shrinkers += enough;
	pthread_mutex_unlock(&domain->registry_lock);
	free(ids);
	free(unused);
	return enough;
}

static void unreserve_debugfs_id(struct reclaim_domain *domain)
{
	pthread_mutex_lock(&domain->registry_lock);
	domain->nr_shrinkers--;
	pthread_mutex_unlock(&domain->registry_lock);
}

/* Under registry_lock: the lowest id that no registered shrinker has. */
static uint64_t take_debugfs_id(struct reclaim_domain *domain)
{
	size_t word = domain->full_debugfs_words;
	int bit;

	while (!~domain->debugfs_ids[word])
		word++;
	domain->full_debugfs_words = word;
	bit = __builtin_ctzll(~domain->debugfs_ids[word]);
	domain->debugfs_ids[word] |= UINT64_C(1) << bit;
	return 64 * word + (unsigned int)bit;
}

/* Under registry_lock. */
static void release_debugfs_id(struct reclaim_domain *domain, uint64_t id)
{
	size_t word = id / 64;

	domain->debugfs_ids[word] &= ~(UINT64_C(1) << id % 64);
	if (word < domain->full_debugfs_words)
		domain->full_debugfs_words = word;
}

/* --- life ----------------------------------------------------------------- */

struct shrinker *reclaim_shrinker_alloc(struct reclaim_domain *domain,
					unsigned int flags, const char *name)
{
	struct shrinker *shrinker;
	int nid;

	/* On cache lines of its own, so that writing its counters does not slow
	 * walks at other shrinkers. */
	shrinker = aligned_alloc(CACHE_LINE, sizeof(*shrinker));
	if (!shrinker)
		return NULL;
	memset(shrinker, 0, sizeof(*shrinker));

	shrinker->name = strdup(name);
	if (!shrinker->name)
		goto free_shrinker;

	flags &= SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE | SHRINKER_NONSLAB;
	/* Without memory cgroups a shrinker cannot be aware of them. */
	if (!domain->root)
		flags &= ~SHRINKER_MEMCG_AWARE;
	shrinker->flags = flags | SHRINKER_ALLOCATED;
	shrinker->seeks = DEFAULT_SEEKS;
	shrinker->id = -1;
	atomic_init(&shrinker->next, shrinker);

	if (!reserve_debugfs_id(domain))
		goto free_name;
	if (!counts_alloc(domain, shrinker))
		goto unreserve;

	shrinker->nr_deferred = &shrinker->deferred_here;
	if (flags & SHRINKER_MEMCG_AWARE) {
		/* Its deferred work is kept with the groups. */
		if (!memcg_alloc_id(domain, &shrinker->id))
			goto release_counts;
	} else if (flags & SHRINKER_NUMA_AWARE && domain->nr_nodes > 1) {
		shrinker->nr_deferred = malloc((size_t)domain->nr_nodes *
					       sizeof(*shrinker->nr_deferred));
		if (!shrinker->nr_deferred)
			goto release_counts;
		for (nid = 0; nid < domain->nr_nodes; nid++)
			atomic_init(&shrinker->nr_deferred[nid], 0);
	}

	atomic_fetch_add(&domain->refs, 1);
	shrinker->domain = domain;
	return shrinker;

release_counts:
	counts_release(domain, shrinker);
unreserve:
	unreserve_debugfs_id(domain);
free_name:
	free(shrinker->name);
free_shrinker:
	free(shrinker);
	return NULL;
}

/**
 * release_shrinker - release a shrinker that cannot be reached any more
 */
void release_shrinker(struct shrinker *shrinker)
{
	struct reclaim_domain *domain = shrinker->domain;

	if (shrinker->nr_deferred != &shrinker->deferred_here)
		free(shrinker->nr_deferred);
	/* A registered shrinker gave its id back in end_dying(). */
	if (shrinker->id >= 0 && !(shrinker->flags & SHRINKER_REGISTERED))
		memcg_release_id(domain, shrinker->id);
	counts_release(domain, shrinker);
	unreserve_debugfs_id(domain);
	free(shrinker->name);
	free(shrinker);
	domain_put(domain);
}

void shrinker_register(struct shrinker *shrinker)
{
	struct reclaim_domain *domain = shrinker->domain;

	if ((shrinker->flags & (SHRINKER_ALLOCATED | SHRINKER_REGISTERED)) !=
	    SHRINKER_ALLOCATED) {
		fprintf(stderr,
			"shrinker: shrinker_register() did nothing: it needs a shrinker from "
			"shrinker_alloc() that was not registered before\n");
		return;
	}
	pthread_mutex_lock(&domain->registry_lock);
	shrinker->flags |= SHRINKER_REGISTERED;
	shrinker->seq = ++domain->seq;
	shrinker->debugfs_id = take_debugfs_id(domain);
	shrinker->prev = domain->last;
	shrinker->linked = true;
	shrinker->settled = false;
	atomic_store(&shrinker->refs, 1);
	atomic_store(&shrinker->next, NULL);
	/* Ordered after all that the owner has filled in: a walk that sees the
	 * link sees that too. */
	atomic_store(domain->last ? &domain->last->next : &domain->first,
		     shrinker);
	domain->last = shrinker;
	if (shrinker->id >= 0)
		atomic_store(shrinker_by_id(domain, shrinker->id), shrinker);
	pthread_mutex_unlock(&domain->registry_lock);
}

/* Steps a and b of holding.c.  Does nothing for a shrinker that is not linked. */
static void unlink_shrinker(struct reclaim_domain *domain,
			    struct shrinker *shrinker)
{
	struct shrinker *next;

	pthread_mutex_lock(&domain->registry_lock);
	if (shrinker->linked) {
		shrinker->linked = false;
		next = atomic_load(&shrinker->next);
		if (next)
			next->prev = shrinker->prev;
		else
			domain->last = shrinker->prev;
		atomic_store(shrinker->prev ? &shrinker->prev->next :
					      &domain->first,
			     next);
		atomic_store(&shrinker->next, shrinker);
		if (shrinker->id >= 0)
			atomic_store(shrinker_by_id(domain, shrinker->id), NULL);
		release_debugfs_id(domain, shrinker->debugfs_id);
		start_dying(domain, shrinker);
		atomic_fetch_sub(&shrinker->refs, 1);
	}
	pthread_mutex_unlock(&domain->registry_lock);
}

bool shrinker_unregister(struct shrinker *shrinker, bool wait)
{
	unlink_shrinker(shrinker->domain, shrinker);
	/* Inside a callback, what it waits for may wait for this thread. */
	return finish_dying(shrinker->domain, shrinker, wait && !current_walk);
}

static bool free_shrinker(struct shrinker *shrinker, bool wait)
{
	shrinker_unregister(shrinker, wait);
	if (release_when_idle(shrinker->domain, shrinker))
		return false;
	release_shrinker(shrinker);
	return true;
}

void shrinker_free(struct shrinker *shrinker)
{
	if (shrinker)
		free_shrinker(shrinker, true);
}

bool shrinker_free_nowait(struct shrinker *shrinker)
{
	return free_shrinker(shrinker, false);
}

bool shrinker_try_get(struct shrinker *shrinker)
{
	unsigned long refs = atomic_load(&shrinker->refs);

	while (refs)
		if (atomic_compare_exchange_weak(&shrinker->refs, &refs, refs + 1))
			return true;
	return false;
}

void shrinker_put(struct shrinker *shrinker)
{
	struct reclaim_domain *domain = shrinker->domain;

	/* Without the reference the shrinker must not be dereferenced any more. */
	if (atomic_fetch_sub(&shrinker->refs, 1) == 1 &&
	    may_be_dying(domain, shrinker))
		dying_let_go(domain, shrinker);
}

int64_t shrinker_nr_deferred(struct shrinker *shrinker, int nid,
			     struct mem_cgroup *memcg)
{
	if (!(shrinker->flags & SHRINKER_NUMA_AWARE))
		nid = 0;
	if (!nid_is_valid(shrinker->domain, nid))
		return 0;
	if (shrinker->id >= 0)
		return mem_cgroup_nr_deferred(memcg ? memcg :
						      shrinker->domain->root,
					      nid, shrinker->id);
	return atomic_load(&shrinker->nr_deferred[nid]);
}

void shrinker_get_statistics(struct shrinker *shrinker,
			     struct shrinker_statistics *statistics)
{
	statistics->passes = counts_sum(shrinker, COUNTED_PASSES) +
			     atomic_load(&shrinker->counted.passes);
	statistics->scan_calls = counts_sum(shrinker, COUNTED_SCAN_CALLS) +
				 atomic_load(&shrinker->counted.scan_calls);
	statistics->scanned = counts_sum(shrinker, COUNTED_SCANNED) +
			      atomic_load(&shrinker->counted.scanned);
	statistics->freed = counts_sum(shrinker, COUNTED_FREED) +
			    atomic_load(&shrinker->counted.freed);
	statistics->stalled = atomic_load(&shrinker->counted.stalled);
}

bool shrinker_rename(struct shrinker *shrinker, const char *name)
{
	char *fresh = strdup(name);
	char *old;

	if (!fresh)
		return false;
	pthread_mutex_lock(&shrinker->domain->registry_lock);
	old = shrinker->name;
	shrinker->name = fresh;
	pthread_mutex_unlock(&shrinker->domain->registry_lock);
	free(old);
	return true;
}

unsigned long shrinker_copy_name(struct shrinker *shrinker, char *buffer,
				 unsigned long size)
{
	unsigned long length;

	pthread_mutex_lock(&shrinker->domain->registry_lock);
	length = strlen(shrinker->name);
	if (size) {
		size = length < size ? length : size - 1;
		memcpy(buffer, shrinker->name, size);
		buffer[size] = '\0';
	}
	pthread_mutex_unlock(&shrinker->domain->registry_lock);
	return length;
}

void shrinker_set_host(struct shrinker *shrinker, const struct reclaim_host *host)
{
	shrinker->host = host;
	if (host)
		shrinker->flags |= SHRINKER_HOSTED;
	else
		shrinker->flags &= ~SHRINKER_HOSTED;
}

void shrinker_set_label(struct shrinker *shrinker, uint32_t label)
{
	shrinker->label = label;
}

uint64_t shrinker_order(const struct shrinker *shrinker)
{
	return shrinker->seq;
}

uint64_t shrinker_debugfs_id(const struct shrinker *shrinker)
{
	return shrinker->debugfs_id;
}

int shrinker_id(const struct shrinker *shrinker)
{
	return shrinker->id;
}
