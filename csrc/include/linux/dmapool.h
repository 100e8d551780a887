/* SPDX-License-Identifier: MIT */
/* Small memory that a device reads. */
#ifndef SHRINKER_LINUX_DMAPOOL_H
#define SHRINKER_LINUX_DMAPOOL_H

#include <linux/dma-mapping.h>
#include <linux/slab.h>

/* A cache of objects of that size and alignment; boundaries are not kept. */
#define dma_pool kmem_cache
#define dma_pool_create(name, dev, size, align, boundary)                      \
	((void)(dev), (void)(boundary),                                        \
	 shrinker_kit_cache_create((name), (unsigned int)(size), (unsigned int)(align), 0, \
				   NULL, SHRINKER_KIT_PLACE))
#define dma_pool_destroy(pool) kmem_cache_destroy(pool)
#define dma_pool_alloc(pool, gfp, address)                                     \
	__extension__({                                                        \
		void *dp_memory_ = kmem_cache_alloc((pool), (gfp));            \
		*(address) = (dma_addr_t)(unsigned long)dp_memory_;            \
		dp_memory_;                                                    \
	})
#define dma_pool_zalloc(pool, gfp, address) dma_pool_alloc(pool, (gfp) | __GFP_ZERO, address)
#define dma_pool_free(pool, memory, address) ((void)(address), kmem_cache_free((pool), (memory)))

#endif /* SHRINKER_LINUX_DMAPOOL_H */
