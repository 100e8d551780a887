/* SPDX-License-Identifier: MIT */
/* Reserves of objects. */
#define _GNU_SOURCE 1

#include <pthread.h>
#include <stdlib.h>

#include <linux/mempool.h>

#include "kit.h"

/**
 * struct mempool - a reserve
 * @least: elements that it keeps; @kept has @nr of them
 */
struct mempool {
	pthread_mutex_t lock;
	pthread_cond_t returned;
	mempool_alloc_t *alloc;
	mempool_free_t *give_back;
	void *pool_data;
	int least, nr;
	void *kept[];
};

mempool_t *shrinker_kit_mempool_create(int least, mempool_alloc_t *alloc,
				       mempool_free_t *give_back, void *pool_data,
				       const char *place)
{
	mempool_t *pool = calloc(1, sizeof(*pool) + (size_t)least * sizeof(void *));

	if (!pool || !kit_made("mempool", pool, "", place)) {
		free(pool);
		return NULL;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->returned, NULL);
	pool->alloc = alloc;
	pool->give_back = give_back;
	pool->pool_data = pool_data;
	pool->least = least;
	for (; pool->nr < least; pool->nr++) {
		pool->kept[pool->nr] = alloc(GFP_KERNEL, pool_data);
		if (!pool->kept[pool->nr]) {
			shrinker_kit_mempool_destroy(pool, place);
			return NULL;
		}
	}
	return pool;
}

void shrinker_kit_mempool_destroy(mempool_t *pool, const char *place)
{
	if (!pool || !kit_end_made("mempool", pool, "mempool_destroy()", place))
		return;
	while (pool->nr)
		pool->give_back(pool->kept[--pool->nr], pool->pool_data);
	pthread_cond_destroy(&pool->returned);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void *shrinker_kit_mempool_alloc(mempool_t *pool, gfp_t gfp, const char *place)
{
	struct shrinker_kit_bound bound = { "mempool_alloc()", place, 0 };
	bool waits = gfp & __GFP_DIRECT_RECLAIM, in_time = true;
	void *element;

	if (waits)
		shrinker_kit_might_sleep(place);
	/* The reserve is nearer than reclaim. */
	element = pool->alloc(gfp & ~(__GFP_DIRECT_RECLAIM | __GFP_IO),
			      pool->pool_data);
	if (element)
		return element;
	pthread_mutex_lock(&pool->lock);
	while (!pool->nr && waits && in_time)
		in_time = kit_wait_for(&bound, &pool->returned, &pool->lock);
	if (pool->nr)
		element = pool->kept[--pool->nr];
	pthread_mutex_unlock(&pool->lock);
	if (!in_time)
		kit_waited_too_long(&bound, NULL);
	return element;
}

void mempool_free(void *element, mempool_t *pool)
{
	if (!element)
		return;
	pthread_mutex_lock(&pool->lock);
	if (pool->nr < pool->least) {
		pool->kept[pool->nr++] = element;
		element = NULL;
		pthread_cond_signal(&pool->returned);
	}
	pthread_mutex_unlock(&pool->lock);
	if (element)
		pool->give_back(element, pool->pool_data);
}

void *mempool_alloc_slab(gfp_t gfp, void *cache)
{
	return kmem_cache_alloc(cache, gfp);
}

void mempool_free_slab(void *element, void *cache)
{
	kmem_cache_free(cache, element);
}

void *mempool_kmalloc(gfp_t gfp, void *size)
{
	return kmalloc((size_t)size, gfp);
}

void mempool_kfree(void *element, void *size)
{
	(void)size;
	kfree(element);
}
