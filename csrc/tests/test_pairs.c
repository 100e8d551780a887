/* SPDX-License-Identifier: MIT */
/* Pairing starts and ends: which end is whose, names, and growing tables. */
#include "check.h"
#include "recording.h"
#include "replay/pairs.h"

#define ROOM 64

static struct trace_pairs pairs;
static struct trace_pairs_entry entries[4 * ROOM];
static struct trace_pass passes[ROOM];
static struct trace_pairs_name new_names[ROOM];
static size_t nr_passes, nr_names;

static void begin_again(size_t size)
{
	memset(&pairs, 0, sizeof(pairs));
	memset(entries, 0, sizeof(entries));
	pairs.entries = entries;
	pairs.size = size;
}

static void feed(const char *text, const struct trace_text_event *events,
		 size_t nr)
{
	trace_pairs_feed(&pairs, text, events, nr, passes, &nr_passes,
			 new_names, &nr_names);
}

static struct trace_text_event event(int kind, int32_t pid, int32_t cpu,
				     uint64_t pointer)
{
	return (struct trace_text_event){
		.kind = (uint16_t)kind,
		.line = next_line++,
		.flags = TRACE_TEXT_TIME,
		.pid = pid,
		.cpu = cpu,
		.pointer = pointer,
		.function_length = 1,
	};
}

static void takes_every_field(void)
{
	struct trace_text_event both[2] = {
		event(TRACE_LINE_START, 7, 1, 5),
		event(TRACE_LINE_END, 7, 2, 5),
	};

	begin_again(ROOM);
	both[0].time = 100;
	both[0].freeable = 90;
	both[0].nr = 4;
	both[0].delta = -3;
	both[0].total_scan = INT64_MIN;
	both[0].gfp_mask = 0xcc0;
	both[0].nid = 1;
	both[0].priority = 12;
	both[0].memcg_id = 99;
	both[1].time = 150;
	both[1].total_scan = 1;
	both[1].new_nr = 8;
	both[1].retval = -1;
	feed(names, both, 2);
	CHECK_EQ(nr_passes, 1);
	CHECK_EQ(passes[0].start_line + 1, passes[0].end_line);
	CHECK_EQ(passes[0].start_ns, 100);
	CHECK_EQ(passes[0].end_ns, 150);
	CHECK_EQ(passes[0].count, 90);
	CHECK_EQ(passes[0].before, 4);
	CHECK_EQ(passes[0].delta, -3);
	CHECK_EQ(passes[0].asked, INT64_MIN);
	CHECK_EQ(passes[0].scanned, INT64_MAX);
	CHECK_EQ(passes[0].freed, 0);
	CHECK_EQ(passes[0].deferred, 8);
	CHECK_EQ(passes[0].memcg, 0);
	CHECK_EQ(passes[0].gfp_mask, 0xcc0);
	CHECK_EQ(passes[0].pid, 7);
	CHECK_EQ(passes[0].cpu, 1);
	CHECK_EQ(passes[0].node, 1);
	CHECK_EQ(passes[0].priority, 12);
	CHECK_EQ(passes[0].flags, TRACE_TEXT_TIME);

	both[0].flags |= TRACE_TEXT_MEMCG;
	both[1].flags = 0;
	both[1].retval = 6;
	feed(names, both, 2);
	CHECK_EQ(passes[0].memcg, 99);
	CHECK_EQ(passes[0].freed, 6);
	CHECK_EQ(passes[0].flags, TRACE_TEXT_MEMCG);
}

static void finds_the_end_of_each(void)
{
	const struct trace_text_event events[] = {
		event(TRACE_LINE_END, 7, 0, 1),
		event(TRACE_LINE_START, 7, 0, 1),
		event(TRACE_LINE_START, 7, 0, 2),
		event(TRACE_LINE_START, 8, 0, 1),
		event(TRACE_LINE_OTHER, 8, 0, 1),
		/* A task that is not named, on two processors, and on none. */
		event(TRACE_LINE_START, -1, 0, 1),
		event(TRACE_LINE_START, -1, 1, 1),
		event(TRACE_LINE_START, -1, -1, 1),
		event(TRACE_LINE_START, 7, 0, 1),
		event(TRACE_LINE_END, -1, 1, 1),
		event(TRACE_LINE_END, 8, 0, 1),
		event(TRACE_LINE_END, 7, 0, 1),
		event(TRACE_LINE_END, 7, 0, 1),
		event(TRACE_LINE_END, -1, -1, 1),
	};
	/* The later one of two starts. */
	const size_t starts[] = { 6, 3, 8, 7 };
	size_t i;

	begin_again(ROOM);
	feed(names, events, sizeof(events) / sizeof(*events));
	CHECK_EQ(nr_passes, 4);
	for (i = 0; i < 4; i++)
		CHECK_EQ(passes[i].start_line, events[starts[i]].line);
	CHECK_EQ(pairs.nr_used, 6);
	CHECK_EQ(pairs.nr_open, 2);
}

static void gives_out_new_names(void)
{
	static const char text[] = "super_cache_scan super_cache_scan_2 sh";
	struct trace_text_event events[4] = {
		event(TRACE_LINE_START, 7, 0, 1),
		event(TRACE_LINE_START, 7, 0, 1),
		event(TRACE_LINE_START, 7, 0, 2),
		event(TRACE_LINE_START, 7, 0, 1),
	};
	size_t i;

	begin_again(ROOM);
	for (i = 0; i < 4; i++)
		events[i].function_length = 16;
	events[3].function_offset = 17;
	events[3].function_length = 18;
	feed(text, events, 4);
	CHECK_EQ(nr_names, 3);
	CHECK_EQ(new_names[0].event, 0);
	CHECK_EQ(new_names[1].event, 2);
	CHECK_EQ(new_names[2].event, 3);
	CHECK(new_names[0].function != new_names[1].function);
	CHECK(new_names[0].function != new_names[2].function);
	CHECK_EQ(new_names[0].comm, new_names[2].comm);
	feed(text, events, 4);
	CHECK_EQ(nr_names, 0);
	events[0].comm_offset = 36;
	events[0].comm_length = 2;
	feed(text, events, 1);
	CHECK_EQ(nr_names, 1);
}

static void gives_out_a_task_without_a_name(void)
{
	struct trace_text_event events[2] = {
		event(TRACE_LINE_START, 7, 0, 1),
		event(TRACE_LINE_START, -1, 0, 1),
	};

	events[0].comm_length = 2;
	begin_again(ROOM);
	feed(names, events, 2);
	CHECK_EQ(nr_names, 2);
	CHECK_EQ(new_names[1].event, 1);
	CHECK(new_names[0].comm != new_names[1].comm);
}

static void moves_open_passes(void)
{
	struct trace_text_event events[ROOM];
	size_t i;

	/* As many as there is room: some must stand beside their place. */
	begin_again(ROOM);
	for (i = 0; i < ROOM; i++)
		events[i] = event(TRACE_LINE_START, (int32_t)i, 0, 1);
	feed(names, events, ROOM);
	CHECK_EQ(pairs.nr_used, ROOM);
	CHECK_EQ(pairs.nr_open, ROOM);
	for (i = 0; i < ROOM; i++)
		events[i].kind = TRACE_LINE_END;
	feed(names, events, ROOM / 2);
	CHECK_EQ(nr_passes, ROOM / 2);
	trace_pairs_move(&pairs, entries + ROOM, 2 * ROOM);
	CHECK_EQ(pairs.nr_used, ROOM / 2);
	CHECK_EQ(pairs.nr_open, ROOM / 2);
	feed(names, events, ROOM);
	CHECK_EQ(nr_passes, ROOM / 2);
	for (i = 0; i < ROOM / 2; i++)
		CHECK_EQ(passes[i].pid, (int32_t)(ROOM / 2 + i));
}

int main(void)
{
	RUN(takes_every_field);
	RUN(finds_the_end_of_each);
	RUN(gives_out_new_names);
	RUN(gives_out_a_task_without_a_name);
	RUN(moves_open_passes);
	return checks_report("test_pairs");
}
