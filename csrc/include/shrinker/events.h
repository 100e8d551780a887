/* SPDX-License-Identifier: MIT */
/*
 * Trace events of the passes that run here: a start and an end for each pass that
 * gets past its count.  A domain keeps them between reclaim_trace_start() and
 * reclaim_trace_stop().  Otherwise a pass pays one load for them.
 *
 * Passes never wait.  Each event goes into a place that an atomic counter gives
 * out.  Events past the limit, or without memory, are counted as lost.  Close to
 * the limit, several passes at once may lose a few events that would have had
 * room.  In the child of a fork() no domain keeps events.
 */
#ifndef SHRINKER_EVENTS_H
#define SHRINKER_EVENTS_H

#include <shrinker/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum shrink_event_type {
	SHRINK_EVENT_START = 1,
	SHRINK_EVENT_END = 2,
};

/**
 * struct shrink_event - one event
 * @type: enum shrink_event_type
 * @label: the shrinker's label, see shrinker_set_label()
 * @shrinker: tells shrinkers apart; do not dereference it
 * @scan_objects: address of the callback
 * @nid: memory node of the walk
 * @nr: deferred objects that the pass has taken over
 * @total_scan: start: objects to scan; end: objects not scanned
 * @gfp_mask: start only
 * @priority: start only
 * @freeable: start only; objects counted
 * @delta: start only; objects added to @nr
 * @new_nr: end only; deferred objects after the pass
 * @retval: end only; objects freed, the low 32 bits
 */
struct shrink_event {
	int type;
	uint32_t label;
	uintptr_t shrinker;
	uintptr_t scan_objects;
	int nid;
	gfp_t gfp_mask;
	int priority;
	int retval;
	int64_t nr;
	int64_t total_scan;
	int64_t freeable;
	uint64_t delta;
	int64_t new_nr;
};

/**
 * reclaim_trace_start - begin to keep the domain's events
 * @limit: events kept at most until they are read
 *
 * Return: 0; -EBUSY where the domain keeps events already, -ENOMEM.
 */
int reclaim_trace_start(struct reclaim_domain *domain, unsigned long limit);

/**
 * reclaim_trace_read - take out the oldest events
 * @events: receives up to @max events
 *
 * Events of one thread come in their order.
 *
 * Context: one reader at a time, and no reclaim_trace_stop() meanwhile.
 * Return: the number of events.
 */
unsigned long reclaim_trace_read(struct reclaim_domain *domain,
				 struct shrink_event *events, unsigned long max);

/**
 * reclaim_trace_lost - events lost since reclaim_trace_start()
 *
 * Context: no reclaim_trace_stop() meanwhile.
 */
unsigned long reclaim_trace_lost(struct reclaim_domain *domain);

/**
 * reclaim_trace_stop - keep no more events, and drop those that were not read
 *
 * Does nothing where the domain keeps none.
 *
 * Context: waits for passes that are storing an event; they do not block.
 */
void reclaim_trace_stop(struct reclaim_domain *domain);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_EVENTS_H */
