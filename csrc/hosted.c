/* SPDX-License-Identifier: MIT */
/*
 * Passes whose calls a host makes.
 *
 * To go into a runtime costs more than all else that a call needs.  So a host may
 * be told once to run, and asks back what to call next: whether to scan, and
 * behind the end of a pass for the next shrinker, as long as that is its own too.
 * struct reclaim_calls keeps where it is between its questions.
 */
#include "hosted.h"
#include "pass.h"
#include "walk.h"

/**
 * struct reclaim_calls - where a host is
 * @pass: under way, or over
 * @fresh: what each pass begins with
 * @due: a callback has been asked for, and what it returned is not known
 * @scanning: it is scan_objects()
 * @goes_on: the walk goes on to other shrinkers from here
 * @moved: it has gone on to what is not the host's
 * @next: where to; NULL: to the end
 * @ret: what the latest pass returned
 * @freed: by all of them, modulo 2^64
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
				     .priority = calls->pass.priority };
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

		if (!pass_wants_scans(pass->walk, pass->shrinker,
				      deferred_counter(pass->shrinker, pass->sc),
				      pass->priority, ret, &over))
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
	/* From inside of its calls the host cannot be left. */
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
	/* What is not known is what a callback says that cannot do anything. */
	if (calls->due)
		reclaim_called(calls, calls->scanning ? SHRINK_STOP : 0);
}

/**
 * hosted_pass - do_shrink_slab() where the host makes the calls
 */
unsigned long hosted_pass(struct walker *walk, struct shrink_control *sc,
			  struct shrinker *shrinker, int priority)
{
	struct reclaim_calls calls = { .goes_on = false };

	run(&calls, walk, sc, shrinker, priority);
	return calls.ret;
}

/**
 * hosted_passes - passes over a shrinker and others behind it
 * @sc: where each of them has its own
 * @shrinker: that the walk is at
 * @freed: what they freed is added to it
 * @next: receives the shrinker that the walk is at, where it has gone on to one
 *	that is not the host's; otherwise NULL
 *
 * Return: false where the walk is at its end.
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
