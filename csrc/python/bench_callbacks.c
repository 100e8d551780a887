/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "python/bench_callbacks.h"

unsigned long bench_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	(void)sc;
	return (unsigned long)(uintptr_t)shrinker->private_data;
}

unsigned long bench_count_recorded(struct shrinker *shrinker,
				   struct shrink_control *sc)
{
	struct bench_recording *recording = shrinker->private_data;
	unsigned long count = recording->counts[recording->next];

	(void)sc;
	if (++recording->next == recording->nr_counts)
		recording->next = 0;
	return count;
}

unsigned long bench_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	(void)shrinker;
	return sc->nr_to_scan;
}

unsigned long bench_walk(struct reclaim_domain *domain, const int *priorities,
			 unsigned long nr_priorities, unsigned long rounds)
{
	unsigned long freed = 0;

	for (; rounds; rounds--)
		for (unsigned long i = 0; i < nr_priorities; i++)
			freed += reclaim_shrink_slab(domain, GFP_KERNEL, 0, NULL,
						     priorities[i]);
	return freed;
}
