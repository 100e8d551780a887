// SPDX-License-Identifier: MIT
/*
 * A cache of objects in the kernel's idiom, charged to memory cgroups: unused objects
 * are on a memcg-aware list_lru, and readers find all of them under RCU.
 */
#include <linux/hashtable.h>
#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "object_cache.h"

struct object {
	struct hlist_node hash;
	struct list_head lru;
	struct rcu_head rcu;
	spinlock_t lock;
	unsigned int users;
	bool referenced;
	u32 key;
};

static DEFINE_HASHTABLE(object_table, 8);
static DEFINE_SPINLOCK(table_lock);
static struct kmem_cache *object_slab;
static struct list_lru object_lru;
static struct shrinker *object_shrinker;

static void object_free(struct rcu_head *head)
{
	kmem_cache_free(object_slab, container_of(head, struct object, rcu));
}

struct object *object_get(u32 key)
{
	struct object *object;

	rcu_read_lock();
	hash_for_each_possible_rcu(object_table, object, hash, key) {
		bool found = false;

		if (object->key != key)
			continue;
		spin_lock(&object->lock);
		/* One that is on its way out is in no bucket any more. */
		if (!hlist_unhashed(&object->hash)) {
			object->users++;
			object->referenced = true;
			found = true;
		}
		spin_unlock(&object->lock);
		if (found)
			break;
	}
	rcu_read_unlock();
	return object;
}

struct object *object_create(u32 key)
{
	struct object *object;

	object = kmem_cache_alloc_lru(object_slab, &object_lru, GFP_KERNEL);
	if (!object)
		return NULL;
	spin_lock_init(&object->lock);
	INIT_LIST_HEAD(&object->lru);
	object->users = 1;
	object->referenced = false;
	object->key = key;
	spin_lock(&table_lock);
	hash_add_rcu(object_table, &object->hash, key);
	spin_unlock(&table_lock);
	return object;
}

void object_put(struct object *object)
{
	spin_lock(&object->lock);
	if (!--object->users)
		list_lru_add_obj(&object_lru, &object->lru);
	spin_unlock(&object->lock);
}

static enum lru_status object_isolate(struct list_head *item,
				      struct list_lru_one *list, void *arg)
{
	struct object *object = container_of(item, struct object, lru);
	struct list_head *dispose = arg;

	/* Users take the object's lock before the list's: only try here. */
	if (!spin_trylock(&object->lock))
		return LRU_SKIP;
	if (object->users) {
		list_lru_isolate(list, item);
		spin_unlock(&object->lock);
		return LRU_REMOVED;
	}
	if (object->referenced) {
		object->referenced = false;
		spin_unlock(&object->lock);
		return LRU_ROTATE;
	}
	spin_lock(&table_lock);
	hash_del_rcu(&object->hash);
	spin_unlock(&table_lock);
	list_lru_isolate_move(list, item, dispose);
	spin_unlock(&object->lock);
	return LRU_REMOVED;
}

static unsigned long object_count(struct shrinker *shrink,
				  struct shrink_control *sc)
{
	return list_lru_shrink_count(&object_lru, sc) ?: SHRINK_EMPTY;
}

static unsigned long object_scan(struct shrinker *shrink,
				 struct shrink_control *sc)
{
	struct object *object, *next;
	unsigned long freed = 0;
	LIST_HEAD(dispose);

	list_lru_shrink_walk(&object_lru, sc, object_isolate, &dispose);
	list_for_each_entry_safe(object, next, &dispose, lru) {
		list_del_init(&object->lru);
		call_rcu(&object->rcu, object_free);
		freed++;
	}
	return freed;
}

static int __init object_cache_init(void)
{
	int err = -ENOMEM;

	hash_init(object_table);
	object_slab = KMEM_CACHE(object, SLAB_ACCOUNT);
	if (!object_slab)
		return -ENOMEM;
	object_shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE,
					 "object-cache");
	if (!object_shrinker)
		goto destroy_slab;
	err = list_lru_init_memcg(&object_lru, object_shrinker);
	if (err)
		goto free_shrinker;
	object_shrinker->count_objects = object_count;
	object_shrinker->scan_objects = object_scan;
	shrinker_register(object_shrinker);
	return 0;

free_shrinker:
	shrinker_free(object_shrinker);
destroy_slab:
	kmem_cache_destroy(object_slab);
	return err;
}

static void __exit object_cache_exit(void)
{
	struct object *object;
	struct hlist_node *next;
	unsigned int bucket;

	shrinker_free(object_shrinker);
	hash_for_each_safe(object_table, bucket, next, object, hash) {
		list_lru_del_obj(&object_lru, &object->lru);
		hash_del_rcu(&object->hash);
		call_rcu(&object->rcu, object_free);
	}
	rcu_barrier();
	list_lru_destroy(&object_lru);
	kmem_cache_destroy(object_slab);
}

module_init(object_cache_init);
module_exit(object_cache_exit);
MODULE_LICENSE("Dual MIT/GPL");
