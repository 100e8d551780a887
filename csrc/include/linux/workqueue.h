/* SPDX-License-Identifier: MIT */
/*
 * Work for later.  shrinker_test_work() says who does it:
 *
 * - inline (at first): the thread that queues it, as soon as it holds no lock and
 *   is in no callback of a shrinker, so that a test is the same in every run.
 *   Delayed work is done when shrinker_test_advance() has put the clock far enough
 *   forward, or by a flush;
 * - on a thread of its own, as time passes.
 *
 * All queues are served in the order in which work was queued, one at a time.
 * Left out: attributes of queues, priorities, processors.
 */
#ifndef SHRINKER_LINUX_WORKQUEUE_H
#define SHRINKER_LINUX_WORKQUEUE_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/kit.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/rcupdate.h>
#include <linux/timer.h>
#include <linux/types.h>
#include <linux/workqueue_types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct delayed_work {
	struct work_struct work;
};

#define __WORK_INITIALIZER(name, function)                                     \
	{ (function), NULL, 0, LIST_HEAD_INIT((name).entry), NULL, false, 0 }
#define DECLARE_WORK(name, function)                                           \
	struct work_struct name = __WORK_INITIALIZER(name, function)
#define DECLARE_DELAYED_WORK(name, function)                                   \
	struct delayed_work name = { __WORK_INITIALIZER((name).work, function) }
#define DECLARE_DEFERRABLE_WORK(name, function)                                \
	DECLARE_DELAYED_WORK(name, function)

void shrinker_kit_work_init(struct work_struct *work, work_func_t func,
			    const char *place);
/* @again: where it waits already, it gets the new time. */
bool shrinker_kit_work_queue(struct workqueue_struct *queue,
			     struct work_struct *work, unsigned long delay,
			     bool again, const char *place);
/* @sync: the call, if it waits until a run under way is over; or NULL. */
bool shrinker_kit_work_cancel(struct work_struct *work, const char *sync,
			      const char *place);
/* Return: whether it can be queued now. */
bool enable_work(struct work_struct *work);
bool shrinker_kit_work_flush(struct work_struct *work, const char *place);
/* NULL: all queues. */
void shrinker_kit_queue_flush(struct workqueue_struct *queue, const char *place);
struct workqueue_struct *shrinker_kit_queue_create(const char *place,
						   const char *name, ...)
	__attribute__((format(printf, 2, 3)));
void shrinker_kit_queue_destroy(struct workqueue_struct *queue, const char *place);
unsigned int work_busy(struct work_struct *work);

#define destroy_workqueue(queue)                                               \
	shrinker_kit_queue_destroy((queue), SHRINKER_KIT_PLACE)

#define INIT_WORK(work, function)                                              \
	shrinker_kit_work_init((work), (function), SHRINKER_KIT_PLACE)
#define INIT_WORK_ONSTACK(work, function) INIT_WORK(work, function)
#define INIT_DELAYED_WORK(work_, function) INIT_WORK(&(work_)->work, function)
#define INIT_DEFERRABLE_WORK(work_, function) INIT_DELAYED_WORK(work_, function)
#define destroy_work_on_stack(work) ((void)(work))

static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
	return container_of(work, struct delayed_work, work);
}

#define work_pending(work_) READ_ONCE((work_)->pending)
#define delayed_work_pending(work_) work_pending(&(work_)->work)

#define queue_work(queue, work)                                                \
	shrinker_kit_work_queue((queue), (work), 0, false, SHRINKER_KIT_PLACE)
#define queue_work_on(cpu, queue, work) ((void)(cpu), queue_work(queue, work))
#define queue_work_node(nid, queue, work) ((void)(nid), queue_work(queue, work))
#define schedule_work(work) queue_work(NULL, work)
#define schedule_work_on(cpu, work) queue_work_on(cpu, NULL, work)
#define queue_delayed_work(queue, work_, delay)                                \
	shrinker_kit_work_queue((queue), &(work_)->work, (delay), false,       \
				SHRINKER_KIT_PLACE)
#define queue_delayed_work_on(cpu, queue, work, delay)                         \
	((void)(cpu), queue_delayed_work(queue, work, delay))
#define schedule_delayed_work(work, delay) queue_delayed_work(NULL, work, delay)
#define schedule_delayed_work_on(cpu, work, delay)                             \
	queue_delayed_work_on(cpu, NULL, work, delay)
#define mod_delayed_work(queue, work_, delay)                                  \
	shrinker_kit_work_queue((queue), &(work_)->work, (delay), true,        \
				SHRINKER_KIT_PLACE)
#define mod_delayed_work_on(cpu, queue, work, delay)                           \
	((void)(cpu), mod_delayed_work(queue, work, delay))
#define cancel_work(work) shrinker_kit_work_cancel((work), NULL, SHRINKER_KIT_PLACE)
#define cancel_work_sync(work)                                                 \
	shrinker_kit_work_cancel((work), "cancel_work_sync()", SHRINKER_KIT_PLACE)
#define cancel_delayed_work(work_) cancel_work(&(work_)->work)
#define cancel_delayed_work_sync(work_) cancel_work_sync(&(work_)->work)
/* Cancelled, and not queued again until enable_work() has undone each. */
#define disable_work(work) shrinker_kit_work_disable((work), NULL, SHRINKER_KIT_PLACE)
#define disable_work_sync(work)                                                \
	shrinker_kit_work_disable((work), "disable_work_sync()", SHRINKER_KIT_PLACE)
#define disable_delayed_work(work_) disable_work(&(work_)->work)
#define disable_delayed_work_sync(work_) disable_work_sync(&(work_)->work)
#define enable_delayed_work(work_) enable_work(&(work_)->work)
#define flush_work(work) shrinker_kit_work_flush((work), SHRINKER_KIT_PLACE)
#define flush_delayed_work(work_) flush_work(&(work_)->work)
#define flush_workqueue(queue)                                                 \
	shrinker_kit_queue_flush((queue), SHRINKER_KIT_PLACE)
#define drain_workqueue(queue) flush_workqueue(queue)
#define flush_scheduled_work() flush_workqueue(NULL)

#define WQ_UNBOUND 0
#define WQ_FREEZABLE 0
#define WQ_MEM_RECLAIM 0
#define WQ_HIGHPRI 0
#define WQ_CPU_INTENSIVE 0
#define WQ_SYSFS 0
#define WQ_POWER_EFFICIENT 0
#define WQ_PERCPU 0
#define WQ_BH 0
#define __WQ_LEGACY 0
#define WQ_MAX_ACTIVE 512
#define WQ_UNBOUND_MAX_ACTIVE WQ_MAX_ACTIVE
#define alloc_workqueue(name, flags, most, ...)                                \
	shrinker_kit_queue_create(SHRINKER_KIT_PLACE, name, ##__VA_ARGS__)
#define alloc_ordered_workqueue(name, flags, ...)                              \
	shrinker_kit_queue_create(SHRINKER_KIT_PLACE, name, ##__VA_ARGS__)
#define create_workqueue(name)                                                 \
	shrinker_kit_queue_create(SHRINKER_KIT_PLACE, "%s", (name))
#define create_singlethread_workqueue(name) create_workqueue(name)
#define create_freezable_workqueue(name) create_workqueue(name)

/* Work that runs once readers are gone. */
struct rcu_work {
	struct work_struct work;
	struct rcu_head rcu;
	struct workqueue_struct *wq;
	const char *place;
	bool waits;
};
bool shrinker_kit_queue_rcu_work(struct workqueue_struct *queue, struct rcu_work *work,
				 const char *place);
#define INIT_RCU_WORK(work_, function)                                         \
	((work_)->waits = false, INIT_WORK(&(work_)->work, function))
#define to_rcu_work(work_) container_of(work_, struct rcu_work, work)
#define queue_rcu_work(queue, work)                                            \
	shrinker_kit_queue_rcu_work((queue), (work), SHRINKER_KIT_PLACE)
#define flush_rcu_work(work_) (rcu_barrier(), flush_work(&(work_)->work))

#define current_is_workqueue_rescuer() false
#define current_work() ((struct work_struct *)NULL)

/* The default queue. */
#define system_wq ((struct workqueue_struct *)NULL)
#define system_unbound_wq system_wq
#define system_long_wq system_wq
#define system_highpri_wq system_wq
#define system_freezable_wq system_wq
#define system_power_efficient_wq system_wq

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_WORKQUEUE_H */
