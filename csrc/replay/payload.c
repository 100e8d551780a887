/* SPDX-License-Identifier: MIT */
/*
 * The payload in the kernel's own words:
 *
 *	super_cache_scan+0x0/0x210 00000000bae2d7fc: nid: 1 ...
 *
 * scan function, pointer, node; then the numbers of the event.
 */
#include "replay/line.h"

/* Of a kernel's address; a number behind a payload would be damage. */
#define MIN_ADDRESS_CHARS 12

static bool is_word_char(char ch)
{
	return (unsigned char)ch > ' ' && ch != 0x7f;
}

/* One word, or a word and "[module]". */
static bool is_function(struct cursor c)
{
	const char *from = c.at;

	while (c.at < c.end && is_word_char(*c.at))
		c.at++;
	if (c.at == from)
		return false;
	if (c.at == c.end)
		return true;
	if (!take_literal(&c, " [") || left(&c) < 2 || *--c.end != ']')
		return false;
	while (c.at < c.end && is_word_char(*c.at) && *c.at != '[' &&
	       *c.at != ']')
		c.at++;
	return c.at == c.end;
}

const char *find_printed_payload(struct cursor c, int *kind)
{
	const char *colon, *start = find_literal(c, " objects to shrink ");

	if (!start && !find_literal(c, " unused scan count "))
		return NULL;
	*kind = start ? TRACE_LINE_START : TRACE_LINE_END;
	colon = find_literal(c, ": nid: ");
	/* Linux before 3.12 prints no node. */
	if (!colon)
		colon = start ? find_literal(c, ": objects to shrink ") :
				find_literal(c, ": unused scan count ");
	return colon;
}

/* Back over a word and the blanks before it. */
static void drop_last_word(struct cursor *c)
{
	while (left(c) && !is_blank(c->end[-1]))
		c->end--;
	trim_blanks(c);
}

const char *printed_payload_begin(struct cursor c, const char *colon)
{
	c.end = colon;
	drop_last_word(&c);
	if (left(&c) && c.end[-1] == ']')
		drop_last_word(&c);
	while (left(&c) && !is_blank(c.end[-1]))
		c.end--;
	return c.end;
}

/* Early in the boot a kernel has no hash for pointers, and prints this. */
static bool take_pointer(struct cursor *c, uint64_t *pointer)
{
	*pointer = 0;
	return take_literal(c, "(____ptrval____)") ||
	       take_literal(c, "____ptrval____") ||
	       take_literal(c, "(ptrval)") || take_hex(c, pointer);
}

/* "function pointer: nid: 1", and " pid: 2 memcg_id: 3" by newer kernels. */
static int take_shrinker(struct cursor *c, const char *text,
			 struct trace_text_event *event)
{
	const char *colon = find_literal(*c, ": nid: ");
	struct cursor function, pointer;
	int kind;

	if (!colon)
		colon = find_printed_payload(*c, &kind);
	if (!colon)
		return TRACE_TEXT_NO_NID;
	pointer = (struct cursor){ colon, colon };
	while (pointer.at > c->at && !is_blank(pointer.at[-1]))
		pointer.at--;
	if (pointer.at == c->at)
		return TRACE_TEXT_NO_FUNCTION;
	function = (struct cursor){ c->at, pointer.at - 1 };
	if (!take_pointer(&pointer, &event->pointer) || left(&pointer))
		return TRACE_TEXT_NO_POINTER;
	if (!is_function(function))
		return TRACE_TEXT_NO_FUNCTION;
	event->function_offset = (uint32_t)(function.at - text);
	event->function_length = (uint32_t)left(&function);

	c->at = colon;
	if (!take_literal(c, ": nid: ")) {
		take_char(c, ':');
		return TRACE_TEXT_OK;
	}
	if (!take_i32(c, 0, &event->nid))
		return TRACE_TEXT_NO_NID;
	if (!take_literal(c, " pid: "))
		return TRACE_TEXT_OK;
	if (!take_i32(c, INT32_MIN, &event->payload_pid) ||
	    !take_literal(c, " memcg_id: ") ||
	    !take_u64(c, UINT64_MAX, &event->memcg_id))
		return TRACE_TEXT_NO_MEMCG;
	event->flags |= TRACE_TEXT_MEMCG;
	if (!(event->flags & TRACE_TEXT_HEADER))
		event->pid = event->payload_pid;
	return TRACE_TEXT_OK;
}

/* Allocation of a huge page that fails rather than reclaims. */
#define TRANSHUGE_LIGHT                                                     \
	((GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC |            \
	  __GFP_NOWARN) & ~__GFP_RECLAIM)

#define NAMED(name, bits) { name, sizeof(name) - 1, bits }
#define FLAG(flag) NAMED(#flag, flag)

/* In the order of how often recordings have them. */
static const struct {
	const char *name;
	size_t length;
	uint32_t bits;
} gfp_names[] = {
	FLAG(GFP_KERNEL), FLAG(GFP_NOFS), FLAG(GFP_HIGHUSER_MOVABLE),
	FLAG(__GFP_HIGHMEM), FLAG(__GFP_MOVABLE), FLAG(__GFP_HARDWALL),
	FLAG(__GFP_NOWARN), FLAG(__GFP_NORETRY), FLAG(__GFP_COMP),
	FLAG(__GFP_ACCOUNT), FLAG(__GFP_NOMEMALLOC), FLAG(__GFP_RECLAIMABLE),
	FLAG(__GFP_ZERO), FLAG(__GFP_WRITE), FLAG(__GFP_RETRY_MAYFAIL),
	FLAG(__GFP_NOFAIL), FLAG(GFP_KERNEL_ACCOUNT), FLAG(GFP_HIGHUSER),
	FLAG(GFP_USER), FLAG(GFP_ATOMIC), FLAG(GFP_NOIO), FLAG(GFP_NOWAIT),
	FLAG(__GFP_RECLAIM), FLAG(__GFP_DMA), FLAG(__GFP_DMA32),
	FLAG(__GFP_HIGH), FLAG(__GFP_IO), FLAG(__GFP_FS),
	FLAG(__GFP_DIRECT_RECLAIM), FLAG(__GFP_KSWAPD_RECLAIM),
	FLAG(__GFP_MEMALLOC), FLAG(__GFP_THISNODE), FLAG(__GFP_ZEROTAGS),
	FLAG(__GFP_NO_OBJ_EXT),
	/* Kernels print these too; events of this library never have them. */
	NAMED("GFP_TRANSHUGE_LIGHT", TRANSHUGE_LIGHT),
	NAMED("GFP_TRANSHUGE", TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM),
	NAMED("GFP_DMA", __GFP_DMA), NAMED("GFP_DMA32", __GFP_DMA32),
};

/* The name of a flag, or the bits that have no name, in hexadecimal. */
static bool take_gfp_flag(struct cursor *c, struct trace_text_event *event)
{
	struct cursor name = { c->at, c->at };
	uint64_t bits;
	size_t i;

	if (left(c) >= 2 && *c->at == '0') {
		if (!take_hex(c, &bits) || bits > UINT32_MAX)
			return false;
		event->gfp_mask |= (uint32_t)bits;
		return true;
	}
	while (name.end < c->end &&
	       ((*name.end >= 'A' && *name.end <= 'Z') ||
		is_digit(*name.end) || *name.end == '_'))
		name.end++;
	c->at = name.end;
	for (i = 0; i < sizeof(gfp_names) / sizeof(*gfp_names); i++)
		if (gfp_names[i].length == left(&name) &&
		    memcmp(gfp_names[i].name, name.at, left(&name)) == 0) {
			event->gfp_mask |= gfp_names[i].bits;
			return true;
		}
	/* Other kernels have other flags; no check of a pass needs them. */
	take_literal(&name, "__");
	if (!take_literal(&name, "GFP_") || !left(&name))
		return false;
	event->flags |= TRACE_TEXT_GFP_UNKNOWN;
	return true;
}

/* "GFP_NOFS|__GFP_HIGHMEM|0x200", or "none". */
bool take_gfp(struct cursor *c, struct trace_text_event *event)
{
	struct cursor p = *c;

	if (take_literal(&p, "none") && (!left(&p) || is_blank(*p.at))) {
		*c = p;
		return true;
	}
	do {
		if (!take_gfp_flag(c, event))
			return false;
	} while (take_char(c, '|'));
	return true;
}

/* "pgs_scanned 32 lru_pgs 7792" by Linux up to 4.15, which print no priority. */
static int take_pages(struct cursor *c, struct trace_text_event *event)
{
	if (!take_i64(c, &event->pgs_scanned) ||
	    !take_literal(c, " lru_pgs ") || !take_i64(c, &event->lru_pgs))
		return TRACE_TEXT_NO_PAGES;
	event->flags |= TRACE_TEXT_PAGES;
	return TRACE_TEXT_OK;
}

static int take_start(struct cursor *c, struct trace_text_event *event)
{
	if (!take_literal(c, " objects to shrink ") || !take_i64(c, &event->nr))
		return TRACE_TEXT_NO_NR;
	if (!take_literal(c, " gfp_flags ") || !take_gfp(c, event))
		return TRACE_TEXT_NO_GFP;
	if (take_literal(c, " pgs_scanned ") && take_pages(c, event))
		return TRACE_TEXT_NO_PAGES;
	if (!take_literal(c, " cache items ") ||
	    !take_i64(c, &event->freeable))
		return TRACE_TEXT_NO_FREEABLE;
	if (!take_literal(c, " delta ") || !take_i64(c, &event->delta))
		return TRACE_TEXT_NO_DELTA;
	if (!take_literal(c, " total_scan ") ||
	    !take_i64(c, &event->total_scan))
		return TRACE_TEXT_NO_TOTAL_SCAN;
	if (event->flags & TRACE_TEXT_PAGES)
		return TRACE_TEXT_OK;
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

bool ends_line(struct cursor c)
{
	struct cursor address;
	uint64_t value;

	skip_blanks(&c);
	if (take_literal(&c, "(in-irq)"))
		skip_blanks(&c);
	if (take_literal(&c, "*/"))
		skip_blanks(&c);
	/* perf script -F ip,sym: the address of the tracepoint, and its function. */
	address = c;
	if (take_hex(&address, &value) && address.at - c.at >= MIN_ADDRESS_CHARS &&
	    left(&address) && is_blank(*address.at))
		return true;
	return !left(&c);
}

int take_printed(struct cursor c, const char *text, int kind,
		 struct trace_text_event *event)
{
	int error;

	skip_blanks(&c);
	error = take_shrinker(&c, text, event);
	if (!error)
		error = kind == TRACE_LINE_START ? take_start(&c, event) :
						   take_end(&c, event);
	if (error == TRACE_TEXT_NO_NR &&
	    (find_literal(c, " objects to shrink ") ||
	     find_literal(c, " unused scan count ")))
		return TRACE_TEXT_OTHER_PAYLOAD;
	if (error)
		return error;
	if (!left(&c))
		return TRACE_TEXT_OK;
	return ends_line(c) ? TRACE_TEXT_OK : TRACE_TEXT_TRAILING;
}
