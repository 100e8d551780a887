/* SPDX-License-Identifier: MIT */
/* Completions, wait queues and semaphores. */
#define _GNU_SOURCE 1

#include <limits.h>
#include <time.h>

#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/semaphore.h>
#include <linux/wait.h>

#include "kit.h"

/*
 * Waits a while for a signal.  Return: false where @deadline (jiffies) is past, or,
 * with @for_ever, where the wait has lasted too long.
 */
bool kit_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, bool for_ever,
		    unsigned long deadline, struct shrinker_kit_bound *bound)
{
	unsigned long now;
	struct timespec time;

	if (for_ever)
		return kit_wait_for(bound, cond, mutex);
	now = jiffies;
	if (time_after_eq(now, deadline))
		return false;
	/* Not longer: a test may put the clock forward. */
	kit_real_time_in(&time, min(deadline - now, 10UL));
	pthread_cond_timedwait(cond, mutex, &time);
	return true;
}

/* --- completions --------------------------------------------------------------- */

/* After complete_all() no wait blocks, until reinit_completion(). */
#define DONE_FOR_ALL (~0U)

void init_completion(struct completion *event)
{
	pthread_mutex_init(&event->mutex, NULL);
	pthread_cond_init(&event->told, NULL);
	event->done = 0;
}

void reinit_completion(struct completion *event)
{
	pthread_mutex_lock(&event->mutex);
	event->done = 0;
	pthread_mutex_unlock(&event->mutex);
}

void complete(struct completion *event)
{
	pthread_mutex_lock(&event->mutex);
	if (event->done != DONE_FOR_ALL)
		event->done++;
	pthread_cond_signal(&event->told);
	pthread_mutex_unlock(&event->mutex);
}

void complete_all(struct completion *event)
{
	pthread_mutex_lock(&event->mutex);
	event->done = DONE_FOR_ALL;
	pthread_cond_broadcast(&event->told);
	pthread_mutex_unlock(&event->mutex);
}

bool completion_done(struct completion *event)
{
	bool done;

	pthread_mutex_lock(&event->mutex);
	done = event->done;
	pthread_mutex_unlock(&event->mutex);
	return done;
}

/* Under the mutex. */
static bool take_one(struct completion *event)
{
	if (!event->done)
		return false;
	if (event->done != DONE_FOR_ALL)
		event->done--;
	return true;
}

bool try_wait_for_completion(struct completion *event)
{
	bool done;

	pthread_mutex_lock(&event->mutex);
	done = take_one(event);
	pthread_mutex_unlock(&event->mutex);
	return done;
}

unsigned long shrinker_kit_wait_for_completion(struct completion *event,
					       unsigned long ticks,
					       const char *place)
{
	struct shrinker_kit_bound bound = { "wait_for_completion()", place, 0 };
	bool for_ever = ticks >= (unsigned long)LONG_MAX, done;
	unsigned long deadline = jiffies + ticks, now;

	shrinker_kit_might_sleep(place);
	pthread_mutex_lock(&event->mutex);
	while (!(done = take_one(event)))
		if (!kit_wait_until(&event->told, &event->mutex, for_ever, deadline,
				&bound))
			break;
	pthread_mutex_unlock(&event->mutex);
	if (!done && for_ever)
		kit_waited_too_long(&bound, NULL);
	now = jiffies;
	if (!done)
		return 0;
	return !for_ever && time_before(now, deadline) ? deadline - now : 1;
}

/* --- wait queues --------------------------------------------------------------- */

void init_waitqueue_head(wait_queue_head_t *queue)
{
	pthread_mutex_init(&queue->mutex, NULL);
	pthread_cond_init(&queue->woken, NULL);
	queue->wakes = 0;
	queue->waiters = 0;
}

void wake_up_all(wait_queue_head_t *queue)
{
	pthread_mutex_lock(&queue->mutex);
	queue->wakes++;
	pthread_cond_broadcast(&queue->woken);
	pthread_mutex_unlock(&queue->mutex);
}

bool waitqueue_active(wait_queue_head_t *queue)
{
	bool active;

	pthread_mutex_lock(&queue->mutex);
	active = queue->waiters;
	pthread_mutex_unlock(&queue->mutex);
	return active;
}

unsigned long shrinker_kit_wakes(wait_queue_head_t *queue)
{
	unsigned long wakes;

	pthread_mutex_lock(&queue->mutex);
	wakes = queue->wakes;
	pthread_mutex_unlock(&queue->mutex);
	return wakes;
}

bool shrinker_kit_wait(wait_queue_head_t *queue, unsigned long seen, bool for_ever,
		       unsigned long deadline, struct shrinker_kit_bound *bound)
{
	bool in_time = true;

	/* For a while only: a condition may become true without a wake. */
	pthread_mutex_lock(&queue->mutex);
	queue->waiters++;
	if (queue->wakes == seen)
		in_time = kit_wait_until(&queue->woken, &queue->mutex, for_ever, deadline,
				     bound);
	queue->waiters--;
	pthread_mutex_unlock(&queue->mutex);
	if (!in_time && for_ever)
		kit_waited_too_long(bound, NULL);
	return in_time;
}

/* --- waiting for a variable or a bit -------------------------------------------- */

/* All share one queue: a waiter looks at its condition again. */
static wait_queue_head_t any_variable = __WAIT_QUEUE_HEAD_INITIALIZER(any_variable);

wait_queue_head_t *shrinker_kit_variable_queue(void)
{
	return &any_variable;
}

/* --- semaphores ---------------------------------------------------------------- */

void sema_init(struct semaphore *sem, int n)
{
	pthread_mutex_init(&sem->mutex, NULL);
	pthread_cond_init(&sem->given, NULL);
	sem->count = n;
}

void shrinker_kit_down(struct semaphore *sem, const char *place)
{
	struct shrinker_kit_bound bound = { "down()", place, 0 };
	bool taken;

	shrinker_kit_might_sleep(place);
	pthread_mutex_lock(&sem->mutex);
	while (!(taken = sem->count > 0))
		if (!kit_wait_for(&bound, &sem->given, &sem->mutex))
			break;
	sem->count -= taken;
	pthread_mutex_unlock(&sem->mutex);
	if (!taken)
		kit_waited_too_long(&bound, NULL);
}

int down_trylock(struct semaphore *sem)
{
	int failed;

	pthread_mutex_lock(&sem->mutex);
	failed = sem->count <= 0;
	if (!failed)
		sem->count--;
	pthread_mutex_unlock(&sem->mutex);
	return failed;
}

void up(struct semaphore *sem)
{
	pthread_mutex_lock(&sem->mutex);
	sem->count++;
	pthread_cond_signal(&sem->given);
	pthread_mutex_unlock(&sem->mutex);
}
