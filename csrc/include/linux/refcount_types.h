/* SPDX-License-Identifier: MIT */
#include <linux/refcount.h>
