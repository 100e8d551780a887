/* SPDX-License-Identifier: MIT */
#include <linux/memcontrol.h>
