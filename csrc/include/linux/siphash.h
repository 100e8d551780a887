/* SPDX-License-Identifier: MIT */
/*
 * Hashes with a key.
 *
 * Left out: the kernel's values.  The same in every run.
 */
#ifndef SHRINKER_LINUX_SIPHASH_H
#define SHRINKER_LINUX_SIPHASH_H

#include <linux/types.h>

typedef struct {
	u64 key[2];
} siphash_key_t;
typedef struct {
	unsigned long key[2];
} hsiphash_key_t;

static inline u64 shrinker_kit_keyed_hash(const void *data, size_t size, u64 a, u64 b)
{
	u64 hash = a ^ 0x9e3779b97f4a7c15ull;
	const unsigned char *byte = (const unsigned char *)data;

	while (size--)
		hash = (hash ^ *byte++) * 0x100000001b3ull;
	return (hash ^ b) * 0xbf58476d1ce4e5b9ull;
}

#define siphash(data, size, k) shrinker_kit_keyed_hash((data), (size), (k)->key[0], (k)->key[1])
#define hsiphash(data, size, k) ((u32)(siphash(data, size, k) >> 32))

static inline u64 siphash_2u64(u64 a, u64 b, const siphash_key_t *key)
{
	u64 both[2] = { a, b };

	return siphash(both, sizeof(both), key);
}
#define siphash_1u64(a, key) siphash_2u64((a), 0, (key))
#define siphash_1u32(a, key) siphash_2u64((a), 0, (key))
#define siphash_2u32(a, b, key) siphash_2u64((a), (b), (key))

#endif /* SHRINKER_LINUX_SIPHASH_H */
