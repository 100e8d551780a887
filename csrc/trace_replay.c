// SPDX-License-Identifier: MIT
/*
 * The replay: pairs starts with ends, puts each pair through scan.h, and has
 * its deferred counter judged under both readings of the shrinker's NUMA
 * awareness (trace_state.h).
 */
#include "trace_state.h"

#include <stdlib.h>
#include <string.h>

#include "scan.h"

/* Starts in a row that contradict the seeks so far, and agree with each other,
 * before they are believed: the pointer is another shrinker's by now. */
#define SEEKS_TAKEOVER 8

/*
 * Starts.
 */

/* 0 where the delta of a start agrees with those before it, or the reason. */
static int add_seeks(struct shrinker_state *shrinker, const struct pass *pass)
{
	struct seeks_fit here = seeks_fit_of(pass->freeable, pass->priority,
					     (uint64_t)pass->delta);
	struct seeks_fit both = seeks_fit_both(shrinker->seeks, here);

	if (!seeks_fit_empty(both)) {
		shrinker->seeks = both;
		if (shrinker->rivals &&
		    seeks_fit_empty(seeks_fit_both(shrinker->rival, here)))
			shrinker->rivals = 0;
		return TRACE_REPLAY_EXACT;
	}
	if (seeks_fit_empty(here))
		return TRACE_REPLAY_DELTA;
	both = seeks_fit_both(shrinker->rival, here);
	if (shrinker->rivals && !seeks_fit_empty(both)) {
		shrinker->rival = both;
		shrinker->rivals++;
	} else {
		shrinker->rival = here;
		shrinker->rivals = 1;
	}
	if (shrinker->rivals == SEEKS_TAKEOVER) {
		shrinker->seeks = shrinker->rival;
		shrinker->rivals = 0;
		shrinker->seeks_changes++;
	}
	return TRACE_REPLAY_SEEKS;
}

/* What is wrong with a start by itself. */
static void check_start(struct shrinker_state *shrinker, struct pass *pass)
{
	int64_t total;

	pass->reason = TRACE_REPLAY_EXACT;
	if (pass->freeable == 0 ||
	    (uint64_t)pass->freeable == (uint64_t)SHRINK_EMPTY) {
		pass->reason = TRACE_REPLAY_FREEABLE;
		pass->recorded = pass->freeable;
		return;
	}
	if (pass->priority < 0 || pass->priority > SHRINK_MAX_PRIORITY) {
		pass->reason = TRACE_REPLAY_PRIORITY;
		pass->recorded = pass->priority;
		return;
	}
	pass->reason = add_seeks(shrinker, pass);
	if (pass->reason == TRACE_REPLAY_DELTA) {
		pass->recorded = pass->delta;
		pass->computed = pass->freeable;
		return;
	}
	if (pass->reason == TRACE_REPLAY_SEEKS) {
		/* The nearest that the seeks so far can give. */
		int seeks = shrinker->seeks.lo <= shrinker->seeks.hi ?
				    (int)shrinker->seeks.lo :
				    0;

		pass->recorded = pass->delta;
		pass->computed = (int64_t)scan_delta(pass->freeable,
						     pass->priority, seeks);
		return;
	}
	total = scan_total(pass->nr, (uint64_t)pass->delta, pass->freeable,
			   pass->priority);
	if (total != pass->total_scan) {
		pass->reason = TRACE_REPLAY_TOTAL_SCAN;
		pass->recorded = pass->total_scan;
		pass->computed = total;
	}
}

static struct pass **find_pass(struct trace_replay *replay, int32_t pid,
			       uint32_t shrinker)
{
	struct pass **p = &replay->pass_buckets[replay_hash((uint32_t)pid, shrinker)];

	while (*p && ((*p)->pid != pid || (*p)->shrinker != shrinker))
		p = &(*p)->next;
	return p;
}

static void free_pass(struct trace_replay *replay, struct pass **link)
{
	struct pass *pass = *link;

	*link = pass->next;
	pass->next = replay->free_passes;
	replay->free_passes = pass;
	replay->nr_passes--;
}

static void abandon(struct trace_replay *replay, struct pass **link)
{
	const struct pass *pass = *link;
	struct shrinker_state *shrinker = replay->shrinkers[pass->shrinker];

	for (int r = 0; r < TRACE_REPLAY_NR_READINGS; r++) {
		struct group *group = replay_group_of(shrinker, pass->nid, r);

		if (group)
			slot_group_drop(&group->slots, pass->number);
	}
	replay_orphan_start(replay, pass);
	free_pass(replay, link);
}

static int feed_start(struct trace_replay *replay,
		      struct shrinker_state *shrinker,
		      const struct trace_text_event *event)
{
	struct pass **link = find_pass(replay, event->pid, shrinker->index);
	uint32_t memcg = event->memcg_id;
	struct pass *pass;

	/* One task is in one pass of a shrinker at a time. */
	if (*link) {
		abandon(replay, link);
		link = find_pass(replay, event->pid, shrinker->index);
	}
	if (!replay_find_node(replay, shrinker, event->nid)) {
		if (shrinker->nr_nodes < TRACE_REPLAY_NODES)
			return -1;
		replay->totals.untracked++;
		return 0;
	}
	if (replay->nr_passes == TRACE_REPLAY_PASSES) {
		replay->totals.orphan_starts++;
		return 0;
	}
	pass = replay->free_passes;
	if (pass) {
		replay->free_passes = pass->next;
	} else {
		pass = malloc(sizeof(*pass));
		if (!pass)
			return -1;
	}
	*pass = (struct pass){
		.number = replay->next_pass++,
		.line = event->line,
		.losses = replay->losses,
		.nr = event->nr,
		.freeable = event->freeable,
		.delta = event->delta,
		.total_scan = event->total_scan,
		.pid = event->pid,
		.nid = event->nid,
		.priority = event->priority,
		.shrinker = shrinker->index,
	};
	*link = pass;
	replay->nr_passes++;
	check_start(shrinker, pass);

	for (int r = 0; r < TRACE_REPLAY_NR_READINGS; r++) {
		struct group *group = replay_group_of(shrinker, event->nid, r);

		if (!group)
			continue;
		replay_settle_pending(replay, &shrinker->tallies[r], group,
			       pass->number, event->time, event->nr);
		if (slot_group_start(&group->slots, pass->number, event->nr,
				     memcg, event->time))
			return -1;
	}
	return 0;
}

/*
 * Ends.
 */

/* What is wrong with a pair, its deferred counter apart. */
static void check_pair(struct shrinker_state *shrinker, struct pass *pass,
		       const struct trace_text_event *end)
{
	if (pass->reason != TRACE_REPLAY_FREEABLE &&
	    pass->reason != TRACE_REPLAY_PRIORITY &&
	    pass->reason != TRACE_REPLAY_DELTA &&
	    pass->reason != TRACE_REPLAY_SEEKS &&
	    pass->reason != TRACE_REPLAY_TOTAL_SCAN)
		shrinker->arithmetic++;
	if (pass->reason)
		return;
	if (end->nr != pass->nr) {
		pass->reason = TRACE_REPLAY_UNUSED;
		pass->recorded = end->nr;
		pass->computed = pass->nr;
	} else if (end->nid != pass->nid) {
		pass->reason = TRACE_REPLAY_NID;
		pass->recorded = end->nid;
		pass->computed = pass->nid;
	} else if (!batch_fit_add(&shrinker->batch, pass->total_scan,
				  end->total_scan, pass->freeable)) {
		pass->reason = TRACE_REPLAY_BATCH;
		pass->recorded = end->total_scan;
		pass->computed = pass->total_scan;
	}
}

static void feed_end(struct trace_replay *replay,
		     struct shrinker_state *shrinker,
		     const struct trace_text_event *event)
{
	struct pass **link = find_pass(replay, event->pid, shrinker->index);
	struct pass *pass = *link;
	int64_t scanned, next;

	if (!pass) {
		if (shrinker->nr_nodes == TRACE_REPLAY_NODES &&
		    !replay_group_of(shrinker, event->nid, TRACE_REPLAY_BY_NODE))
			replay->totals.untracked++;
		else
			replay_orphan_end(replay, shrinker, event);
		return;
	}
	replay->totals.passes++;
	shrinker->passes++;
	check_pair(shrinker, pass, event);
	scanned = wrap_sub(pass->total_scan, event->total_scan);
	next = scan_deferred(pass->nr, (uint64_t)pass->delta, scanned,
			     pass->freeable);
	for (int r = 0; r < TRACE_REPLAY_NR_READINGS; r++)
		replay_end_counter(replay, shrinker, r, pass, event, next);
	free_pass(replay, link);
}

/*
 * The whole.
 */

struct trace_replay *trace_replay_new(void)
{
	return calloc(1, sizeof(struct trace_replay));
}

void trace_replay_free(struct trace_replay *replay)
{
	struct pass *pass;

	if (!replay)
		return;
	for (size_t i = 0; i < REPLAY_BUCKETS; i++)
		while (replay->pass_buckets[i])
			free_pass(replay, &replay->pass_buckets[i]);
	while ((pass = replay->free_passes)) {
		replay->free_passes = pass->next;
		free(pass);
	}
	for (size_t i = 0; i < replay->nr_shrinkers; i++)
		replay_free_shrinker(replay->shrinkers[i]);
	free(replay->shrinkers);
	free(replay->problems);
	free(replay);
}

int trace_replay_feed(struct trace_replay *replay, const char *text,
		      const struct trace_text_event *events, size_t nr_events)
{
	for (size_t i = 0; i < nr_events; i++) {
		const struct trace_text_event *event = &events[i];
		struct shrinker_state *shrinker;

		if (event->kind == TRACE_LINE_LOST)
			replay->losses++;
		if (event->kind != TRACE_LINE_START &&
		    event->kind != TRACE_LINE_END)
			continue;
		if (replay_find_shrinker(replay, text, event, &shrinker))
			return -1;
		if (!shrinker)
			replay->totals.untracked++;
		else if (event->kind == TRACE_LINE_END)
			feed_end(replay, shrinker, event);
		else if (feed_start(replay, shrinker, event))
			return -1;
	}
	return 0;
}

void trace_replay_finish(struct trace_replay *replay)
{
	for (size_t i = 0; i < REPLAY_BUCKETS; i++)
		while (replay->pass_buckets[i])
			abandon(replay, &replay->pass_buckets[i]);
}

void trace_replay_totals(const struct trace_replay *replay,
			 struct trace_replay_totals *totals)
{
	*totals = replay->totals;
}

static void describe(const struct shrinker_state *s,
		     struct trace_replay_shrinker *out)
{
	const struct trace_replay_tally *tallies = s->tallies;

	*out = (struct trace_replay_shrinker){
		.function = s->function,
		.function_length = s->function_length,
		.nodes = s->nr_nodes,
		.pointer = s->pointer,
		.passes = s->passes,
		.arithmetic = s->arithmetic,
		.seeks_lo = s->seeks.lo,
		.seeks_hi = s->seeks.hi,
		.seeks_zero = s->seeks.zero,
		.seeks_changes = s->seeks_changes,
		.batch_hi = batch_fit_hi(s->batch),
		.batch_least = s->batch.least,
		.reading = TRACE_REPLAY_BY_NODE,
	};
	memcpy(out->tallies, tallies, sizeof(out->tallies));
	if (s->one_set && tallies[TRACE_REPLAY_ONE_SET].cost <
				  tallies[TRACE_REPLAY_BY_NODE].cost)
		out->reading = TRACE_REPLAY_ONE_SET;
}

size_t trace_replay_shrinkers(const struct trace_replay *replay,
			      struct trace_replay_shrinker *shrinkers,
			      size_t max)
{
	for (size_t i = 0; i < replay->nr_shrinkers && i < max; i++)
		describe(replay->shrinkers[i], &shrinkers[i]);
	return replay->nr_shrinkers;
}

size_t trace_replay_problems(const struct trace_replay *replay,
			     struct trace_replay_problem *problems, size_t max)
{
	size_t n = replay->nr_problems < max ? replay->nr_problems : max;

	if (n)
		memcpy(problems, replay->problems, n * sizeof(*problems));
	return replay->nr_problems;
}
