/* SPDX-License-Identifier: MIT */
/* Waiting for time to pass; real time. */
#ifndef SHRINKER_LINUX_DELAY_H
#define SHRINKER_LINUX_DELAY_H

#include <linux/sched.h>

#define msleep(ms) shrinker_kit_sleep((ms) * 1000UL, SHRINKER_KIT_PLACE)
#define ssleep(seconds) msleep(1000UL * (seconds))
#define usleep_range(least, most) shrinker_kit_sleep((least), SHRINKER_KIT_PLACE)
#define fsleep(us) shrinker_kit_sleep((us), SHRINKER_KIT_PLACE)
#define msleep_interruptible(ms) SHRINKER_KIT_VALUE(msleep(ms), 0UL)
/* Does not sleep in the kernel, so it may stand under a spinlock. */
#define udelay(us) shrinker_kit_sleep((us), NULL)
#define ndelay(ns) udelay(((ns) + 999UL) / 1000)
#define mdelay(ms) udelay(1000UL * (ms))

#endif /* SHRINKER_LINUX_DELAY_H */
