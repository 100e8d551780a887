/* SPDX-License-Identifier: MIT */
/*
 * Fast hashes.
 *
 * Left out: the kernel's values.  The same in every run.
 */
#ifndef SHRINKER_LINUX_XXHASH_H
#define SHRINKER_LINUX_XXHASH_H

#include <linux/siphash.h>

#define xxh64(data, size, seed) shrinker_kit_keyed_hash((data), (size), (seed), 0)
#define xxh32(data, size, seed) ((u32)(xxh64(data, size, seed) >> 32))
#define xxhash(data, size, seed) ((unsigned long)xxh64(data, size, seed))

#endif /* SHRINKER_LINUX_XXHASH_H */
