/* SPDX-License-Identifier: MIT */
/*
 * Arrays of pointers under their older name: an xarray, whose lock is the driver's own.
 *
 * Left out: iterators and tags; radix_tree_gang_lookup() finds several.
 */
#ifndef SHRINKER_LINUX_RADIX_TREE_H
#define SHRINKER_LINUX_RADIX_TREE_H

#include <linux/errno.h>
#include <linux/xarray.h>

#define radix_tree_root xarray
#define RADIX_TREE_INIT(name, gfp) XARRAY_INIT(name, 0)
#define RADIX_TREE(name, gfp) struct xarray name = RADIX_TREE_INIT(name, gfp)
#define INIT_RADIX_TREE(root, gfp) xa_init(root)
#define radix_tree_empty(root) xa_empty(root)
#define radix_tree_lookup(root, index) xa_load((root), (index))
#define radix_tree_preload(gfp) ((void)(gfp), 0)
#define radix_tree_maybe_preload(gfp) ((void)(gfp), 0)
#define radix_tree_preload_end() ((void)0)
#define radix_tree_delete(root, index)                                         \
	shrinker_kit_xa_store((root), (index), NULL, true, NULL, GFP_NOWAIT, SHRINKER_KIT_PLACE)
#define radix_tree_insert(root, index, entry)                                  \
	__extension__({                                                        \
		void *ri_ = shrinker_kit_xa_store((root), (index), NULL, false, (entry), \
						  GFP_NOWAIT, SHRINKER_KIT_PLACE); \
		ri_ ? (xa_is_err(ri_) ? xa_err(ri_) : -EEXIST) : 0;            \
	})

static inline unsigned int radix_tree_gang_lookup(struct xarray *root, void **results,
						  unsigned long first, unsigned int most)
{
	unsigned long index;
	unsigned int n = 0;
	void *entry;

	xa_for_each_start(root, index, entry, first) {
		if (n == most)
			break;
		results[n++] = entry;
	}
	return n;
}

#endif /* SHRINKER_LINUX_RADIX_TREE_H */
