/* SPDX-License-Identifier: MIT */
/*
 * The parts of a pass that run seldom: deferred work by node and group, events,
 * counters of walks without a spare record, stalls.
 */
#include "memcg.h"
#include "pass.h"

_Atomic(int64_t) *deferred_elsewhere(struct shrinker *shrinker,
				     const struct shrink_control *sc)
{
	if (shrinker->id >= 0)
		return memcg_deferred(sc->memcg,
				      shrinker->flags & SHRINKER_NUMA_AWARE ?
					      sc->nid : 0,
				      shrinker->id);
	if (shrinker->nr_deferred == &shrinker->deferred_here)
		return &shrinker->deferred_here;
	return &shrinker->nr_deferred[sc->nid];
}

__attribute__((cold)) void
emit_start(const struct shrinker *shrinker, const struct shrink_control *sc,
	    int64_t nr, int64_t freeable, uint64_t delta, int64_t total_scan,
	    int priority)
{
	struct shrink_event event = {
		.type = SHRINK_EVENT_START,
		.label = shrinker->label,
		.shrinker = (uintptr_t)shrinker,
		.scan_objects = (uintptr_t)shrinker->scan_objects,
		.nid = sc->nid,
		.gfp_mask = sc->gfp_mask,
		.priority = priority,
		.nr = nr,
		.total_scan = total_scan,
		.freeable = freeable,
		.delta = delta,
	};

	event_emit(shrinker->domain, &event);
}

__attribute__((cold)) void
emit_end(const struct shrinker *shrinker, const struct shrink_control *sc,
	  int64_t nr, int64_t new_nr, int64_t total_scan, uint64_t freed)
{
	struct shrink_event event = {
		.type = SHRINK_EVENT_END,
		.label = shrinker->label,
		.shrinker = (uintptr_t)shrinker,
		.scan_objects = (uintptr_t)shrinker->scan_objects,
		.nid = sc->nid,
		.retval = (int)(uint32_t)freed,
		.nr = nr,
		.total_scan = total_scan,
		.new_nr = new_nr,
	};

	event_emit(shrinker->domain, &event);
}

void count_shared(struct shrinker *shrinker, uint64_t calls, uint64_t scanned,
		  uint64_t freed)
{
	atomic_fetch_add_explicit(&shrinker->counted.passes, 1,
				  memory_order_relaxed);
	if (!calls)
		return;
	atomic_fetch_add_explicit(&shrinker->counted.scan_calls, calls,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&shrinker->counted.scanned, scanned,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&shrinker->counted.freed, freed,
				  memory_order_relaxed);
}

__attribute__((cold)) void count_stall(struct shrinker *shrinker)
{
	atomic_fetch_add(&shrinker->counted.stalled, 1);
	atomic_fetch_add(&shrinker->domain->stalled, 1);
}
