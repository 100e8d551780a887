/* SPDX-License-Identifier: MIT */
#include <linux/notifier.h>
#include <linux/mm.h>
