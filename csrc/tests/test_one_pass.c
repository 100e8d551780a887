/* SPDX-License-Identifier: MIT */
/* The consequences of the arithmetic, each seen in a pass of its own. */
#include <shrinker/domain.h>
#include <shrinker/one_pass.h>

#include "check.h"

#define Q (INT64_C(1) << 62)
#define COUNT_MAX ((uint64_t)INT64_MAX)

static struct one_pass run(uint64_t count, int64_t nr_deferred, int priority,
			   int seeks)
{
	struct one_pass pass = { .count = count,
				 .nr_deferred = nr_deferred,
				 .priority = priority,
				 .seeks = seeks,
				 .max_calls = 10 };

	CHECK(one_pass_run(&pass));
	if (pass.emitted) {
		CHECK_EQ(pass.nr_before, nr_deferred);
		CHECK_EQ(pass.freeable, (int64_t)count);
		CHECK_EQ(pass.nr_after, pass.nr_deferred);
		CHECK_EQ(pass.retval, (int)(uint32_t)pass.returned);
	}
	return pass;
}

/* At priority 0 with default seeks 1,000 objects give 15 calls of 128. */
static void a_thousand_objects(void)
{
	uint64_t sizes[20];
	struct one_pass pass = { .count = 1000,
				 .seeks = DEFAULT_SEEKS,
				 .max_calls = 100,
				 .sizes = sizes,
				 .nr_sizes = 3 };
	int i;

	memset(sizes, 0, sizeof(sizes));
	CHECK(one_pass_run(&pass));
	CHECK_EQ(pass.delta, 2000);
	CHECK_EQ(pass.total_scan, 2000);
	CHECK_EQ(pass.calls, 15);
	CHECK_EQ(pass.returned, 1920);
	CHECK_EQ(pass.retval, 1920);
	CHECK_EQ(pass.total_scan_left, 80);
	CHECK_EQ(pass.nr_deferred, 80);
	CHECK_EQ(pass.nr_after, 80);
	CHECK(!pass.cut);
	for (i = 0; i < 20; i++)
		CHECK_EQ(sizes[i], i < 3 ? 128 : 0);
}

/* Below the batch size at priority 1 an even count is scanned, an odd not. */
static void odd_and_even_below_the_batch(void)
{
	struct one_pass even = run(100, 0, 1, DEFAULT_SEEKS);
	struct one_pass odd = run(101, 0, 1, DEFAULT_SEEKS);

	CHECK_EQ(even.delta, 100);
	CHECK_EQ(even.returned, 100);
	CHECK_EQ(odd.delta, 100);
	CHECK_EQ(odd.returned, 0);
	CHECK_EQ(odd.nr_deferred, 100);
}

/* Below 4,096 objects priority 12 adds nothing: only deferred work moves. */
static void small_caches_at_low_pressure(void)
{
	CHECK_EQ(run(4095, 0, 12, DEFAULT_SEEKS).delta, 0);
	CHECK_EQ(run(4096, 0, 12, DEFAULT_SEEKS).delta, 2);
	CHECK_EQ(run(4095, 0, 12, DEFAULT_SEEKS).calls, 0);
	CHECK_EQ(run(4095, 128 << 12, 12, DEFAULT_SEEKS).calls, 1);
}

/* 0 and SHRINK_EMPTY are returned as they are, and leave the counter. */
static void nothing_to_count(void)
{
	struct one_pass unknown = run(0, 77, 0, DEFAULT_SEEKS);
	struct one_pass empty = run(SHRINK_EMPTY, 77, 0, DEFAULT_SEEKS);

	CHECK_EQ(unknown.returned, 0);
	CHECK_EQ(empty.returned, SHRINK_EMPTY);
	CHECK_EQ(unknown.nr_deferred, 77);
	CHECK_EQ(empty.nr_deferred, 77);
	CHECK(!unknown.emitted);
	CHECK(!empty.emitted);
}

/* From 2^62 on doubling wraps: nothing is scanned, whatever the rest, and the
 * counter becomes 2 x count - 2^64.  SHRINK_STOP is no special count. */
static void large_counts_are_never_scanned(void)
{
	static const uint64_t counts[] = { Q, Q + 1, COUNT_MAX - 1, COUNT_MAX };
	static const int64_t deferred[] = { 0, 1000, Q, INT64_MAX, -5 };
	int c, d, priority, seeks;

	for (c = 0; c < 4; c++)
		for (d = 0; d < 5; d++)
			for (priority = 0; priority < 64; priority += 7)
				for (seeks = 0; seeks < 4; seeks++) {
					struct one_pass pass =
						run(counts[c], deferred[d],
						    priority, seeks);

					CHECK_EQ(pass.calls, 0);
					CHECK_EQ(pass.nr_deferred, 2 * counts[c]);
				}
	CHECK_EQ(run(COUNT_MAX, 0, 0, DEFAULT_SEEKS).nr_deferred, -2);
	CHECK_EQ(run(SHRINK_STOP, 0, 0, DEFAULT_SEEKS).calls, 0);
	CHECK_EQ(run(SHRINK_STOP, 0, 0, DEFAULT_SEEKS).nr_deferred, -2);
	/* Up to 2^62 - 1 it is exact, and scanned. */
	CHECK_EQ(run(Q - 1, 0, 10, DEFAULT_SEEKS).calls, 10);
}

/* From 2^63 to 2^63 + 2^62 - 1 the pass has no end of its own. */
static void counts_that_loop_for_ever(void)
{
	static const uint64_t counts[] = { UINT64_C(1) << 63,
					   (UINT64_C(1) << 63) + 1,
					   (UINT64_C(1) << 63) + Q - 1 };
	int i;

	for (i = 0; i < 3; i++) {
		struct one_pass pass = run(counts[i], 0, 0, DEFAULT_SEEKS);

		CHECK(pass.cut);
		CHECK_EQ(pass.calls, 10);
	}
	/* And from there on nothing is scanned again. */
	for (i = 0; i < 3; i++) {
		uint64_t count = (UINT64_C(1) << 63) + Q + (uint64_t)i;
		struct one_pass pass = run(count, 0, 0, DEFAULT_SEEKS);

		CHECK(!pass.cut);
		CHECK_EQ(pass.calls, 0);
		CHECK_EQ(pass.nr_deferred, 2 * count);
	}
}

/* With the counter at its cap of 2f nothing wraps at priority 0 up to the
 * counts that the documentation names, and one more wraps. */
static void counts_that_are_safe_at_the_cap(void)
{
	static const struct {
		int64_t count;
		int seeks;
	} limit[] = {
		{ (INT64_C(1) << 61) - 1, 2 },
		{ INT64_C(1537228672809129301), 1 },
	};
	int i;

	for (i = 0; i < 2; i++) {
		int64_t f = limit[i].count;
		struct one_pass pass =
			run((uint64_t)f, 2 * f, 0, limit[i].seeks);

		CHECK_EQ(pass.total_scan, 2 * f);
		CHECK_EQ(pass.calls, 10);
		f++;
		pass = run((uint64_t)f, 2 * f, 0, limit[i].seeks);
		CHECK(pass.total_scan < 0);
		CHECK_EQ(pass.calls, 0);
		/* All deferred work is forgotten. */
		CHECK_EQ(pass.nr_deferred, 0);
	}
}

/* A negative counter hurts one more pass, then it is non-negative again. */
static void a_negative_counter_heals(void)
{
	struct one_pass pass = run(1000, -5000, 0, DEFAULT_SEEKS);

	CHECK_EQ(pass.total_scan, -3000);
	CHECK_EQ(pass.calls, 0);
	CHECK_EQ(pass.nr_deferred, 0);
	pass = run(1000, -500, 0, DEFAULT_SEEKS);
	CHECK_EQ(pass.total_scan, 1500);
	CHECK(pass.nr_deferred >= 0);
}

static unsigned long scan_by_script(void *arg, unsigned long nr_to_scan,
				    unsigned long *nr_scanned)
{
	int *calls = arg;

	CHECK_EQ(*nr_scanned, nr_to_scan);
	*nr_scanned = 200;
	return ++*calls == 4 ? SHRINK_STOP : 5000000000UL;
}

/* The scan function is called for each batch; its SHRINK_STOP ends the pass. */
static void the_callers_scan_function(void)
{
	int calls = 0;
	struct one_pass pass = { .count = 1000,
				 .seeks = DEFAULT_SEEKS,
				 .max_calls = 100,
				 .scan = scan_by_script,
				 .arg = &calls };

	CHECK(one_pass_run(&pass));
	CHECK_EQ(pass.calls, 4);
	CHECK_EQ(pass.returned, 15000000000UL);
	CHECK_EQ(pass.retval, (int)15000000000UL);
	CHECK_EQ(pass.total_scan_left, 1400);
	CHECK_EQ(pass.nr_deferred, 1400);
	CHECK(!pass.cut);
}

/* max_calls calls are made, and cut says that one more was wanted. */
static void max_calls_is_exact(void)
{
	struct one_pass pass = { .count = 1000, .seeks = DEFAULT_SEEKS };

	pass.max_calls = 15;
	CHECK(one_pass_run(&pass));
	CHECK(!pass.cut);
	CHECK_EQ(pass.nr_deferred, 80);
	pass.max_calls = 14;
	pass.nr_deferred = 0;
	CHECK(one_pass_run(&pass));
	CHECK(pass.cut);
	CHECK_EQ(pass.calls, 14);
	CHECK_EQ(pass.nr_deferred, 2000 - 14 * 128);
	pass.max_calls = 0;
	pass.nr_deferred = 0;
	CHECK(one_pass_run(&pass));
	CHECK(pass.cut);
	CHECK_EQ(pass.calls, 0);
	CHECK_EQ(pass.returned, 0);
}

/* No stall guard here: a pass without progress ends by max_calls alone. */
static unsigned long scan_nothing(void *arg, unsigned long nr_to_scan,
				  unsigned long *nr_scanned)
{
	(void)arg;
	(void)nr_to_scan;
	*nr_scanned = 0;
	return 0;
}

static void no_stall_guard(void)
{
	struct one_pass pass = { .count = 1000,
				 .seeks = DEFAULT_SEEKS,
				 .max_calls = 3 * RECLAIM_STALL_LIMIT,
				 .scan = scan_nothing };

	CHECK(one_pass_run(&pass));
	CHECK_EQ(pass.calls, 3 * RECLAIM_STALL_LIMIT);
	CHECK(pass.cut);
}

/* A priority out of range is refused, and nothing is called or changed. */
static void wrong_priorities_are_refused(void)
{
	static const int wrong[] = { -1, 64, INT32_MAX, INT32_MIN };
	int i;

	for (i = 0; i < 4; i++) {
		struct one_pass pass = { .count = 1000,
					 .nr_deferred = 5,
					 .priority = wrong[i],
					 .seeks = DEFAULT_SEEKS,
					 .max_calls = 100 };

		CHECK(!one_pass_run(&pass));
		CHECK_EQ(pass.nr_deferred, 5);
		CHECK_EQ(pass.calls, 0);
	}
}

static unsigned long run_another(void *arg, unsigned long nr_to_scan,
				 unsigned long *nr_scanned)
{
	struct one_pass inner = { .count = 1000,
				  .seeks = DEFAULT_SEEKS,
				  .max_calls = 100 };

	(void)arg;
	(void)nr_scanned;
	CHECK(one_pass_run(&inner));
	CHECK_EQ(inner.returned, 1920);
	return nr_to_scan;
}

/* A pass can be run inside another: it is no reclaim. */
static void passes_nest(void)
{
	struct one_pass pass = { .count = 1000,
				 .seeks = DEFAULT_SEEKS,
				 .max_calls = 100,
				 .scan = run_another };

	CHECK(one_pass_run(&pass));
	CHECK_EQ(pass.returned, 1920);
}

int main(void)
{
	RUN(a_thousand_objects);
	RUN(odd_and_even_below_the_batch);
	RUN(small_caches_at_low_pressure);
	RUN(nothing_to_count);
	RUN(large_counts_are_never_scanned);
	RUN(counts_that_loop_for_ever);
	RUN(counts_that_are_safe_at_the_cap);
	RUN(a_negative_counter_heals);
	RUN(the_callers_scan_function);
	RUN(max_calls_is_exact);
	RUN(no_stall_guard);
	RUN(wrong_priorities_are_refused);
	RUN(passes_nest);
	return checks_report("test_one_pass");
}
