/* SPDX-License-Identifier: MIT */
/*
 * The deferred counters of a shrinker as one world has them (worlds.h): slots, and
 * which unfinished pass has taken which slot.
 */
#ifndef SHRINKER_REPLAY_SLOTS_H
#define SHRINKER_REPLAY_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Slots of a world at most; a new one then takes the place of the idle one that
 * was not touched for longest. */
#define MAX_SLOTS 1024
/* Unfinished passes of a world at most; later ones are not followed. */
#define MAX_BINDINGS 1024

/**
 * struct slot - a deferred counter
 * @value: objects
 * @born: tick at which it was first seen
 * @touched: tick at which a pass last took it or added to it
 * @memcg: id of its memory cgroup; 0 where the recording has none
 * @members: sum of slot_mix() of the passes that have taken it
 * @users: unfinished passes that have taken it; idle: 0
 */
struct slot {
	int64_t value;
	uint64_t born;
	uint64_t touched;
	uint64_t memcg;
	uint64_t members;
	uint32_t users;
};

/**
 * struct slot_binding - an unfinished pass and its slot
 * @pass: number of the pass
 * @idle_since: @touched of the slot before this pass took it
 * @slot: index of the slot
 * @adopted: the slot was new, with a value other than 0
 */
struct slot_binding {
	uint64_t pass;
	uint64_t idle_since;
	uint32_t slot;
	bool adopted;
};

/**
 * struct slot_world - slots and bindings; all 0: none
 * @adopted: slots adopted so far
 */
struct slot_world {
	struct slot *slots;
	struct slot_binding *bindings;
	uint32_t nr_slots, max_slots;
	uint32_t nr_bindings, max_bindings;
	uint64_t adopted;
};

#pragma GCC visibility push(hidden)

/** slot_world_exit - free what @world holds; it is empty then */
void slot_world_exit(struct slot_world *world);

/**
 * slot_world_copy - make @to an independent copy
 *
 * Return: 0, or -1 without memory; @to is empty then.
 */
int slot_world_copy(struct slot_world *to, const struct slot_world *from);

/**
 * slot_world_add - a new slot
 * @clock: the tick
 *
 * A full world forgets its oldest idle slot: a removed cgroup leaves one behind
 * that no pass takes any more.
 *
 * Return: its index; -1 without memory, or with MAX_SLOTS slots all in use.
 */
int64_t slot_world_add(struct slot_world *world, int64_t value, uint64_t memcg,
		       uint64_t clock);

/**
 * slot_world_take - a pass takes a slot and leaves 0 there
 * @adopted: the slot is new and not at 0
 *
 * Return: 0, or -1 without memory: the slot is at 0, and the pass is not followed.
 */
int slot_world_take(struct slot_world *world, uint32_t slot, uint64_t pass,
		    bool adopted, uint64_t clock);

/** slot_world_end - a pass ends, and its slot holds @new_nr */
void slot_world_end(struct slot_world *world, uint64_t pass, int64_t new_nr,
		    uint64_t clock);

/** slot_world_drop - the end of a pass will never come: forget its slot */
void slot_world_drop(struct slot_world *world, uint64_t pass);

/**
 * slot_world_join_late_start - find the idle slot that is the pass's own counter,
 *	if its start was printed late (struct slot_end), and forget that slot
 * @needed: what the counter must have held before the end of the pass
 *
 * Return: whether there was one.
 */
bool slot_world_join_late_start(struct slot_world *world, uint64_t pass,
				int64_t needed);

/**
 * slot_world_hash - equal for worlds that no later event can tell apart
 *
 * Comparing all worlds with each other would cost far more than all else.
 */
uint64_t slot_world_hash(const struct slot_world *world);

/** slot_world_same - whether no later event can tell the two worlds apart */
bool slot_world_same(const struct slot_world *a, const struct slot_world *b);

/** slot_world_idle_sum - whether @nr_slots idle slots, 1 or 2, add up to @value */
bool slot_world_idle_sum(const struct slot_world *world, int64_t value,
			 int nr_slots);

#pragma GCC visibility pop

/* NULL where the pass is not followed. */
static inline struct slot_binding *
slot_world_binding(const struct slot_world *world, uint64_t pass)
{
	uint32_t i;

	/* From the end: the pass that started last mostly ends first. */
	for (i = world->nr_bindings; i-- > 0;)
		if (world->bindings[i].pass == pass)
			return &world->bindings[i];
	return NULL;
}

#endif /* SHRINKER_REPLAY_SLOTS_H */
