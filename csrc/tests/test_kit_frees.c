/* SPDX-License-Identifier: MIT */
/* The driver test kit: memory that is given back wrongly, twice or not at all. */

#include "check.h"
#include "kit_failures.h"

#include <linux/list_lru.h>
#include <linux/mempool.h>
#include <linux/percpu.h>
#include <linux/percpu_counter.h>
#include <linux/vmalloc.h>

/* Memory that is not freed is told at the end, until it is. */
static void leaks_are_told(void)
{
	struct kmem_cache *cache;
	struct page *page;
	void *a, *b;

	begin();
	a = kmalloc(100, GFP_KERNEL);
	b = kstrdup("text", GFP_KERNEL);
	CHECK_EQ(shrinker_test_bytes(), 105);
	CHECK_EQ(shrinker_test_end(), 1);
	kfree(a);
	kfree(b);
	page = alloc_pages(GFP_KERNEL, 2);
	CHECK_EQ(shrinker_test_end(), 1);
	__free_pages(page, 1);
	CHECK(failed_with("are freed as order 1"));
	cache = kmem_cache_create("things", 40, 0, 0, NULL);
	a = kmem_cache_zalloc(cache, GFP_KERNEL);
	kmem_cache_destroy(cache);
	CHECK(failed_with("kmem_cache_destroy(things): 1 objects are left"));
	kmem_cache_free(cache, a);
	kmem_cache_destroy(cache);
	end();
}

/* What was not allocated, or was freed before, cannot be freed. */
static void wrong_frees(void)
{
	struct kmem_cache *one = KMEM_CACHE(list_head, 0);
	struct kmem_cache *two = KMEM_CACHE(hlist_node, 0);
	char *memory, *object;

	begin();
	memory = kmalloc(100, GFP_KERNEL);
	kfree(memory + 1);
	CHECK(failed_with("1 bytes inside of what was allocated at"));
	kfree(memory);
	kfree(NULL);
	kfree(kmalloc(0, GFP_KERNEL));
	object = kmem_cache_alloc(one, GFP_KERNEL);
	kmem_cache_free(two, object);
	CHECK(failed_with("an object of the cache list_head, allocated at"));
	kmem_cache_free(one, object);
	kmem_cache_destroy(one);
	kmem_cache_destroy(two);
	end();
}

/* Each family has its own way to free. */
static void the_wrong_free(void)
{
	struct kmem_cache *one = kmem_cache_create("one", 16, 0, 0, NULL);
	struct kmem_cache *two = kmem_cache_create("two", 16, 0, 0, NULL);
	unsigned long address;
	int *counter;
	char *memory, *again;

	begin();
	memory = vmalloc(100);
	CHECK(is_vmalloc_addr(memory));
	kfree(memory);
	CHECK(failed_with("which is memory of vmalloc() at tests/test_kit_frees.c:"));
	kvfree(memory);
	memory = kmalloc(100, GFP_KERNEL);
	CHECK(!is_vmalloc_addr(memory));
	vfree(memory);
	CHECK(failed_with("which is memory of kmalloc() at"));
	free_page((unsigned long)memory);
	CHECK(failed_with("kfree() is the call for it"));
	kvfree(memory);
	memory = kvmalloc(100, GFP_KERNEL);
	kfree(memory);
	CHECK(failed_with("kvfree() is the call for it"));
	kvfree(memory);
	counter = alloc_percpu(int);
	kfree(counter);
	CHECK(failed_with("free_percpu() is the call for it"));
	free_percpu(counter);
	memory = kmem_cache_alloc(one, GFP_KERNEL);
	kmem_cache_free(two, memory);
	CHECK(failed_with("an object of the cache one, allocated at"));
	kfree(memory);
	kmem_cache_free(one, memory);
	CHECK(failed_with("and freed at tests/test_kit_frees.c:"));
	memory = kmalloc(10, GFP_KERNEL);
	kmem_cache_free(one, memory);
	CHECK(failed_with("which is memory of kmalloc()"));
	kfree(memory);
	again = memory;
	kfree(again);
	CHECK(failed_with("kfree() of"));
	kfree(&memory);
	CHECK(failed_with("was not allocated"));
	address = __get_free_page(GFP_KERNEL);
	kfree((void *)address);
	CHECK(failed_with("__free_pages() is the call for it"));
	free_page(address);
	free_page(address);
	CHECK(failed_with("and freed at"));
	kmem_cache_destroy(one);
	kmem_cache_destroy(one);
	CHECK(failed_with("kmem_cache_destroy() of a kmem_cache that was made at"));
	CHECK(!kmem_cache_alloc(one, GFP_KERNEL));
	CHECK(failed_with("no kmem_cache, or was destroyed"));
	kmem_cache_destroy(two);
	end();
}

/* A page is put once too often. */
static void pages_twice(void)
{
	struct page *pages;

	begin();
	pages = alloc_pages(GFP_KERNEL, 1);
	__free_pages(pages + 1, 0);
	CHECK(failed_with("bytes inside of what was allocated at"));
	__free_pages(pages, 1);
	__free_pages(pages, 1);
	CHECK(failed_with("and freed at"));
	end();
}

/* Frees through pointers to functions, and what they refuse. */
static void pointers_to_functions(void)
{
	void (*release[])(const void *) = { kfree, kvfree, vfree };
	void (*release_object)(struct kmem_cache *, void *) = kmem_cache_free;
	struct kmem_cache *cache;
	void *memory;
	int i;

	begin();
	for (i = 0; i < 3; i++) {
		memory = i == 2 ? vmalloc(8) : kmalloc(8, GFP_KERNEL);
		release[i](memory);
		release[i](memory);
		CHECK(failed_with("a pointer to"));
		release[i](NULL);
	}
	cache = kmem_cache_create("pointed", 8, 128, SLAB_HWCACHE_ALIGN, NULL);
	memory = kmem_cache_alloc(cache, GFP_KERNEL | __GFP_ACCOUNT);
	CHECK_EQ((uintptr_t)memory % 128, 0);
	release_object(cache, memory);
	release_object(cache, memory);
	CHECK(failed_with("a pointer to kmem_cache_free()"));
	kmem_cache_destroy(cache);
	kmem_cache_free(cache, &memory);
	CHECK(failed_with("kmem_cache_free() with"));
	cache = kmem_cache_create("plain", 8, (const struct kmem_cache_args *)NULL, 0);
	memory = kmem_cache_alloc(cache, GFP_KERNEL);
	CHECK_EQ(shrinker_test_end(), 2); /* the object, the cache */
	kmem_cache_free(cache, memory);
	kmem_cache_destroy(cache);
	end();
}

static int turns;

static void nothing(struct work_struct *self)
{
	(void)self;
	turns++;
}

static struct work_struct same_place;

/* What is made again where something was, and other kinds of thing there. */
static void one_address(void)
{
	struct workqueue_struct *queue = alloc_workqueue("queue", 0, 0);
	struct list_lru lru[2];
	mempool_t *pool;
	int i;

	begin();
	for (i = 0; i < 2; i++) {
		CHECK_EQ(list_lru_init(&lru[0]), 0);
		list_lru_destroy(&lru[0]);
	}
	CHECK_EQ(percpu_counter_init((struct percpu_counter *)(void *)&lru[1], 0, GFP_KERNEL), 0);
	CHECK_EQ(list_lru_init(&lru[0]), 0);
	percpu_counter_destroy((struct percpu_counter *)(void *)&lru[1]);
	list_lru_destroy(&lru[0]);
	pool = mempool_create_kmalloc_pool(1, 8);
	mempool_destroy(pool);
	mempool_destroy((mempool_t *)(void *)queue);
	CHECK(failed_with("which is no mempool"));
	kmem_cache_destroy((struct kmem_cache *)(void *)queue);
	CHECK(failed_with("which is no kmem_cache"));
	destroy_workqueue(queue);
	INIT_WORK(&same_place, nothing);
	CHECK(!cancel_work_sync(&same_place));
	end();
}

int main(void)
{
	RUN(leaks_are_told);
	RUN(wrong_frees);
	RUN(the_wrong_free);
	RUN(pages_twice);
	RUN(pointers_to_functions);
	RUN(one_address);
	return checks_report("test_kit_frees");
}
