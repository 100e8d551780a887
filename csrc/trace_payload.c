// SPDX-License-Identifier: MIT
/*
 * The payload of the two events, from the scan function to the last number: one
 * function for each group of fields, which says what was expected and missing.
 */
#include "trace_parts.h"

/* One word, and "[module]" behind it where there is one. */
static bool function_is_plain(struct cursor function)
{
	const char *p = function.at;

	while (p < function.end && (unsigned char)*p > ' ' && *p != 0x7f)
		p++;
	if (p == function.at)
		return false;
	if (p == function.end)
		return true;
	if (*p != ' ' || function.end - p < 4 || p[1] != '[' ||
	    function.end[-1] != ']')
		return false;
	for (p += 2; p < function.end - 1; p++)
		if ((unsigned char)*p <= ' ' || *p == '[' || *p == ']' ||
		    *p == 0x7f)
			return false;
	return true;
}

static int take_shrinker(struct cursor *c, const char *text,
			 struct trace_text_event *event)
{
	static const char mark[] = ": nid: ";
	const char *colon = find(*c, mark, sizeof(mark) - 1);
	const char *word;
	struct cursor function, pointer;

	if (!colon)
		return TRACE_TEXT_NO_NID;
	word = colon;
	while (word > c->at && !is_blank(word[-1]))
		word--;
	if (word == c->at)
		return TRACE_TEXT_NO_FUNCTION;
	pointer = (struct cursor){ word, colon };
	if (!take_hex(&pointer, &event->pointer) || pointer.at != pointer.end)
		return TRACE_TEXT_NO_POINTER;
	function = (struct cursor){ c->at, word - 1 };
	if (!function_is_plain(function))
		return TRACE_TEXT_NO_FUNCTION;
	event->function_offset = (uint32_t)(function.at - text);
	event->function_length = (uint32_t)left(&function);
	c->at = colon + sizeof(mark) - 1;
	if (!take_i32(c, 0, &event->nid))
		return TRACE_TEXT_NO_NID;
	if (take_literal(c, " pid: ")) {
		uint64_t id;

		if (!take_i32(c, INT32_MIN, &event->payload_pid) ||
		    !take_literal(c, " memcg_id: ") ||
		    !take_u64(c, UINT32_MAX, &id))
			return TRACE_TEXT_NO_MEMCG;
		event->memcg_id = (uint32_t)id;
		event->flags |= TRACE_TEXT_MEMCG;
		if (!(event->flags & TRACE_TEXT_HEADER))
			event->pid = event->payload_pid;
	}
	return TRACE_TEXT_OK;
}

static int take_start(struct cursor *c, struct trace_text_event *event)
{
	if (!take_literal(c, " objects to shrink ") || !take_i64(c, &event->nr))
		return TRACE_TEXT_NO_NR;
	if (!take_literal(c, " gfp_flags ") || !trace_take_gfp(c, event))
		return TRACE_TEXT_NO_GFP;
	if (!take_literal(c, " cache items ") ||
	    !take_i64(c, &event->freeable))
		return TRACE_TEXT_NO_FREEABLE;
	if (!take_literal(c, " delta ") || !take_i64(c, &event->delta))
		return TRACE_TEXT_NO_DELTA;
	if (!take_literal(c, " total_scan ") ||
	    !take_i64(c, &event->total_scan))
		return TRACE_TEXT_NO_TOTAL_SCAN;
	if (!take_literal(c, " priority ") ||
	    !take_i32(c, INT32_MIN, &event->priority))
		return TRACE_TEXT_NO_PRIORITY;
	return TRACE_TEXT_OK;
}

static int take_end(struct cursor *c, struct trace_text_event *event)
{
	if (!take_literal(c, " unused scan count ") || !take_i64(c, &event->nr))
		return TRACE_TEXT_NO_NR;
	if (!take_literal(c, " new scan count ") ||
	    !take_i64(c, &event->new_nr))
		return TRACE_TEXT_NO_NEW_NR;
	if (!take_literal(c, " total_scan ") ||
	    !take_i64(c, &event->total_scan))
		return TRACE_TEXT_NO_TOTAL_SCAN;
	if (!take_literal(c, " last shrinker return val ") ||
	    !take_i32(c, INT32_MIN, &event->retval))
		return TRACE_TEXT_NO_RETVAL;
	return TRACE_TEXT_OK;
}

int trace_take_payload(struct cursor *c, const char *text, int kind,
		       struct trace_text_event *event)
{
	int error = take_shrinker(c, text, event);

	if (!error)
		error = kind == TRACE_LINE_START ? take_start(c, event) :
						   take_end(c, event);
	if (error)
		return error;
	skip_blanks(c);
	return c->at == c->end ? TRACE_TEXT_OK : TRACE_TEXT_TRAILING;
}
