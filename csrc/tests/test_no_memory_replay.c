/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out at each allocation of a replay in turn: feeding says so, what was
 * found so far can be read, nothing leaks, and with enough memory the findings are
 * those of a replay that was never short.
 */
#include "check.h"
#include "injector.h"
#include "recording.h"

#define EVENTS 240
#define WALKERS 8

static struct trace_text_event events[EVENTS];

/* Walkers that overlap on counters of few values, so that many worlds are possible,
 * and ends that are impossible in each. */
static void make_recording(void)
{
	struct trace_text_event running[WALKERS] = { { 0 } };
	int i;

	between_lines = 50000;
	for (i = 0; i < EVENTS; i++) {
		uint32_t pid = random_bits() % WALKERS;

		if (running[pid].line) {
			int64_t others = random_bits() % 3 ?
						 0 :
						 (int64_t)(random_bits() % 3) * 8;

			events[i] = end_event(&running[pid], 0, others);
			running[pid].line = 0;
		} else {
			int64_t nr = (int64_t)(random_bits() % 4) * 8;

			running[pid] = start_event((int32_t)pid, pid % 3,
						   (int32_t)pid / 3, nr, 1000, 3);
			events[i] = running[pid];
		}
	}
}

struct findings {
	struct trace_replay_totals totals;
	struct trace_replay_shrinker shrinkers[3];
	size_t nr_shrinkers, nr_problems;
};

static void copy_findings(struct trace_replay *replay, struct findings *findings)
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

	WITH_ALLOCATIONS(number, replay = trace_replay_new(PASS_ERA_C));
	if (!replay) {
		CHECK_EQ(number, 0);
		return false;
	}
	WITH_ALLOCATIONS(number - 1,
			 error = trace_replay_feed(replay, names, events, EVENTS));
	/* The end needs no memory, but for the list of problems, which may stay
	 * shorter. */
	WITH_ALLOCATIONS(error ? 0 : ~0UL, trace_replay_finish(replay));
	copy_findings(replay, findings);
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
