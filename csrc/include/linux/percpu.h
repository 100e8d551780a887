/* SPDX-License-Identifier: MIT */
/*
 * Variables for each processor, of which there is one here; all threads share it,
 * so the this_cpu operations are atomic.
 */
#ifndef SHRINKER_LINUX_PERCPU_H
#define SHRINKER_LINUX_PERCPU_H

#include <linux/slab.h>
#include <linux/smp.h>

#define DEFINE_PER_CPU(type, name) __typeof__(type) name
#define DEFINE_PER_CPU_ALIGNED(type, name) DEFINE_PER_CPU(type, name)
#define DEFINE_PER_CPU_SHARED_ALIGNED(type, name) DEFINE_PER_CPU(type, name)
#define DEFINE_PER_CPU_READ_MOSTLY(type, name) DEFINE_PER_CPU(type, name)
#define DECLARE_PER_CPU(type, name) extern __typeof__(type) name
#define DECLARE_PER_CPU_ALIGNED(type, name) DECLARE_PER_CPU(type, name)

#define __alloc_percpu_gfp(size, align, gfp)                                   \
	((void)(align),                                                        \
	 shrinker_kit_alloc(SHRINKER_KIT_PERCPU, 1, (size), (gfp) | __GFP_ZERO, \
			    SHRINKER_KIT_PLACE))
#define __alloc_percpu(size, align) __alloc_percpu_gfp(size, align, GFP_KERNEL)
#define alloc_percpu_gfp(type, gfp)                                            \
	((__typeof__(type) *)__alloc_percpu_gfp(sizeof(type), 1, (gfp)))
#define alloc_percpu(type) alloc_percpu_gfp(type, GFP_KERNEL)
#define free_percpu(pointer)                                                   \
	shrinker_kit_free((pointer), SHRINKER_KIT_FREE_PERCPU, SHRINKER_KIT_PLACE)
#define per_cpu_ptr(pointer, cpu) ((void)(cpu), (pointer))
#define raw_cpu_ptr(pointer) (pointer)
#define this_cpu_ptr(pointer) (pointer)
#define get_cpu_ptr(pointer) (pointer)
#define put_cpu_ptr(pointer) ((void)(pointer))
#define per_cpu(variable, cpu) (*per_cpu_ptr(&(variable), cpu))
#define get_cpu_var(variable) (variable)
#define put_cpu_var(variable) ((void)&(variable))

#define this_cpu_read(variable) READ_ONCE(variable)
#define this_cpu_write(variable, value) WRITE_ONCE(variable, value)
#define this_cpu_add(variable, value)                                          \
	((void)__atomic_fetch_add(&(variable), (value), __ATOMIC_RELAXED))
#define this_cpu_sub(variable, value)                                          \
	((void)__atomic_fetch_sub(&(variable), (value), __ATOMIC_RELAXED))
#define this_cpu_inc(variable) this_cpu_add(variable, 1)
#define this_cpu_dec(variable) this_cpu_sub(variable, 1)
#define this_cpu_add_return(variable, value)                                   \
	__atomic_add_fetch(&(variable), (value), __ATOMIC_RELAXED)
#define this_cpu_inc_return(variable) this_cpu_add_return(variable, 1)
#define this_cpu_dec_return(variable) this_cpu_add_return(variable, -1)
#define this_cpu_xchg(variable, value)                                         \
	__atomic_exchange_n(&(variable), (value), __ATOMIC_RELAXED)
#define this_cpu_cmpxchg(variable, old, value) cmpxchg(&(variable), old, value)
#define __this_cpu_sub(variable, value) this_cpu_sub(variable, value)
#define __this_cpu_write(variable, value) this_cpu_write(variable, value)
#define __this_cpu_inc_return(variable) this_cpu_inc_return(variable)
#define raw_cpu_read(variable) this_cpu_read(variable)
#define raw_cpu_write(variable, value) this_cpu_write(variable, value)
#define raw_cpu_add(variable, value) this_cpu_add(variable, value)
#define raw_cpu_dec(variable) this_cpu_dec(variable)
#define raw_cpu_inc(variable) this_cpu_inc(variable)
#define __this_cpu_inc(variable) this_cpu_inc(variable)
#define __this_cpu_dec(variable) this_cpu_dec(variable)
#define __this_cpu_add(variable, value) this_cpu_add(variable, value)
#define __this_cpu_read(variable) this_cpu_read(variable)

#endif /* SHRINKER_LINUX_PERCPU_H */
