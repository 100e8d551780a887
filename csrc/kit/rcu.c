/* SPDX-License-Identifier: MIT */
/*
 * Readers, and what waits for them.
 *
 * A reader holds a read lock; a thread that waits for readers takes it for writing.
 * Functions given to call_rcu() run where a thread is idle and sees no reader.
 */
#define _GNU_SOURCE 1

#include <pthread.h>

#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "kit.h"

static pthread_rwlock_t readers = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t calls_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rcu_head *calls, **calls_end = &calls;

void shrinker_kit_rcu_read_lock(const char *place)
{
	if (kit_thread.rcu_depth++)
		return;
	kit_thread.rcu_place = place;
	pthread_rwlock_rdlock(&readers);
}

void shrinker_kit_rcu_read_unlock(const char *place)
{
	if (!kit_thread.rcu_depth) {
		kit_fail("%s: rcu_read_unlock() without rcu_read_lock()", place);
		return;
	}
	if (--kit_thread.rcu_depth)
		return;
	pthread_rwlock_unlock(&readers);
	kit_let_go();
}

int rcu_read_lock_held(void)
{
	return kit_thread.rcu_depth > 0;
}

void call_rcu(struct rcu_head *head, rcu_callback_t func)
{
	head->func = func;
	head->next = NULL;
	pthread_mutex_lock(&calls_lock);
	__atomic_store_n(calls_end, head, __ATOMIC_RELAXED);
	calls_end = &head->next;
	pthread_mutex_unlock(&calls_lock);
	kit_let_go();
}

static void take_calls(struct rcu_head **head)
{
	pthread_mutex_lock(&calls_lock);
	*head = calls;
	__atomic_store_n(&calls, NULL, __ATOMIC_RELAXED);
	calls_end = &calls;
	pthread_mutex_unlock(&calls_lock);
}

static void run_calls(struct rcu_head *head)
{
	struct rcu_head *next;

	for (; head; head = next) {
		next = head->next;
		if ((uintptr_t)head->func < PAGE_SIZE)
			kit_free_after_readers((char *)head - (uintptr_t)head->func);
		else
			head->func(head);
	}
}

/* Calls what was queued, where no reader is left that was there. */
void kit_rcu_idle(void)
{
	struct rcu_head *head;

	if (!__atomic_load_n(&calls, __ATOMIC_RELAXED))
		return;
	/* A thread that reads may queue more meanwhile: it waits for that reader. */
	if (pthread_rwlock_trywrlock(&readers))
		return;
	take_calls(&head);
	pthread_rwlock_unlock(&readers);
	kit_thread.busy = true;
	run_calls(head);
	kit_thread.busy = false;
}

void shrinker_kit_synchronize_rcu(const char *what, const char *place)
{
	struct shrinker_kit_bound bound = { what, place, 0 };
	bool busy = kit_thread.busy;
	struct rcu_head *head;

	shrinker_kit_might_sleep(place);
	if (kit_thread.rcu_depth)
		return; /* Said above; to wait for oneself never ends. */
	take_calls(&head);
	while (pthread_rwlock_trywrlock(&readers)) {
		if (!kit_pause(&bound)) {
			kit_waited_too_long(&bound, NULL);
			goto run;
		}
	}
	pthread_rwlock_unlock(&readers);
run:
	kit_thread.busy = true;
	run_calls(head);
	kit_thread.busy = busy;
	/* The functions may have queued work. */
	kit_let_go();
}

void shrinker_kit_kfree_rcu(struct rcu_head *head, void *memory, const char *place)
{
	/* No function is at an address this low: it is where the head lies. */
	if (shrinker_kit_may_free_later(memory, place))
		call_rcu(head,
			 (rcu_callback_t)(uintptr_t)((char *)head - (char *)memory));
}
