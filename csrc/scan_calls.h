/* SPDX-License-Identifier: MIT */
/*
 * The scan calls of one pass, step by step: docs/specification.md, "One pass".
 *
 * Steps, because the loop around them is not always in C.  Going into a runtime
 * costs more than all else that a call needs, so a host may stay inside and make
 * all calls of a pass from there.
 */
#ifndef SHRINKER_SCAN_CALLS_H
#define SHRINKER_SCAN_CALLS_H

#include "domain.h"
#include "scan.h"

/**
 * struct reclaim_scan_calls - the scan calls of a pass under way
 * @walk: holds @shrinker
 * @shrinker: whose callback is called
 * @sc: what the callback is told, and tells
 * @freeable: what the pass counted
 * @batch_size: of the pass
 * @left: objects left to scan
 * @calls: made and accounted so far
 * @freed: by them, modulo 2^64
 * @fruitless: calls that have brought @left no nearer to an end
 */
struct reclaim_scan_calls {
	struct walker *walk;
	struct shrinker *shrinker;
	struct shrink_control *sc;
	int64_t freeable;
	int64_t batch_size;
	int64_t left;
	uint64_t calls;
	uint64_t freed;
	unsigned long fruitless;
};

#pragma GCC visibility push(hidden)

/* slab.c */
void count_stall(struct shrinker *shrinker);

#pragma GCC visibility pop

/*
 * Return: whether there is another call to make; if so, @sc is ready for it.
 */
static inline bool scan_calls_next(struct reclaim_scan_calls *calls)
{
	struct shrink_control *sc = calls->sc;

	/* No further callback of a shrinker that was freed by one of its own. */
	if (!scan_wanted(calls->left, calls->batch_size, calls->freeable) ||
	    unlikely(is_unlinked(calls->shrinker)))
		return false;
	/* min_signed(), as a branch, so that a call need not wait for what the
	 * one before it says. */
	sc->nr_to_scan = (unsigned long)calls->batch_size;
	if (unlikely(calls->left < calls->batch_size))
		sc->nr_to_scan = (unsigned long)calls->left;
	sc->nr_scanned = sc->nr_to_scan;
	return true;
}

/*
 * A call has returned @ret.
 *
 * Return: false where that ends the pass.
 */
static inline bool scan_calls_account(struct reclaim_scan_calls *calls,
				      unsigned long ret)
{
	int64_t before = calls->left;

	if (ret == SHRINK_STOP || unlikely(calls->walk->stop))
		return false;
	calls->calls++;
	calls->freed += ret;
	calls->left = wrap_sub(before, (int64_t)calls->sc->nr_scanned);

	/* A kernel would go on for ever with some callbacks. */
	if (unlikely(before <= 0 || calls->left >= before) &&
	    ++calls->fruitless == calls->walk->domain->stall_limit) {
		count_stall(calls->shrinker);
		return false;
	}
	return true;
}

#endif /* SHRINKER_SCAN_CALLS_H */
