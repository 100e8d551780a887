/* SPDX-License-Identifier: MIT */
#include <linux/kasan.h>
