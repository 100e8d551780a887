/* SPDX-License-Identifier: MIT */
/*
 * Bits in words and bitmaps.  Names without underscores are atomic; those that
 * return a value are full barriers, the others order nothing.
 */
#ifndef SHRINKER_LINUX_BITOPS_H
#define SHRINKER_LINUX_BITOPS_H

#include <strings.h> /* ffs() */
#include <linux/bits.h>
#include <linux/compiler.h>

static inline void set_bit(long nr, volatile unsigned long *map)
{
	__atomic_fetch_or(map + BIT_WORD(nr), BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline void clear_bit(long nr, volatile unsigned long *map)
{
	__atomic_fetch_and(map + BIT_WORD(nr), ~BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline void change_bit(long nr, volatile unsigned long *map)
{
	__atomic_fetch_xor(map + BIT_WORD(nr), BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline bool test_bit(long nr, const volatile unsigned long *map)
{
	return __atomic_load_n(map + BIT_WORD(nr), __ATOMIC_RELAXED) & BIT_MASK(nr);
}

static inline bool test_bit_acquire(long nr, const volatile unsigned long *map)
{
	return __atomic_load_n(map + BIT_WORD(nr), __ATOMIC_ACQUIRE) & BIT_MASK(nr);
}

static inline bool test_and_set_bit(long nr, volatile unsigned long *map)
{
	return __atomic_fetch_or(map + BIT_WORD(nr), BIT_MASK(nr),
				 __ATOMIC_SEQ_CST) & BIT_MASK(nr);
}

static inline bool test_and_clear_bit(long nr, volatile unsigned long *map)
{
	return __atomic_fetch_and(map + BIT_WORD(nr), ~BIT_MASK(nr),
				  __ATOMIC_SEQ_CST) & BIT_MASK(nr);
}

static inline bool test_and_change_bit(long nr, volatile unsigned long *map)
{
	return __atomic_fetch_xor(map + BIT_WORD(nr), BIT_MASK(nr),
				  __ATOMIC_SEQ_CST) & BIT_MASK(nr);
}

static inline bool test_and_set_bit_lock(long nr, volatile unsigned long *map)
{
	return test_and_set_bit(nr, map);
}

static inline void clear_bit_unlock(long nr, volatile unsigned long *map)
{
	__atomic_fetch_and(map + BIT_WORD(nr), ~BIT_MASK(nr), __ATOMIC_RELEASE);
}

static inline void __set_bit(long nr, unsigned long *map)
{
	map[BIT_WORD(nr)] |= BIT_MASK(nr);
}

static inline void __clear_bit(long nr, unsigned long *map)
{
	map[BIT_WORD(nr)] &= ~BIT_MASK(nr);
}

static inline bool __test_and_set_bit(long nr, unsigned long *map)
{
	bool was_set = map[BIT_WORD(nr)] & BIT_MASK(nr);

	__set_bit(nr, map);
	return was_set;
}

static inline bool __test_and_clear_bit(long nr, unsigned long *map)
{
	bool was_set = map[BIT_WORD(nr)] & BIT_MASK(nr);

	__clear_bit(nr, map);
	return was_set;
}

#define __assign_bit(nr, map, value)                                           \
	((value) ? __set_bit((nr), (map)) : __clear_bit((nr), (map)))
#define assign_bit(nr, map, value)                                             \
	((value) ? set_bit((nr), (map)) : clear_bit((nr), (map)))

/* Index of the lowest and of the highest bit; @word is not 0. */
static inline unsigned long __ffs(unsigned long word)
{
	return (unsigned long)__builtin_ctzl(word);
}

static inline unsigned long __fls(unsigned long word)
{
	return BITS_PER_LONG - 1UL - (unsigned long)__builtin_clzl(word);
}

static inline unsigned long ffz(unsigned long word)
{
	return __ffs(~word);
}

/* Index of the highest bit from 1 up; 0 where there is none. */
static inline int fls(unsigned int word)
{
	return word ? 32 - __builtin_clz(word) : 0;
}

static inline int fls64(u64 word)
{
	return word ? 64 - __builtin_clzll(word) : 0;
}

static inline int fls_long(unsigned long word)
{
	return fls64(word);
}

static inline unsigned int hweight32(u32 word)
{
	return (unsigned int)__builtin_popcount(word);
}

static inline unsigned long hweight64(u64 word)
{
	return (unsigned long)__builtin_popcountll(word);
}

#define hweight_long(word) hweight64(word)
#define hweight8(word) hweight32((u8)(word))
#define hweight16(word) hweight32((u16)(word))

static inline u32 rol32(u32 word, unsigned int shift)
{
	return word << (shift & 31) | word >> (-shift & 31);
}

static inline u32 ror32(u32 word, unsigned int shift)
{
	return rol32(word, -shift);
}

static inline u64 rol64(u64 word, unsigned int shift)
{
	return word << (shift & 63) | word >> (-shift & 63);
}

/* The first bit from @from on that is as @set says; @size where there is none. */
static inline unsigned long shrinker_find_bit(const unsigned long *map,
					      unsigned long size,
					      unsigned long from, bool set)
{
	for (; from < size; from++)
		if (test_bit((long)from, map) == set)
			return from;
	return size;
}

#define find_next_bit(map, size, from) shrinker_find_bit(map, size, from, true)
#define find_first_bit(map, size) shrinker_find_bit(map, size, 0, true)
#define find_next_zero_bit(map, size, from)                                    \
	shrinker_find_bit(map, size, from, false)
#define find_first_zero_bit(map, size) shrinker_find_bit(map, size, 0, false)
#define for_each_set_bit(bit, map, size)                                       \
	for ((bit) = find_first_bit(map, size); (bit) < (size);                \
	     (bit) = find_next_bit(map, size, (bit) + 1))
#define for_each_clear_bit(bit, map, size)                                     \
	for ((bit) = find_first_zero_bit(map, size); (bit) < (size);           \
	     (bit) = find_next_zero_bit(map, size, (bit) + 1))

#endif /* SHRINKER_LINUX_BITOPS_H */
