/* SPDX-License-Identifier: MIT */
/*
 * What the events of one shrinker say about its seeks and its batch, which no
 * event prints: closed intervals, narrowed by each pass.  Pure functions.
 */
#ifndef SHRINKER_TRACE_FIT_H
#define SHRINKER_TRACE_FIT_H

#include "scan.h"

/**
 * struct seeks_fit - the values of seeks that explain every delta so far
 * @lo: smallest divisor that fits
 * @hi: largest; empty where @lo > @hi
 * @zero: whether seeks 0 (delta is half of the cache) fits too
 *
 * Zero stands apart, because it is another formula and not a small divisor.
 */
struct seeks_fit {
	uint32_t lo;
	uint32_t hi;
	bool zero;
};

#define SEEKS_FIT_ALL ((struct seeks_fit){ 1, UINT32_MAX, true })

static inline bool seeks_fit_empty(struct seeks_fit fit)
{
	return fit.lo > fit.hi && !fit.zero;
}

static inline struct seeks_fit seeks_fit_both(struct seeks_fit a,
					      struct seeks_fit b)
{
	return (struct seeks_fit){ a.lo > b.lo ? a.lo : b.lo,
				   a.hi < b.hi ? a.hi : b.hi,
				   a.zero && b.zero };
}

/**
 * seeks_fit_of - the values of seeks that give one delta
 * @freeable: objects counted
 * @priority: 0 to 63
 * @delta: as recorded
 *
 * The quotient q / s of unsigned numbers falls as s grows, so that the divisors
 * that give one quotient are neighbours: s * delta <= q < s * (delta + 1).
 */
static inline struct seeks_fit seeks_fit_of(int64_t freeable, int priority,
					    uint64_t delta)
{
	/* The quadruple is the delta of seeks 1. */
	uint64_t q = scan_delta(freeable, priority, 1);
	uint64_t lo, hi;
	struct seeks_fit fit = { 1, 0,
				 delta == scan_delta(freeable, priority, 0) };

	if (delta == 0) {
		lo = q == UINT64_MAX ? q : q + 1;
		hi = UINT32_MAX;
	} else {
		lo = delta == UINT64_MAX ? 1 : q / (delta + 1) + 1;
		hi = q / delta;
	}
	if (hi > UINT32_MAX)
		hi = UINT32_MAX;
	if (lo <= hi) {
		fit.lo = (uint32_t)lo;
		fit.hi = (uint32_t)hi;
	}
	return fit;
}

/**
 * struct batch_fit - what the scan loops say about the batch size
 * @most: no batch above this can have entered some loop; 0: nothing is said
 * @divisor: every batch divides this, as long as the callback leaves
 *	nr_scanned alone; 0: nothing is said
 * @least: a batch is at least this, as long as no pass that had scanned
 *	something was ended by SHRINK_STOP; 0: nothing is said
 */
struct batch_fit {
	uint64_t most;
	uint64_t divisor;
	uint64_t least;
};

static inline uint64_t gcd_u64(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/**
 * batch_fit_add - narrow @fit by one pass
 * @total_scan: of the start event
 * @total_left: of the end event
 * @freeable: objects counted
 *
 * The loop runs while total_scan >= batch or total_scan >= freeable, and each
 * call takes min(batch, total_scan).  A pass that scanned nothing says nothing:
 * its callback may have said SHRINK_STOP at once.
 *
 * Return: false where no batch of 1 or more lets this pass scan at all, or where
 * it left more than it began with (a callback would have to put 2^63 and more
 * into nr_scanned, which is no number of objects); @fit is left as it was then.
 */
static inline bool batch_fit_add(struct batch_fit *fit, int64_t total_scan,
				 int64_t total_left, int64_t freeable)
{
	uint64_t scanned = (uint64_t)wrap_sub(total_scan, total_left);

	if (scanned == 0)
		return true;
	if (total_left > total_scan)
		return false;
	if (total_scan < freeable) {
		/* It was the batch that let the pass in. */
		if (total_scan < 1)
			return false;
		if (!fit->most || (uint64_t)total_scan < fit->most)
			fit->most = (uint64_t)total_scan;
	}
	/* Below 0 only a callback that has set nr_scanned itself can bring it. */
	if (total_left < 0)
		return true;
	if (total_left > 0)
		fit->divisor = gcd_u64(fit->divisor, scanned);
	if (total_left < freeable && (uint64_t)total_left + 1 > fit->least)
		fit->least = (uint64_t)total_left + 1;
	return true;
}

/* The largest batch that fits; 0 where nothing is said. */
static inline uint64_t batch_fit_hi(struct batch_fit fit)
{
	if (!fit.most || (fit.divisor && fit.divisor < fit.most))
		return fit.divisor;
	return fit.most;
}

#endif /* SHRINKER_TRACE_FIT_H */
