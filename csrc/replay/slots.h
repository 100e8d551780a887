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
 * struct slot_line - a line that changes a counter
 * @pass: number of its pass
 * @earliest: nanoseconds; the counter changed after this, because then the task was
 *	still doing something else
 * @time: nanoseconds; the counter changed before this, when the line was printed
 * @task: as replay.c numbers them.  The lines of one task stand in its order, also where
 *	their times are equal
 */
struct slot_line {
	uint64_t pass;
	uint64_t earliest;
	uint64_t time;
	int32_t task;
};

/**
 * struct slot - a deferred counter
 * @value: objects
 * @adopter: number of the pass that adopted it, and 1; 0 where none did
 * @born: time of the line in which it was first seen, nanoseconds
 * @changed: time of the line that last changed it
 * @touched: tick of that line
 * @memcg: id of its memory cgroup; 0 where the recording has none
 * @members: sum of slot_mix() of the passes that have taken it
 * @users: unfinished passes that have taken it; idle: 0
 * @task: in whose line it was first seen
 * @found_empty: it was first seen at 0
 */
struct slot {
	int64_t value;
	uint64_t adopter;
	uint64_t born;
	uint64_t changed;
	uint64_t touched;
	uint64_t memcg;
	uint64_t members;
	uint16_t users;
	bool found_empty;
	int32_t task;
};

/**
 * struct slot_binding - an unfinished pass and its slot
 * @pass: number of the pass
 * @earliest: of the line of its start
 * @idle_since: @changed of the slot before this pass took it; 0 where it was new
 * @slot: index of the slot
 * @task: of the pass
 * @fresh: the slot was new
 * @adopted: the slot was new, with a value other than 0
 */
struct slot_binding {
	uint64_t pass;
	uint64_t earliest;
	uint64_t idle_since;
	uint32_t slot;
	int32_t task;
	bool fresh;
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
 * @line: in which it is first seen
 * @clock: the tick
 *
 * A full world forgets its oldest idle slot: a removed cgroup leaves one behind
 * that no pass takes any more.
 *
 * Return: its index; -1 without memory, or with MAX_SLOTS slots all in use.
 */
int64_t slot_world_add(struct slot_world *world, int64_t value, uint64_t memcg,
		       const struct slot_line *line, uint64_t clock);

/**
 * slot_world_take - a pass takes a slot and leaves 0 there
 * @fresh: the slot is new
 *
 * Return: 0, or -1 without memory: the slot is at 0, and the pass is not followed.
 */
int slot_world_take(struct slot_world *world, uint32_t slot,
		    const struct slot_line *line, bool fresh, uint64_t clock);

/** slot_world_end - a pass ends, and its slot holds @new_nr */
void slot_world_end(struct slot_world *world, const struct slot_line *line,
		    int64_t new_nr, uint64_t clock);

/** slot_world_drop - the end of a pass will never come: forget its slot */
void slot_world_drop(struct slot_world *world, uint64_t pass);

/**
 * slot_world_end_found - a pass ends, but another one has found its work before
 * @pass: is followed in this world
 * @left: what the other pass has left
 *
 * The slot that holds @left is the pass's own one.  Its own one is forgotten.
 */
void slot_world_end_found(struct slot_world *world, uint64_t pass, int64_t left);

/**
 * slot_world_end_adopted - a pass ends, and @adopter had found its work before
 * @pass: is followed in this world
 *
 * The two slots are one, and nothing was adopted.
 *
 * Return: whether @adopter has adopted another slot; the pass goes on if not.
 */
bool slot_world_end_adopted(struct slot_world *world, uint64_t pass,
			    uint64_t adopter);

/**
 * slot_world_join - find the slot that is the pass's own one, because a start was
 *	printed late (struct slot_end), and make one of the two
 * @needed: what the counter must have held before the end of the pass
 * @taken_before: a pass that the recording has next may have taken @needed before
 *	this one found 0, as slot_worlds_end() has found out
 *
 * Return: whether there was one.
 */
bool slot_world_join(struct slot_world *world, uint64_t pass, int64_t needed,
		     bool taken_before);

/**
 * slot_world_find_sum - find idle slots, one or two, that hold @value together
 * @found: receives their indices, the later one first
 *
 * Return: how many, 0 if there are none.
 */
uint32_t slot_world_find_sum(const struct slot_world *world, int64_t value,
			     uint32_t found[2]);

/** slot_world_forget - forget idle slots that slot_world_find_sum() has found */
void slot_world_forget(struct slot_world *world, const uint32_t *found,
		       uint32_t nr_found);

/**
 * slot_world_hash - equal for worlds that no later event can tell apart
 *
 * Comparing all worlds with each other would cost far more than all else.
 */
uint64_t slot_world_hash(const struct slot_world *world);

/** slot_world_same - whether no later event can tell the two worlds apart */
bool slot_world_same(const struct slot_world *a, const struct slot_world *b);

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
