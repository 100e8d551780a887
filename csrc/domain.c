/* SPDX-License-Identifier: MIT */
/*
 * Domains: making and releasing them, what they count, and fork().
 */
#include <stdlib.h>
#include <string.h>

#include "counts.h"
#include "holding.h"
#include "memcg.h"

/* All domains, for fork(), which takes their locks. */
static pthread_mutex_t domains_lock = PTHREAD_MUTEX_INITIALIZER;
static struct reclaim_domain *domains;
static _Atomic(struct reclaim_domain *) default_domain;
static _Atomic(bool) fork_handlers;
/* Handlers at work for the fork() of this thread, at most one of which acts: see
 * fork_is_handled(). */
static _Thread_local int forking;

static void before_fork(void)
{
	struct reclaim_domain *domain;

	if (forking++)
		return;
	pthread_mutex_lock(&domains_lock);
	for (domain = domains; domain; domain = domain->next_domain) {
		pthread_mutex_lock(&domain->memcg_lock);
		pthread_mutex_lock(&domain->tree_lock);
		pthread_mutex_lock(&domain->registry_lock);
		pthread_mutex_lock(&domain->dying_lock);
		pthread_mutex_lock(&domain->id_lock);
	}
}

static void unlock_all(void)
{
	struct reclaim_domain *domain;

	for (domain = domains; domain; domain = domain->next_domain) {
		pthread_mutex_unlock(&domain->id_lock);
		pthread_mutex_unlock(&domain->dying_lock);
		pthread_mutex_unlock(&domain->registry_lock);
		pthread_mutex_unlock(&domain->tree_lock);
		pthread_mutex_unlock(&domain->memcg_lock);
	}
	pthread_mutex_unlock(&domains_lock);
}

static void after_fork_in_parent(void)
{
	if (!--forking)
		unlock_all();
}

static bool is_mine(const struct walker *walk)
{
	const struct walker *mine;

	for (mine = current_walk; mine; mine = mine->outer)
		if (mine == walk)
			return true;
	return false;
}

/* The child has only the forking thread: the walks of all others are over. */
static void after_fork_in_child(void)
{
	struct reclaim_domain *domain;
	struct walker *walk;

	if (--forking)
		return;
	for (domain = domains; domain; domain = domain->next_domain) {
		for (walk = domain->spare; walk; walk = atomic_load(&walk->next)) {
			if (is_mine(walk))
				continue;
			atomic_store(&walk->hold[0], NULL);
			atomic_store(&walk->hold[1], NULL);
			walk->host = NULL;
			walk->at = NULL;
			walk->seq = 0;
			walk->stop = false;
			atomic_store(&walk->busy, false);
		}
		/* A thread that the child does not have may have claimed a place in
		 * the queue of events, so the queue cannot be read on. */
		atomic_store(&domain->emitting, 0);
		reclaim_trace_stop(domain);
		/* The child does not have the threads that waited on it. */
		pthread_cond_init(&domain->idle, NULL);
	}
	unlock_all();
	for (domain = domains; domain; domain = domain->next_domain)
		dying_after_fork(domain);
}

/*
 * Installs the handlers, once.  No lock guards that: a child forked meanwhile would
 * find it locked for ever.  Nor does pthread_once(), which does not try again after
 * a failure.  Two threads may therefore install the handlers twice, which is why
 * the handlers count in @forking.
 *
 * Return: false where memory ran out; the next call tries again.
 */
static bool fork_is_handled(void)
{
	if (atomic_load(&fork_handlers))
		return true;
	if (pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child))
		return false;
	atomic_store(&fork_handlers, true);
	return true;
}

/* The domain cannot be reached any more, or never could be. */
static void release_domain(struct reclaim_domain *domain)
{
	struct walker *walk, *next;

	reclaim_trace_stop(domain);
	memcg_destroy(domain);
	free(domain->debugfs_ids);
	counts_destroy(domain);
	/* The spare records are the first of the list, and part of the domain. */
	walk = atomic_load(&domain->spare[SPARE_WALKERS - 1].next);
	for (; walk; walk = next) {
		next = atomic_load(&walk->next);
		free(walk);
	}
	pthread_mutex_destroy(&domain->id_lock);
	pthread_mutex_destroy(&domain->tree_lock);
	pthread_mutex_destroy(&domain->memcg_lock);
	pthread_cond_destroy(&domain->idle);
	pthread_mutex_destroy(&domain->dying_lock);
	pthread_mutex_destroy(&domain->registry_lock);
	free(domain);
}

struct reclaim_domain *reclaim_domain_create(int nr_nodes,
					     unsigned long stall_limit,
					     unsigned int flags)
{
	struct reclaim_domain *domain;
	int i;

	if (nr_nodes < 1 || nr_nodes > RECLAIM_MAX_NODES)
		return NULL;
	/* Without handlers a child of fork() could find it locked for ever. */
	if (!fork_is_handled())
		return NULL;
	domain = aligned_alloc(CACHE_LINE, sizeof(*domain));
	if (!domain)
		return NULL;
	memset(domain, 0, sizeof(*domain));
	domain->nr_nodes = nr_nodes;
	domain->stall_limit = stall_limit;
	domain->walkers_fence = !membarrier_is_there();
	domain->kmem = flags & RECLAIM_KMEM;
	atomic_store(&domain->refs, 1);
	pthread_mutex_init(&domain->registry_lock, NULL);
	pthread_mutex_init(&domain->dying_lock, NULL);
	pthread_cond_init(&domain->idle, NULL);
	pthread_mutex_init(&domain->memcg_lock, NULL);
	pthread_mutex_init(&domain->tree_lock, NULL);
	pthread_mutex_init(&domain->id_lock, NULL);
	for (i = 0; i < SPARE_WALKERS; i++) {
		walker_init(&domain->spare[i], domain);
		domain->spare[i].counts_alone = true;
		domain->spare[i].counts_at = (unsigned int)i * COUNTED_END;
		if (i)
			atomic_init(&domain->spare[i - 1].next,
				    &domain->spare[i]);
	}

	if (flags & RECLAIM_MEMCG && !memcg_init(domain)) {
		release_domain(domain);
		return NULL;
	}

	pthread_mutex_lock(&domains_lock);
	domain->next_domain = domains;
	domains = domain;
	pthread_mutex_unlock(&domains_lock);
	return domain;
}

/**
 * domain_put - drop a reference; the last one releases the domain
 */
void domain_put(struct reclaim_domain *domain)
{
	struct reclaim_domain **link;

	if (atomic_fetch_sub(&domain->refs, 1) != 1)
		return;

	pthread_mutex_lock(&domains_lock);
	for (link = &domains; *link != domain; link = &(*link)->next_domain)
		;
	*link = domain->next_domain;
	pthread_mutex_unlock(&domains_lock);
	release_domain(domain);
}

void reclaim_domain_put(struct reclaim_domain *domain)
{
	if (domain && domain != atomic_load(&default_domain))
		domain_put(domain);
}

struct reclaim_domain *reclaim_default_domain(void)
{
	struct reclaim_domain *domain = atomic_load(&default_domain);
	struct reclaim_domain *fresh;

	if (domain)
		return domain;
	/* No pthread_once(): it would not try again after memory ran out. */
	fresh = reclaim_domain_create(1, RECLAIM_STALL_LIMIT,
				      RECLAIM_MEMCG | RECLAIM_KMEM);
	if (!fresh)
		return atomic_load(&default_domain);
	if (atomic_compare_exchange_strong(&default_domain, &domain, fresh))
		return fresh;
	domain_put(fresh); /* Another thread was first. */
	return domain;
}

int reclaim_domain_nr_nodes(const struct reclaim_domain *domain)
{
	return domain->nr_nodes;
}

unsigned long reclaim_domain_nr_lingering(struct reclaim_domain *domain)
{
	unsigned long nr;

	pthread_mutex_lock(&domain->dying_lock);
	nr = domain->nr_dying;
	pthread_mutex_unlock(&domain->dying_lock);
	return nr;
}

const volatile uint64_t *reclaim_domain_stalled(struct reclaim_domain *domain)
{
	_Static_assert(sizeof(domain->stalled) == sizeof(uint64_t),
		       "an atomic word is a word");
	return (const volatile uint64_t *)&domain->stalled;
}

void reclaim_domain_get_statistics(struct reclaim_domain *domain,
				   struct reclaim_statistics *statistics)
{
	struct walker *walk;

	memset(statistics, 0, sizeof(*statistics));
	statistics->nested = atomic_load(&domain->nested);
	statistics->stalled = atomic_load(&domain->stalled);
	for (walk = domain->spare; walk; walk = atomic_load(&walk->next)) {
		statistics->walks += atomic_load(&walk->counted.walks);
		statistics->passes += atomic_load(&walk->counted.passes);
		statistics->scan_calls += atomic_load(&walk->counted.scan_calls);
		statistics->slabs_scanned += atomic_load(&walk->counted.scanned);
		statistics->freed += atomic_load(&walk->counted.freed);
		statistics->host_entries +=
			atomic_load(&walk->counted.host_entries);
	}
}
