// SPDX-License-Identifier: MIT
/*
 * A reader of trace lines: a cursor that moves over the line and never past
 * its end, and one function for each part of the grammar.  Each returns
 * whether the part was there; the caller knows which error that makes.
 *
 * A task's name may hold blanks, dashes and brackets, so that the header is
 * found by its only fixed part, "[cpu] flags time: ", from the left.  What
 * precedes our event's name in a line that has no such part is damage.
 */
#define _GNU_SOURCE 1 /* memmem() */

#include <shrinker/trace_text.h>

#include <limits.h>
#include <stdbool.h>
#include <string.h>

struct cursor {
	const char *at;
	const char *end;
};

#define START_NAME "mm_shrink_slab_start"
#define END_NAME "mm_shrink_slab_end"
/* What both begin with; a name that is cut behind this is ours. */
#define COMMON_NAME "mm_shrink_slab_"

static size_t left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t';
}

static bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

/* True at least once in front of something: a separator was there. */
static bool skip_blanks(struct cursor *c)
{
	const char *from = c->at;

	while (c->at < c->end && is_blank(*c->at))
		c->at++;
	return c->at > from;
}

static bool take_text(struct cursor *c, const char *text, size_t length)
{
	if (left(c) < length || memcmp(c->at, text, length) != 0)
		return false;
	c->at += length;
	return true;
}

#define take_literal(c, text) take_text((c), (text), sizeof(text) - 1)

static bool take_char(struct cursor *c, char ch)
{
	if (c->at == c->end || *c->at != ch)
		return false;
	c->at++;
	return true;
}

/* Decimal digits, at least one, no more than fit. */
static bool take_u64(struct cursor *c, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	const char *p = c->at;

	for (; p < c->end && is_digit(*p); p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (digit > max || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (p == c->at)
		return false;
	c->at = p;
	*value = v;
	return true;
}

static bool take_signed(struct cursor *c, int64_t min, int64_t max,
			int64_t *value)
{
	bool negative = take_char(c, '-');
	uint64_t v;

	/* 0 - (uint64_t)min is |min| without the overflow of -min. */
	if (!take_u64(c, negative ? 0 - (uint64_t)min : (uint64_t)max, &v))
		return false;
	*value = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static bool take_i64(struct cursor *c, int64_t *value)
{
	return take_signed(c, INT64_MIN, INT64_MAX, value);
}

static bool take_i32(struct cursor *c, int32_t min, int32_t *value)
{
	int64_t v;

	if (!take_signed(c, min, INT32_MAX, &v))
		return false;
	*value = (int32_t)v;
	return true;
}

static int hex_digit(char ch)
{
	if (is_digit(ch))
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return -1;
}

/* Hexadecimal digits, with or without 0x, at most 16 of them. */
static bool take_hex(struct cursor *c, uint64_t *value)
{
	uint64_t v = 0;
	int digits = 0;
	struct cursor p = *c;

	if (!take_literal(&p, "0x"))
		take_literal(&p, "0X");
	for (; p.at < p.end && hex_digit(*p.at) >= 0; p.at++) {
		if (++digits > 16)
			return false;
		v = v << 4 | (uint64_t)hex_digit(*p.at);
	}
	if (!digits)
		return false;
	c->at = p.at;
	*value = v;
	return true;
}

static const char *find(struct cursor in, const char *text, size_t length)
{
	if (left(&in) < length)
		return NULL;
	return memmem(in.at, left(&in), text, length);
}

/*
 * Allocation flags.
 */

struct gfp_name {
	const char *name;
	uint32_t mask;
};

/* By how often recordings have them. */
static const struct gfp_name gfp_names[] = {
	{ "GFP_KERNEL", GFP_KERNEL },
	{ "GFP_NOFS", GFP_NOFS },
	{ "GFP_HIGHUSER_MOVABLE", GFP_HIGHUSER_MOVABLE },
	{ "__GFP_HIGHMEM", __GFP_HIGHMEM },
	{ "__GFP_MOVABLE", __GFP_MOVABLE },
	{ "__GFP_HARDWALL", __GFP_HARDWALL },
	{ "__GFP_NOWARN", __GFP_NOWARN },
	{ "__GFP_NORETRY", __GFP_NORETRY },
	{ "__GFP_COMP", __GFP_COMP },
	{ "__GFP_ACCOUNT", __GFP_ACCOUNT },
	{ "__GFP_NOMEMALLOC", __GFP_NOMEMALLOC },
	{ "__GFP_RECLAIMABLE", __GFP_RECLAIMABLE },
	{ "__GFP_ZERO", __GFP_ZERO },
	{ "__GFP_WRITE", __GFP_WRITE },
	{ "__GFP_RETRY_MAYFAIL", __GFP_RETRY_MAYFAIL },
	{ "__GFP_NOFAIL", __GFP_NOFAIL },
	{ "GFP_KERNEL_ACCOUNT", GFP_KERNEL_ACCOUNT },
	{ "GFP_HIGHUSER", GFP_HIGHUSER },
	{ "GFP_USER", GFP_USER },
	{ "GFP_ATOMIC", GFP_ATOMIC },
	{ "GFP_NOIO", GFP_NOIO },
	{ "GFP_NOWAIT", GFP_NOWAIT },
	{ "__GFP_RECLAIM", __GFP_RECLAIM },
	{ "__GFP_DMA", __GFP_DMA },
	{ "__GFP_DMA32", __GFP_DMA32 },
	{ "__GFP_HIGH", __GFP_HIGH },
	{ "__GFP_IO", __GFP_IO },
	{ "__GFP_FS", __GFP_FS },
	{ "__GFP_DIRECT_RECLAIM", __GFP_DIRECT_RECLAIM },
	{ "__GFP_KSWAPD_RECLAIM", __GFP_KSWAPD_RECLAIM },
	{ "__GFP_MEMALLOC", __GFP_MEMALLOC },
	{ "__GFP_THISNODE", __GFP_THISNODE },
	{ "__GFP_ZEROTAGS", __GFP_ZEROTAGS },
	{ "__GFP_NO_OBJ_EXT", __GFP_NO_OBJ_EXT },
};

static bool is_gfp_char(char ch)
{
	return (ch >= 'A' && ch <= 'Z') || is_digit(ch) || ch == '_';
}

/* One name, or the hexadecimal rest that has none. */
static bool take_gfp_name(struct cursor *c, struct trace_text_event *event)
{
	struct cursor p = *c;
	size_t length;

	if (left(&p) >= 2 && p.at[0] == '0') {
		uint64_t bits;

		if (!take_hex(&p, &bits) || bits > UINT32_MAX)
			return false;
		event->gfp_mask |= (uint32_t)bits;
		c->at = p.at;
		return true;
	}
	while (p.at < p.end && is_gfp_char(*p.at))
		p.at++;
	length = (size_t)(p.at - c->at);
	for (size_t i = 0; i < sizeof(gfp_names) / sizeof(*gfp_names); i++) {
		const char *name = gfp_names[i].name;

		if (strlen(name) == length &&
		    memcmp(name, c->at, length) == 0) {
			event->gfp_mask |= gfp_names[i].mask;
			c->at = p.at;
			return true;
		}
	}
	/* Other kernels know other flags; the pass does not depend on them. */
	if (length <= 4 || (memcmp(c->at, "GFP_", 4) != 0 &&
			    (length <= 6 || memcmp(c->at, "__GFP_", 6) != 0)))
		return false;
	event->flags |= TRACE_TEXT_GFP_UNKNOWN;
	c->at = p.at;
	return true;
}

static bool take_gfp(struct cursor *c, struct trace_text_event *event)
{
	struct cursor none = *c;

	if (take_literal(&none, "none") &&
	    (none.at == none.end || is_blank(*none.at))) {
		*c = none;
		return true;
	}
	do {
		if (!take_gfp_name(c, event))
			return false;
	} while (take_char(c, '|'));
	return true;
}

/*
 * The payload, from the scan function to the last number.
 */

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
	if (!take_literal(c, " gfp_flags ") || !take_gfp(c, event))
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

static int take_payload(struct cursor *c, const char *text, int kind,
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

/*
 * The header.
 */

/* Seconds, and a fraction of up to nine digits; a bare count is a time too. */
static bool take_time(struct cursor *c, uint64_t *time)
{
	struct cursor p = *c;
	uint64_t seconds, fraction = 0;
	uint64_t scale = 1000000000;

	if (!take_u64(&p, UINT64_MAX / 1000000000 - 1, &seconds))
		return false;
	if (take_char(&p, '.')) {
		const char *from = p.at;

		if (!take_u64(&p, 999999999, &fraction) || p.at - from > 9)
			return false;
		for (; from < p.at; from++)
			scale /= 10;
		*time = seconds * 1000000000 + fraction * scale;
	} else {
		*time = seconds;
	}
	c->at = p.at;
	return true;
}

/* "[cpu] flags time: ", the cursor being at the bracket. */
static bool take_fixed_part(struct cursor *c, struct trace_text_event *event)
{
	struct cursor p = *c, without_flags;
	uint64_t cpu, time;

	if (!take_char(&p, '[') || !take_u64(&p, INT32_MAX, &cpu) ||
	    !take_char(&p, ']') || !skip_blanks(&p))
		return false;
	without_flags = p;
	if (!take_time(&p, &time) || !take_char(&p, ':')) {
		const char *flags;

		p = without_flags;
		flags = p.at;
		while (p.at < p.end && !is_blank(*p.at))
			p.at++;
		if (p.at - flags < 4 || p.at - flags > 5 || !skip_blanks(&p) ||
		    !take_time(&p, &time) || !take_char(&p, ':'))
			return false;
	}
	if (!skip_blanks(&p) && p.at != p.end)
		return false;
	event->cpu = (int32_t)cpu;
	event->time = time;
	*c = p;
	return true;
}

/* "comm-pid", "comm pid" or "comm pid/tid", and "(tgid)": up to the bracket. */
static bool split_task(struct cursor task, const char *text,
		       struct trace_text_event *event)
{
	struct cursor pid;
	const char *digits;

	while (task.end > task.at && is_blank(task.end[-1]))
		task.end--;
	if (task.end > task.at && task.end[-1] == ')') {
		const char *open = task.end;

		/* A tgid is short: no long way back over damage. */
		while (open > task.at && *open != '(' && task.end - open < 16)
			open--;
		task.end = open;
		while (task.end > task.at && is_blank(task.end[-1]))
			task.end--;
	}
	digits = task.end;
	while (digits > task.at && is_digit(digits[-1]))
		digits--;
	pid = (struct cursor){ digits, task.end };
	if (!take_i32(&pid, 0, &event->pid) || digits == task.at)
		return false;
	task.end = digits - 1;
	if (*task.end == '/') {
		while (task.end > task.at && is_digit(task.end[-1]))
			task.end--;
	} else if (*task.end != '-' && !is_blank(*task.end)) {
		return false;
	}
	while (task.end > task.at && is_blank(task.end[-1]))
		task.end--;
	skip_blanks(&task);
	event->comm_offset = (uint32_t)(task.at - text);
	event->comm_length = (uint32_t)left(&task);
	return true;
}

static bool take_header(struct cursor *c, const char *text,
			struct trace_text_event *event)
{
	struct cursor p = *c;

	while (left(&p)) {
		const char *bracket = memchr(p.at, '[', left(&p));
		struct cursor fixed;

		if (!bracket)
			break;
		fixed = (struct cursor){ bracket, c->end };
		if (bracket > c->at && is_blank(bracket[-1]) &&
		    take_fixed_part(&fixed, event) &&
		    split_task((struct cursor){ c->at, bracket }, text,
			       event)) {
			event->flags |= TRACE_TEXT_HEADER;
			*c = fixed;
			return true;
		}
		p.at = bracket + 1;
	}
	event->pid = -1;
	event->cpu = -1;
	event->time = 0;
	return false;
}

/*
 * The line.
 */

/* "CPU:n [LOST m EVENTS]"; some kernels leave the number out. */
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
	if (take_header(&c, text, event)) {
		take_name(&c, &kind);
	} else if (take_lost(c, event)) {
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
	error = take_payload(&c, text, kind, event);
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
		counts->unknown++;
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
