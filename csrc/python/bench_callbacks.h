/* SPDX-License-Identifier: MIT */
/*
 * Native callbacks that do next to nothing, and a loop that walks over them, for
 * `shrinker bench`.  Part of the extension module only.
 */
#ifndef SHRINKER_BENCH_CALLBACKS_H
#define SHRINKER_BENCH_CALLBACKS_H

#include <shrinker/domain.h>

/* Counts the number in private_data itself. */
unsigned long bench_count(struct shrinker *shrinker, struct shrink_control *sc);

/**
 * struct bench_recording - the counts of one shrinker, walk by walk
 * @counts: what it counts in each walk, in objects; 0 where it took no part
 * @nr_counts: their number, at least 1; after the last one comes the first
 * @next: index of the next
 *
 * For one walk at a time.
 */
struct bench_recording {
	const unsigned long *counts;
	unsigned long nr_counts;
	unsigned long next;
};

/* Counts the next number of the recording that private_data points to. */
unsigned long bench_count_recorded(struct shrinker *shrinker,
				   struct shrink_control *sc);

/* Frees all that it is asked for. */
unsigned long bench_scan(struct shrinker *shrinker, struct shrink_control *sc);

/*
 * Walks @rounds times at each priority, 0 to SHRINK_MAX_PRIORITY, as a C program
 * would.  Returns objects freed, modulo 2^64.
 */
unsigned long bench_walk(struct reclaim_domain *domain, const int *priorities,
			 unsigned long nr_priorities, unsigned long rounds);

#endif /* SHRINKER_BENCH_CALLBACKS_H */
