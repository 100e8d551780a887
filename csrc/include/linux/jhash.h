/* SPDX-License-Identifier: MIT */
/*
 * Hashes of bytes and words.  Left out: the kernel's values.  These mix as well,
 * and are the same in every run.
 */
#ifndef SHRINKER_LINUX_JHASH_H
#define SHRINKER_LINUX_JHASH_H

#include <linux/hash.h>
#include <linux/types.h>

#define JHASH_INITVAL 0xdeadbeef

static inline u32 shrinker_kit_mix(u32 hash, u32 word)
{
	u64 product = ((u64)hash << 32 | word) * GOLDEN_RATIO_64;

	return (u32)(product >> 32) ^ (u32)product ^ hash >> 7;
}

static inline u32 jhash(const void *key, u32 length, u32 initval)
{
	const u8 *byte = (const u8 *)key;
	u32 hash = initval ^ length;

	for (; length; length--)
		hash = shrinker_kit_mix(hash, *byte++);
	return hash;
}

static inline u32 jhash2(const u32 *key, u32 words, u32 initval)
{
	u32 hash = initval ^ words;

	for (; words; words--)
		hash = shrinker_kit_mix(hash, *key++);
	return hash;
}

static inline u32 jhash_1word(u32 a, u32 initval)
{
	return jhash2(&a, 1, initval);
}

static inline u32 jhash_2words(u32 a, u32 b, u32 initval)
{
	return shrinker_kit_mix(jhash_1word(a, initval), b);
}

static inline u32 jhash_3words(u32 a, u32 b, u32 c, u32 initval)
{
	return shrinker_kit_mix(jhash_2words(a, b, initval), c);
}

#endif /* SHRINKER_LINUX_JHASH_H */
