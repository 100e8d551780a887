/* SPDX-License-Identifier: MIT */
/*
 * The deferred counters of one shrinker, as far as a recording tells.
 *
 * A shrinker has a counter for each node and memory cgroup, but an event names
 * neither the counter nor, on most kernels, the cgroup.  A start prints the value
 * that it took away (0 is left there), an end prints the value after its addition.
 * So the counters of a node (or those of all nodes, where the shrinker is not
 * NUMA-aware) are a set of slots, and a start takes a slot by its value.
 *
 * Idle slots of one value are interchangeable.  A slot that an unfinished pass has
 * taken is not like an idle one of that value: the unfinished pass will add to it.
 * So where a start may have taken either, the set branches into worlds, one for each
 * choice.  Each end drops the worlds in which its counter is impossible.  An end is
 * wrong if it is impossible in all worlds.
 *
 * One thread at a time may use a set.  Its memory is bounded: MAX_WORLDS worlds.
 */
#ifndef SHRINKER_REPLAY_WORLDS_H
#define SHRINKER_REPLAY_WORLDS_H

#include "replay/slots.h"

/* Worlds of a set at most: every choice of five walkers at once has room.  A full
 * set does not branch until worlds are dropped. */
#define MAX_WORLDS 64
/* With more worlds than this a set drops those that have adopted more slots than
 * others: the cheapest explanation is taken. */
#define COSTLY_WORLDS 8
/* With so many unfinished passes a set has one world only: following more costs
 * more than it finds out. */
#define CROWD_PASSES 64
/* Lines after its last branch for which a set follows several worlds.  Worlds that
 * nothing has told apart by then differ in slots that no pass takes any more. */
#define MAX_WORLD_LINES 256
/* Adoptions of a set, and lines since the last one, for which the end that left the
 * value may still come. */
#define MAX_ADOPTIONS 16
#define MAX_ADOPTED_LINES 256
/* Changes that a set remembers, to find lines that are out of order. */
#define MAX_CHANGES 128

/**
 * struct slot_change - what one line says about a counter
 * @line: the line
 * @before: value of the counter before the pass changed it
 * @after: value of the counter after that
 * @end: it is the line of an end
 */
struct slot_change {
	struct slot_line line;
	int64_t before;
	int64_t after;
	bool end;
};

/**
 * struct slot_adoption - a slot that a pass has adopted
 * @start: of the pass
 * @memcg: of the slot
 * @value: what the pass found; 0: nothing to be found out
 * @counted: the pass has ended and is counted
 */
struct slot_adoption {
	struct slot_line start;
	uint64_t memcg;
	int64_t value;
	bool counted;
};

/**
 * struct slot_worlds - a set of slots, in each world that is possible
 * @changes: the latest ones, in a ring
 * @nr_changes: so far
 * @clock: ticks at each line
 * @branched: tick of the last branch
 * @adopted: tick of the last adoption
 * @adoptions: the latest ones, in a ring
 * @nr_adoptions: so far
 */
struct slot_worlds {
	struct slot_world world[MAX_WORLDS];
	struct slot_change changes[MAX_CHANGES];
	uint64_t nr_changes;
	uint64_t clock;
	uint64_t branched;
	uint64_t adopted;
	struct slot_adoption adoptions[MAX_ADOPTIONS];
	uint64_t nr_adoptions;
	uint32_t nr_worlds;
};

/**
 * enum slot_verdict - whether the counter of an end is possible
 * @SLOT_EXACT: it is, in at least one world
 * @SLOT_WRONG: it is not
 * @SLOT_UNBOUND: not known: the pass was one too many to be followed
 */
enum slot_verdict { SLOT_EXACT, SLOT_WRONG, SLOT_UNBOUND };

/**
 * least_merged - with fewer idle slots that hold what is missing no cgroup was removed
 * @value: of the pass's own slot
 *
 * Where that is at 0, a single slot that holds all that is needed may as well be the
 * pass's own one.
 */
static inline uint32_t least_merged(int64_t value)
{
	return value ? 1 : 2;
}

/**
 * struct slot_end - the answer of slot_worlds_end()
 * @verdict: whether the counter is possible
 * @adopted: the pass had taken a new slot with a value other than 0
 * @late_start: where wrong: the counter is possible if a start was printed long after
 *	the pass took the counter.  An idle slot holds what is needed.  Either it was
 *	first seen, at 0, after the pass's own slot was last touched: then this pass's
 *	start is late.  Or this pass may have found 0 between start and end of the pass
 *	that left the value.  So the two slots are one counter.
 * @found: the pass has left what another one had adopted: its end is printed late
 * @found_counted: that one was counted as having adopted it
 * @merged: where wrong: so many idle slots hold what is missing
 * @value: where wrong: value of the slot before the addition
 */
struct slot_end {
	enum slot_verdict verdict;
	bool adopted;
	bool late_start;
	bool found;
	bool found_counted;
	uint32_t merged;
	int64_t value;
};

#pragma GCC visibility push(hidden)

/** slot_worlds_init - an empty set: one world without slots */
void slot_worlds_init(struct slot_worlds *worlds);

/** slot_worlds_exit - free what a set holds */
void slot_worlds_exit(struct slot_worlds *worlds);

/**
 * slot_worlds_copy - make @to an independent copy
 * @to: not initialised
 *
 * Return: 0, or -1 without memory; @to holds no memory then.
 */
int slot_worlds_copy(struct slot_worlds *to, const struct slot_worlds *from);

/**
 * slot_worlds_start - a pass takes a slot that holds @nr and leaves 0 there
 * @line: its pass is not in use in this set
 * @memcg: id of its memory cgroup; 0 where the recording has none
 *
 * Return: 0, or -1 without memory; the set can still be used and freed.
 */
int slot_worlds_start(struct slot_worlds *worlds, const struct slot_line *line,
		      int64_t nr, uint64_t memcg);

/**
 * slot_worlds_adopted - whether an unfinished pass has adopted its slot
 */
bool slot_worlds_adopted(const struct slot_worlds *worlds, uint64_t pass);

/** slot_worlds_count_adoption - a pass is counted as having adopted its slot */
void slot_worlds_count_adoption(struct slot_worlds *worlds, uint64_t pass);

/**
 * slot_worlds_end - a pass adds @next to its slot and finds @new_nr there
 * @left: what another pass had left that had found @new_nr before; NULL: there is none
 * @merges: counters of removed cgroups may have been added to others
 *
 * After a wrong end the slot holds @new_nr all the same.  After a late start the two
 * slots are one; merged slots are forgotten.
 */
struct slot_end slot_worlds_end(struct slot_worlds *worlds,
				const struct slot_line *line, int64_t next,
				int64_t new_nr, const int64_t *left,
				bool merges);

/**
 * slot_worlds_drop - the end of a pass will never come
 *
 * What its slot holds is not known any more, so the slot is forgotten.
 */
void slot_worlds_drop(struct slot_worlds *worlds, uint64_t pass);

/**
 * slot_worlds_saw - whether a line of another pass says that a counter held @value
 * @time: the line is at most @window older, nanoseconds
 */
bool slot_worlds_saw(const struct slot_worlds *worlds, uint64_t pass,
		     int64_t value, uint64_t time, uint64_t window);

#pragma GCC visibility pop

#endif /* SHRINKER_REPLAY_WORLDS_H */
