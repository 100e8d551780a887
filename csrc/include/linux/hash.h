/* SPDX-License-Identifier: MIT */
/* Multiplicative hashes by the golden ratio: the top bits of the product. */
#ifndef SHRINKER_LINUX_HASH_H
#define SHRINKER_LINUX_HASH_H

#include <linux/types.h>

#define GOLDEN_RATIO_32 0x61C88647
#define GOLDEN_RATIO_64 0x61C8864680B583EBull
#define GOLDEN_RATIO_PRIME GOLDEN_RATIO_64

/* @bits: 1 to 32, and to 64. */
static inline u32 hash_32(u32 value, unsigned int bits)
{
	return (value * GOLDEN_RATIO_32) >> (32 - bits);
}

static inline u32 hash_64(u64 value, unsigned int bits)
{
	return (u32)((value * GOLDEN_RATIO_64) >> (64 - bits));
}

#define hash_long(value, bits) hash_64((u64)(value), (bits))

static inline u32 hash_ptr(const void *pointer, unsigned int bits)
{
	return hash_64((u64)(uintptr_t)pointer, bits);
}

static inline u32 hash32_ptr(const void *pointer)
{
	u64 value = (u64)(uintptr_t)pointer;

	return (u32)(value ^ value >> 32);
}

#endif /* SHRINKER_LINUX_HASH_H */
