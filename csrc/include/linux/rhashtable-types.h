/* SPDX-License-Identifier: MIT */
#include <linux/rhashtable.h>
