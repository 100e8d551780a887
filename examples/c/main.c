// SPDX-License-Identifier: MIT
/*
 * Shrinks the demo cache, prints how many buffers it freed, and compares that with the
 * formula.  Exits with status 1 where they differ.
 */
#include <stdio.h>

#include <linux/shrinker.h>

#include "kernel_style.h"

static unsigned long nr_scan_calls;
static int wrong;

/*
 * Number of buffers that shrink_slab() should free of @nr, with *@deferred objects left
 * by earlier calls, which it updates.  Seeks 2 and batch 64, as in demo_init().
 */
static unsigned long formula(unsigned long nr, int priority,
			     unsigned long *deferred)
{
	unsigned long delta = (nr >> priority) * 4 / 2;
	unsigned long total = (*deferred >> priority) + delta;
	unsigned long scanned = 0;

	if (nr == 0)
		return 0;
	if (total > 2 * nr)
		total = 2 * nr;
	/* Full batches, or less where that is the whole cache. */
	while (total >= 64 || total >= nr) {
		unsigned long batch = total < 64 ? total : 64;

		total -= batch;
		scanned += batch;
	}
	*deferred += delta - scanned;
	if (*deferred > 2 * nr)
		*deferred = 2 * nr;
	return scanned < nr ? scanned : nr;
}

static void row(const char *what, unsigned long before, unsigned long expected)
{
	unsigned long left = demo_nr_buffers(), freed = before - left;

	printf("%-28s %8lu %8lu %8lu %8lu %6lu%s\n", what, before, freed, expected,
	       left, nr_scan_calls, freed == expected ? "" : "  WRONG");
	if (freed != expected)
		wrong = 1;
	nr_scan_calls = 0;
}

int main(void)
{
	unsigned long deferred = 0, before, expected, returned;
	char what[64];
	int priority;

	if (demo_init(&nr_scan_calls) || demo_fill(10000)) {
		fprintf(stderr, "out of memory\n");
		return 1;
	}

	printf("%-28s %8s %8s %8s %8s %6s\n", "", "before", "freed", "formula",
	       "left", "calls");
	for (priority = DEF_PRIORITY; priority >= 0; priority -= 2) {
		before = demo_nr_buffers();
		expected = formula(before, priority, &deferred);
		returned = shrink_slab(GFP_KERNEL, 0, NULL, priority);
		snprintf(what, sizeof(what), "shrink_slab(), priority %d",
			 priority);
		row(what, before, expected);
		if (returned != before - demo_nr_buffers())
			wrong = 1;
	}

	if (demo_fill(1000)) {
		fprintf(stderr, "out of memory\n");
		return 1;
	}
	before = demo_nr_buffers();
	drop_slab();
	row("drop_slab()", before, before);

	demo_exit();
	if (demo_fill(10)) {
		fprintf(stderr, "out of memory\n");
		return 1;
	}
	before = demo_nr_buffers();
	drop_slab();
	row("after shrinker_free()", before, 0);
	return wrong;
}
