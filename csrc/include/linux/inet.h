/* SPDX-License-Identifier: MIT */
/* Addresses of the internet protocols: the C library's. */
#ifndef SHRINKER_LINUX_INET_H
#define SHRINKER_LINUX_INET_H

#include <arpa/inet.h>
#include <linux/types.h>

#endif /* SHRINKER_LINUX_INET_H */
