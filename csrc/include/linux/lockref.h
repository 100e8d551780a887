/* SPDX-License-Identifier: MIT */
/* A lock and a count of references. */
#ifndef SHRINKER_LINUX_LOCKREF_H
#define SHRINKER_LINUX_LOCKREF_H

#include <linux/spinlock.h>

struct lockref {
	spinlock_t lock;
	int count;
};

static inline void lockref_init(struct lockref *ref)
{
	spin_lock_init(&ref->lock);
	ref->count = 1;
}

/* Adds where @condition holds of the count.  Return: whether it did. */
#define SHRINKER_KIT_LOCKREF(ref, change, condition)                           \
	__extension__({                                                        \
		struct lockref *lr_ = (ref);                                   \
		bool lr_may_;                                                  \
		spin_lock(&lr_->lock);                                         \
		lr_may_ = (condition);                                         \
		if (lr_may_)                                                   \
			lr_->count += (change);                                \
		spin_unlock(&lr_->lock);                                       \
		lr_may_;                                                       \
	})
#define lockref_get(ref) ((void)SHRINKER_KIT_LOCKREF(ref, 1, true))
#define lockref_get_not_zero(ref) SHRINKER_KIT_LOCKREF(ref, 1, lr_->count > 0)
#define lockref_get_not_dead(ref) SHRINKER_KIT_LOCKREF(ref, 1, lr_->count >= 0)
#define lockref_put_not_zero(ref) SHRINKER_KIT_LOCKREF(ref, -1, lr_->count > 1)
#define __lockref_is_dead(ref) ((ref)->count < 0)

static inline int lockref_put_return(struct lockref *ref)
{
	(void)ref;
	return -1; /* The caller takes the lock. */
}

/* True with the lock not held; false with the lock held, and the count unchanged. */
static inline bool lockref_put_or_lock(struct lockref *ref)
{
	spin_lock(&ref->lock);
	if (ref->count <= 1)
		return false;
	ref->count--;
	spin_unlock(&ref->lock);
	return true;
}

static inline void lockref_mark_dead(struct lockref *ref)
{
	ref->count = -128;
}

#endif /* SHRINKER_LINUX_LOCKREF_H */
