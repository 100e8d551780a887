/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of a pass as kernels of each era computed it, for reading their
 * recordings.  Walks of this library always compute era C, which is scan.h; the
 * older eras begin here.  docs/specification.md, "Eras", has them as formulas.
 *
 * All numbers have 64 bits and wrap, as in scan.h.  Divisors have 32 bits.
 */
#ifndef SHRINKER_ERAS_H
#define SHRINKER_ERAS_H

#include <shrinker/one_pass.h>

#include "scan.h"

/**
 * struct era_input - what a pass computes from, besides its deferred work
 * @freeable: objects that the shrinker counted, as a signed number
 * @priority: of the walk; eras B and C
 * @pgs_scanned: pages that the walk scanned; era A
 * @lru_pgs: pages that it could have scanned; era A
 */
struct era_input {
	int64_t freeable;
	int priority;
	int64_t pgs_scanned;
	int64_t lru_pgs;
};

/* Whether starts have pgs_scanned and lru_pgs in place of a priority. */
static inline bool era_counts_pages(enum pass_era era)
{
	return era == PASS_ERA_A || era == PASS_ERA_A_4_10;
}

/* The divisor of era A; 0 where it has wrapped. */
static inline uint32_t era_lru_divisor(const struct era_input *in)
{
	return (uint32_t)((uint64_t)in->lru_pgs + 1);
}

/* The smallest delta of era B in 4.19.y: a batch, or the whole cache. */
static inline uint64_t era_least_delta(int64_t freeable, int64_t batch_size)
{
	return (uint64_t)min_signed(freeable, batch_size);
}

/**
 * era_delta - objects that a pass adds to the deferred ones
 * @seeks: in era A not 0
 * @batch_size: scan_batch_size(); only 4.19.y computes with it
 *
 * Era A needs an era_lru_divisor() that is not 0.
 */
static inline uint64_t era_delta(enum pass_era era, const struct era_input *in,
				 int seeks, int64_t batch_size)
{
	uint64_t delta, least;

	if (era_counts_pages(era))
		return (uint64_t)in->pgs_scanned * 4 / (uint32_t)seeks *
		       (uint64_t)in->freeable / era_lru_divisor(in);
	delta = scan_delta(in->freeable, in->priority, seeks);
	if (era != PASS_ERA_B_4_19)
		return delta;
	least = era_least_delta(in->freeable, batch_size);
	return delta < least ? least : delta;
}

/**
 * era_total - objects that a pass wants to scan
 * @nr: deferred objects that the pass has taken over
 * @delta: era_delta() of the pass
 *
 * In eras A and B a pass takes all the deferred work at once, at any priority.
 */
static inline int64_t era_total(enum pass_era era, int64_t nr, uint64_t delta,
				const struct era_input *in)
{
	int64_t freeable = in->freeable;
	int64_t total;

	if (era == PASS_ERA_C)
		return scan_total(nr, delta, freeable, in->priority);
	total = wrap_add(nr, (int64_t)delta);
	if (total < 0)
		total = freeable;
	if (delta < (uint64_t)(freeable / 4))
		total = min_signed(total, freeable / 2);
	return min_signed(total, wrap_double(freeable));
}

/**
 * era_deferred - objects that a pass leaves for later passes
 * @total_scan: era_total() of the pass
 * @left: those of @total_scan that were not scanned
 *
 * Only era C has a cap.  Return: objects to add to the deferred counter.
 */
static inline int64_t era_deferred(enum pass_era era, int64_t nr, uint64_t delta,
				   int64_t total_scan, int64_t left,
				   int64_t freeable)
{
	int64_t scanned = wrap_sub(total_scan, left);
	int64_t goal, next;

	if (era == PASS_ERA_C)
		return scan_deferred(nr, delta, scanned, freeable);
	if (era == PASS_ERA_A_4_10)
		return left < 0 ? 0 : left;
	goal = wrap_add(nr, (int64_t)delta);
	next = wrap_sub(goal < 0 ? nr : goal, scanned);
	return next < 0 ? 0 : next;
}

#endif /* SHRINKER_ERAS_H */
