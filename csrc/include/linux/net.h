/* SPDX-License-Identifier: MIT */
/* Left out: sockets. */
#pragma GCC system_header
#ifndef SHRINKER_LINUX_NET_H
#define SHRINKER_LINUX_NET_H

#if __has_include_next(<linux/net.h>)
#include_next <linux/net.h>
#endif
#include <linux/printk.h>

struct socket;
struct sock;
#define net_ratelimit() 1
#define net_err_ratelimited(format, ...) pr_err(format, ##__VA_ARGS__)
#define net_warn_ratelimited(format, ...) pr_warn(format, ##__VA_ARGS__)
#define net_info_ratelimited(format, ...) pr_info(format, ##__VA_ARGS__)
#define net_dbg_ratelimited(format, ...) pr_debug(format, ##__VA_ARGS__)

#endif /* SHRINKER_LINUX_NET_H */
