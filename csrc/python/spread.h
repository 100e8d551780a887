/* SPDX-License-Identifier: MIT */
/* Where a table has an entry, by the hash of its key.  Knows no Python. */
#ifndef SHRINKER_PYTHON_SPREAD_H
#define SHRINKER_PYTHON_SPREAD_H

#include <stdint.h>

/**
 * spread_hash - a bucket's number from a hash of Python
 * @shift: 64 minus the logarithm of the number of buckets; 0: all bits, so that one call
 *	serves several tables ("mixed" in cache.c)
 *
 * Python's hash of an integer is the integer.  So the hashes of many keys have a
 * constant distance, and each distance should fill the buckets evenly.  One product
 * would not: multiples of a Fibonacci number then differ in low bits only.
 */
static inline uint64_t spread_hash(int64_t hash, int shift)
{
	uint64_t mixed = (uint64_t)hash;

	mixed = (mixed ^ mixed >> 32) * 0x9E3779B97F4A7C15ULL;
	mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93ULL;
	return mixed >> shift;
}

#endif /* SHRINKER_PYTHON_SPREAD_H */
