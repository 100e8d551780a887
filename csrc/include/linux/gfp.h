/* SPDX-License-Identifier: MIT */
/*
 * Contexts of allocations, and whole pages.
 *
 * Left out: zones, migration types, compound pages as such (only their order).
 */
#ifndef SHRINKER_LINUX_GFP_H
#define SHRINKER_LINUX_GFP_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/nodemask.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <shrinker/types.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline bool gfpflags_allow_blocking(const gfp_t gfp)
{
	return gfp & __GFP_DIRECT_RECLAIM;
}

/**
 * shrinker_kit_alloc_pages - 2^order pages, next to each other
 *
 * Return: the first page; NULL where the allocation fails, by itself or because
 * shrinker_test_fail_allocation() said so.
 */
struct page *shrinker_kit_alloc_pages(gfp_t gfp, unsigned int order,
				      const char *place);
void shrinker_kit_free_pages(struct page *page, int order, const char *place);
void shrinker_kit_free_address(unsigned long address, unsigned int order,
			       const char *place);
/* The page that an address is in; NULL: no page of ours. */
struct page *virt_to_page(const void *address);

#define alloc_pages(gfp, order)                                                \
	shrinker_kit_alloc_pages((gfp), (order), SHRINKER_KIT_PLACE)
#define alloc_pages_node(nid, gfp, order) alloc_pages(gfp, order)
#define alloc_page(gfp) alloc_pages(gfp, 0)
#define __free_pages(page, order)                                              \
	shrinker_kit_free_pages((page), (int)(order), SHRINKER_KIT_PLACE)
#define __free_page(page) __free_pages(page, 0)

#define SHRINKER_KIT_ADDRESS(allocated)                                        \
	__extension__({                                                        \
		struct page *ka_page_ = (allocated);                           \
		ka_page_ ? (unsigned long)ka_page_->virtual_address : 0UL;     \
	})
#define __get_free_pages(gfp, order)                                           \
	SHRINKER_KIT_ADDRESS(alloc_pages(gfp, order))
#define __get_free_page(gfp) __get_free_pages(gfp, 0)
#define get_zeroed_page(gfp) __get_free_page((gfp) | __GFP_ZERO)
#define free_pages(address, order)                                             \
	shrinker_kit_free_address((address), (order), SHRINKER_KIT_PLACE)
#define free_page(address) free_pages((unsigned long)(address), 0)

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_GFP_H */
