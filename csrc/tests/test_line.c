/* SPDX-License-Identifier: MIT */
/* Reading lines: every form that is accepted, and damage of every kind. */
#include "check.h"
#include "recording.h"

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
/* The same payloads by names and values, in both bases. */
#define FIELDS_START                                                           \
	"shr=0xbae2d7fc shrink=super_cache_scan+0x0/0x210 "                    \
	"nr_objects_to_shrink=44 gfp_flags=0x42 cache_items=0x160e9 delta=-3 " \
	"total_scan=0x2f priority=12 nid=1"
#define FIELDS_END                                                             \
	"shr=0xbae2d7fc shrink=super_cache_scan+0x0/0x210 unused_scan=44 "     \
	"new_scan=0x58 total_scan=0xfffffffffffffffb nid=1 retval=-1"
/* What follows "nid: 0" of an end. */
#define ZEROS                                                                  \
	" unused scan count 0 new scan count 0 total_scan 0 last shrinker "    \
	"return val 0"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

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
	CHECK_EQ(e.flags, TRACE_TEXT_HEADER | TRACE_TEXT_TIME);
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
	struct trace_text_event e;
	char line[512];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(line, sizeof(line), "%s" END, cases[i].header);
		CHECK_EQ(parse(line, &e), TRACE_LINE_END);
		CHECK_EQ(e.pid, cases[i].pid);
		CHECK_EQ(e.cpu, cases[i].cpu);
		CHECK_EQ(e.time, cases[i].time);
		CHECK_EQ(e.new_nr, 88);
		check_part(line, e.comm_offset, e.comm_length, cases[i].comm);
	}
}

/* Headers with parts left out, added, or in another form; perf script -F, trace-cmd
 * report, the latency format, tracers, kernel logs, mails. */
static void reads_loose_headers(void)
{
	static const struct {
		const char *before, *comm;
		int pid, cpu;
		uint64_t time;
		const char *after;
	} cases[] = {
		/* Flags: RT kernels, trace-cmd; clocks without a point. */
		{ "sh-1 [001] ....... 5.5: ", "sh", 1, 1, 5500000000, "" },
		{ "sh-1 [001] .....0 5.5: ", "sh", 1, 1, 5500000000, "" },
		{ "sh-1 [001] ..... 279433564440: ", "sh", 1, 1, 279433564440, "" },
		{ "sh-1 [001] ..... 18446744073709551615: ", "sh", 1, 1, UINT64_MAX,
		  "" },
		/* trace-cmd report -l, -R, both, --ts-diff */
		{ "  sh-379     2.....    94.17: ", "sh", 379, 2, 94170000000, "" },
		{ "  sh-379   [002]-0x0    94.17: ", "sh", 379, 2, 94170000000, "" },
		{ "  a-b-379     2-0x0    94.17: ", "a-b", 379, 2, 94170000000, "" },
		{ "  sh-379   [002] ..... 94.17: (+142)   ", "sh", 379, 2,
		  94170000000, "" },
		{ "  sh-379   [002] ..... 94.17:          ", "sh", 379, 2,
		  94170000000, "" },
		/* the latency format */
		{ "  sh-126   1..... 721515us!: ", "sh", 126, 1, 721515000, "" },
		{ "  sh-126   1....... 721515us+: ", "sh", 126, 1, 721515000, "" },
		{ " kswapd0-45   1.....  419us : ", "kswapd0", 45, 1, 419000, "" },
		{ "  sh-126   1..... 1551795354: ", "sh", 126, 1, 1551795354, "" },
		{ "   sh a   126   1 0 00000000 00000003 [01c7a8be] 496.080ms "
		  "(+0.619ms): ", "sh a", 126, 1, 496080000, "" },
		/* function_graph */
		{ " 1)               |  /* ", "", -1, 1, 0, "  */" },
		{ " 1)   kworker/0:1-52   |               |  /* ", "kworker/0:1", 52,
		  -1, 0, " */" },
		{ "   50.5 |   1)     sh-126     |               |  /* ", "sh", 126,
		  -1, 0, "  */" },
		{ "/* ", "", -1, -1, 0, "  */" },
		/* perf script -F */
		{ "  sh     407/408     [000] K       146.5:          1   vmscan:",
		  "sh", 408, 0, 146500000000,
		  " ffffffffade85e71 do_shrink_slab+0x211 ([kernel.kallsyms])" },
		{ "  u4:1     407 [000]   146.5:          1 vmscan:", "u4:1", 407, 0,
		  146500000000, "" },
		{ "[003]   146.5: vmscan:", "", -1, 3, 146500000000, "" },
		{ "    407 [003]   146.5: vmscan:", "", 407, 3, 146500000000, "" },
		{ "  my sh     407   146.5: vmscan:", "my sh", 407, -1, 146500000000,
		  "" },
		{ "  my sh     407 [000] vmscan:", "my sh", 407, 0, 0, "" },
		{ "  a:b     407 vmscan:", "a:b", 407, -1, 0, "" },
		/* kernel logs and mails */
		{ "[   66.956426]       sh-130       0....... 368812us : ", "sh",
		  130, 0, 368812000, "" },
		{ "[Sat Nov 28 10:47:35 2026]       sh-130       0..... 3us : ",
		  "sh", 130, 0, 3000, "" },
		{ "2026-11-28T10:47:35,763316+00:00   sh-130   0....... 3us : ", "sh",
		  130, 0, 3000, "" },
		{ "Nov 28 10:37:33 host kernel: sh-130 [001] ..... 5.5: ", "sh", 130,
		  1, 5500000000, "" },
		{ "<4>[   66.5] ", "", -1, -1, 66500000000, "" },
		{ "[   66.5][  T126] ", "", 126, -1, 66500000000, "" },
		{ "[   66.5][    C2] ", "", -1, 2, 66500000000, "" },
		{ "Nov 28 10:37:33 host kernel: ", "", -1, -1, 0, "" },
		{ "> > sh-130 [001] ..... 5.5: ", "sh", 130, 1, 5500000000, "" },
		{ ">\t sh-130   1..... 5us : ", "sh", 130, 1, 5000, "" },
	};
	static const char *const ends[] = { END, "mm_shrink_slab_end: " FIELDS_END,
					    "mm_shrink_slab_end: [FAILED TO PARSE] "
					    FIELDS_END };
	struct trace_text_event e;
	char line[1024];
	size_t i, j;

	for (i = 0; i < COUNT(cases); i++)
		for (j = 0; j < COUNT(ends); j++) {
			snprintf(line, sizeof(line), "%s%s%s", cases[i].before,
				 ends[j], cases[i].after);
			if (parse(line, &e) != TRACE_LINE_END)
				printf("%s\n", line);
			CHECK_EQ(e.kind, TRACE_LINE_END);
			CHECK_EQ(e.pid, cases[i].pid);
			CHECK_EQ(e.cpu, cases[i].cpu);
			CHECK_EQ(e.new_nr, 88);
			CHECK_EQ(e.total_scan, -5);
			/* The year of dmesg -T is no time to count on. */
			if (cases[i].time)
				CHECK_EQ(e.time, cases[i].time);
			check_part(line, e.comm_offset, e.comm_length,
				   cases[i].comm);
		}
}

/* Names and values, in every form and order; what is not needed is ignored. */
static void reads_names_and_values(void)
{
	static const char *const starts[] = {
		"mm_shrink_slab_start: " FIELDS_START,
		"mm_shrink_slab_start:  [FAILED TO PARSE] " FIELDS_START " memcg_id=9",
		"[FAILED TO PARSE] " FIELDS_START,
		"mm_shrink_slab_start: shr=0xbae2d7fc (-51540461128178432) "
		"shrink=super_cache_scan+0x0/0x210 (-1376016704) "
		"nr_objects_to_shrink=0x2c (44) gfp_flags=0x42 (66) "
		"cache_items=0x160e9 (90345) delta=0xfffffffffffffffd (-3) "
		"total_scan=0x2f (47) priority=0xc (12) nid=0x1 (1)",
		"mm_shrink_slab_start: cache_items=90345 delta=-3 gfp_flags=66 "
		"nr_objects_to_shrink=44 shr=3135428604 "
		"shrink=super_cache_scan+0x0/0x210 total_scan=47 nid=1 priority=12 "
		"something=else",
		"    0.000 sh/505 vmscan:mm_shrink_slab_start(shr: 0xbae2d7fc, shrink: "
		"super_cache_scan+0x0/0x210, nr_objects_to_shrink: 44, gfp_flags: 66, "
		"cache_items: 90345, delta: -3, total_scan: 47, priority: 12, nid: 1)",
		"mm_shrink_slab_start: shr=0xbae2d7fc shrink=super_cache_scan+0x0/0x210 "
		"nr_objects_to_shrink=44 gfp_flags=GFP_NOFS|__GFP_HIGHMEM "
		"cache_items=90345 delta=-3 total_scan=47 priority=12 nid=1",
	};
	struct trace_text_event e;
	size_t i;

	for (i = 0; i < COUNT(starts); i++) {
		CHECK_EQ(parse(starts[i], &e), TRACE_LINE_START);
		CHECK_EQ(e.pointer, 0xbae2d7fc);
		CHECK_EQ(e.nid, 1);
		CHECK_EQ(e.nr, 44);
		CHECK_EQ(e.freeable, 90345);
		CHECK_EQ(e.delta, -3);
		CHECK_EQ(e.total_scan, 47);
		CHECK_EQ(e.priority, 12);
		CHECK(e.gfp_mask == 0x42 ||
		      e.gfp_mask == (GFP_NOFS | __GFP_HIGHMEM));
		CHECK_EQ(e.memcg_id, i == 1 ? 9 : 0);
		check_part(starts[i], e.function_offset, e.function_length,
			   "super_cache_scan+0x0/0x210");
	}
	/* perf trace leaves zeros out. */
	CHECK_EQ(parse(" 1.5 sh/505 vmscan:mm_shrink_slab_end(shr: 0x1, shrink: 0x2)",
		       &e),
		 TRACE_LINE_END);
	CHECK_EQ(e.pid, 505);
	CHECK_EQ(e.retval, 0);
	CHECK_EQ(parse("mm_shrink_slab_start: shr=0x1 shrink=f+0x0 [xfs] (0x2) "
		       "nr_objects_to_shrink=0 gfp_flags=0 pgs_scanned=32 "
		       "lru_pgs=0x1e70 cache_items=1 delta=0 total_scan=0",
		       &e),
		 TRACE_LINE_START);
	CHECK_EQ(e.lru_pgs, 7792);
	CHECK_EQ(e.flags, TRACE_TEXT_PAGES);
	CHECK_EQ(e.function_length, strlen("f+0x0 [xfs]"));
}

/* Older and newer kernels' payloads. */
static void reads_payloads_of_other_kernels(void)
{
	struct trace_text_event e;

	CHECK_EQ(parse(FTRACE "mm_shrink_slab_start: f+0x0/0x1 1: objects to shrink 7 "
		       "gfp_flags GFP_KERNEL pgs_scanned 32 lru_pgs 8803 cache items "
		       "4 delta 1 total_scan 2", &e),
		 TRACE_LINE_START);
	CHECK_EQ(e.nid, 0);
	CHECK_EQ(e.nr, 7);
	CHECK_EQ(e.pgs_scanned, 32);
	CHECK_EQ(e.lru_pgs, 8803);
	CHECK_EQ(e.freeable, 4);
	CHECK(e.flags & TRACE_TEXT_PAGES);
	CHECK_EQ(parse("f (____ptrval____): unused scan count 0 new scan count 1 "
		       "total_scan 0 last shrinker return val 0", &e),
		 TRACE_LINE_END);
	CHECK_EQ(e.pointer, 0);
	CHECK_EQ(parse("sh 407 f+0x0 [xfs] 0x1: nid: 0" ZEROS, &e), TRACE_LINE_END);
	CHECK_EQ(e.pid, 407);
	CHECK_EQ(e.function_length, strlen("f+0x0 [xfs]"));
}

/* An event may go on in the next lines; what does not belong to it is not taken. */
static void reads_wrapped_events(void)
{
	static const char mail[] =
		"> sh-1 [001] ..... 5.5: mm_shrink_slab_end: \\\n"
		">   f+0x0/0x1 [xfs] 1: nid: 0\t \\\n"
		"> unused scan count 0 new scan\n"
		"> count 0 total_scan 0 last shrinker return val 7\n"
		"> regards\n"
		"sh-1 [001] ..... 6.5:\n"
		" mm_shrink_slab_end: f+0x0\n"
		" [xfs] 1: nid: 0" ZEROS "\n"
		"sh-1 [001] ..... 7.5: mm_shrink_slab_end: f 1: nid: 0\n"
		"sh-1 [001] ..... 8.5: mm_shrink_slab_end: f 1: nid: 0" ZEROS "\n"
		"sh-1 [001] ..... 9.5: mm_shrink_slab_end: f 1: nid: 0\n"
		"\n" " unused scan count 0\n";
	static const uint64_t lines[] = { 1, 6, 9, 10, 11, 13 };
	struct trace_text_event events[8];
	struct trace_text_counts counts = { 0 };
	size_t n, i, length = strlen(mail), done;

	CHECK_EQ(trace_text_parse(mail, length, 1, 1, events, 8, &n, &counts),
		 length);
	CHECK_EQ(n, 5);
	for (i = 0; i < n; i++)
		CHECK_EQ(events[i].line, lines[i]);
	CHECK_EQ(events[0].retval, 7);
	CHECK_EQ(events[0].pid, 1);
	check_part(mail, events[0].function_offset, events[0].function_length,
		   "f+0x0/0x1 [xfs]");
	check_part(mail, events[0].comm_offset, events[0].comm_length, "sh");
	/* A name that is wrapped itself is cut. */
	check_part(mail, events[1].function_offset, events[1].function_length,
		   "f+0x0");
	CHECK_EQ(events[2].kind, TRACE_LINE_MALFORMED);
	CHECK_EQ(events[4].kind, TRACE_LINE_MALFORMED);
	CHECK_EQ(counts.ends, 3);
	CHECK_EQ(counts.malformed, 2);
	CHECK_EQ(counts.wrapped, 5);
	CHECK_EQ(counts.lines, 13);
	CHECK_EQ(counts.unknown, 2);
	/* An event is read once its last line is there. */
	for (done = 1; done < 190; done++) {
		size_t used = trace_text_parse(mail, done, 0, 1, events, 8, &n,
					       &counts);

		CHECK(used == 0 ? n == 0 : events[0].kind == TRACE_LINE_END);
	}
}

/* What names an event without being one is not counted as one. */
static void is_not_misled(void)
{
	static const struct {
		const char *line;
		int kind;
	} cases[] = {
		{ " => trace_event_raw_event_mm_shrink_slab_start",
		  TRACE_LINE_UNKNOWN },
		{ "=> trace_event_raw_event_mm_shrink_slab_end (ffffffffade71291)",
		  TRACE_LINE_UNKNOWN },
		{ "\t\"vmscan:mm_shrink_slab_start,vmscan:mm_shrink_slab_end\",",
		  TRACE_LINE_UNKNOWN },
		{ "there is little unused scan capacity", TRACE_LINE_UNKNOWN },
		{ FTRACE "super_cache_count <-do_shrink_slab", TRACE_LINE_OTHER },
		{ FTRACE "console: [1.5] mm_shrink_slab_end: " END_PAYLOAD,
		  TRACE_LINE_OTHER },
		{ FTRACE "          1 vmscan:" END, TRACE_LINE_END },
		{ FTRACE END_PAYLOAD, TRACE_LINE_END },
		{ FTRACE "[FAILED TO PARSE] " FIELDS_START, TRACE_LINE_START },
		{ "cpus=2", TRACE_LINE_BLANK },
		{ "126 1 27219792426 type: 598", TRACE_LINE_UNKNOWN },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		CHECK_EQ(kind_of(cases[i].line), cases[i].kind);
}

/* Scan functions may be names with or without offsets, modules, addresses. */
static void reads_every_function(void)
{
	static const char *const functions[] = {
		"f+0x0/0x1a0",
		"f+0x0/0x1a0 [ext4]",
		"f+0x0",
		"ffffffff81234567",
		"0xffffffff81234567",
		"tests.x.<locals>.Cache.scan_objects",
		"n\xc3\xa4me",
	};
	struct trace_text_event e;
	char line[512];
	size_t i;

	for (i = 0; i < COUNT(functions); i++) {
		snprintf(line, sizeof(line),
			 "mm_shrink_slab_end: %s 0xffff88810004a300: nid: 0" ZEROS,
			 functions[i]);
		CHECK_EQ(parse(line, &e), TRACE_LINE_END);
		CHECK_EQ(e.pointer, UINT64_C(0xffff88810004a300));
		check_part(line, e.function_offset, e.function_length,
			   functions[i]);
	}
}

/* A bare payload is told by its words, also with a newer kernel's fields. */
static void reads_bare_payloads(void)
{
	struct trace_text_event e;

	CHECK_EQ(parse(START_PAYLOAD, &e), TRACE_LINE_START);
	CHECK_EQ(e.pid, -1);
	CHECK_EQ(parse(END_PAYLOAD "  ", &e), TRACE_LINE_END);
	CHECK_EQ(parse("f 1: nid: 0 pid: 12 memcg_id: 18446744073709551615" ZEROS
		       " (in-irq) ",
		       &e),
		 TRACE_LINE_END);
	CHECK_EQ(e.flags, TRACE_TEXT_MEMCG);
	CHECK_EQ(e.pid, 12);
	CHECK_EQ(e.payload_pid, 12);
	CHECK_EQ(e.memcg_id, UINT64_MAX);
}

/* Other lines are told apart, and none of them is an error. */
static void knows_other_lines(void)
{
	static const struct {
		const char *line;
		int kind;
	} cases[] = {
		{ "", TRACE_LINE_BLANK },
		{ "\n", TRACE_LINE_BLANK },
		{ " \t\n", TRACE_LINE_BLANK },
		{ "# tracer: nop", TRACE_LINE_BLANK },
		{ "#  mm_shrink_slab_start: x", TRACE_LINE_BLANK },
		{ FTRACE "sched_switch: prev_comm=sh", TRACE_LINE_OTHER },
		{ FTRACE "print: mm_shrink_slab_start: hello",
		  TRACE_LINE_OTHER },
		{ FTRACE "mm_shrink_slab_other: hello", TRACE_LINE_OTHER },
		{ " => shrink_slab", TRACE_LINE_UNKNOWN },
		{ "Dear reader,", TRACE_LINE_UNKNOWN },
		{ "CPU:1 [LOST 18446744073709551616 EVENTS]",
		  TRACE_LINE_UNKNOWN },
		{ "CPU:1 [LOST 1 EVENTS] x", TRACE_LINE_UNKNOWN },
	};
	struct trace_text_event e;
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		CHECK_EQ(kind_of(cases[i].line), cases[i].kind);
	CHECK_EQ(parse("CPU:1 [LOST 4242 EVENTS]\n", &e), TRACE_LINE_LOST);
	CHECK_EQ(e.lost, 4242);
	CHECK_EQ(e.cpu, 1);
	CHECK_EQ(parse("CPU:0 [LOST EVENTS]", &e), TRACE_LINE_LOST);
	CHECK_EQ(e.lost, 0);
}

/* Every line that is cut short anywhere in our event is malformed. */
static void finds_cut_lines(void)
{
	static const char *const lines[] = { FTRACE START, FTRACE END };
	size_t name = strlen(FTRACE) + strlen("mm_shrink_slab_");
	struct trace_text_event e;
	size_t i, n;

	for (i = 0; i < COUNT(lines); i++) {
		const char *line = lines[i];
		/* A number that lost digits is still one. */
		size_t last = strlen(line) - 2 + i;

		for (n = 0; n <= last; n++) {
			int kind = parse_bytes(line, n, &e);

			if (n >= name)
				CHECK_EQ(kind, TRACE_LINE_MALFORMED);
			else
				CHECK(kind != TRACE_LINE_START &&
				      kind != TRACE_LINE_END);
		}
		/* Cut at the front: the task is gone.  With the time alone it could
		 * be a line of perf script -F time,event,trace: no task is read. */
		CHECK_EQ(kind_of(line + 20), TRACE_LINE_MALFORMED);
		CHECK_EQ(parse(line + strlen(FTRACE) - 12, &e),
			 TRACE_LINE_START + (int)i);
		CHECK_EQ(e.pid, -1);
	}
}

/* What is wrong is named by the part that was expected. */
static void names_what_is_missing(void)
{
	static const struct {
		const char *line;
		int error;
	} cases[] = {
		{ "hello " START, TRACE_TEXT_NO_HEADER },
		{ "[001] .....   338.056654: " START, TRACE_TEXT_NO_HEADER },
		{ FTRACE "mm_shrink_slab_sta", TRACE_TEXT_NO_NAME },
		{ "mm_shrink_slab_end:  00f: nid: 0", TRACE_TEXT_NO_FUNCTION },
		{ "mm_shrink_slab_end: f (null): nid: 0",
		  TRACE_TEXT_NO_POINTER },
		{ "mm_shrink_slab_end: f 1ffff88810004a300: nid: 0",
		  TRACE_TEXT_NO_POINTER },
		{ "mm_shrink_slab_end: f g 1: nid: 0", TRACE_TEXT_NO_FUNCTION },
		/* The module is one word in brackets. */
		{ "mm_shrink_slab_end: f [a b] 1: nid: 0",
		  TRACE_TEXT_NO_FUNCTION },
		{ "mm_shrink_slab_end: f [a[] 1: nid: 0",
		  TRACE_TEXT_NO_FUNCTION },
		{ "mm_shrink_slab_end: f [a]] 1: nid: 0",
		  TRACE_TEXT_NO_FUNCTION },
		{ "mm_shrink_slab_end: f [a\177] 1: nid: 0",
		  TRACE_TEXT_NO_FUNCTION },
		{ "mm_shrink_slab_end: f [a 1: nid: 0", TRACE_TEXT_NO_FUNCTION },
		{ "mm_shrink_slab_end: f [] 1: nid: 0", TRACE_TEXT_NO_FUNCTION },
		{ "mm_shrink_slab_end: f\177 1: nid: 0",
		  TRACE_TEXT_NO_FUNCTION },
		{ "mm_shrink_slab_end: f 1: nid: -1", TRACE_TEXT_NO_NID },
		{ "mm_shrink_slab_end: f 1: nid: 2147483648",
		  TRACE_TEXT_NO_NID },
		{ "mm_shrink_slab_end: f 1: nid: 0 pid: 1 memcg_id: "
		  "18446744073709551616",
		  TRACE_TEXT_NO_MEMCG },
		{ "mm_shrink_slab_end: f 1: nid: 0 objects", TRACE_TEXT_NO_NR },
		{ FTRACE END "7777777777", TRACE_TEXT_NO_RETVAL },
		{ FTRACE END " x", TRACE_TEXT_TRAILING },
		{ FTRACE START ".", TRACE_TEXT_TRAILING },
		/* A group of events, as perf script prints it. */
		{ "mm_shrink_slab_end: " START_PAYLOAD, TRACE_TEXT_OTHER_PAYLOAD },
		{ "mm_shrink_slab_start: " END_PAYLOAD, TRACE_TEXT_OTHER_PAYLOAD },
		{ "mm_shrink_slab_end: " FIELDS_START, TRACE_TEXT_OTHER_PAYLOAD },
		{ "mm_shrink_slab_start: " FIELDS_END, TRACE_TEXT_OTHER_PAYLOAD },
		{ "mm_shrink_slab_end: shr=1 shrink=f unused_scan=0 new_scan=0 "
		  "nid=0 retval=1", TRACE_TEXT_NO_TOTAL_SCAN },
		{ "mm_shrink_slab_end: shr=1 shrink=f unused_scan=0 new_scan=x",
		  TRACE_TEXT_NO_NEW_NR },
		{ "mm_shrink_slab_end: shr=1 shrink= unused_scan=0",
		  TRACE_TEXT_NO_FUNCTION },
		{ "mm_shrink_slab_end: " FIELDS_END " what", TRACE_TEXT_TRAILING },
		{ "mm_shrink_slab_end: " FIELDS_END " nid=0", TRACE_TEXT_TRAILING },
	};
	struct trace_text_event e;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		CHECK_EQ(parse(cases[i].line, &e), TRACE_LINE_MALFORMED);
		CHECK_EQ(e.error, cases[i].error);
	}
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
	static const char *const bad[] = {
		"-9223372036854775809", "99999999999999999999999999",
		"-", "+1", "0x1", "9223372036854775808",
	};
	struct trace_text_event e;
	size_t i;

	CHECK_EQ(start_with("9223372036854775807", "none", &e),
		 TRACE_LINE_START);
	CHECK_EQ(e.nr, INT64_MAX);
	CHECK_EQ(start_with("-9223372036854775808", "none", &e),
		 TRACE_LINE_START);
	CHECK_EQ(e.nr, INT64_MIN);
	for (i = 0; i < COUNT(bad); i++)
		CHECK_EQ(start_with(bad[i], "none", &e), TRACE_LINE_MALFORMED);
	CHECK_EQ(e.error, TRACE_TEXT_NO_NR);
}

/* Flags by name, composites too, in any order; unknown ones are marked. */
static void reads_flags(void)
{
	static const struct {
		const char *text;
		gfp_t mask;
		bool unknown;
	} cases[] = {
		{ "none", 0, false },
		{ "GFP_HIGHUSER_MOVABLE|__GFP_ZERO|0x200",
		  GFP_HIGHUSER_MOVABLE | __GFP_ZERO | 0x200, false },
		{ "__GFP_DMA32|__GFP_DMA", __GFP_DMA32 | __GFP_DMA, false },
		{ "GFP_TRANSHUGE|__GFP_THISNODE", 0x1c24ca | __GFP_THISNODE,
		  false },
		{ "GFP_DMA|GFP_DMA32", __GFP_DMA | __GFP_DMA32, false },
		{ "GFP_KERNEL|__GFP_FROM_2040", GFP_KERNEL, true },
	};
	static const char *const bad[] = { "GFP_KERNEL|", "gfp_kernel", "GFP_",
					   "0x1ffffffff" };
	struct trace_text_event e;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		CHECK_EQ(start_with("0", cases[i].text, &e), TRACE_LINE_START);
		CHECK_EQ(e.gfp_mask, cases[i].mask);
		CHECK_EQ(!!(e.flags & TRACE_TEXT_GFP_UNKNOWN),
			 cases[i].unknown);
	}
	for (i = 0; i < COUNT(bad); i++) {
		CHECK_EQ(start_with("0", bad[i], &e), TRACE_LINE_MALFORMED);
		CHECK_EQ(e.error, TRACE_TEXT_NO_GFP);
	}
}

static const char text[] = "# tracer: nop\n" FTRACE START "\n" FTRACE
			   "sched_switch: x\n" FTRACE END
			   "\nCPU:0 [LOST 3 EVENTS]\nnoise\n" FTRACE
			   "mm_shrink_slab_end: cut\n\n" FTRACE END;

/* A text is the sum of its lines, however little room there is for events. */
static void reads_a_text_in_pieces(void)
{
	static const uint64_t expected[] = { 2, 4, 5, 7, 9 };
	struct trace_text_event events[8];
	size_t room, length = strlen(text), n, i;

	for (room = 1; room <= COUNT(events); room++) {
		struct trace_text_counts counts = { 0 };
		size_t done = 0, seen = 0;

		while (done < length) {
			size_t step = trace_text_parse(text + done,
						       length - done, 1,
						       counts.lines + 1, events,
						       room, &n, &counts);

			CHECK(step > 0);
			CHECK(n <= room);
			CHECK(seen + n <= COUNT(expected));
			for (i = 0; i < n; i++)
				CHECK_EQ(events[i].line, expected[seen++]);
			done += step;
		}
		CHECK_EQ(seen, COUNT(expected));
		CHECK_EQ(counts.lines, 9);
		CHECK_EQ(counts.starts, 1);
		CHECK_EQ(counts.ends, 2);
		CHECK_EQ(counts.others, 1);
		CHECK_EQ(counts.malformed, 1);
		CHECK_EQ(counts.unknown, 1);
		CHECK_EQ(counts.lost, 3);
	}
}

/* Unless it is final, the last line is left for later: it may not be complete. */
static void leaves_an_unfinished_line(void)
{
	struct trace_text_counts counts = { 0 };
	struct trace_text_event events[8];
	size_t n;

	CHECK_EQ(trace_text_parse(text, strlen(text), 0, 1, events,
				  COUNT(events), &n, &counts),
		 strlen(text) - strlen(FTRACE END));
	CHECK_EQ(n, 4);
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

/* No damage makes it read beyond the line (the sanitizers watch). */
static void survives_damage(void)
{
	static const char *const lines[] = {
		FTRACE START, FTRACE END, START_PAYLOAD, "CPU:1 [LOST 42 EVENTS]",
		"  sh-126   1..... 721515us!: mm_shrink_slab_end: " FIELDS_END,
		"[   66.5][  T126] mm_shrink_slab_start: [FAILED TO PARSE] "
		FIELDS_START,
		" 1)  |  /* " END " */", "> my sh  407/407 [000] 1.5: 1 " END,
		"   sh 126 1 0 00000000 00000003 [01c7a8be] 496.080ms (+0.6ms): " END,
	};
	unsigned long readable = 0;
	struct trace_text_event e;
	char damaged[512];
	int round, i;

	for (round = 0; round < 40000; round++) {
		const char *line = lines[(size_t)round % COUNT(lines)];
		size_t length = strlen(line);

		memcpy(damaged, line, length);
		for (i = 0; i <= round % 3; i++) {
			uint64_t bits = random_bits();

			damaged[bits % length] = (char)(bits >> 40);
		}
		if (round % 5 == 0)
			length = random_bits() % (length + 1);
		readable += parse_bytes(damaged, length, &e) <= TRACE_LINE_END;
	}
	/* Damage to a name or a digit leaves a line that can be read. */
	CHECK(readable > 100 && readable < 38000);
}

int main(void)
{
	RUN(reads_every_field);
	RUN(reads_every_header);
	RUN(reads_loose_headers);
	RUN(reads_names_and_values);
	RUN(reads_payloads_of_other_kernels);
	RUN(reads_wrapped_events);
	RUN(is_not_misled);
	RUN(reads_every_function);
	RUN(reads_bare_payloads);
	RUN(knows_other_lines);
	RUN(finds_cut_lines);
	RUN(names_what_is_missing);
	RUN(keeps_to_the_range_of_numbers);
	RUN(reads_flags);
	RUN(reads_a_text_in_pieces);
	RUN(leaves_an_unfinished_line);
	RUN(refuses_endless_lines);
	RUN(survives_damage);
	return checks_report("test_line");
}
