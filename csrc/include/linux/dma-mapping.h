/* SPDX-License-Identifier: MIT */
/*
 * Memory that a device reads: an address is the memory's own.
 *
 * Left out: limits of devices, caches, IOMMUs.
 */
#ifndef SHRINKER_LINUX_DMA_MAPPING_H
#define SHRINKER_LINUX_DMA_MAPPING_H

#include <linux/kit.h>
#include <linux/device.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>

enum dma_data_direction {
	DMA_BIDIRECTIONAL,
	DMA_TO_DEVICE,
	DMA_FROM_DEVICE,
	DMA_NONE
};
#define DMA_MAPPING_ERROR (~(dma_addr_t)0)
#define DMA_BIT_MASK(n) (((n) == 64) ? ~0ULL : ((1ULL << (n)) - 1))
#define DMA_ATTR_NO_WARN (1UL << 8)
#define DMA_ATTR_FORCE_CONTIGUOUS (1UL << 6)
#define DMA_ATTR_NO_KERNEL_MAPPING (1UL << 4)
#define DMA_ATTR_SKIP_CPU_SYNC (1UL << 5)
#define DMA_ATTR_WRITE_COMBINE (1UL << 2)
#define DMA_ATTR_WEAK_ORDERING (1UL << 1)

#define dma_map_single(dev, address, size, direction)                          \
	((void)(dev), (void)(size), (dma_addr_t)(unsigned long)(address))
#define dma_map_page(dev, page, offset, size, direction)                       \
	dma_map_single(dev, (char *)page_address(page) + (offset), size, direction)
#define dma_map_page_attrs(dev, page, offset, size, direction, attrs)          \
	((void)(attrs), dma_map_page(dev, page, offset, size, direction))
#define dma_mapping_error(dev, address) ((void)(dev), (address) == DMA_MAPPING_ERROR)
#define dma_unmap_single(dev, address, size, direction) ((void)(dev), (void)(address), (void)(size))
#define dma_unmap_page(dev, address, size, direction) dma_unmap_single(dev, address, size, direction)
#define dma_unmap_page_attrs(dev, address, size, direction, attrs)             \
	((void)(attrs), dma_unmap_single(dev, address, size, direction))
#define dma_sync_single_for_cpu(dev, address, size, direction) ((void)(dev), (void)(address))
#define dma_sync_single_for_device(dev, address, size, direction) ((void)(dev), (void)(address))
#define dma_set_mask_and_coherent(dev, mask) ((void)(dev), (void)(mask), shrinker_kit_zero())
#define dma_alloc_attrs(dev, size, address, gfp, attrs)                        \
	__extension__({                                                        \
		void *da_memory_ = (void *)__get_free_pages((gfp) | __GFP_ZERO, get_order(size)); \
		(void)(dev), (void)(attrs);                                    \
		*(address) = (dma_addr_t)(unsigned long)da_memory_;            \
		da_memory_;                                                    \
	})
#define dma_free_attrs(dev, size, memory, address, attrs)                      \
	((void)(dev), (void)(address), (void)(attrs),                          \
	 free_pages((unsigned long)(memory), (unsigned int)get_order(size)))
#define dma_alloc_coherent(dev, size, address, gfp) dma_alloc_attrs(dev, size, address, gfp, 0)
#define dma_free_coherent(dev, size, memory, address)                          \
	dma_free_attrs(dev, size, memory, address, 0)

#endif /* SHRINKER_LINUX_DMA_MAPPING_H */
