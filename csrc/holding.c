/* SPDX-License-Identifier: MIT */
/*
 * Keeping shrinkers from being released while a walk is at them.
 *
 * A walk sleeps in callbacks for any length of time, so it can neither hold a lock
 * nor keep a grace period open.  Instead each walk has a record with two slots, and
 * a shrinker that is in any slot is not released (a hazard pointer).  To go from
 * shrinker A, which it holds, to the next one, B, a walk
 *
 *   1. loads A->next: it is B;
 *   2. stores B in its free slot;
 *   3. loads A->next again.  If it is still B, then B is unlinked after step 2 or
 *      not at all, and its owner sees the slot.  If not, the walk goes back to 1;
 *   4. clears the slot of A;
 *   5. loads dying_mask.  If A may be dying, it says that A was let go
 *      (dying_let_go()).
 *
 * To free B, its owner
 *
 *   a. unlinks it, and sets B->next = B for walks that are at B;
 *   b. puts it on the list of dying shrinkers, which sets a bit of dying_mask;
 *   c. makes sure that each walk either sees a and b, or has its slots seen in d.
 *      Then B is settled.  A search of the slots before this step proves nothing;
 *   d. searches the slots.  While one of them has B, the owner waits, or leaves the
 *      rest to the walk that lets go of B last.
 *
 * A walk whose own place was unlinked starts again at the head of the registry and
 * skips what it has visited: registration numbers grow along the list.
 *
 * Ordering.  Each side stores, and then loads what the other side stores.  At least
 * one of them has to see the other's store:
 *
 *	walk				owner
 *	2 stores a slot			a stores next
 *	3 loads next			d loads the slots
 *
 *	4 clears a slot			b sets dying_mask
 *	5 loads dying_mask		d loads the slots
 *
 * With domain->walkers_fence all of these accesses are sequentially consistent, and
 * step c has nothing to do.  That costs each walk a fence for each shrinker.  Walks
 * are many and frees are few, so where the system has membarrier(), step c calls
 * it: each running thread of the process executes a full barrier.  A walk then has
 * to keep only the compiler from moving 3 before 2, and 5 before 4 (hold()).  If
 * membarrier() begins to fail later, step c runs on each processor in turn.
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "holding.h"
#include "memcg.h"

/**
 * membarrier_is_there - whether step c can order the accesses of both sides
 *
 * Registers the process for it.
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

/* As many processors as a kernel can have. */
#define MAX_PROCESSORS 8192
/* In which any processor has carried out the stores that it has begun. */
#define STORES_NANOSECONDS 1000000

/*
 * membarrier() for a process that may not call it any more: a seccomp filter was
 * installed after the domain was made.  Runs on each processor in turn: its other
 * threads there were switched out, which is a full barrier.  Where it may not do
 * that either, it waits until the stores of all processors can be seen.
 */
static void run_on_all_processors(void)
{
	unsigned long before[MAX_PROCESSORS / (8 * sizeof(long))];
	cpu_set_t one[MAX_PROCESSORS / CPU_SETSIZE];
	long size = syscall(SYS_sched_getaffinity, 0, sizeof(before), before);
	bool everywhere = size > 0;
	int cpu;

	for (cpu = 0; everywhere && cpu < 8 * size; cpu++) {
		CPU_ZERO_S(sizeof(one), one);
		CPU_SET_S((size_t)cpu, sizeof(one), one);
		/* EINVAL: there is none, or the process may not use it. */
		if (syscall(SYS_sched_setaffinity, 0, (size_t)size, one) != 0)
			everywhere = errno == EINVAL;
	}
	if (size > 0)
		syscall(SYS_sched_setaffinity, 0, (size_t)size, before);
	if (!everywhere)
		nanosleep(&(struct timespec){ .tv_nsec = STORES_NANOSECONDS }, NULL);
	atomic_thread_fence(memory_order_seq_cst);
}

/**
 * fence_all_threads - have each running thread of the process execute a full barrier
 *
 * Step c, where membarrier_is_there().
 */
void fence_all_threads(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
		run_on_all_processors();
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

/* Takes a shrinker that is not held off the list; called under dying_lock. */
static void end_dying(struct reclaim_domain *domain, struct shrinker *shrinker)
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
 * dying_let_go - a hold on a shrinker is gone, and the shrinker may be dying
 * @left: compared with the list, and dereferenced only if it is there: without the
 *	hold, it may have been released
 *
 * Context: takes dying_lock, and id_lock in it.
 */
void dying_let_go(struct reclaim_domain *domain, const struct shrinker *left)
{
	struct shrinker *shrinker;
	bool last = false;

	pthread_mutex_lock(&domain->dying_lock);
	for (shrinker = domain->dying; shrinker; shrinker = shrinker->next_dying)
		if (shrinker == left)
			break;
	if (shrinker && shrinker->settled && !is_held(domain, shrinker)) {
		last = shrinker->release_when_idle;
		end_dying(domain, shrinker);
	}
	pthread_mutex_unlock(&domain->dying_lock);
	if (last)
		release_shrinker(shrinker);
}

/**
 * dying_after_fork - release what only threads held that the child does not have
 *
 * Context: the only thread, so that step c has nothing left to do.
 */
void dying_after_fork(struct reclaim_domain *domain)
{
	struct shrinker *shrinker, *next;

	for (shrinker = domain->dying; shrinker; shrinker = next) {
		next = shrinker->next_dying;
		shrinker->settled = true;
		dying_let_go(domain, shrinker);
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
 * finish_dying - steps c and d, for a shrinker that is not in the registry
 * @wait: until the shrinker is not held
 *
 * Return: true when the shrinker is not held and will not be again.
 */
bool finish_dying(struct reclaim_domain *domain, struct shrinker *shrinker,
		  bool wait)
{
	bool idle;

	if (!domain->walkers_fence)
		fence_all_threads();
	pthread_mutex_lock(&domain->dying_lock);
	shrinker->settled = true;
	while (shrinker->dying) {
		if (!is_held(domain, shrinker))
			end_dying(domain, shrinker);
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
 * release_when_idle - have the last hold release the shrinker
 *
 * Return: false where the shrinker is not held, so that the caller releases it.
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
