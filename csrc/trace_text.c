// SPDX-License-Identifier: MIT
/*
 * Lines of a trace: which kind each is, and its parts in their order
 * (trace_parts.h).  What precedes our event's name in a line without a header
 * is damage.
 */
#include "trace_parts.h"

#define START_NAME "mm_shrink_slab_start"
#define END_NAME "mm_shrink_slab_end"
/* What both begin with; a name that is cut behind this is ours. */
#define COMMON_NAME "mm_shrink_slab_"

/*
 * The event's name and the colon behind it.  *kind becomes START, END or
 * OTHER; MALFORMED where the line ends first.
 */
static void take_name(struct cursor *c, int *kind)
{
	const char *from = c->at;
	struct cursor name;

	take_literal(c, "vmscan:");
	if (take_literal(c, START_NAME ":")) {
		*kind = TRACE_LINE_START;
		return;
	}
	if (take_literal(c, END_NAME ":")) {
		*kind = TRACE_LINE_END;
		return;
	}
	name = *c;
	while (name.at < name.end && !is_blank(*name.at))
		name.at++;
	/* Cut behind the header, or inside a name that may be ours. */
	if (name.at == name.end &&
	    (from == name.end || find(*c, COMMON_NAME,
				      sizeof(COMMON_NAME) - 1) == c->at))
		*kind = TRACE_LINE_MALFORMED;
	else
		*kind = TRACE_LINE_OTHER;
}

static bool names_our_event(struct cursor c)
{
	return find(c, START_NAME, sizeof(START_NAME) - 1) ||
	       find(c, END_NAME, sizeof(END_NAME) - 1);
}

/* Without any name the words of the payload tell which event it is. */
static int bare_payload_kind(struct cursor c)
{
	static const char start[] = " objects to shrink ";
	static const char end[] = " unused scan count ";

	if (!find(c, ": nid: ", 7))
		return TRACE_LINE_UNKNOWN;
	if (find(c, start, sizeof(start) - 1))
		return TRACE_LINE_START;
	if (find(c, end, sizeof(end) - 1))
		return TRACE_LINE_END;
	return TRACE_LINE_UNKNOWN;
}

static int finish(struct trace_text_event *event, int kind, int error)
{
	event->kind = (uint16_t)kind;
	event->error = (uint16_t)error;
	return kind;
}

/* @text is what offsets count from; @line lies in it. */
static int parse_line(struct cursor line, const char *text,
		      struct trace_text_event *event)
{
	struct cursor c = line;
	int kind, error;

	memset(event, 0, sizeof(*event));
	event->pid = -1;
	event->cpu = -1;
	if (left(&line) > TRACE_TEXT_LINE_MAX)
		return finish(event, TRACE_LINE_MALFORMED, TRACE_TEXT_TOO_LONG);

	while (c.end > c.at && (c.end[-1] == '\n' || c.end[-1] == '\r'))
		c.end--;
	line.end = c.end;
	if (c.at < c.end && *c.at == '#')
		return finish(event, TRACE_LINE_BLANK, 0);
	if (trace_take_header(&c, text, event)) {
		take_name(&c, &kind);
	} else if (trace_take_lost(c, event)) {
		return finish(event, TRACE_LINE_LOST, 0);
	} else {
		skip_blanks(&c);
		if (c.at == c.end)
			return finish(event, TRACE_LINE_BLANK, 0);
		take_name(&c, &kind);
		if (kind == TRACE_LINE_OTHER) {
			if (names_our_event(line))
				return finish(event, TRACE_LINE_MALFORMED,
					      TRACE_TEXT_NO_HEADER);
			kind = bare_payload_kind(c);
			if (kind == TRACE_LINE_UNKNOWN)
				return finish(event, kind, 0);
		}
	}
	if (kind == TRACE_LINE_OTHER)
		return finish(event, kind, 0);
	if (kind == TRACE_LINE_MALFORMED)
		return finish(event, kind, TRACE_TEXT_NO_NAME);

	skip_blanks(&c);
	error = trace_take_payload(&c, text, kind, event);
	if (error)
		return finish(event, TRACE_LINE_MALFORMED, error);
	return finish(event, kind, 0);
}

int trace_text_parse_line(const char *text, size_t length,
			  struct trace_text_event *event)
{
	return parse_line((struct cursor){ text, text + length }, text, event);
}

/* Whether the caller wants to see the line, not only to count it. */
static bool count_line(struct trace_text_counts *counts,
		       const struct trace_text_event *event)
{
	counts->lines++;
	switch (event->kind) {
	case TRACE_LINE_START:
		counts->starts++;
		return true;
	case TRACE_LINE_END:
		counts->ends++;
		return true;
	case TRACE_LINE_LOST:
		counts->lost += event->lost;
		return true;
	case TRACE_LINE_MALFORMED:
		counts->malformed++;
		return true;
	case TRACE_LINE_OTHER:
		counts->others++;
		return false;
	case TRACE_LINE_UNKNOWN:
		if (!counts->unknown++)
			counts->first_unknown = event->line;
		return false;
	default:
		return false;
	}
}

size_t trace_text_parse(const char *text, size_t length, int final,
			uint64_t first_line, struct trace_text_event *events,
			size_t max_events, size_t *nr_events,
			struct trace_text_counts *counts)
{
	struct cursor c;
	uint64_t number = first_line;
	size_t n = 0;

	if (length > UINT32_MAX) {
		length = UINT32_MAX;
		final = 0;
	}
	c = (struct cursor){ text, text + length };
	while (left(&c) && n < max_events) {
		const char *feed = memchr(c.at, '\n', left(&c));
		struct cursor line = { c.at, feed ? feed + 1 : c.end };

		if (!feed && !final)
			break;
		parse_line(line, text, &events[n]);
		events[n].line = number++;
		if (count_line(counts, &events[n]))
			n++;
		c.at = line.end;
	}
	*nr_events = n;
	return (size_t)(c.at - text);
}
