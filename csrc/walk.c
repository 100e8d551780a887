/* SPDX-License-Identifier: MIT */
/*
 * Walks: going from shrinker to shrinker, and in and out of the runtimes that
 * host their callbacks.  holding.c has the protocol; its steps are named here.
 */
#include <stdlib.h>
#include <string.h>

#include "holding.h"

/* Found without a call, although this is part of a shared object. */
__attribute__((tls_model("initial-exec"))) _Thread_local struct walker *current_walk;

/**
 * walker_init - make a record
 */
void walker_init(struct walker *walk, struct reclaim_domain *domain)
{
	memset(walk, 0, sizeof(*walk));
	walk->domain = domain;
}

/**
 * walker_publish - let searches for holds find the record, for ever
 */
void walker_publish(struct walker *walk)
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
 * walk_to_link - go to the shrinker that a place outside the list points to
 * @link: emptied before what it points to is freed
 *
 * Return: a shrinker that is held until the walk goes on; NULL where the place
 * is empty.
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
 * Steps 2 and 3; what is looked at again is whether it says of itself that it is
 * unlinked.
 *
 * Return: false where it is not registered (any more).
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

void reclaim_stop_walk(void)
{
	if (current_walk)
		current_walk->stop = true;
}

bool reclaim_in_callback(void)
{
	return current_walk != NULL;
}
