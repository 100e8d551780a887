/* SPDX-License-Identifier: MIT */
/* Messages that begin with the name of a device. */
#ifndef SHRINKER_LINUX_DEV_PRINTK_H
#define SHRINKER_LINUX_DEV_PRINTK_H

#include <linux/bug.h>
#include <linux/printk.h>

#define SHRINKER_KIT_DEV(level, dev, format, ...)                              \
	printk(level "%s: " format, dev_name(dev), ##__VA_ARGS__)
#define dev_emerg(dev, format, ...) SHRINKER_KIT_DEV(KERN_EMERG, dev, format, ##__VA_ARGS__)
#define dev_err(dev, format, ...) SHRINKER_KIT_DEV(KERN_ERR, dev, format, ##__VA_ARGS__)
#define dev_warn(dev, format, ...) SHRINKER_KIT_DEV(KERN_WARNING, dev, format, ##__VA_ARGS__)
#define dev_notice(dev, format, ...) SHRINKER_KIT_DEV(KERN_NOTICE, dev, format, ##__VA_ARGS__)
#define dev_info(dev, format, ...) SHRINKER_KIT_DEV(KERN_INFO, dev, format, ##__VA_ARGS__)
#define dev_dbg(dev, format, ...) no_printk(format, ##__VA_ARGS__)
#define dev_err_once(dev, format, ...) dev_err(dev, format, ##__VA_ARGS__)
#define dev_warn_once(dev, format, ...) dev_warn(dev, format, ##__VA_ARGS__)
#define dev_err_ratelimited(dev, format, ...) dev_err(dev, format, ##__VA_ARGS__)
#define dev_warn_ratelimited(dev, format, ...) dev_warn(dev, format, ##__VA_ARGS__)
#define dev_WARN_ONCE(dev, condition, ...) WARN_ONCE(condition, __VA_ARGS__)

#endif /* SHRINKER_LINUX_DEV_PRINTK_H */
