/* SPDX-License-Identifier: MIT */
/* Small numbers for pointers: an xarray. */
#ifndef SHRINKER_LINUX_IDR_H
#define SHRINKER_LINUX_IDR_H

#include <linux/bug.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/xarray.h>

struct idr {
	struct xarray xa;
	unsigned int base;
};
struct ida {
	struct xarray xa;
};
#define IDR_INIT(name) { XARRAY_INIT(name.xa, 0), 0 }
#define DEFINE_IDR(name) struct idr name = IDR_INIT(name)
#define IDA_INIT(name) { XARRAY_INIT(name.xa, 0) }
#define DEFINE_IDA(name) struct ida name = IDA_INIT(name)
#define idr_init_base(idr, least) (xa_init(&(idr)->xa), (void)((idr)->base = (least)))
#define idr_init(idr) idr_init_base(idr, 0)
#define idr_destroy(idr) xa_destroy(&(idr)->xa)
#define idr_preload(gfp) ((void)(gfp))
#define idr_preload_end() ((void)0)
#define idr_is_empty(idr) xa_empty(&(idr)->xa)
#define idr_find(idr, id) xa_load(&(idr)->xa, (unsigned long)(id))
#define idr_remove(idr, id) xa_erase(&(idr)->xa, (unsigned long)(id))
#define idr_replace(idr, entry, id)                                            \
	(idr_find(idr, id) ? xa_store(&(idr)->xa, (unsigned long)(id), (entry), GFP_NOWAIT) : \
			     ERR_PTR(-ENOENT))

/* @end: 0 or less: no limit.  Return: the lowest free number, or an error. */
static inline int shrinker_kit_idr_alloc(struct xarray *xa, void *entry, int start, int end,
					 u32 first, gfp_t gfp, const char *place)
{
	u32 id;
	int error;

	if (gfp & __GFP_DIRECT_RECLAIM)
		shrinker_kit_might_sleep(place);
	xa_lock(xa);
	error = shrinker_kit_xa_alloc(xa, &id, entry,
				      XA_LIMIT((u32)start,
					       end > 0 ? (u32)end - 1 : 0x7fffffffU),
				      first, gfp & ~__GFP_DIRECT_RECLAIM, place);
	xa_unlock(xa);
	return error == -EBUSY ? -ENOSPC : error < 0 ? error : (int)id;
}

#define idr_alloc(idr, entry, start, end, gfp)                                 \
	shrinker_kit_idr_alloc(&(idr)->xa, (entry), (start), (end), 0, (gfp), SHRINKER_KIT_PLACE)
#define idr_alloc_cyclic(idr, entry, start, end, gfp)                          \
	__extension__({                                                        \
		int ic_ = shrinker_kit_idr_alloc(&(idr)->xa, (entry), (start), (end), \
						 (idr)->xa.next, (gfp), SHRINKER_KIT_PLACE); \
		if (ic_ >= 0)                                                  \
			(idr)->xa.next = (u32)ic_ + 1;                         \
		ic_;                                                           \
	})
#define idr_for_each_entry(idr, entry, id)                                     \
	for (unsigned long ie_ = 0, *ie_once_ = &ie_; ie_once_; ie_once_ = NULL) \
		for ((entry) = (__typeof__(entry))xa_find(&(idr)->xa, &ie_, ~0UL, XA_PRESENT), \
		    (id) = (__typeof__(id))ie_;                                \
		     (entry);                                                  \
		     (entry) = (__typeof__(entry))xa_find_after(&(idr)->xa, &ie_, ~0UL, XA_PRESENT), \
		    (id) = (__typeof__(id))ie_)

static inline int idr_for_each(struct idr *idr, int (*function)(int id, void *entry, void *data),
			       void *data)
{
	unsigned long index;
	void *entry;
	int answer;

	xa_for_each(&idr->xa, index, entry) {
		answer = function((int)index, entry, data);
		if (answer)
			return answer;
	}
	return 0;
}

static inline void *idr_get_next(struct idr *idr, int *id)
{
	unsigned long index = (unsigned long)*id;
	void *entry = xa_find(&idr->xa, &index, ~0UL, XA_PRESENT);

	*id = (int)index;
	return entry;
}

#define ida_init(ida) xa_init(&(ida)->xa)
#define ida_destroy(ida) xa_destroy(&(ida)->xa)
#define ida_is_empty(ida) xa_empty(&(ida)->xa)
#define ida_alloc_range(ida, least, most, gfp)                                 \
	shrinker_kit_idr_alloc(&(ida)->xa, (ida), (int)(least),                \
			       (int)((most) < 0x7fffffffU ? (most) + 1 : 0), 0, (gfp), \
			       SHRINKER_KIT_PLACE)
#define ida_alloc(ida, gfp) ida_alloc_range(ida, 0, 0x7fffffffU, gfp)
#define ida_alloc_min(ida, least, gfp) ida_alloc_range(ida, least, 0x7fffffffU, gfp)
#define ida_alloc_max(ida, most, gfp) ida_alloc_range(ida, 0, most, gfp)
#define ida_free(ida, id)                                                      \
	((void)WARN(!xa_erase(&(ida)->xa, (unsigned long)(id)),                \
		    "ida_free() of %d, which is not allocated\n", (int)(id)))
#define ida_simple_get(ida, start, end, gfp)                                   \
	shrinker_kit_idr_alloc(&(ida)->xa, (ida), (start), (end), 0, (gfp), SHRINKER_KIT_PLACE)
#define ida_simple_remove(ida, id) ida_free(ida, id)

#endif /* SHRINKER_LINUX_IDR_H */
