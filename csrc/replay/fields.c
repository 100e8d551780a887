/* SPDX-License-Identifier: MIT */
/*
 * The payload as names and values, in any order: by perf script and trace-cmd where
 * they cannot do the kernel's own format ("[FAILED TO PARSE] shr=0x... nid=0"), by
 * ftrace's option "fields" ("nid=0x0 (0)"), by Perfetto and perf trace ("nid: 0,").
 * Numbers are decimal or hexadecimal.
 */
#include "replay/line.h"

enum field {
	FIELD_SHR,
	FIELD_SHRINK,
	FIELD_NID,
	FIELD_NR,
	FIELD_GFP,
	FIELD_PGS_SCANNED,
	FIELD_LRU_PGS,
	FIELD_FREEABLE,
	FIELD_DELTA,
	FIELD_TOTAL_SCAN,
	FIELD_PRIORITY,
	FIELD_UNUSED,
	FIELD_NEW_NR,
	FIELD_RETVAL,
	FIELD_MEMCG,
	NR_FIELDS
};

#define BIT(field) (1U << (field))
#define OF_START                                                     \
	(BIT(FIELD_NR) | BIT(FIELD_GFP) | BIT(FIELD_PGS_SCANNED) |   \
	 BIT(FIELD_LRU_PGS) | BIT(FIELD_FREEABLE) | BIT(FIELD_DELTA) | \
	 BIT(FIELD_PRIORITY))
#define OF_END (BIT(FIELD_UNUSED) | BIT(FIELD_NEW_NR) | BIT(FIELD_RETVAL))
#define PAGES (BIT(FIELD_PGS_SCANNED) | BIT(FIELD_LRU_PGS))

#define NAMED(name) name, sizeof(name) - 1

/* By enum field.  @error: what is missing where the field is. */
static const struct {
	const char *name;
	size_t length;
	int error;
} fields[NR_FIELDS] = {
	[FIELD_SHR] = { NAMED("shr"), TRACE_TEXT_NO_POINTER },
	[FIELD_SHRINK] = { NAMED("shrink"), TRACE_TEXT_NO_FUNCTION },
	[FIELD_NID] = { NAMED("nid"), TRACE_TEXT_NO_NID },
	[FIELD_NR] = { NAMED("nr_objects_to_shrink"), TRACE_TEXT_NO_NR },
	[FIELD_GFP] = { NAMED("gfp_flags"), TRACE_TEXT_NO_GFP },
	[FIELD_PGS_SCANNED] = { NAMED("pgs_scanned"), TRACE_TEXT_NO_PAGES },
	[FIELD_LRU_PGS] = { NAMED("lru_pgs"), TRACE_TEXT_NO_PAGES },
	[FIELD_FREEABLE] = { NAMED("cache_items"), TRACE_TEXT_NO_FREEABLE },
	[FIELD_DELTA] = { NAMED("delta"), TRACE_TEXT_NO_DELTA },
	[FIELD_TOTAL_SCAN] = { NAMED("total_scan"), TRACE_TEXT_NO_TOTAL_SCAN },
	[FIELD_PRIORITY] = { NAMED("priority"), TRACE_TEXT_NO_PRIORITY },
	[FIELD_UNUSED] = { NAMED("unused_scan"), TRACE_TEXT_NO_NR },
	[FIELD_NEW_NR] = { NAMED("new_scan"), TRACE_TEXT_NO_NEW_NR },
	[FIELD_RETVAL] = { NAMED("retval"), TRACE_TEXT_NO_RETVAL },
	[FIELD_MEMCG] = { NAMED("memcg_id"), TRACE_TEXT_NO_MEMCG },
};

const char *find_fields(struct cursor c)
{
	const char *mark = find_literal(c, "[FAILED TO PARSE]");

	/* All but Perfetto print the shrinker first. */
	if (!mark && (find_literal(c, "nr_objects_to_shrink=") ||
		      find_literal(c, "unused_scan=")))
		mark = find_literal(c, "shr=");
	return mark;
}

static bool is_name_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || ch == '_';
}

/* Return: enum field; NR_FIELDS where the name is another one. */
static int field_named(struct cursor name)
{
	int field;

	for (field = 0; field < NR_FIELDS; field++)
		if (fields[field].length == left(&name) &&
		    memcmp(fields[field].name, name.at, left(&name)) == 0)
			break;
	return field;
}

/* "name=" or "name: ", without what follows. */
static bool take_name(struct cursor *c, int *field)
{
	struct cursor name = { c->at, c->at };

	while (name.end < c->end && is_name_char(*name.end))
		name.end++;
	if (name.end == name.at || name.end == c->end ||
	    (*name.end != '=' && *name.end != ':'))
		return false;
	*field = field_named(name);
	c->at = name.end + 1;
	if (*name.end == ':')
		skip_blanks(c);
	return true;
}

/* All 64 bits, with a sign or without, in either base. */
static bool take_bits(struct cursor *c, uint64_t *bits)
{
	struct cursor p = *c;
	int64_t negative;

	if (left(c) >= 2 && c->at[0] == '0' && (c->at[1] | 0x20) == 'x')
		return take_hex(c, bits);
	if (take_u64(c, UINT64_MAX, bits))
		return true;
	if (!take_i64(&p, &negative))
		return false;
	*c = p;
	*bits = (uint64_t)negative;
	return true;
}

/* A word, perhaps with "[module]". */
static void take_function(struct cursor *c, const char *text,
			  struct trace_text_event *event)
{
	const char *from = c->at;

	while (left(c) && !is_blank(*c->at) && *c->at != ',' && *c->at != ')')
		c->at++;
	if (left(c) > 2 && c->at[0] == ' ' && c->at[1] == '[') {
		const char *close = memchr(c->at, ']', left(c));

		if (close)
			c->at = close + 1;
	}
	event->function_offset = (uint32_t)(from - text);
	event->function_length = (uint32_t)(c->at - from);
}

static bool is_i32(uint64_t bits)
{
	return (int64_t)bits >= INT32_MIN && (int64_t)bits <= INT32_MAX;
}

/* Return: whether @bits is a value of that field. */
static bool set_number(struct trace_text_event *event, int field, uint64_t bits)
{
	switch (field) {
	case FIELD_SHR:
		event->pointer = bits;
		return true;
	case FIELD_NID:
		event->nid = (int32_t)bits;
		return bits <= INT32_MAX;
	case FIELD_NR:
	case FIELD_UNUSED:
		event->nr = (int64_t)bits;
		return true;
	case FIELD_PGS_SCANNED:
		event->pgs_scanned = (int64_t)bits;
		return true;
	case FIELD_LRU_PGS:
		event->lru_pgs = (int64_t)bits;
		return true;
	case FIELD_FREEABLE:
		event->freeable = (int64_t)bits;
		return true;
	case FIELD_DELTA:
		event->delta = (int64_t)bits;
		return true;
	case FIELD_TOTAL_SCAN:
		event->total_scan = (int64_t)bits;
		return true;
	case FIELD_NEW_NR:
		event->new_nr = (int64_t)bits;
		return true;
	case FIELD_MEMCG:
		event->memcg_id = bits;
		event->payload_pid = event->pid;
		event->flags |= TRACE_TEXT_MEMCG;
		return true;
	case FIELD_PRIORITY:
		event->priority = (int32_t)bits;
		return is_i32(bits);
	case FIELD_RETVAL:
		/* The fields option prints it as 32 bits without a sign. */
		event->retval = (int32_t)(uint32_t)bits;
		return is_i32(bits) || bits <= UINT32_MAX;
	default:
		return true;
	}
}

/* Return: whether the value was one of that field. */
static bool take_value(struct cursor *c, const char *text, int field,
		       struct trace_text_event *event)
{
	uint64_t bits;

	if (field == FIELD_SHRINK) {
		take_function(c, text, event);
		return event->function_length > 0;
	}
	if (field == FIELD_GFP && left(c) && !is_digit(*c->at))
		return take_gfp(c, event);
	if (field == NR_FIELDS) {
		while (left(c) && !is_blank(*c->at) && *c->at != ',')
			c->at++;
		return true;
	}
	if (!take_bits(c, &bits))
		return false;
	if (field == FIELD_GFP)
		event->gfp_mask = (uint32_t)bits;
	return set_number(event, field, bits);
}

/* Behind a value: " (its other form)", and a comma. */
static void skip_other_form(struct cursor *c)
{
	struct cursor p = *c;

	if (skip_blanks(&p) && take_char(&p, '(')) {
		const char *close = memchr(p.at, ')', left(&p));

		if (close)
			c->at = close + 1;
	}
	take_char(c, ',');
}

/* Return: what is missing, enum trace_text_error. */
static int missing(uint32_t seen, int kind, bool zeros_left_out)
{
	uint32_t wanted = BIT(FIELD_SHR) | BIT(FIELD_SHRINK);
	int field;

	/* No kernel that leaves zeros out does so without a node or a count. */
	if (!zeros_left_out) {
		wanted |= BIT(FIELD_TOTAL_SCAN);
		wanted |= kind == TRACE_LINE_END ? OF_END : OF_START;
		wanted &= seen & PAGES ? ~BIT(FIELD_PRIORITY) : ~PAGES;
	} else if (kind == TRACE_LINE_START) {
		wanted |= BIT(FIELD_FREEABLE);
	}
	for (field = 0; field < NR_FIELDS; field++)
		if (wanted & ~seen & BIT(field))
			return fields[field].error;
	return TRACE_TEXT_OK;
}

int take_fields(struct cursor c, const char *text, int *kind,
		bool zeros_left_out, struct trace_text_event *event)
{
	uint32_t seen = 0;
	int field;

	skip_blanks(&c);
	take_literal(&c, "[FAILED TO PARSE]");
	skip_blanks(&c);
	while (take_name(&c, &field)) {
		if (!take_value(&c, text, field, event))
			return fields[field].error;
		/* Twice the same: two events in one line. */
		if (field < NR_FIELDS && seen & BIT(field))
			return TRACE_TEXT_TRAILING;
		seen |= field < NR_FIELDS ? BIT(field) : 0;
		skip_other_form(&c);
		skip_blanks(&c);
	}
	if (*kind == TRACE_LINE_START ? seen & OF_END :
	    *kind == TRACE_LINE_END   ? seen & OF_START :
					0)
		return TRACE_TEXT_OTHER_PAYLOAD;
	if (!*kind)
		*kind = seen & OF_END ? TRACE_LINE_END : TRACE_LINE_START;
	if (seen & PAGES)
		event->flags |= TRACE_TEXT_PAGES;
	if (missing(seen, *kind, zeros_left_out))
		return missing(seen, *kind, zeros_left_out);
	if (zeros_left_out)
		take_char(&c, ')');
	return ends_line(c) ? TRACE_TEXT_OK : TRACE_TEXT_TRAILING;
}
