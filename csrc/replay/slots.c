/* SPDX-License-Identifier: MIT */
/*
 * Slots and bindings of one world.
 */
#include <stdlib.h>
#include <string.h>

#include "replay/slots.h"
#include "scan.h"

#define INITIAL_ELEMENTS 4

/* --- memory --------------------------------------------------------------- */

void slot_world_exit(struct slot_world *world)
{
	free(world->slots);
	free(world->bindings);
	memset(world, 0, sizeof(*world));
}

int slot_world_copy(struct slot_world *to, const struct slot_world *from)
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
	slot_world_exit(to);
	return -1;
}

/* Room for more elements.  Return: 0, or -1 without memory; nothing has changed. */
static int grow(void **array, uint32_t *max, size_t size)
{
	uint32_t more = *max ? *max * 2 : INITIAL_ELEMENTS;
	void *p = realloc(*array, more * size);

	if (!p)
		return -1;
	*array = p;
	*max = more;
	return 0;
}

/* Spreads the bits of a number over all 64. */
static uint64_t slot_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

/* --- slots and the passes that take them ----------------------------------- */

/* Not in use any more; the last slot moves into the gap. */
static void remove_slot(struct slot_world *world, uint32_t gap)
{
	uint32_t last = --world->nr_slots;
	uint32_t i;

	if (gap == last)
		return;
	world->slots[gap] = world->slots[last];
	if (!world->slots[gap].users)
		return;
	for (i = 0; i < world->nr_bindings; i++)
		if (world->bindings[i].slot == last)
			world->bindings[i].slot = gap;
}

/* Return: index of the idle slot that was not touched for longest, or -1. */
static int64_t oldest_idle(const struct slot_world *world)
{
	int64_t oldest = -1;
	uint32_t i;

	for (i = 0; i < world->nr_slots; i++)
		if (!world->slots[i].users &&
		    (oldest < 0 || world->slots[i].touched <
					   world->slots[oldest].touched))
			oldest = i;
	return oldest;
}

int64_t slot_world_add(struct slot_world *world, int64_t value, uint64_t memcg,
		       const struct slot_line *line, uint64_t clock)
{
	if (world->nr_slots == MAX_SLOTS) {
		int64_t oldest = oldest_idle(world);

		if (oldest < 0)
			return -1;
		remove_slot(world, (uint32_t)oldest);
	} else if (world->nr_slots == world->max_slots &&
		   grow((void **)&world->slots, &world->max_slots,
			sizeof(*world->slots))) {
		return -1;
	}
	world->slots[world->nr_slots] = (struct slot){
		.value = value,
		.adopter = value ? line->pass + 1 : 0,
		.born = line->time,
		.changed = line->time,
		.touched = clock,
		.memcg = memcg,
		.task = line->task,
		.found_empty = value == 0,
	};
	return world->nr_slots++;
}

int slot_world_take(struct slot_world *world, uint32_t slot,
		    const struct slot_line *line, bool fresh, uint64_t clock)
{
	uint64_t idle_since = fresh ? 0 : world->slots[slot].changed;
	bool adopted = fresh && !world->slots[slot].found_empty;

	world->slots[slot].value = 0;
	world->slots[slot].changed = line->time;
	world->slots[slot].touched = clock;
	if (world->nr_bindings == MAX_BINDINGS)
		return 0;
	if (world->nr_bindings == world->max_bindings &&
	    grow((void **)&world->bindings, &world->max_bindings,
		 sizeof(*world->bindings)))
		return -1;
	world->bindings[world->nr_bindings++] = (struct slot_binding){
		line->pass, line->earliest, idle_since, slot,
		line->task, fresh,	    adopted,
	};
	world->slots[slot].users++;
	world->slots[slot].members += slot_mix(line->pass);
	world->adopted += adopted;
	return 0;
}

/* The pass lets go of its slot.  Return: the slot's index. */
static uint32_t unbind(struct slot_world *world, struct slot_binding *binding)
{
	uint32_t slot = binding->slot;

	world->slots[slot].users--;
	world->slots[slot].members -= slot_mix(binding->pass);
	*binding = world->bindings[--world->nr_bindings];
	return slot;
}

void slot_world_end(struct slot_world *world, const struct slot_line *line,
		    int64_t new_nr, uint64_t clock)
{
	struct slot_binding *binding = slot_world_binding(world, line->pass);
	uint32_t slot;

	if (!binding)
		return;
	slot = unbind(world, binding);
	world->slots[slot].value = new_nr;
	world->slots[slot].changed = line->time;
	world->slots[slot].touched = clock;
	/* An idle slot at 0 says no more than no slot. */
	if (!world->slots[slot].users && !new_nr)
		remove_slot(world, slot);
}

void slot_world_drop(struct slot_world *world, uint64_t pass)
{
	struct slot_binding *binding = slot_world_binding(world, pass);
	uint32_t slot;

	if (!binding)
		return;
	slot = unbind(world, binding);
	if (!world->slots[slot].users)
		remove_slot(world, slot);
}

/* --- slots that are one counter --------------------------------------------- */

/* Whether passes may have found @slot at 0 after the pass had taken its own one. */
static bool found_after(const struct slot *slot,
			const struct slot_binding *binding)
{
	return slot->found_empty && slot->task != binding->task &&
	       slot->born >= binding->idle_since &&
	       slot->born >= binding->earliest;
}

/* Passes of @from are bound to @into now. */
static void join_slots(struct slot_world *world, uint32_t into, uint32_t from)
{
	uint32_t i;

	for (i = 0; i < world->nr_bindings; i++)
		if (world->bindings[i].slot == from)
			world->bindings[i].slot = into;
	world->slots[into].users = (uint16_t)(world->slots[into].users +
					      world->slots[from].users);
	world->slots[into].members += world->slots[from].members;
	world->slots[from].users = 0;
	remove_slot(world, from);
}

void slot_world_end_found(struct slot_world *world, uint64_t pass, int64_t left)
{
	uint32_t own = unbind(world, slot_world_binding(world, pass));
	uint32_t i;

	for (i = 0; i < world->nr_slots; i++)
		if (i != own && world->slots[i].value == left &&
		    world->slots[i].memcg == world->slots[own].memcg) {
			join_slots(world, i, own);
			return;
		}
	if (!world->slots[own].users)
		remove_slot(world, own);
}

bool slot_world_end_adopted(struct slot_world *world, uint64_t pass,
			    uint64_t adopter)
{
	struct slot_binding *binding = slot_world_binding(world, pass);
	struct slot_binding *adopting = slot_world_binding(world, adopter);
	uint32_t own = binding->slot;
	uint32_t i;

	for (i = 0; i < world->nr_slots; i++)
		if (i != own && world->slots[i].adopter == adopter + 1)
			break;
	if (i == world->nr_slots)
		return false;
	if (adopting)
		adopting->adopted = false;
	unbind(world, binding);
	world->slots[i].adopter = 0;
	world->adopted--;
	join_slots(world, i, own);
	return true;
}

bool slot_world_join(struct slot_world *world, uint64_t pass, int64_t needed,
		     bool taken_before)
{
	const struct slot_binding *binding = slot_world_binding(world, pass);
	const struct slot *own;
	uint32_t i;

	if (!binding || world->slots[binding->slot].value)
		return false;
	own = &world->slots[binding->slot];
	taken_before &= binding->fresh && own->found_empty;
	for (i = 0; i < world->nr_slots; i++) {
		const struct slot *slot = &world->slots[i];

		if (slot != own && slot->value == needed &&
		    slot->memcg == own->memcg &&
		    (taken_before || found_after(slot, binding))) {
			join_slots(world, binding->slot, i);
			return true;
		}
	}
	return false;
}

uint32_t slot_world_find_sum(const struct slot_world *world, int64_t value,
			     uint32_t found[2])
{
	uint32_t nr_found = 0, i, j;

	for (i = 0; i < world->nr_slots && nr_found != 1; i++) {
		const struct slot *a = &world->slots[i];

		if (a->users)
			continue;
		if (a->value == value) {
			found[0] = i;
			nr_found = 1;
		}
		for (j = i + 1; j < world->nr_slots && !nr_found; j++) {
			const struct slot *b = &world->slots[j];

			if (!b->users &&
			    wrap_add(a->value, b->value) == value) {
				found[0] = j;
				found[1] = i;
				nr_found = 2;
			}
		}
	}
	return nr_found;
}

void slot_world_forget(struct slot_world *world, const uint32_t *found,
		       uint32_t nr_found)
{
	uint32_t i;

	/* The last slot moves into the gap, so the later one goes first. */
	for (i = 0; i < nr_found; i++)
		remove_slot(world, found[i]);
}

/* --- comparing ------------------------------------------------------------- */

uint64_t slot_world_hash(const struct slot_world *world)
{
	uint64_t hash = 0;
	uint32_t i;

	/* A sum: the order of the slots does not count. */
	for (i = 0; i < world->nr_slots; i++) {
		const struct slot *slot = &world->slots[i];

		hash += slot_mix((uint64_t)slot->value ^
				 slot_mix(slot->memcg ^ slot_mix(slot->members)));
	}
	return hash;
}

/* Whether @b has an idle slot like each one of @a. */
static bool same_idle(const struct slot_world *a, const struct slot_world *b)
{
	uint64_t matched[MAX_SLOTS / 64] = { 0 };
	uint32_t i;

	for (i = 0; i < a->nr_slots; i++) {
		uint32_t j = i, tries = 0;

		if (a->slots[i].users)
			continue;
		/* One is a copy of the other: mostly the index is the same. */
		for (; tries < b->nr_slots; tries++, j = (j + 1) % b->nr_slots)
			if (!(matched[j / 64] >> j % 64 & 1) &&
			    !b->slots[j].users &&
			    a->slots[i].value == b->slots[j].value &&
			    a->slots[i].memcg == b->slots[j].memcg)
				break;
		if (tries == b->nr_slots)
			return false;
		matched[j / 64] |= UINT64_C(1) << j % 64;
	}
	return true;
}

/*
 * Whether the passes of @a share slots as those of @b do, and find the same values
 * there.  Each slot of @a has one partner in @b; the numbers of users are equal, so
 * that no two slots have the same partner.
 */
static bool same_bindings(const struct slot_world *a,
			  const struct slot_world *b)
{
	uint32_t partner[MAX_SLOTS];
	uint32_t i;

	memset(partner, 0xff, sizeof(partner));
	for (i = 0; i < a->nr_bindings; i++) {
		uint32_t slot = a->bindings[i].slot;
		const struct slot_binding *other =
			slot_world_binding(b, a->bindings[i].pass);
		const struct slot *x = &a->slots[slot], *y;

		if (!other)
			return false;
		y = &b->slots[other->slot];
		if (x->value != y->value || x->memcg != y->memcg ||
		    x->users != y->users ||
		    (partner[slot] != UINT32_MAX &&
		     partner[slot] != other->slot))
			return false;
		partner[slot] = other->slot;
	}
	return true;
}

bool slot_world_same(const struct slot_world *a, const struct slot_world *b)
{
	return a->nr_bindings == b->nr_bindings &&
	       a->nr_slots == b->nr_slots && same_bindings(a, b) &&
	       same_idle(a, b);
}
