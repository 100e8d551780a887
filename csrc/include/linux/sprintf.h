/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <linux/string.h>
