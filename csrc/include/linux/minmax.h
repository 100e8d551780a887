/* SPDX-License-Identifier: MIT */
/*
 * Minimum, maximum and the like; each argument is evaluated once.
 *
 * Left out: the check that both sides have the same type, and in C++ min(), max(),
 * clamp() and swap(), which its library has.
 */
#ifndef SHRINKER_LINUX_MINMAX_H
#define SHRINKER_LINUX_MINMAX_H

#include <linux/compiler.h>

#define min_t(type, a, b)                                                      \
	__extension__({                                                        \
		type min_a_ = (type)(a);                                       \
		type min_b_ = (type)(b);                                       \
		min_a_ < min_b_ ? min_a_ : min_b_;                             \
	})
#define max_t(type, a, b)                                                      \
	__extension__({                                                        \
		type max_a_ = (type)(a);                                       \
		type max_b_ = (type)(b);                                       \
		max_a_ > max_b_ ? max_a_ : max_b_;                             \
	})
#define clamp_t(type, value, low, high)                                        \
	min_t(type, max_t(type, value, low), high)
#define clamp_val(value, low, high) clamp_t(__typeof__(value), value, low, high)

#ifndef __cplusplus
#define min(a, b) min_t(__typeof__(1 ? (a) : (b)), a, b)
#define max(a, b) max_t(__typeof__(1 ? (a) : (b)), a, b)
#define clamp(value, low, high) clamp_t(__typeof__(value), value, low, high)
#define swap(a, b)                                                             \
	do {                                                                   \
		__typeof__(a) swap_ = (a);                                     \
		(a) = (b);                                                     \
		(b) = swap_;                                                   \
	} while (0)
#define min3(a, b, c) min(min(a, b), c)
#define max3(a, b, c) max(max(a, b), c)
/* The smaller one that is not 0. */
#define min_not_zero(a, b)                                                     \
	__extension__({                                                        \
		__typeof__(a) nz_a_ = (a);                                     \
		__typeof__(b) nz_b_ = (b);                                     \
		nz_a_ == 0 ? nz_b_ : nz_b_ == 0 ? nz_a_ : min(nz_a_, nz_b_);   \
	})
#endif

#endif /* SHRINKER_LINUX_MINMAX_H */
