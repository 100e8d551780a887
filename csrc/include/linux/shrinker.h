/* SPDX-License-Identifier: MIT */
/* So that sources written for the kernel find their header. */
#ifndef SHRINKER_LINUX_SHRINKER_H
#define SHRINKER_LINUX_SHRINKER_H

#include <shrinker/shrinker.h>

#endif /* SHRINKER_LINUX_SHRINKER_H */
