/* SPDX-License-Identifier: MIT */
/*
 * The deferred counters of one shrinker, as far as a trace tells.
 *
 * A shrinker has one counter for each node and memory cgroup, but an event
 * names neither the counter nor, on most kernels, the cgroup.  What is known is
 * the value that a start took away (leaving 0) and the value that an end found
 * itself with after its addition.  So the counters of a group (a node, or all
 * nodes of a shrinker that is not NUMA-aware) are kept as slots, and a start
 * takes a slot by its value.
 *
 * Idle slots of one value are interchangeable.  A slot that an unfinished pass
 * has in use is not: taking it or an idle one makes a difference once the other
 * pass adds to it.  There a group branches into worlds, one for each choice,
 * and every end drops the worlds in which its new counter is impossible.  An
 * end is wrong when it is so in all of them.
 *
 * One thread at a time may use a group.  Memory is bounded: SLOT_WORLDS worlds
 * of SLOT_MAX slots and SLOT_BINDINGS unfinished passes.
 */
#ifndef SHRINKER_TRACE_SLOTS_H
#define SHRINKER_TRACE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Worlds of a group at most: enough for every choice of five walkers at once.
 * A group that has so many branches no more until some are dropped. */
#define SLOT_WORLDS 64
/* Slots of a world at most: then the idle one unused for longest is forgotten. */
#define SLOT_MAX 1024
/* Unfinished passes of a group at most: later ones are not followed. */
#define SLOT_BINDINGS 1024
/* From so many unfinished passes on a group has one world only. */
#define SLOT_CROWD 64
/* Values that a group remembers, to see whether lines changed places. */
#define SLOT_HISTORY 128

struct slot {
	int64_t value;
	/* Ticks of the group's clock: when it was first seen, and last. */
	uint64_t born;
	uint64_t touched;
	uint32_t memcg;
	uint32_t users;
};

struct slot_binding {
	uint64_t pass;
	/* When the slot had been touched before this pass took it. */
	uint64_t idle_since;
	uint32_t slot;
	bool adopted;
};

struct slot_world {
	struct slot *slots;
	struct slot_binding *bindings;
	uint32_t nr_slots, max_slots;
	uint32_t nr_bindings, max_bindings;
	uint64_t adopted;
};

/* A counter went from one value to another; printed by @pass at @time. */
struct slot_change {
	uint64_t time;
	uint64_t pass;
	int64_t before;
	int64_t after;
};

struct slot_group {
	struct slot_world worlds[SLOT_WORLDS];
	struct slot_change history[SLOT_HISTORY];
	uint64_t nr_changes;
	uint64_t clock;
	uint32_t nr_worlds;
};

/**
 * enum slot_verdict - what became of an end
 * @SLOT_EXACT: the new counter is possible
 * @SLOT_WRONG: it is not, in any world
 * @SLOT_UNBOUND: the pass was one too many to be followed
 */
enum slot_verdict { SLOT_EXACT, SLOT_WRONG, SLOT_UNBOUND };

/**
 * struct slot_end - the answer of slot_group_end()
 * @verdict: see there
 * @adopted: the pass had taken a slot not seen before with a value other than 0
 * @late_start: where wrong, whether it is possible if the start's line was
 *	printed long after the counter was taken over: an idle slot holds just
 *	what is needed, and came up, at 0, when the pass's slot had been left
 *	alone for good, so that the two are one counter
 * @value: where wrong, what the slot held before the addition
 */
struct slot_end {
	enum slot_verdict verdict;
	bool adopted;
	bool late_start;
	int64_t value;
};

/**
 * slot_group_init - make an empty group: one world without slots
 *
 * Return: 0; needs no slot_group_exit() until something was added.
 */
void slot_group_init(struct slot_group *group);

/** slot_group_exit - free what a group holds */
void slot_group_exit(struct slot_group *group);

/**
 * slot_group_copy - make @to, not yet initialised, an independent copy
 *
 * Return: 0, or -1 without memory; @to holds nothing then.
 */
int slot_group_copy(struct slot_group *to, const struct slot_group *from);

/**
 * slot_group_start - a pass takes a slot that holds @nr and leaves 0 there
 * @pass: its number, not in use in this group
 * @memcg: cgroup of the counter; 0 where the trace does not name it
 * @time: nanoseconds
 *
 * Return: 0, or -1 without memory; the group can still be used and freed.
 */
int slot_group_start(struct slot_group *group, uint64_t pass, int64_t nr,
		     uint32_t memcg, uint64_t time);

/**
 * slot_group_end - a pass adds @next to its slot and finds @new_nr there
 *
 * After a wrong end the slot is taken to hold @new_nr all the same; after a
 * late start the two slots are one.
 */
struct slot_end slot_group_end(struct slot_group *group, uint64_t pass,
			       int64_t next, int64_t new_nr, uint64_t time);

/**
 * slot_group_drop - the end of a pass will never be seen
 *
 * What its slot holds is not known any more, so that the slot is forgotten.
 */
void slot_group_drop(struct slot_group *group, uint64_t pass);

/**
 * slot_group_held - whether a line of another pass says that a counter held
 *	@value, not more than @window nanoseconds before @time
 */
bool slot_group_held(const struct slot_group *group, uint64_t pass,
		     int64_t value, uint64_t time, uint64_t window);

/**
 * slot_group_merged - whether @extra is what other, idle slots hold together
 * @parts: how many slots: 1 or 2
 */
bool slot_group_merged(const struct slot_group *group, int64_t extra,
		       int parts);

#endif /* SHRINKER_TRACE_SLOTS_H */
