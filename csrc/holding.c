/* SPDX-License-Identifier: MIT */
/*
 * Keeping shrinkers from being released while a walk is at them.
 *
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
 */
#define _GNU_SOURCE 1

#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "holding.h"
#include "memcg.h"

/**
 * membarrier_is_there - whether one side may do the ordering of both
 */
bool membarrier_is_there(void)
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

static bool is_held(struct reclaim_domain *domain, struct shrinker *shrinker)
{
	struct walker *walk;

	if (atomic_load(&shrinker->refs))
		return true;
	for (walk = domain->spare; walk; walk = atomic_load(&walk->next))
		if (atomic_load(&walk->hold[0]) == shrinker ||
		    atomic_load(&walk->hold[1]) == shrinker)
			return true;
	return false;
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
	if (shrinker->id >= 0)
		memcg_release_id(domain, shrinker->id);

	for (other = domain->dying; other; other = other->next_dying)
		mask |= dying_bit(other);
	atomic_store(&domain->dying_mask, mask);
	pthread_cond_broadcast(&domain->idle);
}

/**
 * left_dying - a hold is gone from a shrinker that may be dying
 *
 * A hold on the shrinker is gone, and with it the right to look into it: its
 * address is compared, and followed only while the list says that it is there.
 */
void left_dying(struct reclaim_domain *domain, const struct shrinker *left)
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
		release_shrinker(shrinker);
}

/**
 * bury_all_idle - after fork(): what only threads held that are no more
 *
 * Context: the only thread; the forking thread's fence has settled everything.
 */
void bury_all_idle(struct reclaim_domain *domain)
{
	struct shrinker *shrinker, *next;

	for (shrinker = domain->dying; shrinker; shrinker = next) {
		next = shrinker->next_dying;
		shrinker->settled = true;
		left_dying(domain, shrinker);
	}
}

/**
 * start_dying - step b
 *
 * Context: under registry_lock, after step a.
 */
void start_dying(struct reclaim_domain *domain, struct shrinker *shrinker)
{
	pthread_mutex_lock(&domain->dying_lock);
	shrinker->dying = true;
	shrinker->next_dying = domain->dying;
	domain->dying = shrinker;
	domain->nr_dying++;
	atomic_fetch_or(&domain->dying_mask, dying_bit(shrinker));
	pthread_mutex_unlock(&domain->dying_lock);
}

/**
 * finish_dying - steps c and d, for a shrinker that is out of the registry
 * @wait: until nobody holds it
 *
 * Return: whether nobody holds it, and nobody ever will.
 */
bool finish_dying(struct reclaim_domain *domain, struct shrinker *shrinker,
		  bool wait)
{
	bool idle;

	fence_all_walks(domain);
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

/**
 * release_when_idle - leave the shrinker to whoever holds it last
 *
 * Return: false where nobody holds it, so that nobody will release it.
 */
bool release_when_idle(struct reclaim_domain *domain, struct shrinker *shrinker)
{
	bool held;

	pthread_mutex_lock(&domain->dying_lock);
	held = shrinker->dying;
	shrinker->release_when_idle = true;
	pthread_mutex_unlock(&domain->dying_lock);
	return held;
}
