/* SPDX-License-Identifier: MIT */
/*
 * list_lru of registry_world.h.  The model of a list is the order of its items;
 * where a walk goes next is worked out at each of its callbacks.
 */
#include "registry_world.h"

#define NO_ITEM (-1)

/**
 * struct list_walk - a walk under way
 * @next: item that is asked about next on the list at hand
 * @all_groups, @all_nodes: how far it goes
 * @moved: where items go that are not only isolated
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

/* Wherever it has gone: its group's list, or that of one above. */
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
	int i, nid, n;

	for (i = 0; i < LRUS; i++)
		for (nid = 0; nid < machine->nr_nodes; nid++) {
			struct lru *lru = &machine->lru[i];

			if (!lru->there || !lru->length[nid][group])
				continue;
			for (n = 0; n < lru->length[nid][group]; n++)
				append(lru, nid, parent,
				       lru->order[nid][group][n]);
			lru->length[nid][group] = 0;
			set_bit(machine, parent, nid, lru->shrinker_id);
		}
}

/* --- life ----------------------------------------------------------------- */

static void lru_create(struct machine *machine, struct lru *lru)
{
	struct owner *owner = pick_owner(machine);
	unsigned int how = take(&world.script);
	struct shrinker *shrinker;
	int error;

	if (how == 255) {
		struct owner *strangers = world.machine[machine == world.machine].owner;

		if (!shrinker_is_ours(strangers))
			return;
		EXPECT_EQ(list_lru_init_domain(&lru->lru, machine->domain,
					       strangers->shrinker),
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
	lru->shrinker_id = owner ? owner->id : -1;
	lru->by_group = lru->shrinker_id >= 0;
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

/* An item that is on a list is named as it was added, by a group that is held. */
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

	/* One that an isolate callback has moved is on a list of the walk's. */
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
		set_bit(machine, place, nid, lru->shrinker_id);
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

/* The item that is asked about next, on this list or one behind it. */
static int next_item(struct list_walk *walk)
{
	struct machine *machine = walk->lru->machine;

	while (walk->next == NO_ITEM && walk->budget) {
		if (walk->all_groups && walk->lru->by_group &&
		    walk->group + 1 < machine->nr_groups) {
			walk->group++;
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

/* While the list is let go of, anything may happen; then from the head again. */
static void let_go(struct list_walk *walk, struct list_lru_one *list)
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
		let_go(walk, list);
		return LRU_REMOVED_RETRY;
	case 3:
	case 4:
		take_off_list(walk->lru, walk->nid, walk->group, index);
		append(walk->lru, walk->nid, walk->group, index);
		return LRU_ROTATE;
	case 5:
		return LRU_SKIP;
	case 6:
		let_go(walk, list);
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
		*budget = walk->budget; /* It does not say. */
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
