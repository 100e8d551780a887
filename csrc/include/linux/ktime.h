/* SPDX-License-Identifier: MIT */
/* The clock in nanoseconds; shrinker_test_advance() puts it forward. */
#ifndef SHRINKER_LINUX_KTIME_H
#define SHRINKER_LINUX_KTIME_H

#include <linux/jiffies.h>
#include <linux/time64.h>

#ifdef __cplusplus
extern "C" {
#endif

ktime_t ktime_get(void);
ktime_t ktime_get_real(void);

#ifdef __cplusplus
}
#endif

#define ktime_get_boottime() ktime_get()
#define ktime_get_raw() ktime_get()
#define ktime_get_ns() ((u64)ktime_get())
#define ktime_get_boottime_ns() ktime_get_ns()
#define ktime_get_coarse() ktime_get()
#define ktime_get_seconds() (ktime_get() / NSEC_PER_SEC)
#define ktime_get_boottime_seconds() ktime_get_seconds()
#define ktime_get_real_ns() ((u64)ktime_get_real())
#define ktime_get_real_seconds() (ktime_get_real() / NSEC_PER_SEC)
#define local_clock() ktime_get_ns()
#define sched_clock() ktime_get_ns()

#define ktime_to_ns(t) (t)
#define ktime_to_us(t) ((t) / NSEC_PER_USEC)
#define ktime_to_ms(t) ((t) / NSEC_PER_MSEC)
#define ns_to_ktime(ns) ((ktime_t)(ns))
#define ms_to_ktime(ms) ((ktime_t)(ms) * NSEC_PER_MSEC)
#define ktime_set(seconds, ns) ((ktime_t)(seconds) * NSEC_PER_SEC + (ktime_t)(ns))
#define ktime_add(a, b) ((a) + (b))
#define ktime_sub(a, b) ((a) - (b))
#define ktime_add_ns(t, ns) ((t) + (ktime_t)(ns))
#define ktime_add_ms(t, ms) ((t) + ms_to_ktime(ms))
#define ktime_before(a, b) ((a) < (b))
#define ktime_after(a, b) ((a) > (b))
#define ktime_compare(a, b) ((a) < (b) ? -1 : (a) > (b))
#define ktime_us_delta(a, b) ktime_to_us(ktime_sub(a, b))
#define ktime_ms_delta(a, b) ktime_to_ms(ktime_sub(a, b))

static inline void ktime_get_ts64(struct timespec64 *ts)
{
	ktime_t now = ktime_get();

	ts->tv_sec = now / NSEC_PER_SEC;
	ts->tv_nsec = (long)(now % NSEC_PER_SEC);
}

#endif /* SHRINKER_LINUX_KTIME_H */
