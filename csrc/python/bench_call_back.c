/* SPDX-License-Identifier: MIT */
/*
 * The one part of the benchmarks in C that needs an interpreter;
 * csrc/bench/bench_native.c has none, and is built from the others.
 */
#include "bench_callbacks.h"
#include "python_host.h"

unsigned long bench_call_back(struct shrinker *shrinker, unsigned long batch,
			      unsigned long passes)
{
	unsigned long calls = 0;
	uintptr_t state = 0;

	python_host_enter(&state);
	for (; passes; passes--) {
		struct shrink_control sc = { .gfp_mask = GFP_KERNEL };
		unsigned long left = shrinker->count_objects(shrinker, &sc);

		calls++;
		if (left == SHRINK_EMPTY)
			continue;
		while (left >= batch) {
			sc.nr_to_scan = sc.nr_scanned = batch;
			if (shrinker->scan_objects(shrinker, &sc) == SHRINK_STOP)
				break;
			calls++;
			left -= sc.nr_scanned;
		}
	}
	python_host_leave(&state);
	return calls;
}
