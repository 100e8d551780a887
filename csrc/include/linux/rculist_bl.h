/* SPDX-License-Identifier: MIT */
#include <linux/list_bl.h>
#include <linux/rculist.h>
