/* SPDX-License-Identifier: MIT */
#include <linux/seqlock.h>
