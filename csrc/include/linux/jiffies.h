/* SPDX-License-Identifier: MIT */
/*
 * Time in ticks of a millisecond.  The clock is real, and shrinker_test_advance()
 * puts it forward.
 */
#ifndef SHRINKER_LINUX_JIFFIES_H
#define SHRINKER_LINUX_JIFFIES_H

#include <limits.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HZ 1000

/* Never 0, so that 0 can mean that there is no time. */
unsigned long shrinker_kit_jiffies(void);
#define jiffies shrinker_kit_jiffies()
#define jiffies_64 ((u64)shrinker_kit_jiffies())
#define get_jiffies_64() jiffies_64

#define MAX_JIFFY_OFFSET ((LONG_MAX >> 1) - 1)

#define time_after(a, b) ((long)((b) - (a)) < 0)
#define time_before(a, b) time_after(b, a)
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
#define time_before_eq(a, b) time_after_eq(b, a)
#define time_in_range(a, b, c) (time_after_eq(a, b) && time_before_eq(a, c))
#define time_is_before_jiffies(a) time_after(jiffies, a)
#define time_is_after_jiffies(a) time_before(jiffies, a)
#define time_is_before_eq_jiffies(a) time_after_eq(jiffies, a)

static inline unsigned long msecs_to_jiffies(unsigned int ms)
{
	return ms;
}

static inline unsigned int jiffies_to_msecs(unsigned long ticks)
{
	return (unsigned int)ticks;
}

static inline unsigned long usecs_to_jiffies(unsigned int us)
{
	return (us + 999UL) / 1000;
}

static inline unsigned int jiffies_to_usecs(unsigned long ticks)
{
	return (unsigned int)(1000 * ticks);
}

static inline unsigned long secs_to_jiffies(unsigned long seconds)
{
	return seconds * HZ;
}

static inline unsigned long round_jiffies(unsigned long ticks)
{
	return ticks;
}

#define round_jiffies_relative(ticks) round_jiffies(ticks)

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_JIFFIES_H */
