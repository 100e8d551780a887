/* SPDX-License-Identifier: MIT */
/* Making memory short, and a test's beginning and end. */
#define _GNU_SOURCE 1

#include <stdio.h>

#include <shrinker_test.h>

#include "kit/kit.h"

/* --- pressure --------------------------------------------------------------------- */

unsigned long
shrinker_test_pressure_on(const struct shrinker_test_pressure *pressure)
{
	int nodes = reclaim_domain_nr_nodes(reclaim_default_domain());
	unsigned int flags = current->flags & PF_MEMALLOC;
	unsigned long freed = 0;
	int nid;

	current->flags |= PF_MEMALLOC;
	for (nid = 0; nid < nodes; nid++)
		if (pressure->nid < 0 || pressure->nid == nid)
			freed += shrink_slab(pressure->gfp_mask, nid,
					     pressure->memcg, pressure->priority);
	current->flags = (current->flags & ~PF_MEMALLOC) | flags;
	/* What callbacks have queued. */
	kit_let_go();
	return freed;
}

unsigned long shrinker_test_pressure(int priority)
{
	const struct shrinker_test_pressure all = {
		.priority = priority,
		.gfp_mask = GFP_KERNEL,
		.nid = -1,
	};

	return shrinker_test_pressure_on(&all);
}

/* --- a test's beginning and end ---------------------------------------------------- */

void shrinker_test_begin(void)
{
	kit_testing_begin();
	shrinker_test_check_locks(true);
	shrinker_test_work(SHRINKER_TEST_WORK_INLINE);
	shrinker_test_on_failure(NULL);
	kit_bound_begin();
	kit_memory_begin();
	kit_made_begin();
	kit_reset_counts();
}

static int complain_of(unsigned long n, const char *what)
{
	if (n)
		fprintf(stderr, "%lu %s, see above\n", n, what);
	return n != 0;
}

int shrinker_test_end(void)
{
	int complaints = kit_shrinkers_complain(), i;

	kit_let_go();
	for (i = 0; i < kit_thread.nr_held; i++, complaints++)
		fprintf(stderr, "a lock is held, taken at %s\n",
			kit_thread.held[i].place);
	if (kit_thread.rcu_depth) {
		fprintf(stderr, "rcu_read_lock() at %s was not undone\n",
			kit_thread.rcu_place);
		complaints++;
	}
	complaints += complain_of(shrinker_test_warnings(), "warnings");
	complaints += complain_of(shrinker_test_failures(), "failures");
	return complaints + kit_work_complain() + kit_made_complain() +
	       kit_memory_complain();
}
