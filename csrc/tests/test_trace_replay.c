/* SPDX-License-Identifier: MIT */
/* Replay: pairs, the arithmetic, deferred counters as slots, and limits. */
#include "check.h"
#include "scan.h"
#include "trace_fit.h"
#include "trace_replay.h"

/* Names of the made-up shrinkers: "a", "b", ... by offset. */
static const char names[] = "abcdefgh";

static uint64_t next_line = 1;
static uint64_t now = 1000000000;

static struct trace_text_event start_event(int32_t pid, uint32_t name,
					   int32_t nid, int64_t nr,
					   int64_t freeable, int priority)
{
	uint64_t delta = scan_delta(freeable, priority, DEFAULT_SEEKS);

	return (struct trace_text_event){
		.kind = TRACE_LINE_START,
		.line = next_line++,
		.time = now += 1000000,
		.function_offset = name,
		.function_length = 1,
		.pointer = 1,
		.pid = pid,
		.nid = nid,
		.nr = nr,
		.freeable = freeable,
		.delta = (int64_t)delta,
		.total_scan = scan_total(nr, delta, freeable, priority),
		.priority = priority,
	};
}

/* The end of a pass that scanned @scanned and found @before in its counter. */
static struct trace_text_event end_event(const struct trace_text_event *start,
					 int64_t scanned, int64_t before)
{
	return (struct trace_text_event){
		.kind = TRACE_LINE_END,
		.line = next_line++,
		.time = now += 1000000,
		.function_offset = start->function_offset,
		.function_length = 1,
		.pointer = 1,
		.pid = start->pid,
		.nid = start->nid,
		.nr = start->nr,
		.new_nr = before + scan_deferred(start->nr,
						 (uint64_t)start->delta,
						 scanned, start->freeable),
		.total_scan = start->total_scan - scanned,
		.retval = (int32_t)scanned,
	};
}

static struct trace_replay *replay;
static struct trace_replay_totals totals;
static struct trace_replay_shrinker found[8];

static void begin(void)
{
	replay = trace_replay_new();
	CHECK(replay);
	next_line = 1;
}

static void feed(struct trace_text_event event)
{
	CHECK_EQ(trace_replay_feed(replay, names, &event, 1), 0);
}

/* How many problems of a reason were kept. */
static unsigned int problems_of(int reason)
{
	struct trace_replay_problem problems[64];
	size_t n = trace_replay_problems(replay, problems, 64);
	unsigned int count = 0;

	CHECK(n <= 64);
	for (size_t i = 0; i < n; i++)
		count += problems[i].reason == reason;
	return count;
}

static size_t look(void)
{
	trace_replay_finish(replay);
	trace_replay_totals(replay, &totals);
	return trace_replay_shrinkers(replay, found, 8);
}

static void done(void)
{
	trace_replay_free(replay);
	replay = NULL;
}

/* A pass of 1000 objects that scans nothing, start and end in a row. */
static int64_t whole_pass(int32_t pid, int32_t nid, int64_t nr, int priority)
{
	struct trace_text_event start =
		start_event(pid, 0, nid, nr, 1000, priority);
	struct trace_text_event end = end_event(&start, 0, 0);

	feed(start);
	feed(end);
	return end.new_nr;
}

/* Passes that hand their counter on are exact, and nothing is adopted. */
static void replays_a_plain_recording(void)
{
	int64_t nr = 0;

	begin();
	for (int i = 0; i < 10; i++)
		nr = whole_pass(1, 0, nr, 12 - i);
	CHECK(nr > 0);
	CHECK_EQ(look(), 1);
	CHECK_EQ(totals.passes, 10);
	CHECK_EQ(found[0].tallies[0].exact, 10);
	CHECK_EQ(found[0].tallies[0].overlaps, 0);
	CHECK_EQ(found[0].tallies[0].adopted, 0);
	CHECK_EQ(found[0].seeks_lo, 2);
	CHECK_EQ(found[0].seeks_hi, 2);
	CHECK_EQ(found[0].batch_hi, 0);
	done();
}

/* Work from before the recording is adopted once, then known. */
static void adopts_what_was_there(void)
{
	int64_t nr;

	begin();
	nr = whole_pass(1, 0, 77, 3);
	whole_pass(1, 0, nr, 3);
	look();
	CHECK_EQ(found[0].tallies[0].exact, 2);
	CHECK_EQ(found[0].tallies[0].adopted, 1);
	done();
}

/* Two walkers of one counter: the second end finds the first one's work. */
static void explains_overlaps(void)
{
	for (int order = 0; order < 2; order++) {
		struct trace_text_event a, b, end;

		begin();
		a = start_event(1, 0, 0, 0, 1000, 3);
		b = start_event(2, 0, 0, 0, 1000, 3);
		feed(a);
		feed(b);
		end = end_event(order ? &b : &a, 0, 0);
		feed(end);
		feed(end_event(order ? &a : &b, 0, end.new_nr));
		look();
		CHECK_EQ(found[0].tallies[0].exact, 2);
		CHECK_EQ(found[0].tallies[0].overlaps, 1);
		done();
	}
}

/* Two walkers of two counters: neither sees the other's work. */
static void tells_counters_apart(void)
{
	struct trace_text_event a, b;

	begin();
	a = start_event(1, 0, 0, 0, 1000, 3);
	b = start_event(2, 0, 0, 0, 600, 3);
	feed(a);
	feed(b);
	feed(end_event(&a, 0, 0));
	feed(end_event(&b, 0, 0));
	look();
	CHECK_EQ(found[0].tallies[0].exact, 2);
	CHECK_EQ(found[0].tallies[0].overlaps, 0);
	done();
}

/* Five walkers at once on one counter, all from 0: one story explains it. */
static void follows_many_walkers(void)
{
	struct trace_text_event starts[5];
	int64_t value = 0;

	begin();
	for (int i = 0; i < 5; i++) {
		starts[i] = start_event(i, 0, 0, 0, 1000 + 8 * i, 3);
		feed(starts[i]);
	}
	for (int i = 4; i >= 0; i--) {
		struct trace_text_event end = end_event(&starts[i], 0, value);

		value = end.new_nr;
		feed(end);
	}
	look();
	CHECK_EQ(found[0].tallies[0].exact, 5);
	CHECK_EQ(found[0].tallies[0].overlaps, 4);
	done();
}

/* An impossible counter is inexact, and unexplained when nothing explains it. */
static void finds_a_wrong_counter(void)
{
	struct trace_text_event start, end;

	begin();
	start = start_event(1, 0, 0, 0, 1000, 3);
	end = end_event(&start, 0, 0);
	end.new_nr++;
	feed(start);
	feed(end);
	look();
	CHECK_EQ(found[0].tallies[0].exact, 0);
	CHECK_EQ(found[0].tallies[0].reasons[TRACE_REPLAY_NEW_UNEXPLAINED], 1);
	CHECK_EQ(problems_of(TRACE_REPLAY_NEW_UNEXPLAINED), 1);
	done();
}

/* Each part of a pass that does not follow is named. */
static void names_what_does_not_follow(void)
{
	static const int reasons[] = {
		TRACE_REPLAY_FREEABLE,	 TRACE_REPLAY_PRIORITY,
		TRACE_REPLAY_DELTA,	 TRACE_REPLAY_SEEKS,
		TRACE_REPLAY_TOTAL_SCAN, TRACE_REPLAY_UNUSED,
		TRACE_REPLAY_NID,	 TRACE_REPLAY_BATCH,
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
		struct trace_text_event start, end;
		int64_t nr;

		begin();
		nr = whole_pass(1, 0, 0, 3);
		start = start_event(1, 0, 0, nr, 1000, 3);
		end = end_event(&start, 0, 0);
		switch (reasons[i]) {
		case TRACE_REPLAY_FREEABLE:
			start.freeable = 0;
			break;
		case TRACE_REPLAY_PRIORITY:
			start.priority = 64;
			break;
		case TRACE_REPLAY_DELTA:
			start.delta++;
			break;
		case TRACE_REPLAY_SEEKS:
			start.delta /= 2;
			break;
		case TRACE_REPLAY_TOTAL_SCAN:
			start.total_scan++;
			break;
		case TRACE_REPLAY_UNUSED:
			end.nr++;
			break;
		case TRACE_REPLAY_NID:
			end.nid++;
			break;
		default:
			end.total_scan = start.total_scan + 1;
			break;
		}
		feed(start);
		feed(end);
		look();
		CHECK_EQ(found[0].passes, 2);
		CHECK_EQ(found[0].tallies[0].exact, 1);
		CHECK_EQ(found[0].tallies[0].reasons[reasons[i]], 1);
		CHECK_EQ(found[0].arithmetic,
			 reasons[i] <= TRACE_REPLAY_TOTAL_SCAN ? 1 : 2);
		done();
	}
}

/* A delta that no seeks gives is named as such, also in the first event. */
static void names_an_impossible_delta(void)
{
	struct trace_replay_problem problem;
	struct trace_text_event start = start_event(1, 0, 0, 0, 1000, 3);

	begin();
	start.delta++;
	feed(start);
	feed(end_event(&start, 0, 0));
	look();
	CHECK_EQ(trace_replay_problems(replay, &problem, 1), 1);
	CHECK_EQ(problem.reason, TRACE_REPLAY_DELTA);
	CHECK_EQ(problem.recorded, start.delta);
	CHECK_EQ(problem.computed, 1000);
	CHECK_EQ(problem.priority, 3);
	done();
}

/* A shrinker with one counter for two nodes is recognised. */
static void recognises_one_set(void)
{
	int64_t nr = 0;

	begin();
	for (int i = 0; i < 6; i++)
		nr = whole_pass(1, i % 2, nr, 3);
	look();
	CHECK_EQ(found[0].nodes, 2);
	CHECK_EQ(found[0].reading, TRACE_REPLAY_ONE_SET);
	CHECK_EQ(found[0].tallies[TRACE_REPLAY_ONE_SET].exact, 6);
	CHECK_EQ(found[0].tallies[TRACE_REPLAY_ONE_SET].cost, 0);
	CHECK_EQ(found[0].tallies[TRACE_REPLAY_BY_NODE].cost, 5);
	done();
}

/* Counters by node stay by node. */
static void recognises_counters_by_node(void)
{
	int64_t nr[2] = { 0, 0 };

	begin();
	for (int i = 0; i < 6; i++)
		nr[i % 2] = whole_pass(1, i % 2, nr[i % 2], 3 + i % 2);
	look();
	CHECK_EQ(found[0].reading, TRACE_REPLAY_BY_NODE);
	CHECK_EQ(found[0].tallies[TRACE_REPLAY_BY_NODE].exact, 6);
	CHECK_EQ(found[0].tallies[TRACE_REPLAY_BY_NODE].cost, 0);
	done();
}

/* Ends printed in the wrong order, shortly after each other, are recognised. */
static void recognises_print_order(void)
{
	for (int late = 0; late < 2; late++) {
		struct trace_text_event a, b, end_a, end_b;
		const uint64_t *reasons = found[0].tallies[0].reasons;

		begin();
		a = start_event(1, 0, 0, 0, 1000, 3);
		b = start_event(2, 0, 0, 0, 1000, 3);
		feed(a);
		feed(b);
		end_a = end_event(&a, 0, 0);
		end_b = end_event(&b, 0, end_a.new_nr);
		end_a.time = now;
		end_b.time = now - TRACE_REPLAY_WINDOW - (uint64_t)late;
		feed(end_b);
		feed(end_a);
		look();
		CHECK_EQ(reasons[TRACE_REPLAY_NEW_ORDER], !late);
		CHECK_EQ(reasons[TRACE_REPLAY_NEW_UNEXPLAINED], late);
		CHECK_EQ(problems_of(TRACE_REPLAY_NEW_ORDER), !late);
		/* The other one may have had a counter of its own. */
		CHECK_EQ(found[0].tallies[0].exact, 1);
		done();
	}
}

/* A start whose line came late, after other passes had found 0, is recognised. */
static void recognises_a_late_start(void)
{
	struct trace_text_event start, between;
	int64_t nr, meanwhile;

	begin();
	nr = whole_pass(1, 0, 5000, 3);
	start = start_event(1, 0, 0, nr, 1000, 3);
	/* The counter is at 0 already, but the line is not printed yet. */
	between = start_event(2, 0, 0, 0, 1000, 3);
	feed(between);
	feed(end_event(&between, 0, 0));
	meanwhile = end_event(&between, 0, 0).new_nr;
	start.time = now += 1000000;
	feed(start);
	feed(end_event(&start, 0, meanwhile));
	look();
	CHECK_EQ(found[0].tallies[0].exact, 2);
	CHECK_EQ(found[0].tallies[0].reasons[TRACE_REPLAY_NEW_LATE], 1);
	done();
}

/* Another cgroup's counter that was added meanwhile is recognised. */
static void recognises_merged_slots(void)
{
	struct trace_text_event a, b, c;
	int64_t x, y;

	begin();
	x = whole_pass(1, 0, 5000, 3);
	y = whole_pass(1, 0, 70, 5);
	c = start_event(1, 0, 0, 999, 1000, 3);
	feed(c);
	feed(end_event(&c, 0, x + y));
	/* A single one that nothing else explains. */
	a = start_event(1, 0, 0, 11111, 100000, 3);
	b = end_event(&a, 0, x);
	feed(a);
	feed(b);
	look();
	CHECK_EQ(found[0].tallies[0].reasons[TRACE_REPLAY_NEW_MERGED], 1);
	CHECK_EQ(found[0].tallies[0].reasons[TRACE_REPLAY_NEW_OTHER], 1);
	done();
}

/* After lost events a counter that does not fit is put down to them. */
static void blames_lost_events(void)
{
	struct trace_text_event start, end;

	begin();
	start = start_event(1, 0, 0, 0, 1000, 3);
	end = end_event(&start, 0, 123);
	feed(start);
	feed((struct trace_text_event){ .kind = TRACE_LINE_LOST, .lost = 9 });
	feed(end);
	look();
	CHECK_EQ(found[0].tallies[0].reasons[TRACE_REPLAY_NEW_LOST], 1);
	done();
}

/* Events that lack their other half are counted and harm no pass. */
static void counts_orphans(void)
{
	struct trace_text_event a, b;

	begin();
	a = start_event(1, 0, 0, 0, 1000, 3);
	b = start_event(2, 0, 0, 0, 1000, 3);
	feed(end_event(&a, 0, 0));
	feed(a);
	feed(a);
	feed(end_event(&a, 0, 0));
	feed(b);
	look();
	CHECK_EQ(totals.passes, 1);
	CHECK_EQ(totals.orphan_ends, 1);
	CHECK_EQ(totals.orphan_starts, 2);
	CHECK_EQ(found[0].tallies[0].exact, 1);
	CHECK_EQ(problems_of(TRACE_REPLAY_ORPHAN_START), 2);
	CHECK_EQ(problems_of(TRACE_REPLAY_ORPHAN_END), 1);
	done();
}

/* A pointer that is another shrinker's from now on does not spoil the rest. */
static void follows_a_change_of_seeks(void)
{
	begin();
	whole_pass(1, 0, 0, 3);
	for (int i = 0; i < 20; i++) {
		struct trace_text_event start =
			start_event(1, 0, 0, 0, 1000 + i, 3);

		start.delta = (int64_t)scan_delta(1000 + i, 3, 0);
		start.total_scan = scan_total(0, (uint64_t)start.delta,
					      1000 + i, 3);
		feed(start);
		/* All of it is scanned, so that the counter stays at 0. */
		feed(end_event(&start, start.total_scan, 0));
	}
	look();
	CHECK_EQ(found[0].seeks_changes, 1);
	CHECK_EQ(found[0].tallies[0].reasons[TRACE_REPLAY_SEEKS], 8);
	CHECK(found[0].seeks_zero);
	done();
}

/* The divisors that give a delta are exactly the interval that is said. */
static void fits_seeks(void)
{
	for (int64_t freeable = 1; freeable < 60; freeable++)
		for (int priority = 0; priority < 4; priority++)
			for (int seeks = 0; seeks < 40; seeks++) {
				uint64_t delta =
					scan_delta(freeable, priority, seeks);
				struct seeks_fit fit = seeks_fit_of(
					freeable, priority, delta);

				for (int s = 1; s < 60; s++)
					CHECK_EQ(scan_delta(freeable, priority,
							    s) == delta,
						 fit.lo <= (uint32_t)s &&
							 (uint32_t)s <= fit.hi);
				CHECK_EQ(fit.zero,
					 scan_delta(freeable, priority, 0) ==
						 delta);
			}
}

/* What a real loop with any batch does never rules that batch out. */
static void fits_batches(void)
{
	for (int64_t batch = 1; batch < 40; batch++) {
		struct batch_fit fit = { 0 };

		for (int64_t total = 0; total < 120; total++)
			for (int64_t freeable = 1; freeable < 90;
			     freeable += 7)
				for (int stop = 0; stop < 4; stop++) {
					int64_t left = total;
					int calls = 0;

					while (scan_wanted(left, batch,
							   freeable) &&
					       (!stop || calls++ < stop))
						left -= min_signed(batch, left);
					CHECK(batch_fit_add(&fit, total, left,
							    freeable));
				}
		CHECK_EQ(batch_fit_hi(fit), batch);
	}
	/* Two and three batches have only divisors of one in common. */
	{
		struct batch_fit fit = { 0 };

		CHECK(batch_fit_add(&fit, 300, 44, 100));
		CHECK_EQ(batch_fit_hi(fit), 256);
		CHECK(batch_fit_add(&fit, 384 + 40, 40, 100));
		CHECK_EQ(batch_fit_hi(fit), 128);
		CHECK_EQ(fit.least, 45);
	}
}

/* Whatever is under way goes with the replay; so does nothing. */
static void lets_go_of_unfinished_passes(void)
{
	begin();
	for (int pid = 0; pid < 10; pid++)
		feed(start_event(pid, 0, 0, 0, 1000, 3));
	done();
	trace_replay_free(NULL);
}

/* So many problems are kept of one shrinker; all of them are counted. */
static void keeps_some_problems_of_each(void)
{
	struct trace_text_event start;

	begin();
	start = start_event(1, 0, 0, 0, 1000, 3);
	for (int i = 0; i < TRACE_REPLAY_PROBLEMS_EACH + 10; i++)
		feed(end_event(&start, 0, 0));
	start = start_event(1, 1, 0, 0, 1000, 3);
	feed(end_event(&start, 0, 0));
	look();
	CHECK_EQ(totals.orphan_ends, TRACE_REPLAY_PROBLEMS_EACH + 11);
	/* All of those are the first one's, and one is the other's. */
	CHECK_EQ(trace_replay_problems(replay, NULL, 0),
		 TRACE_REPLAY_PROBLEMS_EACH + 1);
	done();
}

/* So many nodes have counters; events on others are counted, and go unchecked. */
static void follows_so_many_nodes(void)
{
	begin();
	for (int nid = 0; nid < TRACE_REPLAY_NODES + 5; nid++)
		whole_pass(1, nid, 0, 12);
	look();
	CHECK_EQ(totals.passes, TRACE_REPLAY_NODES);
	CHECK_EQ(totals.untracked, 10);
	CHECK_EQ(totals.orphan_ends, 0);
	done();
}

/* Bounded state: shrinkers without end, walkers without end, slots without end. */
static void keeps_to_its_limits(void)
{
	struct trace_text_event start, end;

	begin();
	for (int i = 0; i < TRACE_REPLAY_PASSES + 10; i++) {
		start = start_event(i, 0, 0, 0, 10, 12);
		feed(start);
	}
	/* The last one is not followed at all, an earlier one has no slot. */
	feed(end_event(&start, 0, 0));
	start.pid = TRACE_REPLAY_PASSES - 1;
	feed(end_event(&start, 0, 0));
	look();
	CHECK_EQ(totals.orphan_ends, 1);
	CHECK_EQ(totals.orphan_starts, TRACE_REPLAY_PASSES + 9);
	CHECK_EQ(found[0].tallies[0].reasons[TRACE_REPLAY_UNTRACKED], 1);
	done();

	begin();
	for (int i = 0; i < 5000; i++) {
		/* No counter is ever seen again. */
		start = start_event(1, 0, 0, 1000000 + i * 1000, 1000008, 3);
		end = end_event(&start, 0, 0);
		feed(start);
		feed(end);
	}
	/* The last counter is still known, the first one is forgotten. */
	start = start_event(1, 0, 0, 2000016, 1000008, 3);
	feed(start);
	feed(end_event(&start, 0, 0));
	start = start_event(1, 0, 0, 1250002, 1000008, 3);
	feed(start);
	feed(end_event(&start, 0, 0));
	look();
	CHECK_EQ(found[0].tallies[0].adopted, 5001);
	CHECK_EQ(found[0].tallies[0].exact, 5002);
	done();

	begin();
	for (int i = 0; i < TRACE_REPLAY_SHRINKERS + 10; i++) {
		start = start_event(1, 0, 0, 0, 10, 12);
		start.pointer = (uint64_t)i;
		end = end_event(&start, 0, 0);
		end.pointer = (uint64_t)i;
		feed(start);
		feed(end);
	}
	CHECK_EQ(look(), TRACE_REPLAY_SHRINKERS);
	CHECK_EQ(totals.untracked, 20);
	done();
}

int main(void)
{
	RUN(replays_a_plain_recording);
	RUN(adopts_what_was_there);
	RUN(explains_overlaps);
	RUN(tells_counters_apart);
	RUN(follows_many_walkers);
	RUN(finds_a_wrong_counter);
	RUN(names_what_does_not_follow);
	RUN(names_an_impossible_delta);
	RUN(recognises_one_set);
	RUN(recognises_counters_by_node);
	RUN(recognises_print_order);
	RUN(recognises_a_late_start);
	RUN(recognises_merged_slots);
	RUN(blames_lost_events);
	RUN(counts_orphans);
	RUN(follows_a_change_of_seeks);
	RUN(fits_seeks);
	RUN(fits_batches);
	RUN(lets_go_of_unfinished_passes);
	RUN(keeps_some_problems_of_each);
	RUN(follows_so_many_nodes);
	RUN(keeps_to_its_limits);
	return checks_report("test_trace_replay");
}
