/* SPDX-License-Identifier: MIT */
#include <net/net_namespace.h>
