/* SPDX-License-Identifier: MIT */
/*
 * Inside of a replay: what its files share.  replay.c pairs starts with ends and
 * checks their arithmetic, counters.c checks the deferred counters, state.c keeps
 * the shrinkers, their counters and the problems.
 */
#ifndef SHRINKER_REPLAY_STATE_H
#define SHRINKER_REPLAY_STATE_H

#include "replay/fit.h"
#include "replay/replay.h"
#include "replay/worlds.h"

/* Of each hash table. */
#define HASH_BUCKETS 65536
/* Wrong ends of a set that wait for lines that explain them. */
#define MAX_WAITING 8
/* Lines of a set for which they wait. */
#define MAX_WAITING_LINES 256
/* A power of two: of so many tasks the latest line is known. */
#define TASKS_KNOWN 4096
/* A problem that was counted, but not kept. */
#define NO_PROBLEM SIZE_MAX

/**
 * struct open_pass - a pass whose end has not come yet
 * @next: in its hash bucket, or of those to be reused
 * @number: counts the starts of the recording
 * @line: of the start
 * @losses: gaps in the recording before the start
 * @memcg: id of the memory cgroup; 0 where the recording has none
 * @time: of the start, nanoseconds
 * @in: count, and priority or pages, of the start
 * @nr, @delta, @total_scan, @pid, @nid: of the start
 * @shrinker: index
 * @reason: enum trace_replay_reason
 * @recorded, @computed: see struct trace_replay_problem; valid with a @reason
 */
struct open_pass {
	struct open_pass *next;
	uint64_t number;
	uint64_t line;
	uint64_t losses;
	uint64_t memcg;
	uint64_t time;
	struct era_input in;
	int64_t nr;
	int64_t delta;
	int64_t total_scan;
	int32_t pid;
	int32_t nid;
	uint32_t shrinker;
	int reason;
	int64_t recorded;
	int64_t computed;
};

/**
 * enum how_explained - what makes an end possible that is not as the lines stand
 * @NOT_EXPLAINED: nothing so far
 * @REORDERED: another order of the lines
 * @MERGED: counters of removed cgroups that were added to this one
 */
enum how_explained { NOT_EXPLAINED, REORDERED, MERGED };

/**
 * struct wrong_end - an end with an impossible counter, until it is known whether
 *	other lines explain it
 * @problem: what it is counted as if they do not
 * @tick: of the set, at the end
 * @time: of the end, nanoseconds
 * @pass: number of the pass
 * @memcg: of the pass
 * @needed: what the counter must have held
 * @held: what it held, as the lines stand
 * @left: the counter afterwards
 * @how: what explains it so far
 * @task: of the pass
 * @confirmed: a later line has found @left
 * @adopted: the pass had adopted its counter
 */
struct wrong_end {
	struct trace_replay_problem problem;
	uint64_t tick;
	uint64_t time;
	uint64_t pass;
	uint64_t memcg;
	int64_t needed;
	int64_t held;
	int64_t left;
	enum how_explained how;
	int32_t task;
	bool confirmed;
	bool adopted;
};

/**
 * struct task_line - the latest line of a task
 * @task: its pid; 0 where none is known
 * @time: nanoseconds
 */
struct task_line {
	int32_t task;
	uint64_t time;
};

/**
 * struct counter_set - the deferred counters of a shrinker on a node, or on all
 * @nid: node; of the set for all nodes: the first one
 */
struct counter_set {
	struct slot_worlds worlds;
	struct wrong_end waiting[MAX_WAITING];
	unsigned int nr_waiting;
	int32_t nid;
};

/**
 * struct shrinker_state - a shrinker of the recording
 * @next: in its hash bucket
 * @function: name of the scan function; not NUL-terminated
 * @index: in the order of first events
 * @pointer: as printed
 * @passes, @arithmetic, @seeks_changes: see struct trace_replay_shrinker
 * @shown_one_set: ends which say that it is not NUMA-aware
 * @seeks: what the starts so far share
 * @rival: what the latest starts share that contradict @seeks
 * @nr_rivals: how many these are
 * @least: what the starts so far say about the least delta of 4.19.y
 * @batch: what the passes so far say
 * @nodes: a set for each node
 * @one_set: the set for all nodes; NULL as long as there is one node, because both
 *	readings are the same then
 * @nr_problems: kept, by reading
 */
struct shrinker_state {
	struct shrinker_state *next;
	char *function;
	uint32_t function_length;
	uint32_t index;
	uint64_t pointer;
	uint64_t passes;
	uint64_t arithmetic;
	uint64_t seeks_changes;
	uint64_t shown_one_set;
	struct seeks_fit seeks, rival;
	unsigned int nr_rivals;
	struct least_fit least;
	struct batch_fit batch;
	struct counter_set **nodes;
	uint32_t nr_nodes;
	struct counter_set *one_set;
	struct trace_replay_tally tallies[TRACE_REPLAY_NR_READINGS];
	unsigned int nr_problems[TRACE_REPLAY_NR_READINGS];
};

/**
 * struct trace_replay - a recording while it is replayed
 * @era: whose formula its passes are compared with
 * @by_name: shrinkers, hashed by pointer and length of the name
 * @open: passes, hashed by task and shrinker
 * @nr_open: how many
 * @unused: passes that have ended, to be reused
 * @shrinkers: by index
 * @nr_starts: starts followed so far
 * @nr_losses: gaps so far
 * @nr_learnt: starts that only a batch not known before explains (least_fit_add())
 * @tasks: latest lines, by the low bits of the pid
 */
struct trace_replay {
	enum pass_era era;
	struct shrinker_state *by_name[HASH_BUCKETS];
	struct open_pass *open[HASH_BUCKETS];
	size_t nr_open;
	struct open_pass *unused;
	struct shrinker_state **shrinkers;
	size_t nr_shrinkers, max_shrinkers;
	struct trace_replay_problem *problems;
	size_t nr_problems, max_problems;
	uint64_t nr_starts;
	uint64_t nr_losses;
	uint64_t nr_learnt;
	struct task_line tasks[TASKS_KNOWN];
	struct trace_replay_totals totals;
};

static inline size_t replay_hash(uint64_t a, uint64_t b)
{
	uint64_t hash = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) *
			UINT64_C(0xff51afd7ed558ccd);

	return (size_t)(hash >> 48) % HASH_BUCKETS;
}

#pragma GCC visibility push(hidden)

/* --- state.c --------------------------------------------------------------- */

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

/** replay_free_shrinker - with its counters */
void replay_free_shrinker(struct shrinker_state *shrinker);

/**
 * replay_add_node - make counters for a node that has none
 *
 * Return: 0; -1 without memory, or with too many nodes.
 */
int replay_add_node(struct trace_replay *replay,
		    struct shrinker_state *shrinker, int32_t nid);

/** replay_counters - those of a node under a reading; NULL where there are none */
struct counter_set *replay_counters(struct shrinker_state *shrinker, int32_t nid,
				    int reading);

/**
 * replay_add_problem - keep a problem under one reading
 * @problem: its shrinker and readings are filled in
 *
 * Return: its index; NO_PROBLEM where there is no room.
 */
size_t replay_add_problem(struct trace_replay *replay,
			  struct shrinker_state *shrinker, int reading,
			  struct trace_replay_problem problem);

/** replay_orphan_start - count and keep a start whose end is missing */
void replay_orphan_start(struct trace_replay *replay,
			 const struct open_pass *pass);

/** replay_orphan_end - count and keep an end whose start is missing */
void replay_orphan_end(struct trace_replay *replay,
		       struct shrinker_state *shrinker,
		       const struct trace_text_event *event);

/* --- counters.c ------------------------------------------------------------ */

/**
 * replay_start_counter - a pass takes a counter under one reading
 * @earliest: when the task had printed its line before
 * @start: the event
 *
 * Return: 0, or -1 without memory.
 */
int replay_start_counter(struct trace_replay *replay,
			 struct shrinker_state *shrinker, int reading,
			 const struct open_pass *pass, uint64_t earliest,
			 const struct trace_text_event *start);

/**
 * replay_end_counter - count the end of a pass under one reading
 * @end: the event
 * @next: what the pass adds to its counter
 */
void replay_end_counter(struct trace_replay *replay,
			struct shrinker_state *shrinker, int reading,
			const struct open_pass *pass,
			const struct trace_text_event *end, int64_t next);

/** replay_settle - no more lines: count the wrong ends that still wait */
void replay_settle(struct trace_replay *replay, struct shrinker_state *shrinker);

#pragma GCC visibility pop

#endif /* SHRINKER_REPLAY_STATE_H */
