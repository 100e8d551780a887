/* SPDX-License-Identifier: MIT */
/*
 * The world of fuzz_registry.c: domains with all that is in them, beside a plain
 * model of each.  The model is a set of arrays without pointers between them; it
 * is written from docs/specification.md and the headers, not from the core.
 *
 *   registry_life.c    domains and shrinkers: making and freeing
 *   registry_groups.c  memory cgroups and their bits
 *   registry_walks.c   what a walk calls next, and what its passes leave behind
 *   registry_calls.c   the calls that walk
 *   registry_lists.c   list_lru
 *   registry_trace.c   events, statistics, and the comparison of all there is
 *   fuzz_registry.c    the script: which operation comes next
 */
#ifndef FUZZ_REGISTRY_WORLD_H
#define FUZZ_REGISTRY_WORLD_H

#include <errno.h>
#include <string.h>

#include <shrinker/domain.h>
#include <shrinker/list_lru.h>
#include <shrinker/memcg.h>
#include <shrinker/trace.h>

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
/* Callbacks inside callbacks, and scan calls of one input. */
#define DEPTH 4
#define CALLS 1500

struct machine;

/**
 * struct group - a memory cgroup; its id is its place in the array + 1
 * @held: by us: functions may be called with it
 * @named: calls under way that were given it, which must not let go of it
 */
struct group {
	struct mem_cgroup *memcg;
	int parent;
	bool held, online, removed;
	unsigned int named;
	bool bit[NODES][IDS];
	int64_t deferred[NODES][IDS];
};

enum owner_state { VACANT, ALLOCATED, REGISTERED, UNREGISTERED, FREED };

/**
 * struct owner - who has a shrinker
 * @holds: walks under way that stand at it
 * @refs: shrinker_try_get() without shrinker_put()
 * @dying: unregistered, but held: the id is not free yet
 * @hosted: its callbacks live in the host of registry_calls.c
 */
struct owner {
	struct machine *machine;
	struct shrinker *shrinker;
	enum owner_state state;
	unsigned int flags;
	int id;
	uint64_t seq;
	unsigned int holds, refs;
	bool dying, hosted;
	uint32_t label;
	int64_t deferred[NODES];
	struct shrinker_statistics counted;
};

/** struct lru - items by list, from the head on */
struct lru {
	struct list_lru lru;
	struct machine *machine;
	bool there, by_group;
	int shrinker_id;
	unsigned int walks;
	int length[NODES][GROUPS];
	int order[NODES][GROUPS][ITEMS];
};

/** struct item - an object; @lru, @nid and @group are as it was added */
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
	bool traced;
	uint64_t limit, lost;
	int nr_events;
};

/* What a walk was started by. */
enum program { ONE_WALK, LADDER, DROP_SLAB, COUNT_ONCE, SCAN_ONCE };

/**
 * struct frame - a call that walks, and how far the model has come in it
 * @target: group of the call; -1: all
 * @nid_asked: node of the call; -1: all
 * @group, @nid: of the walk at hand; @group -1 without memory cgroups
 * @walking: there is a walk at hand
 * @seq, @next_id: what the walk has visited
 * @at: where it stands; NULL
 * @asked: @at has been counted, and what came of it has not been looked at
 * @in_pass: its pass has got past the count
 * @returned: what the pass returned
 * @again: the pass is the second look
 * @inside, @may_stay: the walk is in the host, and may stay for other shrinkers
 * @freed, @scanned, @passes: of the call; @round_freed: of this drop_slab() round
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

/** struct world - all there is in one input */
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

/* registry_trace.c */
void emit(struct machine *machine, const struct shrink_event *event);
void op_trace(struct machine *machine);
void compare(struct machine *machine);

/* fuzz_registry.c */
void run_some(unsigned int most);

#endif /* FUZZ_REGISTRY_WORLD_H */
