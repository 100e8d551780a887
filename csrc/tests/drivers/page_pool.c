// SPDX-License-Identifier: MIT
/*
 * A pool of free pages in the kernel's idiom: pages that users give back are kept for
 * the next, the oldest is freed first, all under one mutex.  A shrinker that finds the
 * mutex held gives up, since its holder may be what asks for memory.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

#include "page_pool.h"

static DEFINE_MUTEX(pool_lock);
static LIST_HEAD(pool_pages);
static unsigned long pool_nr;
static struct shrinker *pool_shrinker;

struct page *pool_take(gfp_t gfp)
{
	struct page *page;

	mutex_lock(&pool_lock);
	page = list_first_entry_or_null(&pool_pages, struct page, lru);
	if (page) {
		list_del(&page->lru);
		WRITE_ONCE(pool_nr, pool_nr - 1);
	} else {
		/* Under the mutex, as careless drivers do: the scan must cope. */
		page = alloc_page(gfp);
	}
	mutex_unlock(&pool_lock);
	return page;
}

void pool_give(struct page *page)
{
	mutex_lock(&pool_lock);
	list_add_tail(&page->lru, &pool_pages);
	WRITE_ONCE(pool_nr, pool_nr + 1);
	mutex_unlock(&pool_lock);
}

static unsigned long pool_count(struct shrinker *shrink,
				struct shrink_control *sc)
{
	return READ_ONCE(pool_nr);
}

static unsigned long pool_scan(struct shrinker *shrink, struct shrink_control *sc)
{
	unsigned long freed = 0;
	struct page *page;

	if (!mutex_trylock(&pool_lock))
		return SHRINK_STOP;
	while (freed < sc->nr_to_scan && !list_empty(&pool_pages)) {
		page = list_first_entry(&pool_pages, struct page, lru);
		list_del(&page->lru);
		WRITE_ONCE(pool_nr, pool_nr - 1);
		__free_page(page);
		freed++;
	}
	mutex_unlock(&pool_lock);
	return freed;
}

static int __init pool_init(void)
{
	pool_shrinker = shrinker_alloc(0, "page-pool");
	if (!pool_shrinker)
		return -ENOMEM;
	pool_shrinker->count_objects = pool_count;
	pool_shrinker->scan_objects = pool_scan;
	pool_shrinker->seeks = 1;
	shrinker_register(pool_shrinker);
	return 0;
}

static void __exit pool_exit(void)
{
	struct page *page, *next;

	shrinker_free(pool_shrinker);
	list_for_each_entry_safe(page, next, &pool_pages, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
	pool_nr = 0;
}

module_init(pool_init);
module_exit(pool_exit);
MODULE_LICENSE("Dual MIT/GPL");
