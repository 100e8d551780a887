/* SPDX-License-Identifier: MIT */
/* A pool of pages. */
#ifndef PAGE_POOL_H
#define PAGE_POOL_H

#include <linux/types.h>

struct page;

/* A page, from the pool or new; NULL: no memory. */
struct page *pool_take(gfp_t gfp);
void pool_give(struct page *page);

#endif
