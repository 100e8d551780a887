/* SPDX-License-Identifier: MIT */
/*
 * What a replay keeps: the shrinkers of the recording, each a name and a pointer,
 * their counters under both readings, and the problems.
 */
#include <stdlib.h>
#include <string.h>

#include "replay/state.h"

#define INITIAL_SHRINKERS 16
#define INITIAL_PROBLEMS 64
#define BOTH_READINGS ((1 << TRACE_REPLAY_NR_READINGS) - 1)

/* --- shrinkers ------------------------------------------------------------- */

void replay_free_shrinker(struct shrinker_state *shrinker)
{
	uint32_t i;

	for (i = 0; i < shrinker->nr_nodes; i++) {
		slot_worlds_exit(&shrinker->nodes[i]->worlds);
		free(shrinker->nodes[i]);
	}
	if (shrinker->one_set)
		slot_worlds_exit(&shrinker->one_set->worlds);
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
				     INITIAL_SHRINKERS;
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
	/* One byte more, because malloc(0) may return NULL. */
	shrinker->function = malloc((size_t)event->function_length + 1);
	if (!shrinker->function) {
		free(shrinker);
		return NULL;
	}
	memcpy(shrinker->function, function, event->function_length);
	shrinker->function_length = event->function_length;
	shrinker->pointer = event->pointer;
	shrinker->seeks = SEEKS_FIT_ALL;
	shrinker->least = LEAST_FIT_ALL;
	shrinker->index = (uint32_t)replay->nr_shrinkers;
	replay->shrinkers[replay->nr_shrinkers++] = shrinker;
	return shrinker;
}

int replay_find_shrinker(struct trace_replay *replay, const char *text,
			 const struct trace_text_event *event,
			 struct shrinker_state **found)
{
	const char *function = text + event->function_offset;
	size_t hash = replay_hash(event->pointer, event->function_length);
	struct shrinker_state *s;

	for (s = replay->by_name[hash]; s; s = s->next)
		if (s->pointer == event->pointer &&
		    s->function_length == event->function_length &&
		    memcmp(s->function, function, s->function_length) == 0) {
			*found = s;
			return 0;
		}
	*found = NULL;
	if (replay->nr_shrinkers == TRACE_REPLAY_MAX_SHRINKERS)
		return 0;
	s = new_shrinker(replay, function, event);
	if (!s)
		return -1;
	s->next = replay->by_name[hash];
	replay->by_name[hash] = s;
	*found = s;
	return 0;
}

/* --- their counters -------------------------------------------------------- */

/* A second node is seen: from here on the two readings may differ. */
static int add_one_set(struct trace_replay *replay,
		       struct shrinker_state *shrinker)
{
	const struct counter_set *node = shrinker->nodes[0];
	struct counter_set *set = malloc(sizeof(*set));
	size_t i;

	if (!set)
		return -1;
	*set = *node;
	if (slot_worlds_copy(&set->worlds, &node->worlds)) {
		free(set);
		return -1;
	}
	shrinker->one_set = set;
	shrinker->tallies[TRACE_REPLAY_ONE_SET] =
		shrinker->tallies[TRACE_REPLAY_BY_NODE];
	shrinker->nr_problems[TRACE_REPLAY_ONE_SET] =
		shrinker->nr_problems[TRACE_REPLAY_BY_NODE];
	for (i = 0; i < replay->nr_problems; i++)
		if (replay->problems[i].shrinker == shrinker->index)
			replay->problems[i].readings = BOTH_READINGS;
	return 0;
}

int replay_add_node(struct trace_replay *replay,
		    struct shrinker_state *shrinker, int32_t nid)
{
	struct counter_set **nodes;
	struct counter_set *set;

	if (shrinker->nr_nodes == TRACE_REPLAY_MAX_NODES)
		return -1;
	if (shrinker->nr_nodes == 1 && !shrinker->one_set &&
	    add_one_set(replay, shrinker))
		return -1;
	nodes = realloc(shrinker->nodes,
			(shrinker->nr_nodes + 1) * sizeof(*nodes));
	if (!nodes)
		return -1;
	shrinker->nodes = nodes;
	set = calloc(1, sizeof(*set));
	if (!set)
		return -1;
	slot_worlds_init(&set->worlds);
	set->nid = nid;
	nodes[shrinker->nr_nodes++] = set;
	return 0;
}

struct counter_set *replay_counters(struct shrinker_state *shrinker, int32_t nid,
				    int reading)
{
	uint32_t i;

	if (reading == TRACE_REPLAY_ONE_SET)
		return shrinker->one_set;
	for (i = 0; i < shrinker->nr_nodes; i++)
		if (shrinker->nodes[i]->nid == nid)
			return shrinker->nodes[i];
	return NULL;
}

/* --- problems -------------------------------------------------------------- */

size_t replay_add_problem(struct trace_replay *replay,
			  struct shrinker_state *shrinker, int reading,
			  struct trace_replay_problem problem)
{
	if (replay->nr_problems == TRACE_REPLAY_MAX_PROBLEMS ||
	    shrinker->nr_problems[reading] == TRACE_REPLAY_MAX_PROBLEMS_EACH)
		return NO_PROBLEM;
	if (replay->nr_problems == replay->max_problems) {
		size_t max = replay->max_problems ? replay->max_problems * 2 :
						    INITIAL_PROBLEMS;
		void *p = realloc(replay->problems,
				  max * sizeof(*replay->problems));

		/* It is counted in the tally; only its line will not be known. */
		if (!p)
			return NO_PROBLEM;
		replay->problems = p;
		replay->max_problems = max;
	}
	shrinker->nr_problems[reading]++;
	problem.shrinker = shrinker->index;
	problem.readings = (uint16_t)(shrinker->one_set ? 1 << reading :
							  BOTH_READINGS);
	replay->problems[replay->nr_problems] = problem;
	return replay->nr_problems++;
}

/* A lone event is one under both readings. */
static void add_orphan(struct trace_replay *replay,
		       struct shrinker_state *shrinker,
		       struct trace_replay_problem problem)
{
	size_t i = replay_add_problem(replay, shrinker, TRACE_REPLAY_BY_NODE,
				      problem);

	if (i != NO_PROBLEM)
		replay->problems[i].readings = BOTH_READINGS;
}

void replay_orphan_start(struct trace_replay *replay,
			 const struct open_pass *pass)
{
	replay->totals.orphan_starts++;
	add_orphan(replay, replay->shrinkers[pass->shrinker],
		   (struct trace_replay_problem){
			   .line = pass->line,
			   .start_line = pass->line,
			   .reason = TRACE_REPLAY_ORPHAN_START,
		   });
}

void replay_orphan_end(struct trace_replay *replay,
		       struct shrinker_state *shrinker,
		       const struct trace_text_event *event)
{
	replay->totals.orphan_ends++;
	add_orphan(replay, shrinker,
		   (struct trace_replay_problem){
			   .line = event->line,
			   .reason = TRACE_REPLAY_ORPHAN_END,
		   });
}
