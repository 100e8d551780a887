/* SPDX-License-Identifier: MIT */
/*
 * What a replay remembers, and the functions of its parts: trace_replay.c pairs
 * starts with ends and checks their arithmetic, trace_shrinkers.c keeps the
 * shrinkers and their nodes, trace_counters.c judges the deferred counters,
 * trace_problems.c keeps what is to be named.
 */
#ifndef SHRINKER_TRACE_STATE_H
#define SHRINKER_TRACE_STATE_H

#include "trace_fit.h"
#include "trace_replay.h"
#include "trace_slots.h"

#define REPLAY_BUCKETS 65536

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
	int32_t priority;
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
	struct shrinker_state *shrinker_buckets[REPLAY_BUCKETS];
	struct pass *pass_buckets[REPLAY_BUCKETS];
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

static inline size_t replay_hash(uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) *
		     UINT64_C(0xff51afd7ed558ccd);

	return (size_t)(h >> 48) % REPLAY_BUCKETS;
}

/**
 * replay_add_problem - keep a problem under one reading
 * @problem: its shrinker and readings are filled in
 *
 * Return: its index, NO_PROBLEM where there is no room for it.
 */
size_t replay_add_problem(struct trace_replay *replay,
			  struct shrinker_state *shrinker, int reading,
			  struct trace_replay_problem problem);

/** replay_orphan_start - count and keep a start whose end is missing */
void replay_orphan_start(struct trace_replay *replay, const struct pass *pass);

/** replay_orphan_end - count and keep an end whose start is missing */
void replay_orphan_end(struct trace_replay *replay,
		       struct shrinker_state *shrinker,
		       const struct trace_text_event *event);

/**
 * replay_find_shrinker - the shrinker of an event, a new one if need be
 * @text: what the offsets in @event count from
 * @found: NULL where there are too many
 *
 * Return: 0, or -1 without memory.
 */
int replay_find_shrinker(struct trace_replay *replay, const char *text,
			 const struct trace_text_event *event,
			 struct shrinker_state **found);

/** replay_free_shrinker - with its nodes and counters */
void replay_free_shrinker(struct shrinker_state *shrinker);

/**
 * replay_find_node - the counters of a node, new ones if need be
 *
 * From the second node on the two readings part.
 *
 * Return: NULL without memory or with too many nodes.
 */
struct group *replay_find_node(struct trace_replay *replay,
			       struct shrinker_state *shrinker, int32_t nid);

/** replay_group_of - the counters of a node under a reading; NULL if none */
struct group *replay_group_of(struct shrinker_state *shrinker, int32_t nid,
			      int reading);

/**
 * replay_settle_pending - look whether a line explains wrong ends before it
 * @pass: the line's
 * @time: the line's
 * @held: what the line says that the counter held
 */
void replay_settle_pending(struct trace_replay *replay,
			   struct trace_replay_tally *tally,
			   struct group *group, uint64_t pass, uint64_t time,
			   int64_t held);

/**
 * replay_end_counter - end a pass under one reading: exact, or why not
 * @next: what the pass adds to its counter
 */
void replay_end_counter(struct trace_replay *replay,
			struct shrinker_state *shrinker, int reading,
			const struct pass *pass,
			const struct trace_text_event *event, int64_t next);

#endif /* SHRINKER_TRACE_STATE_H */
