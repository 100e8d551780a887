/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of one pass over one shrinker: pure functions, without memory,
 * callbacks or locks.  Each function is one step of docs/specification.md, "One
 * pass", so that each step can be tested, proved and replayed.
 *
 * All numbers have 64 bits and wrap.  Signed wrap-around is undefined in C, so
 * sums, differences and products are computed as uint64_t and converted back.  The
 * conversion of a number out of range to int64_t, and the right shift of a negative
 * number, are implementation-defined: gcc and clang define them as two's complement
 * and as sign-extending.
 *
 * Inline: a pass with nothing to do is about as fast as one call.
 */
#ifndef SHRINKER_SCAN_H
#define SHRINKER_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include <shrinker/types.h>

_Static_assert(sizeof(long) == 8 && sizeof(void *) == 8,
	       "the kernel's arithmetic is reproduced for 64-bit machines");

/* Sum, difference and double of signed numbers, modulo 2^64. */
static inline int64_t wrap_add(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline int64_t wrap_sub(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline int64_t wrap_double(int64_t a)
{
	return (int64_t)((uint64_t)a * 2);
}

static inline int64_t min_signed(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/**
 * scan_delta - objects that a pass adds to the deferred ones
 * @freeable: objects that the shrinker counted, as a signed number
 * @priority: 0 to 63; each step up halves the count from which delta is computed
 * @seeks: cost of recreating an object; converted to unsigned 32 bits, so that a
 *	negative number is a huge divisor
 *
 * Return: objects, modulo 2^64.
 */
static inline uint64_t scan_delta(int64_t freeable, int priority, int seeks)
{
	uint64_t quadruple;

	/* Cheap to recreate: half of the cache, at any priority. */
	if (seeks == 0)
		return (uint64_t)(freeable / 2);

	/* The product wraps before it is divided, as in a kernel. */
	quadruple = (uint64_t)(freeable >> priority) * 4;

	/* The compiler turns a division by a constant into a shift.  Any other division
	 * takes longer than the rest of the pass. */
	if (seeks == DEFAULT_SEEKS)
		return quadruple / DEFAULT_SEEKS;
	return quadruple / (uint32_t)seeks;
}

/**
 * scan_total - objects that a pass wants to scan
 * @nr: deferred objects that the pass has taken over
 * @delta: scan_delta() of the pass
 *
 * Return: objects; signed, negative where the sums have wrapped.
 */
static inline int64_t scan_total(int64_t nr, uint64_t delta, int64_t freeable,
				 int priority)
{
	int64_t total = wrap_add(nr >> priority, (int64_t)delta);

	return min_signed(total, wrap_double(freeable));
}

/**
 * scan_batch_size - objects in one scan call
 * @batch: the shrinker's own batch; 0 means SHRINK_BATCH
 */
static inline int64_t scan_batch_size(long batch)
{
	return batch ? batch : SHRINK_BATCH;
}

/**
 * scan_least - least number of objects left with which a pass makes another call
 */
static inline int64_t scan_least(int64_t batch_size, int64_t freeable)
{
	return min_signed(batch_size, freeable);
}

/**
 * scan_wanted - whether the pass makes another scan call
 * @total_scan: objects left to scan
 */
static inline bool scan_wanted(int64_t total_scan, int64_t batch_size,
			       int64_t freeable)
{
	return total_scan >= scan_least(batch_size, freeable);
}

/**
 * scan_deferred - objects that a pass leaves for later passes
 * @nr: deferred objects that the pass has taken over
 * @scanned: sum of nr_scanned over its scan calls
 *
 * Return: objects to add to the deferred counter; negative only where
 * 2 * @freeable has wrapped.
 */
static inline int64_t scan_deferred(int64_t nr, uint64_t delta, int64_t scanned,
				    int64_t freeable)
{
	int64_t next = wrap_sub(wrap_add(nr, (int64_t)delta), scanned);

	if (next < 0)
		next = 0;
	return min_signed(next, wrap_double(freeable));
}

#endif /* SHRINKER_SCAN_H */
