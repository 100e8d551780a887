// SPDX-License-Identifier: MIT
/*
 * A cache of names in the kernel's idiom: a hash table and an order of use under one
 * spinlock, and a shrinker that frees what was not asked for lately.
 */
#include <linux/hash.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "name_cache.h"

#define NAME_BITS 6

struct name_entry {
	struct hlist_node bucket;
	struct list_head lru;
	u32 key;
	bool referenced;
	char name[];
};

static struct hlist_head name_buckets[1 << NAME_BITS];
static LIST_HEAD(name_lru);
static DEFINE_SPINLOCK(name_lock);
static unsigned long name_nr;
static struct shrinker *name_shrinker;

static struct hlist_head *name_bucket(u32 key)
{
	return &name_buckets[hash_32(key, NAME_BITS)];
}

int name_cache_add(u32 key, const char *name)
{
	struct name_entry *entry;

	entry = kmalloc(sizeof(*entry) + strlen(name) + 1, GFP_KERNEL);
	if (!entry)
		return -ENOMEM;
	entry->key = key;
	entry->referenced = false;
	strcpy(entry->name, name);

	spin_lock(&name_lock);
	hlist_add_head(&entry->bucket, name_bucket(key));
	list_add_tail(&entry->lru, &name_lru);
	name_nr++;
	spin_unlock(&name_lock);
	return 0;
}

bool name_cache_get(u32 key, char *name, size_t size)
{
	struct name_entry *entry;

	spin_lock(&name_lock);
	hlist_for_each_entry(entry, name_bucket(key), bucket) {
		if (entry->key != key)
			continue;
		entry->referenced = true;
		strscpy(name, entry->name, size);
		break;
	}
	spin_unlock(&name_lock);
	return entry;
}

static unsigned long name_count(struct shrinker *shrink,
				struct shrink_control *sc)
{
	return READ_ONCE(name_nr) ?: SHRINK_EMPTY;
}

static unsigned long name_scan(struct shrinker *shrink,
			       struct shrink_control *sc)
{
	struct name_entry *entry, *next;
	unsigned long freed = 0;
	LIST_HEAD(dispose);

	if (!(sc->gfp_mask & __GFP_FS))
		return SHRINK_STOP;

	spin_lock(&name_lock);
	list_for_each_entry_safe(entry, next, &name_lru, lru) {
		if (!sc->nr_to_scan--)
			break;
		if (entry->referenced) {
			entry->referenced = false;
			list_move_tail(&entry->lru, &name_lru);
			continue;
		}
		hlist_del(&entry->bucket);
		list_move(&entry->lru, &dispose);
		WRITE_ONCE(name_nr, name_nr - 1);
		freed++;
	}
	spin_unlock(&name_lock);

	list_for_each_entry_safe(entry, next, &dispose, lru)
		kfree(entry);
	return freed;
}

static int __init name_cache_init(void)
{
	name_shrinker = shrinker_alloc(0, "name-cache");
	if (!name_shrinker)
		return -ENOMEM;
	name_shrinker->count_objects = name_count;
	name_shrinker->scan_objects = name_scan;
	shrinker_register(name_shrinker);
	return 0;
}

static void __exit name_cache_exit(void)
{
	struct name_entry *entry, *next;

	shrinker_free(name_shrinker);
	list_for_each_entry_safe(entry, next, &name_lru, lru) {
		hlist_del(&entry->bucket);
		list_del(&entry->lru);
		kfree(entry);
	}
	name_nr = 0;
}

module_init(name_cache_init);
module_exit(name_cache_exit);
MODULE_LICENSE("Dual MIT/GPL");
