/* SPDX-License-Identifier: MIT */
/* Threads of the driver. */
#define _GNU_SOURCE 1

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/container_of.h>
#include <linux/kthread.h>

#include "kit.h"

/**
 * struct thread - a thread of the driver
 * @task: what the driver has; the thread itself sees a copy of its own
 * @is_woken: by wake_up_process(), since it last slept
 * @is_left: kthread_stop() has given up waiting: the thread frees this at its end
 */
struct thread {
	struct task_struct task;
	pthread_t thread;
	bool has_started, should_stop, has_ended, is_left, is_woken;
	int (*function)(void *data);
	void *data;
	int answer;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static _Thread_local struct thread *this_thread;

static void *run_thread(void *thread)
{
	struct kit_before before = kit_before();
	bool is_left;
	int answer;

	this_thread = thread;
	answer = this_thread->function(this_thread->data);
	kit_same_locks(before, "the thread ", this_thread->task.comm);
	pthread_mutex_lock(&lock);
	this_thread->answer = answer;
	this_thread->has_ended = true;
	is_left = this_thread->is_left;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (is_left)
		free(this_thread);
	return NULL;
}

struct task_struct *shrinker_kit_thread_create(int (*function)(void *data), void *data,
					       const char *place, const char *name, ...)
{
	struct thread *thread;
	va_list arguments;

	if (!shrinker_kit_may_allocate(place) || !(thread = calloc(1, sizeof(*thread))))
		return ERR_PTR(-ENOMEM);
	va_start(arguments, name);
	vsnprintf(thread->task.comm, sizeof(thread->task.comm), name, arguments);
	va_end(arguments);
	thread->function = function;
	thread->data = data;
	if (!kit_made("kthread", &thread->task, thread->task.comm, place)) {
		free(thread);
		return ERR_PTR(-ENOMEM);
	}
	return &thread->task;
}

/* Starts a thread that was created; ends the schedule_timeout() of one that runs. */
int wake_up_process(struct task_struct *task)
{
	struct thread *thread = container_of(task, struct thread, task);
	int error = 0;

	if (!kit_is_made("kthread", task))
		return 0;
	pthread_mutex_lock(&lock);
	thread->is_woken = thread->has_started;
	pthread_cond_broadcast(&changed);
	if (!thread->has_started) {
		error = pthread_create(&thread->thread, NULL, run_thread, thread);
		thread->has_started = !error;
	}
	pthread_mutex_unlock(&lock);
	if (error)
		kit_fail("no thread can be started for %s", task->comm);
	return 1;
}

bool kthread_should_stop(void)
{
	return this_thread && __atomic_load_n(&this_thread->should_stop, __ATOMIC_ACQUIRE);
}

long shrinker_kit_schedule_timeout(long ticks, const char *place)
{
	struct shrinker_kit_bound bound = { "schedule_timeout()", place, 0 };
	unsigned long deadline = jiffies + (unsigned long)ticks;
	bool for_ever = ticks == MAX_SCHEDULE_TIMEOUT, in_time = true;
	long left;

	shrinker_kit_might_sleep(place);
	pthread_mutex_lock(&lock);
	while (in_time && !(this_thread && (this_thread->is_woken || kthread_should_stop())))
		in_time = kit_wait_until(&changed, &lock, for_ever, deadline, &bound);
	if (this_thread)
		this_thread->is_woken = false;
	pthread_mutex_unlock(&lock);
	if (for_ever && !in_time)
		kit_waited_too_long(&bound, NULL);
	if (for_ever)
		return ticks;
	left = (long)(deadline - jiffies);
	return left > 0 ? left : 0;
}

int shrinker_kit_thread_stop(struct task_struct *task, const char *place)
{
	struct shrinker_kit_bound bound = { "kthread_stop()", place, 0 };
	struct thread *thread = container_of(task, struct thread, task);
	bool in_time = true;
	int answer = -EINTR;

	shrinker_kit_might_sleep(place);
	if (!kit_end_made("kthread", task, "kthread_stop()", place))
		return -EINVAL;
	__atomic_store_n(&thread->should_stop, true, __ATOMIC_RELEASE);
	pthread_mutex_lock(&lock);
	pthread_cond_broadcast(&changed);
	while (thread->has_started && !thread->has_ended && in_time)
		in_time = kit_wait_for(&bound, &changed, &lock);
	thread->is_left = !in_time;
	if (!in_time)
		pthread_detach(thread->thread);
	pthread_mutex_unlock(&lock);
	if (!in_time) {
		kit_waited_too_long(&bound, NULL);
		return -EINTR;
	}
	if (thread->has_started) {
		pthread_join(thread->thread, NULL);
		answer = thread->answer;
	}
	free(thread);
	return answer;
}
