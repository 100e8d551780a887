/* SPDX-License-Identifier: MIT */
/* Constants for C and assembler. */
#pragma GCC system_header
#ifndef SHRINKER_LINUX_CONST_H
#define SHRINKER_LINUX_CONST_H

#include_next <linux/const.h>
#define UL(x) (x##UL)
#define ULL(x) (x##ULL)

#endif /* SHRINKER_LINUX_CONST_H */
