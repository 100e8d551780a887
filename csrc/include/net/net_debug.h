/* SPDX-License-Identifier: MIT */
#include <linux/net.h>
