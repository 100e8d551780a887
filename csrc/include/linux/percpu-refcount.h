/* SPDX-License-Identifier: MIT */
/* Counts of references that are cheap to change: one number here. */
#ifndef SHRINKER_LINUX_PERCPU_REFCOUNT_H
#define SHRINKER_LINUX_PERCPU_REFCOUNT_H

#include <linux/atomic.h>
#include <linux/gfp.h>

struct percpu_ref {
	atomic_long_t count;
	void (*release)(struct percpu_ref *ref);
	bool is_dying;
};
typedef void(percpu_ref_func_t)(struct percpu_ref *ref);
#define PERCPU_REF_INIT_ATOMIC 1
#define PERCPU_REF_INIT_DEAD 2
#define PERCPU_REF_ALLOW_REINIT 4

static inline int percpu_ref_init(struct percpu_ref *ref, percpu_ref_func_t *release,
				  unsigned int flags, gfp_t gfp)
{
	(void)gfp;
	atomic_long_set(&ref->count, !(flags & PERCPU_REF_INIT_DEAD));
	ref->release = release;
	ref->is_dying = flags & PERCPU_REF_INIT_DEAD;
	return 0;
}

static inline void percpu_ref_get(struct percpu_ref *ref)
{
	atomic_long_inc(&ref->count);
}

static inline bool percpu_ref_tryget(struct percpu_ref *ref)
{
	return atomic_long_inc_not_zero(&ref->count);
}

static inline bool percpu_ref_tryget_live(struct percpu_ref *ref)
{
	return !READ_ONCE(ref->is_dying) && percpu_ref_tryget(ref);
}

static inline void percpu_ref_put(struct percpu_ref *ref)
{
	if (atomic_long_dec_and_test(&ref->count))
		ref->release(ref);
}

static inline void percpu_ref_kill(struct percpu_ref *ref)
{
	WRITE_ONCE(ref->is_dying, true);
	percpu_ref_put(ref);
}
#define percpu_ref_is_zero(ref) (!atomic_long_read(&(ref)->count))
#define percpu_ref_is_dying(ref) READ_ONCE((ref)->is_dying)
#define percpu_ref_exit(ref) ((void)(ref))

#endif /* SHRINKER_LINUX_PERCPU_REFCOUNT_H */
