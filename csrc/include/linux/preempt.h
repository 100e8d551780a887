/* SPDX-License-Identifier: MIT */
/* Contexts that this thread is never in: interrupts, and no preemption. */
#ifndef SHRINKER_LINUX_PREEMPT_H
#define SHRINKER_LINUX_PREEMPT_H

#define preempt_disable() ((void)0)
#define preempt_enable() ((void)0)
#define local_irq_disable() ((void)0)
#define local_irq_enable() ((void)0)
#define local_irq_save(flags) ((flags) = 0)
#define local_irq_restore(flags) ((void)(flags))
#define local_bh_disable() ((void)0)
#define local_bh_enable() ((void)0)
#define in_interrupt() 0
#define in_task() 1
#define in_irq() 0
#define in_softirq() 0
#define in_atomic() 0
#define irqs_disabled() 0

#endif /* SHRINKER_LINUX_PREEMPT_H */
