/* SPDX-License-Identifier: MIT */
/*
 * Walks: going from shrinker to shrinker, and in and out of the hosts of their
 * callbacks.  The steps are those of holding.c.
 */
#include <stdlib.h>
#include <string.h>

#include "walk.h"

WALK_TLS struct walker *current_walk;

/**
 * walker_init - initialise a record
 */
void walker_init(struct walker *walk, struct reclaim_domain *domain)
{
	memset(walk, 0, sizeof(*walk));
	walk->domain = domain;
}

/**
 * walker_publish - let searches of the slots find the record, as long as the domain
 *
 * It is linked behind the spare records, which are tried first.
 */
void walker_publish(struct walker *walk)
{
	struct walker *last_spare = &walk->domain->spare[SPARE_WALKERS - 1];
	struct walker *next = atomic_load(&last_spare->next);

	do
		atomic_init(&walk->next, next);
	while (!atomic_compare_exchange_weak(&last_spare->next, &next, walk));
}

/**
 * walker_claim_another - claim a record when the first one is busy
 *
 * Return: NULL where all records are busy and memory ran out.
 */
struct walker *walker_claim_another(struct reclaim_domain *domain)
{
	struct walker *walk;

	for (walk = domain->spare; walk; walk = atomic_load(&walk->next))
		if (walker_claim(walk))
			return walk;
	walk = aligned_alloc(CACHE_LINE, sizeof(*walk));
	if (!walk)
		return NULL;
	walker_init(walk, domain);
	atomic_init(&walk->busy, true);
	walker_publish(walk);
	return walk;
}

/**
 * walk_leave_host - leave the host that the walk is inside
 */
void walk_leave_host(struct walker *walk)
{
	const struct reclaim_host *host = walk->host;

	walk->host = NULL;
	host->leave(&walk->host_state);
}

/**
 * walk_unlink - end a walk that is not the thread's innermost one
 *
 * Greenlets: a callback of this walk began another walk, and control came back here
 * without a return from that callback.  The other walk goes on later.
 */
void walk_unlink(const struct walker *walk)
{
	struct walker *inner = current_walk;

	while (inner && inner->outer != walk)
		inner = inner->outer;
	if (inner)
		inner->outer = walk->outer;
}

/**
 * walk_dying_let_go - the end of step 5, for a shrinker that may be dying
 */
void walk_dying_let_go(struct walker *walk, const struct shrinker *shrinker)
{
	/* Not needed against deadlocks: no thread waits for a host while it holds
	 * dying_lock.  But others need not wait for the host while this waits. */
	if (walk->host && !walk->runs)
		walk_leave_host(walk);
	dying_let_go(walk->domain, shrinker);
}

/**
 * walk_step - walk_next() for all cases, also when the registry changes meanwhile
 */
struct shrinker *walk_step(struct walker *walk)
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
		if (next == at) {
			/* The walk's place was unlinked: start again from the
			 * head and skip what was visited. */
			if (walk->seq < at->seq)
				walk->seq = at->seq;
			walk_leave(walk);
			continue;
		}
		hold(domain, slot, next);
		if (atomic_load(link) != next) {
			let_go(walk, slot, next);
			continue;
		}
		walk_leave(walk);
		walk->at = next;
		walk->turn = !walk->turn;
		if (next->seq > walk->seq)
			return next;
	}
}

/**
 * walk_to_link - go to the shrinker that a pointer outside the registry points to
 * @link: set to NULL before the shrinker is freed
 *
 * Steps 2 and 3, where step 3 loads @link.
 *
 * Return: a shrinker that is held until the walk goes on; NULL where @link is NULL.
 */
struct shrinker *walk_to_link(struct walker *walk,
			      _Atomic(struct shrinker *) *link)
{
	_Atomic(struct shrinker *) *slot;
	struct shrinker *shrinker;

	walk_leave(walk);
	slot = &walk->hold[walk->turn];
	while ((shrinker = atomic_load(link))) {
		hold(walk->domain, slot, shrinker);
		if (likely(atomic_load(link) == shrinker)) {
			walk->at = shrinker;
			break;
		}
		let_go(walk, slot, shrinker);
	}
	return shrinker;
}

/**
 * walk_to - go to one shrinker whose memory the caller keeps valid
 *
 * Steps 2 and 3, where step 3 loads the shrinker's own next.
 *
 * Return: false where the shrinker is not registered, or not any more.
 */
bool walk_to(struct walker *walk, struct shrinker *shrinker)
{
	_Atomic(struct shrinker *) *slot = &walk->hold[walk->turn];

	walk_leave(walk);
	hold(walk->domain, slot, shrinker);
	if (is_unlinked(shrinker)) {
		let_go(walk, slot, shrinker);
		return false;
	}
	walk->at = shrinker;
	return true;
}

/**
 * walk_change_host - go into the host of the next pass
 * @host: NULL where the pass has none: the walk then stays inside its host as long
 *	as may_stay() says so
 */
void walk_change_host(struct walker *walk, const struct reclaim_host *host)
{
	if (walk->host == host)
		return;
	if (walk->host) {
		if (!host && walk->host->may_stay(&walk->host_state))
			return;
		walk_leave_host(walk);
	}
	if (host) {
		walk->host_state = 0;
		host->enter(&walk->host_state);
		walk->host = host;
		counter_add(&walk->counted.host_entries, 1);
	}
}

void reclaim_stop_walk(void)
{
	if (current_walk)
		current_walk->stop = true;
}

bool reclaim_in_callback(void)
{
	return current_walk != NULL;
}
