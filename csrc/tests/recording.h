/* SPDX-License-Identifier: MIT */
/*
 * Events of a made-up recording, as the line reader would give them.
 */
#ifndef TESTS_RECORDING_H
#define TESTS_RECORDING_H

#include "replay/replay.h"
#include "scan.h"

/* Scan functions "a", "b", ... by offset. */
static const char names[] = "abcdefgh";

static uint64_t next_line = 1;
/* Nanoseconds. */
static uint64_t now = 1000000000;
static uint64_t between_lines = 1000000;

/* The same numbers in each run. */
static inline uint64_t random_bits(void)
{
	static uint64_t state = 88172645463325252U;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static inline struct trace_text_event start_event(int32_t pid, uint32_t name,
						  int32_t nid, int64_t nr,
						  int64_t freeable, int priority)
{
	uint64_t delta = scan_delta(freeable, priority, DEFAULT_SEEKS);

	return (struct trace_text_event){
		.kind = TRACE_LINE_START,
		.line = next_line++,
		.time = now += between_lines,
		.function_offset = name,
		.function_length = 1,
		.pointer = 1,
		.pid = pid,
		.nid = nid,
		.nr = nr,
		.freeable = freeable,
		.delta = (int64_t)delta,
		.total_scan = scan_total(nr, delta, freeable, priority),
		.priority = priority,
	};
}

/* The end of a pass that scanned @scanned and found @before in its counter. */
static inline struct trace_text_event
end_event(const struct trace_text_event *start, int64_t scanned, int64_t before)
{
	return (struct trace_text_event){
		.kind = TRACE_LINE_END,
		.line = next_line++,
		.time = now += between_lines,
		.function_offset = start->function_offset,
		.function_length = 1,
		.pointer = start->pointer,
		.pid = start->pid,
		.nid = start->nid,
		.nr = start->nr,
		.new_nr = before + scan_deferred(start->nr,
						 (uint64_t)start->delta,
						 scanned, start->freeable),
		.total_scan = start->total_scan - scanned,
		.retval = (int32_t)scanned,
	};
}

#endif /* TESTS_RECORDING_H */
