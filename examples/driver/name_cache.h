/* SPDX-License-Identifier: MIT */
#ifndef NAME_CACHE_H
#define NAME_CACHE_H

#include <linux/types.h>

/* 0, or -ENOMEM. */
int name_cache_add(u32 key, const char *name);
/* Whether it is there; copies the name. */
bool name_cache_get(u32 key, char *name, size_t size);

#endif
