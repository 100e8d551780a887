/* SPDX-License-Identifier: MIT */
/* Limits of integer types, the system's and the kernel's names. */
#ifndef SHRINKER_LINUX_LIMITS_H
#define SHRINKER_LINUX_LIMITS_H

#pragma GCC system_header

#if __has_include_next(<linux/limits.h>)
#include_next <linux/limits.h>
#endif
/* glibc's <limits.h> reads this very header for PATH_MAX. */
#include <limits.h>
#include <stdint.h>

#define U8_MAX UINT8_MAX
#define S8_MAX INT8_MAX
#define U16_MAX UINT16_MAX
#define S16_MAX INT16_MAX
#define U32_MAX UINT32_MAX
#define S32_MAX INT32_MAX
#define S32_MIN INT32_MIN
#define U64_MAX (~0ULL)
#define S64_MAX ((long long)(U64_MAX >> 1))
#define S64_MIN (-S64_MAX - 1)

#endif /* SHRINKER_LINUX_LIMITS_H */
