/* SPDX-License-Identifier: MIT */
/* Single bits and runs of bits. */
#ifndef SHRINKER_LINUX_BITS_H
#define SHRINKER_LINUX_BITS_H

#include <linux/types.h>

#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define BIT_MASK(n) (1UL << ((n) % BITS_PER_LONG))
#define BIT_WORD(n) ((n) / BITS_PER_LONG)
/* Bits @low to @high, both included. */
#define GENMASK(high, low)                                                     \
	((~0UL >> (BITS_PER_LONG - 1 - (high))) & (~0UL << (low)))
#define GENMASK_ULL(high, low)                                                 \
	((~0ULL >> (63 - (high))) & (~0ULL << (low)))

#endif /* SHRINKER_LINUX_BITS_H */
