/* SPDX-License-Identifier: MIT */
/*
 * Reading the text of a kernel's trace: the two events of a pass as ftrace and
 * perf script print them (docs/replay.md has the grammar).
 *
 * Everything here works on the caller's memory, takes no lock, calls nobody
 * back, never allocates, and reads no byte outside the length that it is
 * given: a text need not end in a NUL, and may hold any bytes.
 */
#ifndef SHRINKER_TRACE_TEXT_H
#define SHRINKER_TRACE_TEXT_H

#ifndef SHRINKER_CDEF
#include <stddef.h>
#endif

#include <shrinker/types.h>

/**
 * enum trace_line_kind - what a line of a trace turned out to be
 * @TRACE_LINE_BLANK: nothing, or a comment ("# tracer: nop")
 * @TRACE_LINE_START: mm_shrink_slab_start
 * @TRACE_LINE_END: mm_shrink_slab_end
 * @TRACE_LINE_OTHER: a line header with some other event
 * @TRACE_LINE_LOST: "CPU:n [LOST m EVENTS]"
 * @TRACE_LINE_MALFORMED: names one of the two events but cannot be read, or
 *	stops before its event's name
 * @TRACE_LINE_UNKNOWN: none of these
 */
enum trace_line_kind {
	TRACE_LINE_BLANK,
	TRACE_LINE_START,
	TRACE_LINE_END,
	TRACE_LINE_OTHER,
	TRACE_LINE_LOST,
	TRACE_LINE_MALFORMED,
	TRACE_LINE_UNKNOWN
};

/**
 * enum trace_text_error - why a line is malformed: the part that was expected
 */
enum trace_text_error {
	TRACE_TEXT_OK,
	TRACE_TEXT_NO_HEADER,
	TRACE_TEXT_NO_NAME,
	TRACE_TEXT_NO_FUNCTION,
	TRACE_TEXT_NO_POINTER,
	TRACE_TEXT_NO_NID,
	TRACE_TEXT_NO_MEMCG,
	TRACE_TEXT_NO_NR,
	TRACE_TEXT_NO_GFP,
	TRACE_TEXT_NO_FREEABLE,
	TRACE_TEXT_NO_DELTA,
	TRACE_TEXT_NO_NEW_NR,
	TRACE_TEXT_NO_TOTAL_SCAN,
	TRACE_TEXT_NO_PRIORITY,
	TRACE_TEXT_NO_RETVAL,
	TRACE_TEXT_TRAILING,
	TRACE_TEXT_TOO_LONG
};

/* struct trace_text_event.flags */
/* The line has a header: comm, pid, cpu and time are the header's. */
#define TRACE_TEXT_HEADER 1
/* The payload has a pid and a memcg_id, as newer kernels print them. */
#define TRACE_TEXT_MEMCG 2
/* A flag's name is none of those in types.h: gfp_mask is what is left. */
#define TRACE_TEXT_GFP_UNKNOWN 4

/* A longer line is malformed; no kernel prints one. */
#define TRACE_TEXT_LINE_MAX 65536

/**
 * struct trace_text_event - one line, taken apart
 * @time: nanoseconds on the trace's own clock; 0 without a header
 * @line: number of the line, from 1 (trace_text_parse_line() leaves it 0)
 * @pointer: the shrinker, as printed (mostly hashed)
 * @nr: deferred objects taken over ("objects to shrink", "unused scan count")
 * @freeable: objects counted ("cache items"); start only
 * @delta: start only; printed as a signed number
 * @new_nr: deferred counter after the pass ("new scan count"); end only
 * @total_scan: objects to scan (start), left to scan (end)
 * @lost: events lost; TRACE_LINE_LOST only
 * @function_offset: where the scan function's name begins in the text
 * @comm_offset: where the task's name begins in the text
 * @function_length: bytes
 * @comm_length: bytes; 0 without a header
 * @kind: enum trace_line_kind
 * @error: enum trace_text_error, 0 unless malformed
 * @flags: TRACE_TEXT_*
 * @pid: the task; the payload's where there is no header; -1 where unknown
 * @cpu: processor; -1 without a header
 * @nid: memory node, 0 or more
 * @gfp_mask: bits as in types.h, whatever the bits of the kernel that traced;
 *	start only
 * @priority: start only
 * @retval: objects freed, cut to 32 bits; end only
 * @payload_pid: valid with TRACE_TEXT_MEMCG
 * @memcg_id: valid with TRACE_TEXT_MEMCG
 */
struct trace_text_event {
	uint64_t time;
	uint64_t line;
	uint64_t pointer;
	int64_t nr;
	int64_t freeable;
	int64_t delta;
	int64_t new_nr;
	int64_t total_scan;
	uint64_t lost;
	uint32_t function_offset;
	uint32_t comm_offset;
	uint32_t function_length;
	uint32_t comm_length;
	uint16_t kind;
	uint16_t error;
	uint32_t flags;
	int32_t pid;
	int32_t cpu;
	int32_t nid;
	uint32_t gfp_mask;
	int32_t priority;
	int32_t retval;
	int32_t payload_pid;
	uint32_t memcg_id;
};

/**
 * struct trace_text_counts - what stood in a text besides our two events
 * @lines: lines in all
 * @starts: mm_shrink_slab_start that could be read
 * @ends: mm_shrink_slab_end that could be read
 * @others: other events
 * @malformed: lines that name one of the two and cannot be read, or are cut
 * @unknown: lines that are neither events nor comments nor empty
 * @first_unknown: number of the first such line; 0 where there is none
 * @lost: events that the trace itself says were lost
 */
struct trace_text_counts {
	uint64_t lines;
	uint64_t starts;
	uint64_t ends;
	uint64_t others;
	uint64_t malformed;
	uint64_t unknown;
	uint64_t first_unknown;
	uint64_t lost;
};

/**
 * trace_text_parse_line - take one line of a trace apart
 * @text: the line; a line feed and carriage return at its end are ignored
 * @length: bytes in @text; above TRACE_TEXT_LINE_MAX the line is malformed
 * @event: filled in; fields that the line does not have are 0, pid and cpu -1
 *
 * Accepted: ftrace's header (with or without flags and tgid), perf script's,
 * none before the event's name, and a bare payload, whose words tell a start
 * from an end.  Numbers must fit their types, nothing may be missing, and
 * nothing but blanks may follow.
 *
 * Return: enum trace_line_kind, also in @event->kind.
 */
int trace_text_parse_line(const char *text, size_t length,
			  struct trace_text_event *event);

/**
 * trace_text_parse - take a text with many lines apart
 * @text: bytes, from the beginning of a line
 * @length: of @text; at most UINT32_MAX, the rest is left for the next call
 * @final: non-zero where @text is the end: its last line counts although no
 *	line feed follows
 * @first_line: number of the first line
 * @events: where starts, ends, malformed lines and losses go, in their order;
 *	offsets in them count from @text
 * @max_events: room in @events
 * @nr_events: how many were written
 * @counts: added to, never reset
 *
 * Return: bytes of @text that are dealt with, always whole lines; fewer than
 * @length when @events is full or the last line is not complete.
 */
size_t trace_text_parse(const char *text, size_t length, int final,
			uint64_t first_line, struct trace_text_event *events,
			size_t max_events, size_t *nr_events,
			struct trace_text_counts *counts);

#endif /* SHRINKER_TRACE_TEXT_H */
