/* SPDX-License-Identifier: MIT */
/*
 * Counters that any thread may change at any time.  As in the kernel, operations
 * that return a value are full barriers, those that return none and those called
 * _relaxed order nothing, _acquire and _release what they say.  They wrap.
 *
 * Made by tools of the preprocessor, since atomic_t, atomic64_t and atomic_long_t
 * have the same operations under other names.
 */
#ifndef SHRINKER_LINUX_ATOMIC_H
#define SHRINKER_LINUX_ATOMIC_H

#include <linux/compiler.h>
#include <linux/types.h>

/* <stdatomic.h> has macros of other meaning under some of these names. */
#undef atomic_fetch_add
#undef atomic_fetch_sub
#undef atomic_fetch_or
#undef atomic_fetch_and
#undef atomic_fetch_xor

/* Wraps without being undefined: the builtins of atomics do. */
#define SHRINKER_ATOMIC_OPERATIONS(name, type, value)                          \
static inline value name##_read(const type *v)                                 \
{                                                                              \
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);                 \
}                                                                              \
static inline value name##_read_acquire(const type *v)                         \
{                                                                              \
	return __atomic_load_n(&v->counter, __ATOMIC_ACQUIRE);                 \
}                                                                              \
static inline void name##_set(type *v, value i)                                \
{                                                                              \
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);                    \
}                                                                              \
static inline void name##_set_release(type *v, value i)                        \
{                                                                              \
	__atomic_store_n(&v->counter, i, __ATOMIC_RELEASE);                    \
}                                                                              \
static inline void name##_add(value i, type *v)                                \
{                                                                              \
	__atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);                  \
}                                                                              \
static inline void name##_sub(value i, type *v)                                \
{                                                                              \
	__atomic_fetch_sub(&v->counter, i, __ATOMIC_RELAXED);                  \
}                                                                              \
static inline void name##_or(value i, type *v)                                 \
{                                                                              \
	__atomic_fetch_or(&v->counter, i, __ATOMIC_RELAXED);                   \
}                                                                              \
static inline void name##_and(value i, type *v)                                \
{                                                                              \
	__atomic_fetch_and(&v->counter, i, __ATOMIC_RELAXED);                  \
}                                                                              \
static inline void name##_andnot(value i, type *v)                             \
{                                                                              \
	__atomic_fetch_and(&v->counter, ~i, __ATOMIC_RELAXED);                 \
}                                                                              \
static inline void name##_inc(type *v)                                         \
{                                                                              \
	name##_add(1, v);                                                      \
}                                                                              \
static inline void name##_dec(type *v)                                         \
{                                                                              \
	name##_sub(1, v);                                                      \
}                                                                              \
static inline value name##_add_return(value i, type *v)                        \
{                                                                              \
	return __atomic_add_fetch(&v->counter, i, __ATOMIC_SEQ_CST);           \
}                                                                              \
static inline value name##_sub_return(value i, type *v)                        \
{                                                                              \
	return __atomic_sub_fetch(&v->counter, i, __ATOMIC_SEQ_CST);           \
}                                                                              \
static inline value name##_inc_return(type *v)                                 \
{                                                                              \
	return name##_add_return(1, v);                                        \
}                                                                              \
static inline value name##_dec_return(type *v)                                 \
{                                                                              \
	return name##_sub_return(1, v);                                        \
}                                                                              \
static inline value name##_fetch_add(value i, type *v)                         \
{                                                                              \
	return __atomic_fetch_add(&v->counter, i, __ATOMIC_SEQ_CST);           \
}                                                                              \
static inline value name##_fetch_sub(value i, type *v)                         \
{                                                                              \
	return __atomic_fetch_sub(&v->counter, i, __ATOMIC_SEQ_CST);           \
}                                                                              \
static inline value name##_fetch_inc(type *v)                                  \
{                                                                              \
	return name##_fetch_add(1, v);                                         \
}                                                                              \
static inline value name##_fetch_dec(type *v)                                  \
{                                                                              \
	return name##_fetch_sub(1, v);                                         \
}                                                                              \
static inline value name##_fetch_or(value i, type *v)                          \
{                                                                              \
	return __atomic_fetch_or(&v->counter, i, __ATOMIC_SEQ_CST);            \
}                                                                              \
static inline value name##_fetch_and(value i, type *v)                         \
{                                                                              \
	return __atomic_fetch_and(&v->counter, i, __ATOMIC_SEQ_CST);           \
}                                                                              \
static inline value name##_xchg(type *v, value i)                              \
{                                                                              \
	return __atomic_exchange_n(&v->counter, i, __ATOMIC_SEQ_CST);          \
}                                                                              \
static inline value name##_cmpxchg(type *v, value old, value i)                \
{                                                                              \
	__atomic_compare_exchange_n(&v->counter, &old, i, false,               \
		__ATOMIC_SEQ_CST, __ATOMIC_RELAXED);                           \
	return old;                                                            \
}                                                                              \
static inline bool name##_try_cmpxchg(type *v, value *old, value i)            \
{                                                                              \
	return __atomic_compare_exchange_n(&v->counter, old, i, false,         \
		__ATOMIC_SEQ_CST, __ATOMIC_RELAXED);                           \
}                                                                              \
static inline bool name##_dec_and_test(type *v)                                \
{                                                                              \
	return name##_dec_return(v) == 0;                                      \
}                                                                              \
static inline bool name##_inc_and_test(type *v)                                \
{                                                                              \
	return name##_inc_return(v) == 0;                                      \
}                                                                              \
static inline bool name##_sub_and_test(value i, type *v)                       \
{                                                                              \
	return name##_sub_return(i, v) == 0;                                   \
}                                                                              \
static inline bool name##_add_negative(value i, type *v)                       \
{                                                                              \
	return name##_add_return(i, v) < 0;                                    \
}                                                                              \
static inline value name##_fetch_add_unless(type *v, value i, value unless)    \
{                                                                              \
	value old = name##_read(v);                                            \
                                                                               \
	while (old != unless && !name##_try_cmpxchg(v, &old, old + i))         \
		;                                                              \
	return old;                                                            \
}                                                                              \
static inline bool name##_add_unless(type *v, value i, value unless)           \
{                                                                              \
	return name##_fetch_add_unless(v, i, unless) != unless;                \
}                                                                              \
static inline bool name##_inc_not_zero(type *v)                                \
{                                                                              \
	return name##_add_unless(v, 1, 0);                                     \
}                                                                              \
static inline value name##_dec_if_positive(type *v)                            \
{                                                                              \
	value old = name##_read(v);                                            \
                                                                               \
	while (old > 0 && !name##_try_cmpxchg(v, &old, old - 1))               \
		;                                                              \
	return old - 1;                                                        \
}

SHRINKER_ATOMIC_OPERATIONS(atomic, atomic_t, int)
SHRINKER_ATOMIC_OPERATIONS(atomic64, atomic64_t, s64)
SHRINKER_ATOMIC_OPERATIONS(atomic_long, atomic_long_t, long)

#undef SHRINKER_ATOMIC_OPERATIONS

#define xchg(pointer, value)                                                   \
	__atomic_exchange_n((pointer), (value), __ATOMIC_SEQ_CST)
#define cmpxchg(pointer, old, value)                                           \
	__extension__({                                                        \
		__typeof__(*(pointer)) cx_old_ = (old);                        \
		__atomic_compare_exchange_n((pointer), &cx_old_, (value), false, \
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED); \
		cx_old_;                                                       \
	})
#define try_cmpxchg(pointer, old, value)                                       \
	__atomic_compare_exchange_n((pointer), (old), (value), false,          \
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)
#define cmpxchg_relaxed(pointer, old, value) cmpxchg(pointer, old, value)

#endif /* SHRINKER_LINUX_ATOMIC_H */
