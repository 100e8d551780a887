/* SPDX-License-Identifier: MIT */
/* Left out: ranges as keys. */
#ifndef SHRINKER_LINUX_MAPLE_TREE_H
#define SHRINKER_LINUX_MAPLE_TREE_H

#include <linux/xarray.h>

#endif /* SHRINKER_LINUX_MAPLE_TREE_H */
