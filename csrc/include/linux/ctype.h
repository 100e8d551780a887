/* SPDX-License-Identifier: MIT */
/* Kinds of characters: the C library's. */
#ifndef SHRINKER_LINUX_CTYPE_H
#define SHRINKER_LINUX_CTYPE_H

#include <ctype.h>

#undef isascii
#define isascii(c) (((unsigned char)(c)) <= 0x7f)

#endif /* SHRINKER_LINUX_CTYPE_H */
