/* SPDX-License-Identifier: MIT */
/*
 * What allocations of the running task may do.  The kit's allocations heed it: with
 * memalloc_nofs_save() a shrinker is called without __GFP_FS.
 */
#ifndef SHRINKER_LINUX_SCHED_MM_H
#define SHRINKER_LINUX_SCHED_MM_H

#include <linux/gfp.h>
#include <linux/sched.h>

static inline unsigned int shrinker_kit_flags_save(unsigned int flags)
{
	unsigned int were = shrinker_kit_current()->flags & flags;

	shrinker_kit_current()->flags |= flags;
	return were;
}

static inline void shrinker_kit_flags_restore(unsigned int flags,
					      unsigned int were)
{
	shrinker_kit_current()->flags = (shrinker_kit_current()->flags & ~flags) | were;
}

#define memalloc_nofs_save() shrinker_kit_flags_save(PF_MEMALLOC_NOFS)
#define memalloc_nofs_restore(were)                                            \
	shrinker_kit_flags_restore(PF_MEMALLOC_NOFS, (were))
#define memalloc_noio_save() shrinker_kit_flags_save(PF_MEMALLOC_NOIO)
#define memalloc_noio_restore(were)                                            \
	shrinker_kit_flags_restore(PF_MEMALLOC_NOIO, (were))
#define memalloc_noreclaim_save() shrinker_kit_flags_save(PF_MEMALLOC)
#define memalloc_noreclaim_restore(were)                                       \
	shrinker_kit_flags_restore(PF_MEMALLOC, (were))

/* What @gfp comes to for the running task. */
static inline gfp_t current_gfp_context(gfp_t gfp)
{
	if (shrinker_kit_current()->flags & PF_MEMALLOC_NOIO)
		return gfp & ~(__GFP_IO | __GFP_FS);
	if (shrinker_kit_current()->flags & PF_MEMALLOC_NOFS)
		return gfp & ~__GFP_FS;
	return gfp;
}

#endif /* SHRINKER_LINUX_SCHED_MM_H */
