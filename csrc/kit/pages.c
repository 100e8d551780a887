/* SPDX-License-Identifier: MIT */
/* Whole pages, and what describes them. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <unistd.h>

#include "blocks.h"

/* A block with a struct page for each of @n pages; NULL: no memory. */
static struct block *describe_pages(struct block *owner, size_t n)
{
	struct block *block = calloc(1, sizeof(*block));

	if (!block)
		return NULL;
	block->size = n * sizeof(struct page);
	block->memory = calloc(1, block->size);
	if (!block->memory) {
		free(block);
		return NULL;
	}
	block->place = owner->place;
	block->kind = SHRINKER_KIT_STRUCT_PAGE;
	block->owner = owner;
	return block;
}

struct page *shrinker_kit_alloc_pages(gfp_t gfp, unsigned int order,
				      const char *place)
{
	struct block *block;
	struct page *pages;
	size_t i, n = 1UL << order;

	if (order > MAX_PAGE_ORDER)
		return NULL;
	block = kit_allocate(SHRINKER_KIT_PAGES, n * PAGE_SIZE, PAGE_SIZE, gfp, NULL, place);
	if (!block)
		return NULL;
	block->pages = describe_pages(block, n);
	if (!block->pages) {
		kit_release_block(block);
		return NULL;
	}
	block->order = order;
	pages = (struct page *)(void *)block->pages->memory;
	for (i = 0; i < n; i++) {
		INIT_LIST_HEAD(&pages[i].lru);
		pages[i].virtual_address = block->memory + i * PAGE_SIZE;
		pages[i].head = pages;
	}
	atomic_set(&pages->_refcount, 1);
	pages->order = order;
	kit_remember(block);
	return pages;
}

struct page *virt_to_page(const void *address)
{
	struct page *page = NULL;
	struct block *block;

	kit_lock_blocks();
	block = kit_find_block(address);
	if (block && block->pages) {
		page = (struct page *)(void *)block->pages->memory;
		page += (size_t)((const char *)address - block->memory) >> PAGE_SHIFT;
	}
	kit_unlock_blocks();
	return page;
}

/* The pages that a struct page is the first of; NULL, and a failure: none. */
static struct block *block_of_pages(const struct page *page, const char *place)
{
	struct block *block;

	kit_lock_blocks();
	block = kit_find_block(page);
	block = block && block->memory == (const char *)page ? block->owner : NULL;
	kit_unlock_blocks();
	if (!block)
		kit_wrong_free("__free_pages()", page, place);
	return block;
}

/* Puts a reference; the last one frees all of them.  @order: -1: it is not checked. */
void shrinker_kit_free_pages(struct page *page, int order, const char *place)
{
	struct block *block;

	if (!page)
		return;
	block = block_of_pages(page, place);
	if (!block || !atomic_dec_and_test(&page->_refcount))
		return;
	if (order >= 0 && block->order != (unsigned int)order)
		kit_fail("%s: pages of order %u from %s are freed as order %d", place,
			 block->order, block->place, order);
	block = kit_take_block(block->memory, 1U << SHRINKER_KIT_PAGES, NULL,
			   "__free_pages()", place);
	if (block)
		kit_free_block(block, place);
}

void shrinker_kit_free_address(unsigned long address, unsigned int order,
			       const char *place)
{
	struct page *page;

	if (!address)
		return;
	page = virt_to_page((void *)address);
	if (page && page_address(page) == (void *)address)
		shrinker_kit_free_pages(page, (int)order, place);
	else
		kit_wrong_free("free_pages()", (void *)address, place);
}

unsigned long totalram_pages(void)
{
	return (unsigned long)sysconf(_SC_PHYS_PAGES);
}
