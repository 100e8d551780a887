/* SPDX-License-Identifier: MIT */
/* Bytes in the other order. */
#pragma GCC system_header
#ifndef SHRINKER_LINUX_SWAB_H
#define SHRINKER_LINUX_SWAB_H

#include_next <linux/swab.h>
#define swab16(x) __builtin_bswap16(x)
#define swab32(x) __builtin_bswap32(x)
#define swab64(x) __builtin_bswap64(x)

#endif /* SHRINKER_LINUX_SWAB_H */
