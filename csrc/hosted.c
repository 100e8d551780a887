/* SPDX-License-Identifier: MIT */
/*
 * Passes whose callbacks a host calls.
 *
 * Going into a runtime costs more than the rest of a call.  So the core calls the
 * host's run() once, for a row of passes, and the host asks the core what to call:
 * after each callback reclaim_called() says whether to scan; after each pass
 * reclaim_next() says which shrinker of this host is next, or that the row has
 * ended.  struct reclaim_calls is the state between these questions.
 */
#include "hosted.h"
#include "pass.h"
#include "walk.h"

/**
 * struct reclaim_calls - the state of one run()
 * @pass: the current pass, or the last one
 * @fresh: shrink_control that each pass begins with
 * @due: a callback is due: the host has not said yet what it returned
 * @scanning: the callback is scan_objects()
 * @goes_on: the host may take the walk to other shrinkers
 * @moved: the walk is at a shrinker that is not the host's, or at its end
 * @next: that shrinker; NULL: the end
 * @ret: what the last pass returned
 * @freed: objects freed by all passes, modulo 2^64
 */
struct reclaim_calls {
	struct pass pass;
	struct shrink_control fresh;
	bool due;
	bool scanning;
	bool goes_on;
	bool moved;
	struct shrinker *next;
	unsigned long ret;
	unsigned long freed;
};

static void begin_pass(struct reclaim_calls *calls, struct shrinker *shrinker)
{
	calls->pass = (struct pass){ .walk = calls->pass.walk,
				     .shrinker = shrinker,
				     .sc = calls->pass.sc,
				     .priority = calls->pass.priority,
				     .batch_size = scan_batch_size(shrinker->batch) };
	*calls->pass.sc = calls->fresh;
	calls->scanning = false;
	calls->due = true;
}

static bool end_pass(struct reclaim_calls *calls, unsigned long ret)
{
	calls->ret = ret;
	if (ret != SHRINK_EMPTY)
		calls->freed += ret;
	calls->due = false;
	return false;
}

bool reclaim_called(struct reclaim_calls *calls, unsigned long ret)
{
	struct pass *pass = &calls->pass;

	if (!calls->due)
		return false;
	if (!calls->scanning) {
		unsigned long over;

		if (pass->shrinker->flags & RECLAIM_BATCH_BY_COUNT)
			pass->batch_size = scan_batch_size(pass->shrinker->batch);
		if (!pass_wants_scans(pass->walk, pass->shrinker,
				      deferred_counter(pass->shrinker, pass->sc),
				      pass->priority, pass->batch_size, ret,
				      &over))
			return end_pass(calls, over);
		pass->freeable = (int64_t)ret;
		pass_begin_scans(pass);
		calls->scanning = true;
	} else if (!pass_account(pass, ret)) {
		pass_end_scans(pass);
		return end_pass(calls, pass->freed);
	}
	if (pass_wants_call(pass))
		return true;
	pass_end_scans(pass);
	return end_pass(calls, pass->freed);
}

struct shrinker *reclaim_next(struct reclaim_calls *calls)
{
	struct walker *walk = calls->pass.walk;
	struct shrinker *next;

	if (calls->due || calls->moved || !calls->goes_on || walk->stop)
		return NULL;
	/* The host must not be left while its run() is on the stack. */
	walk->runs = true;
	next = walk_next(walk);
	walk->runs = false;
	if (!next || host_of(next) != walk->host) {
		calls->moved = true;
		calls->next = next;
		return NULL;
	}
	begin_pass(calls, next);
	return next;
}

static void run(struct reclaim_calls *calls, struct walker *walk,
		struct shrink_control *sc, struct shrinker *shrinker, int priority)
{
	calls->pass = (struct pass){ .walk = walk, .sc = sc, .priority = priority };
	calls->fresh = *sc;
	calls->fresh.nr_to_scan = calls->fresh.nr_scanned = 0;
	begin_pass(calls, shrinker);
	shrinker->host->run(&walk->host_state, shrinker, sc, calls);
	/* No answer counts as 0, or as SHRINK_STOP for a scan. */
	if (calls->due)
		reclaim_called(calls, calls->scanning ? SHRINK_STOP : 0);
}

/**
 * hosted_pass - do_shrink_slab() where the host calls the callbacks
 */
unsigned long hosted_pass(struct walker *walk, struct shrink_control *sc,
			  struct shrinker *shrinker, int priority)
{
	struct reclaim_calls calls = { .goes_on = false };

	run(&calls, walk, sc, shrinker, priority);
	return calls.ret;
}

/**
 * hosted_passes - passes over a shrinker and the host's shrinkers after it
 * @sc: memory for the shrink_control of each pass
 * @shrinker: the walk is at it
 * @freed: the objects that the passes freed are added to it
 * @next: receives the shrinker that the walk is at afterwards, if that is another
 *	host's or has none; otherwise NULL
 *
 * Return: false where the walk is over.
 */
bool hosted_passes(struct walker *walk, struct shrink_control *sc,
		   struct shrinker *shrinker, int priority, unsigned long *freed,
		   struct shrinker **next)
{
	struct reclaim_calls calls = { .goes_on = true };

	run(&calls, walk, sc, shrinker, priority);
	*freed += calls.freed;
	*next = calls.next;
	return !calls.moved || calls.next;
}
