/* SPDX-License-Identifier: MIT */
/*
 * Attributes and annotations under the names that kernel sources use.
 *
 * Left out in C++, whose library has some of these words for itself: __init,
 * __exit, __user, __force, __used, __packed.
 */
#ifndef SHRINKER_LINUX_COMPILER_TYPES_H
#define SHRINKER_LINUX_COMPILER_TYPES_H

/* Annotations for sparse. */
#ifndef __cplusplus
#define __user
#define __force
#define __kernel
#define __iomem
#define __percpu
#define __used __attribute__((used))
#define __packed __attribute__((packed))
#endif
#define __rcu
#define __nocast
#define __bitwise
#define __safe
#define __private
#define __acquires(lock)
#define __releases(lock)
#define __must_hold(lock)
#define __acquire(lock) ((void)0)
#define __release(lock) ((void)0)
#define __cond_lock(lock, condition) (condition)
#define ACCESS_PRIVATE(object, member) ((object)->member)

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define noinline __attribute__((noinline))
#define __must_check __attribute__((warn_unused_result))
#define __maybe_unused __attribute__((unused))
#define __always_unused __attribute__((unused))
#define __cold __attribute__((cold))
#define __weak __attribute__((weak))
#define __aligned(bytes) __attribute__((aligned(bytes)))
#define __printf(format, first) __attribute__((format(printf, format, first)))
#define __malloc __attribute__((malloc))
#define __counted_by(member)
#define __cacheline_aligned __aligned(64)
#define __cacheline_aligned_in_smp __aligned(64)
#define ____cacheline_aligned __aligned(64)
#define ____cacheline_aligned_in_smp __aligned(64)
#define __read_mostly
#define __ro_after_init
#define __no_kcsan
#define asmlinkage
#define notrace
#define noinline_for_stack noinline

/* In C only: attribute names of C++ are written with this word. */
#if !defined(fallthrough) && !defined(__cplusplus)
#define fallthrough __attribute__((fallthrough))
#endif

#endif /* SHRINKER_LINUX_COMPILER_TYPES_H */
