/* SPDX-License-Identifier: MIT */
/* A reserve of objects, so that an allocation which may wait does not fail. */
#ifndef SHRINKER_LINUX_MEMPOOL_H
#define SHRINKER_LINUX_MEMPOOL_H

#include <linux/slab.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void *(mempool_alloc_t)(gfp_t gfp, void *pool_data);
typedef void (mempool_free_t)(void *element, void *pool_data);
typedef struct mempool mempool_t;

mempool_t *shrinker_kit_mempool_create(int least, mempool_alloc_t *alloc,
				       mempool_free_t *give_back, void *pool_data,
				       const char *place);
void shrinker_kit_mempool_destroy(mempool_t *pool, const char *place);
void *shrinker_kit_mempool_alloc(mempool_t *pool, gfp_t gfp, const char *place);
void mempool_free(void *element, mempool_t *pool);

void *mempool_alloc_slab(gfp_t gfp, void *cache);
void mempool_free_slab(void *element, void *cache);
void *mempool_kmalloc(gfp_t gfp, void *size);
void mempool_kfree(void *element, void *size);

#define mempool_create(least, alloc, give_back, pool_data)                     \
	shrinker_kit_mempool_create((least), (alloc), (give_back), (pool_data), \
				    SHRINKER_KIT_PLACE)
#define mempool_destroy(pool) shrinker_kit_mempool_destroy((pool), SHRINKER_KIT_PLACE)
#define mempool_alloc(pool, gfp)                                               \
	shrinker_kit_mempool_alloc((pool), (gfp), SHRINKER_KIT_PLACE)
#define mempool_create_slab_pool(least, cache)                                 \
	mempool_create((least), mempool_alloc_slab, mempool_free_slab, (cache))
#define mempool_create_kmalloc_pool(least, size)                               \
	mempool_create((least), mempool_kmalloc, mempool_kfree,                \
		       (void *)(unsigned long)(size))

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_MEMPOOL_H */
