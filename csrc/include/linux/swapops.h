/* SPDX-License-Identifier: MIT */
#include <linux/swap.h>
