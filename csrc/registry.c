/* SPDX-License-Identifier: MIT */
/*
 * The registry: a list of shrinkers that walks read without a lock, and the
 * life of what stands on it.
 *
 * Holding
 * -------
 * A walk sleeps in callbacks for as long as they like, so it can neither hold a
 * lock nor keep a grace period open.  Instead each walk has a record with two
 * slots, and a shrinker that stands in any slot is not released (a hazard
 * pointer).  To go from A, which it holds, to its successor B, a walk
 *
 *   1. reads B from A->next,
 *   2. writes B into its free slot,
 *   3. reads A->next again: still B?  Then B was linked after the slot could be
 *      seen, so whoever unlinks it finds the slot.  Otherwise: back to 1.
 *   4. empties the slot of A, and
 *   5. looks whether A is being freed, and if so tells.
 *
 * To free B, its owner
 *
 *   a. unlinks it (B->next = B says so to a walk that stands on it),
 *   b. puts it on the list of the dying, which sets a bit of dying_mask,
 *   c. makes sure that each walk either sees a and b or has its slot seen, and
 *   d. searches the slots; while B stands in one it waits, or leaves the rest
 *      to the walk that lets go of it last.  Before c a search, whoever makes
 *      it, proves nothing: the shrinker is not settled.
 *
 * A walk that finds its own place unlinked starts at the head again and passes
 * by what it has visited: registration numbers only grow along the list.
 *
 * Steps 2/3 and 4/5 on one side, a/d and b/d on the other, are a store followed
 * by a load of what the other side stores.  Fences on both sides order them, or
 * a much dearer one on the freeing side alone: membarrier() makes every running
 * thread of the process go through a fence.  Walks are many and frees are few,
 * so that is what is used where the system has it; walkers_fence says that it
 * has not.
 *
 * Registering appends under a lock that no callback and no waiting thread
 * holds.
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "domain.h"

/* Found without a call, although this is part of a shared object. */
__attribute__((tls_model("initial-exec"))) _Thread_local struct walker *current_walk;

/* All domains, so that fork() can take their locks. */
static pthread_mutex_t domains_lock = PTHREAD_MUTEX_INITIALIZER;
static struct reclaim_domain *domains;
static struct reclaim_domain *default_domain;
static pthread_once_t fork_handlers = PTHREAD_ONCE_INIT;

/* --- fences ------------------------------------------------------------- */

static bool membarrier_is_there(void)
{
#ifdef SHRINKER_NO_MEMBARRIER
	return false;
#else
	return syscall(SYS_membarrier,
		       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#endif
}

/* Step c. */
static void fence_all_walks(const struct reclaim_domain *domain)
{
	if (domain->walkers_fence)
		return; /* All accesses concerned are sequentially consistent. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
		return;
	/* A registration that worked once can only be lost by our own doing. */
	perror("shrinker: membarrier");
	abort();
}

/* Steps 2 and 4: what comes later in the program is done later. */
static inline void hold(const struct reclaim_domain *domain,
			_Atomic(struct shrinker *) *slot,
			struct shrinker *shrinker)
{
	if (unlikely(domain->walkers_fence)) {
		atomic_store(slot, shrinker);
	} else {
		atomic_store_explicit(slot, shrinker, memory_order_release);
		atomic_signal_fence(memory_order_seq_cst);
	}
}

/* --- the dying ---------------------------------------------------------- */

/* Aligned to cache lines, so the low bits of an address say nothing. */
static inline uint64_t dying_bit(const struct shrinker *shrinker)
{
	return UINT64_C(1) << (((uintptr_t)shrinker / CACHE_LINE) % 64);
}

static bool is_held(struct reclaim_domain *domain, struct shrinker *shrinker)
{
	struct walker *walk;

	if (atomic_load(&shrinker->refs))
		return true;
	for (walk = atomic_load(&domain->walkers); walk; walk = walk->next)
		if (atomic_load(&walk->hold[0]) == shrinker ||
		    atomic_load(&walk->hold[1]) == shrinker)
			return true;
	return false;
}

static void domain_put(struct reclaim_domain *domain);

/* Nobody can reach the shrinker any more. */
static void release(struct shrinker *shrinker)
{
	struct reclaim_domain *domain = shrinker->domain;

	if (shrinker->nr_deferred != &shrinker->deferred_here)
		free(shrinker->nr_deferred);
	free(shrinker->name);
	free(shrinker);
	domain_put(domain);
}

/* Called under dying_lock for a shrinker on the list that nobody holds. */
static void bury(struct reclaim_domain *domain, struct shrinker *shrinker)
{
	struct shrinker **link = &domain->dying;
	struct shrinker *other;
	uint64_t mask = 0;

	while (*link != shrinker)
		link = &(*link)->next_dying;
	*link = shrinker->next_dying;
	shrinker->dying = false;
	domain->nr_dying--;

	for (other = domain->dying; other; other = other->next_dying)
		mask |= dying_bit(other);
	atomic_store(&domain->dying_mask, mask);
	pthread_cond_broadcast(&domain->idle);
}

/*
 * A hold on the shrinker is gone, and with it the right to look into it: its
 * address is compared, and followed only while the list says that it is there.
 */
static __attribute__((noinline)) void
left_dying(struct reclaim_domain *domain, const struct shrinker *left)
{
	struct shrinker *shrinker;
	bool last = false;

	pthread_mutex_lock(&domain->dying_lock);
	for (shrinker = domain->dying; shrinker; shrinker = shrinker->next_dying)
		if (shrinker == left)
			break;
	if (shrinker && shrinker->settled && !is_held(domain, shrinker)) {
		last = shrinker->release_when_idle;
		bury(domain, shrinker);
	}
	pthread_mutex_unlock(&domain->dying_lock);
	if (last)
		release(shrinker);
}

static inline bool may_be_dying(struct reclaim_domain *domain,
				const struct shrinker *shrinker)
{
	return unlikely(atomic_load(&domain->dying_mask) & dying_bit(shrinker));
}

/* --- walks -------------------------------------------------------------- */

static void walker_init(struct walker *walk, struct reclaim_domain *domain)
{
	memset(walk, 0, sizeof(*walk));
	walk->domain = domain;
}

static void walker_publish(struct walker *walk)
{
	struct reclaim_domain *domain = walk->domain;

	walk->next = atomic_load(&domain->walkers);
	while (!atomic_compare_exchange_weak(&domain->walkers, &walk->next, walk))
		;
}

/**
 * walk_begin - claim a record and make it the thread's innermost walk
 *
 * Return: NULL where more walks run than ever before and memory ran out.
 */
struct walker *walk_begin(struct reclaim_domain *domain)
{
	struct walker *walk;

	for (walk = atomic_load_explicit(&domain->walkers, memory_order_acquire);
	     walk; walk = walk->next)
		if (!atomic_load_explicit(&walk->busy, memory_order_relaxed) &&
		    !atomic_exchange_explicit(&walk->busy, true,
					      memory_order_acquire))
			break;
	if (!walk) {
		walk = aligned_alloc(CACHE_LINE, sizeof(*walk));
		if (!walk)
			return NULL;
		walker_init(walk, domain);
		atomic_store(&walk->busy, true);
		walker_publish(walk);
	}
	walk->at = NULL;
	walk->seq = 0;
	walk->stop = false;
	walk->outer = current_walk;
	current_walk = walk;
	return walk;
}

static void leave_host(struct walker *walk)
{
	const struct reclaim_host *host = walk->host;

	if (!host)
		return;
	walk->host = NULL;
	host->leave(&walk->host_state);
}

/* Steps 4 and 5. */
static void let_go(struct walker *walk, _Atomic(struct shrinker *) *slot,
		   const struct shrinker *shrinker)
{
	hold(walk->domain, slot, NULL);
	if (may_be_dying(walk->domain, shrinker)) {
		/* No lock is waited for inside a host, which has its own. */
		leave_host(walk);
		left_dying(walk->domain, shrinker);
	}
}

/* Lets go of the shrinker that the walk is at. */
static void walk_leave(struct walker *walk)
{
	struct shrinker *at = walk->at;

	if (!at)
		return;
	walk->at = NULL;
	let_go(walk, &walk->hold[walk->turn], at);
}

/**
 * walk_end - leave host and shrinker, and give the record back
 */
void walk_end(struct walker *walk)
{
	leave_host(walk);
	walk_leave(walk);
	current_walk = walk->outer;
	atomic_store_explicit(&walk->busy, false, memory_order_release);
}

/* Steps 1 to 5, to whatever stands behind the walk's place. */
static struct shrinker *walk_step(struct walker *walk)
{
	struct reclaim_domain *domain = walk->domain;

	for (;;) {
		struct shrinker *at = walk->at;
		_Atomic(struct shrinker *) *link = at ? &at->next : &domain->first;
		_Atomic(struct shrinker *) *slot = &walk->hold[!walk->turn];
		struct shrinker *next = atomic_load(link);

		if (!next) {
			walk_leave(walk);
			return NULL;
		}
		if (unlikely(next == at)) {
			walk_leave(walk); /* Unlinked under us: from the head. */
			continue;
		}
		hold(domain, slot, next);
		if (unlikely(atomic_load(link) != next)) {
			let_go(walk, slot, next);
			continue;
		}
		walk_leave(walk);
		walk->at = next;
		walk->turn = !walk->turn;
		return next;
	}
}

/**
 * walk_next - go to the next shrinker in order of registration
 *
 * The shrinker that the walk was at is let go.
 *
 * Return: a shrinker that is held until the walk goes on; NULL at the end.
 */
struct shrinker *walk_next(struct walker *walk)
{
	struct shrinker *shrinker;

	do
		shrinker = walk_step(walk);
	while (shrinker && unlikely(shrinker->seq <= walk->seq));
	if (shrinker)
		walk->seq = shrinker->seq;
	return shrinker;
}

/**
 * walk_rewind - stand before the first shrinker again
 */
void walk_rewind(struct walker *walk)
{
	walk_leave(walk);
	walk->seq = 0;
}

/**
 * walk_to - go to one shrinker whose memory the caller keeps valid
 *
 * Return: false where it is not registered (any more).
 */
bool walk_to(struct walker *walk, struct shrinker *shrinker)
{
	if (!shrinker_try_get(shrinker))
		return false;
	walk_leave(walk);
	hold(walk->domain, &walk->hold[walk->turn], shrinker);
	walk->at = shrinker;
	shrinker_put(shrinker);
	return true;
}

/**
 * walk_change_host - be inside the host of the next pass
 * @host: NULL where the pass has none; a walk may stay inside its host then,
 *	as long as the host says so
 */
void walk_change_host(struct walker *walk, const struct reclaim_host *host)
{
	if (walk->host == host)
		return;
	if (walk->host) {
		if (!host && walk->host->may_stay(&walk->host_state))
			return;
		leave_host(walk);
	}
	if (host) {
		walk->host_state = 0;
		host->enter(&walk->host_state);
		walk->host = host;
		counter_add(&walk->counted.host_entries, 1);
	}
}

/* --- fork --------------------------------------------------------------- */

static void before_fork(void)
{
	struct reclaim_domain *domain;

	pthread_mutex_lock(&domains_lock);
	for (domain = domains; domain; domain = domain->next_domain) {
		pthread_mutex_lock(&domain->registry_lock);
		pthread_mutex_lock(&domain->dying_lock);
	}
}

static void after_fork_in_parent(void)
{
	struct reclaim_domain *domain;

	for (domain = domains; domain; domain = domain->next_domain) {
		pthread_mutex_unlock(&domain->dying_lock);
		pthread_mutex_unlock(&domain->registry_lock);
	}
	pthread_mutex_unlock(&domains_lock);
}

static bool is_mine(const struct walker *walk)
{
	const struct walker *mine;

	for (mine = current_walk; mine; mine = mine->outer)
		if (mine == walk)
			return true;
	return false;
}

/* Only the forking thread lives on: the walks of all others are over. */
static void after_fork_in_child(void)
{
	struct reclaim_domain *domain;
	struct walker *walk;

	for (domain = domains; domain; domain = domain->next_domain) {
		for (walk = atomic_load(&domain->walkers); walk; walk = walk->next) {
			if (is_mine(walk))
				continue;
			atomic_store(&walk->hold[0], NULL);
			atomic_store(&walk->hold[1], NULL);
			walk->host = NULL;
			walk->at = NULL;
			atomic_store(&walk->busy, false);
		}
		atomic_store(&domain->tracing, 0);
		/* Threads that waited on it are gone. */
		pthread_cond_init(&domain->idle, NULL);
	}
	after_fork_in_parent();
}

static void install_fork_handlers(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* --- domains ------------------------------------------------------------ */

struct reclaim_domain *reclaim_domain_create(int nr_nodes,
					     unsigned long stall_limit)
{
	struct reclaim_domain *domain;
	int i;

	if (nr_nodes < 1 || nr_nodes > RECLAIM_MAX_NODES)
		return NULL;
	domain = aligned_alloc(CACHE_LINE, sizeof(*domain));
	if (!domain)
		return NULL;
	memset(domain, 0, sizeof(*domain));
	domain->nr_nodes = nr_nodes;
	domain->stall_limit = stall_limit;
	domain->walkers_fence = !membarrier_is_there();
	atomic_store(&domain->refs, 1);
	pthread_mutex_init(&domain->registry_lock, NULL);
	pthread_mutex_init(&domain->dying_lock, NULL);
	pthread_cond_init(&domain->idle, NULL);
	for (i = 0; i < SPARE_WALKERS; i++) {
		walker_init(&domain->spare[i], domain);
		walker_publish(&domain->spare[i]);
	}

	pthread_once(&fork_handlers, install_fork_handlers);
	pthread_mutex_lock(&domains_lock);
	domain->next_domain = domains;
	domains = domain;
	pthread_mutex_unlock(&domains_lock);
	return domain;
}

static bool is_spare(const struct reclaim_domain *domain,
		     const struct walker *walk)
{
	return walk >= domain->spare && walk < domain->spare + SPARE_WALKERS;
}

static void domain_put(struct reclaim_domain *domain)
{
	struct reclaim_domain **link;
	struct walker *walk, *next;

	if (atomic_fetch_sub(&domain->refs, 1) != 1)
		return;

	pthread_mutex_lock(&domains_lock);
	for (link = &domains; *link != domain; link = &(*link)->next_domain)
		;
	*link = domain->next_domain;
	pthread_mutex_unlock(&domains_lock);

	reclaim_trace_stop(domain);
	for (walk = atomic_load(&domain->walkers); walk; walk = next) {
		next = walk->next;
		if (!is_spare(domain, walk))
			free(walk);
	}
	pthread_cond_destroy(&domain->idle);
	pthread_mutex_destroy(&domain->dying_lock);
	pthread_mutex_destroy(&domain->registry_lock);
	free(domain);
}

void reclaim_domain_put(struct reclaim_domain *domain)
{
	if (domain && domain != default_domain)
		domain_put(domain);
}

static void make_default_domain(void)
{
	default_domain = reclaim_domain_create(1, RECLAIM_STALL_LIMIT);
}

struct reclaim_domain *reclaim_default_domain(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_default_domain);
	return default_domain;
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
	for (walk = atomic_load(&domain->walkers); walk; walk = walk->next) {
		statistics->walks += atomic_load(&walk->counted.walks);
		statistics->passes += atomic_load(&walk->counted.passes);
		statistics->scan_calls += atomic_load(&walk->counted.scan_calls);
		statistics->slabs_scanned += atomic_load(&walk->counted.scanned);
		statistics->freed += atomic_load(&walk->counted.freed);
		statistics->host_entries +=
			atomic_load(&walk->counted.host_entries);
	}
}

/* --- shrinkers ---------------------------------------------------------- */

struct shrinker *reclaim_shrinker_alloc(struct reclaim_domain *domain,
					unsigned int flags, const char *name)
{
	struct shrinker *shrinker;
	int nid;

	/* A shrinker of its own cache lines: walks on other shrinkers are not
	 * slowed by its counters, and dying_bit() spreads. */
	shrinker = aligned_alloc(CACHE_LINE,
				 (sizeof(*shrinker) + CACHE_LINE - 1) /
					 CACHE_LINE * CACHE_LINE);
	if (!shrinker)
		return NULL;
	memset(shrinker, 0, sizeof(*shrinker));

	shrinker->name = strdup(name);
	if (!shrinker->name)
		goto free_shrinker;

	/* Without memory cgroups a shrinker cannot be aware of them. */
	flags &= SHRINKER_NUMA_AWARE | SHRINKER_NONSLAB;
	shrinker->flags = flags | SHRINKER_ALLOCATED;
	shrinker->seeks = DEFAULT_SEEKS;
	shrinker->id = -1;

	shrinker->nr_deferred = &shrinker->deferred_here;
	if (flags & SHRINKER_NUMA_AWARE && domain->nr_nodes > 1) {
		shrinker->nr_deferred = malloc((size_t)domain->nr_nodes *
					       sizeof(*shrinker->nr_deferred));
		if (!shrinker->nr_deferred)
			goto free_name;
		for (nid = 0; nid < domain->nr_nodes; nid++)
			atomic_init(&shrinker->nr_deferred[nid], 0);
	}

	atomic_fetch_add(&domain->refs, 1);
	shrinker->domain = domain;
	return shrinker;

free_name:
	free(shrinker->name);
free_shrinker:
	free(shrinker);
	return NULL;
}

void shrinker_register(struct shrinker *shrinker)
{
	struct reclaim_domain *domain = shrinker->domain;

	if ((shrinker->flags & (SHRINKER_ALLOCATED | SHRINKER_REGISTERED)) !=
	    SHRINKER_ALLOCATED) {
		fprintf(stderr,
			"shrinker: register needs an allocated shrinker that was not registered before\n");
		return;
	}
	pthread_mutex_lock(&domain->registry_lock);
	shrinker->flags |= SHRINKER_REGISTERED;
	shrinker->seq = ++domain->seq;
	shrinker->debugfs_id = domain->nr_registered++;
	shrinker->prev = domain->last;
	shrinker->linked = true;
	atomic_store(&shrinker->refs, 1);
	atomic_store(&shrinker->next, NULL);
	/* What the owner has filled in is seen by whoever sees the link. */
	atomic_store(domain->last ? &domain->last->next : &domain->first,
		     shrinker);
	domain->last = shrinker;
	pthread_mutex_unlock(&domain->registry_lock);
}

/* Steps a and b.  Does nothing for a shrinker that is not linked. */
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

		pthread_mutex_lock(&domain->dying_lock);
		shrinker->dying = true;
		shrinker->next_dying = domain->dying;
		domain->dying = shrinker;
		domain->nr_dying++;
		atomic_fetch_or(&domain->dying_mask, dying_bit(shrinker));
		pthread_mutex_unlock(&domain->dying_lock);

		atomic_fetch_sub(&shrinker->refs, 1);
	}
	pthread_mutex_unlock(&domain->registry_lock);
}

bool shrinker_unregister(struct shrinker *shrinker, bool wait)
{
	struct reclaim_domain *domain = shrinker->domain;
	bool idle;

	unlink_shrinker(domain, shrinker);
	fence_all_walks(domain);

	/* A thread that is in a callback may be what we would wait for. */
	if (current_walk)
		wait = false;
	pthread_mutex_lock(&domain->dying_lock);
	shrinker->settled = true;
	while (shrinker->dying) {
		if (!is_held(domain, shrinker))
			bury(domain, shrinker);
		else if (wait)
			pthread_cond_wait(&domain->idle, &domain->dying_lock);
		else
			break;
	}
	idle = !shrinker->dying;
	pthread_mutex_unlock(&domain->dying_lock);
	return idle;
}

static bool free_shrinker(struct shrinker *shrinker, bool wait)
{
	struct reclaim_domain *domain = shrinker->domain;
	bool idle;

	shrinker_unregister(shrinker, wait);
	pthread_mutex_lock(&domain->dying_lock);
	idle = !shrinker->dying;
	shrinker->release_when_idle = true;
	pthread_mutex_unlock(&domain->dying_lock);
	if (idle)
		release(shrinker);
	return idle;
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

	/* Not to be looked into any more once the reference is gone. */
	if (atomic_fetch_sub(&shrinker->refs, 1) == 1 &&
	    may_be_dying(domain, shrinker))
		left_dying(domain, shrinker);
}

int64_t shrinker_nr_deferred(struct shrinker *shrinker, int nid)
{
	if (!(shrinker->flags & SHRINKER_NUMA_AWARE))
		nid = 0;
	if (!nid_is_valid(shrinker->domain, nid))
		return 0;
	return atomic_load(&shrinker->nr_deferred[nid]);
}

void shrinker_get_statistics(struct shrinker *shrinker,
			     struct shrinker_statistics *statistics)
{
	statistics->passes = atomic_load(&shrinker->counted.passes);
	statistics->scan_calls = atomic_load(&shrinker->counted.scan_calls);
	statistics->scanned = atomic_load(&shrinker->counted.scanned);
	statistics->freed = atomic_load(&shrinker->counted.freed);
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
}

void shrinker_set_label(struct shrinker *shrinker, uint32_t label)
{
	shrinker->label = label;
}

uint64_t shrinker_debugfs_id(const struct shrinker *shrinker)
{
	return shrinker->debugfs_id;
}

int shrinker_id(const struct shrinker *shrinker)
{
	return shrinker->id;
}
