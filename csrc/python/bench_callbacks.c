/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "bench_callbacks.h"
#include "python_host.h"

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

unsigned long bench_call_back(struct shrinker *shrinker, unsigned long batch,
			      unsigned long passes)
{
	unsigned long calls = 0;
	uintptr_t state = 0;

	python_host_enter(&state);
	for (; passes; passes--) {
		struct shrink_control sc = { .gfp_mask = GFP_KERNEL };
		unsigned long left = shrinker->count_objects(shrinker, &sc);

		calls++;
		if (left == SHRINK_EMPTY)
			continue;
		while (left >= batch) {
			sc.nr_to_scan = sc.nr_scanned = batch;
			if (shrinker->scan_objects(shrinker, &sc) == SHRINK_STOP)
				break;
			calls++;
			left -= sc.nr_scanned;
		}
	}
	python_host_leave(&state);
	return calls;
}

unsigned long bench_create_memcgs(struct mem_cgroup *parent,
				  struct mem_cgroup **memcgs, unsigned long nr)
{
	unsigned long made;

	for (made = 0; made < nr; made++)
		if (mem_cgroup_create(parent, &memcgs[made]))
			break;
	return made;
}

void bench_remove_memcgs(struct mem_cgroup **memcgs, unsigned long nr)
{
	for (unsigned long i = 0; i < nr; i++) {
		mem_cgroup_offline(memcgs[i]);
		mem_cgroup_remove(memcgs[i]);
		mem_cgroup_put(memcgs[i]);
	}
}

void bench_set_bits(struct mem_cgroup **memcgs, unsigned long nr, int nr_nodes,
		    const int *ids, unsigned long nr_ids, unsigned long rounds)
{
	for (; rounds; rounds--)
		for (unsigned long i = 0; i < nr; i++)
			for (int nid = 0; nid < nr_nodes; nid++)
				for (unsigned long k = 0; k < nr_ids; k++)
					set_shrinker_bit(memcgs[i], nid, ids[k]);
}

unsigned long bench_walk_memcgs(struct reclaim_domain *domain,
				struct mem_cgroup **memcgs, unsigned long nr,
				int nr_nodes, int priority, unsigned long rounds)
{
	unsigned long freed = 0;

	for (; rounds; rounds--)
		for (unsigned long i = 0; i < nr; i++)
			for (int nid = 0; nid < nr_nodes; nid++)
				freed += reclaim_shrink_slab(domain, GFP_KERNEL,
							     nid, memcgs[i],
							     priority);
	return freed;
}
