/* SPDX-License-Identifier: MIT */
/*
 * Where passes of walks with the domain's first record count; counts.c tells why.
 */
#ifndef SHRINKER_COUNTS_H
#define SHRINKER_COUNTS_H

#include "domain.h"

/* Shrinkers in one unit. */
#define COUNTS_UNIT 64

/* Counters of one shrinker, from its shrinker->counted_first. */
enum {
	COUNTED_PASSES = 0,
	COUNTED_SCAN_CALLS = COUNTS_UNIT,
	COUNTED_SCANNED = 2 * COUNTS_UNIT,
	COUNTED_FREED = 3 * COUNTS_UNIT,
	COUNTED_END = 4 * COUNTS_UNIT,
};

/**
 * struct counts_unit - the counters of COUNTS_UNIT shrinkers
 * @counted: a column for each number that is counted; 0 where not used
 * @used: a bit for each shrinker
 * @next: all units of the domain
 * @next_with_room: those that have a place free
 *
 * What follows @counted is guarded by id_lock.
 */
struct counts_unit {
	_Alignas(CACHE_LINE) _Atomic(uint64_t) counted[COUNTED_END];
	uint64_t used;
	struct counts_unit *next;
	struct counts_unit *next_with_room;
};

#pragma GCC visibility push(hidden)

bool counts_alloc(struct reclaim_domain *domain, struct shrinker *shrinker);
void counts_release(struct reclaim_domain *domain, struct shrinker *shrinker);
void counts_destroy(struct reclaim_domain *domain);

#pragma GCC visibility pop

#endif /* SHRINKER_COUNTS_H */
