/* SPDX-License-Identifier: MIT */
/* Rounding and division. */
#ifndef SHRINKER_LINUX_MATH_H
#define SHRINKER_LINUX_MATH_H

#include <linux/types.h>

#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define DIV_ROUND_UP_ULL(n, d) DIV_ROUND_UP((unsigned long long)(n), (d))
/* Half is rounded away from 0. */
#define DIV_ROUND_CLOSEST(n, d)                                                \
	__extension__({                                                        \
		__typeof__(n) rc_n_ = (n);                                     \
		__typeof__(d) rc_d_ = (d);                                     \
		(__typeof__(n))-1 > 0 || (__typeof__(d))-1 > 0 ||              \
				(rc_n_ > 0) == (rc_d_ > 0) ?                   \
			(rc_n_ + rc_d_ / 2) / rc_d_ :                          \
			(rc_n_ - rc_d_ / 2) / rc_d_;                           \
	})
#define roundup(x, step) (DIV_ROUND_UP(x, step) * (step))
#define rounddown(x, step) ((x) - (x) % (step))
/* To a power of two. */
#define round_up(x, power) ((((x) - 1) | ((__typeof__(x))(power) - 1)) + 1)
#define round_down(x, power) ((x) & ~((__typeof__(x))(power) - 1))

#define ALIGN(x, power) round_up(x, power)
#define ALIGN_DOWN(x, power) round_down(x, power)
#define IS_ALIGNED(x, power) (((x) & ((__typeof__(x))(power) - 1)) == 0)
#define PTR_ALIGN(p, power) ((__typeof__(p))ALIGN((unsigned long)(p), (power)))

/* x * numer / denom, without overflow where the result fits. */
#define mult_frac(x, numer, denom)                                             \
	__extension__({                                                        \
		__typeof__(x) mf_x_ = (x);                                     \
		mf_x_ / (denom) * (numer) + mf_x_ % (denom) * (numer) / (denom); \
	})

/* Divides *n, and returns the rest. */
#define do_div(n, base)                                                        \
	__extension__({                                                        \
		uint32_t dd_base_ = (base);                                    \
		uint32_t dd_rest_ = (uint32_t)((uint64_t)(n) % dd_base_);      \
		(n) = (uint64_t)(n) / dd_base_;                                \
		dd_rest_;                                                      \
	})

static inline u64 div_u64(u64 n, u32 d)
{
	return n / d;
}

static inline u64 div64_u64(u64 n, u64 d)
{
	return n / d;
}

static inline s64 div_s64(s64 n, s32 d)
{
	return n / d;
}

static inline u64 mul_u64_u32_div(u64 a, u32 b, u32 d)
{
	return (u64)((__extension__ (unsigned __int128)a) * b / d);
}

static inline unsigned long int_sqrt(unsigned long x)
{
	unsigned long root = 0, bit = 1UL << (sizeof(x) * 8 - 2);

	for (; bit; bit >>= 2) {
		if (x >= root + bit) {
			x -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return root;
}

#endif /* SHRINKER_LINUX_MATH_H */
