/* SPDX-License-Identifier: MIT */
/*
 * What is known of each allocation, from the call that made it until it is freed.
 */
#ifndef SHRINKER_KIT_BLOCKS_H
#define SHRINKER_KIT_BLOCKS_H

#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/slab.h>

#include "kit.h"

/**
 * struct block - something that was allocated
 * @node: by address
 * @memory, @size: what the driver has
 * @place: where it was asked for
 * @kind: by which family
 * @freeing: where it was given to kfree_rcu(), or to a cache that waits for readers
 * @cache: of which it is an object
 * @pages: what describes the pages: a block too, that is not counted
 * @owner: of a block that describes pages, the pages
 * @order: of pages
 * @memcg: the group that it is charged to; NULL: none
 * @head: for an object that readers may still see when it is freed
 */
struct block {
	struct rb_node node;
	char *memory;
	size_t size;
	const char *place;
	enum shrinker_kit_kind kind;
	const char *freeing;
	struct kmem_cache *cache;
	struct block *pages, *owner;
	unsigned int order;
	struct mem_cgroup *memcg;
	struct rcu_head head;
};

/** struct kmem_cache - a cache of objects; @in_use: those that are not freed */
struct kmem_cache {
	char *name;
	unsigned int size;
	unsigned int align;
	slab_flags_t flags;
	void (*ctor)(void *object);
	unsigned long in_use;
};

#pragma GCC visibility push(hidden)

/* blocks.c: the first four are called with the records locked. */
struct block *kit_find_block(const void *address);
struct block *kit_block_of_cache(const struct kmem_cache *cache);
bool kit_is_right(const struct block *block, const void *memory,
		  unsigned int kinds_mask, const struct kmem_cache *cache);
void kit_forget(struct block *block, const char *place);
void kit_lock_blocks(void);
void kit_unlock_blocks(void);
void kit_remember(struct block *block);
void kit_wrong_free(const char *call, const void *memory, const char *place);
struct block *kit_take_block(const void *memory, unsigned int kinds_mask,
			     const struct kmem_cache *cache, const char *call,
			     const char *place);
void kit_release_block(struct block *block);
void kit_free_block(struct block *block, const char *place);

/* kmalloc.c */
bool kit_may_allocate(gfp_t gfp, const char *place);
struct block *kit_allocate(enum shrinker_kit_kind kind, size_t size, size_t align,
			   gfp_t gfp, struct kmem_cache *cache, const char *place);

#pragma GCC visibility pop

#endif /* SHRINKER_KIT_BLOCKS_H */
