/* SPDX-License-Identifier: MIT */
/*
 * Reference counts that complain: taking a reference where there is none, and
 * putting one more than was taken, fail the test.
 *
 * Left out: saturation.  The kernel's count sticks where it would overflow.
 */
#ifndef SHRINKER_LINUX_REFCOUNT_H
#define SHRINKER_LINUX_REFCOUNT_H

#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;

#define REFCOUNT_INIT(n) { ATOMIC_INIT(n) }

static inline void refcount_set(refcount_t *r, int n)
{
	atomic_set(&r->refs, n);
}

static inline unsigned int refcount_read(const refcount_t *r)
{
	return (unsigned int)atomic_read(&r->refs);
}

static inline bool refcount_add_not_zero(int i, refcount_t *r)
{
	return atomic_add_unless(&r->refs, i, 0);
}

static inline bool refcount_inc_not_zero(refcount_t *r)
{
	return refcount_add_not_zero(1, r);
}

static inline void shrinker_kit_refcount_add(int i, refcount_t *r, const char *place)
{
	if (atomic_fetch_add(i, &r->refs) <= 0)
		shrinker_kit_warn(NULL, place,
				  "a reference is taken where there is none\n");
}

static inline bool shrinker_kit_refcount_sub(int i, refcount_t *r, const char *place)
{
	int old = atomic_fetch_sub(i, &r->refs);

	if (old < i)
		shrinker_kit_warn(NULL, place,
				  "more references are put than were taken\n");
	return old == i;
}

static inline void shrinker_kit_refcount_dec(refcount_t *r, const char *place)
{
	if (shrinker_kit_refcount_sub(1, r, place))
		shrinker_kit_warn(NULL, place, "the last reference is put unseen\n");
}

#define refcount_add(i, r) shrinker_kit_refcount_add((i), (r), SHRINKER_KIT_PLACE)
#define refcount_inc(r) refcount_add(1, r)
#define refcount_sub_and_test(i, r)                                            \
	shrinker_kit_refcount_sub((i), (r), SHRINKER_KIT_PLACE)
#define refcount_dec_and_test(r) refcount_sub_and_test(1, r)
#define refcount_dec(r) shrinker_kit_refcount_dec((r), SHRINKER_KIT_PLACE)

static inline bool refcount_dec_if_one(refcount_t *r)
{
	return atomic_cmpxchg(&r->refs, 1, 0) == 1;
}

static inline bool refcount_dec_not_one(refcount_t *r)
{
	return atomic_add_unless(&r->refs, -1, 1);
}

/* True with the lock held where that was the last reference. */
#define refcount_dec_and_lock(r, lock)                                         \
	__extension__({                                                        \
		bool last_ = false;                                            \
		if (!refcount_dec_not_one(r)) {                                \
			spin_lock(lock);                                       \
			last_ = refcount_dec_and_test(r);                      \
			if (!last_)                                            \
				spin_unlock(lock);                             \
		}                                                              \
		last_;                                                         \
	})
#define refcount_dec_and_mutex_lock(r, lock)                                   \
	__extension__({                                                        \
		bool last_ = false;                                            \
		if (!refcount_dec_not_one(r)) {                                \
			mutex_lock(lock);                                      \
			last_ = refcount_dec_and_test(r);                      \
			if (!last_)                                            \
				mutex_unlock(lock);                            \
		}                                                              \
		last_;                                                         \
	})

#endif /* SHRINKER_LINUX_REFCOUNT_H */
