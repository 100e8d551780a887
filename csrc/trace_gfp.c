// SPDX-License-Identifier: MIT
/*
 * Allocation flags by name, as kernels print them: more names than we print.
 */
#include "trace_parts.h"

struct gfp_name {
	const char *name;
	uint32_t mask;
};

/* A huge page, if it costs nobody any reclaim. */
#define TRANSHUGE_LIGHT                                                     \
	((GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC |            \
	  __GFP_NOWARN) & ~__GFP_RECLAIM)

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
	/* Names that kernels print and we do not. */
	{ "GFP_TRANSHUGE_LIGHT", TRANSHUGE_LIGHT },
	{ "GFP_TRANSHUGE", TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM },
	{ "GFP_DMA", __GFP_DMA },
	{ "GFP_DMA32", __GFP_DMA32 },
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

bool trace_take_gfp(struct cursor *c, struct trace_text_event *event)
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
