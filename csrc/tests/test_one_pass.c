/* SPDX-License-Identifier: MIT */
/* What follows from the arithmetic of a pass, each in a pass of its own. */
#include <shrinker/domain.h>
#include <shrinker/one_pass.h>

#include "check.h"

#define Q (INT64_C(1) << 62)
#define COUNT_MAX ((uint64_t)INT64_MAX)
/* For a struct one_pass. */
#define A_THOUSAND_OBJECTS .count = 1000, .seeks = DEFAULT_SEEKS

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
	struct one_pass pass = { A_THOUSAND_OBJECTS, .max_calls = 100, .sizes = sizes,
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

/* Below the batch size, at priority 1, an even count is scanned and an odd one is
 * not. */
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

/* Below 4,096 objects priority 12 adds nothing: only deferred objects are
 * scanned. */
static void small_caches_at_priority_12(void)
{
	CHECK_EQ(run(4095, 0, 12, DEFAULT_SEEKS).delta, 0);
	CHECK_EQ(run(4096, 0, 12, DEFAULT_SEEKS).delta, 2);
	CHECK_EQ(run(4095, 0, 12, DEFAULT_SEEKS).calls, 0);
	CHECK_EQ(run(4095, 128 << 12, 12, DEFAULT_SEEKS).calls, 1);
}

/* A count of 0 or SHRINK_EMPTY is returned, and keeps the deferred objects. */
static void counts_of_nothing(void)
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

/* From a count of 2^62 on its double wraps: nothing is scanned, and 2 x count -
 * 2^64 objects are deferred.  SHRINK_STOP is a count like others. */
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
	/* 2^62 - 1 objects are scanned. */
	CHECK_EQ(run(Q - 1, 0, 10, DEFAULT_SEEKS).calls, 10);
}

/* With counts from 2^63 to 2^63 + 2^62 - 1 the pass does not end. */
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
	/* With higher counts nothing is scanned. */
	for (i = 0; i < 3; i++) {
		uint64_t count = (UINT64_C(1) << 63) + Q + (uint64_t)i;
		struct one_pass pass = run(count, 0, 0, DEFAULT_SEEKS);

		CHECK(!pass.cut);
		CHECK_EQ(pass.calls, 0);
		CHECK_EQ(pass.nr_deferred, 2 * count);
	}
}

/* With deferred objects at their cap of 2 x count, nothing wraps at priority 0 up
 * to the counts that the documentation names; with one more object it does. */
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
		/* All deferred objects are dropped. */
		CHECK_EQ(pass.nr_deferred, 0);
	}
}

/* After one more pass a negative counter is non-negative again. */
static void a_negative_counter_lasts_one_pass(void)
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

/* The caller's function is called for each batch; its SHRINK_STOP ends the pass. */
static void the_scan_function_is_the_callers(void)
{
	int calls = 0;
	struct one_pass pass = { A_THOUSAND_OBJECTS, .max_calls = 100,
				 .scan = scan_by_script, .arg = &calls };

	CHECK(one_pass_run(&pass));
	CHECK_EQ(pass.calls, 4);
	CHECK_EQ(pass.returned, 15000000000UL);
	CHECK_EQ(pass.retval, (int)15000000000UL);
	CHECK_EQ(pass.total_scan_left, 1400);
	CHECK_EQ(pass.nr_deferred, 1400);
	CHECK(!pass.cut);
}

/* At most max_calls calls are made; cut says that the pass wanted another one. */
static void max_calls_is_exact(void)
{
	static const uint64_t max_calls[] = { 15, 14, 0 };
	size_t i;

	for (i = 0; i < LENGTH(max_calls); i++) {
		struct one_pass pass = { A_THOUSAND_OBJECTS,
					 .max_calls = max_calls[i] };

		CHECK(one_pass_run(&pass));
		CHECK_EQ(pass.cut, max_calls[i] < 15);
		CHECK_EQ(pass.calls, max_calls[i]);
		CHECK_EQ(pass.returned, max_calls[i] * 128);
		CHECK_EQ(pass.nr_deferred, 2000 - max_calls[i] * 128);
	}
}

static unsigned long scan_nothing(void *arg, unsigned long nr_to_scan,
				  unsigned long *nr_scanned)
{
	(void)arg;
	(void)nr_to_scan;
	*nr_scanned = 0;
	return 0;
}

/* There is no stall limit: a pass without progress ends at max_calls. */
static void no_stall_limit(void)
{
	struct one_pass pass = { A_THOUSAND_OBJECTS, .scan = scan_nothing,
				 .max_calls = 3 * RECLAIM_STALL_LIMIT };

	CHECK(one_pass_run(&pass));
	CHECK_EQ(pass.calls, 3 * RECLAIM_STALL_LIMIT);
	CHECK(pass.cut);
}

/* With a priority out of range nothing is called or changed. */
static void wrong_priorities_are_refused(void)
{
	static const int wrong[] = { -1, 64, INT32_MAX, INT32_MIN };
	int i;

	for (i = 0; i < 4; i++) {
		struct one_pass pass = { A_THOUSAND_OBJECTS, .nr_deferred = 5,
					 .priority = wrong[i], .max_calls = 100 };

		CHECK(!one_pass_run(&pass));
		CHECK_EQ(pass.nr_deferred, 5);
		CHECK_EQ(pass.calls, 0);
	}
}

static unsigned long run_another(void *arg, unsigned long nr_to_scan,
				 unsigned long *nr_scanned)
{
	struct one_pass inner = { A_THOUSAND_OBJECTS, .max_calls = 100 };

	(void)arg;
	(void)nr_scanned;
	CHECK(one_pass_run(&inner));
	CHECK_EQ(inner.returned, 1920);
	return nr_to_scan;
}

/* A pass can run inside another one, because it is no reclaim. */
static void passes_nest(void)
{
	struct one_pass pass = { A_THOUSAND_OBJECTS, .max_calls = 100,
				 .scan = run_another };

	CHECK(one_pass_run(&pass));
	CHECK_EQ(pass.returned, 1920);
}

int main(void)
{
	RUN(a_thousand_objects);
	RUN(odd_and_even_below_the_batch);
	RUN(small_caches_at_priority_12);
	RUN(counts_of_nothing);
	RUN(large_counts_are_never_scanned);
	RUN(counts_that_loop_for_ever);
	RUN(counts_that_are_safe_at_the_cap);
	RUN(a_negative_counter_lasts_one_pass);
	RUN(the_scan_function_is_the_callers);
	RUN(max_calls_is_exact);
	RUN(no_stall_limit);
	RUN(wrong_priorities_are_refused);
	RUN(passes_nest);
	return checks_report("test_one_pass");
}
