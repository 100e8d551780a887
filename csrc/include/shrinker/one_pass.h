/* SPDX-License-Identifier: MIT */
/*
 * One pass on raw 64-bit numbers, without a registry: for vectors, proofs,
 * teaching.  It is the pass of the walks, on a shrinker made for the occasion,
 * and nothing guards against a pass that makes no progress but a limit.
 */
#ifndef SHRINKER_ONE_PASS_H
#define SHRINKER_ONE_PASS_H

#include <shrinker/types.h>

/**
 * struct one_pass - input and outcome of a pass
 * @count: what count_objects() returns
 * @nr_deferred: deferred objects; holds what is left of them afterwards
 * @priority: 0 to SHRINK_MAX_PRIORITY
 * @seeks: any
 * @batch: any
 * @max_calls: scan calls after which the pass is cut short
 * @scan: called for each batch with @arg; *nr_scanned is preset to @nr_to_scan;
 *	NULL: frees all that it is asked for
 * @arg: the caller's
 * @sizes: receives nr_to_scan of the first @nr_sizes calls; NULL is allowed
 * @returned: what the pass returned
 * @calls: scan calls made
 * @cut: a further call was wanted after @max_calls; the pass then ended as if
 *	the callback had said SHRINK_STOP
 * @emitted: whether the pass got past the count; what follows is set only then
 * @nr_before: deferred objects taken over
 * @freeable: objects counted, signed
 * @delta: objects added
 * @total_scan: objects to scan at the start
 * @total_scan_left: and at the end
 * @nr_after: the deferred counter after the pass
 * @retval: objects freed, cut to 32 bits
 */
struct one_pass {
	uint64_t count;
	int64_t nr_deferred;
	int priority;
	int seeks;
	long batch;
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
 * Return: false, and nothing is called, where the priority is out of range.
 */
bool one_pass_run(struct one_pass *pass);

#endif /* SHRINKER_ONE_PASS_H */
