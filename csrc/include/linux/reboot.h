/* SPDX-License-Identifier: MIT */
#include <linux/notifier.h>
