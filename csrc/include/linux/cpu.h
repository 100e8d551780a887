/* SPDX-License-Identifier: MIT */
#include <linux/smp.h>
#include <linux/cpuhotplug.h>
