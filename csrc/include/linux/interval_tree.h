/* SPDX-License-Identifier: MIT */
/* Left out: trees of intervals. */
#ifndef SHRINKER_LINUX_INTERVAL_TREE_H
#define SHRINKER_LINUX_INTERVAL_TREE_H

#include <linux/rbtree.h>

#endif /* SHRINKER_LINUX_INTERVAL_TREE_H */
