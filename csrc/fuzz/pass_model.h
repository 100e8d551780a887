/* SPDX-License-Identifier: MIT */
/*
 * A second implementation of docs/specification.md, "One pass", written from that
 * text and not from scan.h: with 128-bit numbers that cannot overflow, and i64()
 * wherever the text says that a number wraps.  One function for each part between
 * two callbacks, so that a fuzz target can follow the library step by step.
 */
#ifndef FUZZ_PASS_MODEL_H
#define FUZZ_PASS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include <shrinker/types.h>

typedef __int128 wide;

static inline int64_t i64(wide value)
{
	wide modulus = (wide)1 << 64;
	wide low = value % modulus;

	if (low < 0)
		low += modulus;
	return (int64_t)(low >= modulus / 2 ? low - modulus : low);
}

static inline uint64_t u64(wide value)
{
	return (uint64_t)i64(value);
}

/**
 * struct pass_model - the state of one pass
 * @freeable, @nr, @delta, @goal: numbers of the start event; @goal is total_scan
 * @left: objects that are not scanned yet
 * @batch: objects in one call
 * @scanned, @freed: sums, not wrapped
 * @calls: calls that were accounted
 * @fruitless, @stall_limit, @stalled: the stall limit; 0: none
 * @stopped: the callback has returned SHRINK_STOP
 */
struct pass_model {
	wide freeable, nr, delta, goal;
	wide left, batch;
	wide scanned, freed;
	uint64_t calls;
	uint64_t fruitless, stall_limit;
	bool stalled, stopped;
};

/* Steps 2 to 4 and 6; the caller has done step 1 and emptied the counter. */
static inline struct pass_model pass_begin(uint64_t count, int64_t nr, int priority,
					   int seeks, long batch,
					   uint64_t stall_limit)
{
	struct pass_model pass = { .freeable = i64(count),
				   .nr = nr,
				   .batch = batch ? batch : 128,
				   .stall_limit = stall_limit };
	wide share = 1, divisor = (uint32_t)seeks, cap = i64(2 * pass.freeable);
	int i;

	/* Rounds toward minus infinity, as a shift that keeps the sign. */
	for (i = 0; i < priority; i++)
		share *= 2;
	if (divisor == 0)
		pass.delta = u64(pass.freeable / 2);
	else
		pass.delta = u64((pass.freeable - (pass.freeable % share + share) %
							  share) /
				 share * 4) /
			     divisor;
	pass.goal = i64((pass.nr - (pass.nr % share + share) % share) / share +
			pass.delta);
	if (pass.goal > cap)
		pass.goal = cap;
	pass.left = pass.goal;
	return pass;
}

static inline bool pass_wants(const struct pass_model *pass)
{
	return !pass->stopped && !pass->stalled &&
	       (pass->left >= pass->batch || pass->left >= pass->freeable);
}

/* nr_to_scan of the next call. */
static inline uint64_t pass_asks(const struct pass_model *pass)
{
	return u64(pass->left < pass->batch ? pass->left : pass->batch);
}

/* Accounts a call. */
static inline void pass_account(struct pass_model *pass, uint64_t returned,
				uint64_t nr_scanned)
{
	wide before = pass->left;

	if (returned == SHRINK_STOP) {
		pass->stopped = true;
		return;
	}
	pass->calls++;
	pass->freed += returned;
	pass->scanned += nr_scanned;
	pass->left = i64(before - nr_scanned);
	if (before <= 0 || pass->left >= before)
		if (++pass->fruitless == pass->stall_limit)
			pass->stalled = true;
}

/* Step 7: objects that are added to the counter. */
static inline int64_t pass_defers(const struct pass_model *pass)
{
	wide next = i64(pass->nr + pass->delta - pass->scanned);
	wide cap = i64(2 * pass->freeable);

	if (next < 0)
		next = 0;
	return i64(next < cap ? next : cap);
}

/* Objects freed, as in the end event: the low 32 bits. */
static inline int pass_retval(const struct pass_model *pass)
{
	return (int)(u64(pass->freed) << 32 >> 32);
}

#endif /* FUZZ_PASS_MODEL_H */
