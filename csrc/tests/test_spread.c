/* SPDX-License-Identifier: MIT */
/* The buckets of a cache's table fill evenly, for hashes of any distance. */
#include "check.h"
#include "python/spread.h"

/* As a table of a cache has: at least two buckets for an entry. */
#define LOG_BUCKETS 13
#define NR_BUCKETS (1 << LOG_BUCKETS)
#define NR_KEYS (NR_BUCKETS / 2)
/* Of random hashes, one chain in 10^9 is longer. */
#define LONGEST_CHAIN 9

static void check_stride(uint64_t stride)
{
	static unsigned short chain[NR_BUCKETS];
	unsigned int longest = 0;
	uint64_t i;

	memset(chain, 0, sizeof(chain));
	for (i = 0; i < NR_KEYS; i++) {
		uint64_t bucket = spread_hash((int64_t)(i * stride),
					      64 - LOG_BUCKETS);

		CHECK(bucket < NR_BUCKETS);
		if (++chain[bucket] > longest)
			longest = chain[bucket];
	}
	if (longest > LONGEST_CHAIN)
		fprintf(stderr, "stride %llu\n", (unsigned long long)stride);
	CHECK(longest <= LONGEST_CHAIN);
}

static void small_strides(void)
{
	uint64_t stride;

	for (stride = 1; stride < 2000; stride++)
		check_stride(stride);
}

static void powers_and_their_neighbours(void)
{
	uint64_t power;
	int shift;

	for (shift = 1; shift < 64 - LOG_BUCKETS; shift++) {
		power = UINT64_C(1) << shift;
		check_stride(power);
		check_stride(power - 1);
		check_stride(power + 1);
		check_stride(-power);
	}
	for (power = 10; power < UINT64_C(1000000000000000); power *= 10)
		check_stride(power);
}

/* Their multiples are near whole turns of the golden ratio. */
static void fibonacci_numbers(void)
{
	uint64_t a = 1, b = 2, next;

	for (; b < UINT64_C(1) << (64 - LOG_BUCKETS); a = b, b = next) {
		next = a + b;
		check_stride(b);
		check_stride(b + a / 2);
	}
}

int main(void)
{
	RUN(small_strides);
	RUN(powers_and_their_neighbours);
	RUN(fibonacci_numbers);
	return checks_report("test_spread");
}
