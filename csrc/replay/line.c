/* SPDX-License-Identifier: MIT */
/*
 * Reading a line of a recording from left to right (docs/replay.md has the
 * grammar):
 *
 *	header	  sh-2292 (2292) [001] .....   338.056654:
 *		  task, tgid, processor, flags, time
 *	name	  mm_shrink_slab_start:
 *	payload	  super_cache_scan+0x0/0x210 00000000bae2d7fc: nid: 1 ...
 *
 * Most lines are like this one, and are read by take_header(), take_name() and
 * take_printed().  Where that fails, read_other_printing() looks for the name, or for
 * words of a payload, anywhere in the line.  A line that is cut inside its event may go
 * on in the next lines, as in a mail: read_wrapped().
 */
#include "replay/line.h"

#define START_NAME "mm_shrink_slab_start"
#define END_NAME "mm_shrink_slab_end"
/* What both names begin with; a name that is cut after this is one of them. */
#define COMMON_NAME "mm_shrink_slab_"
/* Lines of one event in a mail, at most, and their bytes. */
#define MAX_WRAPPED_LINES 10
#define MAX_WRAPPED_BYTES 2048

/*
 * "CPU:1 [LOST 42 EVENTS]", which a tracer prints in place of events that it had
 * no room for.  Some kernels leave the number out: it is then 0.
 */
static bool take_lost(struct cursor c, struct trace_text_event *event)
{
	uint64_t cpu, lost = 0;

	skip_blanks(&c);
	if (!take_literal(&c, "CPU:") || !take_u64(&c, INT32_MAX, &cpu) ||
	    !skip_blanks(&c) || !take_literal(&c, "[LOST "))
		return false;
	if (take_u64(&c, UINT64_MAX, &lost) && !take_char(&c, ' '))
		return false;
	if (!take_literal(&c, "EVENTS]"))
		return false;
	skip_blanks(&c);
	if (c.at != c.end)
		return false;
	event->cpu = (int32_t)cpu;
	event->lost = lost;
	return true;
}

/* --- the name -------------------------------------------------------------- */

/*
 * The name and its colon.
 *
 * Return: TRACE_LINE_START, _END, _OTHER; _MALFORMED where the line ends before
 * the name, or inside one that may be ours; _UNKNOWN where there is no name.
 */
static int take_name(struct cursor *c)
{
	bool empty = c->at == c->end;
	struct cursor name;

	take_literal(c, "vmscan:");
	if (take_literal(c, START_NAME ":"))
		return TRACE_LINE_START;
	if (take_literal(c, END_NAME ":"))
		return TRACE_LINE_END;
	name = *c;
	while (name.at < name.end && !is_blank(*name.at))
		name.at++;
	if (name.at < name.end)
		return name.at > c->at && name.at[-1] == ':' ?
			       TRACE_LINE_OTHER :
			       TRACE_LINE_UNKNOWN;
	name.at = c->at;
	return empty || take_literal(&name, COMMON_NAME) ?
		       TRACE_LINE_MALFORMED :
		       TRACE_LINE_UNKNOWN;
}

static bool is_word_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	       is_digit(ch) || ch == '_';
}

/*
 * The first of our names in the line, with the ":" or "(" behind it.  A longer word
 * that holds it, such as a function in a stack trace, is no event.
 *
 * @before: receives what stands before the name
 * @behind: receives what follows it
 * Return: TRACE_LINE_START or _END; 0 where there is none.
 */
static int find_name(struct cursor line, struct cursor *before,
		     struct cursor *behind)
{
	const char *name;

	for (*behind = line; (name = find_literal(*behind, COMMON_NAME));) {
		int kind = 0;

		behind->at = name + sizeof(COMMON_NAME) - 1;
		if (name > line.at && is_word_char(name[-1]))
			continue;
		if (take_literal(behind, "start"))
			kind = TRACE_LINE_START;
		else if (take_literal(behind, "end"))
			kind = TRACE_LINE_END;
		if (!kind || !left(behind) ||
		    (*behind->at != ':' && *behind->at != '('))
			continue;
		*before = (struct cursor){ line.at, name };
		if (left(before) >= 7 && memcmp(before->end - 7, "vmscan:", 7) == 0)
			before->end -= 7;
		return kind;
	}
	return 0;
}

/* --- the line --------------------------------------------------------------- */

static int malformed(struct trace_text_event *event, int error)
{
	event->error = (uint16_t)error;
	return TRACE_LINE_MALFORMED;
}

/* The payload behind a name, in either form.  @c begins with the name's ":" or "(". */
static int take_payload(struct cursor c, const char *text, int *kind,
			struct trace_text_event *event)
{
	struct cursor p = c;

	if (take_char(&p, '('))
		return take_fields(p, text, kind, true, event);
	take_char(&p, ':');
	return find_fields(p) ? take_fields(p, text, kind, false, event) :
				take_printed(p, text, *kind, event);
}

/*
 * A line that is not printed in the usual way.
 * @c: the line, without the header if @has_header
 *
 * Return: enum trace_line_kind.
 */
static int read_other_printing(struct cursor c, const char *text,
			       bool has_header, struct trace_text_event *event)
{
	struct cursor before, behind;
	const char *colon, *found;
	int kind = find_name(c, &before, &behind), error;

	if (kind) {
		if (!has_header && !read_loose_header(before, text, event))
			return malformed(event, TRACE_TEXT_NO_HEADER);
		error = take_payload(behind, text, &kind, event);
		return error ? malformed(event, error) : kind;
	}
	colon = find_printed_payload(c, &kind);
	found = colon ? printed_payload_begin(c, colon) : find_fields(c);
	if (!found && has_header)
		return TRACE_LINE_OTHER;
	/* "cpus=2" begins what trace-cmd report prints. */
	if (!found)
		return take_literal(&c, "cpus=") ? TRACE_LINE_BLANK :
						   TRACE_LINE_UNKNOWN;
	before = (struct cursor){ c.at, found };
	c.at = found;
	if (!has_header && !read_loose_header(before, text, event))
		return malformed(event, TRACE_TEXT_NO_HEADER);
	error = colon ? take_printed(c, text, kind, event) :
			take_fields(c, text, &kind, false, event);
	return error ? malformed(event, error) : kind;
}

static void trim_line_end(struct cursor *c)
{
	while (left(c) && (c->end[-1] == '\n' || c->end[-1] == '\r'))
		c->end--;
}

/* "> > ", by which a mail quotes another. */
static void skip_quotes(struct cursor *c)
{
	struct cursor p = *c;

	while (skip_blanks(&p), take_char(&p, '>'))
		*c = p;
}

/* Return: enum trace_line_kind. */
static int read_line(struct cursor line, const char *text,
		     struct trace_text_event *event)
{
	struct cursor c;
	int kind, error;

	if (left(&line) > TRACE_TEXT_LINE_MAX)
		return malformed(event, TRACE_TEXT_TOO_LONG);
	trim_line_end(&line);
	c = line;
	if (!left(&c) || take_char(&c, '#'))
		return TRACE_LINE_BLANK;
	if (*c.at == '>')
		skip_quotes(&c);
	if (take_header(&c, text, event)) {
		kind = take_name(&c);
		if (kind == TRACE_LINE_UNKNOWN)
			return read_other_printing(c, text, true, event);
	} else if (take_lost(c, event)) {
		return TRACE_LINE_LOST;
	} else {
		struct cursor begin = c;

		skip_blanks(&c);
		if (!left(&c))
			return TRACE_LINE_BLANK;
		kind = take_name(&c);
		if (kind == TRACE_LINE_OTHER || kind == TRACE_LINE_UNKNOWN)
			return read_other_printing(begin, text, false, event);
	}
	if (kind == TRACE_LINE_MALFORMED)
		return malformed(event, TRACE_TEXT_NO_NAME);
	if (kind == TRACE_LINE_OTHER)
		return kind;
	error = take_printed(c, text, kind, event);
	if (error && find_fields(c))
		error = take_fields(c, text, &kind, false, event);
	return error ? malformed(event, error) : kind;
}

static int parse_line(struct cursor line, const char *text,
		      struct trace_text_event *event)
{
	int kind;

	memset(event, 0, sizeof(*event));
	event->pid = -1;
	event->cpu = -1;
	kind = read_line(line, text, event);
	event->kind = (uint16_t)kind;
	if (!event->comm_length)
		event->comm_offset = 0;
	return kind;
}

int trace_text_parse_line(const char *text, size_t length,
			  struct trace_text_event *event)
{
	return parse_line((struct cursor){ text, text + length }, text, event);
}

/* --- events that go on in the next lines -------------------------------------- */

/* A line of a mail, without its quotes and the backslash or blanks at its end. */
static void trim_wrapped(struct cursor *c)
{
	trim_line_end(c);
	skip_quotes(c);
	skip_blanks(c);
	trim_blanks(c);
	if (left(c) && c->end[-1] == '\\') {
		c->end--;
		trim_blanks(c);
	}
}

/* Where the same bytes stand in the lines; the first word of them, if they are wrapped
 * themselves. */
static void find_again(struct cursor lines, const char *text, const char *joined,
		       uint32_t *offset, uint32_t *length)
{
	const char *at = find(lines, joined + *offset, *length);

	if (!at) {
		const char *blank = memchr(joined + *offset, ' ', *length);

		if (blank)
			*length = (uint32_t)(blank - joined) - *offset;
		at = find(lines, joined + *offset, *length);
	}
	*length = at ? *length : 0;
	*offset = *length ? (uint32_t)(at - text) : 0;
}

/*
 * An event whose payload is cut at the end of @first, and goes on in lines that are not
 * events themselves.
 * @end: of the text
 * @wants_more: set where the text ends too early to tell
 *
 * Return: where the event's last line ends, and @event is filled in; else NULL.
 */
static const char *read_wrapped(struct cursor first, const char *end, bool final,
				const char *text, struct trace_text_event *event,
				bool *wants_more)
{
	char joined[MAX_WRAPPED_BYTES];
	struct cursor line = first;
	bool has_name = false;
	size_t length = 0;
	int lines;

	for (lines = 1;; lines++) {
		struct cursor words = line, rest, ignored;
		struct trace_text_event trial = { .pid = -1, .cpu = -1 };
		const char *feed;
		bool names;

		trim_wrapped(&words);
		names = find_name(words, &ignored, &ignored);
		rest = words;
		if (!left(&words) || length + left(&words) + 1 > sizeof(joined) ||
		    line.end - first.at > MAX_WRAPPED_BYTES ||
		    (has_name && names) ||
		    (lines > 1 && take_header(&rest, text, &trial)))
			return NULL;
		has_name |= names;
		if (length)
			joined[length++] = ' ';
		memcpy(joined + length, words.at, left(&words));
		length += left(&words);
		if (lines > 1) {
			int kind = parse_line(
				(struct cursor){ joined, joined + length },
				joined, &trial);

			if (kind == TRACE_LINE_START || kind == TRACE_LINE_END) {
				struct cursor span = { first.at, line.end };

				memcpy(event, &trial, sizeof(trial));
				find_again(span, text, joined,
					   &event->function_offset,
					   &event->function_length);
				find_again(span, text, joined,
					   &event->comm_offset,
					   &event->comm_length);
				return line.end;
			}
		}
		if (lines == MAX_WRAPPED_LINES)
			return NULL;
		line = (struct cursor){ line.end, end };
		feed = memchr(line.at, '\n', left(&line));
		if (!feed && !final) {
			*wants_more = true;
			return NULL;
		}
		if (feed)
			line.end = feed + 1;
		if (!left(&line))
			return NULL;
	}
}

/* The part that is missing may stand in the next line. */
static bool may_be_wrapped(const struct trace_text_event *event)
{
	return event->kind == TRACE_LINE_MALFORMED &&
	       event->error != TRACE_TEXT_NO_HEADER &&
	       event->error != TRACE_TEXT_OTHER_PAYLOAD &&
	       event->error != TRACE_TEXT_TOO_LONG;
}

/* --- a text of lines ------------------------------------------------------------ */

/* Return: whether the caller gets the event; other lines are only counted. */
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

/* Lines between two places; the last one may lack its line feed. */
static uint64_t count_lines(const char *from, const char *to)
{
	uint64_t lines = 0;

	for (; from < to; lines++) {
		const char *feed = memchr(from, '\n', (size_t)(to - from));

		from = feed ? feed + 1 : to;
	}
	return lines;
}

size_t trace_text_parse(const char *text, size_t length, int final,
			uint64_t first_line, struct trace_text_event *events,
			size_t max_events, size_t *nr_events,
			struct trace_text_counts *counts)
{
	uint64_t number = first_line;
	struct cursor c;
	size_t n = 0;

	/* Offsets in events have 32 bits. */
	if (length > UINT32_MAX) {
		length = UINT32_MAX;
		final = 0;
	}
	c = (struct cursor){ text, text + length };
	while (left(&c) && n < max_events) {
		const char *feed = memchr(c.at, '\n', left(&c));
		struct cursor line = { c.at, feed ? feed + 1 : c.end };
		uint64_t wrapped = 0;

		if (!feed && !final)
			break;
		parse_line(line, text, &events[n]);
		if (may_be_wrapped(&events[n])) {
			bool wants_more = false;
			const char *end = read_wrapped(line, c.end, final, text,
						       &events[n], &wants_more);

			if (wants_more)
				break;
			if (end) {
				wrapped = count_lines(line.end, end);
				line.end = end;
			}
		}
		events[n].line = number;
		number += 1 + wrapped;
		counts->lines += wrapped;
		counts->wrapped += wrapped;
		if (count_line(counts, &events[n]))
			n++;
		c.at = line.end;
	}
	*nr_events = n;
	return (size_t)(c.at - text);
}
