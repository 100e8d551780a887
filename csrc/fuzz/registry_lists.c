/* SPDX-License-Identifier: MIT */
/*
 * list_lru of registry_world.h.  The model of a list is the order of its items;
 * each callback of a walk checks that the walk has come to the right item.
 */
#include "registry_world.h"

#define NO_ITEM (-1)

/**
 * struct list_walk - a running walk
 * @next: the next item on the current list
 * @all_groups, @all_nodes: it walks the lists of all groups, of all nodes
 * @moved: receives items of list_lru_isolate_move()
 */
struct list_walk {
	struct lru *lru;
	int nid, group, next;
	bool all_groups, all_nodes;
	unsigned long budget, isolated;
	struct list_head moved;
};

/* --- lists of the model --------------------------------------------------- */

static void append(struct lru *lru, int nid, int group, int item)
{
	lru->order[nid][group][lru->length[nid][group]++] = item;
}

/* All items of one group before those of another. */
static void splice(struct lru *lru, int nid, int from, int to)
{
	int *added = lru->order[nid][from], *nr_added = &lru->length[nid][from];
	int *order = lru->order[nid][to], *length = &lru->length[nid][to];

	memmove(order + *nr_added, order, (size_t)*length * sizeof(*order));
	memcpy(order, added, (size_t)*nr_added * sizeof(*order));
	*length += *nr_added;
	*nr_added = 0;
}

static int behind(const struct lru *lru, int nid, int group, int item)
{
	int i = 0;

	if (item != NO_ITEM)
		while (lru->order[nid][group][i++] != item)
			;
	return i < lru->length[nid][group] ? lru->order[nid][group][i] : NO_ITEM;
}

static bool take_off_list(struct lru *lru, int nid, int group, int item)
{
	int *order = lru->order[nid][group], *length = &lru->length[nid][group];
	int i;

	for (i = 0; i < *length; i++)
		if (order[i] == item) {
			memmove(order + i, order + i + 1,
				(size_t)(--*length - i) * sizeof(*order));
			return true;
		}
	return false;
}

/* From its group's list, or from that of the ancestor to which it was moved. */
static bool take_off(struct item *item, int index)
{
	struct lru *lru = item->lru;
	int group = item->group;

	while (lru && !take_off_list(lru, item->nid, group, index)) {
		if (!group)
			return false;
		group = lru->machine->group[group].parent;
	}
	item->lru = NULL;
	return lru;
}

/* The group's items go to its parent, which is online. */
void splice_lists(struct machine *machine, int group)
{
	int parent = machine->group[group].parent;
	int i, nid;

	for (i = 0; i < LRUS; i++)
		for (nid = 0; nid < machine->nr_nodes; nid++) {
			struct lru *lru = &machine->lru[i];

			if (!lru->there || !lru->length[nid][group])
				continue;
			splice(lru, nid, group, parent);
			set_bit(machine, parent, nid, lru->shrinker_id);
		}
}

/* --- making and destroying ------------------------------------------------ */

static void lru_create(struct machine *machine, struct lru *lru)
{
	struct owner *owner = pick_owner(machine);
	unsigned int how = take(&world.script);
	struct shrinker *shrinker;
	int error;

	if (how == 255) {
		struct owner *foreign = world.machine[machine == world.machine].owner;

		if (!shrinker_is_ours(foreign))
			return;
		EXPECT_EQ(list_lru_init_domain(&lru->lru, machine->domain,
					       foreign->shrinker),
			  -EINVAL);
		list_lru_destroy(&lru->lru);
		return;
	}
	if (owner && !shrinker_is_ours(owner))
		owner = NULL;
	shrinker = owner ? owner->shrinker : NULL;
	error = list_lru_init_domain(&lru->lru, machine->domain, shrinker);
	EXPECT_EQ(error, 0);
	memset(lru->length, 0, sizeof(lru->length));
	lru->there = true;
	lru->machine = machine;
	lru->shrinker_id = -1;
	if (owner && (machine->kmem || owner->flags & SHRINKER_NONSLAB))
		lru->shrinker_id = owner->id;
	lru->by_group = owner && machine->memcgs && machine->kmem;
}

static void lru_destroy(struct lru *lru)
{
	int i;

	list_lru_destroy(&lru->lru);
	list_lru_destroy(&lru->lru); /* A second time does nothing. */
	lru->there = false;
	for (i = 0; i < ITEMS; i++)
		if (world.item[i].lru == lru) {
			EXPECT(list_empty(&world.item[i].head));
			world.item[i].lru = NULL;
		}
}

void free_lrus(struct machine *machine)
{
	int i;

	for (i = 0; i < LRUS; i++)
		if (machine->lru[i].there)
			lru_destroy(&machine->lru[i]);
}

void op_lru(struct machine *machine)
{
	struct lru *lru = &machine->lru[take_below(&world.script, LRUS)];

	if (!lru->there)
		lru_create(machine, lru);
	else if (!lru->walks && !(take(&world.script) & 7))
		lru_destroy(lru);
}

static struct lru *pick_lru(struct machine *machine)
{
	struct lru *lru = &machine->lru[take_below(&world.script, LRUS)];

	return lru->there ? lru : NULL;
}

/* --- adding and deleting -------------------------------------------------- */

/* Adds an item that is on a list, with the node and group that it has. */
static bool add_again(struct item *item)
{
	struct machine *machine = item->lru->machine;

	if (machine->group[item->group].held || !item->lru->by_group)
		EXPECT_EQ(list_lru_insert(&item->lru->lru, &item->head, item->nid,
					  memcg_of(machine, item->group)),
			  -EEXIST);
	return true;
}

void op_add(struct machine *machine)
{
	int index = take_below(&world.script, ITEMS);
	struct item *item = &world.item[index];
	struct lru *lru = pick_lru(machine);
	int group = pick_group(machine), nid = take_nid(machine), place;

	/* An item that was moved by an isolate callback is on the walk's own
	 * list. */
	if (!lru || (!item->lru && !list_empty(&item->head)))
		return;
	if (item->lru && add_again(item))
		return;
	if (nid < 0 || nid >= machine->nr_nodes) {
		EXPECT(!list_lru_add(&lru->lru, &item->head, nid, NULL));
		return;
	}
	EXPECT_EQ(list_lru_insert(&lru->lru, &item->head, nid,
				  memcg_of(machine, group)),
		  0);
	item->lru = lru;
	item->nid = nid;
	item->group = lru->by_group && group >= 0 ? group : 0;
	place = online_place(machine, item->group);
	if (!lru->length[nid][place])
		set_bit(machine, lru->by_group ? place : group, nid,
			lru->shrinker_id);
	append(lru, nid, place, index);
}

void op_del(struct machine *machine)
{
	int index = take_below(&world.script, ITEMS);
	struct item *item = &world.item[index];
	struct lru *lru = item->lru;
	bool there;

	if (!lru || lru->machine != machine ||
	    (lru->by_group && !machine->group[item->group].held))
		return;
	there = list_lru_del(&lru->lru, &item->head, item->nid,
			     memcg_of(machine, item->group));
	EXPECT_EQ(there, 1);
	EXPECT(!list_lru_del(&lru->lru, &item->head, item->nid,
			     memcg_of(machine, item->group)));
	EXPECT(take_off(item, index));
	EXPECT(list_empty(&item->head));
}

/* --- walks ---------------------------------------------------------------- */

/* The online group with the lowest kmem id above that of @group; -1: none. */
static int next_group(const struct machine *machine, int group)
{
	int next = -1, i;

	for (i = 1; i < machine->nr_groups; i++)
		if (machine->group[i].online &&
		    machine->group[i].kmem_id > machine->group[group].kmem_id &&
		    (next < 0 ||
		     machine->group[i].kmem_id < machine->group[next].kmem_id))
			next = i;
	return next;
}

/* The next item of the walk, on this list or a later one. */
static int next_item(struct list_walk *walk)
{
	struct machine *machine = walk->lru->machine;

	while (walk->next == NO_ITEM && walk->budget) {
		int group = walk->all_groups && walk->lru->by_group ?
				    next_group(machine, walk->group) :
				    -1;

		if (group > 0) {
			walk->group = group;
		} else if (walk->all_nodes && walk->nid + 1 < machine->nr_nodes) {
			walk->group = 0;
			walk->nid++;
		} else {
			return NO_ITEM;
		}
		walk->next = behind(walk->lru, walk->nid, walk->group, NO_ITEM);
	}
	return walk->budget ? walk->next : NO_ITEM;
}

/* Unlocks the list, and runs operations.  The walk then starts again from the
 * head. */
static void unlock_for_a_while(struct list_walk *walk, struct list_lru_one *list)
{
	list_lru_unlock(list);
	run_some(take(&world.script) & 7);
	list_lru_lock(list);
	walk->next = behind(walk->lru, walk->nid, walk->group, NO_ITEM);
}

static enum lru_status isolate(struct list_head *head, struct list_lru_one *list,
			       void *arg)
{
	struct list_walk *walk = arg;
	struct item *item = (struct item *)head; /* Its first member. */
	int index = next_item(walk);
	unsigned int how = take(&world.script);

	EXPECT(index != NO_ITEM && item == &world.item[index]);
	walk->budget--;
	walk->next = behind(walk->lru, walk->nid, walk->group, index);
	if (how & 128)
		op_bits(walk->lru->machine);
	switch (how % 8) {
	case 0:
	case 1:
	case 2:
		EXPECT(take_off(item, index));
		if (how & 16)
			list_lru_isolate_move(list, head, &walk->moved);
		else
			list_lru_isolate(list, head);
		walk->isolated++;
		if (how % 8 < 2)
			return LRU_REMOVED;
		unlock_for_a_while(walk, list);
		return LRU_REMOVED_RETRY;
	case 3:
	case 4:
		take_off_list(walk->lru, walk->nid, walk->group, index);
		append(walk->lru, walk->nid, walk->group, index);
		return LRU_ROTATE;
	case 5:
		return LRU_SKIP;
	case 6:
		unlock_for_a_while(walk, list);
		if (how & 16)
			return LRU_RETRY;
		walk->next = NO_ITEM;
		return LRU_STOP;
	default:
		walk->next = NO_ITEM;
		return how & 16 ? LRU_STOP : (enum lru_status)77;
	}
}

static unsigned long walk_as(struct list_walk *walk, unsigned int how,
			     struct mem_cgroup *memcg, unsigned long *budget)
{
	struct shrink_control sc = { .nid = walk->nid, .memcg = memcg,
				     .nr_to_scan = *budget };
	struct list_lru *lru = &walk->lru->lru;
	unsigned long isolated;

	switch (how) {
	case 0:
		return list_lru_walk_one(lru, walk->nid, memcg, isolate, walk,
					 budget);
	case 1:
		isolated = list_lru_shrink_walk(lru, &sc, isolate, walk);
		*budget = sc.nr_to_scan;
		return isolated;
	case 2:
		return list_lru_walk_node(lru, walk->nid, isolate, walk, budget);
	default:
		isolated = list_lru_walk(lru, isolate, walk, *budget);
		*budget = walk->budget; /* It does not return its own. */
		return isolated;
	}
}

void op_list_walk(struct machine *machine)
{
	struct lru *lru = pick_lru(machine);
	unsigned int how = take(&world.script) % 4;
	int group = pick_group(machine);
	unsigned long budget = take(&world.script), isolated;
	struct list_walk walk = { .lru = lru, .budget = budget };

	if (!lru || world.depth == DEPTH)
		return;
	INIT_LIST_HEAD(&walk.moved);
	walk.nid = how < 3 ? take_below(&world.script, machine->nr_nodes) : 0;
	walk.group = how < 2 && lru->by_group && group >= 0 ? group : 0;
	walk.all_groups = how > 1;
	walk.all_nodes = how > 2;
	walk.next = behind(lru, walk.nid, walk.group, NO_ITEM);
	lru->walks++;
	world.depth++;
	if (group >= 0)
		machine->group[group].named++;
	isolated = walk_as(&walk, how, memcg_of(machine, group), &budget);
	if (group >= 0)
		machine->group[group].named--;
	world.depth--;
	lru->walks--;
	EXPECT_EQ(next_item(&walk), NO_ITEM);
	EXPECT_EQ(isolated, walk.isolated);
	EXPECT_EQ(budget, walk.budget);
	while (!list_empty(&walk.moved))
		list_del_init(walk.moved.next);
}
