/* SPDX-License-Identifier: MIT */
#include <linux/completion.h>
