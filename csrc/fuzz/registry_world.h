/* SPDX-License-Identifier: MIT */
/*
 * The data of fuzz_registry.c: domains ("machines") with their shrinkers, groups
 * and lrus, each beside a model.  The models are arrays, and written from
 * docs/specification.md and the public headers, not from the core.
 *
 *   registry_life.c    making and freeing domains and shrinkers
 *   registry_groups.c  memory cgroups and their bits
 *   registry_walks.c   which callback comes next in a walk, and what passes change
 *   registry_calls.c   the functions that walk
 *   registry_lists.c   list_lru
 *   registry_events.c  events and statistics, and the comparison with the model
 *   fuzz_registry.c    which operation comes next
 */
#ifndef FUZZ_REGISTRY_WORLD_H
#define FUZZ_REGISTRY_WORLD_H

#include <errno.h>
#include <string.h>

#include <shrinker/domain.h>
#include <shrinker/list_lru.h>
#include <shrinker/memcg.h>
#include <shrinker/events.h>

#include "bytes.h"
#include "pass_model.h"

#define MACHINES 2
#define NODES 3
#define GROUPS 12
#define OWNERS 140
#define IDS 192
#define LRUS 3
#define ITEMS 24
#define EVENTS 2048
/* At most so many callbacks inside each other, and calls of callbacks in one
 * input. */
#define DEPTH 4
#define CALLS 1500

struct machine;

/**
 * struct group - a memory cgroup; its id is its place in the array + 1
 * @held: functions may be called with it
 * @named: running calls that have it as an argument, so that it must stay held
 */
struct group {
	struct mem_cgroup *memcg;
	int parent, kmem_id;
	bool held, online, removed;
	unsigned int named;
	bool bit[NODES][IDS];
	int64_t deferred[NODES][IDS];
};

enum owner_state { VACANT, ALLOCATED, REGISTERED, UNREGISTERED, FREED };

/**
 * struct owner - a shrinker and its state in the model
 * @holds: running walks that are at it
 * @refs: calls of shrinker_try_get() without shrinker_put()
 * @dying: unregistered, but held: its id is not free yet
 * @hosted: its callbacks run in the host of registry_calls.c
 */
struct owner {
	struct machine *machine;
	struct shrinker *shrinker;
	enum owner_state state;
	unsigned int flags;
	int id;
	uint64_t seq, debugfs_id;
	unsigned int holds, refs;
	bool dying, hosted;
	uint32_t label;
	int64_t deferred[NODES];
	struct shrinker_statistics counted;
};

/** struct lru - an lru, and the order of the items on its lists */
struct lru {
	struct list_lru lru;
	struct machine *machine;
	bool there, by_group;
	int shrinker_id;
	unsigned int walks;
	int length[NODES][GROUPS];
	int order[NODES][GROUPS][ITEMS];
};

/** struct item - an object; @lru, @nid and @group are those with which it was added */
struct item {
	struct list_head head;
	struct lru *lru;
	int nid, group;
};

/** struct machine - a domain; without memory cgroups it has no groups */
struct machine {
	struct reclaim_domain *domain;
	bool held, memcgs, kmem;
	int nr_nodes;
	uint64_t stall_limit;
	int nr_groups, nr_max;
	bool id_used[IDS];
	uint64_t seq;
	struct group group[GROUPS];
	struct owner owner[OWNERS];
	struct lru lru[LRUS];
	struct reclaim_statistics counted;
	bool keeps_events;
	uint64_t limit, lost;
	int nr_events;
};

/* The function that walks. */
enum program { ONE_WALK, LADDER, DROP_SLAB, COUNT_ONCE, SCAN_ONCE };

/**
 * struct frame - a call that walks, and the state of the model in it
 * @target: group of the call; -1: all
 * @nid_asked: node of the call; -1: all
 * @wanted: objects to reclaim (LADDER), or to scan (SCAN_ONCE)
 * @group, @nid: of the current walk; @group is -1 without memory cgroups
 * @walking: there is a current walk
 * @seq, @next_id: how far the walk has come
 * @at: shrinker that the walk is at; NULL: none
 * @asked: @at was counted, and the model has not handled the result yet
 * @in_pass: the pass has got past the count
 * @returned: what the pass returned
 * @again: the pass is the second one after SHRINK_EMPTY
 * @inside, @may_stay: the walk is in the host, and may stay for other shrinkers
 * @freed, @scanned, @passes: of the call; @round_freed: of this round of
 *	drop_slab()
 */
struct frame {
	struct frame *outer;
	struct machine *machine;
	enum program program;
	gfp_t gfp_mask;
	int target, nid_asked, priority;
	uint64_t wanted;

	bool begun, walking, over, stop;
	int group, nid;
	uint64_t seq;
	int next_id;
	struct owner *at;
	bool asked, in_pass, again;
	bool inside, may_stay;
	uint64_t returned;
	struct pass_model pass;
	uint64_t freed, round_freed, scanned, passes;
	int round;
};

/** struct world - all data of one input */
struct world {
	struct bytes script;
	struct machine machine[MACHINES];
	struct item item[ITEMS];
	struct frame *top;
	unsigned int depth, calls;
};

extern struct world world;

/* registry_life.c */
struct owner *pick_owner(struct machine *machine);
struct mem_cgroup *memcg_of(struct machine *machine, int group);
int pick_group(struct machine *machine);
int take_nid(struct machine *machine);
bool shrinker_is_ours(const struct owner *owner);
void leave_owner(struct owner *owner);
void op_machine(struct machine *machine);
void op_alloc(struct machine *machine);
void op_crowd(struct machine *machine);
void op_register(struct machine *machine);
void op_free(struct machine *machine);
void op_reference(struct machine *machine);
void free_machine(struct machine *machine);

/* registry_groups.c */
int online_place(struct machine *machine, int group);
void set_bit(struct machine *machine, int group, int nid, int id);
void op_group_create(struct machine *machine);
void op_group_end(struct machine *machine);
void op_group_put(struct machine *machine);
void op_bits(struct machine *machine);

/* registry_walks.c */
unsigned long count_objects(struct shrinker *shrinker, struct shrink_control *sc);
unsigned long scan_objects(struct shrinker *shrinker, struct shrink_control *sc);
int64_t *counter_of(struct owner *owner, int group, int nid);
struct owner *advance(struct frame *frame);

/* registry_calls.c */
extern const struct reclaim_host host;
void op_walk(struct machine *machine);
void op_ladder(struct machine *machine);
void op_drop(struct machine *machine);
void op_once(struct machine *machine);

/* registry_lists.c */
void op_lru(struct machine *machine);
void op_add(struct machine *machine);
void op_del(struct machine *machine);
void op_list_walk(struct machine *machine);
void splice_lists(struct machine *machine, int group);
void free_lrus(struct machine *machine);

/* registry_events.c */
void emit(struct machine *machine, const struct shrink_event *event);
void op_events(struct machine *machine);
void compare(struct machine *machine);

/* fuzz_registry.c */
void run_some(unsigned int most);

#endif /* FUZZ_REGISTRY_WORLD_H */
