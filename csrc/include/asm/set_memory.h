/* SPDX-License-Identifier: MIT */
#include <linux/set_memory.h>
