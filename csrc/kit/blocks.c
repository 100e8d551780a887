/* SPDX-License-Identifier: MIT */
/*
 * Records of allocations: each is known, with the place that asked for it, until it is
 * freed; and a while longer, so that a second free can be told.
 *
 * What the driver gets comes straight from the C library, with nothing before or
 * behind it, so that sanitizers see accesses outside; what is known of it stands in a
 * tree by address.
 */
#define _GNU_SOURCE 1

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <shrinker_test.h>

#include "blocks.h"

/* Leaks that are told one by one. */
#define MAX_TOLD 10

/* Blocks that were freed and are still known. */
#define NR_FREED 4096

/* What is known of a block that was freed; @freed_at NULL: nothing. */
struct freed {
	const char *memory;
	size_t size;
	enum shrinker_kit_kind kind;
	const char *place, *freed_at;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rb_root blocks = { NULL };
static unsigned long nr_blocks, nr_bytes;
/* The latest that were freed, in a ring. */
static struct freed freed[NR_FREED];
static unsigned long nr_freed;

void kit_lock_blocks(void)
{
	pthread_mutex_lock(&lock);
}

void kit_unlock_blocks(void)
{
	pthread_mutex_unlock(&lock);
}

/* --- what is known; under the lock ---------------------------------------------- */

/* The block that an address is in, or NULL. */
struct block *kit_find_block(const void *address)
{
	struct rb_node *node = blocks.rb_node;

	while (node) {
		struct block *block = rb_entry(node, struct block, node);

		if ((const char *)address < block->memory)
			node = node->rb_left;
		else if ((size_t)((const char *)address - block->memory) < block->size)
			return block;
		else
			node = node->rb_right;
	}
	return NULL;
}

static void insert_block(struct block *block)
{
	struct rb_node **link = &blocks.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = block->memory < rb_entry(parent, struct block, node)->memory ?
			       &parent->rb_left :
			       &parent->rb_right;
	}
	rb_link_node(&block->node, parent, link);
	rb_insert_color(&block->node, &blocks);
}

void kit_remember(struct block *block)
{
	kit_lock_blocks();
	insert_block(block);
	if (block->pages)
		insert_block(block->pages);
	nr_blocks++;
	nr_bytes += block->size;
	if (block->cache)
		block->cache->in_use++;
	kit_unlock_blocks();
}

static void note_freed(const struct block *block, const char *place)
{
	freed[nr_freed++ % NR_FREED] = (struct freed){
		block->memory, block->size, block->kind, block->place, place
	};
}

void kit_forget(struct block *block, const char *place)
{
	rb_erase(&block->node, &blocks);
	note_freed(block, place);
	if (block->pages) {
		rb_erase(&block->pages->node, &blocks);
		note_freed(block->pages, place);
	}
	nr_blocks--;
	nr_bytes -= block->size;
	if (block->cache)
		block->cache->in_use--;
}

/* An object of the cache that is left; NULL: none. */
struct block *kit_block_of_cache(const struct kmem_cache *cache)
{
	struct rb_node *node;

	for (node = rb_first(&blocks); node; node = rb_next(node))
		if (rb_entry(node, struct block, node)->cache == cache)
			return rb_entry(node, struct block, node);
	return NULL;
}

/* The latest block that was freed and had the address; NULL: not known. */
static const struct freed *find_freed(const char *address)
{
	unsigned long i;

	for (i = 1; i <= nr_freed && i <= NR_FREED; i++) {
		const struct freed *old = &freed[(nr_freed - i) % NR_FREED];

		if ((uintptr_t)address - (uintptr_t)old->memory < old->size)
			return old;
	}
	return NULL;
}

/* --- wrong frees ------------------------------------------------------------------ */

static const struct {
	const char *made_by, *freed_by;
} kinds[] = {
	[SHRINKER_KIT_KMALLOC] = { "kmalloc()", "kfree()" },
	[SHRINKER_KIT_KVMALLOC] = { "kvmalloc()", "kvfree()" },
	[SHRINKER_KIT_VMALLOC] = { "vmalloc()", "vfree()" },
	[SHRINKER_KIT_PERCPU] = { "alloc_percpu()", "free_percpu()" },
	[SHRINKER_KIT_OBJECT] = { "kmem_cache_alloc()", "kmem_cache_free()" },
	[SHRINKER_KIT_PAGES] = { "alloc_pages()", "__free_pages()" },
	[SHRINKER_KIT_STRUCT_PAGE] = { "alloc_pages()", "__free_pages()" },
};

/* Says why @call is wrong for that memory; takes the lock. */
void kit_wrong_free(const char *call, const void *memory, const char *place)
{
	const struct freed *old;
	struct block *block;
	char text[400];

	kit_lock_blocks();
	block = kit_find_block(memory);
	old = block ? NULL : find_freed(memory);
	if (block && block->freeing)
		snprintf(text, sizeof(text),
			 "which was allocated at %s and freed at %s",
			 block->place, block->freeing);
	else if (block && block->memory != memory)
		snprintf(text, sizeof(text),
			 "which is %zu bytes inside of what was allocated at %s",
			 (size_t)((const char *)memory - block->memory),
			 block->place);
	else if (block && block->cache)
		snprintf(text, sizeof(text),
			 "which is an object of the cache %s, allocated at %s",
			 block->cache->name, block->place);
	else if (block)
		snprintf(text, sizeof(text),
			 "which is memory of %s at %s: %s is the call for it",
			 kinds[block->kind].made_by, block->place,
			 kinds[block->kind].freed_by);
	else if (old)
		snprintf(text, sizeof(text),
			 "which was allocated at %s and freed at %s", old->place,
			 old->freed_at);
	else
		snprintf(text, sizeof(text),
			 "which was not allocated, or was freed long before");
	kit_unlock_blocks();
	kit_fail("%s: %s of %p, %s", place, call, memory, text);
}

bool kit_is_right(const struct block *block, const void *memory,
		  unsigned int kinds_mask, const struct kmem_cache *cache)
{
	return block && block->memory == memory && !block->freeing &&
	       kinds_mask & 1U << block->kind && (!cache || block->cache == cache);
}

/*
 * The block that begins at an address and is of one of some kinds, taken out; NULL,
 * and a failure: there is none.
 */
struct block *kit_take_block(const void *memory, unsigned int kinds_mask,
			     const struct kmem_cache *cache, const char *call,
			     const char *place)
{
	struct block *block;

	kit_lock_blocks();
	block = kit_find_block(memory);
	if (kit_is_right(block, memory, kinds_mask, cache))
		kit_forget(block, place);
	else
		block = NULL;
	kit_unlock_blocks();
	if (!block)
		kit_wrong_free(call, memory, place);
	return block;
}

void kit_release_block(struct block *block)
{
	if (block->pages) {
		free(block->pages->memory);
		free(block->pages);
	}
	free(block->memory);
	free(block);
}

void kit_free_block(struct block *block, const char *place)
{
	const char *queued_at = kit_work_inside(block->memory, block->size);

	if (queued_at) {
		kit_fail("%s: memory from %s is freed with work or a timer queued inside, at %s",
			 place, block->place, queued_at);
		/* It is not freed where the test goes on. */
		kit_remember(block);
		return;
	}
	kit_release_block(block);
}

/* --- what is left ----------------------------------------------------------------- */

unsigned long shrinker_test_bytes(void)
{
	unsigned long bytes;

	kit_lock_blocks();
	bytes = nr_bytes;
	kit_unlock_blocks();
	return bytes;
}

/* Tells what was not freed, and forgets it.  Return: complaints. */
int kit_memory_complain(void)
{
	struct rb_node *node;
	int told = 0;

	kit_lock_blocks();
	if (nr_blocks)
		fprintf(stderr, "%lu allocations of %lu bytes were not freed:\n",
			nr_blocks, nr_bytes);
	for (node = rb_first(&blocks); node && told < MAX_TOLD;
	     node = rb_next(node)) {
		struct block *block = rb_entry(node, struct block, node);

		if (block->owner)
			continue;
		told++;
		fprintf(stderr, "  %zu bytes from %s%s%s\n", block->size,
			block->place, block->cache ? ", cache " : "",
			block->cache ? block->cache->name : "");
	}
	told = nr_blocks != 0;
	kit_unlock_blocks();
	return told;
}
