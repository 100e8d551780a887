// SPDX-License-Identifier: MIT
/*
 * What is to be named at the end, as far as there is room; the rest is counted.
 */
#include "trace_state.h"

#include <stdlib.h>

/* Index of the new problem; NO_PROBLEM where there is no room for it. */
size_t replay_add_problem(struct trace_replay *replay,
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

void replay_orphan_start(struct trace_replay *replay, const struct pass *pass)
{
	struct shrinker_state *shrinker = replay->shrinkers[pass->shrinker];
	size_t i;

	replay->totals.orphan_starts++;
	i = replay_add_problem(replay, shrinker, TRACE_REPLAY_BY_NODE,
			(struct trace_replay_problem){
				.line = pass->line,
				.start_line = pass->line,
				.reason = TRACE_REPLAY_ORPHAN_START });
	if (i != NO_PROBLEM)
		replay->problems[i].readings = 3;
}

void replay_orphan_end(struct trace_replay *replay,
		       struct shrinker_state *shrinker,
		       const struct trace_text_event *event)
{
	size_t i;

	replay->totals.orphan_ends++;
	i = replay_add_problem(replay, shrinker, TRACE_REPLAY_BY_NODE,
			(struct trace_replay_problem){
				.line = event->line,
				.reason = TRACE_REPLAY_ORPHAN_END });
	if (i != NO_PROBLEM)
		replay->problems[i].readings = 3;
}
