/* SPDX-License-Identifier: MIT */
/*
 * Threads of the driver.
 *
 * One that is never stopped is told at the end of the test.  Left out: workers
 * (kthread_queue_work()), priorities, and processors.
 */
#ifndef SHRINKER_LINUX_KTHREAD_H
#define SHRINKER_LINUX_KTHREAD_H

#include <linux/err.h>
#include <linux/kit.h>
#include <linux/sched.h>

#ifdef __cplusplus
extern "C" {
#endif


struct task_struct *shrinker_kit_thread_create(int (*function)(void *data), void *data,
					       const char *place, const char *name, ...)
	__attribute__((format(printf, 4, 5)));
int wake_up_process(struct task_struct *task);
int shrinker_kit_thread_stop(struct task_struct *task, const char *place);
bool kthread_should_stop(void);

#ifdef __cplusplus
}
#endif

#define kthread_create(function, data, ...)                                    \
	shrinker_kit_thread_create((function), (data), SHRINKER_KIT_PLACE, __VA_ARGS__)
#define kthread_create_on_node(function, data, nid, ...)                       \
	((void)(nid), kthread_create(function, data, __VA_ARGS__))
#define kthread_run(function, data, ...)                                       \
	__extension__({                                                        \
		struct task_struct *kr_task_ =                                 \
			kthread_create(function, data, __VA_ARGS__);           \
		if (!IS_ERR(kr_task_))                                         \
			wake_up_process(kr_task_);                             \
		kr_task_;                                                      \
	})
#define kthread_stop(task) shrinker_kit_thread_stop((task), SHRINKER_KIT_PLACE)
#define kthread_should_park() false
#define kthread_freezable_should_stop(frozen) kthread_should_stop()
#define kthread_bind(task, cpu) ((void)(task), (void)(cpu))

#endif /* SHRINKER_LINUX_KTHREAD_H */
