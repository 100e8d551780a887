/* SPDX-License-Identifier: MIT */
/* So that sources written for the kernel find their header. */
#ifndef SHRINKER_LINUX_LIST_LRU_H
#define SHRINKER_LINUX_LIST_LRU_H

#include <linux/shrinker.h>
#include <shrinker/list_lru.h>

#endif /* SHRINKER_LINUX_LIST_LRU_H */
