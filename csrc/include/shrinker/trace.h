/* SPDX-License-Identifier: MIT */
/*
 * Trace events of passes that run here.  A domain has at most one trace at a
 * time; while it has none, a pass pays one load for it.
 *
 * Writers never wait: events go into chunks that are claimed by an atomic
 * counter.  Past the limit, or where memory runs out, events are counted as
 * lost; close to the limit, several writers at once may lose a few that would
 * have had room.  A trace ends in the child of a fork().
 */
#ifndef SHRINKER_TRACE_H
#define SHRINKER_TRACE_H

#include <shrinker/types.h>

enum shrink_event_type {
	SHRINK_EVENT_START = 1,
	SHRINK_EVENT_END = 2,
};

/**
 * struct shrink_event - one event
 * @type: enum shrink_event_type
 * @label: the shrinker's, see shrinker_set_label()
 * @shrinker: tells shrinkers apart; not to be followed
 * @scan_objects: address of the callback
 * @nid: node of the walk
 * @nr: deferred objects that the pass has taken over
 * @total_scan: start: objects to scan; end: objects left
 * @gfp_mask: start only
 * @priority: start only
 * @freeable: start only; objects counted
 * @delta: start only; objects added to @nr
 * @new_nr: end only; the deferred counter after the pass
 * @retval: end only; objects freed, cut to 32 bits
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
 * reclaim_trace_start - begin to record the domain's events
 * @limit: events kept at most, until they are read
 *
 * Return: 0; -EBUSY where the domain is being traced already, -ENOMEM.
 */
int reclaim_trace_start(struct reclaim_domain *domain, unsigned long limit);

/**
 * reclaim_trace_read - take the oldest events out of the record
 * @events: receives up to @max events
 *
 * Events of one thread come in their order.  One reader at a time.
 *
 * Return: how many there were.
 */
unsigned long reclaim_trace_read(struct reclaim_domain *domain,
				 struct shrink_event *events, unsigned long max);

/**
 * reclaim_trace_lost - events that had no room so far
 */
unsigned long reclaim_trace_lost(struct reclaim_domain *domain);

/**
 * reclaim_trace_stop - end recording and forget what was not read
 */
void reclaim_trace_stop(struct reclaim_domain *domain);

#endif /* SHRINKER_TRACE_H */
