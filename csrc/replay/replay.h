/* SPDX-License-Identifier: MIT */
/*
 * Replay: each pass of a recording goes through the arithmetic of scan.h, and the
 * result is compared with what the kernel printed.  docs/replay.md says what is
 * checked and why the check can be believed.
 *
 * A replay is one recording.  One thread at a time may use it.  It takes no lock
 * and makes no callback.  Its memory grows with the number of shrinkers, unfinished
 * passes and deferred counters, each of which is limited; not with the length of
 * the recording.
 */
#ifndef SHRINKER_REPLAY_REPLAY_H
#define SHRINKER_REPLAY_REPLAY_H

#include <shrinker/one_pass.h>
#include <shrinker/trace_text.h>

/* Shrinkers of a recording; events of others are counted as untracked. */
#define TRACE_REPLAY_MAX_SHRINKERS 65536
/* Nodes of a shrinker; events on others are counted as untracked. */
#define TRACE_REPLAY_MAX_NODES 1024
/* Unfinished passes of a recording; one more start is counted as an orphan. */
#define TRACE_REPLAY_MAX_OPEN_PASSES 65536
/* Problems that are kept; all are counted. */
#define TRACE_REPLAY_MAX_PROBLEMS 8192
/* And of those, problems of each shrinker under each reading. */
#define TRACE_REPLAY_MAX_PROBLEMS_EACH 256
/* Lines of two walkers may be out of order within this time, nanoseconds. */
#define TRACE_REPLAY_WINDOW_NS 200000

/**
 * enum trace_replay_reason - why a pass is not exact, or an event is alone
 *
 * A pass has one reason, the first that applies.  FIELDS to BATCH concern the
 * pass by itself, NEW_* its deferred counter, which other passes change, too.
 *
 * @TRACE_REPLAY_FIELDS: the start has the fields of another era
 * @TRACE_REPLAY_FREEABLE: the count is one after which a kernel prints no event
 * @TRACE_REPLAY_PRIORITY: outside 0 to 63
 * @TRACE_REPLAY_DELTA: no seeks gives this delta
 * @TRACE_REPLAY_SEEKS: some seeks gives this delta, but none gives also those of the
 *	earlier starts
 * @TRACE_REPLAY_TOTAL_SCAN: total_scan does not follow from the other fields
 * @TRACE_REPLAY_UNUSED: start and end differ in the deferred work taken over
 * @TRACE_REPLAY_NID: start and end differ in the node
 * @TRACE_REPLAY_BATCH: no batch lets this pass scan what it scanned, or it left
 *	more than it began with
 * @TRACE_REPLAY_NEW_LOST: the new counter is impossible, but events were lost
 *	while the pass ran
 * @TRACE_REPLAY_NEW_ORDER: ... but possible if lines of other passes within
 *	TRACE_REPLAY_WINDOW_NS stood in another order
 * @TRACE_REPLAY_NEW_LATE: ... but possible if the start was printed late, after
 *	passes that found the counter at 0 (struct slot_end)
 * @TRACE_REPLAY_NEW_MERGED: ... but possible if one or two idle counters, of removed
 *	cgroups, were added to it
 * @TRACE_REPLAY_NEW_OTHER: ... but an idle counter of the shrinker has just the
 *	value that the pass needs
 * @TRACE_REPLAY_NEW_UNEXPLAINED: ... and none of these
 * @TRACE_REPLAY_UNTRACKED: more passes or counters at once than are followed
 * @TRACE_REPLAY_ORPHAN_START: the end of the pass is missing
 * @TRACE_REPLAY_ORPHAN_END: the start of the pass is missing
 */
enum trace_replay_reason {
	TRACE_REPLAY_EXACT,
	TRACE_REPLAY_FIELDS,
	TRACE_REPLAY_FREEABLE,
	TRACE_REPLAY_PRIORITY,
	TRACE_REPLAY_DELTA,
	TRACE_REPLAY_SEEKS,
	TRACE_REPLAY_TOTAL_SCAN,
	TRACE_REPLAY_UNUSED,
	TRACE_REPLAY_NID,
	TRACE_REPLAY_BATCH,
	TRACE_REPLAY_NEW_LOST,
	TRACE_REPLAY_NEW_ORDER,
	TRACE_REPLAY_NEW_LATE,
	TRACE_REPLAY_NEW_MERGED,
	TRACE_REPLAY_NEW_OTHER,
	TRACE_REPLAY_NEW_UNEXPLAINED,
	TRACE_REPLAY_UNTRACKED,
	TRACE_REPLAY_ORPHAN_START,
	TRACE_REPLAY_ORPHAN_END,
	TRACE_REPLAY_NR_REASONS
};

/**
 * enum trace_replay_reading - which counters a shrinker has; both are followed
 * @TRACE_REPLAY_BY_NODE: a set for each node
 * @TRACE_REPLAY_ONE_SET: one set for all nodes: it is not NUMA-aware
 */
enum trace_replay_reading {
	TRACE_REPLAY_BY_NODE,
	TRACE_REPLAY_ONE_SET,
	TRACE_REPLAY_NR_READINGS
};

/**
 * struct trace_replay_tally - the passes of one shrinker under one reading
 * @exact: reproduced
 * @reordered: exact ones whose lines stand in another order than the changes of their
 *	counter
 * @merged: exact ones whose counter includes counters of removed cgroups
 * @overlaps: exact ones whose counter includes another walker's work
 * @adopted: exact ones that took a counter not seen before, other than 0
 * @cost: what the reading does not explain, over all passes: impossible counters,
 *	counters not seen before that are not at 0, and with sets for each node ends
 *	which say that the shrinker is not NUMA-aware
 * @reasons: passes that are not exact, by enum trace_replay_reason
 */
struct trace_replay_tally {
	uint64_t exact;
	uint64_t reordered;
	uint64_t merged;
	uint64_t overlaps;
	uint64_t adopted;
	uint64_t cost;
	uint64_t reasons[TRACE_REPLAY_NR_REASONS];
};

/**
 * struct trace_replay_shrinker - what was found about one shrinker
 * @function: name of the scan function; not NUL-terminated, owned by the replay
 * @function_length: bytes
 * @nodes: how many nodes its events name
 * @pointer: as printed
 * @passes: complete pairs
 * @arithmetic: those whose delta and total_scan are what the core computes
 * @seeks_lo: smallest divisor that fits all starts
 * @seeks_hi: largest
 * @seeks_zero: non-zero where seeks 0 fits all starts
 * @reading: enum trace_replay_reading with the lower cost, BY_NODE if equal
 * @seeks_changes: how often another value of seeks took over for good
 * @batch_hi: largest batch that fits all passes; 0 where nothing is said
 * @batch_least: smallest one if no pass that had scanned was stopped; 0 likewise
 * @tallies: by enum trace_replay_reading; with one node the second is all 0
 */
struct trace_replay_shrinker {
	const char *function;
	uint32_t function_length;
	uint32_t nodes;
	uint64_t pointer;
	uint64_t passes;
	uint64_t arithmetic;
	uint32_t seeks_lo;
	uint32_t seeks_hi;
	uint32_t seeks_zero;
	uint32_t reading;
	uint64_t seeks_changes;
	uint64_t batch_hi;
	uint64_t batch_least;
	struct trace_replay_tally tallies[TRACE_REPLAY_NR_READINGS];
};

/**
 * struct trace_replay_problem - one pass that is not exact, or a lone event
 * @line: of the end event, or of the only event
 * @start_line: of the start event; 0 where there is none
 * @recorded: the number in the recording
 * @computed: the number that the core has in its place; with DELTA, for which there
 *	is none, the count
 * @shrinker: index of the shrinker
 * @priority: of the start event; 0 where there is none
 * @reason: enum trace_replay_reason
 * @readings: bit n: a problem under reading n
 */
struct trace_replay_problem {
	uint64_t line;
	uint64_t start_line;
	int64_t recorded;
	int64_t computed;
	uint32_t shrinker;
	int32_t priority;
	uint16_t reason;
	uint16_t readings;
};

/**
 * struct trace_replay_totals - what does not depend on a reading
 * @passes: complete pairs
 * @orphan_starts: starts without an end; complete after trace_replay_finish()
 * @orphan_ends: ends without a start
 * @untracked: events of more shrinkers or nodes than are followed
 * @fitting: starts whose delta and total_scan the era computes, and exact passes: the
 *	era in which this is largest is the recording's
 */
struct trace_replay_totals {
	uint64_t passes;
	uint64_t orphan_starts;
	uint64_t orphan_ends;
	uint64_t untracked;
	uint64_t fitting;
};

struct trace_replay;

/**
 * trace_replay_new - begin a recording
 * @era: whose formula its passes are compared with, enum pass_era
 *
 * Return: to be freed with trace_replay_free(), or NULL without memory.
 */
struct trace_replay *trace_replay_new(int era);

/**
 * trace_replay_free - free a replay and the names that it owns
 * @replay: NULL is allowed
 */
void trace_replay_free(struct trace_replay *replay);

/**
 * trace_replay_feed - replay the next events
 * @text: what the offsets in @events count from; not needed afterwards
 * @events: from trace_text_parse(), in the order of the recording; starts, ends and
 *	losses are used
 * @nr_events: how many
 *
 * Return: 0, or -1 without memory: the results so far can be read, but no more
 * events can be fed.
 */
int trace_replay_feed(struct trace_replay *replay, const char *text,
		      const struct trace_text_event *events, size_t nr_events);

/**
 * trace_replay_finish - the recording is over: unfinished passes are orphans, and what
 *	no line has explained is not exact
 */
void trace_replay_finish(struct trace_replay *replay);

/**
 * trace_replay_totals - copy the totals into @totals
 */
void trace_replay_totals(const struct trace_replay *replay,
			 struct trace_replay_totals *totals);

/**
 * trace_replay_shrinkers - copy what was found about each shrinker
 * @shrinkers: room for @max; the names in it live as long as @replay
 *
 * Return: how many shrinkers there are, in the order of their first event.
 */
size_t trace_replay_shrinkers(const struct trace_replay *replay,
			      struct trace_replay_shrinker *shrinkers,
			      size_t max);

/**
 * trace_replay_problems - copy the problems that were kept, in no order
 * @problems: room for @max; NULL is allowed if that is 0
 *
 * Return: how many there are.
 */
size_t trace_replay_problems(const struct trace_replay *replay,
			     struct trace_replay_problem *problems, size_t max);

#endif /* SHRINKER_REPLAY_REPLAY_H */
