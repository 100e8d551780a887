/* SPDX-License-Identifier: MIT */
/* Numbers that are the same in every run, unless a test seeds them. */
#ifndef SHRINKER_LINUX_RANDOM_H
#define SHRINKER_LINUX_RANDOM_H

#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

u64 get_random_u64(void);
#define get_random_u32() ((u32)(get_random_u64() >> 32))
#define get_random_long() ((unsigned long)get_random_u64())
/* 0 to @n - 1. */
#define get_random_u32_below(n) ((u32)(get_random_u64() % (n)))
void get_random_bytes(void *to, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_RANDOM_H */
