/* SPDX-License-Identifier: MIT */
/* What is known of a page of memory. */
#ifndef SHRINKER_LINUX_MM_TYPES_H
#define SHRINKER_LINUX_MM_TYPES_H

#include <linux/atomic.h>
#include <linux/kit.h>
#include <linux/list_types.h>
#include <linux/types.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define SHRINKER_KIT_PAGE                                                      \
	unsigned long flags;                                                   \
	struct list_head lru;                                                  \
	pgoff_t index;                                                         \
	struct address_space *mapping;                                         \
	unsigned long SHRINKER_KIT_PRIVATE;                                    \
	atomic_t _refcount;                                                    \
	atomic_t _mapcount;                                                    \
	void *virtual_address;                                                 \
	struct page *head;                                                     \
	unsigned int order;

struct address_space;

/**
 * struct page - a page of memory
 * @flags: PG_*
 * @lru: the owner's, to put it on a list
 * @index, @private (private_ in C++), @mapping: the owner's
 * @_refcount: 1 when allocated; the last put_page() frees it
 * @virtual_address, @head, @order: the library's
 */
struct page {
	SHRINKER_KIT_PAGE
};

/* The first of several pages, with the same members, and as @page. */
struct folio {
	union {
		struct {
			SHRINKER_KIT_PAGE
		};
		struct page page;
	};
};

#endif /* SHRINKER_LINUX_MM_TYPES_H */
