/* SPDX-License-Identifier: MIT */
/* Sizes that do not wrap: too large ones become SIZE_MAX, which no allocation has. */
#ifndef SHRINKER_LINUX_OVERFLOW_H
#define SHRINKER_LINUX_OVERFLOW_H

#include <stdint.h>
#include <linux/types.h>

#define check_add_overflow(a, b, sum) __builtin_add_overflow((a), (b), (sum))
#define check_sub_overflow(a, b, difference)                                   \
	__builtin_sub_overflow((a), (b), (difference))
#define check_mul_overflow(a, b, product)                                      \
	__builtin_mul_overflow((a), (b), (product))

static inline size_t size_mul(size_t a, size_t b)
{
	size_t bytes;

	return check_mul_overflow(a, b, &bytes) ? SIZE_MAX : bytes;
}

static inline size_t size_add(size_t a, size_t b)
{
	size_t bytes;

	return check_add_overflow(a, b, &bytes) ? SIZE_MAX : bytes;
}

#define array_size(a, b) size_mul((a), (b))
#define array3_size(a, b, c) size_mul(size_mul((a), (b)), (c))
/* A structure with a flexible array at its end. */
#define flex_array_size(p, member, n) size_mul(sizeof(*(p)->member), (n))
#define struct_size(p, member, n)                                              \
	size_add(sizeof(*(p)), flex_array_size(p, member, n))
#define struct_size_t(type, member, n) struct_size((type *)NULL, member, n)

#endif /* SHRINKER_LINUX_OVERFLOW_H */
