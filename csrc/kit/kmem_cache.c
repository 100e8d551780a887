/* SPDX-License-Identifier: MIT */
/* Caches of objects: each object is an allocation of its own. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>

#include "blocks.h"

struct kmem_cache *shrinker_kit_cache_create(const char *name, unsigned int size,
					     unsigned int align,
					     slab_flags_t flags,
					     void (*ctor)(void *object),
					     const char *place)
{
	struct kmem_cache *cache;

	if (!kit_may_allocate(GFP_KERNEL, place))
		return NULL;
	cache = calloc(1, sizeof(*cache));
	if (!cache)
		return NULL;
	cache->name = strdup(name);
	if (!cache->name) {
		free(cache);
		return NULL;
	}
	cache->size = size;
	cache->align = flags & SLAB_HWCACHE_ALIGN && align < 64 ? 64 : align;
	cache->flags = flags;
	cache->ctor = ctor;
	if (!kit_made("kmem_cache", cache, name, place)) {
		free(cache->name);
		free(cache);
		return NULL;
	}
	return cache;
}

struct kmem_cache *
shrinker_kit_cache_create_args(const char *name, unsigned int size,
			       const struct kmem_cache_args *args,
			       slab_flags_t flags, const char *place)
{
	return shrinker_kit_cache_create(name, size, args ? args->align : 0, flags,
					 args ? args->ctor : NULL, place);
}

unsigned int kmem_cache_size(struct kmem_cache *cache)
{
	return cache->size;
}

/* Whether there is such a cache now; if not, the test fails. */
static bool is_cache(const struct kmem_cache *cache, const char *call,
		     const char *place)
{
	if (kit_is_made("kmem_cache", cache))
		return true;
	kit_fail("%s: %s with %p, which is no kmem_cache, or was destroyed", place,
		 call, (const void *)cache);
	return false;
}

void *shrinker_kit_cache_alloc(struct kmem_cache *cache, gfp_t gfp,
			       const char *place)
{
	struct block *block;

	if (!is_cache(cache, "kmem_cache_alloc()", place))
		return NULL;
	block = kit_allocate(SHRINKER_KIT_OBJECT, cache->size, cache->align, gfp, cache,
			 place);
	if (!block)
		return NULL;
	if (cache->ctor)
		cache->ctor(block->memory);
	kit_remember(block);
	return block->memory;
}

int shrinker_kit_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t n,
				  void **objects, const char *place)
{
	size_t i;

	for (i = 0; i < n; i++) {
		objects[i] = shrinker_kit_cache_alloc(cache, gfp, place);
		if (!objects[i]) {
			shrinker_kit_cache_free_bulk(cache, i, objects, place);
			return 0;
		}
	}
	return (int)n;
}

static void free_after_readers(struct rcu_head *head)
{
	struct block *block = container_of(head, struct block, head);

	kit_free_block(block, block->freeing);
}

void shrinker_kit_cache_free(struct kmem_cache *cache, void *object,
			     const char *place)
{
	struct block *block;

	if (!object || !is_cache(cache, "kmem_cache_free()", place))
		return;
	block = kit_take_block(object, 1U << SHRINKER_KIT_OBJECT, cache,
			   "kmem_cache_free()", place);
	if (!block)
		return;
	block->freeing = place;
	if (cache->flags & SLAB_TYPESAFE_BY_RCU)
		call_rcu(&block->head, free_after_readers);
	else
		kit_free_block(block, place);
}

void (kmem_cache_free)(struct kmem_cache *cache, void *object)
{
	shrinker_kit_cache_free(cache, object, "a pointer to kmem_cache_free()");
}

void shrinker_kit_cache_free_bulk(struct kmem_cache *cache, size_t n, void **objects,
				  const char *place)
{
	while (n--)
		shrinker_kit_cache_free(cache, objects[n], place);
}

void shrinker_kit_cache_destroy(struct kmem_cache *cache, const char *place)
{
	const char *left_at = NULL;

	if (!cache)
		return;
	shrinker_kit_synchronize_rcu("rcu_barrier()", place);
	kit_lock_blocks();
	if (kit_is_made("kmem_cache", cache) && cache->in_use)
		left_at = kit_block_of_cache(cache)->place;
	kit_unlock_blocks();
	if (left_at) {
		kit_fail("%s: kmem_cache_destroy(%s): %lu objects are left, one allocated at %s",
			 place, cache->name, cache->in_use, left_at);
		return;
	}
	if (!kit_end_made("kmem_cache", cache, "kmem_cache_destroy()", place))
		return;
	free(cache->name);
	free(cache);
}
