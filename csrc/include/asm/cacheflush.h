/* SPDX-License-Identifier: MIT */
#include <linux/cacheflush.h>
