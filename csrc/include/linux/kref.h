/* SPDX-License-Identifier: MIT */
/* A reference count with a function for the last one. */
#ifndef SHRINKER_LINUX_KREF_H
#define SHRINKER_LINUX_KREF_H

#include <linux/refcount.h>

struct kref {
	refcount_t refcount;
};

#define KREF_INIT(n) { .refcount = REFCOUNT_INIT(n) }

static inline void kref_init(struct kref *kref)
{
	refcount_set(&kref->refcount, 1);
}

static inline unsigned int kref_read(const struct kref *kref)
{
	return refcount_read(&kref->refcount);
}

#define kref_get(kref) refcount_inc(&(kref)->refcount)

static inline bool kref_get_unless_zero(struct kref *kref)
{
	return refcount_inc_not_zero(&kref->refcount);
}

/* Return: 1 where @release was called. */
static inline int shrinker_kit_kref_put(struct kref *kref,
					void (*release)(struct kref *kref),
					const char *place)
{
	if (!shrinker_kit_refcount_sub(1, &kref->refcount, place))
		return 0;
	release(kref);
	return 1;
}

#define kref_put(kref, release)                                                \
	shrinker_kit_kref_put((kref), (release), SHRINKER_KIT_PLACE)
#define kref_put_lock(kref_, release, lock)                                    \
	(refcount_dec_and_lock(&(kref_)->refcount, lock) ? ((release)(kref_), 1) : 0)
#define kref_put_mutex(kref_, release, lock)                                   \
	(refcount_dec_and_mutex_lock(&(kref_)->refcount, lock) ? ((release)(kref_), 1) : 0)

#endif /* SHRINKER_LINUX_KREF_H */
