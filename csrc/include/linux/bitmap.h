/* SPDX-License-Identifier: MIT */
/* Arrays of bits.  Left out: arithmetic and printing of whole bitmaps. */
#ifndef SHRINKER_LINUX_BITMAP_H
#define SHRINKER_LINUX_BITMAP_H

#include <linux/bitops.h>
#include <linux/slab.h>
#include <linux/string.h>

static inline void bitmap_zero(unsigned long *map, unsigned int bits)
{
	memset(map, 0, BITS_TO_LONGS(bits) * sizeof(long));
}

static inline void bitmap_fill(unsigned long *map, unsigned int bits)
{
	unsigned int bit;

	for (bit = 0; bit < bits; bit++)
		__set_bit(bit, map);
}

static inline bool bitmap_empty(const unsigned long *map, unsigned int bits)
{
	return find_first_bit(map, bits) == bits;
}

static inline bool bitmap_full(const unsigned long *map, unsigned int bits)
{
	return find_first_zero_bit(map, bits) == bits;
}

static inline unsigned int bitmap_weight(const unsigned long *map,
					 unsigned int bits)
{
	unsigned int bit, weight = 0;

	for (bit = 0; bit < bits; bit++)
		weight += test_bit(bit, map);
	return weight;
}

static inline void bitmap_set(unsigned long *map, unsigned int start,
			      unsigned int bits)
{
	for (; bits; bits--)
		__set_bit(start++, map);
}

static inline void bitmap_clear(unsigned long *map, unsigned int start,
				unsigned int bits)
{
	for (; bits; bits--)
		__clear_bit(start++, map);
}

#define bitmap_alloc(bits, gfp)                                                \
	((unsigned long *)kmalloc_array(BITS_TO_LONGS(bits), sizeof(long), (gfp)))
#define bitmap_zalloc(bits, gfp)                                               \
	((unsigned long *)kcalloc(BITS_TO_LONGS(bits), sizeof(long), (gfp)))
#define bitmap_free(map) kfree(map)

#endif /* SHRINKER_LINUX_BITMAP_H */
