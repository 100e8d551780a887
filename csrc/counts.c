/* SPDX-License-Identifier: MIT */
/*
 * What passes count for each shrinker, where the walk has one of the domain's spare
 * records, as nearly all walks have.
 *
 * Only one walk at a time has a record.  So it counts without atomic additions, on
 * cache lines that no other walk reads or writes.  For each record, the counters of
 * 64 shrinkers are side by side: all their passes, then all their scan calls, and
 * so on.  A pass that scans nothing writes one word, so a walk over thousands of
 * idle shrinkers writes one cache line for eight of them, and not one for each.
 * Walks with further records share counters in the shrinker.
 */
#include <stdlib.h>
#include <string.h>

#include "counts.h"

static bool take_place(struct reclaim_domain *domain, struct shrinker *shrinker)
{
	struct counts_unit *unit;

	pthread_mutex_lock(&domain->id_lock);
	unit = domain->counts_with_room;
	if (unit) {
		int place = __builtin_ctzll(~unit->used);

		unit->used |= UINT64_C(1) << place;
		if (!~unit->used)
			domain->counts_with_room = unit->next_with_room;
		shrinker->counts_unit = unit;
		shrinker->counted_alone = &unit->counted[place];
	}
	pthread_mutex_unlock(&domain->id_lock);
	return unit;
}

/**
 * counts_alloc - give a shrinker its counters, all 0
 *
 * Return: false where memory ran out.
 */
bool counts_alloc(struct reclaim_domain *domain, struct shrinker *shrinker)
{
	while (!take_place(domain, shrinker)) {
		struct counts_unit *unit = aligned_alloc(CACHE_LINE,
							 sizeof(*unit));

		if (!unit)
			return false;
		memset(unit, 0, sizeof(*unit));
		pthread_mutex_lock(&domain->id_lock);
		unit->next = domain->counts;
		domain->counts = unit;
		unit->next_with_room = domain->counts_with_room;
		domain->counts_with_room = unit;
		pthread_mutex_unlock(&domain->id_lock);
	}
	return true;
}

/**
 * counts_release - give the shrinker's counters back
 *
 * Context: no pass of the shrinker runs or will run.
 */
void counts_release(struct reclaim_domain *domain, struct shrinker *shrinker)
{
	struct counts_unit *unit = shrinker->counts_unit;
	long place = shrinker->counted_alone - unit->counted;
	int at;

	pthread_mutex_lock(&domain->id_lock);
	for (at = 0; at < SPARE_WALKERS * COUNTED_END; at += COUNTS_UNIT)
		atomic_store_explicit(&shrinker->counted_alone[at], 0,
				      memory_order_relaxed);
	if (!~unit->used) {
		unit->next_with_room = domain->counts_with_room;
		domain->counts_with_room = unit;
	}
	unit->used &= ~(UINT64_C(1) << place);
	pthread_mutex_unlock(&domain->id_lock);
}

/**
 * counts_sum - what all walks with spare records have counted for a shrinker
 * @column: COUNTED_*
 */
uint64_t counts_sum(struct shrinker *shrinker, int column)
{
	uint64_t sum = 0;
	int record;

	for (record = 0; record < SPARE_WALKERS; record++)
		sum += atomic_load(&shrinker->counted_alone[record * COUNTED_END +
							    column]);
	return sum;
}

/**
 * counts_destroy - release all units of a domain that is released
 */
void counts_destroy(struct reclaim_domain *domain)
{
	struct counts_unit *unit, *next;

	for (unit = domain->counts; unit; unit = next) {
		next = unit->next;
		free(unit);
	}
}
