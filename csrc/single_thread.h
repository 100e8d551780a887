/* SPDX-License-Identifier: MIT */
/*
 * Atomic operations that need not be atomic while the process has one thread.
 *
 * An atomic read-modify-write costs 8 to 25 cycles, more than all else that an
 * operation on a list does.  glibc knows whether there is another thread, and its
 * own locks use this too.  The answer holds until this thread makes another one,
 * which then sees what was stored.
 */
#ifndef SHRINKER_SINGLE_THREAD_H
#define SHRINKER_SINGLE_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * glibc 2.32 and later.  The header may be there where an older one is the target, as
 * that of wheels is (.ci/wheels.py).
 */
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 32)
#include <sys/single_threaded.h>
#define SHRINKER_HAS_SINGLE_THREADED 1
#endif
#endif

static inline bool single_threaded(void)
{
#ifdef SHRINKER_HAS_SINGLE_THREADED
	return __libc_single_threaded;
#else
	return false;
#endif
}

/* The rest are sequentially consistent, as the operations that they stand for. */

static inline int64_t shared_exchange(_Atomic(int64_t) *shared, int64_t value)
{
	int64_t before;

	if (!single_threaded())
		return atomic_exchange(shared, value);
	before = atomic_load_explicit(shared, memory_order_relaxed);
	atomic_store_explicit(shared, value, memory_order_relaxed);
	return before;
}

/* Returns the sum, modulo 2^64. */
static inline int64_t shared_add(_Atomic(int64_t) *shared, int64_t amount)
{
	uint64_t before;

	if (!single_threaded())
		return (int64_t)((uint64_t)atomic_fetch_add(shared, amount) +
				 (uint64_t)amount);
	before = (uint64_t)atomic_load_explicit(shared, memory_order_relaxed);
	atomic_store_explicit(shared, (int64_t)(before + (uint64_t)amount),
			      memory_order_relaxed);
	return (int64_t)(before + (uint64_t)amount);
}

/* Returns false, and nothing has changed, where the value is not @before. */
static inline bool shared_replace(_Atomic(int64_t) *shared, int64_t before,
				  int64_t value)
{
	if (!single_threaded())
		return atomic_compare_exchange_strong(shared, &before, value);
	if (atomic_load_explicit(shared, memory_order_relaxed) != before)
		return false;
	atomic_store_explicit(shared, value, memory_order_relaxed);
	return true;
}

static inline void shared_set_bits(_Atomic(uint64_t) *shared, uint64_t bits)
{
	if (single_threaded())
		atomic_store_explicit(shared,
				      atomic_load_explicit(shared,
							   memory_order_relaxed) | bits,
				      memory_order_relaxed);
	else
		atomic_fetch_or(shared, bits);
}

#endif /* SHRINKER_SINGLE_THREAD_H */
