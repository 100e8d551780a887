/* SPDX-License-Identifier: MIT */
#include <linux/radix-tree.h>
