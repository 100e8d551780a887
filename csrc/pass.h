/* SPDX-License-Identifier: MIT */
/*
 * One pass over one shrinker, step by step: docs/specification.md, "One pass".
 *
 *	count = count_objects()
 *	pass_wants_scans(), with the count
 *	pass_begin_scans()
 *	while pass_wants_call()
 *		pass_account(), with what scan_objects() returned
 *	pass_end_scans()
 *
 * Steps, because what makes the calls is not always the loop of slab.c: hosted.c.
 * Inline, because a pass with nothing to do costs about as much as one call.
 */
#ifndef SHRINKER_PASS_H
#define SHRINKER_PASS_H

#include "counts.h"
#include "scan.h"

/**
 * struct pass - where a pass is
 * @walk: holds @shrinker
 * @shrinker: whose callbacks are called
 * @sc: what they are told, and tell
 * @priority: of the walk
 * @freeable: what the shrinker counted
 *
 * The rest is set by pass_begin_scans():
 *
 * @counter: the shrinker's deferred work
 * @nr: deferred work that the pass has taken over
 * @delta: scan_delta() of the pass
 * @total_scan: scan_total() of the pass
 * @batch_size: objects in one scan call
 * @left: of @total_scan, not scanned yet
 * @calls: scan calls accounted so far
 * @freed: by them, modulo 2^64
 * @fruitless: those that have brought @left no nearer to an end
 */
struct pass {
	struct walker *walk;
	struct shrinker *shrinker;
	struct shrink_control *sc;
	int priority;
	int64_t freeable;
	_Atomic(int64_t) *counter;
	int64_t nr;
	uint64_t delta;
	int64_t total_scan;
	int64_t batch_size;
	int64_t left;
	uint64_t calls;
	uint64_t freed;
	unsigned long fruitless;
};

#pragma GCC visibility push(hidden)

/* pass.c: what happens seldom. */
_Atomic(int64_t) *deferred_elsewhere(struct shrinker *shrinker,
				     const struct shrink_control *sc);
void trace_start(const struct shrinker *shrinker,
		 const struct shrink_control *sc, int64_t nr, int64_t freeable,
		 uint64_t delta, int64_t total_scan, int priority);
void trace_end(const struct shrinker *shrinker, const struct shrink_control *sc,
	       int64_t nr, int64_t new_nr, int64_t total_scan, uint64_t freed);
void count_shared(struct shrinker *shrinker, uint64_t calls, uint64_t scanned,
		  uint64_t freed);
void count_stall(struct shrinker *shrinker);

#pragma GCC visibility pop

/*
 * Neither a host nor deferred work elsewhere: what most shrinkers are, and found
 * out by one look for all that a pass has to know about it.
 */
static inline bool is_plain(const struct shrinker *shrinker)
{
	return likely(!(shrinker->flags & (SHRINKER_HOSTED | SHRINKER_NUMA_AWARE |
					   SHRINKER_MEMCG_AWARE)));
}

/* The counter of work that passes of this shrinker put off, on this node. */
static inline _Atomic(int64_t) *deferred_counter(struct shrinker *shrinker,
						 const struct shrink_control *sc)
{
	return is_plain(shrinker) ? &shrinker->deferred_here :
				    deferred_elsewhere(shrinker, sc);
}

/* Exchange with 0; a counter that reads 0 needs no exchange. */
static inline int64_t take_deferred(_Atomic(int64_t) *counter)
{
	if (!atomic_load_explicit(counter, memory_order_relaxed))
		return 0;
	return atomic_exchange(counter, 0);
}

/*
 * The exchange with 0 and the addition of a pass that calls nothing between
 * them, in one: other walks may see the counter as it was and as it is after
 * both, and nobody can tell that there was no 0.
 *
 * Return: false, and nothing has changed, where the counter is not @nr any more.
 */
static inline bool swap_deferred(_Atomic(int64_t) *counter, int64_t nr,
				 int64_t next)
{
	return next == nr || atomic_compare_exchange_strong(counter, &nr, next);
}

/* Adds and returns the sum, with what other walks have added meanwhile. */
static inline int64_t put_deferred(_Atomic(int64_t) *counter, int64_t next)
{
	if (!next)
		return atomic_load_explicit(counter, memory_order_relaxed);
	return wrap_add(atomic_fetch_add(counter, next), next);
}

/*
 * Only one walk at a time has a record, and what it leaves in the record's
 * counters is there for the next one, by the release and acquire of the record.
 * So it needs no atomic addition.
 */
static inline void count_pass(struct walker *walk, struct shrinker *shrinker,
			      uint64_t calls, uint64_t scanned, uint64_t freed)
{
	_Atomic(uint64_t) *alone;

	counter_add(&walk->counted.passes, 1);
	if (calls) {
		counter_add(&walk->counted.scan_calls, calls);
		counter_add(&walk->counted.scanned, scanned);
		counter_add(&walk->counted.freed, freed);
	}
	if (unlikely(!walk->counts_alone)) {
		count_shared(shrinker, calls, scanned, freed);
		return;
	}
	alone = shrinker->counted_alone + walk->counts_at;
	counter_add(&alone[COUNTED_PASSES], 1);
	if (calls) {
		counter_add(&alone[COUNTED_SCAN_CALLS], calls);
		counter_add(&alone[COUNTED_SCANNED], scanned);
		counter_add(&alone[COUNTED_FREED], freed);
	}
}

static inline bool is_traced(const struct walker *walk)
{
	return unlikely(atomic_load_explicit(&walk->domain->trace,
					     memory_order_relaxed));
}

/**
 * pass_wants_scans - the shrinker has counted
 * @counter: its deferred work
 * @count: what it said
 * @ret: what the pass returns, where it is over
 *
 * A pass which scans nothing, and that nobody traces, is done with here.
 *
 * Return: false where the pass is over.
 */
static inline __attribute__((always_inline)) bool
pass_wants_scans(struct walker *walk,
		 struct shrinker *shrinker, _Atomic(int64_t) *counter,
		 int priority, uint64_t count, unsigned long *ret)
{
	int64_t freeable, nr;
	uint64_t delta;

	*ret = count;
	if (count == 0 || count == SHRINK_EMPTY)
		return false;
	*ret = 0;
	if (unlikely(walk->stop))
		return false;
	freeable = (int64_t)count;
	delta = scan_delta(freeable, priority, shrinker->seeks);

	nr = atomic_load_explicit(counter, memory_order_relaxed);
	if (unlikely(scan_wanted(scan_total(nr, delta, freeable, priority),
				 scan_batch_size(shrinker->batch), freeable) ||
		     is_traced(walk) ||
		     !swap_deferred(counter, nr,
				    scan_deferred(nr, delta, 0, freeable))))
		return true;
	count_pass(walk, shrinker, 0, 0, 0);
	return false;
}

/**
 * pass_begin_scans - take the deferred work over
 * @pass: filled in up to @freeable, and otherwise 0
 *
 * What was worked out to find out that there is something to scan is worked out
 * again: to keep it would take registers from passes that find out that there is
 * not.
 */
static inline void pass_begin_scans(struct pass *pass)
{
	struct shrinker *shrinker = pass->shrinker;

	pass->counter = deferred_counter(shrinker, pass->sc);
	pass->delta = scan_delta(pass->freeable, pass->priority, shrinker->seeks);
	pass->batch_size = scan_batch_size(shrinker->batch);
	pass->nr = take_deferred(pass->counter);
	pass->total_scan = scan_total(pass->nr, pass->delta, pass->freeable,
				      pass->priority);
	pass->left = pass->total_scan;
	/* No address of the pass, so that it can stay in registers. */
	if (is_traced(pass->walk))
		trace_start(shrinker, pass->sc, pass->nr, pass->freeable,
			    pass->delta, pass->total_scan, pass->priority);
}

/**
 * pass_wants_call - look whether there is a scan call to make
 *
 * Return: true, with @sc ready for it.
 */
static inline bool pass_wants_call(struct pass *pass)
{
	struct shrink_control *sc = pass->sc;

	/* No further callback of a shrinker that was freed by one of its own. */
	if (!scan_wanted(pass->left, pass->batch_size, pass->freeable) ||
	    unlikely(is_unlinked(pass->shrinker)))
		return false;
	/* min_signed(), as a branch, so that a call need not wait for what the
	 * one before it says. */
	sc->nr_to_scan = (unsigned long)pass->batch_size;
	if (unlikely(pass->left < pass->batch_size))
		sc->nr_to_scan = (unsigned long)pass->left;
	sc->nr_scanned = sc->nr_to_scan;
	return true;
}

/**
 * pass_account - a scan call is over
 * @ret: what it returned
 *
 * Return: false where that ends the pass.
 */
static inline bool pass_account(struct pass *pass, unsigned long ret)
{
	int64_t before = pass->left;

	if (ret == SHRINK_STOP || unlikely(pass->walk->stop))
		return false;
	pass->calls++;
	pass->freed += ret;
	pass->left = wrap_sub(before, (int64_t)pass->sc->nr_scanned);

	/* A kernel would go on for ever with some callbacks. */
	if (unlikely(before <= 0 || pass->left >= before) &&
	    ++pass->fruitless == pass->walk->domain->stall_limit) {
		count_stall(pass->shrinker);
		return false;
	}
	return true;
}

/**
 * pass_end_scans - put the work off that is left
 */
static inline void pass_end_scans(struct pass *pass)
{
	int64_t scanned = wrap_sub(pass->total_scan, pass->left);
	int64_t new_nr = put_deferred(pass->counter,
				      scan_deferred(pass->nr, pass->delta,
						    scanned, pass->freeable));

	if (is_traced(pass->walk))
		trace_end(pass->shrinker, pass->sc, pass->nr, new_nr, pass->left,
			  pass->freed);
	count_pass(pass->walk, pass->shrinker, pass->calls, (uint64_t)scanned,
		   pass->freed);
}

#endif /* SHRINKER_PASS_H */
