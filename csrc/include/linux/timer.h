/* SPDX-License-Identifier: MIT */
/*
 * Timers: work whose time is set as a moment.  They run where delayed work runs
 * (workqueue.h), not in an interrupt.
 */
#ifndef SHRINKER_LINUX_TIMER_H
#define SHRINKER_LINUX_TIMER_H

#include <linux/jiffies.h>
#include <linux/kit.h>
#include <linux/list.h>
#include <linux/workqueue_types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct timer_list - a function and a moment
 * @function: called with the timer
 * @expires: jiffies
 * @work: the library's
 */
struct timer_list {
	void (*function)(struct timer_list *timer);
	unsigned long expires;
	struct work_struct work;
};

#define DEFINE_TIMER(name, callback)                                           \
	struct timer_list name = {                                             \
		(callback), 0,                                                 \
		{ shrinker_kit_timer_fire, NULL, 0,                            \
		  LIST_HEAD_INIT((name).work.entry), NULL, false, 0 }          \
	}

void shrinker_kit_timer_fire(struct work_struct *work);
void shrinker_kit_timer_setup(struct timer_list *timer,
			      void (*function)(struct timer_list *timer),
			      const char *place);
int shrinker_kit_mod_timer(struct timer_list *timer, unsigned long expires,
			   const char *place);
int shrinker_kit_timer_delete(struct timer_list *timer, bool wait,
			      const char *place);
bool shrinker_kit_work_disable(struct work_struct *work, const char *sync,
			       const char *place);
int timer_pending(const struct timer_list *timer);

#define timer_setup(timer, function, flags)                                    \
	shrinker_kit_timer_setup((timer), (function), SHRINKER_KIT_PLACE)
#define mod_timer(timer, expires)                                              \
	shrinker_kit_mod_timer((timer), (expires), SHRINKER_KIT_PLACE)
#define mod_timer_pending(timer, expires)                                      \
	(timer_pending(timer) ? mod_timer(timer, expires) : 0)
#define timer_reduce(timer, moment)                                            \
	(!timer_pending(timer) || time_before((moment), (timer)->expires) ?    \
		 mod_timer(timer, moment) : 1)
#define TIMER_DEFERRABLE 0
#define TIMER_PINNED 0
#define TIMER_IRQSAFE 0
#define add_timer(timer) ((void)mod_timer((timer), (timer)->expires))
#define del_timer(timer) shrinker_kit_timer_delete((timer), false, SHRINKER_KIT_PLACE)
#define del_timer_sync(timer)                                                  \
	shrinker_kit_timer_delete((timer), true, SHRINKER_KIT_PLACE)
#define timer_delete(timer) del_timer(timer)
#define timer_delete_sync(timer) del_timer_sync(timer)
#define try_to_del_timer_sync(timer) del_timer(timer)
/* From then on it can't be set, until the next timer_setup(). */
#define timer_shutdown(timer)                                                  \
	((int)shrinker_kit_work_disable(&(timer)->work, NULL, SHRINKER_KIT_PLACE))
#define timer_shutdown_sync(timer)                                             \
	((int)shrinker_kit_work_disable(&(timer)->work, "timer_shutdown_sync()", \
					SHRINKER_KIT_PLACE))
#define timer_container_of(variable, timer, member)                            \
	container_of(timer, __typeof__(*(variable)), member)
#define from_timer(variable, timer, member)                                    \
	container_of(timer, __typeof__(*(variable)), member)

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_TIMER_H */
