/* SPDX-License-Identifier: MIT */
#include <linux/smp.h>
