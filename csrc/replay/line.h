/* SPDX-License-Identifier: MIT */
/*
 * Inside of the line reader: what its files share.  header.c reads what stands
 * before the name of an event, payload.c and fields.c what follows it, line.c puts
 * lines together.
 */
#ifndef SHRINKER_REPLAY_LINE_H
#define SHRINKER_REPLAY_LINE_H

#include "replay/cursor.h"

#include <shrinker/trace_text.h>

#pragma GCC visibility push(hidden)

/* --- header.c -------------------------------------------------------------- */

/**
 * take_header - the header of ftrace or perf script, with all its parts
 * @text: what offsets in @event count from
 *
 * Return: whether it was there; else @event has no task, processor and time.
 */
bool take_header(struct cursor *c, const char *text,
		 struct trace_text_event *event);

/**
 * read_loose_header - what a header of any other form says
 * @header: all that stands before the name, or before the payload
 *
 * Return: false where it says nothing of a task, a processor or a time, and is not
 * empty; or where it lost its task.
 */
bool read_loose_header(struct cursor header, const char *text,
		       struct trace_text_event *event);

/* --- payload.c ------------------------------------------------------------- */

/**
 * find_printed_payload - the colon behind the shrinker's pointer
 * @kind: receives which event it is, as its words tell
 *
 * Return: NULL where there is no payload in the kernel's own words.
 */
const char *find_printed_payload(struct cursor c, int *kind);

/**
 * printed_payload_begin - where the payload begins
 * @c: what may stand before it, too
 * @colon: find_printed_payload()
 */
const char *printed_payload_begin(struct cursor c, const char *colon);

/** take_gfp - "GFP_NOFS|__GFP_HIGHMEM|0x200", or "none" */
bool take_gfp(struct cursor *c, struct trace_text_event *event);

/**
 * take_printed - the payload in the kernel's own words
 * @kind: TRACE_LINE_START or _END
 *
 * Return: what is missing, enum trace_text_error.
 */
int take_printed(struct cursor c, const char *text, int kind,
		 struct trace_text_event *event);

/** ends_line - whether all that follows may follow a payload */
bool ends_line(struct cursor c);

/* --- fields.c -------------------------------------------------------------- */

/** find_fields - where "name=value" begins; NULL without a field of the two events */
const char *find_fields(struct cursor c);

/**
 * take_fields - the payload as "name=value" or "name: value"
 * @kind: TRACE_LINE_START or _END; 0: told by the names of the fields, and received
 * @zeros_left_out: a field that is missing is 0
 *
 * Return: what is missing, enum trace_text_error.
 */
int take_fields(struct cursor c, const char *text, int *kind,
		bool zeros_left_out, struct trace_text_event *event);

#pragma GCC visibility pop

#endif /* SHRINKER_REPLAY_LINE_H */
