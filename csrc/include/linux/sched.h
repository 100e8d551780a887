/* SPDX-License-Identifier: MIT */
/*
 * The running task.
 *
 * Left out: everything about other tasks, states of tasks (setting one does
 * nothing), signals (never pending), and priorities.
 */
#ifndef SHRINKER_LINUX_SCHED_H
#define SHRINKER_LINUX_SCHED_H

#include <linux/jiffies.h>
#include <linux/kit.h>
#include <linux/preempt.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TASK_COMM_LEN 16
#define TASK_RUNNING 0
#define TASK_INTERRUPTIBLE 1
#define TASK_UNINTERRUPTIBLE 2
#define MAX_SCHEDULE_TIMEOUT LONG_MAX

/* task_struct.flags */
#define PF_MEMALLOC 0x00000800U
#define PF_KSWAPD 0x00020000U
#define PF_MEMALLOC_NOFS 0x00040000U
#define PF_MEMALLOC_NOIO 0x00080000U

/**
 * struct task_struct - a thread
 * @pid: the system's number of the thread
 * @comm: its name
 * @flags: PF_*; PF_MEMALLOC inside callbacks of shrinkers
 */
struct task_struct {
	int pid, tgid;
	char comm[TASK_COMM_LEN];
	unsigned int flags;
	struct mem_cgroup *active_memcg;
};

struct task_struct *shrinker_kit_current(void);
/* C++ has members of this name. */
#ifndef __cplusplus
#define current shrinker_kit_current()
#endif

/* Sleeps that long; @place NULL: it may stand where sleeping is not allowed. */
void shrinker_kit_sleep(unsigned long microseconds, const char *place);
void shrinker_kit_yield(const char *place);
/*
 * Sleeps until the clock is that far, or, in a thread of the driver, until
 * wake_up_process() or kthread_stop().  Return: jiffies left.
 */
long shrinker_kit_schedule_timeout(long ticks, const char *place);

#define schedule() shrinker_kit_yield(SHRINKER_KIT_PLACE)
#define cond_resched() SHRINKER_KIT_VALUE(shrinker_kit_yield(SHRINKER_KIT_PLACE), 0)
#define yield() schedule()
/* May be called with the lock held: it is let go of and taken again. */
#define cond_resched_lock(lock) ((void)(lock), 0)
#define schedule_timeout_uninterruptible(ticks)                                \
	shrinker_kit_schedule_timeout((ticks), SHRINKER_KIT_PLACE)
#define schedule_timeout_interruptible(ticks)                                  \
	schedule_timeout_uninterruptible(ticks)
#define schedule_timeout(ticks) schedule_timeout_uninterruptible(ticks)
#define io_schedule() schedule()
#define cpu_relax() shrinker_kit_yield(NULL)
#define need_resched() 0
#define set_current_state(state) ((void)(state))
#define __set_current_state(state) ((void)(state))
#define signal_pending(task) ((void)(task), 0)
#define fatal_signal_pending(task) ((void)(task), 0)
#define task_pid_nr(task) ((task)->pid)

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_SCHED_H */
