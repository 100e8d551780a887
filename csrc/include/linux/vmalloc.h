/* SPDX-License-Identifier: MIT */
/* Memory in whole pages, aligned to one. */
#ifndef SHRINKER_LINUX_VMALLOC_H
#define SHRINKER_LINUX_VMALLOC_H

#include <linux/slab.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As a function, for pointers. */
void vfree(const void *memory);
/* Whether it is an address that vmalloc() has returned, and not freed yet. */
bool is_vmalloc_addr(const void *memory);

#ifdef __cplusplus
}
#endif

#define __vmalloc(size, gfp)                                                   \
	shrinker_kit_alloc(SHRINKER_KIT_VMALLOC, 1, (size), (gfp), SHRINKER_KIT_PLACE)
#define vmalloc(size) __vmalloc((size), GFP_KERNEL)
#define vzalloc(size) __vmalloc((size), GFP_KERNEL | __GFP_ZERO)
#define vmalloc_array(n, size)                                                 \
	shrinker_kit_alloc(SHRINKER_KIT_VMALLOC, (n), (size), GFP_KERNEL,      \
			   SHRINKER_KIT_PLACE)
#define vcalloc(n, size)                                                       \
	shrinker_kit_alloc(SHRINKER_KIT_VMALLOC, (n), (size),                  \
			   GFP_KERNEL | __GFP_ZERO, SHRINKER_KIT_PLACE)
#define vmalloc_node(size, nid) vmalloc(size)
#define vzalloc_node(size, nid) vzalloc(size)
#define vmalloc_user(size) vzalloc(size)
#define vfree(memory)                                                          \
	shrinker_kit_free((memory), SHRINKER_KIT_VFREE, SHRINKER_KIT_PLACE)
#define vmalloc_to_page(address) virt_to_page(address)

#endif /* SHRINKER_LINUX_VMALLOC_H */
