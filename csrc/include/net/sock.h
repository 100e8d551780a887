/* SPDX-License-Identifier: MIT */
#include <linux/net.h>
#include <net/net_namespace.h>
