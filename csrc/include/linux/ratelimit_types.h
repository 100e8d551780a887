/* SPDX-License-Identifier: MIT */
#include <linux/ratelimit.h>
