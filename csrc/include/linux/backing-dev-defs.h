/* SPDX-License-Identifier: MIT */
#include <linux/backing-dev.h>
