/* SPDX-License-Identifier: MIT */
#include <linux/list_nulls.h>
#include <linux/rculist.h>
