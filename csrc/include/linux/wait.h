/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a condition.
 *
 * Left out: entries of the caller's own (prepare_to_wait(), DEFINE_WAIT()), and
 * waking one waiter only: all look at their condition again.
 */
#ifndef SHRINKER_LINUX_WAIT_H
#define SHRINKER_LINUX_WAIT_H

#include <pthread.h>
#include <linux/jiffies.h>
#include <linux/kit.h>
#include <linux/limits.h>
#include <linux/spinlock.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wait_queue_head {
	pthread_mutex_t mutex;
	pthread_cond_t woken;
	unsigned long wakes;
	int waiters;
} wait_queue_head_t;

#define __WAIT_QUEUE_HEAD_INITIALIZER(name)                                    \
	{ PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0 }
#define DECLARE_WAIT_QUEUE_HEAD(name)                                          \
	wait_queue_head_t name = __WAIT_QUEUE_HEAD_INITIALIZER(name)

void init_waitqueue_head(wait_queue_head_t *queue);
void wake_up_all(wait_queue_head_t *queue);
bool waitqueue_active(wait_queue_head_t *queue);
/* Before the condition is looked at, so that no wake is missed. */
unsigned long shrinker_kit_wakes(wait_queue_head_t *queue);
/*
 * Waits a while, or for a wake after @seen.  Return: false where @deadline (jiffies) is past; with
 * @for_ever, where nothing has ended the wait within its bound, and the test failed.
 */
bool shrinker_kit_wait(wait_queue_head_t *queue, unsigned long seen, bool for_ever,
		       unsigned long deadline, struct shrinker_kit_bound *bound);

#define wake_up(queue) wake_up_all(queue)
#define wake_up_interruptible(queue) wake_up_all(queue)
#define wake_up_interruptible_all(queue) wake_up_all(queue)
#define wake_up_locked(queue) wake_up_all(queue)
#define wake_up_all_locked(queue) wake_up_all(queue)
#define wake_up_poll(queue, mask) wake_up_all(queue)
#define wake_up_interruptible_poll(queue, mask) wake_up_all(queue)
#define wake_up_interruptible_sync(queue) wake_up_all(queue)
#define wake_up_sync(queue) wake_up_all(queue)
#define wake_up_nr(queue, n) wake_up_all(queue)
#define wq_has_sleeper(queue) waitqueue_active(queue)

/* @before, @after: around each sleep, with a lock let go of. */
#define SHRINKER_KIT_WAIT_EVENT(queue, condition, ticks, what, before, after)  \
	__extension__({                                                        \
		struct shrinker_kit_bound we_bound_ = SHRINKER_KIT_BOUND(what); \
		wait_queue_head_t *we_queue_ = &(queue);                       \
		unsigned long we_ticks_ = (unsigned long)(ticks);              \
		bool we_for_ever_ = we_ticks_ >= (unsigned long)LONG_MAX;      \
		unsigned long we_end_ = jiffies + we_ticks_;                   \
		bool we_true_, we_waits_ = true;                               \
		for (;;) {                                                     \
			unsigned long we_seen_ = shrinker_kit_wakes(we_queue_); \
			we_true_ = (condition);                                \
			if (we_true_ || !we_waits_)                            \
				break;                                         \
			before;                                                \
			shrinker_kit_might_sleep(we_bound_.place);             \
			we_waits_ = shrinker_kit_wait(we_queue_, we_seen_,     \
						      we_for_ever_, we_end_,   \
						      &we_bound_);             \
			after;                                                 \
		}                                                              \
		!we_true_ ? 0L :                                               \
		time_before(jiffies, we_end_) ? (long)(we_end_ - jiffies) : 1L; \
	})
/* Return: jiffies left, at least 1, or 0 where the condition is still false. */
#define wait_event_timeout(queue, condition, ticks)                            \
	(shrinker_kit_might_sleep(SHRINKER_KIT_PLACE),                         \
	 SHRINKER_KIT_WAIT_EVENT(queue, condition, ticks, "wait_event_timeout()", , ))
#define wait_event(queue, condition)                                           \
	(shrinker_kit_might_sleep(SHRINKER_KIT_PLACE),                         \
	 (void)SHRINKER_KIT_WAIT_EVENT(queue, condition, LONG_MAX, "wait_event()", , ))
#define wait_event_interruptible(queue, condition)                             \
	SHRINKER_KIT_VALUE(wait_event(queue, condition), 0)
#define wait_event_killable(queue, condition)                                  \
	SHRINKER_KIT_VALUE(wait_event(queue, condition), 0)
#define wait_event_freezable(queue, condition)                                 \
	SHRINKER_KIT_VALUE(wait_event(queue, condition), 0)
#define wait_event_idle(queue, condition) wait_event(queue, condition)
#define io_wait_event(queue, condition) wait_event(queue, condition)
#define wait_event_interruptible_timeout(queue, condition, ticks)              \
	wait_event_timeout(queue, condition, ticks)
#define wait_event_killable_timeout(queue, condition, ticks)                   \
	wait_event_timeout(queue, condition, ticks)
#define wait_event_idle_timeout(queue, condition, ticks)                       \
	wait_event_timeout(queue, condition, ticks)
#define wait_event_freezable_timeout(queue, condition, ticks)                  \
	wait_event_timeout(queue, condition, ticks)
/* The condition is looked at under the lock. */
#define wait_event_lock_irq(queue, condition, lock)                            \
	((void)SHRINKER_KIT_WAIT_EVENT(queue, condition, LONG_MAX,             \
				       "wait_event_lock_irq()",                \
				       spin_unlock_irq(&(lock)),               \
				       spin_lock_irq(&(lock))))
#define wait_event_cmd(queue, condition, before, after)                        \
	((void)SHRINKER_KIT_WAIT_EVENT(queue, condition, LONG_MAX,             \
				       "wait_event_cmd()", before, after))

#ifdef __cplusplus
}
#endif

#include <linux/wait_bit.h>

#endif /* SHRINKER_LINUX_WAIT_H */
