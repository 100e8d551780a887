// SPDX-License-Identifier: MIT
/*
 * The shrinkers of a recording, each a name and a pointer, and the counters of
 * their nodes under both readings.  As long as only one node has been seen both
 * are the same, and only one is kept.
 */
#include "trace_state.h"

#include <stdlib.h>
#include <string.h>

void replay_free_shrinker(struct shrinker_state *shrinker)
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
int replay_find_shrinker(struct trace_replay *replay, const char *text,
			 const struct trace_text_event *event,
			 struct shrinker_state **found)
{
	const char *function = text + event->function_offset;
	struct shrinker_state **bucket =
		&replay->shrinker_buckets[replay_hash(event->pointer,
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
struct group *replay_find_node(struct trace_replay *replay,
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

struct group *replay_group_of(struct shrinker_state *shrinker, int32_t nid,
			      int reading)
{
	if (reading == TRACE_REPLAY_ONE_SET)
		return shrinker->one_set;
	for (uint32_t i = 0; i < shrinker->nr_nodes; i++)
		if (shrinker->nodes[i]->nid == nid)
			return shrinker->nodes[i];
	return NULL;
}
