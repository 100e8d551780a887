/* SPDX-License-Identifier: MIT */
/*
 * Reading the text of a recording: the two events of a pass as ftrace and perf
 * script print them (docs/replay.md has the grammar).
 *
 * All functions work on the caller's memory.  They allocate none, take no lock and
 * make no callback.  They read no byte beyond the length that they are given: a
 * text may hold any bytes, and need not end in a NUL.
 */
#ifndef SHRINKER_TRACE_TEXT_H
#define SHRINKER_TRACE_TEXT_H

#ifndef SHRINKER_CDEF
#include <stddef.h>
#endif

#include <shrinker/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum trace_line_kind - what a line is
 * @TRACE_LINE_BLANK: empty, or a comment ("# tracer: nop")
 * @TRACE_LINE_START: mm_shrink_slab_start
 * @TRACE_LINE_END: mm_shrink_slab_end
 * @TRACE_LINE_OTHER: a header and another event
 * @TRACE_LINE_LOST: "CPU:n [LOST m EVENTS]"
 * @TRACE_LINE_MALFORMED: names one of the two events but cannot be read, or ends
 *	before the name of its event
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
 * enum trace_text_error - why a line is malformed: the part that is missing
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
	TRACE_TEXT_NO_PAGES,
	TRACE_TEXT_NO_FREEABLE,
	TRACE_TEXT_NO_DELTA,
	TRACE_TEXT_NO_NEW_NR,
	TRACE_TEXT_NO_TOTAL_SCAN,
	TRACE_TEXT_NO_PRIORITY,
	TRACE_TEXT_NO_RETVAL,
	TRACE_TEXT_OTHER_PAYLOAD,
	TRACE_TEXT_TRAILING,
	TRACE_TEXT_TOO_LONG
};

/* struct trace_text_event.flags */
/* The line has a header: comm, pid, cpu and time come from there, if it has them. */
#define TRACE_TEXT_HEADER 1
/* The payload has a pid and a memcg_id, as newer kernels print them. */
#define TRACE_TEXT_MEMCG 2
/* The line names a flag that types.h does not have: it is not in gfp_mask. */
#define TRACE_TEXT_GFP_UNKNOWN 4
/* A start has pgs_scanned and lru_pgs in place of a priority: Linux up to 4.15. */
#define TRACE_TEXT_PAGES 8
/* The header has a time. */
#define TRACE_TEXT_TIME 16

/* Bytes; a longer line is malformed, and no kernel prints one. */
#define TRACE_TEXT_LINE_MAX 65536

/**
 * struct trace_text_event - what a line says
 * @time: nanoseconds on the clock of the recording; 0 without a header
 * @line: number of the line, from 1 (trace_text_parse_line() leaves it 0)
 * @pointer: the shrinker, as printed (mostly hashed)
 * @nr: deferred objects taken over ("objects to shrink", "unused scan count")
 * @freeable: objects counted ("cache items"); start only
 * @delta: objects added to @nr, as a signed number; start only
 * @new_nr: deferred counter after the pass ("new scan count"); end only
 * @total_scan: objects to scan (start), left to scan (end)
 * @lost: events lost, 0 where the line has no number; TRACE_LINE_LOST only
 * @function_offset: where the name of the scan function begins in the text
 * @comm_offset: where the name of the task begins in the text
 * @function_length: bytes
 * @comm_length: bytes; 0 without a header
 * @kind: enum trace_line_kind
 * @error: enum trace_text_error, 0 unless malformed
 * @flags: TRACE_TEXT_*
 * @pid: the task; without a header @payload_pid, or -1
 * @cpu: processor; -1 without a header
 * @nid: memory node, 0 or more; 0 where the line names none, as before Linux 3.12
 * @gfp_mask: flags by name, with the bits of types.h; start only
 * @priority: start only; 0 with TRACE_TEXT_PAGES
 * @retval: objects freed, cut to 32 bits; end only
 * @payload_pid: valid with TRACE_TEXT_MEMCG
 * @memcg_id: valid with TRACE_TEXT_MEMCG
 * @pgs_scanned: pages that the walk scanned; valid with TRACE_TEXT_PAGES
 * @lru_pgs: pages that it could have scanned; likewise
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
	uint64_t memcg_id;
	int64_t pgs_scanned;
	int64_t lru_pgs;
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
};

/**
 * struct trace_text_counts - the lines of a text, by what they are
 * @lines: all
 * @starts: mm_shrink_slab_start that could be read
 * @ends: mm_shrink_slab_end that could be read
 * @others: other events
 * @malformed: see TRACE_LINE_MALFORMED
 * @unknown: lines that are neither events nor comments nor empty
 * @first_unknown: number of the first such line; 0 where there is none
 * @lost: events lost, by the numbers in the lines
 * @wrapped: lines in which the event of a line before goes on
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
	uint64_t wrapped;
};

/**
 * trace_text_parse_line - read one line
 * @text: the line; a line feed and carriage return at its end are ignored
 * @length: bytes in @text; above TRACE_TEXT_LINE_MAX the line is malformed
 * @event: filled in; fields that the line does not have are 0, pid and cpu -1
 *
 * Accepted before the payload: a header as ftrace, trace-cmd, perf script, perf trace
 * or a kernel log print it, whole or in parts, and the name of the event; the name
 * alone; nothing: then the words of the payload tell a start from an end.  The payload
 * is the kernel's text, or names with values.  Numbers must fit their types, nothing may
 * be missing, and only what is known to follow a payload may follow.
 *
 * Context: any thread.
 * Return: enum trace_line_kind, also in @event->kind.
 */
int trace_text_parse_line(const char *text, size_t length,
			  struct trace_text_event *event);

/**
 * trace_text_parse - read the lines of a text
 * @text: from the beginning of a line
 * @length: bytes in @text; what is beyond UINT32_MAX is left for the next call
 * @final: non-zero: nothing comes after @text, so its last line needs no line feed
 * @first_line: number of the first line
 * @events: receives starts, ends, malformed lines and losses, in their order;
 *	offsets in them count from @text
 * @max_events: room in @events
 * @nr_events: receives how many there are
 * @counts: the lines are added to it
 *
 * An event may go on in the next lines, as in a mail: its number is the first one's.
 *
 * Context: any thread.
 * Return: bytes of @text that were read, always whole lines; fewer than @length
 * when @events is full or the last line, or its event, is not complete.
 */
size_t trace_text_parse(const char *text, size_t length, int final,
			uint64_t first_line, struct trace_text_event *events,
			size_t max_events, size_t *nr_events,
			struct trace_text_counts *counts);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_TRACE_TEXT_H */
