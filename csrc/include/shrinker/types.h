/* SPDX-License-Identifier: MIT */
/*
 * Constants and plain structures of the shrinker interface.  Names and values
 * are the kernel's (docs/specification.md, "Interface").
 *
 * A C compiler reads these headers, and so does build_ffi.py, which preprocesses
 * them with SHRINKER_CDEF defined and passes the result to cffi.  SHRINKER_CDEF
 * hides what cffi cannot read: includes, inline functions, attributes, private
 * parts.
 */
#ifndef SHRINKER_TYPES_H
#define SHRINKER_TYPES_H

#ifndef SHRINKER_CDEF
#include <stdbool.h>
#include <stdint.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SHRINKER_CDEF
/*
 * For members that only the library touches.  C++ has no _Atomic: there the members
 * are plain, with the same size and place.
 */
#ifdef __cplusplus
#define SHRINKER_ATOMIC(type) type
#define SHRINKER_ALIGNED(bytes) alignas(bytes)
#else
#define SHRINKER_ATOMIC(type) _Atomic(type)
#define SHRINKER_ALIGNED(bytes) _Alignas(bytes)
#endif
#endif

typedef unsigned int gfp_t;

struct mem_cgroup;
struct reclaim_domain;
struct shrinker;

/* Returned by scan_objects(): no progress is possible now, for example because it
 * might deadlock.  Ends the pass; this call is not accounted. */
#define SHRINK_STOP (~0UL)
/* Returned by count_objects(): the cache is empty.  0 is different: the number is
 * not known, or the cache wants to be skipped this time. */
#define SHRINK_EMPTY (~0UL - 1)

/* Cost of recreating an object, in disk seeks, unless the owner sets another. */
#define DEFAULT_SEEKS 2
/* Objects in one scan call, unless the owner sets another number. */
#define SHRINK_BATCH 128
/* Priority at which reclaim starts; 0 is the most urgent. */
#define DEF_PRIORITY 12
/* Higher priorities are refused: a shift by 64 bits or more is undefined. */
#define SHRINK_MAX_PRIORITY 63

/* struct shrinker.flags */
#define SHRINKER_REGISTERED (1U << 0)
#define SHRINKER_ALLOCATED (1U << 1)
#define SHRINKER_NUMA_AWARE (1U << 2)
#define SHRINKER_MEMCG_AWARE (1U << 3)
#define SHRINKER_NONSLAB (1U << 4)
/* Not the kernel's: the batch is read after the count, which sets it for this very
 * pass. */
#define RECLAIM_BATCH_BY_COUNT (1U << 30)
/* Not the kernel's: the count runs outside the shrinker's host.  A walk enters the
 * host before the first scan.  For hosts without run(). */
#define RECLAIM_COUNT_OUTSIDE_HOST (1U << 29)

/* Allocation contexts, as Linux 6.18 numbers them. */
#define __GFP_DMA (1U << 0)
#define __GFP_HIGHMEM (1U << 1)
#define __GFP_DMA32 (1U << 2)
#define __GFP_MOVABLE (1U << 3)
#define __GFP_RECLAIMABLE (1U << 4)
#define __GFP_HIGH (1U << 5)
#define __GFP_IO (1U << 6)
#define __GFP_FS (1U << 7)
#define __GFP_ZERO (1U << 8)
#define __GFP_DIRECT_RECLAIM (1U << 10)
#define __GFP_KSWAPD_RECLAIM (1U << 11)
#define __GFP_WRITE (1U << 12)
#define __GFP_NOWARN (1U << 13)
#define __GFP_RETRY_MAYFAIL (1U << 14)
#define __GFP_NOFAIL (1U << 15)
#define __GFP_NORETRY (1U << 16)
#define __GFP_MEMALLOC (1U << 17)
#define __GFP_COMP (1U << 18)
#define __GFP_NOMEMALLOC (1U << 19)
#define __GFP_HARDWALL (1U << 20)
#define __GFP_THISNODE (1U << 21)
#define __GFP_ACCOUNT (1U << 22)
#define __GFP_ZEROTAGS (1U << 23)
#define __GFP_NO_OBJ_EXT (1U << 24)
#define __GFP_RECLAIM (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)

#define GFP_NOIO (__GFP_RECLAIM)
#define GFP_NOFS (__GFP_RECLAIM | __GFP_IO)
#define GFP_KERNEL (__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_KERNEL_ACCOUNT (GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_USER (GFP_KERNEL | __GFP_HARDWALL)
#define GFP_HIGHUSER (GFP_USER | __GFP_HIGHMEM)
#define GFP_HIGHUSER_MOVABLE (GFP_HIGHUSER | __GFP_MOVABLE)
#define GFP_ATOMIC (__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_NOWAIT (__GFP_KSWAPD_RECLAIM | __GFP_NOWARN)

/**
 * struct shrink_control - arguments of a callback, and @nr_scanned of its results
 * @gfp_mask: allocation context of the thread that needs memory.  The callback must
 *	not enter a filesystem without __GFP_FS, nor start I/O without __GFP_IO
 * @nid: memory node that is short of memory
 * @nr_to_scan: objects to scan in this call; set before each scan call only
 * @nr_scanned: objects scanned; set to @nr_to_scan before each scan call.  The
 *	callback may set another number, larger or smaller
 * @memcg: memory cgroup that is short of memory; NULL without memory cgroups
 */
struct shrink_control {
	gfp_t gfp_mask;
	int nid;
	unsigned long nr_to_scan;
	unsigned long nr_scanned;
	struct mem_cgroup *memcg;
};

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_TYPES_H */
