/* SPDX-License-Identifier: MIT */
/*
 * The C list_lru for ctypes: what takes a structure or is a macro, as functions.
 * list_lru_scenarios.py calls them.
 */
#include <stdlib.h>

#include <shrinker/domain.h>
#include <shrinker/list_lru.h>

struct item {
	struct list_head list;
	int number;
};

/* What a driver asks the test; set once. */
static unsigned long (*on_count)(struct shrinker *shrinker, int nid,
				 struct mem_cgroup *memcg);
static unsigned long (*on_scan)(struct shrinker *shrinker, int nid,
				struct mem_cgroup *memcg, unsigned long nr_to_scan);
static int (*on_item)(int number, bool unlocked);

/* Items of list_lru_isolate_move(). */
static struct list_head moved = LIST_HEAD_INIT(moved);

/* Bits of what on_item() returns, above the enum lru_status. */
#define ISOLATE 16
#define MOVE 32
#define UNLOCK 64

void calls_set(unsigned long (*count)(struct shrinker *, int, struct mem_cgroup *),
	       unsigned long (*scan)(struct shrinker *, int, struct mem_cgroup *,
				     unsigned long),
	       int (*item)(int, bool))
{
	on_count = count;
	on_scan = scan;
	on_item = item;
}

struct reclaim_domain *domain_new(int nr_nodes, bool memcg, bool kmem)
{
	return reclaim_domain_create(nr_nodes, 0,
				     (memcg ? RECLAIM_MEMCG : 0) |
					     (kmem ? RECLAIM_KMEM : 0));
}

struct mem_cgroup *group_new(struct mem_cgroup *parent)
{
	struct mem_cgroup *memcg = NULL;

	return mem_cgroup_create(parent, &memcg) ? NULL : memcg;
}

static unsigned long count(struct shrinker *shrinker, struct shrink_control *sc)
{
	return on_count(shrinker, sc->nid, sc->memcg);
}

static unsigned long scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	return on_scan(shrinker, sc->nid, sc->memcg, sc->nr_to_scan);
}

struct shrinker *shrinker_new(struct reclaim_domain *domain, unsigned int flags)
{
	struct shrinker *shrinker = reclaim_shrinker_alloc(domain, flags, "lru");

	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	return shrinker;
}

unsigned long walk_group(struct reclaim_domain *domain, int nid,
			 struct mem_cgroup *memcg, int priority)
{
	return reclaim_shrink_slab(domain, GFP_KERNEL, nid, memcg, priority);
}

struct list_lru *lru_new(struct reclaim_domain *domain, struct shrinker *shrinker)
{
	struct list_lru *lru = calloc(1, sizeof(*lru));

	return list_lru_init_domain(lru, domain, shrinker) ? NULL : lru;
}

void lru_free(struct list_lru *lru)
{
	list_lru_destroy(lru);
	free(lru);
}

struct item *item_new(int number)
{
	struct item *item = calloc(1, sizeof(*item));

	item->number = number;
	INIT_LIST_HEAD(&item->list);
	return item;
}

static enum lru_status isolate(struct list_head *item, struct list_lru_one *list,
			       void *arg)
{
	int number = list_entry(item, struct item, list)->number;
	int answer = on_item(number, false);

	(void)arg;
	if (answer & ISOLATE)
		list_lru_isolate(list, item);
	if (answer & MOVE)
		list_lru_isolate_move(list, item, &moved);
	if (answer & UNLOCK) {
		list_lru_unlock(list);
		on_item(number, true);
		list_lru_lock(list);
	}
	return (enum lru_status)(answer % ISOLATE);
}

unsigned long walk_one(struct list_lru *lru, int nid, struct mem_cgroup *memcg,
		       unsigned long *budget)
{
	return list_lru_walk_one(lru, nid, memcg, isolate, NULL, budget);
}

unsigned long walk_node(struct list_lru *lru, int nid, struct mem_cgroup *memcg,
			unsigned long *budget)
{
	(void)memcg;
	return list_lru_walk_node(lru, nid, isolate, NULL, budget);
}

unsigned long walk_all(struct list_lru *lru, int nid, struct mem_cgroup *memcg,
		       unsigned long *budget)
{
	(void)nid;
	(void)memcg;
	return list_lru_walk(lru, isolate, NULL, *budget);
}

unsigned long walk_shrink(struct list_lru *lru, int nid, struct mem_cgroup *memcg,
			  unsigned long *budget)
{
	struct shrink_control sc = {
		.nid = nid,
		.memcg = memcg,
		.nr_to_scan = *budget,
	};
	unsigned long isolated = list_lru_shrink_walk(lru, &sc, isolate, NULL);

	*budget = sc.nr_to_scan;
	return isolated;
}

/* The number of the first moved item, which is taken off; -1 after the last. */
int next_moved(void)
{
	struct item *item;

	if (list_empty(&moved))
		return -1;
	item = list_first_entry(&moved, struct item, list);
	list_del_init(&item->list);
	return item->number;
}
