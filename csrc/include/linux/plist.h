/* SPDX-License-Identifier: MIT */
/* Left out: lists in order of priority. */
#ifndef SHRINKER_LINUX_PLIST_H
#define SHRINKER_LINUX_PLIST_H

#include <linux/list.h>

#endif /* SHRINKER_LINUX_PLIST_H */
