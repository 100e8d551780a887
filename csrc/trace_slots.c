// SPDX-License-Identifier: MIT
/* Deferred counters as slots and worlds; the header says what they are. */
#include "trace_slots.h"

#include <stdlib.h>
#include <string.h>

#include "scan.h"

/*
 * A world.
 */

static void world_exit(struct slot_world *world)
{
	free(world->slots);
	free(world->bindings);
	memset(world, 0, sizeof(*world));
}

static int world_copy(struct slot_world *to, const struct slot_world *from)
{
	*to = *from;
	to->slots = NULL;
	to->bindings = NULL;
	if (from->max_slots) {
		to->slots = malloc(from->max_slots * sizeof(*to->slots));
		if (!to->slots)
			goto fail;
		memcpy(to->slots, from->slots,
		       from->nr_slots * sizeof(*to->slots));
	}
	if (from->max_bindings) {
		to->bindings = malloc(from->max_bindings *
				      sizeof(*to->bindings));
		if (!to->bindings)
			goto fail;
		memcpy(to->bindings, from->bindings,
		       from->nr_bindings * sizeof(*to->bindings));
	}
	return 0;
fail:
	world_exit(to);
	return -1;
}

/* Room for one more element; -1 without memory, and nothing has changed. */
static int grow(void **array, uint32_t *max, size_t size)
{
	uint32_t more = *max ? *max * 2 : 4;
	void *p = realloc(*array, more * size);

	if (!p)
		return -1;
	*array = p;
	*max = more;
	return 0;
}

static struct slot_binding *find_binding(const struct slot_world *world,
					 uint64_t pass)
{
	/* From the back: the pass that started last mostly ends first. */
	for (uint32_t i = world->nr_bindings; i-- > 0;)
		if (world->bindings[i].pass == pass)
			return &world->bindings[i];
	return NULL;
}

static void remove_binding(struct slot_world *world, struct slot_binding *b)
{
	world->slots[b->slot].users--;
	*b = world->bindings[--world->nr_bindings];
}

/* The last slot moves into the gap. */
static void remove_slot(struct slot_world *world, uint32_t gap)
{
	uint32_t last = --world->nr_slots;

	if (gap == last)
		return;
	world->slots[gap] = world->slots[last];
	if (!world->slots[gap].users)
		return;
	for (uint32_t i = 0; i < world->nr_bindings; i++)
		if (world->bindings[i].slot == last)
			world->bindings[i].slot = gap;
}

/*
 * Index of a new slot.  A full world forgets its oldest idle slot: a cgroup
 * that was removed leaves one behind that nobody takes any more.
 */
static int64_t new_slot(struct slot_world *world, int64_t value, uint32_t memcg,
			uint64_t clock)
{
	if (world->nr_slots == SLOT_MAX) {
		uint32_t oldest = SLOT_MAX;

		for (uint32_t i = 0; i < SLOT_MAX; i++)
			if (!world->slots[i].users &&
			    (oldest == SLOT_MAX ||
			     world->slots[i].touched <
				     world->slots[oldest].touched))
				oldest = i;
		if (oldest == SLOT_MAX)
			return -1;
		remove_slot(world, oldest);
	} else if (world->nr_slots == world->max_slots &&
		   grow((void **)&world->slots, &world->max_slots,
			sizeof(*world->slots))) {
		return -1;
	}
	world->slots[world->nr_slots] = (struct slot){ .value = value,
						       .born = clock,
						       .touched = clock,
						       .memcg = memcg };
	return world->nr_slots++;
}

/* The pass has taken the slot over: 0 is left there. */
static int take_slot(struct slot_world *world, uint32_t slot, uint64_t pass,
		     bool adopted, uint64_t clock)
{
	uint64_t idle_since = world->slots[slot].touched;

	world->slots[slot].value = 0;
	world->slots[slot].touched = clock;
	if (world->nr_bindings == SLOT_BINDINGS)
		return 0;
	if (world->nr_bindings == world->max_bindings &&
	    grow((void **)&world->bindings, &world->max_bindings,
		 sizeof(*world->bindings)))
		return -1;
	world->bindings[world->nr_bindings++] =
		(struct slot_binding){ pass, idle_since, slot, adopted };
	world->slots[slot].users++;
	world->adopted += adopted;
	return 0;
}

/* An idle slot at 0 says no more than no slot at all. */
static void settle_slot(struct slot_world *world, uint32_t slot)
{
	if (!world->slots[slot].users && !world->slots[slot].value)
		remove_slot(world, slot);
}

/* Whether every idle slot of @a has its like in @b. */
static bool same_idle(const struct slot_world *a, const struct slot_world *b)
{
	uint64_t taken[SLOT_MAX / 64] = { 0 };

	for (uint32_t i = 0; i < a->nr_slots; i++) {
		uint32_t j = i, tries = 0;

		if (a->slots[i].users)
			continue;
		/* Worlds come from one another: mostly it is in its place. */
		for (; tries < b->nr_slots; tries++, j = (j + 1) % b->nr_slots)
			if (!(taken[j / 64] >> j % 64 & 1) &&
			    !b->slots[j].users &&
			    a->slots[i].value == b->slots[j].value &&
			    a->slots[i].memcg == b->slots[j].memcg)
				break;
		if (tries == b->nr_slots)
			return false;
		taken[j / 64] |= UINT64_C(1) << j % 64;
	}
	return true;
}

/*
 * Whether the passes of @a share their slots as those of @b do, and find the
 * same values there.  Equal numbers of users make the map one to one.
 */
static bool same_bindings(const struct slot_world *a,
			  const struct slot_world *b)
{
	uint32_t like[SLOT_MAX];

	memset(like, 0xff, sizeof(like));
	for (uint32_t i = 0; i < a->nr_bindings; i++) {
		uint32_t from = a->bindings[i].slot;
		const struct slot_binding *other =
			find_binding(b, a->bindings[i].pass);
		const struct slot *x = &a->slots[from], *y;

		if (!other)
			return false;
		y = &b->slots[other->slot];
		if (x->value != y->value || x->memcg != y->memcg ||
		    x->users != y->users ||
		    (like[from] != UINT32_MAX && like[from] != other->slot))
			return false;
		like[from] = other->slot;
	}
	return true;
}

/* Worlds that nothing to come can tell apart. */
static bool same_world(const struct slot_world *a, const struct slot_world *b)
{
	return a->nr_bindings == b->nr_bindings &&
	       a->nr_slots == b->nr_slots && same_bindings(a, b) &&
	       same_idle(a, b);
}

/*
 * A group.
 */

static void remove_world(struct slot_group *group, uint32_t i)
{
	world_exit(&group->worlds[i]);
	group->worlds[i] = group->worlds[--group->nr_worlds];
	memset(&group->worlds[group->nr_worlds], 0, sizeof(group->worlds[0]));
}

void slot_group_init(struct slot_group *group)
{
	memset(group, 0, sizeof(*group));
	group->nr_worlds = 1;
}

void slot_group_exit(struct slot_group *group)
{
	while (group->nr_worlds)
		remove_world(group, group->nr_worlds - 1);
}

int slot_group_copy(struct slot_group *to, const struct slot_group *from)
{
	*to = *from;
	memset(to->worlds, 0, sizeof(to->worlds));
	for (to->nr_worlds = 0; to->nr_worlds < from->nr_worlds;
	     to->nr_worlds++)
		if (world_copy(&to->worlds[to->nr_worlds],
			       &from->worlds[to->nr_worlds])) {
			slot_group_exit(to);
			return -1;
		}
	return 0;
}

static void remember(struct slot_group *group, uint64_t time, uint64_t pass,
		     int64_t before, int64_t after)
{
	group->history[group->nr_changes++ % SLOT_HISTORY] =
		(struct slot_change){ time, pass, before, after };
}

/* One more world, in which the pass has taken a slot that others use. */
static int branch(struct slot_group *group, uint32_t from, uint32_t slot,
		  uint64_t pass)
{
	struct slot_world *world = &group->worlds[group->nr_worlds];

	if (world_copy(world, &group->worlds[from]))
		return -1;
	group->nr_worlds++;
	return take_slot(world, slot, pass, false, group->clock);
}

static int start_in_world(struct slot_group *group, uint32_t w, uint64_t pass,
			  int64_t nr, uint32_t memcg)
{
	/* The array of worlds never moves, and branches go to its end. */
	struct slot_world *world = &group->worlds[w];
	int64_t choice = -1;
	bool adopted = false;

	for (uint32_t i = 0; i < world->nr_slots; i++) {
		const struct slot *slot = &world->slots[i];

		if (slot->value != nr || slot->memcg != memcg)
			continue;
		if (!slot->users)
			choice = i;
		else if (group->nr_worlds < SLOT_WORLDS &&
			 world->nr_bindings < SLOT_CROWD &&
			 branch(group, w, i, pass))
			return -1;
	}
	if (choice < 0) {
		choice = new_slot(world, nr, memcg, group->clock);
		if (choice < 0)
			return world->nr_slots == SLOT_MAX ? 0 : -1;
		adopted = nr != 0;
	}
	return take_slot(world, (uint32_t)choice, pass, adopted, group->clock);
}

/* The world that explains the trace with the fewest counters out of nowhere. */
static const struct slot_world *likeliest(const struct slot_group *group)
{
	const struct slot_world *best = &group->worlds[0];

	for (uint32_t i = 1; i < group->nr_worlds; i++)
		if (group->worlds[i].adopted < best->adopted)
			best = &group->worlds[i];
	return best;
}

static void keep_likeliest(struct slot_group *group)
{
	uint32_t keep = (uint32_t)(likeliest(group) - group->worlds);
	struct slot_world swap = group->worlds[0];

	group->worlds[0] = group->worlds[keep];
	group->worlds[keep] = swap;
	while (group->nr_worlds > 1)
		remove_world(group, group->nr_worlds - 1);
}

int slot_group_start(struct slot_group *group, uint64_t pass, int64_t nr,
		     uint32_t memcg, uint64_t time)
{
	uint32_t nr_worlds;

	/* In a crowd, telling worlds apart costs more than it can find out. */
	if (group->worlds[0].nr_bindings >= SLOT_CROWD)
		keep_likeliest(group);
	nr_worlds = group->nr_worlds;
	group->clock++;
	remember(group, time, pass, nr, 0);
	for (uint32_t w = 0; w < nr_worlds; w++)
		if (start_in_world(group, w, pass, nr, memcg))
			return -1;
	return 0;
}

/* Of worlds that are the same now, the one with the fewest adoptions stays. */
static void join_worlds(struct slot_group *group)
{
	for (uint32_t i = 0; i < group->nr_worlds; i++)
		for (uint32_t j = i + 1; j < group->nr_worlds;) {
			struct slot_world *a = &group->worlds[i];
			struct slot_world *b = &group->worlds[j];

			if (!same_world(a, b)) {
				j++;
				continue;
			}
			if (b->adopted < a->adopted) {
				struct slot_world swap = *a;

				*a = *b;
				*b = swap;
			}
			remove_world(group, j);
		}
}

static bool end_fits(const struct slot_world *world, uint64_t pass,
		     int64_t needed)
{
	const struct slot_binding *b = find_binding(world, pass);

	return b && world->slots[b->slot].value == needed;
}

/* Ends the pass in one world. */
static void finish_pass(struct slot_world *world, uint64_t pass,
			int64_t new_nr, uint64_t clock)
{
	struct slot_binding *b = find_binding(world, pass);
	uint32_t slot;

	if (!b)
		return;
	slot = b->slot;
	remove_binding(world, b);
	world->slots[slot].value = new_nr;
	world->slots[slot].touched = clock;
	settle_slot(world, slot);
}

/* The slot that is the same counter as the pass's, see struct slot_end. */
static struct slot *late_start(struct slot_world *world,
			       const struct slot_binding *bound, int64_t needed)
{
	if (bound->adopted || world->slots[bound->slot].value)
		return NULL;
	for (uint32_t i = 0; i < world->nr_slots; i++) {
		struct slot *slot = &world->slots[i];

		if (i != bound->slot && !slot->users &&
		    slot->value == needed &&
		    slot->memcg == world->slots[bound->slot].memcg &&
		    slot->born > bound->idle_since)
			return slot;
	}
	return NULL;
}

/* In each world where it holds: forget the slot that was the same one. */
static bool join_late_start(struct slot_group *group, uint64_t pass,
			    int64_t needed)
{
	bool joined = false;

	for (uint32_t w = 0; w < group->nr_worlds; w++) {
		struct slot_world *world = &group->worlds[w];
		const struct slot_binding *bound = find_binding(world, pass);
		struct slot *twin =
			bound ? late_start(world, bound, needed) : NULL;

		if (!twin)
			continue;
		remove_slot(world, (uint32_t)(twin - world->slots));
		joined = true;
	}
	return joined;
}

struct slot_end slot_group_end(struct slot_group *group, uint64_t pass,
			       int64_t next, int64_t new_nr, uint64_t time)
{
	int64_t needed = wrap_sub(new_nr, next);
	struct slot_end end = { SLOT_UNBOUND, false, false, 0 };
	const struct slot_binding *bound;
	uint32_t fitting = 0;

	group->clock++;
	for (uint32_t w = 0; w < group->nr_worlds; w++)
		fitting += end_fits(&group->worlds[w], pass, needed);
	for (uint32_t w = 0; fitting && w < group->nr_worlds;)
		if (end_fits(&group->worlds[w], pass, needed))
			w++;
		else
			remove_world(group, w);

	bound = find_binding(likeliest(group), pass);
	if (bound) {
		end.verdict = fitting ? SLOT_EXACT : SLOT_WRONG;
		end.adopted = bound->adopted;
		end.value = likeliest(group)->slots[bound->slot].value;
		end.late_start = !fitting && join_late_start(group, pass, needed);
	}
	for (uint32_t w = 0; w < group->nr_worlds; w++)
		finish_pass(&group->worlds[w], pass, new_nr, group->clock);
	if (group->nr_worlds > 1)
		join_worlds(group);
	remember(group, time, pass, needed, new_nr);
	return end;
}

void slot_group_drop(struct slot_group *group, uint64_t pass)
{
	for (uint32_t w = 0; w < group->nr_worlds; w++) {
		struct slot_world *world = &group->worlds[w];
		struct slot_binding *b = find_binding(world, pass);
		uint32_t slot;

		if (!b)
			continue;
		slot = b->slot;
		remove_binding(world, b);
		if (!world->slots[slot].users)
			remove_slot(world, slot);
	}
	if (group->nr_worlds > 1)
		join_worlds(group);
}

bool slot_group_held(const struct slot_group *group, uint64_t pass,
		     int64_t value, uint64_t time, uint64_t window)
{
	uint64_t n = group->nr_changes;
	uint64_t oldest = n > SLOT_HISTORY ? n - SLOT_HISTORY : 0;

	while (n-- > oldest) {
		const struct slot_change *c = &group->history[n % SLOT_HISTORY];

		if (time > c->time && time - c->time > window)
			break;
		if (c->pass != pass &&
		    (c->before == value || c->after == value))
			return true;
	}
	return false;
}

bool slot_group_merged(const struct slot_group *group, int64_t extra, int parts)
{
	const struct slot_world *world = likeliest(group);

	for (uint32_t i = 0; i < world->nr_slots; i++) {
		const struct slot *a = &world->slots[i];

		if (a->users || !a->value)
			continue;
		if (parts == 1) {
			if (a->value == extra)
				return true;
			continue;
		}
		for (uint32_t j = i + 1; j < world->nr_slots; j++) {
			const struct slot *b = &world->slots[j];

			if (!b->users && b->value &&
			    wrap_add(a->value, b->value) == extra)
				return true;
		}
	}
	return false;
}
