/* SPDX-License-Identifier: MIT */
/*
 * Memory cgroups and list_lrus: threads that add and delete items, walk groups,
 * trees and lists, make groups, take them offline and remove them, register and
 * free shrinkers with lrus of their own, and make the maps grow, all at once, for
 * as many seconds as the first argument says (default 2).
 *
 * Each object counts how often it was added and how often it was taken off.  At the
 * end these are equal, or one more was added and the object is on a list.  And for
 * each group with items the bit is set.
 */
#include <linux/list_lru.h>

#include "stress.h"

#define NR_NODES 2
#define NR_LRUS 3
#define NR_SLOTS 12
#define NR_OBJECTS 24
#define NR_EXTRA 64
#define NR_GUESTS 8

static struct reclaim_domain *domain;

static struct {
	counter added, deleted, isolated, dropped, unlocked, walks, groups, offline,
		orphaned, shrinkers;
} total;

/**
 * struct object - an item of an lru
 * @added, @taken: number of times that it was added and taken off
 * @slot: has the group with which it is added; NULL: the root
 * @lru: the lru to which it is added
 * @owned: never deleted: a callback moves it to a list of its own
 * @busy: an owned object that is on a list of the lru or of a callback
 */
struct object {
	struct list_head item;
	struct slot *slot;
	struct list_lru *lru;
	int nid;
	bool owned;
	_Atomic(bool) busy;
	_Atomic(unsigned long) added;
	_Atomic(unsigned long) taken;
};

/**
 * struct slot - a group, which is replaced by a new one after it was removed
 * @lock: shared for threads that use the group, exclusive for one that replaces it
 * @parent: slot with the group's parent, if that is online; otherwise the root
 */
struct slot {
	pthread_rwlock_t lock;
	struct slot *parent;
	struct mem_cgroup *memcg;
	struct object object[NR_OBJECTS];
};

static struct slot slots[NR_SLOTS];
static struct object extra[NR_EXTRA];
static struct list_lru lrus[NR_LRUS];
static struct shrinker *shrinkers[NR_LRUS];

static void object_init(struct object *object, struct slot *slot,
			struct list_lru *lru, int nid, bool owned)
{
	memset(object, 0, sizeof(*object));
	INIT_LIST_HEAD(&object->item);
	object->slot = slot;
	object->lru = lru;
	object->nid = nid;
	object->owned = owned;
}

/* The caller holds @memcg. */
static void object_add(struct object *object, struct mem_cgroup *memcg)
{
	if (object->owned && atomic_exchange(&object->busy, true))
		return;
	if (list_lru_add(object->lru, &object->item, object->nid, memcg)) {
		count(&object->added);
		count(&total.added);
	} else {
		CHECK(!object->owned);
	}
}

static void object_del(struct object *object, struct mem_cgroup *memcg)
{
	if (!object->owned &&
	    list_lru_del(object->lru, &object->item, object->nid, memcg)) {
		count(&object->taken);
		count(&total.deleted);
	}
}

/* Called when no thread uses the object; returns whether it is on a list. */
static bool object_check(struct object *object)
{
	bool on_list = !list_empty(&object->item);

	CHECK_EQ(atomic_load(&object->added),
		 atomic_load(&object->taken) + on_list);
	return on_list;
}

/* --- callbacks ------------------------------------------------------------ */

static void unlock_for_a_while(struct list_lru_one *list)
{
	list_lru_unlock(list);
	count(&total.unlocked);
	sched_yield();
	list_lru_lock(list);
}

/* @arg: the caller's list for owned objects. */
static enum lru_status isolate(struct list_head *item, struct list_lru_one *list,
			       void *arg)
{
	struct object *object = list_entry(item, struct object, item);
	uint64_t random = next_random();

	switch (random % 16) {
	case 0:
		return LRU_SKIP;
	case 1:
	case 2:
		return LRU_ROTATE;
	case 3:
		unlock_for_a_while(list);
		return LRU_RETRY;
	case 4:
		return random & 0x300 ? LRU_ROTATE : LRU_STOP;
	}
	count(&object->taken);
	count(&total.isolated);
	if (object->owned)
		list_lru_isolate_move(list, item, arg);
	else
		list_lru_isolate(list, item);
	/* The last lru's lock is always taken after the others'. */
	if (object->lru != &lrus[NR_LRUS - 1] && random % 16 == 5)
		object_add(&extra[random / 16 % NR_EXTRA], NULL);
	if (random % 16 > 7)
		return LRU_REMOVED;
	unlock_for_a_while(list);
	return LRU_REMOVED_RETRY;
}

static void dispose(struct list_head *list)
{
	struct object *object, *after;

	list_for_each_entry_safe(object, after, list, item) {
		list_del_init(&object->item);
		atomic_store(&object->busy, false);
	}
	CHECK(list_empty(list));
}

static unsigned long lru_count(struct shrinker *shrinker,
			       struct shrink_control *sc)
{
	unsigned long objects = list_lru_shrink_count(shrinker->private_data, sc);

	CHECK(objects < NR_SLOTS * NR_OBJECTS + NR_EXTRA);
	return objects ? objects : SHRINK_EMPTY;
}

static unsigned long lru_scan(struct shrinker *shrinker,
			      struct shrink_control *sc)
{
	unsigned long isolated;
	LIST_HEAD(mine);

	isolated = list_lru_shrink_walk(shrinker->private_data, sc, isolate, &mine);
	dispose(&mine);
	return isolated;
}

static struct shrinker *lru_open(struct list_lru *lru, bool registered)
{
	struct shrinker *shrinker;

	shrinker = reclaim_shrinker_alloc(domain, AWARE, "stress");
	CHECK(shrinker);
	CHECK_EQ(list_lru_init_memcg(lru, shrinker), 0);
	shrinker->count_objects = lru_count;
	shrinker->scan_objects = lru_scan;
	shrinker->private_data = lru;
	shrinker->batch = 8;
	if (registered)
		shrinker_register(shrinker);
	return shrinker;
}

/* --- threads -------------------------------------------------------------- */

static struct slot *random_slot(void)
{
	struct slot *slot = &slots[next_random() % NR_SLOTS];

	CHECK_EQ(pthread_rwlock_rdlock(&slot->lock), 0);
	return slot;
}

static void slot_leave(struct slot *slot)
{
	CHECK_EQ(pthread_rwlock_unlock(&slot->lock), 0);
}

/* Adds and deletes objects with groups that may be offline. */
static void user(void)
{
	struct slot *slot = random_slot();
	int i;

	for (i = 0; i < 32; i++) {
		uint64_t random = next_random();
		struct object *object = &slot->object[random / 4 % NR_OBJECTS];

		if (random % 4)
			object_add(object, slot->memcg);
		else
			object_del(object, slot->memcg);
	}
	if (next_random() % 8 == 0)
		object_del(&extra[next_random() % NR_EXTRA], NULL);
	slot_leave(slot);
}

static void walker(void)
{
	struct reclaim_request request = { .nr_to_reclaim = 50,
					   .gfp_mask = GFP_KERNEL,
					   .nid = -1,
					   .priority = 1 };
	struct reclaim_result result;
	struct list_lru *lru = &lrus[next_random() % NR_LRUS];
	int nid = (int)(next_random() % NR_NODES);
	unsigned long budget = 50;
	LIST_HEAD(mine);
	struct slot *slot;

	count(&total.walks);
	switch (next_random() % 8) {
	case 0:
		reclaim_drop_slab(domain);
		break;
	case 1:
		CHECK(reclaim_run(domain, &request, &result));
		break;
	case 2:
		list_lru_walk_node(lru, nid, isolate, &mine, &budget);
		dispose(&mine);
		break;
	case 3:
		CHECK(list_lru_count(lru) <= NR_SLOTS * NR_OBJECTS + NR_EXTRA);
		break;
	default:
		slot = random_slot();
		reclaim_shrink_slab(domain, GFP_KERNEL, nid, slot->memcg, 0);
		slot_leave(slot);
	}
}

/* Isolates the objects of one slot. */
static enum lru_status take_of_slot(struct list_head *item,
				   struct list_lru_one *list, void *arg)
{
	struct object *object = list_entry(item, struct object, item);

	if (object->slot != arg)
		return LRU_SKIP;
	list_lru_isolate(list, item);
	count(&object->taken);
	count(&total.isolated);
	atomic_store(&object->busy, false);
	return LRU_REMOVED;
}

/* Takes the slot's objects off their lists, puts its group, and makes another
 * one. */
static void slot_replace(struct slot *slot)
{
	struct mem_cgroup *parent = reclaim_domain_root(domain);
	int i;

	CHECK_EQ(pthread_rwlock_wrlock(&slot->lock), 0);
	for (i = 0; i < NR_LRUS; i++)
		list_lru_walk(&lrus[i], take_of_slot, slot, ~0UL);
	for (i = 0; i < NR_OBJECTS; i++) {
		/* A callback has isolated it, and will dispose of it. */
		while (atomic_load(&slot->object[i].busy))
			sched_yield();
		CHECK(!object_check(&slot->object[i]));
	}
	mem_cgroup_put(slot->memcg);
	if (slot->parent && mem_cgroup_is_online(slot->parent->memcg))
		parent = slot->parent->memcg;
	CHECK_EQ(mem_cgroup_create(parent, &slot->memcg), 0);
	count(&total.groups);
	CHECK_EQ(pthread_rwlock_unlock(&slot->lock), 0);
}

/* Takes a group offline, removes it, or replaces it; each family has one thread. */
static void age_one_slot(struct slot *family)
{
	struct slot *slot = &family[next_random() % (NR_SLOTS / 2)];

	if (mem_cgroup_is_online(slot->memcg)) {
		int error = mem_cgroup_offline(slot->memcg);

		if (error)
			CHECK_EQ(error, -EBUSY);
		else
			count(&total.offline);
	} else if (mem_cgroup_remove(slot->memcg) == 0) {
		if (next_random() % 4)
			slot_replace(slot);
	} else {
		count(&total.orphaned);
	}
	usleep(500);
}

static void first_family(void)
{
	age_one_slot(slots);
}

static void second_family(void)
{
	age_one_slot(slots + NR_SLOTS / 2);
}

/* Waits until the bit is set that says that the group has items, or it has none. */
static void wait_for_the_bit(struct list_lru *lru, struct object *object)
{
	struct mem_cgroup *memcg = object->slot->memcg;
	int tries;

	for (tries = 0; list_lru_count_one(lru, object->nid, memcg) &&
			!mem_cgroup_has_bit(memcg, object->nid, lru->shrinker_id);
	     tries++) {
		CHECK(tries < 30000);
		usleep(100);
	}
}

/* A shrinker that comes and goes, with an lru and objects of its own. */
static void guest(void)
{
	struct slot *slot = random_slot();
	struct object object[NR_GUESTS];
	struct shrinker *crowd[70];
	bool crowded = next_random() % 64 == 0;
	struct shrinker *shrinker;
	struct list_lru lru;
	unsigned long left;
	int i;

	/* Sometimes so many shrinkers that the maps grow. */
	for (i = 0; crowded && i < 70; i++)
		CHECK((crowd[i] = reclaim_shrinker_alloc(
			       domain, SHRINKER_MEMCG_AWARE, "crowd")));
	shrinker = lru_open(&lru, true);
	count(&total.shrinkers);
	for (i = 0; i < NR_GUESTS; i++) {
		object_init(&object[i], slot, &lru, i % NR_NODES, i % 2);
		object_add(&object[i], slot->memcg);
	}
	sched_yield();
	for (i = 0; i < NR_GUESTS; i++)
		object_add(&object[i], slot->memcg);
	if (next_random() % 4 == 0) {
		wait_for_the_bit(&lru, &object[0]);
		wait_for_the_bit(&lru, &object[1]);
	}
	for (i = 0; i < NR_GUESTS / 2; i++)
		object_del(&object[i], slot->memcg);
	shrinker_free(shrinker);
	for (i = 0; crowded && i < 70; i++)
		shrinker_free(crowd[i]);

	/* Destroying the lru takes the rest off.  Until then groups may move the
	 * items, so they must not be looked at. */
	left = list_lru_count(&lru);
	list_lru_destroy(&lru);
	for (i = 0; i < NR_GUESTS; i++) {
		unsigned long had = atomic_load(&object[i].added) -
				    atomic_load(&object[i].taken);

		CHECK(had <= left);
		left -= had;
		atomic_fetch_add(&object[i].taken, had);
		atomic_fetch_add(&total.dropped, had);
		CHECK(!object_check(&object[i]));
	}
	CHECK_EQ(left, 0);
	slot_leave(slot);
}

/* --- beginning and end ---------------------------------------------------- */

static void begin(void)
{
	int i, j;

	domain = memcg_domain_new(NR_NODES);
	for (i = 0; i < NR_LRUS; i++)
		shrinkers[i] = lru_open(&lrus[i], true);
	for (i = 0; i < NR_EXTRA; i++)
		object_init(&extra[i], NULL, &lrus[NR_LRUS - 1], i % NR_NODES,
			    false);
	for (i = 0; i < NR_SLOTS; i++) {
		struct slot *slot = &slots[i];
		int rank = i % (NR_SLOTS / 2);

		pthread_rwlock_init(&slot->lock, NULL);
		/* A family is a heap: three generations. */
		if (rank)
			slot->parent = &slots[i - rank + (rank - 1) / 2];
		CHECK_EQ(mem_cgroup_create(slot->parent ?
						   slot->parent->memcg :
						   reclaim_domain_root(domain),
					   &slot->memcg), 0);
		for (j = 0; j < NR_OBJECTS; j++)
			object_init(&slot->object[j], slot, &lrus[j % NR_LRUS],
				    j / NR_LRUS % NR_NODES,
				    j / NR_LRUS / NR_NODES % 2);
	}
}

static unsigned long check_bits(void)
{
	unsigned long checked = 0;
	int i, j, nid;

	for (i = 0; i < NR_SLOTS; i++)
		for (j = 0; j < NR_LRUS; j++)
			for (nid = 0; nid < NR_NODES; nid++)
				if (list_lru_count_one(&lrus[j], nid,
						       slots[i].memcg)) {
					CHECK(mem_cgroup_is_online(slots[i].memcg));
					CHECK(mem_cgroup_has_bit(
						slots[i].memcg, nid,
						shrinker_id(shrinkers[j])));
					checked++;
				}
	return checked;
}

static enum lru_status take(struct list_head *item, struct list_lru_one *list,
			    void *arg)
{
	(void)arg;
	list_lru_isolate(list, item);
	return LRU_REMOVED;
}

/* Returns how many objects are on lists. */
static unsigned long end(void)
{
	unsigned long on_list[NR_LRUS] = { 0 }, left = 0;
	int i, j;

	for (i = 0; i < NR_SLOTS; i++)
		for (j = 0; j < NR_OBJECTS; j++)
			on_list[j % NR_LRUS] += object_check(&slots[i].object[j]);
	for (i = 0; i < NR_EXTRA; i++)
		on_list[NR_LRUS - 1] += object_check(&extra[i]);

	for (i = 0; i < NR_LRUS; i++) {
		CHECK_EQ(list_lru_count(&lrus[i]), on_list[i]);
		CHECK_EQ(list_lru_walk(&lrus[i], take, NULL, ~0UL), on_list[i]);
		CHECK_EQ(list_lru_count(&lrus[i]), 0);
		left += on_list[i];
		shrinker_free(shrinkers[i]);
		list_lru_destroy(&lrus[i]);
	}
	for (i = 0; i < NR_SLOTS; i++) {
		for (j = 0; j < NR_OBJECTS; j++)
			CHECK(list_empty(&slots[i].object[j].item));
		mem_cgroup_put(slots[i].memcg);
		pthread_rwlock_destroy(&slots[i].lock);
	}
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	reclaim_domain_put(domain);
	return left;
}

int main(int argc, char **argv)
{
	struct role role[] = { { .step = walker },	 { .step = walker },
			       { .step = user },	 { .step = user },
			       { .step = first_family }, { .step = second_family },
			       { .step = guest },	 { .step = guest } };
	unsigned long left, bits;

	begin();
	roles_start(role, LENGTH(role));
	sleep_as_told(argc, argv);
	/* Walks end first, so that some items are left on lists. */
	roles_end(role, 2);
	moment();
	roles_end(role + 2, LENGTH(role) - 2);

	bits = check_bits();
	left = end();
	CHECK_EQ(total.added, total.deleted + total.isolated + total.dropped + left);
	printf("stress_memcg: %lu added = %lu deleted + %lu isolated + %lu dropped with "
	       "their lru + %lu on lists; %lu bits right; %lu walks, %lu lists unlocked "
	       "inside, %lu groups made, %lu offline, %lu kept by children, %lu shrinkers\n",
	       total.added, total.deleted, total.isolated, total.dropped, left, bits,
	       total.walks, total.unlocked, total.groups, total.offline, total.orphaned,
	       total.shrinkers);
	return 0;
}
