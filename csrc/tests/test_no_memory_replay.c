/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out at each allocation of a replay in turn: feeding says so, what was
 * found so far can be read, nothing leaks, and with enough memory the findings are
 * those of a replay that was never short.
 */
#include "check.h"
#include "injector.h"
#include "scan.h"
#include "trace_replay.h"

#define EVENTS 240

static const char names[] = "abcdefgh";
static struct trace_text_event events[EVENTS];

/* The same numbers each time. */
static unsigned int pick(unsigned int below)
{
	static uint64_t state = 88172645463325252U;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned int)(state >> 33) % below;
}

/* Walkers that overlap on counters of few values, so that many stories are
 * possible, and ends that fit none of them. */
static void make_recording(void)
{
	int64_t running[8] = { 0 };
	int i;

	for (i = 0; i < EVENTS; i++) {
		int32_t pid = (int32_t)pick(8);
		int64_t nr = pick(4) * 8;
		uint64_t delta = scan_delta(1000, 3, DEFAULT_SEEKS);

		events[i] = (struct trace_text_event){
			.kind = running[pid] ? TRACE_LINE_END : TRACE_LINE_START,
			.line = (uint64_t)i + 1,
			.time = (uint64_t)i * 50000,
			.function_offset = (uint32_t)pid % 3,
			.function_length = 1,
			.pointer = 1,
			.pid = pid,
			.nid = pid / 3,
			.nr = running[pid] ? running[pid] - 1 : nr,
			.freeable = 1000,
			.delta = (int64_t)delta,
			.priority = 3,
			.total_scan = scan_total(nr, delta, 1000, 3),
		};
		if (running[pid]) {
			/* Nothing was scanned. */
			events[i].total_scan = scan_total(running[pid] - 1, delta,
							  1000, 3);
			events[i].new_nr = running[pid] - 1 + (int64_t)delta +
					   (pick(3) ? 0 : pick(3) * 8);
		}
		running[pid] = running[pid] ? 0 : nr + 1;
	}
}

struct findings {
	struct trace_replay_totals totals;
	struct trace_replay_shrinker shrinkers[3];
	size_t nr_shrinkers, nr_problems;
};

static void look(struct trace_replay *replay, struct findings *findings)
{
	struct trace_replay_problem problems[8];
	size_t i;

	memset(findings, 0, sizeof(*findings));
	trace_replay_totals(replay, &findings->totals);
	findings->nr_shrinkers =
		trace_replay_shrinkers(replay, findings->shrinkers, 3);
	findings->nr_problems = trace_replay_problems(replay, problems, 8);
	for (i = 0; i < findings->nr_shrinkers; i++) {
		CHECK_EQ(findings->shrinkers[i].function_length, 1);
		CHECK(strchr("abc", findings->shrinkers[i].function[0]));
		findings->shrinkers[i].function = NULL;
	}
}

/* Return: whether @number allocations were enough. */
static bool replay_with(unsigned long number, struct findings *findings)
{
	struct trace_replay *replay;
	int error = -1;

	WITH_ALLOCATIONS(number, replay = trace_replay_new());
	if (!replay) {
		CHECK_EQ(number, 0);
		return false;
	}
	WITH_ALLOCATIONS(number - 1,
			 error = trace_replay_feed(replay, names, events, EVENTS));
	/* The end needs no memory, but for the list of problems, which may stay
	 * shorter. */
	WITH_ALLOCATIONS(error ? 0 : ~0UL, trace_replay_finish(replay));
	look(replay, findings);
	CHECK(findings->totals.passes <= EVENTS / 2);
	trace_replay_free(replay);
	return !error;
}

static void a_recording(void)
{
	struct findings all, some;
	unsigned long number, grown = 0;
	uint64_t passes = 0;

	CHECK(replay_with(~0UL, &all));
	CHECK_EQ(all.nr_shrinkers, 3);
	CHECK(all.nr_problems > 10);
	for (number = 0; !replay_with(number, &some); number++) {
		/* More memory never finds less. */
		CHECK(!number || some.totals.passes >= passes);
		grown += number && some.totals.passes > passes;
		passes = number ? some.totals.passes : 0;
	}
	CHECK(number > 50);
	CHECK(grown > 5);
	CHECK_EQ(some.totals.passes, all.totals.passes);
	CHECK_EQ(some.totals.orphan_starts, all.totals.orphan_starts);
	CHECK(memcmp(some.shrinkers, all.shrinkers, sizeof(all.shrinkers)) == 0);
}

int main(void)
{
	make_recording();
	RUN(a_recording);
	return checks_report("test_no_memory_replay");
}
