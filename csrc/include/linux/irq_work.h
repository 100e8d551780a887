/* SPDX-License-Identifier: MIT */
/* Work from an interrupt: plain work here. */
#ifndef SHRINKER_LINUX_IRQ_WORK_H
#define SHRINKER_LINUX_IRQ_WORK_H

#include <linux/workqueue.h>

struct irq_work {
	struct work_struct work;
	void (*func)(struct irq_work *work);
};

static inline void shrinker_kit_irq_work(struct work_struct *work)
{
	struct irq_work *irq_work = container_of(work, struct irq_work, work);

	irq_work->func(irq_work);
}
#define init_irq_work(which, function)                                         \
	((which)->func = (function), INIT_WORK(&(which)->work, shrinker_kit_irq_work))
#define irq_work_queue(which) schedule_work(&(which)->work)
#define irq_work_sync(which) ((void)flush_work(&(which)->work))

#endif /* SHRINKER_LINUX_IRQ_WORK_H */
