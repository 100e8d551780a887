/* SPDX-License-Identifier: MIT */
/* Sorting of arrays: equals may change their order. */
#ifndef SHRINKER_LINUX_SORT_H
#define SHRINKER_LINUX_SORT_H

#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int (*cmp_func_t)(const void *a, const void *b);
typedef int (*cmp_r_func_t)(const void *a, const void *b, const void *argument);
typedef void (*swap_func_t)(void *a, void *b, int size);
typedef void (*swap_r_func_t)(void *a, void *b, int size, const void *argument);

/* @swap: each exchange goes through it; NULL: bytes are exchanged. */
void sort(void *base, size_t n, size_t size, cmp_func_t compare, swap_func_t swap);
void sort_r(void *base, size_t n, size_t size, cmp_r_func_t compare, swap_r_func_t swap,
	    const void *argument);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_SORT_H */
