/* SPDX-License-Identifier: MIT */
/*
 * Shrinkers and domains of registry_world.h: their life.
 */
#include "registry_world.h"

/* --- picking -------------------------------------------------------------- */

/* One of the owners in use, counted from the first; NULL where there is none. */
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

/* Its memory is ours to look at. */
bool shrinker_is_ours(const struct owner *owner)
{
	return owner->state != VACANT && owner->state != FREED;
}

/* A group that calls may be made with; -1 stands for NULL. */
int pick_group(struct machine *machine)
{
	int group = take_below(&world.script, machine->nr_groups + 1) - 1;

	return group >= 0 && machine->group[group].held ? group : -1;
}

struct mem_cgroup *memcg_of(struct machine *machine, int group)
{
	return group < 0 ? NULL : machine->group[group].memcg;
}

/* Mostly there. */
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

/* The shrinker is out of every walk's hands. */
static void bury(struct owner *owner)
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

/* A walk goes on. */
void leave_owner(struct owner *owner)
{
	owner->holds--;
	if (owner->dying && !is_held(owner))
		bury(owner);
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

static void register_one(struct owner *owner)
{
	shrinker_register(owner->shrinker);
	owner->state = REGISTERED;
	EXPECT_EQ(shrinker_debugfs_id(owner->shrinker), owner->machine->seq);
	owner->seq = ++owner->machine->seq;
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
		bury(owner);
}

/* Waits only where nothing has to be waited for: there is one thread. */
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
		/* Outside callbacks the wait ends at once. */
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

	/* Who puts keeps the domain. */
	if (!owner || !machine->held)
		return;
	if (owner->refs && take(&world.script) & 1) {
		shrinker_put(owner->shrinker);
		owner->refs--;
		if (owner->dying && !is_held(owner))
			bury(owner);
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

/* The end, in the order that the bytes say. */
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

/* Outside callbacks: a domain goes, while others have things in it, or comes. */
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
