/* SPDX-License-Identifier: MIT */
/*
 * The part of a walk that runs for every shrinker or every walk.  walk.c has what
 * runs seldom.  The steps are those of holding.c.
 */
#ifndef SHRINKER_WALK_H
#define SHRINKER_WALK_H

#include "holding.h"

/* Loads first: an exchange takes the cache line from a walk that uses the
 * record. */
static inline bool walker_claim(struct walker *walk)
{
	return !atomic_load_explicit(&walk->busy, memory_order_relaxed) &&
	       !atomic_exchange_explicit(&walk->busy, true,
					 memory_order_acquire);
}

/**
 * walk_begin - claim a record and make it the thread's innermost walk
 *
 * Return: NULL where all records are busy and memory ran out.
 */
static inline struct walker *walk_begin(struct reclaim_domain *domain)
{
	struct walker *walk = domain->spare;

	if (unlikely(!walker_claim(walk))) {
		walk = walker_claim_another(domain);
		if (!walk)
			return NULL;
	}
	walk->outer = current_walk;
	current_walk = walk;
	return walk;
}

/**
 * reclaim_begin - walk_begin(), unless the thread is reclaiming already
 *
 * Callbacks may allocate memory.  That must begin no other reclaim in any domain.
 *
 * Return: NULL where the thread is in a callback, or as walk_begin().
 */
static inline struct walker *reclaim_begin(struct reclaim_domain *domain)
{
	if (unlikely(current_walk)) {
		atomic_fetch_add(&domain->nested, 1);
		return NULL;
	}
	return walk_begin(domain);
}

/* Steps 4 and 5. */
static inline void let_go(struct walker *walk, _Atomic(struct shrinker *) *slot,
			  const struct shrinker *shrinker)
{
	hold(walk->domain, slot, NULL);
	if (may_be_dying(walk->domain, shrinker))
		walk_dying_let_go(walk, shrinker);
}

/* Lets go of the shrinker that the walk is at. */
static inline void walk_leave(struct walker *walk)
{
	struct shrinker *at = walk->at;

	if (!at)
		return;
	walk->at = NULL;
	let_go(walk, &walk->hold[walk->turn], at);
}

/**
 * walk_rewind - go back to before the first shrinker
 */
static inline void walk_rewind(struct walker *walk)
{
	walk_leave(walk);
	walk->seq = 0;
}

/**
 * walk_end - leave host and shrinker, and give the record back
 */
static inline void walk_end(struct walker *walk)
{
	if (walk->host)
		walk_leave_host(walk);
	walk_rewind(walk);
	walk->stop = false;
	if (likely(current_walk == walk))
		current_walk = walk->outer;
	else
		walk_unlink(walk);
	atomic_store_explicit(&walk->busy, false, memory_order_release);
}

/* Thousands of shrinkers do not fit the first-level cache: the next one is fetched
 * while this one's pass runs.  It may be gone; a prefetch never faults. */
static inline void prefetch_after(struct shrinker *shrinker)
{
	__builtin_prefetch(atomic_load_explicit(&shrinker->next,
						memory_order_relaxed));
}

/**
 * walk_next - go to the next shrinker in order of registration: steps 1 to 5
 *
 * Return: a shrinker that is held until the walk goes on; NULL at the end.
 */
static inline struct shrinker *walk_next(struct walker *walk)
{
	struct reclaim_domain *domain = walk->domain;
	struct shrinker *at = walk->at;
	_Atomic(struct shrinker *) *link = at ? &at->next : &domain->first;
	_Atomic(struct shrinker *) *slot = &walk->hold[!walk->turn];
	struct shrinker *next = atomic_load(link);

	if (!next) {
		walk_leave(walk);
		return NULL;
	}
	/* The walk's place was unlinked, now or earlier. */
	if (unlikely(next == at || walk->seq))
		return walk_step(walk);
	hold(domain, slot, next);
	if (unlikely(atomic_load(link) != next)) {
		let_go(walk, slot, next);
		return walk_step(walk);
	}
	walk_leave(walk);
	walk->at = next;
	walk->turn = !walk->turn;
	prefetch_after(next);
	return next;
}

#endif /* SHRINKER_WALK_H */
