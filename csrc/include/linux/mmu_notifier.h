/* SPDX-License-Identifier: MIT */
#include <linux/mm.h>
#include <linux/srcu.h>
