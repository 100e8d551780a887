/* SPDX-License-Identifier: MIT */
/* The driver test kit: allocations: what they give, which of them fail, reserves, pages. */

#include "check.h"
#include "kit_failures.h"

#include <linux/delay.h>
#include <linux/dmapool.h>
#include <linux/memcontrol.h>
#include <linux/mempool.h>
#include <linux/scatterlist.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

static int constructed;

static void construct(void *object)
{
	*(int *)object = ++constructed;
}

/* Sizes that overflow fail; the rest is what was asked for. */
static void what_allocations_give(void)
{
	const struct kmem_cache_args args = { .align = 256, .ctor = construct };
	struct kmem_cache *cache;
	unsigned long address;
	char *memory;
	void *objects[4];

	begin();
	CHECK(!kmalloc_array(~0UL / 2, 4, GFP_KERNEL));
	CHECK(!kcalloc(1UL << 40, 1UL << 40, GFP_KERNEL | __GFP_NOFAIL));
	memory = kcalloc(7, 9, GFP_KERNEL);
	CHECK(!memchr_inv(memory, 0, 63));
	CHECK_EQ(ksize(memory), 63);
	memset(memory, 'x', 63);
	memory = krealloc(memory, 200, GFP_KERNEL);
	CHECK(!memchr_inv(memory, 'x', 63));
	kfree_sensitive(memory);
	memory = kasprintf(GFP_KERNEL, "%s-%d", "number", 5);
	CHECK_TEXT(memory, "number-5");
	kvfree(memory);
	cache = kmem_cache_create("aligned", 40, &args, 0);
	CHECK_EQ(kmem_cache_alloc_bulk(cache, GFP_KERNEL, 4, objects), 4);
	CHECK_EQ((uintptr_t)objects[3] % 256, 0);
	CHECK_EQ(*(int *)objects[3], 4);
	kmem_cache_free_bulk(cache, 4, objects);
	kmem_cache_destroy(cache);
	address = get_zeroed_page(GFP_KERNEL);
	CHECK_EQ(address % PAGE_SIZE, 0);
	CHECK(page_address(virt_to_page((void *)(address + 5))) == (void *)address);
	CHECK(!virt_to_page(&address));
	free_page(address);
	end();
}

/* The n-th allocation fails, and no other; __GFP_NOFAIL never does. */
static void the_nth_allocation_fails(void)
{
	void *memory[4];
	int i;

	begin();
	shrinker_test_fail_allocation(3);
	memory[0] = kmalloc(1, GFP_KERNEL);
	memory[1] = kmalloc(1, GFP_KERNEL | __GFP_NOFAIL);
	memory[2] = kmalloc(1, GFP_KERNEL);
	CHECK(!alloc_page(GFP_KERNEL));
	memory[3] = kmalloc(1, GFP_KERNEL);
	CHECK_EQ(shrinker_test_allocations(), 4);
	for (i = 0; i < 4; i++) {
		CHECK(memory[i]);
		kfree(memory[i]);
	}
	end();
}

/* A reserve gives what is left when allocations fail. */
static void a_mempool(void)
{
	mempool_t *pool;
	void *element;

	begin();
	pool = mempool_create_kmalloc_pool(2, 64);
	CHECK(pool);
	shrinker_test_fail_allocation(1);
	element = mempool_alloc(pool, GFP_KERNEL);
	CHECK(element);
	mempool_free(element, pool);
	mempool_destroy(pool);
	shrinker_test_fail_allocation(2);
	CHECK(!mempool_create_kmalloc_pool(2, 64));
	shrinker_test_fail_allocation(0);
}

static void *give_element(void *pool)
{
	msleep(5);
	shrinker_test_fail_allocation(0);
	mempool_free(mempool_kmalloc(GFP_KERNEL, (void *)8), pool);
	return NULL;
}

static void *nothing(gfp_t gfp, void *unused)
{
	(void)gfp;
	(void)unused;
	return NULL;
}

/* An allocation that may wait does so for an element that is given back. */
static void a_reserve_that_is_used_up(void)
{
	struct kmem_cache *cache;
	void *one, *two, *three;
	pthread_t thread;
	mempool_t *pool;

	begin();
	CHECK(!mempool_create(1, nothing, mempool_kfree, NULL));
	cache = kmem_cache_create("slab", 8, 0, 0, NULL);
	CHECK_EQ(kmem_cache_size(cache), 8);
	CHECK_EQ(kmem_cache_shrink(cache), 0);
	pool = mempool_create_slab_pool(1, cache);
	mempool_free(mempool_alloc(pool, GFP_KERNEL), pool);
	mempool_destroy(pool);
	mempool_destroy(NULL);
	kmem_cache_destroy(cache);
	kmem_cache_destroy(NULL);
	pool = mempool_create_kmalloc_pool(1, 8);
	one = mempool_alloc(pool, GFP_KERNEL);
	shrinker_test_fail_allocation(1);
	two = mempool_alloc(pool, GFP_KERNEL);
	CHECK(one && two);
	shrinker_test_fail_allocation(1);
	CHECK(!mempool_alloc(pool, GFP_ATOMIC));
	shrinker_test_fail_allocation(1);
	CHECK(!pthread_create(&thread, NULL, give_element, pool));
	three = mempool_alloc(pool, GFP_KERNEL);
	pthread_join(thread, NULL);
	CHECK(three);
	mempool_free(one, pool);
	mempool_free(two, pool);
	mempool_free(three, pool);
	mempool_free(NULL, pool);
	mempool_destroy(pool);
	end();
}

/* A thread inside a filesystem or block driver reclaims without them. */
static void contexts_of_allocations(void)
{
	unsigned int fs, io, memalloc;

	begin();
	fs = memalloc_nofs_save();
	CHECK_EQ(current_gfp_context(GFP_KERNEL), GFP_NOFS);
	io = memalloc_noio_save();
	CHECK_EQ(current_gfp_context(GFP_KERNEL), GFP_NOIO);
	memalloc_noio_restore(io);
	memalloc = memalloc_noreclaim_save();
	CHECK(current->flags & PF_MEMALLOC);
	memalloc_noreclaim_restore(memalloc);
	memalloc_nofs_restore(fs);
	CHECK_EQ(current_gfp_context(GFP_KERNEL), GFP_KERNEL);
	end();
}

/* Allocations in the forms that are left. */
static void other_allocations(void)
{
	char *text;
	struct page *page;
	void *nothing_at_all = kmalloc(0, GFP_KERNEL);

	begin();
	CHECK(!kstrdup(NULL, GFP_KERNEL));
	shrinker_test_fail_allocation(1);
	CHECK(!kstrdup("text", GFP_KERNEL));
	shrinker_test_fail_allocation(1);
	CHECK(!krealloc(NULL, 10, GFP_KERNEL));
	text = kmemdup("text", 5, GFP_KERNEL);
	CHECK_EQ(ksize(text + 1), 0);
	text = krealloc(text, 2, GFP_KERNEL);
	CHECK(text[1] == 'e');
	kfree_sensitive(text);
	kfree_sensitive(nothing_at_all);
	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	get_page(page);
	put_page(page);
	CHECK_EQ(page_count(page), 1);
	SetPageDirty(page);
	CHECK(PageDirty(page));
	ClearPageDirty(page);
	CHECK(trylock_page(page) && !trylock_page(page));
	unlock_page(page);
	put_page(page);
	__free_page(NULL);
	CHECK(totalram_pages() > 0);
	CHECK_EQ(get_order(PAGE_SIZE + 1), 1);
	end();
}

/* Sizes at the edges, and old records of frees that were overwritten. */
static void sizes_and_records(void)
{
	struct page *pages_and_references;
	void *first, *memory;
	int i;

	begin();
	CHECK(!kmalloc(KMALLOC_MAX_SIZE + 1, GFP_KERNEL));
	CHECK(!vmalloc(0));
	CHECK(!is_vmalloc_addr(&first));
	CHECK_EQ(ksize(&first), 0);
	memory = krealloc(NULL, 5, GFP_KERNEL);
	memory = krealloc(memory, 0, GFP_KERNEL);
	CHECK(memory == ZERO_SIZE_PTR);
	CHECK(kmemdup("", 0, GFP_KERNEL) == ZERO_SIZE_PTR);
	shrinker_test_fail_allocation(1);
	CHECK(!kmemdup("text", 5, GFP_KERNEL));
	memory = kvrealloc(NULL, 5, GFP_KERNEL);
	memory = kvrealloc(memory, 5, 6, GFP_KERNEL);
	kvfree(memory);
	free_page(0);
	pages_and_references = alloc_page(GFP_KERNEL);
	CHECK(!mem_cgroup_from_slab_obj(page_address(pages_and_references)));
	CHECK(!mem_cgroup_from_slab_obj(&first));
	free_page((unsigned long)page_address(pages_and_references) + 8);
	CHECK(failed_with("bytes inside of what was allocated at"));
	kfree(pages_and_references);
	CHECK(failed_with("__free_pages() is the call for it"));
	__free_page(pages_and_references);
	first = kmalloc(100000, GFP_KERNEL);
	kfree(first);
	for (i = 0; i < 5000; i++)
		kfree(kmalloc(8, GFP_KERNEL));
	kfree(first);
	CHECK(failed_with("was not allocated, or was freed long before"));
	/* Reclaim is not entered out of an allocation that must not, or from reclaim. */
	shrinker_test_reclaim_on_allocation(1, 0);
	kfree(kmalloc(8, GFP_ATOMIC));
	i = (int)memalloc_noreclaim_save();
	kfree(kmalloc(8, GFP_KERNEL));
	memalloc_noreclaim_restore((unsigned int)i);
	kfree(kmalloc(8, GFP_KERNEL));
	shrinker_test_reclaim_on_allocation(3, 0);
	kfree(kmalloc(8, GFP_KERNEL));
	shrinker_test_reclaim_on_allocation(0, 0);
	end();
}

/* Pages and references, each flag and order. */
static void pages_and_references(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	refcount_t count = REFCOUNT_INIT(2);
	atomic_long_t number = ATOMIC_LONG_INIT(1);
	atomic_t small = ATOMIC_INIT(1);

	begin();
	attach_page_private(page, &count);
	CHECK(PagePrivate(page) && page_count(page) == 2);
	CHECK(detach_page_private(page) == &count);
	CHECK(get_page_unless_zero(page));
	put_page(page);
	CHECK_EQ(get_order(1), 0);
	refcount_dec(&count);
	refcount_dec(&count);
	CHECK_EQ(shrinker_test_warnings(), 1);
	CHECK(atomic_long_inc_not_zero(&number) && atomic_inc_not_zero(&small));
	CHECK_EQ(atomic_dec_if_positive(&small), 1);
	CHECK_EQ(atomic_dec_if_positive(&small), 0);
	CHECK_EQ(atomic_dec_if_positive(&small), -1);
	CHECK(!atomic_inc_not_zero(&small));
	CHECK_EQ(atomic_long_dec_if_positive(&number), 1);
	CHECK_EQ(array_size(~0UL, 2), SIZE_MAX);
	CHECK_EQ(array_size(3, 2), 6);
	__free_page(page);
	begin();
	end();
}

/* Sizes that a kernel refuses are refused; copies have all bytes; pools are aligned. */
static void limits_and_copies(void)
{
	const char bytes[] = "a\0b";
	struct dma_pool *pool, *other;
	dma_addr_t address;
	char *memory;

	begin();
	CHECK(!kmalloc(KMALLOC_MAX_SIZE + 1, GFP_KERNEL));
	memory = kvmalloc(KMALLOC_MAX_SIZE + 1, GFP_KERNEL);
	CHECK(memory);
	kvfree(memory);
	CHECK(!alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER + 1));
	memory = kmemdup_nul(bytes, 3, GFP_KERNEL);
	CHECK(ksize(memory) == 4 && !memcmp(memory, bytes, 4));
	kfree(memory);
	CHECK(!kmemdup_nul(NULL, 3, GFP_KERNEL));
	CHECK(!kmemdup_array(bytes, SIZE_MAX / 2 + 2, 2, GFP_KERNEL));
	pool = dma_pool_create("pool", NULL, 24, 256, 0);
	other = dma_pool_create("other", NULL, 24, 8, 0);
	memory = dma_pool_zalloc(pool, GFP_KERNEL, &address);
	CHECK(address % 256 == 0 && address == (uintptr_t)memory && !memory[23]);
	dma_pool_free(other, memory, address);
	CHECK(failed_with("an object of the cache pool, allocated at tests/test_kit_memory.c:"));
	dma_pool_free(pool, memory, address);
	dma_pool_destroy(pool);
	dma_pool_destroy(other);
	end();
}

int main(void)
{
	RUN(what_allocations_give);
	RUN(the_nth_allocation_fails);
	RUN(a_mempool);
	RUN(a_reserve_that_is_used_up);
	RUN(contexts_of_allocations);
	RUN(other_allocations);
	RUN(sizes_and_records);
	RUN(pages_and_references);
	RUN(limits_and_copies);
	return checks_report("test_kit_memory");
}
