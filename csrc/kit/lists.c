/* SPDX-License-Identifier: MIT */
/* Lists of a list_lru as drivers use them: known by their place, and with their lock. */
#define _GNU_SOURCE 1

#include <linux/list_lru.h>
#include <linux/memcontrol.h>

#include "blocks.h"

#undef shrinker_alloc
#undef shrinker_free
#undef list_lru_init
#undef list_lru_init_memcg
#undef list_lru_destroy

int shrinker_kit_lru_init(struct list_lru *lru, bool memcg_aware,
			  struct shrinker *shrinker, const char *place)
{
	struct shrinker *own = NULL;
	int error;

	if (!shrinker_kit_may_allocate(place))
		return -ENOMEM;
	if (!memcg_aware) {
		error = list_lru_init(lru);
	} else {
		/* One without a shrinker: no bit is set for its items. */
		if (!shrinker)
			own = shrinker_alloc(0, "none");
		error = shrinker || own ? list_lru_init_memcg(lru, shrinker ?: own) :
					  -ENOMEM;
		shrinker_free(own);
	}
	if (!error && kit_testing() && !kit_made("list_lru", lru, "", place)) {
		list_lru_destroy(lru);
		error = -ENOMEM;
	}
	return error;
}

void shrinker_kit_lru_destroy(struct list_lru *lru)
{
	shrinker_kit_drop_made("list_lru", lru);
	list_lru_destroy(lru);
}

enum lru_status shrinker_kit_isolate_item(struct list_head *item,
					  struct list_lru_one *list, void *isolate)
{
	const struct shrinker_kit_isolate *to_call = isolate;
	enum lru_status status;
	spinlock_t lock;

	if (to_call->three)
		return to_call->three(item, list, to_call->arg);
	kit_list_lock_init(&lock, list, to_call->place);
	status = to_call->four(item, list, &lock, to_call->arg);
	if (kit_list_lock_end(&lock))
		return status;
	kit_fail("%s: an isolate callback has not taken the list's lock again",
		 to_call->place);
	list_lru_lock(list);
	return status;
}

struct mem_cgroup *mem_cgroup_from_slab_obj(void *object)
{
	struct mem_cgroup *memcg = NULL;
	struct block *block;

	kit_lock_blocks();
	block = kit_find_block(object);
	if (block)
		memcg = block->memcg;
	kit_unlock_blocks();
	return memcg;
}

bool list_lru_add_obj(struct list_lru *lru, struct list_head *item)
{
	return list_lru_add(lru, item, 0, mem_cgroup_from_slab_obj(item));
}

bool list_lru_del_obj(struct list_lru *lru, struct list_head *item)
{
	return list_lru_del(lru, item, 0, mem_cgroup_from_slab_obj(item));
}
