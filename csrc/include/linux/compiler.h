/* SPDX-License-Identifier: MIT */
/*
 * What sources written for the kernel say to the compiler.
 *
 * READ_ONCE() and WRITE_ONCE() are relaxed atomic accesses here, so that a thread
 * sanitizer takes them for what they are.  They work on scalars, as in the kernel.
 * Left out: sparse annotations mean nothing, instrumentation macros are empty.
 */
#ifndef SHRINKER_LINUX_COMPILER_H
#define SHRINKER_LINUX_COMPILER_H

#include <stddef.h>
#include <linux/compiler_types.h>

#ifndef likely
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
#endif

#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, value) __atomic_store_n(&(x), (value), __ATOMIC_RELAXED)
/* A race that the driver means to have. */
#define data_race(expression) (expression)

#define barrier() __asm__ __volatile__("" ::: "memory")
#define OPTIMIZER_HIDE_VAR(variable) __asm__("" : "+r"(variable))

#ifdef __SANITIZE_THREAD__
/* gcc's sanitizer knows no fences; a change of nothing orders as well. */
static inline void shrinker_kit_fence(void)
{
	static int nothing;

	__atomic_fetch_add(&nothing, 0, __ATOMIC_SEQ_CST);
}
#define smp_mb() shrinker_kit_fence()
#define smp_rmb() shrinker_kit_fence()
#define smp_wmb() shrinker_kit_fence()
#else
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#endif
#define mb() smp_mb()
#define rmb() smp_rmb()
#define wmb() smp_wmb()
#define smp_mb__before_atomic() smp_mb()
#define smp_mb__after_atomic() smp_mb()
#define smp_mb__after_spinlock() smp_mb()
#define smp_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, value) __atomic_store_n((p), (value), __ATOMIC_RELEASE)
#define smp_store_mb(x, value) __atomic_store_n(&(x), (value), __ATOMIC_SEQ_CST)

#ifndef unreachable
#define unreachable() __builtin_unreachable()
#endif

#define __same_type(a, b)                                                      \
	__builtin_types_compatible_p(__typeof__(a), __typeof__(b))
#define is_signed_type(type) ((type)-1 < (type)1)

#endif /* SHRINKER_LINUX_COMPILER_H */
