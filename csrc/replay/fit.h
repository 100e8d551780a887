/* SPDX-License-Identifier: MIT */
/*
 * What the events of one shrinker say about its seeks and its batch, which no event
 * prints: intervals that each pass narrows.  Pure functions.
 */
#ifndef SHRINKER_REPLAY_FIT_H
#define SHRINKER_REPLAY_FIT_H

#include "eras.h"

/**
 * struct seeks_fit - the values of seeks that give each delta so far
 * @lo: smallest divisor
 * @hi: largest; below @lo: there is none
 * @zero: whether seeks 0 does, too
 *
 * Zero stands apart: it has a formula of its own, half of the cache.
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

/* The 32-bit divisors from @lo to @hi. */
static inline struct seeks_fit seeks_fit_range(uint64_t lo, uint64_t hi)
{
	if (hi > UINT32_MAX)
		hi = UINT32_MAX;
	if (lo > hi)
		return (struct seeks_fit){ 1, 0, false };
	return (struct seeks_fit){ (uint32_t)lo, (uint32_t)hi, false };
}

/*
 * The divisors with which @dividend gives a quotient from @least to @most.  A quotient
 * of unsigned numbers falls as the divisor grows, so they are neighbours.
 */
static inline struct seeks_fit seeks_fit_quotient(uint64_t dividend,
						  uint64_t least, uint64_t most)
{
	uint64_t lo = 1, hi = UINT32_MAX;

	if (most < dividend)
		lo = dividend / (most + 1) + 1;
	if (least)
		hi = dividend / least;
	return seeks_fit_range(lo, hi);
}

/*
 * Era A.  The inner quotient q = 4 * pgs_scanned / seeks gives q * freeable / divisor
 * = delta.  Where q * freeable may wrap, only the usual seeks is tried.
 */
static inline struct seeks_fit seeks_fit_pages(const struct era_input *in,
					       uint64_t delta)
{
	uint64_t dividend = (uint64_t)in->pgs_scanned * 4;
	uint64_t freeable = (uint64_t)in->freeable;
	uint64_t divisor = era_lru_divisor(in);
	unsigned __int128 least, most;

	if (!divisor || !freeable)
		return seeks_fit_range(1, 0);
	if (dividend > UINT64_MAX / freeable)
		return era_delta(PASS_ERA_A, in, DEFAULT_SEEKS, 0) == delta ?
			       seeks_fit_range(DEFAULT_SEEKS, DEFAULT_SEEKS) :
			       seeks_fit_range(1, 0);
	least = ((unsigned __int128)delta * divisor + freeable - 1) / freeable;
	most = (((unsigned __int128)delta + 1) * divisor - 1) / freeable;
	if (least > most || least > dividend)
		return seeks_fit_range(1, 0);
	return seeks_fit_quotient(dividend, (uint64_t)least,
				  most > dividend ? dividend : (uint64_t)most);
}

/**
 * seeks_fit_of - the values of seeks that give one delta
 * @delta: as recorded
 */
static inline struct seeks_fit seeks_fit_of(enum pass_era era,
					    const struct era_input *in,
					    uint64_t delta)
{
	struct seeks_fit fit;

	if (era_counts_pages(era))
		return seeks_fit_pages(in, delta);
	fit = seeks_fit_quotient(scan_delta(in->freeable, in->priority, 1), delta,
				 delta);
	fit.zero = delta == scan_delta(in->freeable, in->priority, 0);
	return fit;
}

/**
 * struct least_fit - the batch sizes that allow each delta so far in 4.19.y, where
 *	delta is at least era_least_delta()
 */
struct least_fit {
	int64_t lo;
	int64_t hi;
};

#define LEAST_FIT_ALL ((struct least_fit){ 1, INT64_MAX })

/**
 * least_fit_add - take a start of 4.19.y into account
 * @fit: seeks_fit_of() the start.  Where @delta may be the least one, values that give
 *	less are added; where no batch allows @delta, it is emptied
 *
 * Return: whether only a batch that the starts before did not know explains @delta.
 */
static inline bool least_fit_add(struct least_fit *least,
				 const struct era_input *in, uint64_t delta,
				 struct seeks_fit *fit)
{
	int64_t freeable = in->freeable;
	bool may_be_least, learnt = false;

	if (freeable <= 0 || delta > (uint64_t)freeable)
		return false;
	if (delta < (uint64_t)freeable) {
		/* The batch is at most delta. */
		if ((int64_t)delta < least->lo) {
			*fit = seeks_fit_range(1, 0);
			return false;
		}
		may_be_least = (int64_t)delta <= least->hi;
		if (may_be_least)
			least->hi = (int64_t)delta;
	} else {
		may_be_least = freeable <= least->hi;
	}
	if (seeks_fit_empty(*fit) && may_be_least && least->lo < (int64_t)delta) {
		least->lo = (int64_t)delta;
		learnt = true;
	}
	if (may_be_least) {
		*fit = seeks_fit_quotient(
			scan_delta(freeable, in->priority, 1), 0, delta);
		fit->zero = scan_delta(freeable, in->priority, 0) <= delta;
	}
	return learnt;
}

/**
 * struct batch_fit - what the passes say about the batch; 0: nothing
 * @most: the batch is at most this, or some pass could not have begun to scan
 * @divisor: the batch divides this, if the callback leaves nr_scanned alone
 * @least: the batch is at least this, if SHRINK_STOP has ended no pass that had
 *	scanned something
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
 * @total_left: total_scan of the end event
 * @freeable: objects counted
 *
 * A pass goes on while total_scan >= batch or total_scan >= freeable; each call
 * takes min(batch, total_scan).  A pass that scanned nothing says nothing, because
 * its first call may have returned SHRINK_STOP.
 *
 * Return: false, and @fit has not changed, where no batch of 1 or more lets the
 * pass scan, or where it left more than it began with (nr_scanned would have to be
 * 2^63 or more, which is no number of objects).
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
		/* It was total_scan >= batch that let the pass begin. */
		if (total_scan < 1)
			return false;
		if (!fit->most || (uint64_t)total_scan < fit->most)
			fit->most = (uint64_t)total_scan;
	}
	/* Only a callback that has set nr_scanned brings it below 0. */
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

#endif /* SHRINKER_REPLAY_FIT_H */
