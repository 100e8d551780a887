/* SPDX-License-Identifier: MIT */
/*
 * One pass on raw 64-bit numbers, without a registry: for test vectors, proofs and
 * teaching.  It is the same code as in walks, on a temporary shrinker.  There is no
 * stall limit: a pass that makes no progress ends at @max_calls.
 */
#ifndef SHRINKER_ONE_PASS_H
#define SHRINKER_ONE_PASS_H

#include <shrinker/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum pass_era - which kernels' formula a pass computes
 * @PASS_ERA_C: 5.13 and later: what walks of this library compute
 * @PASS_ERA_B: 4.16 to 5.12
 * @PASS_ERA_B_4_19: the same in 4.19.y, where delta is at least a batch
 * @PASS_ERA_A: 4.11 to 4.15
 * @PASS_ERA_A_4_10: up to 4.10, where the counter gains what is left of total_scan
 */
enum pass_era {
	PASS_ERA_C,
	PASS_ERA_B,
	PASS_ERA_B_4_19,
	PASS_ERA_A,
	PASS_ERA_A_4_10,
	PASS_NR_ERAS
};

/**
 * struct one_pass - arguments and results of a pass
 * @count: what count_objects() returns
 * @nr_deferred: deferred objects before the pass; receives those after it
 * @priority: 0 to SHRINK_MAX_PRIORITY
 * @seeks: any number
 * @batch: any number
 * @era: enum pass_era
 * @pgs_scanned: pages that the walk scanned; only eras A
 * @lru_pgs: pages that it could have scanned; only eras A
 * @max_calls: most scan calls that are made
 * @scan: the scan callback; *nr_scanned is @nr_to_scan when it is called.  NULL:
 *	each call frees @nr_to_scan objects
 * @arg: argument of @scan
 * @sizes: receives nr_to_scan of the first @nr_sizes calls; NULL: nothing
 * @returned: what the pass returned
 * @calls: scan calls that were made
 * @cut: the pass wanted another call after @max_calls, and ended as if that had
 *	returned SHRINK_STOP
 * @emitted: the pass got past the count.  Only then the rest is set:
 * @nr_before: deferred objects that the pass has taken over
 * @freeable: objects counted, as a signed number
 * @delta: objects added to @nr_before
 * @total_scan: objects to scan
 * @total_scan_left: objects that were not scanned
 * @nr_after: deferred objects after the pass
 * @retval: objects freed, the low 32 bits
 */
struct one_pass {
	uint64_t count;
	int64_t nr_deferred;
	int priority;
	int seeks;
	long batch;
	int era;
	int64_t pgs_scanned;
	int64_t lru_pgs;
	uint64_t max_calls;
	unsigned long (*scan)(void *arg, unsigned long nr_to_scan,
			      unsigned long *nr_scanned);
	void *arg;
	uint64_t *sizes;
	uint64_t nr_sizes;

	uint64_t returned;
	uint64_t calls;
	bool cut;
	bool emitted;
	int64_t nr_before;
	int64_t freeable;
	uint64_t delta;
	int64_t total_scan;
	int64_t total_scan_left;
	int64_t nr_after;
	int retval;
};

/**
 * one_pass_run - run the pass
 *
 * Context: any thread, callbacks included; takes no lock.
 * Return: false, and nothing is called, where @priority or @era is out of range, or
 * an era A would divide by 0: with @seeks 0, or an @lru_pgs whose low 32 bits are all 1.
 */
bool one_pass_run(struct one_pass *pass);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_ONE_PASS_H */
