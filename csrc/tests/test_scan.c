/* SPDX-License-Identifier: MIT */
/* The steps of a pass, at the limits of 64 bits and against 128-bit arithmetic. */
#include "check.h"
#include "scan.h"

typedef __int128 wide;

#define MAX INT64_MAX
#define MIN INT64_MIN

static uint64_t random_state = 88172645463325252U;

/* Random bits, shifted so that numbers of all magnitudes occur. */
static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> (random_state & 63);
}

static int64_t random_signed(void)
{
	uint64_t bits = random_bits();

	return (int64_t)(random_state & 64 ? bits : 0 - bits);
}

/* The low 64 bits, as a signed number. */
static int64_t cut(wide number)
{
	return (int64_t)(uint64_t)number;
}

/* Sums, differences and doubles are those of unbounded numbers modulo 2^64. */
static void wraps_modulo_2_64(void)
{
	int i;

	CHECK_EQ(wrap_add(MAX, 1), MIN);
	CHECK_EQ(wrap_add(MIN, -1), MAX);
	CHECK_EQ(wrap_sub(MIN, 1), MAX);
	CHECK_EQ(wrap_sub(0, MIN), MIN);
	CHECK_EQ(wrap_double(MAX), -2);
	CHECK_EQ(wrap_double(MIN), 0);
	CHECK_EQ(wrap_double(INT64_C(1) << 62), MIN);
	for (i = 0; i < 20000; i++) {
		int64_t a = random_signed(), b = random_signed();

		CHECK_EQ(wrap_add(a, b), cut((wide)a + b));
		CHECK_EQ(wrap_sub(a, b), cut((wide)a - b));
		CHECK_EQ(wrap_double(a), cut((wide)a * 2));
		CHECK_EQ(min_signed(a, b), a < b ? a : b);
	}
}

/* With seeks 0, delta is half of the count, rounded toward zero, at any
 * priority. */
static void delta_without_seeks_is_half(void)
{
	CHECK_EQ(scan_delta(1001, 0, 0), 500);
	CHECK_EQ(scan_delta(1001, 12, 0), 500);
	CHECK_EQ(scan_delta(1, 0, 0), 0);
	CHECK_EQ(scan_delta(-3, 0, 0), UINT64_MAX); /* -1 */
	CHECK_EQ(scan_delta(MIN, 63, 0), UINT64_C(3) << 62);
}

/* delta is the shifted count times 4, cut to 64 bits, divided by unsigned seeks. */
static void delta_follows_the_formula(void)
{
	static const int seeks[] = { 1, 2, 3, 4, 7, INT32_MAX, -1, INT32_MIN };
	unsigned int s;
	int i;

	CHECK_EQ(scan_delta(1000, 0, 2), 2000);
	CHECK_EQ(scan_delta(4095, 12, 2), 0);
	CHECK_EQ(scan_delta(4096, 12, 2), 2);
	CHECK_EQ(scan_delta(1000, 0, 8), 500);
	/* The product wraps before it is divided. */
	CHECK_EQ(scan_delta(INT64_C(1) << 62, 0, 2), 0);
	/* The shift keeps the sign. */
	CHECK_EQ(scan_delta(-1, 63, 1), UINT64_MAX - 3);
	/* Negative seeks are a huge divisor. */
	CHECK_EQ(scan_delta(1000, 0, -1), 0);
	CHECK_EQ(scan_delta(INT64_C(1) << 40, 0, -1), 1024);

	for (i = 0; i < 20000; i++) {
		int64_t freeable = random_signed();
		int priority = (int)(random_bits() % 64);

		for (s = 0; s < LENGTH(seeks); s++)
			CHECK_EQ(scan_delta(freeable, priority, seeks[s]),
				 (uint64_t)((wide)(freeable >> priority) * 4) /
					 (uint32_t)seeks[s]);
	}
}

/* The deferred objects are shifted by the priority; the cap is 2 x count. */
static void total_follows_the_formula(void)
{
	int i;

	CHECK_EQ(scan_total(0, 2000, 1000, 0), 2000);
	CHECK_EQ(scan_total(4096, 10, 1000, 12), 11);
	CHECK_EQ(scan_total(5000, 10, 1000, 0), 2000);
	CHECK_EQ(scan_total(-1, 0, 1000, 12), -1);
	/* Above 2^63 - 1 it is negative, so nothing is scanned. */
	CHECK_EQ(scan_total(MAX, 1, 1000, 0), MIN);
	CHECK_EQ(scan_total(0, 1, MAX, 0), -2);

	for (i = 0; i < 20000; i++) {
		int64_t nr = random_signed(), freeable = random_signed();
		uint64_t delta = random_bits();
		int priority = (int)(random_bits() % 64);
		int64_t total = cut((wide)(nr >> priority) + delta);
		int64_t cap = cut((wide)freeable * 2);

		CHECK_EQ(scan_total(nr, delta, freeable, priority),
			 total < cap ? total : cap);
	}
}

/* 0 means 128. */
static void batch_has_a_default(void)
{
	CHECK_EQ(scan_batch_size(0), SHRINK_BATCH);
	CHECK_EQ(scan_batch_size(1), 1);
	CHECK_EQ(scan_batch_size(-5), -5);
}

/* The pass goes on for a full batch, or for less if that is the whole cache. */
static void small_caches_need_no_full_batch(void)
{
	CHECK(scan_wanted(128, 128, 1000));
	CHECK(!scan_wanted(127, 128, 1000));
	CHECK(scan_wanted(50, 128, 50));
	CHECK(!scan_wanted(49, 128, 50));
	CHECK(scan_wanted(0, 128, -1));
	CHECK(!scan_wanted(-2, 128, MAX));
	CHECK(scan_wanted(-2, -2, MAX));
}

/* Objects that were not scanned are deferred: at least 0, at most 2 x count. */
static void deferred_follows_the_formula(void)
{
	int i;

	CHECK_EQ(scan_deferred(0, 2000, 1920, 1000), 80);
	CHECK_EQ(scan_deferred(0, 100, 200, 1000), 0);
	CHECK_EQ(scan_deferred(5000, 100, 0, 1000), 2000);
	/* Negative only if the double of the count has wrapped. */
	CHECK_EQ(scan_deferred(0, 0, 0, MAX), -2);
	CHECK_EQ(scan_deferred(0, 0, 0, -3), -6);

	for (i = 0; i < 20000; i++) {
		int64_t nr = random_signed(), scanned = random_signed();
		int64_t freeable = random_signed();
		uint64_t delta = random_bits();
		int64_t next = cut((wide)nr + delta - scanned);
		int64_t cap = cut((wide)freeable * 2);

		if (next < 0)
			next = 0;
		CHECK_EQ(scan_deferred(nr, delta, scanned, freeable),
			 next < cap ? next : cap);
	}
}

int main(void)
{
	RUN(wraps_modulo_2_64);
	RUN(delta_without_seeks_is_half);
	RUN(delta_follows_the_formula);
	RUN(total_follows_the_formula);
	RUN(batch_has_a_default);
	RUN(small_caches_need_no_full_batch);
	RUN(deferred_follows_the_formula);
	return checks_report("test_scan");
}
