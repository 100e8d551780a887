/* SPDX-License-Identifier: MIT */
/* Caches of the processor need no care here. */
#ifndef SHRINKER_LINUX_CACHEFLUSH_H
#define SHRINKER_LINUX_CACHEFLUSH_H

#define flush_dcache_page(page) ((void)(page))
#define flush_dcache_folio(folio) ((void)(folio))
#define flush_kernel_vmap_range(address, size) ((void)(address))
#define invalidate_kernel_vmap_range(address, size) ((void)(address))
#define flush_cache_vmap(start, end) ((void)(start))
#define flush_cache_vunmap(start, end) ((void)(start))
#define flush_icache_range(start, end) ((void)(start))
#define clflush_cache_range(address, size) ((void)(address))

#endif /* SHRINKER_LINUX_CACHEFLUSH_H */
