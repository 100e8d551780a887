/* SPDX-License-Identifier: MIT */
/*
 * One pass on raw numbers: do_shrink_slab() itself, on a shrinker, a walk and a
 * domain on the stack.  Nothing else can reach them, so the pass needs neither a
 * registry nor a lock.  Its numbers are read from its events.
 *
 * Passes of the older eras have a loop of their own: no walk computes them.
 */
#include <string.h>

#include <shrinker/one_pass.h>

#include "domain.h"
#include "eras.h"

struct scratch {
	struct event_sink sink;
	struct reclaim_domain domain;
	struct walker walk;
	struct shrinker shrinker;
	struct one_pass *pass;
};

static void observe(struct event_sink *sink, const struct shrink_event *event)
{
	/* The sink is the first member. */
	struct one_pass *pass = ((struct scratch *)sink)->pass;

	if (event->type == SHRINK_EVENT_START) {
		pass->emitted = true;
		pass->nr_before = event->nr;
		pass->freeable = event->freeable;
		pass->delta = event->delta;
		pass->total_scan = event->total_scan;
	} else {
		pass->total_scan_left = event->total_scan;
		pass->nr_after = event->new_nr;
		pass->retval = event->retval;
	}
}

static unsigned long count(struct shrinker *shrinker, struct shrink_control *sc)
{
	const struct scratch *scratch = shrinker->private_data;

	(void)sc;
	return scratch->pass->count;
}

static unsigned long call_scan(struct one_pass *pass, unsigned long nr_to_scan,
			       unsigned long *nr_scanned)
{
	if (pass->calls == pass->max_calls) {
		pass->cut = true;
		return SHRINK_STOP;
	}
	if (pass->calls < pass->nr_sizes)
		pass->sizes[pass->calls] = nr_to_scan;
	pass->calls++;
	return pass->scan ? pass->scan(pass->arg, nr_to_scan, nr_scanned) :
			    nr_to_scan;
}

static unsigned long scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	const struct scratch *scratch = shrinker->private_data;

	return call_scan(scratch->pass, sc->nr_to_scan, &sc->nr_scanned);
}

/* Up to 5.12; the count is neither 0 nor SHRINK_EMPTY. */
static void run_older(struct one_pass *pass, const struct era_input *in)
{
	int64_t batch_size = scan_batch_size(pass->batch);
	enum pass_era era = (enum pass_era)pass->era;
	int64_t left;

	pass->emitted = true;
	pass->nr_before = pass->nr_deferred;
	pass->freeable = in->freeable;
	pass->delta = era_delta(era, in, pass->seeks, batch_size);
	pass->total_scan = era_total(era, pass->nr_before, pass->delta, in);
	left = pass->total_scan;
	pass->returned = 0;
	while (scan_wanted(left, batch_size, in->freeable)) {
		unsigned long nr_to_scan =
			(unsigned long)min_signed(batch_size, left);
		unsigned long nr_scanned = nr_to_scan;
		unsigned long freed = call_scan(pass, nr_to_scan, &nr_scanned);

		if (freed == SHRINK_STOP)
			break;
		pass->returned += freed;
		left = wrap_sub(left, (int64_t)nr_scanned);
	}
	pass->total_scan_left = left;
	pass->retval = (int)(uint32_t)pass->returned;
	/* Taking over the counter has left 0 there. */
	pass->nr_deferred = era_deferred(era, pass->nr_before, pass->delta,
					 pass->total_scan, left, in->freeable);
	pass->nr_after = pass->nr_deferred;
}

static bool divides_by_zero(const struct one_pass *pass,
			    const struct era_input *in)
{
	return era_counts_pages((enum pass_era)pass->era) &&
	       (!pass->seeks || !era_lru_divisor(in));
}

bool one_pass_run(struct one_pass *pass)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };
	const struct era_input in = { (int64_t)pass->count, pass->priority,
				      pass->pgs_scanned, pass->lru_pgs };
	struct scratch scratch;

	if (!priority_is_valid(pass->priority) || pass->era < 0 ||
	    pass->era >= PASS_NR_ERAS || divides_by_zero(pass, &in))
		return false;
	pass->calls = 0;
	pass->cut = pass->emitted = false;
	if (pass->era != PASS_ERA_C) {
		pass->returned = pass->count;
		if (pass->count && pass->count != SHRINK_EMPTY)
			run_older(pass, &in);
		return true;
	}

	memset(&scratch, 0, sizeof(scratch));
	scratch.sink.emit = observe;
	scratch.pass = pass;
	scratch.domain.nr_nodes = 1;
	atomic_store(&scratch.domain.event_sink, &scratch.sink);
	scratch.walk.domain = &scratch.domain;
	scratch.shrinker.domain = &scratch.domain;
	scratch.shrinker.count_objects = count;
	scratch.shrinker.scan_objects = scan;
	scratch.shrinker.private_data = &scratch;
	scratch.shrinker.seeks = pass->seeks;
	scratch.shrinker.batch = pass->batch;
	scratch.shrinker.id = -1;
	scratch.shrinker.nr_deferred = &scratch.shrinker.deferred_here;
	atomic_store(&scratch.shrinker.deferred_here, pass->nr_deferred);

	pass->returned = do_shrink_slab(&scratch.walk, &sc, &scratch.shrinker,
					pass->priority);
	pass->nr_deferred = atomic_load(&scratch.shrinker.deferred_here);
	return true;
}
