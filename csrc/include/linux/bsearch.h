/* SPDX-License-Identifier: MIT */
/* Search in a sorted array: the C library's. */
#ifndef SHRINKER_LINUX_BSEARCH_H
#define SHRINKER_LINUX_BSEARCH_H

#include <stdlib.h>
#include <linux/types.h>

#endif /* SHRINKER_LINUX_BSEARCH_H */
