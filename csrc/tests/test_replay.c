/* SPDX-License-Identifier: MIT */
/* Replay: pairs, the arithmetic, deferred counters as slots, and limits. */
#include "check.h"
#include "recording.h"
#include "replay/fit.h"
#include "replay/state.h"

/* The recording of the test that runs, and what look() found in it. */
static struct trace_replay *replay;
static struct trace_replay_totals totals;
static struct trace_replay_shrinker found[8];
/* Of the first shrinker, by node. */
static const struct trace_replay_tally *const tally = &found[0].tallies[0];

static void begin(void)
{
	trace_replay_free(replay);
	replay = trace_replay_new(PASS_ERA_C);
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
	size_t i;

	CHECK(n <= 64);
	for (i = 0; i < n; i++)
		count += problems[i].reason == reason;
	return count;
}

static size_t look(void)
{
	trace_replay_finish(replay);
	trace_replay_totals(replay, &totals);
	return trace_replay_shrinkers(replay, found, 8);
}

/* Start and end in a row.  Return: the counter afterwards. */
static int64_t feed_pass(struct trace_text_event start, int64_t scanned,
			 int64_t before)
{
	struct trace_text_event end = end_event(&start, scanned, before);

	feed(start);
	feed(end);
	return end.new_nr;
}

/* A pass over 1,000 objects that scans nothing, alone at its counter. */
static int64_t whole_pass(int32_t pid, int32_t nid, int64_t nr, int priority)
{
	return feed_pass(start_event(pid, 0, nid, nr, 1000, priority), 0, 0);
}

/* Two tasks are in a pass at once, both from a counter at 0. */
static void start_two(struct trace_text_event *a, struct trace_text_event *b)
{
	begin();
	*a = start_event(1, 0, 0, 0, 1000, 3);
	*b = start_event(2, 0, 0, 0, 600, 3);
	feed(*a);
	feed(*b);
}

/* Passes that hand their counter on are exact, and nothing is adopted. */
static void replays_a_plain_recording(void)
{
	int64_t nr = 0;
	int i;

	begin();
	for (i = 0; i < 10; i++)
		nr = whole_pass(1, 0, nr, 12 - i);
	CHECK(nr > 0);
	CHECK_EQ(look(), 1);
	CHECK_EQ(totals.passes, 10);
	CHECK_EQ(tally->exact, 10);
	CHECK_EQ(tally->overlaps, 0);
	CHECK_EQ(tally->adopted, 0);
	CHECK_EQ(found[0].seeks_lo, 2);
	CHECK_EQ(found[0].seeks_hi, 2);
	CHECK_EQ(found[0].batch_hi, 0);
}

/* Work from before the recording is adopted once, then known. */
static void adopts_what_was_there(void)
{
	int64_t nr;

	begin();
	nr = whole_pass(1, 0, 77, 3);
	whole_pass(1, 0, nr, 3);
	look();
	CHECK_EQ(tally->exact, 2);
	CHECK_EQ(tally->adopted, 1);
}

/* Two walkers of one counter: the second end finds the first one's work. */
static void explains_overlaps(void)
{
	int order;

	for (order = 0; order < 2; order++) {
		struct trace_text_event a, b, end;

		start_two(&a, &b);
		end = end_event(order ? &b : &a, 0, 0);
		feed(end);
		feed(end_event(order ? &a : &b, 0, end.new_nr));
		look();
		CHECK_EQ(tally->exact, 2);
		CHECK_EQ(tally->overlaps, 1);
	}
}

/* Two walkers of two counters: neither sees the other's work. */
static void tells_counters_apart(void)
{
	struct trace_text_event a, b;

	start_two(&a, &b);
	feed(end_event(&a, 0, 0));
	feed(end_event(&b, 0, 0));
	look();
	CHECK_EQ(tally->exact, 2);
	CHECK_EQ(tally->overlaps, 0);
}

/* Five walkers at once on one counter, all from 0: one world explains it. */
static void follows_many_walkers(void)
{
	struct trace_text_event starts[5];
	int64_t value = 0;
	int i;

	begin();
	for (i = 0; i < 5; i++) {
		starts[i] = start_event(i, 0, 0, 0, 1000 + 8 * i, 3);
		feed(starts[i]);
	}
	for (i = 4; i >= 0; i--) {
		struct trace_text_event end = end_event(&starts[i], 0, value);

		value = end.new_nr;
		feed(end);
	}
	look();
	CHECK_EQ(tally->exact, 5);
	CHECK_EQ(tally->overlaps, 4);
}

/* A walker that is preempted in a pass finds what all the passes since have left, which
 * are more than a set has worlds. */
static void follows_a_long_pass(void)
{
	struct trace_text_event start;
	int64_t value = 0;
	int i;

	begin();
	start = start_event(1, 0, 0, 0, 1000, 3);
	feed(start);
	for (i = 0; i < MAX_WORLDS + 10; i++)
		value = feed_pass(start_event(2, 0, 0, value, 100000, 12), 0, 0);
	feed(end_event(&start, 0, value));
	look();
	CHECK_EQ(tally->exact, MAX_WORLDS + 11);
	CHECK_EQ(tally->overlaps, 1);
	CHECK_EQ(tally->adopted, 0);
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
	CHECK_EQ(tally->exact, 0);
	CHECK_EQ(tally->reasons[TRACE_REPLAY_NEW_UNEXPLAINED], 1);
	CHECK_EQ(problems_of(TRACE_REPLAY_NEW_UNEXPLAINED), 1);
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
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
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
		CHECK_EQ(tally->exact, 1);
		CHECK_EQ(tally->reasons[reasons[i]], 1);
		CHECK_EQ(found[0].arithmetic,
			 reasons[i] <= TRACE_REPLAY_TOTAL_SCAN ? 1 : 2);
	}
}

/* A delta that no seeks gives is named as such, also in the first event. */
static void names_an_impossible_delta(void)
{
	struct trace_replay_problem problem;
	struct trace_text_event start = start_event(1, 0, 0, 0, 1000, 3);

	begin();
	start.delta++;
	feed_pass(start, 0, 0);
	look();
	CHECK_EQ(trace_replay_problems(replay, &problem, 1), 1);
	CHECK_EQ(problem.reason, TRACE_REPLAY_DELTA);
	CHECK_EQ(problem.recorded, start.delta);
	CHECK_EQ(problem.computed, 1000);
	CHECK_EQ(problem.priority, 3);
}

/* A shrinker with one counter for two nodes is recognised. */
static void recognises_one_set(void)
{
	int64_t nr = 0;
	int i;

	begin();
	for (i = 0; i < 6; i++)
		nr = whole_pass(1, i % 2, nr, 3);
	look();
	CHECK_EQ(found[0].nodes, 2);
	CHECK_EQ(found[0].reading, TRACE_REPLAY_ONE_SET);
	CHECK_EQ(found[0].tallies[TRACE_REPLAY_ONE_SET].exact, 6);
	CHECK_EQ(found[0].tallies[TRACE_REPLAY_ONE_SET].cost, 0);
	CHECK_EQ(found[0].tallies[TRACE_REPLAY_BY_NODE].cost, 5);
}

/* Counters by node stay by node. */
static void recognises_counters_by_node(void)
{
	int64_t nr[2] = { 0, 0 };
	int i;

	begin();
	for (i = 0; i < 6; i++)
		nr[i % 2] = whole_pass(1, i % 2, nr[i % 2], 3 + i % 2);
	look();
	CHECK_EQ(found[0].reading, TRACE_REPLAY_BY_NODE);
	CHECK_EQ(found[0].tallies[TRACE_REPLAY_BY_NODE].exact, 6);
	CHECK_EQ(found[0].tallies[TRACE_REPLAY_BY_NODE].cost, 0);
}

/* --- lines in another order than the counter changed ------------------------ */

static const uint64_t *const reasons = found[0].tallies[0].reasons;

/* More than the window in which lines are called out of order, in nanoseconds. */
#define FAR_APART ((uint64_t)2 * TRACE_REPLAY_WINDOW_NS)

static void feed_at(struct trace_text_event event, uint64_t time)
{
	event.time = time;
	feed(event);
}

/* Task 9 finds what a pass has left, and leaves nothing. */
static void find_left_by(uint64_t memcg, int64_t nr)
{
	struct trace_text_event start = start_event(9, 0, 0, nr, 1000000, 3);

	start.memcg_id = memcg;
	feed_pass(start, start.total_scan, 0);
}

static void find_left(int64_t nr)
{
	find_left_by(0, nr);
}

/* A line of a task that has nothing to do with the counter. */
static void be_elsewhere(int32_t pid, uint64_t time)
{
	struct trace_text_event start = start_event(pid, 1, 0, 0, 1000, 3);

	feed_at(start, time);
	feed_at(end_event(&start, start.total_scan, 0), time);
}

/* Ends printed in the wrong order, shortly after each other, are recognised. */
static void recognises_print_order(void)
{
	int late;

	for (late = 0; late < 2; late++) {
		struct trace_text_event a, b, end_a, end_b;

		start_two(&a, &b);
		end_a = end_event(&a, 0, 0);
		end_b = end_event(&b, 0, end_a.new_nr);
		end_a.time = now;
		end_b.time = now - TRACE_REPLAY_WINDOW_NS - (uint64_t)late;
		feed(end_b);
		feed(end_a);
		look();
		CHECK_EQ(reasons[TRACE_REPLAY_NEW_ORDER], !late);
		CHECK_EQ(reasons[TRACE_REPLAY_NEW_UNEXPLAINED], late);
		CHECK_EQ(problems_of(TRACE_REPLAY_NEW_ORDER), !late);
		/* The other one may have had a counter of its own. */
		CHECK_EQ(tally->exact, 1);
	}
}

/* Task 2 finds the work of task 1, whose end is printed a long time later. */
static void feed_late_end(bool confirm_first, int64_t *left)
{
	struct trace_text_event a, b, end_a, end_b;

	start_two(&a, &b);
	end_a = end_event(&a, 0, 0);
	end_b = end_event(&b, 0, end_a.new_nr);
	*left = end_b.new_nr;
	feed_at(end_b, now);
	if (confirm_first)
		find_left(*left);
	feed_at(end_a, now += FAR_APART);
}

/* What an end has left may be found by another one that is printed before it. */
static void finds_a_late_end(void)
{
	int confirm_first;
	int64_t left;

	for (confirm_first = 0; confirm_first < 2; confirm_first++) {
		feed_late_end(confirm_first, &left);
		if (!confirm_first)
			find_left(left);
		look();
		CHECK_EQ(tally->exact, 3);
		CHECK_EQ(tally->reordered, 1);
		CHECK_EQ(tally->overlaps, 1);
		CHECK_EQ(tally->adopted, 0);
		CHECK_EQ(trace_replay_problems(replay, NULL, 0), 0);
	}
}

/* Another order alone is not enough: a later line must find what was left. */
static void wants_a_line_that_confirms(void)
{
	int64_t left;
	int i;

	feed_late_end(false, &left);
	look();
	CHECK_EQ(tally->exact, 1);
	CHECK_EQ(reasons[TRACE_REPLAY_NEW_UNEXPLAINED], 1);
	/* One that adopts another number refutes it. */
	feed_late_end(false, &left);
	find_left(left + 1);
	find_left(left);
	look();
	CHECK_EQ(tally->reordered, 0);
	CHECK_EQ(reasons[TRACE_REPLAY_NEW_UNEXPLAINED], 1);
	/* After 256 lines it is given up. */
	feed_late_end(false, &left);
	for (i = 0; i < MAX_WAITING_LINES / 2 + 1; i++)
		find_left(0);
	find_left(left);
	look();
	CHECK_EQ(tally->reordered, 0);
	CHECK_EQ(reasons[TRACE_REPLAY_NEW_UNEXPLAINED], 1);
	/* Starts of another cgroup say nothing, whatever they find. */
	feed_late_end(false, &left);
	find_left_by(7, left);
	look();
	CHECK_EQ(tally->reordered, 0);
	feed_late_end(false, &left);
	find_left_by(7, left + 1);
	find_left(left);
	look();
	CHECK_EQ(tally->reordered, 1);
}

/* The end of a pass that began later, of another cgroup, of the same task, or that found
 * something else, is not the one that was found. */
static void believes_no_impossible_end(void)
{
	enum { LATER, CGROUP, TASK, FOUND, WAYS };
	int way;

	for (way = LATER; way < WAYS; way++) {
		struct trace_text_event a, b, c, end_a, end_b, end_c;

		begin();
		a = start_event(way == TASK ? 2 : 1, 0, 0, 0, 1000, 3);
		c = start_event(3, 0, 0, 0, 2000, 3);
		b = start_event(2, 0, 0, way == FOUND ? 5000 : 0, 600, 3);
		a.memcg_id = way == CGROUP ? 7 : 0;
		end_c = end_event(&c, 0, 0);
		end_a = end_event(&a, 0, way == FOUND ? end_c.new_nr : 0);
		end_b = end_event(&b, 0, end_a.new_nr);
		if (way == CGROUP || way == FOUND)
			feed(a);
		if (way == FOUND) {
			feed(c);
			feed(end_c);
		}
		feed(b);
		feed_at(end_b, now);
		if (way == LATER || way == TASK)
			feed_at(a, now + (way == LATER));
		feed_at(end_a, now += FAR_APART);
		find_left(end_b.new_nr);
		look();
		CHECK_EQ(tally->reordered, 0);
		CHECK_EQ(tally->exact, way == FOUND ? 3 : 2);
		CHECK_EQ(reasons[TRACE_REPLAY_NEW_UNEXPLAINED], 1);
	}
}

/* A start whose line came late, after other passes had found 0, is recognised, and found
 * where a later start confirms it.  Not where the task had printed another line since,
 * where the other passes are its own, or where the counter was taken since. */
static void finds_a_late_start(void)
{
	enum { NOTHING, CONFIRMED, REFUTED, ELSEWHERE, OWN, USED, WAYS };
	uint64_t usual = between_lines;
	int way;

	for (way = NOTHING; way < WAYS; way++) {
		struct trace_text_event start;
		int64_t nr, meanwhile, left;

		begin();
		/* Its own lines are in order also where the clock stands still. */
		between_lines = way == OWN ? 0 : usual;
		nr = whole_pass(way == USED ? 3 : 1, 0, 5000, 3);
		/* The counter is at 0 already, but the line is not printed yet. */
		meanwhile = whole_pass(way == OWN ? 1 : 2, 0, 0, 3);
		/* It was not at 0: another pass took it after that. */
		if (way == USED)
			nr = whole_pass(3, 0, nr, 3);
		if (way == ELSEWHERE)
			be_elsewhere(1, now += between_lines);
		start = start_event(1, 0, 0, nr, 1000, 3);
		left = feed_pass(start, 0, meanwhile);
		if (way != NOTHING)
			find_left(left + (way == REFUTED));
		look();
		CHECK_EQ(tally->exact, 2 + (way > NOTHING) + (way == CONFIRMED) +
					       (way == USED));
		CHECK_EQ(tally->reordered, way == CONFIRMED);
		CHECK_EQ(reasons[TRACE_REPLAY_NEW_LATE],
			 way == NOTHING || way == REFUTED);
		CHECK_EQ(reasons[TRACE_REPLAY_NEW_OTHER],
			 way == ELSEWHERE || way == USED);
		CHECK_EQ(reasons[TRACE_REPLAY_NEW_ORDER], way == OWN);
		between_lines = usual;
	}
}

/* Of two counters with the same value the older one was taken. */
static void tells_equal_values_apart(void)
{
	int64_t nr;

	begin();
	nr = whole_pass(1, 0, 0, 3);
	CHECK_EQ(whole_pass(2, 0, 0, 3), nr);
	find_left(feed_pass(start_event(1, 0, 0, nr, 1000, 3), 0, nr));
	look();
	CHECK_EQ(tally->exact, 4);
	CHECK_EQ(tally->reordered, 1);
	CHECK_EQ(tally->adopted, 0);
}

/* So is a late start that takes work from before the recording. */
static void finds_a_late_start_of_old_work(void)
{
	int64_t meanwhile;

	begin();
	meanwhile = whole_pass(2, 0, 0, 3);
	find_left(feed_pass(start_event(1, 0, 0, 5000, 1000, 3), 0, meanwhile));
	look();
	CHECK_EQ(tally->exact, 3);
	CHECK_EQ(tally->reordered, 1);
	CHECK_EQ(tally->adopted, 1);
}

/* Task 1 finds 0 because task 2 has just taken the counter: the line of task 2 comes
 * later, or the lines of task 2 have both come before. */
static void finds_a_pass_inside_of_another(void)
{
	enum { LATER, BEFORE, LATER_ELSEWHERE, BEFORE_ELSEWHERE, OWN, WAYS };
	int way;

	for (way = LATER; way < WAYS; way++) {
		bool before = way == BEFORE || way == BEFORE_ELSEWHERE ||
			      way == OWN;
		struct trace_text_event a, b, end_b;
		int64_t nr;

		begin();
		nr = whole_pass(3, 0, 5000, 3);
		b = start_event(way == OWN ? 1 : 2, 0, 0, nr, 1000, 3);
		end_b = end_event(&b, 0, 0);
		a = start_event(1, 0, 0, 0, 600, 3);
		if (!before)
			feed_at(a, now);
		if (way == LATER_ELSEWHERE)
			be_elsewhere(2, now + 1);
		feed_at(b, now += FAR_APART);
		feed_at(end_b, now += FAR_APART);
		if (way == BEFORE_ELSEWHERE)
			be_elsewhere(1, now + 1);
		if (before)
			feed_at(a, now += FAR_APART);
		now += FAR_APART;
		end_b = end_event(&a, 0, end_b.new_nr);
		feed(end_b);
		find_left(end_b.new_nr);
		look();
		CHECK_EQ(tally->reordered, way <= BEFORE);
		CHECK_EQ(tally->exact, 3 + (way <= BEFORE));
		CHECK_EQ(reasons[TRACE_REPLAY_NEW_OTHER], way > BEFORE);
	}
}

/* A start that finds what an end leaves that is printed later has not adopted it. */
static void finds_who_left_it(void)
{
	enum { ENDED, UNFINISHED, BEGUN_LATER, OTHER_CGROUP, TASK, LONG_AGO, WAYS };
	int way, i;

	for (way = ENDED; way < WAYS; way++) {
		struct trace_text_event a, b, end_a, end_b;

		begin();
		a = start_event(way == TASK ? 2 : 1, 0, 0, 0, 1000, 3);
		end_a = end_event(&a, 0, 0);
		b = start_event(2, 0, 0, end_a.new_nr, 600, 3);
		end_b = end_event(&b, b.total_scan, 0);
		if (way == OTHER_CGROUP)
			b.memcg_id = 7;
		if (way != BEGUN_LATER && way != TASK)
			feed(a);
		feed_at(b, now);
		if (way == BEGUN_LATER)
			feed_at(a, now + 1);
		if (way != UNFINISHED)
			feed_at(end_b, now);
		if (way == TASK)
			feed_at(a, now);
		for (i = 0; way == LONG_AGO && i < MAX_ADOPTED_LINES / 2; i++)
			find_left(0);
		feed(end_a);
		if (way == UNFINISHED)
			feed(end_b);
		look();
		CHECK_EQ(tally->exact,
			 2 + (way == LONG_AGO ? MAX_ADOPTED_LINES / 2 : 0));
		CHECK_EQ(tally->adopted, way > UNFINISHED);
		CHECK_EQ(tally->reordered, way == ENDED);
		CHECK_EQ(tally->cost, way > UNFINISHED);
	}
}

/* Inside of a long pass the lines of two others stand in another order: all three are of
 * one counter, and the long one finds what they have left. */
static void finds_an_order_inside_of_a_long_pass(void)
{
	struct trace_text_event start, a, b, end_a, end_b;
	int64_t value;

	begin();
	start = start_event(4, 0, 0, 5000, 1000, 3);
	feed(start);
	value = whole_pass(1, 0, 0, 3);
	a = start_event(1, 0, 0, value, 1000, 3);
	b = start_event(2, 0, 0, 0, 600, 3);
	end_a = end_event(&a, 0, 0);
	end_b = end_event(&b, 0, end_a.new_nr);
	feed(a);
	feed(b);
	feed_at(end_b, now);
	feed_at(end_a, now);
	value = feed_pass(start_event(2, 0, 0, end_b.new_nr, 600, 3), 0, 0);
	end_b = end_event(&start, 0, value);
	feed(end_b);
	find_left(end_b.new_nr);
	look();
	CHECK_EQ(tally->exact, 6);
	CHECK_EQ(tally->reordered, 1);
	CHECK_EQ(tally->adopted, 1);
}

/* Wrong ends that are too many to wait are counted like those that wait in vain. */
static void counts_all_that_wait(void)
{
	int i;

	begin();
	for (i = 0; i < 20; i++)
		feed_pass(start_event(1, 0, 0, 0, 1000, 3), 0, 1000 + i);
	feed_pass(start_event(1, 0, 1, 0, 1000, 3), 0, 1000);
	look();
	CHECK_EQ(tally->exact, 0);
	CHECK_EQ(reasons[TRACE_REPLAY_NEW_UNEXPLAINED], 21);
	CHECK_EQ(found[0].tallies[TRACE_REPLAY_ONE_SET]
			 .reasons[TRACE_REPLAY_NEW_UNEXPLAINED],
		 21);
}

/* What a pass has found is not known any more when its start is too long ago. */
static void forgets_old_lines(void)
{
	struct trace_text_event start;
	int i;

	begin();
	start = start_event(1, 0, 0, 0, 1000, 3);
	feed(start);
	for (i = 0; i < MAX_CHANGES; i++)
		find_left(0);
	feed(end_event(&start, 0, 1000));
	look();
	CHECK_EQ(tally->exact, MAX_CHANGES);
	CHECK_EQ(reasons[TRACE_REPLAY_NEW_UNEXPLAINED], 1);
}

/* Another cgroup's counter that was added meanwhile is recognised. */
static void recognises_merged_slots(void)
{
	int64_t x, y, z;

	begin();
	x = whole_pass(1, 0, 5000, 3);
	y = whole_pass(1, 0, 70, 5);
	z = feed_pass(start_event(1, 0, 0, 7, 100, 3), 0, 0);
	feed_pass(start_event(1, 0, 0, 999, 1000, 3), 0, x + y);
	/* A single one that nothing else explains. */
	feed_pass(start_event(1, 0, 0, 11111, 100000, 3), 0, z);
	look();
	CHECK_EQ(tally->reasons[TRACE_REPLAY_NEW_MERGED], 1);
	CHECK_EQ(tally->reasons[TRACE_REPLAY_NEW_OTHER], 1);
}

/* They are found where a later start confirms it.  Before 5.13 cgroups have no counters of
 * their own that could be added. */
static void finds_merged_slots(void)
{
	static const enum pass_era eras[] = { PASS_ERA_C, PASS_ERA_B };
	int i;

	for (i = 0; i < 2; i++) {
		struct trace_text_event start, end;
		int64_t x, y;

		trace_replay_free(replay);
		replay = trace_replay_new((int)eras[i]);
		x = whole_pass(1, 0, 0, 3);
		y = feed_pass(start_event(1, 0, 0, 0, 3000, 3), 0, 0);
		start = start_event(1, 0, 0, 0, 1600, 3);
		end = end_event(&start, 0, x + y);
		feed(start);
		feed(end);
		start = start_event(9, 0, 0, end.new_nr, 2000, 0);
		start.total_scan = era_total(eras[i], start.nr,
					     (uint64_t)start.delta,
					     &(struct era_input){ 2000, 0, 0, 0 });
		end = end_event(&start, start.total_scan, 0);
		feed(start);
		feed(end);
		look();
		CHECK_EQ(tally->merged, eras[i] == PASS_ERA_C);
		CHECK_EQ(tally->exact, eras[i] == PASS_ERA_C ? 4 : 3);
		CHECK_EQ(reasons[TRACE_REPLAY_NEW_MERGED],
			 eras[i] != PASS_ERA_C);
	}
}

/* Worlds that nothing tells apart any more are given up for the likeliest: so the cost
 * of a long recording is that of its lines. */
static void gives_up_old_worlds(void)
{
	struct slot_worlds worlds;
	uint64_t pass;

	slot_worlds_init(&worlds);
	/* The second may have taken the slot of the first, and neither ends. */
	CHECK_EQ(slot_worlds_start(&worlds, &(struct slot_line){ 1, 0, 1, 1 }, 0, 0), 0);
	CHECK_EQ(slot_worlds_start(&worlds, &(struct slot_line){ 2, 0, 2, 2 }, 0, 0), 0);
	CHECK_EQ(worlds.nr_worlds, 2);
	for (pass = 3; pass < 3 + MAX_WORLD_LINES; pass++) {
		struct slot_line line = { pass, pass, pass, 3 };

		CHECK_EQ(worlds.nr_worlds, pass < 5 + MAX_WORLD_LINES / 2 ? 2 : 1);
		CHECK_EQ(slot_worlds_start(&worlds, &line, 5, 0), 0);
		CHECK_EQ(slot_worlds_end(&worlds, &line, 5, 5, NULL, true).verdict,
			 SLOT_EXACT);
	}
	slot_worlds_exit(&worlds);
}

/* Where lines name no task, passes on two processors are told apart by these. */
static void pairs_by_processor(void)
{
	struct trace_text_event a, b, end;

	begin();
	a = start_event(-1, 0, 0, 0, 1000, 0);
	b = start_event(-1, 0, 0, 0, 500, 0);
	a.cpu = 0;
	b.cpu = 1;
	feed(a);
	feed(b);
	end = end_event(&a, a.total_scan, 0);
	end.cpu = 0;
	feed(end);
	end = end_event(&b, b.total_scan, 0);
	end.cpu = 1;
	feed(end);
	look();
	CHECK_EQ(totals.passes, 2);
	CHECK_EQ(tally->exact, 2);
	CHECK_EQ(totals.orphan_starts + totals.orphan_ends, 0);
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
	CHECK_EQ(tally->reasons[TRACE_REPLAY_NEW_LOST], 1);
}

/* Events that lack their other half are counted and harm no pass. */
static void counts_orphans(void)
{
	struct trace_text_event a;

	begin();
	a = start_event(1, 0, 0, 0, 1000, 3);
	feed(end_event(&a, 0, 0));
	feed(a);
	feed_pass(a, 0, 0);
	feed(start_event(2, 0, 0, 0, 1000, 3));
	look();
	CHECK_EQ(totals.passes, 1);
	CHECK_EQ(totals.orphan_ends, 1);
	CHECK_EQ(totals.orphan_starts, 2);
	CHECK_EQ(tally->exact, 1);
	CHECK_EQ(problems_of(TRACE_REPLAY_ORPHAN_START), 2);
	CHECK_EQ(problems_of(TRACE_REPLAY_ORPHAN_END), 1);
}

/* A pointer that is another shrinker's from now on does not spoil the rest. */
static void follows_a_change_of_seeks(void)
{
	int i;

	begin();
	whole_pass(1, 0, 0, 3);
	for (i = 0; i < 20; i++) {
		struct trace_text_event start =
			start_event(1, 0, 0, 0, 1000 + i, 3);

		start.delta = (int64_t)scan_delta(1000 + i, 3, 0);
		start.total_scan = scan_total(0, (uint64_t)start.delta,
					      1000 + i, 3);
		/* All of it is scanned, so that the counter stays at 0. */
		feed_pass(start, start.total_scan, 0);
	}
	look();
	CHECK_EQ(found[0].seeks_changes, 1);
	CHECK_EQ(tally->reasons[TRACE_REPLAY_SEEKS], 8);
	CHECK(found[0].seeks_zero);
}

/* What a real loop with any batch does never rules that batch out. */
static void fits_batches(void)
{
	int64_t batch, total, freeable;
	struct batch_fit fit;
	int stop;

	for (batch = 1; batch < 40; batch++) {
		fit = (struct batch_fit){ 0 };
		for (total = 0; total < 120; total++)
			for (freeable = 1; freeable < 90; freeable += 7)
				for (stop = 0; stop < 4; stop++) {
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
	fit = (struct batch_fit){ 0 };
	CHECK(batch_fit_add(&fit, 300, 44, 100));
	CHECK_EQ(batch_fit_hi(fit), 256);
	CHECK(batch_fit_add(&fit, 384 + 40, 40, 100));
	CHECK_EQ(batch_fit_hi(fit), 128);
	CHECK_EQ(fit.least, 45);
}

/* Unfinished passes are freed with the replay; NULL is no replay. */
static void frees_unfinished_passes(void)
{
	int pid;

	begin();
	for (pid = 0; pid < 10; pid++)
		feed(start_event(pid, 0, 0, 0, 1000, 3));
	trace_replay_free(replay);
	replay = NULL;
	trace_replay_free(replay);
}

/* So many problems of a shrinker are kept; all are counted. */
static void keeps_some_problems_of_each(void)
{
	struct trace_text_event start;
	int i;

	begin();
	start = start_event(1, 0, 0, 0, 1000, 3);
	for (i = 0; i < TRACE_REPLAY_MAX_PROBLEMS_EACH + 10; i++)
		feed(end_event(&start, 0, 0));
	start = start_event(1, 1, 0, 0, 1000, 3);
	feed(end_event(&start, 0, 0));
	look();
	CHECK_EQ(totals.orphan_ends, TRACE_REPLAY_MAX_PROBLEMS_EACH + 11);
	/* One is the other shrinker's. */
	CHECK_EQ(trace_replay_problems(replay, NULL, 0),
		 TRACE_REPLAY_MAX_PROBLEMS_EACH + 1);
}

/* --- limits: nothing grows without end ------------------------------------- */

/* So many nodes have counters; events on others are counted, and not checked. */
static void follows_so_many_nodes(void)
{
	int nid;

	begin();
	for (nid = 0; nid < TRACE_REPLAY_MAX_NODES + 5; nid++)
		whole_pass(1, nid, 0, 12);
	look();
	CHECK_EQ(totals.passes, TRACE_REPLAY_MAX_NODES);
	CHECK_EQ(totals.untracked, 10);
	CHECK_EQ(totals.orphan_ends, 0);
}

static void follows_so_many_passes(void)
{
	struct trace_text_event start;
	int i;

	begin();
	for (i = 0; i < TRACE_REPLAY_MAX_OPEN_PASSES + 10; i++) {
		start = start_event(i, 0, 0, 0, 10, 12);
		feed(start);
	}
	/* The last one is not followed at all, an earlier one has no slot. */
	feed(end_event(&start, 0, 0));
	start.pid = TRACE_REPLAY_MAX_OPEN_PASSES - 1;
	feed(end_event(&start, 0, 0));
	look();
	CHECK_EQ(totals.orphan_ends, 1);
	CHECK_EQ(totals.orphan_starts, TRACE_REPLAY_MAX_OPEN_PASSES + 9);
	CHECK_EQ(tally->reasons[TRACE_REPLAY_UNTRACKED], 1);
}

/* Of too many counters the latest are known, the first are forgotten. */
static void follows_so_many_counters(void)
{
	int i;

	begin();
	for (i = 0; i < 5000; i++)
		feed_pass(start_event(1, 0, 0, 1000000 + i * 1000, 1000008, 3),
			  0, 0);
	feed_pass(start_event(1, 0, 0, 2000016, 1000008, 3), 0, 0);
	feed_pass(start_event(1, 0, 0, 1250002, 1000008, 3), 0, 0);
	look();
	CHECK_EQ(tally->adopted, 5001);
	CHECK_EQ(tally->exact, 5002);
}

static void follows_so_many_shrinkers(void)
{
	int i;

	begin();
	for (i = 0; i < TRACE_REPLAY_MAX_SHRINKERS + 10; i++) {
		struct trace_text_event start = start_event(1, 0, 0, 0, 10, 12);

		start.pointer = (uint64_t)i;
		feed_pass(start, 0, 0);
	}
	CHECK_EQ(look(), TRACE_REPLAY_MAX_SHRINKERS);
	CHECK_EQ(totals.untracked, 20);
}

int main(void)
{
	RUN(replays_a_plain_recording);
	RUN(adopts_what_was_there);
	RUN(explains_overlaps);
	RUN(tells_counters_apart);
	RUN(follows_many_walkers);
	RUN(follows_a_long_pass);
	RUN(finds_a_wrong_counter);
	RUN(names_what_does_not_follow);
	RUN(names_an_impossible_delta);
	RUN(recognises_one_set);
	RUN(recognises_counters_by_node);
	RUN(recognises_print_order);
	RUN(finds_a_late_end);
	RUN(wants_a_line_that_confirms);
	RUN(believes_no_impossible_end);
	RUN(finds_a_late_start);
	RUN(tells_equal_values_apart);
	RUN(finds_a_late_start_of_old_work);
	RUN(finds_a_pass_inside_of_another);
	RUN(finds_who_left_it);
	RUN(finds_an_order_inside_of_a_long_pass);
	RUN(counts_all_that_wait);
	RUN(forgets_old_lines);
	RUN(recognises_merged_slots);
	RUN(finds_merged_slots);
	RUN(blames_lost_events);
	RUN(counts_orphans);
	RUN(follows_a_change_of_seeks);
	RUN(gives_up_old_worlds);
	RUN(pairs_by_processor);
	RUN(fits_batches);
	RUN(frees_unfinished_passes);
	RUN(keeps_some_problems_of_each);
	RUN(follows_so_many_nodes);
	RUN(follows_so_many_passes);
	RUN(follows_so_many_counters);
	RUN(follows_so_many_shrinkers);
	trace_replay_free(replay);
	return checks_report("test_replay");
}
