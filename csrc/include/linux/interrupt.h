/* SPDX-License-Identifier: MIT */
/* Left out: interrupts.  A tasklet is work (workqueue.h). */
#ifndef SHRINKER_LINUX_INTERRUPT_H
#define SHRINKER_LINUX_INTERRUPT_H

#include <linux/preempt.h>
#include <linux/workqueue.h>

struct tasklet_struct {
	struct work_struct work;
	void (*callback)(struct tasklet_struct *tasklet);
};
typedef int irqreturn_t;
#define IRQ_NONE 0
#define IRQ_HANDLED 1

static inline void shrinker_kit_tasklet(struct work_struct *work)
{
	struct tasklet_struct *tasklet = container_of(work, struct tasklet_struct, work);

	tasklet->callback(tasklet);
}

static inline void tasklet_setup(struct tasklet_struct *tasklet,
				 void (*callback)(struct tasklet_struct *tasklet))
{
	tasklet->callback = callback;
	INIT_WORK(&tasklet->work, shrinker_kit_tasklet);
}
#define tasklet_schedule(tasklet) ((void)schedule_work(&(tasklet)->work))
#define tasklet_hi_schedule(tasklet) tasklet_schedule(tasklet)
/* One that was scheduled runs first. */
#define tasklet_kill(tasklet) ((void)flush_work(&(tasklet)->work))

#endif /* SHRINKER_LINUX_INTERRUPT_H */
