/* SPDX-License-Identifier: MIT */
#include <linux/hash.h>
