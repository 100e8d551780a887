/* SPDX-License-Identifier: MIT */
/*
 * The odds and ends that most sources include.
 *
 * Left out: system state, oops and taint, hex dumps, tracing.
 */
#ifndef SHRINKER_LINUX_KERNEL_H
#define SHRINKER_LINUX_KERNEL_H

#include <stdarg.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/bug.h>
#include <linux/container_of.h>
#include <linux/err.h>
#include <linux/kstrtox.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/types.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define upper_32_bits(n) ((u32)((u64)(n) >> 32))
#define lower_32_bits(n) ((u32)(n))

#define typecheck(type, x) 1

/* A pointer that is not meant to be followed. */
#define POISON_POINTER_DELTA 0

#define might_sleep() shrinker_kit_might_sleep(SHRINKER_KIT_PLACE)
#define might_sleep_if(condition)                                              \
	do {                                                                   \
		if (condition)                                                 \
			might_sleep();                                         \
	} while (0)
#define cant_sleep() ((void)0)

#define panic(...)                                                             \
	do {                                                                   \
		printk(__VA_ARGS__);                                           \
		BUG();                                                         \
	} while (0)

#endif /* SHRINKER_LINUX_KERNEL_H */
