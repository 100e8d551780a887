/* SPDX-License-Identifier: MIT */
/* Reading trace lines: every form that is accepted, and damage of every kind. */
#include "check.h"
#include <shrinker/trace_text.h>

#define FTRACE "            sh-2292    [001] .....   338.056654: "
#define START_PAYLOAD                                                          \
	"super_cache_scan+0x0/0x210 00000000bae2d7fc: nid: 1 objects to "      \
	"shrink 44 gfp_flags GFP_NOFS|__GFP_HIGHMEM cache items 90345 delta "  \
	"-3 total_scan 47 priority 12"
#define END_PAYLOAD                                                            \
	"super_cache_scan+0x0/0x210 00000000bae2d7fc: nid: 1 unused scan "     \
	"count 44 new scan count 88 total_scan -5 last shrinker return val -1"
#define START "mm_shrink_slab_start: " START_PAYLOAD
#define END "mm_shrink_slab_end: " END_PAYLOAD

/* A copy of exactly its size: a sanitizer sees every byte read beyond it. */
static int parse_bytes(const char *text, size_t length,
		       struct trace_text_event *event)
{
	char *copy = malloc(length ? length : 1);
	int kind;

	CHECK(copy);
	memcpy(copy, text, length);
	kind = trace_text_parse_line(copy, length, event);
	if (kind == TRACE_LINE_START || kind == TRACE_LINE_END) {
		CHECK(event->function_offset + event->function_length <= length);
		CHECK(event->comm_offset + event->comm_length <= length);
		CHECK(event->function_length > 0);
		CHECK_EQ(event->error, TRACE_TEXT_OK);
	}
	CHECK((kind == TRACE_LINE_MALFORMED) == (event->error != 0));
	free(copy);
	return kind;
}

static int parse(const char *text, struct trace_text_event *event)
{
	return parse_bytes(text, strlen(text), event);
}

static int kind_of(const char *text)
{
	struct trace_text_event event;

	return parse(text, &event);
}

static int error_of(const char *text)
{
	struct trace_text_event event;

	CHECK_EQ(parse(text, &event), TRACE_LINE_MALFORMED);
	return event.error;
}

static void check_part(const char *text, uint32_t offset, uint32_t length,
		       const char *expected)
{
	CHECK_EQ(length, strlen(expected));
	CHECK(memcmp(text + offset, expected, length) == 0);
}

/* Each field of both events is what stands in the line. */
static void reads_every_field(void)
{
	struct trace_text_event e;

	CHECK_EQ(parse(FTRACE START "\n", &e), TRACE_LINE_START);
	CHECK_EQ(e.pid, 2292);
	CHECK_EQ(e.cpu, 1);
	CHECK_EQ(e.time, UINT64_C(338056654000));
	CHECK_EQ(e.pointer, 0xbae2d7fc);
	CHECK_EQ(e.nid, 1);
	CHECK_EQ(e.nr, 44);
	CHECK_EQ(e.gfp_mask, GFP_NOFS | __GFP_HIGHMEM);
	CHECK_EQ(e.freeable, 90345);
	CHECK_EQ(e.delta, -3);
	CHECK_EQ(e.total_scan, 47);
	CHECK_EQ(e.priority, 12);
	CHECK_EQ(e.flags, TRACE_TEXT_HEADER);
	check_part(FTRACE START, e.comm_offset, e.comm_length, "sh");
	check_part(FTRACE START, e.function_offset, e.function_length,
		   "super_cache_scan+0x0/0x210");

	CHECK_EQ(parse(FTRACE END "\r\n", &e), TRACE_LINE_END);
	CHECK_EQ(e.nr, 44);
	CHECK_EQ(e.new_nr, 88);
	CHECK_EQ(e.total_scan, -5);
	CHECK_EQ(e.retval, -1);
}

/* Headers of ftrace, perf script and none at all lead to the same event. */
static void reads_every_header(void)
{
	static const struct {
		const char *header, *comm;
		int pid, cpu;
		uint64_t time;
	} cases[] = {
		{ "sh-1 [000] ....   5.000001: ", "sh", 1, 0, 5000001000 },
		{ "sh-1 [000] .N..1  5.000001: ", "sh", 1, 0, 5000001000 },
		{ "  <...>-77    [012] d..2. 5.5: ", "<...>", 77, 12,
		  5500000000 },
		{ " my task - a-b-9 [003] ..... 1.000000001: ",
		  "my task - a-b", 9, 3, 1000000001 },
		{ "kworker/u4:1-45 (  45) [000] ..... 0.1: ", "kworker/u4:1",
		  45, 0, 100000000 },
		{ "a-1 (-------) [000] ..... 7.0: ", "a", 1, 0, 7000000000 },
		{ "a [9] b-1 [000] ..... 7.0: ", "a [9] b", 1, 0, 7000000000 },
		{ "a-1 [000] ..... 123456: ", "a", 1, 0, 123456 },
		{ "    sh  5006 [000]   825.853491: vmscan:", "sh", 5006, 0,
		  825853491000 },
		{ "  sh x  5006/5007 [000]   825.8:   vmscan:", "sh x", 5007, 0,
		  825800000000 },
		{ "", "", -1, -1, 0 },
		{ "  \t", "", -1, -1, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trace_text_event e;
		char line[512];

		snprintf(line, sizeof(line), "%s" END, cases[i].header);
		CHECK_EQ(parse(line, &e), TRACE_LINE_END);
		CHECK_EQ(e.pid, cases[i].pid);
		CHECK_EQ(e.cpu, cases[i].cpu);
		CHECK_EQ(e.time, cases[i].time);
		CHECK_EQ(e.new_nr, 88);
		check_part(line, e.comm_offset, e.comm_length, cases[i].comm);
	}
}

/* Scan functions may be names with or without offsets, modules, addresses. */
static void reads_every_function(void)
{
	static const char *const names[] = {
		"f+0x0/0x1a0",
		"f+0x0/0x1a0 [ext4]",
		"f+0x0",
		"ffffffff81234567",
		"0xffffffff81234567",
		"tests.x.<locals>.Cache.scan_objects",
		"n\xc3\xa4me",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct trace_text_event e;
		char line[512];

		snprintf(line, sizeof(line),
			 "mm_shrink_slab_end: %s 0xffff88810004a300: nid: 0 "
			 "unused scan count 0 new scan count 0 total_scan 0 "
			 "last shrinker return val 0",
			 names[i]);
		CHECK_EQ(parse(line, &e), TRACE_LINE_END);
		CHECK_EQ(e.pointer, UINT64_C(0xffff88810004a300));
		check_part(line, e.function_offset, e.function_length,
			   names[i]);
	}
}

/* A bare payload is told by its words, also with a newer kernel's fields. */
static void reads_bare_payloads(void)
{
	struct trace_text_event e;

	CHECK_EQ(parse(START_PAYLOAD, &e), TRACE_LINE_START);
	CHECK_EQ(e.pid, -1);
	CHECK_EQ(parse(END_PAYLOAD "  ", &e), TRACE_LINE_END);
	CHECK_EQ(parse("f 1: nid: 0 pid: 12 memcg_id: 4294967295 unused scan "
		       "count 0 new scan count 0 total_scan 0 last shrinker "
		       "return val 0",
		       &e),
		 TRACE_LINE_END);
	CHECK_EQ(e.flags, TRACE_TEXT_MEMCG);
	CHECK_EQ(e.pid, 12);
	CHECK_EQ(e.payload_pid, 12);
	CHECK_EQ(e.memcg_id, UINT32_MAX);
}

/* Lines that are not ours are told apart, and none of them is an error. */
static void knows_other_lines(void)
{
	struct trace_text_event e;

	CHECK_EQ(kind_of(""), TRACE_LINE_BLANK);
	CHECK_EQ(kind_of(" \t\n"), TRACE_LINE_BLANK);
	CHECK_EQ(kind_of("# tracer: nop"), TRACE_LINE_BLANK);
	CHECK_EQ(kind_of("#  mm_shrink_slab_start: x"), TRACE_LINE_BLANK);
	CHECK_EQ(kind_of(FTRACE "sched_switch: prev_comm=sh"),
		 TRACE_LINE_OTHER);
	CHECK_EQ(kind_of(FTRACE "print: mm_shrink_slab_start: hello"),
		 TRACE_LINE_OTHER);
	CHECK_EQ(kind_of(FTRACE "mm_shrink_slab_other: hello"),
		 TRACE_LINE_OTHER);
	CHECK_EQ(kind_of(" => shrink_slab"), TRACE_LINE_UNKNOWN);
	CHECK_EQ(kind_of("Dear reader,"), TRACE_LINE_UNKNOWN);
	CHECK_EQ(parse("CPU:1 [LOST 4242 EVENTS]\n", &e), TRACE_LINE_LOST);
	CHECK_EQ(e.lost, 4242);
	CHECK_EQ(e.cpu, 1);
	CHECK_EQ(parse("CPU:0 [LOST EVENTS]", &e), TRACE_LINE_LOST);
	CHECK_EQ(e.lost, 0);
	CHECK_EQ(kind_of("CPU:1 [LOST 18446744073709551616 EVENTS]"),
		 TRACE_LINE_UNKNOWN);
	CHECK_EQ(kind_of("CPU:1 [LOST 1 EVENTS] x"), TRACE_LINE_UNKNOWN);
}

/* Every line that is cut short anywhere in our event is malformed. */
static void finds_cut_lines(void)
{
	static const char *const lines[] = { FTRACE START, FTRACE END };
	size_t name = strlen(FTRACE) + strlen("mm_shrink_slab_");

	for (size_t i = 0; i < 2; i++) {
		const char *line = lines[i];
		/* A number that lost digits is still one. */
		size_t last = strlen(line) - 2 + i;
		struct trace_text_event e;

		for (size_t n = 0; n <= last; n++) {
			int kind = parse_bytes(line, n, &e);

			if (n >= name)
				CHECK_EQ(kind, TRACE_LINE_MALFORMED);
			else
				CHECK(kind != TRACE_LINE_START &&
				      kind != TRACE_LINE_END);
		}
		/* Cut at the front: the task is gone. */
		CHECK_EQ(kind_of(line + 20), TRACE_LINE_MALFORMED);
		CHECK_EQ(kind_of(line + strlen(FTRACE) - 12),
			 TRACE_LINE_MALFORMED);
	}
}

/* What is wrong is named by the part that was expected. */
static void names_what_is_missing(void)
{
	CHECK_EQ(error_of("338.05: " START), TRACE_TEXT_NO_HEADER);
	CHECK_EQ(error_of(FTRACE "mm_shrink_slab_sta"), TRACE_TEXT_NO_NAME);
	CHECK_EQ(error_of("mm_shrink_slab_end:  00f: nid: 0"),
		 TRACE_TEXT_NO_FUNCTION);
	CHECK_EQ(error_of("mm_shrink_slab_end: f (null): nid: 0"),
		 TRACE_TEXT_NO_POINTER);
	CHECK_EQ(error_of("mm_shrink_slab_end: f 1ffff88810004a300: nid: 0"),
		 TRACE_TEXT_NO_POINTER);
	CHECK_EQ(error_of("mm_shrink_slab_end: f g 1: nid: 0"),
		 TRACE_TEXT_NO_FUNCTION);
	/* The module behind a name is one word in brackets. */
	CHECK_EQ(error_of("mm_shrink_slab_end: f [a b] 1: nid: 0"),
		 TRACE_TEXT_NO_FUNCTION);
	CHECK_EQ(error_of("mm_shrink_slab_end: f [a[] 1: nid: 0"),
		 TRACE_TEXT_NO_FUNCTION);
	CHECK_EQ(error_of("mm_shrink_slab_end: f [a]] 1: nid: 0"),
		 TRACE_TEXT_NO_FUNCTION);
	CHECK_EQ(error_of("mm_shrink_slab_end: f [a\177] 1: nid: 0"),
		 TRACE_TEXT_NO_FUNCTION);
	CHECK_EQ(error_of("mm_shrink_slab_end: f [a 1: nid: 0"),
		 TRACE_TEXT_NO_FUNCTION);
	CHECK_EQ(error_of("mm_shrink_slab_end: f [] 1: nid: 0"),
		 TRACE_TEXT_NO_FUNCTION);
	CHECK_EQ(error_of("mm_shrink_slab_end: f\177 1: nid: 0"),
		 TRACE_TEXT_NO_FUNCTION);
	CHECK_EQ(error_of("mm_shrink_slab_end: f 1: nid: -1"),
		 TRACE_TEXT_NO_NID);
	CHECK_EQ(error_of("mm_shrink_slab_end: f 1: nid: 2147483648"),
		 TRACE_TEXT_NO_NID);
	CHECK_EQ(error_of("mm_shrink_slab_end: f 1: nid: 0 pid: 1 memcg_id: "
			  "4294967296"),
		 TRACE_TEXT_NO_MEMCG);
	CHECK_EQ(error_of("mm_shrink_slab_end: f 1: nid: 0 objects"),
		 TRACE_TEXT_NO_NR);
	CHECK_EQ(error_of(FTRACE END "7777777777"), TRACE_TEXT_NO_RETVAL);
	CHECK_EQ(error_of(FTRACE END " x"), TRACE_TEXT_TRAILING);
	CHECK_EQ(error_of(FTRACE START "."), TRACE_TEXT_TRAILING);
}

static int start_with(const char *nr, const char *gfp,
		      struct trace_text_event *event)
{
	char line[512];

	snprintf(line, sizeof(line),
		 "mm_shrink_slab_start: f 1: nid: 0 objects to shrink %s "
		 "gfp_flags %s cache items 1 delta 0 total_scan 0 priority 0",
		 nr, gfp);
	return parse(line, event);
}

/* Numbers fill their type and not one more. */
static void keeps_to_the_range_of_numbers(void)
{
	struct trace_text_event e;

	CHECK_EQ(start_with("9223372036854775807", "none", &e),
		 TRACE_LINE_START);
	CHECK_EQ(e.nr, INT64_MAX);
	CHECK_EQ(start_with("-9223372036854775808", "none", &e),
		 TRACE_LINE_START);
	CHECK_EQ(e.nr, INT64_MIN);
	CHECK_EQ(start_with("9223372036854775808", "none", &e),
		 TRACE_LINE_MALFORMED);
	CHECK_EQ(e.error, TRACE_TEXT_NO_NR);
	CHECK_EQ(start_with("-9223372036854775809", "none", &e),
		 TRACE_LINE_MALFORMED);
	CHECK_EQ(start_with("99999999999999999999999999", "none", &e),
		 TRACE_LINE_MALFORMED);
	CHECK_EQ(start_with("-", "none", &e), TRACE_LINE_MALFORMED);
	CHECK_EQ(start_with("+1", "none", &e), TRACE_LINE_MALFORMED);
	CHECK_EQ(start_with("0x1", "none", &e), TRACE_LINE_MALFORMED);
}

/* Flags by name, composites too, in any order; unknown ones are marked. */
static void reads_flags(void)
{
	struct trace_text_event e;

	CHECK_EQ(start_with("0", "none", &e), TRACE_LINE_START);
	CHECK_EQ(e.gfp_mask, 0);
	CHECK_EQ(start_with("0", "GFP_HIGHUSER_MOVABLE|__GFP_ZERO|0x200", &e),
		 TRACE_LINE_START);
	CHECK_EQ(e.gfp_mask, GFP_HIGHUSER_MOVABLE | __GFP_ZERO | 0x200);
	CHECK_EQ(e.flags & TRACE_TEXT_GFP_UNKNOWN, 0);
	CHECK_EQ(start_with("0", "__GFP_DMA32|__GFP_DMA", &e),
		 TRACE_LINE_START);
	CHECK_EQ(e.gfp_mask, __GFP_DMA32 | __GFP_DMA);
	CHECK_EQ(start_with("0", "GFP_TRANSHUGE|__GFP_THISNODE", &e),
		 TRACE_LINE_START);
	CHECK_EQ(e.gfp_mask, 0x1c24ca | __GFP_THISNODE);
	CHECK_EQ(start_with("0", "GFP_DMA|GFP_DMA32", &e), TRACE_LINE_START);
	CHECK_EQ(e.gfp_mask, __GFP_DMA | __GFP_DMA32);
	CHECK_EQ(e.flags & TRACE_TEXT_GFP_UNKNOWN, 0);
	CHECK_EQ(start_with("0", "GFP_KERNEL|__GFP_FROM_2040", &e),
		 TRACE_LINE_START);
	CHECK_EQ(e.gfp_mask, GFP_KERNEL);
	CHECK(e.flags & TRACE_TEXT_GFP_UNKNOWN);
	CHECK_EQ(start_with("0", "GFP_KERNEL|", &e), TRACE_LINE_MALFORMED);
	CHECK_EQ(start_with("0", "gfp_kernel", &e), TRACE_LINE_MALFORMED);
	CHECK_EQ(start_with("0", "0x1ffffffff", &e), TRACE_LINE_MALFORMED);
	CHECK_EQ(e.error, TRACE_TEXT_NO_GFP);
}

/* A text is the sum of its lines, however it is cut into pieces. */
static void reads_a_text_in_pieces(void)
{
	static const char text[] = "# tracer: nop\n" FTRACE START "\n" FTRACE
				   "sched_switch: x\n" FTRACE END
				   "\nCPU:0 [LOST 3 EVENTS]\nnoise\n" FTRACE
				   "mm_shrink_slab_end: cut\n\n" FTRACE END;
	const size_t length = sizeof(text) - 1;

	for (size_t room = 1; room <= 8; room++) {
		struct trace_text_counts counts = { 0 };
		struct trace_text_event events[8];
		uint64_t lines[8];
		size_t done = 0, seen = 0, n;

		while (done < length) {
			size_t step = trace_text_parse(text + done,
						       length - done, 1,
						       counts.lines + 1, events,
						       room, &n, &counts);

			CHECK(step > 0);
			CHECK(n <= room);
			for (size_t i = 0; i < n; i++)
				lines[seen++] = events[i].line;
			done += step;
		}
		CHECK_EQ(seen, 5);
		CHECK_EQ(lines[0], 2);
		CHECK_EQ(lines[1], 4);
		CHECK_EQ(lines[2], 5);
		CHECK_EQ(lines[3], 7);
		CHECK_EQ(lines[4], 9);
		CHECK_EQ(counts.lines, 9);
		CHECK_EQ(counts.starts, 1);
		CHECK_EQ(counts.ends, 2);
		CHECK_EQ(counts.others, 1);
		CHECK_EQ(counts.malformed, 1);
		CHECK_EQ(counts.unknown, 1);
		CHECK_EQ(counts.lost, 3);
	}
	/* Without its end the last line is left for later. */
	{
		struct trace_text_counts counts = { 0 };
		struct trace_text_event events[8];
		size_t n;

		CHECK_EQ(trace_text_parse(text, length, 0, 1, events, 8, &n,
					  &counts),
			 length - strlen(FTRACE END));
		CHECK_EQ(n, 4);
	}
}

/* A line longer than any kernel prints is refused, not read. */
static void refuses_endless_lines(void)
{
	size_t length = TRACE_TEXT_LINE_MAX + 1;
	char *line = malloc(length);
	struct trace_text_event e;

	CHECK(line);
	memset(line, 'x', length);
	CHECK_EQ(parse_bytes(line, length, &e), TRACE_LINE_MALFORMED);
	CHECK_EQ(e.error, TRACE_TEXT_TOO_LONG);
	CHECK_EQ(parse_bytes(line, length - 1, &e), TRACE_LINE_UNKNOWN);
	free(line);
}

/* Damaged lines never make it read beyond the line (the sanitizers watch). */
static void survives_damage(void)
{
	static const char *const lines[] = { FTRACE START, FTRACE END,
					     START_PAYLOAD,
					     "CPU:1 [LOST 42 EVENTS]" };
	uint64_t seed = 88172645463325252U;
	unsigned long readable = 0;

	for (int round = 0; round < 20000; round++) {
		const char *line = lines[round % 4];
		size_t length = strlen(line);
		char damaged[512];
		struct trace_text_event e;

		memcpy(damaged, line, length);
		for (int i = 0; i <= round % 3; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			damaged[seed % length] = (char)(seed >> 40);
		}
		if (round % 5 == 0)
			length = seed % (length + 1);
		readable += parse_bytes(damaged, length, &e) <= TRACE_LINE_END;
	}
	/* Damage to a name or a digit leaves a line that can be read. */
	CHECK(readable > 100 && readable < 19000);
}

int main(void)
{
	RUN(reads_every_field);
	RUN(reads_every_header);
	RUN(reads_every_function);
	RUN(reads_bare_payloads);
	RUN(knows_other_lines);
	RUN(finds_cut_lines);
	RUN(names_what_is_missing);
	RUN(keeps_to_the_range_of_numbers);
	RUN(reads_flags);
	RUN(reads_a_text_in_pieces);
	RUN(refuses_endless_lines);
	RUN(survives_damage);
	return checks_report("test_trace_text");
}
