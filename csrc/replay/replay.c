/* SPDX-License-Identifier: MIT */
/*
 * The replay: pairs starts with ends, and puts each pair through scan.h.  Its
 * deferred counter is then checked under both readings (counters.c).
 */
#include <stdlib.h>
#include <string.h>

#include "replay/state.h"

/* So many starts in a row that contradict the seeks so far, but agree with each
 * other, replace them: another shrinker has that pointer by then. */
#define SEEKS_TAKEOVER_STARTS 8

/* --- the arithmetic of a pass ----------------------------------------------- */

static void inexact(struct open_pass *pass, int reason, int64_t recorded,
		    int64_t computed)
{
	pass->reason = reason;
	pass->recorded = recorded;
	pass->computed = computed;
}

/* Return: whether some seeks gives the delta of a start and those before it. */
static bool agrees(struct shrinker_state *shrinker, struct seeks_fit fit)
{
	struct seeks_fit both = seeks_fit_both(shrinker->seeks, fit);

	if (seeks_fit_empty(both))
		return false;
	shrinker->seeks = both;
	if (shrinker->nr_rivals &&
	    seeks_fit_empty(seeks_fit_both(shrinker->rival, fit)))
		shrinker->nr_rivals = 0;
	return true;
}

static void add_rival(struct shrinker_state *shrinker, struct seeks_fit fit)
{
	struct seeks_fit both = seeks_fit_both(shrinker->rival, fit);

	if (shrinker->nr_rivals && !seeks_fit_empty(both)) {
		shrinker->rival = both;
		shrinker->nr_rivals++;
	} else {
		shrinker->rival = fit;
		shrinker->nr_rivals = 1;
	}
	if (shrinker->nr_rivals == SEEKS_TAKEOVER_STARTS) {
		shrinker->seeks = shrinker->rival;
		shrinker->nr_rivals = 0;
		shrinker->seeks_changes++;
	}
}

/* Return: a delta that the seeks so far give. */
static int64_t delta_expected(const struct trace_replay *replay,
			      const struct shrinker_state *shrinker,
			      const struct open_pass *pass)
{
	int seeks = shrinker->seeks.lo <= shrinker->seeks.hi ?
			    (int)shrinker->seeks.lo :
			    0;

	return (int64_t)era_delta(replay->era, &pass->in, seeks,
				  shrinker->least.lo);
}

static struct seeks_fit fit_start(struct trace_replay *replay,
				  struct shrinker_state *shrinker,
				  const struct open_pass *pass)
{
	uint64_t delta = (uint64_t)pass->delta;
	struct seeks_fit fit = seeks_fit_of(replay->era, &pass->in, delta);

	if (replay->era == PASS_ERA_B_4_19)
		replay->nr_learnt += least_fit_add(&shrinker->least, &pass->in,
						   delta, &fit);
	return fit;
}

/* Only newer kernels of era C print a memory cgroup, only those of era A pages. */
static bool has_fields_of(enum pass_era era, uint32_t flags)
{
	if (flags & TRACE_TEXT_MEMCG)
		return era == PASS_ERA_C;
	return era_counts_pages(era) == !!(flags & TRACE_TEXT_PAGES);
}

static void check_start(struct trace_replay *replay,
			struct shrinker_state *shrinker, struct open_pass *pass,
			uint32_t flags)
{
	struct seeks_fit fit;
	int64_t total;

	if (!has_fields_of(replay->era, flags)) {
		inexact(pass, TRACE_REPLAY_FIELDS, 0, 0);
		return;
	}
	if (pass->in.freeable == 0 ||
	    (uint64_t)pass->in.freeable == (uint64_t)SHRINK_EMPTY) {
		inexact(pass, TRACE_REPLAY_FREEABLE, pass->in.freeable, 0);
		return;
	}
	if (pass->in.priority < 0 || pass->in.priority > SHRINK_MAX_PRIORITY) {
		inexact(pass, TRACE_REPLAY_PRIORITY, pass->in.priority, 0);
		return;
	}
	fit = fit_start(replay, shrinker, pass);
	if (seeks_fit_empty(fit)) {
		inexact(pass, TRACE_REPLAY_DELTA, pass->delta, pass->in.freeable);
		return;
	}
	if (!agrees(shrinker, fit)) {
		add_rival(shrinker, fit);
		inexact(pass, TRACE_REPLAY_SEEKS, pass->delta,
			delta_expected(replay, shrinker, pass));
		return;
	}
	total = era_total(replay->era, pass->nr, (uint64_t)pass->delta, &pass->in);
	if (total != pass->total_scan)
		inexact(pass, TRACE_REPLAY_TOTAL_SCAN, pass->total_scan, total);
	else
		replay->totals.fitting++;
}

/*
 * In eras A and B the end of a shrinker that is not NUMA-aware says node 0, and its start
 * the node of the walk.
 */
static bool shows_one_set(const struct trace_replay *replay,
			  const struct open_pass *pass,
			  const struct trace_text_event *end)
{
	return replay->era != PASS_ERA_C && end->nid == 0 && pass->nid != 0;
}

/* All of an end but its counter. */
static void check_end(const struct trace_replay *replay,
		      struct shrinker_state *shrinker, struct open_pass *pass,
		      const struct trace_text_event *end)
{
	if (pass->reason)
		return;
	shrinker->arithmetic++;
	if (end->nr != pass->nr)
		inexact(pass, TRACE_REPLAY_UNUSED, end->nr, pass->nr);
	else if (end->nid != pass->nid && !shows_one_set(replay, pass, end))
		inexact(pass, TRACE_REPLAY_NID, end->nid, pass->nid);
	else if (!batch_fit_add(&shrinker->batch, pass->total_scan,
				end->total_scan, pass->in.freeable))
		inexact(pass, TRACE_REPLAY_BATCH, end->total_scan,
			pass->total_scan);
}

/* Return: what the pass adds to its counter. */
static int64_t work_deferred(const struct trace_replay *replay,
			     const struct open_pass *pass,
			     const struct trace_text_event *end)
{
	return era_deferred(replay->era, pass->nr, (uint64_t)pass->delta,
			    pass->total_scan, end->total_scan,
			    pass->in.freeable);
}

/* --- pairs ----------------------------------------------------------------- */

/*
 * The task of an event.  Where the line names none, as in function_graph, the processor
 * takes its place, as a number below -1.  Lines without both count as one task.
 */
static int32_t task_of(const struct trace_text_event *event)
{
	return event->pid < 0 && event->cpu >= 0 && event->cpu < INT32_MAX ?
		       -2 - event->cpu :
		       event->pid;
}

/* Return: the link to the pass of a task; to NULL where there is none. */
static struct open_pass **find_pass(struct trace_replay *replay, int32_t pid,
				    uint32_t shrinker)
{
	struct open_pass **link =
		&replay->open[replay_hash((uint32_t)pid, shrinker)];

	while (*link && ((*link)->pid != pid || (*link)->shrinker != shrinker))
		link = &(*link)->next;
	return link;
}

static struct open_pass *alloc_pass(struct trace_replay *replay)
{
	struct open_pass *pass = replay->unused;

	if (!pass)
		return malloc(sizeof(*pass));
	replay->unused = pass->next;
	return pass;
}

static void remove_pass(struct trace_replay *replay, struct open_pass **link)
{
	struct open_pass *pass = *link;

	*link = pass->next;
	pass->next = replay->unused;
	replay->unused = pass;
	replay->nr_open--;
}

/* The end of the pass will not come. */
static void abandon(struct trace_replay *replay, struct open_pass **link)
{
	const struct open_pass *pass = *link;
	struct shrinker_state *shrinker = replay->shrinkers[pass->shrinker];
	int reading;

	for (reading = 0; reading < TRACE_REPLAY_NR_READINGS; reading++) {
		struct counter_set *set =
			replay_counters(shrinker, pass->nid, reading);

		if (set)
			slot_worlds_drop(&set->worlds, pass->number);
	}
	replay_orphan_start(replay, pass);
	remove_pass(replay, link);
}

/*
 * Return: the time of the task's line before this one; 0 where it is not known.  Without
 * a pid the lines of a processor are those of several tasks.
 */
static uint64_t next_line_of_task(struct trace_replay *replay,
				  const struct trace_text_event *event)
{
	struct task_line *line = &replay->tasks[event->pid & (TASKS_KNOWN - 1)];
	uint64_t before = line->task == event->pid ? line->time : 0;

	if (event->pid <= 0)
		return 0;
	*line = (struct task_line){ event->pid, event->time };
	return before;
}

/* Return: 0, or -1 without memory. */
static int start_counters(struct trace_replay *replay,
			  struct shrinker_state *shrinker,
			  const struct open_pass *pass, uint64_t earliest,
			  const struct trace_text_event *start)
{
	int reading;

	for (reading = 0; reading < TRACE_REPLAY_NR_READINGS; reading++)
		if (replay_start_counter(replay, shrinker, reading, pass,
					 earliest, start))
			return -1;
	return 0;
}

/* Return: 0, or -1 without memory. */
static int feed_start(struct trace_replay *replay,
		      struct shrinker_state *shrinker,
		      const struct trace_text_event *start, uint64_t earliest)
{
	struct open_pass **link =
		find_pass(replay, task_of(start), shrinker->index);
	struct open_pass *pass;

	/* One task is in one pass of a shrinker at a time. */
	if (*link) {
		abandon(replay, link);
		link = find_pass(replay, task_of(start), shrinker->index);
	}
	if (!replay_counters(shrinker, start->nid, TRACE_REPLAY_BY_NODE)) {
		if (shrinker->nr_nodes == TRACE_REPLAY_MAX_NODES) {
			replay->totals.untracked++;
			return 0;
		}
		if (replay_add_node(replay, shrinker, start->nid))
			return -1;
	}
	if (replay->nr_open == TRACE_REPLAY_MAX_OPEN_PASSES) {
		replay->totals.orphan_starts++;
		return 0;
	}
	pass = alloc_pass(replay);
	if (!pass)
		return -1;
	*pass = (struct open_pass){
		.number = replay->nr_starts++,
		.line = start->line,
		.losses = replay->nr_losses,
		.memcg = start->memcg_id,
		.time = start->time,
		.in = { start->freeable, start->priority, start->pgs_scanned,
			start->lru_pgs },
		.nr = start->nr,
		.delta = start->delta,
		.total_scan = start->total_scan,
		.pid = task_of(start),
		.nid = start->nid,
		.shrinker = shrinker->index,
	};
	*link = pass;
	replay->nr_open++;
	check_start(replay, shrinker, pass, start->flags);
	return start_counters(replay, shrinker, pass, earliest, start);
}

static void feed_end(struct trace_replay *replay,
		     struct shrinker_state *shrinker,
		     const struct trace_text_event *end)
{
	struct open_pass **link = find_pass(replay, task_of(end), shrinker->index);
	struct open_pass *pass = *link;
	int64_t next;
	int reading;

	if (!pass) {
		/* Its start was untracked, if it was on one node too many. */
		if (shrinker->nr_nodes == TRACE_REPLAY_MAX_NODES &&
		    !replay_counters(shrinker, end->nid, TRACE_REPLAY_BY_NODE))
			replay->totals.untracked++;
		else
			replay_orphan_end(replay, shrinker, end);
		return;
	}
	replay->totals.passes++;
	shrinker->passes++;
	check_end(replay, shrinker, pass, end);
	shrinker->shown_one_set += shows_one_set(replay, pass, end);
	next = work_deferred(replay, pass, end);
	for (reading = 0; reading < TRACE_REPLAY_NR_READINGS; reading++)
		replay_end_counter(replay, shrinker, reading, pass, end, next);
	remove_pass(replay, link);
}

/* --- the recording ---------------------------------------------------------- */

struct trace_replay *trace_replay_new(int era)
{
	struct trace_replay *replay = calloc(1, sizeof(*replay));

	if (replay)
		replay->era = (enum pass_era)era;
	return replay;
}

void trace_replay_free(struct trace_replay *replay)
{
	struct open_pass *pass;
	size_t i;

	if (!replay)
		return;
	for (i = 0; i < HASH_BUCKETS; i++)
		while (replay->open[i])
			remove_pass(replay, &replay->open[i]);
	while ((pass = replay->unused)) {
		replay->unused = pass->next;
		free(pass);
	}
	for (i = 0; i < replay->nr_shrinkers; i++)
		replay_free_shrinker(replay->shrinkers[i]);
	free(replay->shrinkers);
	free(replay->problems);
	free(replay);
}

int trace_replay_feed(struct trace_replay *replay, const char *text,
		      const struct trace_text_event *events, size_t nr_events)
{
	size_t i;

	for (i = 0; i < nr_events; i++) {
		const struct trace_text_event *event = &events[i];
		struct shrinker_state *shrinker;
		uint64_t earliest;

		if (event->kind == TRACE_LINE_LOST)
			replay->nr_losses++;
		if (event->kind != TRACE_LINE_START &&
		    event->kind != TRACE_LINE_END)
			continue;
		earliest = next_line_of_task(replay, event);
		if (replay_find_shrinker(replay, text, event, &shrinker))
			return -1;
		if (!shrinker)
			replay->totals.untracked++;
		else if (event->kind == TRACE_LINE_END)
			feed_end(replay, shrinker, event);
		else if (feed_start(replay, shrinker, event, earliest))
			return -1;
	}
	return 0;
}

void trace_replay_finish(struct trace_replay *replay)
{
	size_t i;

	for (i = 0; i < HASH_BUCKETS; i++)
		while (replay->open[i])
			abandon(replay, &replay->open[i]);
	for (i = 0; i < replay->nr_shrinkers; i++)
		replay_settle(replay, replay->shrinkers[i]);
}

static int likelier_reading(const struct shrinker_state *s)
{
	return s->one_set && s->tallies[TRACE_REPLAY_ONE_SET].cost <
				     s->tallies[TRACE_REPLAY_BY_NODE].cost +
					     s->shown_one_set ?
		       TRACE_REPLAY_ONE_SET :
		       TRACE_REPLAY_BY_NODE;
}

void trace_replay_totals(const struct trace_replay *replay,
			 struct trace_replay_totals *totals)
{
	/* A batch learnt from a start always fits it.  So neither that start nor its
	 * pass is evidence for the era. */
	uint64_t free_choices = 2 * replay->nr_learnt;
	size_t i;

	*totals = replay->totals;
	for (i = 0; i < replay->nr_shrinkers; i++) {
		const struct shrinker_state *s = replay->shrinkers[i];

		totals->fitting += s->tallies[likelier_reading(s)].exact;
	}
	totals->fitting -= totals->fitting < free_choices ? totals->fitting :
							    free_choices;
}

static void describe(const struct shrinker_state *s,
		     struct trace_replay_shrinker *out)
{
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
		.reading = (uint32_t)likelier_reading(s),
	};
	memcpy(out->tallies, s->tallies, sizeof(out->tallies));
	out->tallies[TRACE_REPLAY_BY_NODE].cost += s->shown_one_set;
}

size_t trace_replay_shrinkers(const struct trace_replay *replay,
			      struct trace_replay_shrinker *shrinkers,
			      size_t max)
{
	size_t i;

	for (i = 0; i < replay->nr_shrinkers && i < max; i++)
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
