/* SPDX-License-Identifier: MIT */
#include <linux/tracepoint.h>
