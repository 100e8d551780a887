// SPDX-License-Identifier: MIT
/*
 * The replay: pairs starts with ends, puts each pair through scan.h, and keeps
 * the deferred counters of each shrinker under both readings of its NUMA
 * awareness.  As long as only one node has been seen both are the same, and
 * only one is kept.
 */
#include "trace_replay.h"

#include <stdlib.h>
#include <string.h>

#include "scan.h"
#include "trace_fit.h"
#include "trace_slots.h"

#define BUCKETS 65536
/* Starts in a row that contradict the seeks so far, and agree with each other,
 * before they are believed: the pointer is another shrinker's by now. */
#define SEEKS_TAKEOVER 8

struct pass {
	struct pass *next;
	uint64_t number;
	uint64_t line;
	uint64_t losses;
	int64_t nr;
	int64_t freeable;
	int64_t delta;
	int64_t total_scan;
	/* What the core has in place of the number that @reason complains of. */
	int64_t computed;
	int64_t recorded;
	int32_t pid;
	int32_t nid;
	uint32_t shrinker;
	int reason;
};

/* A wrong end that lines still to come may explain by their order. */
struct pending {
	uint64_t deadline;
	uint64_t pass;
	int64_t needed;
	size_t problem;
	int reason;
};

#define PENDING 8
#define NO_PROBLEM SIZE_MAX

struct group {
	struct slot_group slots;
	struct pending pending[PENDING];
	unsigned int nr_pending;
	int32_t nid;
};

struct shrinker_state {
	struct shrinker_state *next;
	char *function;
	uint32_t function_length;
	uint32_t index;
	uint64_t pointer;
	uint64_t passes;
	uint64_t arithmetic;
	uint64_t seeks_changes;
	struct seeks_fit seeks, rival;
	unsigned int rivals;
	struct batch_fit batch;
	/* One group a node, and the one set once there are two nodes. */
	struct group **nodes;
	uint32_t nr_nodes;
	struct group *one_set;
	struct trace_replay_tally tallies[TRACE_REPLAY_NR_READINGS];
	unsigned int nr_problems[TRACE_REPLAY_NR_READINGS];
};

struct trace_replay {
	struct shrinker_state *shrinker_buckets[BUCKETS];
	struct pass *pass_buckets[BUCKETS];
	struct pass *free_passes;
	struct shrinker_state **shrinkers;
	size_t nr_shrinkers, max_shrinkers;
	struct trace_replay_problem *problems;
	size_t nr_problems, max_problems;
	size_t nr_passes;
	uint64_t next_pass;
	uint64_t losses;
	struct trace_replay_totals totals;
};

_Static_assert(TRACE_REPLAY_NR_REASONS <=
		       sizeof(((struct trace_replay_tally *)0)->reasons) /
			       sizeof(uint64_t),
	       "a tally has room for every reason");

/*
 * Problems.
 */

/* Index of the new problem; NO_PROBLEM where there is no room for it. */
static size_t add_problem(struct trace_replay *replay,
			  struct shrinker_state *shrinker, int reading,
			  struct trace_replay_problem problem)
{
	if (replay->nr_problems == TRACE_REPLAY_PROBLEMS ||
	    shrinker->nr_problems[reading] == TRACE_REPLAY_PROBLEMS_EACH)
		return NO_PROBLEM;
	if (replay->nr_problems == replay->max_problems) {
		size_t max = replay->max_problems ? replay->max_problems * 2 :
						    64;
		void *p = realloc(replay->problems,
				  max * sizeof(*replay->problems));

		/* The tally has counted it; only its line will not be named. */
		if (!p)
			return NO_PROBLEM;
		replay->problems = p;
		replay->max_problems = max;
	}
	shrinker->nr_problems[reading]++;
	problem.shrinker = shrinker->index;
	problem.readings = (uint16_t)(1 << reading);
	/* On one node the one set's story is the same so far. */
	if (!shrinker->one_set)
		problem.readings = 3;
	replay->problems[replay->nr_problems] = problem;
	return replay->nr_problems++;
}

static void orphan_start(struct trace_replay *replay, const struct pass *pass)
{
	struct shrinker_state *shrinker = replay->shrinkers[pass->shrinker];
	size_t i;

	replay->totals.orphan_starts++;
	i = add_problem(replay, shrinker, TRACE_REPLAY_BY_NODE,
			(struct trace_replay_problem){
				.line = pass->line,
				.start_line = pass->line,
				.reason = TRACE_REPLAY_ORPHAN_START });
	if (i != NO_PROBLEM)
		replay->problems[i].readings = 3;
}

static void orphan_end(struct trace_replay *replay,
		       struct shrinker_state *shrinker,
		       const struct trace_text_event *event)
{
	size_t i;

	replay->totals.orphan_ends++;
	i = add_problem(replay, shrinker, TRACE_REPLAY_BY_NODE,
			(struct trace_replay_problem){
				.line = event->line,
				.reason = TRACE_REPLAY_ORPHAN_END });
	if (i != NO_PROBLEM)
		replay->problems[i].readings = 3;
}

/*
 * Shrinkers: a name and a pointer.
 */

static size_t hash(uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) *
		     UINT64_C(0xff51afd7ed558ccd);

	return (size_t)(h >> 48) % BUCKETS;
}

static void free_shrinker(struct shrinker_state *shrinker)
{
	for (uint32_t i = 0; i < shrinker->nr_nodes; i++) {
		slot_group_exit(&shrinker->nodes[i]->slots);
		free(shrinker->nodes[i]);
	}
	if (shrinker->one_set)
		slot_group_exit(&shrinker->one_set->slots);
	free(shrinker->one_set);
	free(shrinker->nodes);
	free(shrinker->function);
	free(shrinker);
}

static struct shrinker_state *new_shrinker(struct trace_replay *replay,
					   const char *function,
					   const struct trace_text_event *event)
{
	struct shrinker_state *shrinker;

	if (replay->nr_shrinkers == replay->max_shrinkers) {
		size_t max = replay->max_shrinkers ?
				     replay->max_shrinkers * 2 :
				     16;
		void *p = realloc(replay->shrinkers,
				  max * sizeof(*replay->shrinkers));

		if (!p)
			return NULL;
		replay->shrinkers = p;
		replay->max_shrinkers = max;
	}
	shrinker = calloc(1, sizeof(*shrinker));
	if (!shrinker)
		return NULL;
	/* One byte more: an empty name is a name too. */
	shrinker->function = malloc((size_t)event->function_length + 1);
	if (!shrinker->function) {
		free(shrinker);
		return NULL;
	}
	memcpy(shrinker->function, function, event->function_length);
	shrinker->function_length = event->function_length;
	shrinker->pointer = event->pointer;
	shrinker->seeks = SEEKS_FIT_ALL;
	shrinker->index = (uint32_t)replay->nr_shrinkers;
	replay->shrinkers[replay->nr_shrinkers++] = shrinker;
	return shrinker;
}

/* -1 without memory; *found is NULL where there are too many. */
static int find_shrinker(struct trace_replay *replay, const char *text,
			 const struct trace_text_event *event,
			 struct shrinker_state **found)
{
	const char *function = text + event->function_offset;
	struct shrinker_state **bucket =
		&replay->shrinker_buckets[hash(event->pointer,
					       event->function_length)];
	struct shrinker_state *s;

	for (s = *bucket; s; s = s->next)
		if (s->pointer == event->pointer &&
		    s->function_length == event->function_length &&
		    memcmp(s->function, function, s->function_length) == 0) {
			*found = s;
			return 0;
		}
	*found = NULL;
	if (replay->nr_shrinkers == TRACE_REPLAY_SHRINKERS)
		return 0;
	s = new_shrinker(replay, function, event);
	if (!s)
		return -1;
	s->next = *bucket;
	*bucket = s;
	*found = s;
	return 0;
}

/* From two nodes on the two readings part. */
static int part_readings(struct trace_replay *replay,
			 struct shrinker_state *shrinker)
{
	const struct group *first = shrinker->nodes[0];
	struct group *one = malloc(sizeof(*one));

	if (!one)
		return -1;
	*one = *first;
	if (slot_group_copy(&one->slots, &first->slots)) {
		free(one);
		return -1;
	}
	shrinker->one_set = one;
	shrinker->tallies[TRACE_REPLAY_ONE_SET] =
		shrinker->tallies[TRACE_REPLAY_BY_NODE];
	shrinker->nr_problems[TRACE_REPLAY_ONE_SET] =
		shrinker->nr_problems[TRACE_REPLAY_BY_NODE];
	for (size_t i = 0; i < replay->nr_problems; i++)
		if (replay->problems[i].shrinker == shrinker->index)
			replay->problems[i].readings = 3;
	return 0;
}

/* The node's counters; NULL without memory or with too many nodes. */
static struct group *find_node(struct trace_replay *replay,
			       struct shrinker_state *shrinker, int32_t nid)
{
	struct group **nodes;
	struct group *group;

	for (uint32_t i = 0; i < shrinker->nr_nodes; i++)
		if (shrinker->nodes[i]->nid == nid)
			return shrinker->nodes[i];
	if (shrinker->nr_nodes == TRACE_REPLAY_NODES)
		return NULL;
	if (shrinker->nr_nodes == 1 && !shrinker->one_set &&
	    part_readings(replay, shrinker))
		return NULL;
	nodes = realloc(shrinker->nodes,
			(shrinker->nr_nodes + 1) * sizeof(struct group *));
	if (!nodes)
		return NULL;
	shrinker->nodes = nodes;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	slot_group_init(&group->slots);
	group->nid = nid;
	nodes[shrinker->nr_nodes++] = group;
	return group;
}

static struct group *group_of(struct shrinker_state *shrinker, int32_t nid,
			      int reading)
{
	if (reading == TRACE_REPLAY_ONE_SET)
		return shrinker->one_set;
	for (uint32_t i = 0; i < shrinker->nr_nodes; i++)
		if (shrinker->nodes[i]->nid == nid)
			return shrinker->nodes[i];
	return NULL;
}

/*
 * A wrong end whose counter a later line proves to have been held: the two
 * stand in another order than the counter changed.
 */

static void settle_pending(struct trace_replay *replay,
			   struct trace_replay_tally *tally,
			   struct group *group, uint64_t pass, uint64_t time,
			   int64_t held)
{
	for (unsigned int i = 0; i < group->nr_pending;) {
		struct pending *p = &group->pending[i];
		bool late = time > p->deadline;

		if (!late && (p->needed != held || p->pass == pass)) {
			i++;
			continue;
		}
		if (!late) {
			tally->reasons[p->reason]--;
			tally->reasons[TRACE_REPLAY_NEW_ORDER]++;
			if (p->problem != NO_PROBLEM)
				replay->problems[p->problem].reason =
					TRACE_REPLAY_NEW_ORDER;
		}
		*p = group->pending[--group->nr_pending];
	}
}

static void add_pending(struct group *group, struct pending pending)
{
	if (group->nr_pending < PENDING)
		group->pending[group->nr_pending++] = pending;
}

/*
 * Starts.
 */

/* Whether the delta of a start agrees with those before it. */
static bool add_seeks(struct shrinker_state *shrinker, const struct pass *pass,
		      int priority)
{
	struct seeks_fit here = seeks_fit_of(pass->freeable, priority,
					     (uint64_t)pass->delta);
	struct seeks_fit both = seeks_fit_both(shrinker->seeks, here);

	if (!seeks_fit_empty(both)) {
		shrinker->seeks = both;
		if (shrinker->rivals &&
		    seeks_fit_empty(seeks_fit_both(shrinker->rival, here)))
			shrinker->rivals = 0;
		return true;
	}
	if (seeks_fit_empty(here))
		return false;
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
	return false;
}

/* What is wrong with a start by itself. */
static void check_start(struct shrinker_state *shrinker, struct pass *pass,
			int priority)
{
	int64_t total;

	pass->reason = TRACE_REPLAY_EXACT;
	if (pass->freeable == 0 ||
	    (uint64_t)pass->freeable == (uint64_t)SHRINK_EMPTY) {
		pass->reason = TRACE_REPLAY_FREEABLE;
		pass->recorded = pass->freeable;
		return;
	}
	if (priority < 0 || priority > SHRINK_MAX_PRIORITY) {
		pass->reason = TRACE_REPLAY_PRIORITY;
		pass->recorded = priority;
		return;
	}
	if (!add_seeks(shrinker, pass, priority)) {
		/* The nearest that the seeks so far can give. */
		int seeks = shrinker->seeks.lo <= shrinker->seeks.hi ?
				    (int)shrinker->seeks.lo :
				    0;

		pass->reason = TRACE_REPLAY_SEEKS;
		pass->recorded = pass->delta;
		pass->computed = (int64_t)scan_delta(pass->freeable, priority,
						     seeks);
		return;
	}
	total = scan_total(pass->nr, (uint64_t)pass->delta, pass->freeable,
			   priority);
	if (total != pass->total_scan) {
		pass->reason = TRACE_REPLAY_TOTAL_SCAN;
		pass->recorded = pass->total_scan;
		pass->computed = total;
	}
}

static struct pass **find_pass(struct trace_replay *replay, int32_t pid,
			       uint32_t shrinker)
{
	struct pass **p = &replay->pass_buckets[hash((uint32_t)pid, shrinker)];

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
		struct group *group = group_of(shrinker, pass->nid, r);

		if (group)
			slot_group_drop(&group->slots, pass->number);
	}
	orphan_start(replay, pass);
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
	if (!find_node(replay, shrinker, event->nid)) {
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
		.shrinker = shrinker->index,
	};
	*link = pass;
	replay->nr_passes++;
	check_start(shrinker, pass, event->priority);

	for (int r = 0; r < TRACE_REPLAY_NR_READINGS; r++) {
		struct group *group = group_of(shrinker, event->nid, r);

		if (!group)
			continue;
		settle_pending(replay, &shrinker->tallies[r], group,
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

/* Why a counter is impossible; by lines that have been seen already. */
static int explain_counter(const struct trace_replay *replay,
			   const struct group *group, const struct pass *pass,
			   int64_t needed, struct slot_end end, uint64_t time)
{
	int64_t extra = wrap_sub(needed, end.value);

	if (pass->losses != replay->losses)
		return TRACE_REPLAY_NEW_LOST;
	if (slot_group_held(&group->slots, pass->number, needed, time,
			    TRACE_REPLAY_WINDOW))
		return TRACE_REPLAY_NEW_ORDER;
	if (end.late_start)
		return TRACE_REPLAY_NEW_LATE;
	if (end.value && slot_group_merged(&group->slots, extra, 1))
		return TRACE_REPLAY_NEW_MERGED;
	if (slot_group_merged(&group->slots, extra, 2))
		return TRACE_REPLAY_NEW_MERGED;
	if (slot_group_merged(&group->slots, needed, 1))
		return TRACE_REPLAY_NEW_OTHER;
	return TRACE_REPLAY_NEW_UNEXPLAINED;
}

static void end_in_reading(struct trace_replay *replay,
			   struct shrinker_state *shrinker, int reading,
			   const struct pass *pass,
			   const struct trace_text_event *event, int64_t next)
{
	struct group *group = group_of(shrinker, pass->nid, reading);
	struct trace_replay_tally *tally = &shrinker->tallies[reading];
	int64_t needed = wrap_sub(event->new_nr, next);
	int reason = pass->reason;
	struct slot_end end;
	size_t problem;

	if (!group)
		return;
	settle_pending(replay, tally, group, pass->number, event->time,
		       event->new_nr);
	end = slot_group_end(&group->slots, pass->number, next, event->new_nr,
			     event->time);
	tally->cost += end.verdict == SLOT_WRONG;
	tally->cost += end.adopted;
	if (!reason && end.verdict == SLOT_EXACT) {
		tally->exact++;
		tally->overlaps += needed != 0;
		tally->adopted += end.adopted;
		return;
	}
	if (!reason && end.verdict == SLOT_UNBOUND)
		reason = TRACE_REPLAY_UNTRACKED;
	if (!reason)
		reason = explain_counter(replay, group, pass, needed, end,
					 event->time);
	tally->reasons[reason]++;
	problem = add_problem(
		replay, shrinker, reading,
		(struct trace_replay_problem){
			.line = event->line,
			.start_line = pass->line,
			.recorded = pass->reason ? pass->recorded :
						   event->new_nr,
			.computed = pass->reason ? pass->computed :
						   wrap_add(end.value, next),
			.reason = (uint16_t)reason });
	if (reason >= TRACE_REPLAY_NEW_MERGED &&
	    reason <= TRACE_REPLAY_NEW_UNEXPLAINED)
		add_pending(group, (struct pending){
					   event->time + TRACE_REPLAY_WINDOW,
					   pass->number, needed, problem,
					   reason });
}

static void feed_end(struct trace_replay *replay,
		     struct shrinker_state *shrinker,
		     const struct trace_text_event *event)
{
	struct pass **link = find_pass(replay, event->pid, shrinker->index);
	struct pass *pass = *link;
	int64_t scanned, next;

	if (!pass) {
		orphan_end(replay, shrinker, event);
		return;
	}
	replay->totals.passes++;
	shrinker->passes++;
	check_pair(shrinker, pass, event);
	scanned = wrap_sub(pass->total_scan, event->total_scan);
	next = scan_deferred(pass->nr, (uint64_t)pass->delta, scanned,
			     pass->freeable);
	for (int r = 0; r < TRACE_REPLAY_NR_READINGS; r++)
		end_in_reading(replay, shrinker, r, pass, event, next);
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
	for (size_t i = 0; i < BUCKETS; i++)
		while (replay->pass_buckets[i])
			free_pass(replay, &replay->pass_buckets[i]);
	while ((pass = replay->free_passes)) {
		replay->free_passes = pass->next;
		free(pass);
	}
	for (size_t i = 0; i < replay->nr_shrinkers; i++)
		free_shrinker(replay->shrinkers[i]);
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
		if (find_shrinker(replay, text, event, &shrinker))
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
	for (size_t i = 0; i < BUCKETS; i++)
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
