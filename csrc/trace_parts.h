/* SPDX-License-Identifier: MIT */
/*
 * The parts of a trace line, a file each.  Each function reads its part where
 * the cursor is; @text is what the offsets in @event count from.
 */
#ifndef SHRINKER_TRACE_PARTS_H
#define SHRINKER_TRACE_PARTS_H

#include "trace_cursor.h"

#include <shrinker/trace_text.h>

/**
 * trace_take_header - everything before the event's name (trace_header.c)
 *
 * Return: false where there is no header: @event is then as for a line without
 * one.
 */
bool trace_take_header(struct cursor *c, const char *text,
		       struct trace_text_event *event);

/**
 * trace_take_lost - "CPU:n [LOST m EVENTS]" (trace_header.c)
 *
 * Some kernels leave the number out: it is then 0.
 */
bool trace_take_lost(struct cursor c, struct trace_text_event *event);

/**
 * trace_take_payload - from the scan function to the end (trace_payload.c)
 * @kind: TRACE_LINE_START or TRACE_LINE_END
 *
 * Return: enum trace_text_error.
 */
int trace_take_payload(struct cursor *c, const char *text, int kind,
		       struct trace_text_event *event);

/**
 * trace_take_gfp - names of allocation flags, or "none" (trace_gfp.c)
 *
 * Names that we do not know are accepted, and said in @event->flags.
 */
bool trace_take_gfp(struct cursor *c, struct trace_text_event *event);

#endif /* SHRINKER_TRACE_PARTS_H */
