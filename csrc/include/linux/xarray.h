/* SPDX-License-Identifier: MIT */
/*
 * Arrays of pointers with any index, in order of it.
 *
 * Left out: entries that span several indices, the advanced interface (XA_STATE), and
 * growing under RCU: a reader takes a lock of the library for a moment.
 */
#ifndef SHRINKER_LINUX_XARRAY_H
#define SHRINKER_LINUX_XARRAY_H

#include <linux/err.h>
#include <linux/kit.h>
#include <linux/rbtree.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif


#define XA_FLAGS_LOCK_IRQ 1U
#define XA_FLAGS_LOCK_BH 2U
#define XA_FLAGS_ALLOC 4U
#define XA_FLAGS_ALLOC1 12U
#define XA_FLAGS_ACCOUNT 16U
typedef unsigned int xa_mark_t;
#define XA_MARK_0 0U
#define XA_MARK_1 1U
#define XA_MARK_2 2U
#define XA_PRESENT 8U
#define XA_FREE_MARK XA_MARK_0

/** struct xarray - @xa_lock is the driver's too; the rest is the library's */
struct xarray {
	spinlock_t xa_lock;
	unsigned int xa_flags;
	struct rb_root root;
	u32 next;
};
struct xa_limit {
	u32 max, min;
};

#define XARRAY_INIT(name, flags) { __SPIN_LOCK_UNLOCKED(name.xa_lock), (flags), { NULL }, 0 }
#define DEFINE_XARRAY_FLAGS(name, flags) struct xarray name = XARRAY_INIT(name, flags)
#define DEFINE_XARRAY(name) DEFINE_XARRAY_FLAGS(name, 0)
#define DEFINE_XARRAY_ALLOC(name) DEFINE_XARRAY_FLAGS(name, XA_FLAGS_ALLOC)
#define DEFINE_XARRAY_ALLOC1(name) DEFINE_XARRAY_FLAGS(name, XA_FLAGS_ALLOC1)
#define XA_LIMIT(least, most) shrinker_kit_limit(least, most)

static inline struct xa_limit shrinker_kit_limit(u32 least, u32 most)
{
	struct xa_limit limit;

	limit.min = least;
	limit.max = most;
	return limit;
}
static inline bool xa_is_err(const void *entry)
{
	return ((unsigned long)entry & 3) == 2 && (long)entry < 0;
}

static inline int xa_err(const void *entry)
{
	return xa_is_err(entry) ? (int)((long)entry >> 2) : 0;
}

#define xa_limit_32b XA_LIMIT(0, 0xffffffffU)
#define xa_limit_31b XA_LIMIT(0, 0x7fffffffU)
#define xa_limit_16b XA_LIMIT(0, 0xffffU)

void xa_init_flags(struct xarray *xa, unsigned int flags);
void *xa_load(struct xarray *xa, unsigned long index);
/* The lowest from *@index to @most with that mark, or XA_PRESENT; @after: above it. */
void *shrinker_kit_xa_find(struct xarray *xa, unsigned long *index, unsigned long most,
			   xa_mark_t mark, bool after);
/* Stores where the entry is @old, or where @any.  Return: what was there, or an error. */
void *shrinker_kit_xa_store(struct xarray *xa, unsigned long index, void *old, bool any,
			    void *entry, gfp_t gfp, const char *place);
int shrinker_kit_xa_alloc(struct xarray *xa, u32 *index, void *entry,
			  struct xa_limit limit, u32 first, gfp_t gfp, const char *place);
void xa_destroy(struct xarray *xa);
bool xa_get_mark(struct xarray *xa, unsigned long index, xa_mark_t mark);
void shrinker_kit_xa_mark(struct xarray *xa, unsigned long index, xa_mark_t mark, bool set);

#ifdef __cplusplus
}
#endif

#define xa_init(xa) xa_init_flags((xa), 0)
#define xa_empty(xa) (!READ_ONCE((xa)->root.rb_node))
#define xa_lock(xa) spin_lock(&(xa)->xa_lock)
#define xa_unlock(xa) spin_unlock(&(xa)->xa_lock)
#define xa_trylock(xa) spin_trylock(&(xa)->xa_lock)
#define xa_lock_bh(xa) xa_lock(xa)
#define xa_unlock_bh(xa) xa_unlock(xa)
#define xa_lock_irq(xa) xa_lock(xa)
#define xa_unlock_irq(xa) xa_unlock(xa)
#define xa_lock_irqsave(xa, flags) ((flags) = 0, xa_lock(xa))
#define xa_unlock_irqrestore(xa, flags) ((void)(flags), xa_unlock(xa))
#define xa_mk_value(n) ((void *)(((unsigned long)(n) << 1) | 1UL))
#define xa_to_value(entry) ((unsigned long)(entry) >> 1)
#define xa_is_value(entry) ((unsigned long)(entry) & 1)
#define XA_ERROR(error) ((void *)(((unsigned long)(long)(error) << 2) | 2UL))
#define xa_is_zero(entry) ((void)(entry), false)

#define xa_find(xa, index, most, mark)                                         \
	shrinker_kit_xa_find((xa), (index), (most), (mark), false)
#define xa_find_after(xa, index, most, mark)                                   \
	shrinker_kit_xa_find((xa), (index), (most), (mark), true)
#define xa_for_each_range(xa, index, entry, first, last)                       \
	for ((index) = (first),                                                \
	    (entry) = (__typeof__(entry))xa_find(xa, &(index), last, XA_PRESENT); \
	     (entry);                                                          \
	     (entry) = (__typeof__(entry))xa_find_after(xa, &(index), last, XA_PRESENT))
#define xa_for_each_start(xa, index, entry, first)                             \
	xa_for_each_range(xa, index, entry, first, ~0UL)
#define xa_for_each(xa, index, entry) xa_for_each_start(xa, index, entry, 0)
#define xa_for_each_marked(xa, index, entry, mark)                             \
	for ((index) = 0,                                                      \
	    (entry) = (__typeof__(entry))xa_find(xa, &(index), ~0UL, mark);    \
	     (entry);                                                          \
	     (entry) = (__typeof__(entry))xa_find_after(xa, &(index), ~0UL, mark))

#define SHRINKER_KIT_XA_LOCKED(xa, call)                                       \
	__extension__({                                                        \
		__typeof__(call) xl_;                                          \
		xa_lock(xa);                                                   \
		xl_ = (call);                                                  \
		xa_unlock(xa);                                                 \
		xl_;                                                           \
	})
/* The same for what may allocate; an allocation that may sleep is looked at before. */
#define SHRINKER_KIT_XA_ALLOCATING(xa, gfp, call)                              \
	__extension__({                                                        \
		if ((gfp) & __GFP_DIRECT_RECLAIM)                              \
			shrinker_kit_might_sleep(SHRINKER_KIT_PLACE);          \
		SHRINKER_KIT_XA_LOCKED(xa, call);                              \
	})
/* With the lock held, and without. */
#define __xa_store(xa, index, entry, gfp)                                      \
	shrinker_kit_xa_store((xa), (index), NULL, true, (entry),              \
			      (gfp) & ~__GFP_DIRECT_RECLAIM, SHRINKER_KIT_PLACE)
#define xa_store(xa, index, entry, gfp)                                        \
	SHRINKER_KIT_XA_ALLOCATING(xa, gfp, __xa_store(xa, index, entry, gfp))
#define __xa_erase(xa, index) __xa_store(xa, index, NULL, 0)
#define xa_erase(xa, index) SHRINKER_KIT_XA_LOCKED(xa, __xa_erase(xa, index))
#define __xa_cmpxchg(xa, index, old, entry, gfp)                               \
	shrinker_kit_xa_store((xa), (index), (old), false, (entry),            \
			      (gfp) & ~__GFP_DIRECT_RECLAIM, SHRINKER_KIT_PLACE)
#define xa_cmpxchg(xa, index, old, entry, gfp)                                 \
	SHRINKER_KIT_XA_ALLOCATING(xa, gfp, __xa_cmpxchg(xa, index, old, entry, gfp))
#define __xa_insert(xa, index, entry, gfp)                                     \
	__extension__({                                                        \
		void *xi_ = __xa_cmpxchg(xa, index, NULL, entry, gfp);         \
		xi_ ? (xa_is_err(xi_) ? xa_err(xi_) : -EBUSY) : 0;             \
	})
#define xa_insert(xa, index, entry, gfp)                                       \
	SHRINKER_KIT_XA_ALLOCATING(xa, gfp, __xa_insert(xa, index, entry, gfp))
#define xa_reserve(xa, index, gfp) ((void)(xa), 0)
#define xa_release(xa, index) ((void)(xa))
#define __xa_alloc(xa, index, entry, limit, gfp)                               \
	shrinker_kit_xa_alloc((xa), (index), (entry), (limit), 0,              \
			      (gfp) & ~__GFP_DIRECT_RECLAIM, SHRINKER_KIT_PLACE)
#define xa_alloc(xa, index, entry, limit, gfp)                                 \
	SHRINKER_KIT_XA_ALLOCATING(xa, gfp, __xa_alloc(xa, index, entry, limit, gfp))
#define xa_alloc_cyclic(xa, index, entry, limit, next, gfp)                    \
	__extension__({                                                        \
		int xc_error_ = SHRINKER_KIT_XA_ALLOCATING(                    \
			xa, gfp, shrinker_kit_xa_alloc((xa), (index), (entry), (limit), *(next), \
						  (gfp) & ~__GFP_DIRECT_RECLAIM, \
						  SHRINKER_KIT_PLACE));        \
		if (!xc_error_)                                                \
			*(next) = *(index) + 1;                                \
		xc_error_;                                                     \
	})
#define xa_set_mark(xa, index, mark) shrinker_kit_xa_mark((xa), (index), (mark), true)
#define xa_clear_mark(xa, index, mark) shrinker_kit_xa_mark((xa), (index), (mark), false)
#define __xa_set_mark(xa, index, mark) xa_set_mark(xa, index, mark)
#define __xa_clear_mark(xa, index, mark) xa_clear_mark(xa, index, mark)
#define xa_marked(xa, mark)                                                    \
	__extension__({                                                        \
		unsigned long xm_ = 0;                                         \
		xa_find(xa, &xm_, ~0UL, mark) != NULL;                         \
	})
#define xa_store_irq(xa, index, entry, gfp) xa_store(xa, index, entry, gfp)
#define xa_store_bh(xa, index, entry, gfp) xa_store(xa, index, entry, gfp)
#define xa_erase_irq(xa, index) xa_erase(xa, index)
#define xa_erase_bh(xa, index) xa_erase(xa, index)

#endif /* SHRINKER_LINUX_XARRAY_H */
