/* SPDX-License-Identifier: MIT */
/* Timers in nanoseconds: rounded up to jiffies here, and in no interrupt. */
#ifndef SHRINKER_LINUX_HRTIMER_H
#define SHRINKER_LINUX_HRTIMER_H

#include <linux/ktime.h>
#include <linux/timer.h>

enum hrtimer_restart { HRTIMER_NORESTART, HRTIMER_RESTART };
enum hrtimer_mode { HRTIMER_MODE_ABS, HRTIMER_MODE_REL, HRTIMER_MODE_REL_SOFT };
struct hrtimer {
	struct timer_list timer;
	enum hrtimer_restart (*function)(struct hrtimer *timer);
	ktime_t interval;
};

static inline void shrinker_kit_hrtimer_fire(struct timer_list *timer)
{
	struct hrtimer *hr = container_of(timer, struct hrtimer, timer);

	if (hr->function(hr) == HRTIMER_RESTART)
		mod_timer(timer, jiffies + (unsigned long)(hr->interval / NSEC_PER_MSEC) + 1);
}
#define hrtimer_init(hr, clock, mode) timer_setup(&(hr)->timer, shrinker_kit_hrtimer_fire, 0)
#define hrtimer_setup(hr, callback, clock, mode)                               \
	((hr)->function = (callback), hrtimer_init(hr, clock, mode))
/* @time: a moment of ktime_get(), or how long from now. */
#define hrtimer_start(hr, time, mode)                                          \
	((hr)->interval = (time) - ((mode) == HRTIMER_MODE_ABS ? ktime_get() : 0), \
	 (hr)->interval = (hr)->interval < 0 ? 0 : (hr)->interval,             \
	 (void)mod_timer(&(hr)->timer,                                         \
			 jiffies + (unsigned long)((hr)->interval / NSEC_PER_MSEC) + 1))
#define hrtimer_cancel(hr) del_timer_sync(&(hr)->timer)
#define hrtimer_active(hr) timer_pending(&(hr)->timer)
#define hrtimer_forward_now(hr, time) ((hr)->interval = (time), 1ULL)

#endif /* SHRINKER_LINUX_HRTIMER_H */
