/* SPDX-License-Identifier: MIT */
/*
 * The weights of a cache that has no weigher: estimates, from some entries.
 *
 * - The length of a value of bytes or text costs nothing to read, so it counts at each
 *   set.  The rest is measured (sizeof.c) at some sets, and its running mean stands for
 *   the others.  Each measured entry has its own size.
 * - The first entries are measured all, then one in SETS_BETWEEN.  A measurement takes
 *   as long as 5 sets for a key and a small value, and longer where making the value does.
 * - Where one is far larger than estimated, sizes may have changed, or it is an exception:
 *   more are measured, and tell.
 * - However few sets there are, a measurement comes after BYTES_BETWEEN.
 */
#include "python/cache.h"

#include "python/dice.h"
#include "python/sizeof.h"

/* Entries that are measured one after the other: the first ones, and after a surprise. */
#define IN_A_ROW 16
/* A new measurement changes the mean by this part of the difference. */
#define MEAN_OF 8
/* Sets for a measurement, on the average. */
#define SETS_BETWEEN 128
/* Estimated bytes that are set without a measurement. */
#define BYTES_BETWEEN (4 << 20)
/* A measurement of so many times the estimate may be a change of sizes. */
#define SURPRISE 8
/* What sets use changes where the mean has by this part. */
#define NOTEWORTHY 32
/* An entry, its place in a table that is half to a quarter full, and a ghost's place. */
#define ENTRY_BYTES (sizeof(struct entry) + 30)

static double distance(double a, double b)
{
	return a < b ? b - a : a - b;
}

/* Return: sets until the next measurement: half of @most to one and a half, so that it
 * keeps no step with the program. */
static uint32_t spread_out(struct store *store, double most)
{
	return (uint32_t)(most / 2) + (uint32_t)dice_below(&store->random, (size_t)most + 1);
}

/**
 * store_measure - measure an entry, and learn from it
 * @length: of @value
 * @weight: receives the entry's bytes
 *
 * Context: may run Python code.
 * Return: 0; -1 with an exception set.
 */
int store_measure(struct store *store, PyObject *key, PyObject *value, int64_t length,
		  uint64_t *weight)
{
	struct sampling *sampling = &store->sampling;
	PyObject *entry[] = { key, value };
	double estimate = (double)(sampling->used + length), rest, sets;

	if (python_sizeof(entry, 2, weight) < 0)
		return -1;
	*weight += ENTRY_BYTES;
	rest = (double)*weight - (double)length;
	sampling->familiar = Py_TYPE(value);
	sampling->skip = 0;
	if (!sampling->begun) {
		sampling->begun = true;
		sampling->in_a_row = IN_A_ROW - 1;
		sampling->sum = 0;
		return 0;
	}
	if (!sampling->in_a_row) {
		sampling->mean += (rest - sampling->mean) / MEAN_OF;
		if ((double)*weight > SURPRISE * estimate) {
			sampling->in_a_row = IN_A_ROW - 1;
			sampling->sum = 0;
			return 0;
		}
	} else {
		sampling->sum += rest;
		if (--sampling->in_a_row)
			return 0;
		if (sampling->mean < sampling->sum / (IN_A_ROW - 1))
			sampling->mean = sampling->sum / (IN_A_ROW - 1);
	}
	if (distance(sampling->mean, (double)sampling->used) * NOTEWORTHY >
	    distance((double)sampling->used, 0))
		sampling->used = (int64_t)sampling->mean;
	sets = BYTES_BETWEEN / (distance(rest, 0) + 1);
	sampling->skip = spread_out(store, sets < SETS_BETWEEN ? sets : SETS_BETWEEN);
	return 0;
}
