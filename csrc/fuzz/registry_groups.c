/* SPDX-License-Identifier: MIT */
/*
 * Memory cgroups of registry_world.h: the tree, and the shrinkers' bits.
 */
#include "registry_world.h"

/* --- memory cgroups ------------------------------------------------------- */

static bool has_child(const struct machine *machine, int group, bool online)
{
	int i;

	for (i = 1; i < machine->nr_groups; i++)
		if (machine->group[i].parent == group &&
		    (online ? machine->group[i].online :
			      !machine->group[i].removed))
			return true;
	return false;
}

/* The group, or the nearest ancestor that is online, which has the group's
 * items. */
int online_place(struct machine *machine, int group)
{
	while (group > 0 && !machine->group[group].online)
		group = machine->group[group].parent;
	return group;
}

static int lowest_kmem_id(const struct machine *machine)
{
	int id = 1, i = 1;

	while (i < machine->nr_groups)
		if (machine->group[i].online && machine->group[i].kmem_id == id) {
			id++;
			i = 1;
		} else {
			i++;
		}
	return id;
}

void op_group_create(struct machine *machine)
{
	int parent = pick_group(machine);
	struct group *group = machine->group + machine->nr_groups;
	struct mem_cgroup *memcg = NULL;
	int error;

	if (parent < 0 || machine->nr_groups == GROUPS)
		return;
	error = mem_cgroup_create(memcg_of(machine, parent), &memcg);
	if (!machine->group[parent].online) {
		EXPECT_EQ(error, -EINVAL);
		EXPECT(!memcg);
		return;
	}
	EXPECT_EQ(error, 0);
	memset(group, 0, sizeof(*group));
	group->memcg = memcg;
	group->parent = parent;
	group->kmem_id = lowest_kmem_id(machine);
	group->held = group->online = true;
	machine->nr_groups++;
	EXPECT_EQ(mem_cgroup_kmem_id(memcg), group->kmem_id);
	EXPECT_EQ(mem_cgroup_get_id(memcg), machine->nr_groups);
	EXPECT(mem_cgroup_is_online(memcg));
}

static void add_deferred(struct machine *machine, int group)
{
	struct group *from = &machine->group[group];
	struct group *to = group ? &machine->group[from->parent] : from;
	int nid, id;

	for (nid = 0; nid < machine->nr_nodes; nid++)
		for (id = 0; id < IDS; id++)
			to->deferred[nid][id] = i64((wide)to->deferred[nid][id] +
						    from->deferred[nid][id]);
}

static void go_offline(struct machine *machine, int index)
{
	struct group *group = &machine->group[index];
	int expected = index == 0		      ? -EINVAL :
		       has_child(machine, index, true) ? -EBUSY :
							 0;

	EXPECT_EQ(mem_cgroup_offline(group->memcg), expected);
	if (expected || !group->online)
		return;
	group->online = false;
	add_deferred(machine, index);
	splice_lists(machine, index);
}

void op_group_end(struct machine *machine)
{
	unsigned int how = take(&world.script) % 4;
	int index = pick_group(machine);
	struct group *group = machine->group + (index < 0 ? 0 : index);
	bool busy;

	if (index < 0)
		return;
	if (how == 0) {
		reparent_shrinker_deferred(group->memcg);
		add_deferred(machine, index);
		return;
	}
	if (how < 3)
		go_offline(machine, index);
	if (how > 1) {
		busy = group->online || has_child(machine, index, false);
		EXPECT_EQ(mem_cgroup_remove(group->memcg), busy ? -EBUSY : 0);
		group->removed |= !busy;
	}
	EXPECT_EQ(mem_cgroup_is_online(group->memcg), group->online);
}

void op_group_put(struct machine *machine)
{
	int index = pick_group(machine);

	/* The domain holds the root. */
	if (index <= 0 || machine->group[index].named)
		return;
	machine->group[index].held = false;
	mem_cgroup_put(machine->group[index].memcg);
}

/* --- bits ----------------------------------------------------------------- */

void set_bit(struct machine *machine, int group, int nid, int id)
{
	if (group > 0 && nid >= 0 && nid < machine->nr_nodes && id >= 0 &&
	    id < machine->nr_max)
		machine->group[group].bit[nid][id] = true;
}

void op_bits(struct machine *machine)
{
	int group = pick_group(machine);
	struct owner *owner = pick_owner(machine);
	int id = owner ? owner->id : (int)take(&world.script) - 1;
	int nid = take_nid(machine);

	if (!machine->memcgs)
		return;
	set_shrinker_bit(memcg_of(machine, group), nid, id);
	set_bit(machine, group, nid, id);
	if (group > 0 && nid >= 0 && nid < machine->nr_nodes && id >= 0 && id < IDS)
		EXPECT_EQ(mem_cgroup_has_bit(memcg_of(machine, group), nid, id),
			  machine->group[group].bit[nid][id]);
}
