/* SPDX-License-Identifier: MIT */
/*
 * One pass on raw numbers: do_shrink_slab() itself, on a shrinker, a walk and a
 * domain that live on the stack.  Nothing else knows them, so the pass needs
 * neither registry nor lock; its numbers are read from its trace events.
 */
#include <string.h>

#include <shrinker/one_pass.h>

#include "domain.h"

struct scratch {
	struct trace_sink sink;
	struct reclaim_domain domain;
	struct walker walk;
	struct shrinker shrinker;
	struct one_pass *pass;
};

static void observe(struct trace_sink *sink, const struct shrink_event *event)
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

static unsigned long scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	const struct scratch *scratch = shrinker->private_data;
	struct one_pass *pass = scratch->pass;

	if (pass->calls == pass->max_calls) {
		pass->cut = true;
		return SHRINK_STOP;
	}
	if (pass->calls < pass->nr_sizes)
		pass->sizes[pass->calls] = sc->nr_to_scan;
	pass->calls++;
	if (!pass->scan)
		return sc->nr_to_scan;
	return pass->scan(pass->arg, sc->nr_to_scan, &sc->nr_scanned);
}

bool one_pass_run(struct one_pass *pass)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };
	struct scratch scratch;

	if (!priority_is_valid(pass->priority))
		return false;
	pass->calls = 0;
	pass->cut = pass->emitted = false;

	memset(&scratch, 0, sizeof(scratch));
	scratch.sink.emit = observe;
	scratch.pass = pass;
	scratch.domain.nr_nodes = 1;
	atomic_store(&scratch.domain.trace, &scratch.sink);
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
