/* SPDX-License-Identifier: MIT */
/*
 * Passes as rows: a start, and the next end of the same task and shrinker, as a
 * report keeps them.
 *
 * All functions work on the caller's memory.  They allocate none, take no lock and
 * make no callback.
 */
#ifndef SHRINKER_REPLAY_PAIRS_H
#define SHRINKER_REPLAY_PAIRS_H

#ifndef SHRINKER_CDEF
#include <stddef.h>
#endif

#include <shrinker/trace_text.h>

/* Entries of trace_pairs.seen; a power of two. */
#define TRACE_PAIRS_SEEN 4096

/**
 * struct trace_pass - a pass as its two lines say it
 * @start_ns: nanoseconds on the clock of the recording; as @end_ns without @timed
 * @memcg: 0 where the line names none
 * @function: hash of the scan function's name and the shrinker's pointer
 * @comm: hash of the task's name
 * @flags: TRACE_TEXT_* of the start; TRACE_TEXT_TIME only where the end has it, too
 */
struct trace_pass {
	uint64_t start_line;
	uint64_t end_line;
	int64_t start_ns;
	int64_t end_ns;
	int64_t count;
	int64_t before;
	int64_t delta;
	int64_t asked;
	int64_t scanned;
	int64_t freed;
	int64_t deferred;
	uint64_t memcg;
	uint64_t function;
	uint64_t comm;
	uint32_t gfp_mask;
	uint32_t flags;
	int32_t pid;
	int32_t cpu;
	int32_t node;
	int32_t priority;
};

/**
 * struct trace_pairs_entry - a pass that has no end yet
 * @task: its pid; -2 less the processor where the line names none
 * @used: the entry is, or was, that of @task and @pass.function
 * @open: its end has not come
 */
struct trace_pairs_entry {
	struct trace_pass pass;
	int64_t task;
	int32_t used;
	int32_t open;
};

/**
 * struct trace_pairs_name - an event whose names may be new
 * @event: its place among those that were fed
 */
struct trace_pairs_name {
	uint64_t function;
	uint64_t comm;
	uint64_t event;
};

/**
 * struct trace_pairs - the passes of a recording that are not whole yet
 * @entries: a table of @size entries; zeroed by the caller at first
 * @size: a power of two
 * @nr_used: entries that are used
 * @nr_open: those of them that are open
 * @seen: the hash of a name that was given out last for each place
 */
struct trace_pairs {
	struct trace_pairs_entry *entries;
	size_t size;
	size_t nr_used;
	size_t nr_open;
	uint64_t seen[TRACE_PAIRS_SEEN];
};

/**
 * trace_pairs_feed - make passes of events
 * @text: what the offsets in @events count from
 * @events: in the order of their lines; what is neither start nor end is skipped
 * @passes: room for @nr_events; receives the passes that ended, in that order
 * @nr_passes: receives how many
 * @names: room for @nr_events
 * @nr_names: receives how many events have a name that is not in @pairs->seen
 *
 * The caller sees to it that more than @nr_events entries are not used
 * (trace_pairs_move()).
 *
 * Context: one thread at a time for each @pairs.
 */
void trace_pairs_feed(struct trace_pairs *pairs, const char *text,
		      const struct trace_text_event *events, size_t nr_events,
		      struct trace_pass *passes, size_t *nr_passes,
		      struct trace_pairs_name *names, size_t *nr_names);

/**
 * trace_pairs_move - go on with another table
 * @entries: zeroed; @size of them, a power of two and more than there are open ones
 *
 * Takes over the passes that are open, and forgets the others.
 *
 * Context: as trace_pairs_feed().
 */
void trace_pairs_move(struct trace_pairs *pairs,
		      struct trace_pairs_entry *entries, size_t size);

#endif /* SHRINKER_REPLAY_PAIRS_H */
