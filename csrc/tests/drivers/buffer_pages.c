// SPDX-License-Identifier: MIT
/*
 * Buffers in the kernel's idiom, as up to Linux 6.12: pages that no buffer uses are on a
 * list_lru whose isolate callback gets the list's lock, and lets it go to free a page.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/highmem.h>
#include <linux/list_lru.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/rtmutex.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>
#include <asm/cacheflush.h>

#include "buffer_pages.h"

#define CREATE_TRACE_POINTS
#include "buffer_trace.h"

#define NR_SLOTS (SZ_1M / PAGE_SIZE)

struct buffer_page {
	struct list_head lru;
	struct page *page;
	u32 slot;
};

static struct buffer_page buffer_slots[NR_SLOTS];
static struct list_lru buffer_lru;
static struct shrinker *buffer_shrinker;
static DEFINE_RT_MUTEX(buffer_mutex);
static DEFINE_XARRAY_ALLOC(buffer_users);
static atomic_long_t buffer_nr_pages = ATOMIC_LONG_INIT(0);
static DEFINE_RATELIMIT_STATE(buffer_ratelimit, 5 * HZ, 3);
static struct dentry *buffer_debugfs;

static bool buffer_verbose;
module_param_named(verbose, buffer_verbose, bool, 0644);
MODULE_PARM_DESC(verbose, "say what is freed");

unsigned long buffer_pages(void)
{
	return atomic_long_read(&buffer_nr_pages);
}

int buffer_use(u32 slot, char value)
{
	struct buffer_page *buffer = &buffer_slots[slot];
	int ret = 0;

	rt_mutex_lock(&buffer_mutex);
	if (buffer->page) {
		WARN_ON(!list_lru_del_obj(&buffer_lru, &buffer->lru));
	} else {
		buffer->page = alloc_page(GFP_KERNEL | __GFP_HIGHMEM | __GFP_ZERO);
		if (!buffer->page) {
			ret = -ENOMEM;
			goto out;
		}
		atomic_long_inc(&buffer_nr_pages);
	}
	memset_page(buffer->page, 0, value, 1);
out:
	rt_mutex_unlock(&buffer_mutex);
	if (ret && __ratelimit(&buffer_ratelimit))
		pr_info("no page for slot %u\n", slot);
	return ret;
}

int buffer_unuse(u32 slot)
{
	int ret;

	rt_mutex_lock(&buffer_mutex);
	ret = list_lru_add_obj(&buffer_lru, &buffer_slots[slot].lru) ? 0 : -EALREADY;
	rt_mutex_unlock(&buffer_mutex);
	return ret;
}

int buffer_read(u32 slot)
{
	int ret = -ENODATA;
	char *address;

	rt_mutex_lock(&buffer_mutex);
	if (buffer_slots[slot].page) {
		address = kmap_local_page(buffer_slots[slot].page);
		ret = address[0];
		kunmap_local(address);
	}
	rt_mutex_unlock(&buffer_mutex);
	return ret;
}

static enum lru_status buffer_free_page(struct list_head *item,
					struct list_lru_one *lru,
					spinlock_t *lock, void *cb_arg)
	__must_hold(lock)
{
	struct buffer_page *buffer = container_of(item, struct buffer_page, lru);
	struct page *page;

	if (!rt_mutex_trylock(&buffer_mutex))
		return LRU_SKIP;
	page = buffer->page;
	buffer->page = NULL;
	list_lru_isolate(lru, item);
	spin_unlock(lock);

	trace_buffer_page_freed(buffer->slot, true);
	rt_mutex_unlock(&buffer_mutex);
	__free_page(page);
	atomic_long_dec(&buffer_nr_pages);

	spin_lock(lock);
	return LRU_REMOVED_RETRY;
}

static unsigned long buffer_count(struct shrinker *shrink, struct shrink_control *sc)
{
	return list_lru_count(&buffer_lru);
}

static unsigned long buffer_scan(struct shrinker *shrink, struct shrink_control *sc)
{
	return list_lru_walk(&buffer_lru, buffer_free_page, NULL, sc->nr_to_scan);
}

static int buffer_stats_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "pages: %lu\n", buffer_pages());
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(buffer_stats);

static int __init buffer_init(void)
{
	u32 slot;
	int ret;

	for (slot = 0; slot < NR_SLOTS; slot++) {
		INIT_LIST_HEAD(&buffer_slots[slot].lru);
		buffer_slots[slot].slot = slot;
	}
	ret = list_lru_init(&buffer_lru);
	if (ret)
		return ret;
	buffer_shrinker = shrinker_alloc(0, "buffer-pages");
	if (!buffer_shrinker) {
		ret = -ENOMEM;
		goto err_lru;
	}
	buffer_shrinker->count_objects = buffer_count;
	buffer_shrinker->scan_objects = buffer_scan;
	shrinker_register(buffer_shrinker);
	buffer_debugfs = debugfs_create_file("buffer", 0444, NULL, NULL, &buffer_stats_fops);
	return 0;

err_lru:
	list_lru_destroy(&buffer_lru);
	return ret;
}

static void __exit buffer_exit(void)
{
	u32 slot;

	debugfs_remove(buffer_debugfs);
	shrinker_free(buffer_shrinker);
	for (slot = 0; slot < NR_SLOTS; slot++) {
		if (!buffer_slots[slot].page)
			continue;
		list_lru_del_obj(&buffer_lru, &buffer_slots[slot].lru);
		__free_page(buffer_slots[slot].page);
		buffer_slots[slot].page = NULL;
		atomic_long_dec(&buffer_nr_pages);
	}
	list_lru_destroy(&buffer_lru);
	xa_destroy(&buffer_users);
}

module_init(buffer_init);
module_exit(buffer_exit);
MODULE_DESCRIPTION("Buffers whose unused pages can be freed");
MODULE_LICENSE("Dual MIT/GPL");
