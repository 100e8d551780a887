/* SPDX-License-Identifier: MIT */
/* The formulas of older kernels, and which seeks and batches fit what they gave. */
#include <shrinker/one_pass.h>

#include "check.h"
#include "eras.h"
#include "replay/fit.h"

struct example {
	struct one_pass pass;
	uint64_t delta;
	int64_t total_scan, left, next;
};

/* Computed by hand; each row names what it shows. */
static const struct example examples[] = {
	/* B: all deferred work at once; little new work: half of the cache at most. */
	{ { .era = PASS_ERA_B, .count = 1000000, .nr_deferred = 4000000,
	    .priority = 12, .seeks = 2 },
	  488, 500000, 32, 3500520 },
	/* B: no cap for what is deferred. */
	{ { .era = PASS_ERA_B, .count = 1000, .nr_deferred = 5000, .seeks = 2 },
	  2000, 2000, 80, 5080 },
	/* B: a negative sum asks for the whole cache, and is not deferred. */
	{ { .era = PASS_ERA_B, .count = 100, .nr_deferred = -5000,
	    .priority = 12, .seeks = 2 },
	  0, 50, 50, 0 },
	/* B: seeks 0. */
	{ { .era = PASS_ERA_B, .count = 1001, .priority = 12 },
	  500, 500, 116, 116 },
	/* 4.19.y: at least a batch, or a small cache as a whole. */
	{ { .era = PASS_ERA_B_4_19, .count = 1000, .priority = 12, .seeks = 2 },
	  128, 128, 0, 0 },
	{ { .era = PASS_ERA_B_4_19, .count = 50, .priority = 12, .seeks = 2 },
	  50, 50, 0, 0 },
	{ { .era = PASS_ERA_B_4_19, .count = 9000, .priority = 12, .seeks = 2,
	    .batch = 1024 },
	  1024, 1024, 0, 0 },
	/* A: by the pages that were scanned. */
	{ { .era = PASS_ERA_A, .count = 1000, .nr_deferred = 900, .priority = 12,
	    .seeks = 2, .pgs_scanned = 32, .lru_pgs = 7791 },
	  8, 500, 116, 524 },
	/* A to 4.10: only what is left of total_scan is deferred. */
	{ { .era = PASS_ERA_A_4_10, .count = 1000, .nr_deferred = 900,
	    .priority = 12, .seeks = 2, .pgs_scanned = 32, .lru_pgs = 7791 },
	  8, 500, 116, 116 },
	/* A: the quotient of pages and seeks is rounded first. */
	{ { .era = PASS_ERA_A, .count = 1000, .priority = 12, .seeks = 3,
	    .pgs_scanned = 1, .lru_pgs = 9 },
	  100, 100, 100, 100 },
	/* C: the same input as the first. */
	{ { .era = PASS_ERA_C, .count = 1000000, .nr_deferred = 4000000,
	    .priority = 12, .seeks = 2 },
	  488, 1464, 56, 2000000 },
};

static void computes_each_era(void)
{
	size_t i;

	for (i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
		struct one_pass pass = examples[i].pass;

		pass.max_calls = 100000;
		CHECK(one_pass_run(&pass));
		CHECK(pass.emitted && !pass.cut);
		CHECK_EQ(pass.delta, examples[i].delta);
		CHECK_EQ(pass.total_scan, examples[i].total_scan);
		CHECK_EQ(pass.total_scan_left, examples[i].left);
		CHECK_EQ(pass.nr_after, examples[i].next);
		CHECK_EQ(pass.nr_deferred, examples[i].next);
		CHECK_EQ(pass.returned, (uint64_t)(examples[i].total_scan -
						   examples[i].left));
	}
}

static unsigned long half_then_stop(void *arg, unsigned long nr_to_scan,
				    unsigned long *nr_scanned)
{
	int *calls = arg;

	*nr_scanned = nr_to_scan / 2;
	return ++*calls > 2 ? SHRINK_STOP : 1;
}

/* The callback decides as in a walk: STOP ends the pass, nr_scanned counts. */
static void asks_the_callback(void)
{
	int calls = 0;
	struct one_pass pass = { .era = PASS_ERA_B, .count = 1000, .seeks = 2,
				 .max_calls = 10, .scan = half_then_stop,
				 .arg = &calls };

	CHECK(one_pass_run(&pass));
	CHECK_EQ(pass.calls, 3);
	CHECK_EQ(pass.returned, 2);
	CHECK_EQ(pass.total_scan_left, 2000 - 2 * 64);
	CHECK_EQ(pass.nr_after, 2000 - 2 * 64);
	pass = (struct one_pass){ .era = PASS_ERA_A, .seeks = 2, .nr_deferred = 9 };
	CHECK(one_pass_run(&pass));
	CHECK(!pass.emitted);
	CHECK_EQ(pass.nr_deferred, 9);
	pass.count = SHRINK_EMPTY;
	CHECK(one_pass_run(&pass));
	CHECK_EQ(pass.returned, SHRINK_EMPTY);
}

static void refuses_divisions_by_zero(void)
{
	struct one_pass pass = { .era = PASS_ERA_A, .count = 1 };

	CHECK(!one_pass_run(&pass));
	pass.seeks = 2;
	pass.lru_pgs = -1;
	CHECK(!one_pass_run(&pass));
	pass.lru_pgs = UINT32_MAX;
	CHECK(!one_pass_run(&pass));
	pass.lru_pgs = 0;
	CHECK(one_pass_run(&pass));
	pass.era = PASS_NR_ERAS;
	CHECK(!one_pass_run(&pass));
	pass.era = -1;
	CHECK(!one_pass_run(&pass));
}

/* The divisors that give a delta are exactly the interval that is said. */
static void check_fit(enum pass_era era, const struct era_input *in,
		      uint64_t delta)
{
	struct seeks_fit fit = seeks_fit_of(era, in, delta);
	int s;

	for (s = 1; s < 60; s++)
		CHECK_EQ(era_delta(era, in, s, 0) == delta,
			 fit.lo <= (uint32_t)s && (uint32_t)s <= fit.hi);
	CHECK_EQ(fit.zero, !era_counts_pages(era) &&
				   era_delta(era, in, 0, 0) == delta);
}

static void fits_seeks(void)
{
	struct era_input in = { .priority = 0 };
	int seeks;

	for (in.freeable = 1; in.freeable < 60; in.freeable++)
		for (in.priority = 0; in.priority < 4; in.priority++)
			for (seeks = 0; seeks < 40; seeks++)
				check_fit(PASS_ERA_C, &in,
					  era_delta(PASS_ERA_C, &in, seeks, 0));
	in.priority = 12;
	for (in.freeable = 1; in.freeable < 99999; in.freeable *= 7)
		for (in.pgs_scanned = 0; in.pgs_scanned < 60; in.pgs_scanned += 3)
			for (in.lru_pgs = 0; in.lru_pgs < 9000;
			     in.lru_pgs = in.lru_pgs * 3 + 2)
				for (seeks = 0; seeks < 20; seeks++)
					check_fit(PASS_ERA_A, &in,
						  (uint64_t)seeks);
	/* Where the product wraps, the usual seeks is recognised. */
	in.pgs_scanned = INT64_MAX / 4;
	in.freeable = 1000;
	in.lru_pgs = 99;
	CHECK_EQ(seeks_fit_of(PASS_ERA_A, &in, era_delta(PASS_ERA_A, &in, 2, 0)).lo,
		 2);
	CHECK(seeks_fit_empty(seeks_fit_of(PASS_ERA_A, &in, 1)));
	in.lru_pgs = -1;
	CHECK(seeks_fit_empty(seeks_fit_of(PASS_ERA_A, &in, 1)));
}

/* With any batch, the shrinker's real seeks and batch are among those that fit. */
static void fits_least_deltas(void)
{
	static const int64_t batches[] = { 1, 32, 128, 1024 };
	size_t b;

	for (b = 0; b < sizeof(batches) / sizeof(*batches); b++) {
		struct least_fit least = LEAST_FIT_ALL;
		struct era_input in = { .priority = 3 };
		unsigned int learnt = 0;

		for (in.freeable = 1; in.freeable < 9000; in.freeable += 13) {
			uint64_t delta = era_delta(PASS_ERA_B_4_19, &in, 2,
						   batches[b]);
			struct seeks_fit fit =
				seeks_fit_of(PASS_ERA_B_4_19, &in, delta);

			learnt += least_fit_add(&least, &in, delta, &fit);
			CHECK(fit.lo <= 2 && fit.hi >= 2);
			CHECK(least.lo <= batches[b] && batches[b] <= least.hi);
		}
		CHECK(learnt <= batches[b] / 13 + 2);
	}
}

/* Once the batch is known, a smaller delta has no explanation. */
static void refuses_too_small_deltas(void)
{
	struct least_fit least = LEAST_FIT_ALL;
	struct era_input in = { .priority = 12, .freeable = 1000 };
	struct seeks_fit fit = seeks_fit_of(PASS_ERA_B_4_19, &in, 128);

	CHECK(seeks_fit_empty(fit));
	CHECK(least_fit_add(&least, &in, 128, &fit));
	CHECK(!seeks_fit_empty(fit));
	fit = seeks_fit_of(PASS_ERA_B_4_19, &in, 127);
	CHECK(!least_fit_add(&least, &in, 127, &fit));
	CHECK(seeks_fit_empty(fit));
	fit = seeks_fit_of(PASS_ERA_B_4_19, &in, 129);
	CHECK(!least_fit_add(&least, &in, 129, &fit));
	CHECK(seeks_fit_empty(fit));
}

int main(void)
{
	RUN(computes_each_era);
	RUN(asks_the_callback);
	RUN(refuses_divisions_by_zero);
	RUN(fits_seeks);
	RUN(fits_least_deltas);
	RUN(refuses_too_small_deltas);
	return checks_report("test_eras");
}
