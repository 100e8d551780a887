/* SPDX-License-Identifier: MIT */
#include <linux/nodemask.h>
