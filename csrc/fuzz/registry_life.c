/* SPDX-License-Identifier: MIT */
/*
 * Making and freeing the shrinkers and domains of registry_world.h.
 */
#include "registry_world.h"

/* --- picking -------------------------------------------------------------- */

/* An owner that is in use; NULL: there is none. */
struct owner *pick_owner(struct machine *machine)
{
	int from = take_below(&world.script, OWNERS), i;

	for (i = 0; i < OWNERS; i++) {
		struct owner *owner = &machine->owner[(from + i) % OWNERS];

		if (owner->state != VACANT)
			return owner;
	}
	return NULL;
}

/* Whether the shrinker's memory may be accessed. */
bool shrinker_is_ours(const struct owner *owner)
{
	return owner->state != VACANT && owner->state != FREED;
}

/* A group that may be passed to functions; -1 means NULL. */
int pick_group(struct machine *machine)
{
	int group = take_below(&world.script, machine->nr_groups + 1) - 1;

	return group >= 0 && machine->group[group].held ? group : -1;
}

struct mem_cgroup *memcg_of(struct machine *machine, int group)
{
	return group < 0 ? NULL : machine->group[group].memcg;
}

/* Mostly a valid node. */
int take_nid(struct machine *machine)
{
	unsigned int byte = take(&world.script);

	return byte == 255 ? -1 :
	       byte == 254 ? machine->nr_nodes :
			     (int)byte % machine->nr_nodes;
}

/* --- shrinkers ------------------------------------------------------------ */

static int lowest_free_id(struct machine *machine)
{
	int id = 0;

	while (machine->id_used[id])
		id++;
	machine->id_used[id] = true;
	if (id == machine->nr_max)
		machine->nr_max += MEMCG_UNIT_IDS;
	return id;
}

/* No walk holds the shrinker any more. */
static void end_dying(struct owner *owner)
{
	owner->dying = false;
	if (owner->id >= 0)
		owner->machine->id_used[owner->id] = false;
	if (owner->state == FREED)
		owner->state = VACANT;
}

static bool is_held(const struct owner *owner)
{
	return owner->holds || owner->refs;
}

/* A walk goes on from the shrinker. */
void leave_owner(struct owner *owner)
{
	owner->holds--;
	if (owner->dying && !is_held(owner))
		end_dying(owner);
}

static void alloc_one(struct machine *machine, struct owner *owner)
{
	unsigned int flags = take(&world.script);

	memset(owner, 0, sizeof(*owner));
	owner->machine = machine;
	owner->state = ALLOCATED;
	owner->shrinker = reclaim_shrinker_alloc(machine->domain, flags, "one");
	EXPECT(owner->shrinker);
	flags &= SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE | SHRINKER_NONSLAB;
	if (!machine->memcgs)
		flags &= ~SHRINKER_MEMCG_AWARE;
	owner->flags = flags;
	owner->id = flags & SHRINKER_MEMCG_AWARE ? lowest_free_id(machine) : -1;
	EXPECT_EQ(owner->shrinker->flags, flags | SHRINKER_ALLOCATED);
	EXPECT_EQ(shrinker_id(owner->shrinker), owner->id);
	EXPECT(!shrinker_try_get(owner->shrinker));
	owner->shrinker->count_objects = count_objects;
	owner->shrinker->scan_objects = scan_objects;
	owner->shrinker->private_data = owner;
	if (take(&world.script) & 1) {
		owner->hosted = true;
		owner->label = (uint32_t)owner->flags + 7;
		shrinker_set_host(owner->shrinker, &host);
		shrinker_set_label(owner->shrinker, owner->label);
	}
}

static struct owner *vacancy(struct machine *machine)
{
	int i;

	for (i = 0; i < OWNERS; i++)
		if (machine->owner[i].state == VACANT)
			return &machine->owner[i];
	return NULL;
}

static uint64_t lowest_free_debugfs_id(const struct machine *machine)
{
	uint64_t id = 0;
	int i = 0;

	while (i < OWNERS)
		if (machine->owner[i].state == REGISTERED &&
		    machine->owner[i].debugfs_id == id) {
			id++;
			i = 0;
		} else {
			i++;
		}
	return id;
}

static void register_one(struct owner *owner)
{
	owner->debugfs_id = lowest_free_debugfs_id(owner->machine);
	shrinker_register(owner->shrinker);
	owner->state = REGISTERED;
	EXPECT_EQ(shrinker_debugfs_id(owner->shrinker), owner->debugfs_id);
	owner->seq = ++owner->machine->seq;
	EXPECT_EQ(shrinker_order(owner->shrinker), owner->seq);
}

void op_alloc(struct machine *machine)
{
	struct owner *owner = vacancy(machine);

	if (!owner || !machine->held)
		return;
	alloc_one(machine, owner);
	owner->shrinker->seeks = take_below(&world.script, 5);
	owner->shrinker->batch = (long)take_number(&world.script);
	if (take(&world.script) & 3)
		register_one(owner);
}

/* Enough for the maps of the groups to grow. */
void op_crowd(struct machine *machine)
{
	int number = 2 + take_below(&world.script, 64);
	struct owner *owner;

	while (number-- && machine->held && (owner = vacancy(machine)))
		alloc_one(machine, owner);
}

void op_register(struct machine *machine)
{
	struct owner *owner = pick_owner(machine);
	char name[4] = "";

	if (!owner || !shrinker_is_ours(owner))
		return;
	if (owner->state == ALLOCATED) {
		register_one(owner);
	} else {
		EXPECT(shrinker_rename(owner->shrinker, "another"));
		EXPECT_EQ(shrinker_copy_name(owner->shrinker, name, 4), 7);
		EXPECT_EQ(memcmp(name, "ano", 4), 0);
	}
}

static void unlink_owner(struct owner *owner)
{
	if (owner->state != REGISTERED)
		return;
	owner->state = UNREGISTERED;
	owner->dying = true;
	if (!is_held(owner))
		end_dying(owner);
}

/* There is one thread, so it waits only where the wait ends at once. */
void op_free(struct machine *machine)
{
	struct owner *owner = pick_owner(machine);
	unsigned int how = take(&world.script);
	struct shrinker *shrinker;
	bool never_registered, idle;

	if (!owner || !shrinker_is_ours(owner))
		return;
	shrinker = owner->shrinker;
	never_registered = owner->state == ALLOCATED;
	if (how & 1) {
		bool wait = how & 2 && !owner->refs;

		unlink_owner(owner);
		idle = shrinker_unregister(shrinker, wait);
		EXPECT_EQ(idle, !owner->dying);
		return;
	}
	unlink_owner(owner);
	owner->state = FREED;
	if (never_registered || !owner->dying)
		owner->state = VACANT;
	if (never_registered && owner->id >= 0)
		machine->id_used[owner->id] = false;
	idle = owner->state == VACANT;
	if (how & 2 && !owner->refs)
		shrinker_free(shrinker);
	else
		EXPECT_EQ(shrinker_free_nowait(shrinker), idle);
}

void op_reference(struct machine *machine)
{
	struct owner *owner = pick_owner(machine);

	/* The caller of shrinker_put() has to hold the domain. */
	if (!owner || !machine->held)
		return;
	if (owner->refs && take(&world.script) & 1) {
		shrinker_put(owner->shrinker);
		owner->refs--;
		if (owner->dying && !is_held(owner))
			end_dying(owner);
	} else if (shrinker_is_ours(owner)) {
		bool got = shrinker_try_get(owner->shrinker);

		EXPECT_EQ(got, owner->state == REGISTERED || owner->refs);
		owner->refs += got;
	}
}

/* --- machines ------------------------------------------------------------- */

static void machine_create(struct machine *machine)
{
	unsigned int flags = take(&world.script);

	memset(machine, 0, sizeof(*machine));
	machine->held = true;
	machine->nr_nodes = 1 + take_below(&world.script, NODES);
	machine->memcgs = !(flags & 4);
	machine->kmem = !(flags & 8);
	machine->stall_limit = flags >> 4;
	machine->domain = reclaim_domain_create(
		machine->nr_nodes, machine->stall_limit,
		(machine->memcgs ? RECLAIM_MEMCG : 0) |
			(machine->kmem ? RECLAIM_KMEM : 0));
	EXPECT(machine->domain);
	if (machine->memcgs) {
		machine->group[0].memcg = reclaim_domain_root(machine->domain);
		machine->group[0].held = machine->group[0].online = true;
		machine->nr_groups = 1;
	}
	EXPECT_EQ(!machine->memcgs, !reclaim_domain_root(machine->domain));
}

/* Frees all, and puts the domain first or last. */
void free_machine(struct machine *machine)
{
	bool early = take(&world.script) & 1;
	int i;

	for (i = 0; i < OWNERS; i++)
		for (; machine->owner[i].refs; machine->owner[i].refs--)
			shrinker_put(machine->owner[i].shrinker);
	if (machine->held && early)
		reclaim_domain_put(machine->domain);
	for (i = 0; i < OWNERS; i++)
		if (shrinker_is_ours(&machine->owner[i]))
			shrinker_free(machine->owner[i].shrinker);
	free_lrus(machine);
	for (i = 1; i < machine->nr_groups; i++)
		if (machine->group[i].held)
			mem_cgroup_put(machine->group[i].memcg);
	if (machine->held && !early)
		reclaim_domain_put(machine->domain);
	memset(machine, 0, sizeof(*machine));
}

/* Makes a domain, or, outside callbacks, frees one. */
void op_machine(struct machine *machine)
{
	int i;

	if (!machine->nr_nodes) {
		machine_create(machine);
	} else if (!(take(&world.script) & 15) && !world.depth) {
		for (i = 0; i < OWNERS; i++)
			if (machine->owner[i].refs)
				return;
		free_machine(machine);
	}
}
