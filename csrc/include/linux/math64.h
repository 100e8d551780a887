/* SPDX-License-Identifier: MIT */
#include <linux/math.h>
