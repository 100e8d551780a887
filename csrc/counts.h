/* SPDX-License-Identifier: MIT */
/*
 * The counters of passes whose walk has one of the domain's spare records; counts.c
 * says why they are apart.
 */
#ifndef SHRINKER_COUNTS_H
#define SHRINKER_COUNTS_H

#include "domain.h"

/* Shrinkers in one unit. */
#define COUNTS_UNIT 64

/* Counters of one shrinker for one record: offsets from shrinker->counted_alone +
 * walk->counts_at. */
enum {
	COUNTED_PASSES = 0,
	COUNTED_SCAN_CALLS = COUNTS_UNIT,
	COUNTED_SCANNED = 2 * COUNTS_UNIT,
	COUNTED_FREED = 3 * COUNTS_UNIT,
	COUNTED_END = 4 * COUNTS_UNIT,
};

/**
 * struct counts_unit - the counters of COUNTS_UNIT shrinkers
 * @counted: for each spare record, a column for each number that is counted; 0 in
 *	places that are not used
 * @used: a bit for each place
 * @next: all units of the domain
 * @next_with_room: units with a free place
 *
 * id_lock guards all but @counted.
 */
struct counts_unit {
	_Alignas(CACHE_LINE) _Atomic(uint64_t) counted[SPARE_WALKERS * COUNTED_END];
	uint64_t used;
	struct counts_unit *next;
	struct counts_unit *next_with_room;
};

#pragma GCC visibility push(hidden)

bool counts_alloc(struct reclaim_domain *domain, struct shrinker *shrinker);
void counts_release(struct reclaim_domain *domain, struct shrinker *shrinker);
uint64_t counts_sum(struct shrinker *shrinker, int column);
void counts_destroy(struct reclaim_domain *domain);

#pragma GCC visibility pop

#endif /* SHRINKER_COUNTS_H */
