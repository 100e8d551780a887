/* SPDX-License-Identifier: MIT */
/*
 * Events of registry_world.h, and the comparison of the domains with their models.
 */
#include "registry_world.h"

/* --- events --------------------------------------------------------------- */

/* The events of each machine that were not read. */
static struct shrink_event kept[MACHINES][EVENTS];

static struct shrink_event *events_of(struct machine *machine)
{
	return kept[machine - world.machine];
}

void emit(struct machine *machine, const struct shrink_event *event)
{
	if (!machine->keeps_events)
		return;
	if ((uint64_t)machine->nr_events >= machine->limit)
		machine->lost++;
	else
		events_of(machine)[machine->nr_events++] = *event;
}

static void same_event(const struct shrink_event *got,
		       const struct shrink_event *expected)
{
	EXPECT_EQ(got->type, expected->type);
	EXPECT_EQ(got->label, expected->label);
	EXPECT_EQ(got->shrinker, expected->shrinker);
	EXPECT_EQ(got->scan_objects, expected->scan_objects);
	EXPECT_EQ(got->nid, expected->nid);
	EXPECT_EQ(got->gfp_mask, expected->gfp_mask);
	EXPECT_EQ(got->priority, expected->priority);
	EXPECT_EQ(got->retval, expected->retval);
	EXPECT_EQ(got->nr, expected->nr);
	EXPECT_EQ(got->total_scan, expected->total_scan);
	EXPECT_EQ(got->freeable, expected->freeable);
	EXPECT_EQ(got->delta, expected->delta);
	EXPECT_EQ(got->new_nr, expected->new_nr);
}

static void read_events(struct machine *machine)
{
	struct shrink_event got[16];
	int max = take_below(&world.script, 17), expected = machine->nr_events, i;

	if (expected > max)
		expected = max;
	EXPECT_EQ(reclaim_trace_read(machine->domain, got, (unsigned long)max),
		  expected);
	for (i = 0; i < expected; i++)
		same_event(&got[i], &events_of(machine)[i]);
	machine->nr_events -= expected;
	memmove(events_of(machine), events_of(machine) + expected,
		(size_t)machine->nr_events * sizeof(got[0]));
}

void op_events(struct machine *machine)
{
	unsigned int how = take(&world.script);
	int error;

	if (!machine->held)
		return;
	switch (how % 4) {
	case 0:
	case 1:
		read_events(machine);
		break;
	case 2:
		error = reclaim_trace_start(machine->domain, how * 8);
		EXPECT_EQ(error, machine->keeps_events ? -EBUSY : 0);
		if (!machine->keeps_events) {
			machine->keeps_events = true;
			machine->limit = how * 8;
		}
		break;
	default:
		if (how < 128)
			break;
		reclaim_trace_stop(machine->domain);
		machine->keeps_events = false;
		machine->lost = 0;
		machine->nr_events = 0;
		break;
	}
	EXPECT_EQ(reclaim_trace_lost(machine->domain), machine->lost);
}

/* --- comparison ----------------------------------------------------------- */

static void compare_groups(struct machine *machine)
{
	int64_t deferred[MEMCG_UNIT_IDS];
	int i, nid, unit, bit;

	for (i = 0; i < machine->nr_groups; i++) {
		struct group *group = &machine->group[i];

		if (!group->held)
			continue;
		EXPECT_EQ(mem_cgroup_nr_max(group->memcg), machine->nr_max);
		EXPECT_EQ(mem_cgroup_is_online(group->memcg), group->online);
		for (nid = 0; nid < machine->nr_nodes; nid++)
			for (unit = 0; unit * 64 < machine->nr_max; unit++) {
				uint64_t map = mem_cgroup_read_unit(
					group->memcg, nid, unit, deferred);

				for (bit = 0; bit < 64; bit++) {
					int id = unit * 64 + bit;

					EXPECT_EQ(map >> bit & 1,
						  group->bit[nid][id]);
					EXPECT_EQ(deferred[bit],
						  group->deferred[nid][id]);
				}
			}
	}
}

static void compare_tree(struct machine *machine)
{
	struct mem_cgroup *memcg = NULL;
	unsigned int seen = 0, expected = 0;
	int i;

	for (i = 0; i < machine->nr_groups; i++)
		expected += !machine->group[i].removed;
	while ((memcg = mem_cgroup_next(machine->group[0].memcg, memcg)))
		seen++;
	EXPECT_EQ(seen, expected);
}

static void compare_owners(struct machine *machine)
{
	unsigned long lingering = 0;
	int i, nid;

	for (i = 0; i < OWNERS; i++) {
		struct owner *owner = &machine->owner[i];
		struct shrinker_statistics got;

		lingering += owner->dying;
		if (!shrinker_is_ours(owner))
			continue;
		EXPECT_EQ(shrinker_id(owner->shrinker), owner->id);
		shrinker_get_statistics(owner->shrinker, &got);
		EXPECT_EQ(got.passes, owner->counted.passes);
		EXPECT_EQ(got.scan_calls, owner->counted.scan_calls);
		EXPECT_EQ(got.scanned, owner->counted.scanned);
		EXPECT_EQ(got.freed, owner->counted.freed);
		EXPECT_EQ(got.stalled, owner->counted.stalled);
		for (nid = 0; nid < machine->nr_nodes; nid++)
			EXPECT_EQ(shrinker_nr_deferred(owner->shrinker, nid, NULL),
				  *counter_of(owner, 0, nid));
	}
	EXPECT_EQ(reclaim_domain_nr_lingering(machine->domain), lingering);
}

static void compare_lists(struct machine *machine)
{
	int i, nid, group;

	for (i = 0; i < LRUS; i++) {
		struct lru *lru = &machine->lru[i];
		long all = 0;

		if (!lru->there)
			continue;
		for (nid = 0; nid < machine->nr_nodes; nid++) {
			long node = 0;

			for (group = 0; group < GROUPS; group++) {
				struct mem_cgroup *memcg =
					machine->group[group].memcg;

				node += lru->length[nid][group];
				if (lru->by_group && machine->group[group].held)
					EXPECT_EQ(list_lru_count_one(
							  &lru->lru, nid, memcg),
						  lru->length[nid][group]);
			}
			EXPECT_EQ(list_lru_count_node(&lru->lru, nid), node);
			all += node;
		}
		EXPECT_EQ(list_lru_count(&lru->lru), all);
	}
}

/* Called outside callbacks, where the model is up to date. */
void compare(struct machine *machine)
{
	struct reclaim_statistics got;

	if (!machine->held)
		return;
	if (machine->memcgs) {
		compare_groups(machine);
		compare_tree(machine);
	}
	compare_owners(machine);
	compare_lists(machine);
	reclaim_domain_get_statistics(machine->domain, &got);
	EXPECT_EQ(got.walks, machine->counted.walks);
	EXPECT_EQ(got.passes, machine->counted.passes);
	EXPECT_EQ(got.scan_calls, machine->counted.scan_calls);
	EXPECT_EQ(got.slabs_scanned, machine->counted.slabs_scanned);
	EXPECT_EQ(got.freed, machine->counted.freed);
	EXPECT_EQ(got.stalled, machine->counted.stalled);
	EXPECT_EQ(got.nested, machine->counted.nested);
	EXPECT_EQ(got.host_entries, machine->counted.host_entries);
}
