/* SPDX-License-Identifier: MIT */
/*
 * One pass over one shrinker, step by step (docs/specification.md, "One pass"):
 *
 *	count = count_objects()
 *	pass_wants_scans(), with the count
 *	pass_begin_scans()
 *	while pass_wants_call()
 *		pass_account(), with what scan_objects() returned
 *	pass_end_scans()
 *
 * In steps, because two loops make the calls: that of slab.c, and a host's
 * (hosted.c).  Inline: a pass with nothing to do is about as fast as one call.
 */
#ifndef SHRINKER_PASS_H
#define SHRINKER_PASS_H

#include "counts.h"
#include "scan.h"
#include "single_thread.h"

/**
 * struct pass - the state of one pass
 * @walk: holds @shrinker
 * @shrinker: whose callbacks are called
 * @sc: argument of the callbacks
 * @priority: of the walk
 * @batch_size: objects in one scan call; read before the count
 * @freeable: objects that the shrinker counted
 *
 * pass_begin_scans() sets the rest:
 *
 * @counter: the shrinker's deferred objects
 * @nr: deferred objects that the pass has taken over
 * @delta: scan_delta() of the pass
 * @total_scan: scan_total() of the pass
 * @left: objects of @total_scan that are not scanned yet
 * @least: the least @left with which it makes another call
 * @calls: scan calls that were accounted
 * @freed: objects that they freed, modulo 2^64
 * @fruitless: those of @calls that made no progress
 */
struct pass {
	struct walker *walk;
	struct shrinker *shrinker;
	struct shrink_control *sc;
	int priority;
	int64_t batch_size;
	int64_t freeable;
	_Atomic(int64_t) *counter;
	int64_t nr;
	uint64_t delta;
	int64_t total_scan;
	int64_t left;
	int64_t least;
	uint64_t calls;
	uint64_t freed;
	unsigned long fruitless;
};

#pragma GCC visibility push(hidden)

/* pass.c: what runs seldom. */
_Atomic(int64_t) *deferred_elsewhere(struct shrinker *shrinker,
				     const struct shrink_control *sc);
void emit_start(const struct shrinker *shrinker,
		 const struct shrink_control *sc, int64_t nr, int64_t freeable,
		 uint64_t delta, int64_t total_scan, int priority);
void emit_end(const struct shrinker *shrinker, const struct shrink_control *sc,
	       int64_t nr, int64_t new_nr, int64_t total_scan, uint64_t freed);
void count_shared(struct shrinker *shrinker, uint64_t calls, uint64_t scanned,
		  uint64_t freed);
void count_stall(struct shrinker *shrinker);

#pragma GCC visibility pop

/*
 * Whether a shrinker has no host, its deferred work is in @deferred_here, and its
 * batch is read before the count.  Most shrinkers are plain.  One test of the flags
 * answers all three questions.
 */
static inline bool is_plain(const struct shrinker *shrinker)
{
	return likely(!(shrinker->flags &
			(SHRINKER_HOSTED | SHRINKER_NUMA_AWARE |
			 SHRINKER_MEMCG_AWARE | RECLAIM_BATCH_BY_COUNT)));
}

/* The shrinker's deferred objects on this node and in this group. */
static inline _Atomic(int64_t) *deferred_counter(struct shrinker *shrinker,
						 const struct shrink_control *sc)
{
	return is_plain(shrinker) ? &shrinker->deferred_here :
				    deferred_elsewhere(shrinker, sc);
}

/* Exchanges with 0; a counter that reads 0 needs no exchange. */
static inline int64_t take_deferred(_Atomic(int64_t) *counter)
{
	if (!atomic_load_explicit(counter, memory_order_relaxed))
		return 0;
	return shared_exchange(counter, 0);
}

/*
 * take_deferred() and put_deferred() at once, for a pass that makes no scan call
 * between them.  Other walks see the counter as it was before both or is after
 * both, and never the 0 between, which they might have missed anyway.
 *
 * Return: false, and nothing has changed, where the counter is not @nr any more.
 */
static inline bool swap_deferred(_Atomic(int64_t) *counter, int64_t nr,
				 int64_t next)
{
	return next == nr || shared_replace(counter, nr, next);
}

/* Adds @next; returns the sum, which includes what other walks added meanwhile. */
static inline int64_t put_deferred(_Atomic(int64_t) *counter, int64_t next)
{
	if (!next)
		return atomic_load_explicit(counter, memory_order_relaxed);
	return shared_add(counter, next);
}

/*
 * Only one walk at a time has a record, so its counters need no atomic addition.
 * The next walk sees them: the record is claimed with acquire order
 * (walker_claim()) after it was given back with release order (walk_end()).
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

static inline bool wants_events(const struct walker *walk)
{
	return unlikely(atomic_load_explicit(&walk->domain->event_sink,
					     memory_order_relaxed));
}

/**
 * pass_wants_scans - go on after the count
 * @counter: the shrinker's deferred objects
 * @batch_size: scan_batch_size() of the shrinker, from before the count
 * @count: what count_objects() returned
 * @ret: receives what the pass returns, where it is over
 *
 * Finishes a pass that scans nothing and whose events are not wanted.
 *
 * Return: false where the pass is over.
 */
static inline __attribute__((always_inline)) bool
pass_wants_scans(struct walker *walk,
		 struct shrinker *shrinker, _Atomic(int64_t) *counter,
		 int priority, int64_t batch_size, uint64_t count,
		 unsigned long *ret)
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
				 batch_size, freeable) ||
		     wants_events(walk) ||
		     !swap_deferred(counter, nr,
				    scan_deferred(nr, delta, 0, freeable))))
		return true;
	count_pass(walk, shrinker, 0, 0, 0);
	return false;
}

/**
 * pass_begin_scans - take the deferred work over
 * @pass: filled in up to @freeable; the rest is 0
 *
 * Computes delta and total_scan again.  If pass_wants_scans() kept them for this,
 * passes that scan nothing would be slower.
 */
static inline void pass_begin_scans(struct pass *pass)
{
	struct shrinker *shrinker = pass->shrinker;

	pass->counter = deferred_counter(shrinker, pass->sc);
	pass->delta = scan_delta(pass->freeable, pass->priority, shrinker->seeks);
	pass->nr = take_deferred(pass->counter);
	pass->total_scan = scan_total(pass->nr, pass->delta, pass->freeable,
				      pass->priority);
	pass->left = pass->total_scan;
	pass->least = scan_least(pass->batch_size, pass->freeable);
	/* The fields, not a pointer to the pass: so the pass can stay in registers. */
	if (wants_events(pass->walk))
		emit_start(shrinker, pass->sc, pass->nr, pass->freeable,
			    pass->delta, pass->total_scan, pass->priority);
}

/**
 * pass_wants_call - check whether there is a scan call to make
 *
 * Return: true where there is; @sc is ready for it then.
 */
static inline bool pass_wants_call(struct pass *pass)
{
	struct shrink_control *sc = pass->sc;

	/* A callback may have freed its own shrinker: it gets no further call. */
	if (pass->left < pass->least || unlikely(is_unlinked(pass->shrinker)))
		return false;
	/* min_signed() as a branch, which the processor predicts: the call need not
	 * wait for the result of the one before it. */
	sc->nr_to_scan = (unsigned long)pass->batch_size;
	if (unlikely(pass->left < pass->batch_size))
		sc->nr_to_scan = (unsigned long)pass->left;
	sc->nr_scanned = sc->nr_to_scan;
	return true;
}

/**
 * pass_account - account a scan call
 * @ret: what scan_objects() returned
 *
 * Return: false where the pass ends with this call.
 */
static inline bool pass_account(struct pass *pass, unsigned long ret)
{
	int64_t before = pass->left;

	if (ret == SHRINK_STOP || unlikely(pass->walk->stop))
		return false;
	pass->calls++;
	pass->freed += ret;
	pass->left = wrap_sub(before, (int64_t)pass->sc->nr_scanned);

	/* Without a limit, as in a kernel, some callbacks keep a pass for ever. */
	if (likely(before > 0) && likely(pass->left < before))
		return true;
	if (++pass->fruitless != pass->walk->domain->stall_limit)
		return true;
	count_stall(pass->shrinker);
	return false;
}

/**
 * pass_end_scans - defer the work that is left
 */
static inline void pass_end_scans(struct pass *pass)
{
	int64_t scanned = wrap_sub(pass->total_scan, pass->left);
	int64_t new_nr = put_deferred(pass->counter,
				      scan_deferred(pass->nr, pass->delta,
						    scanned, pass->freeable));

	if (wants_events(pass->walk))
		emit_end(pass->shrinker, pass->sc, pass->nr, new_nr, pass->left,
			  pass->freed);
	count_pass(pass->walk, pass->shrinker, pass->calls, (uint64_t)scanned,
		   pass->freed);
}

#endif /* SHRINKER_PASS_H */
