/* SPDX-License-Identifier: MIT */
/* Logarithms and powers of two. */
#ifndef SHRINKER_LINUX_LOG2_H
#define SHRINKER_LINUX_LOG2_H

#include <linux/bitops.h>

/* Rounded down; @n is not 0.  A constant where @n is. */
#define ilog2(n) (63 - __builtin_clzll((unsigned long long)(n)))
#define is_power_of_2(n) ((n) != 0 && ((n) & ((n) - 1)) == 0)

static inline unsigned long roundup_pow_of_two(unsigned long n)
{
	return n <= 1 ? 1 : 1UL << fls_long(n - 1);
}

static inline unsigned long rounddown_pow_of_two(unsigned long n)
{
	return 1UL << (fls_long(n) - 1);
}

/* Rounded up; 0 for 0. */
static inline int order_base_2(unsigned long n)
{
	return n <= 1 ? 0 : fls_long(n - 1);
}

#endif /* SHRINKER_LINUX_LOG2_H */
