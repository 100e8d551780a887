/* SPDX-License-Identifier: MIT */
/* Nothing is frozen here. */
#ifndef SHRINKER_LINUX_FREEZER_H
#define SHRINKER_LINUX_FREEZER_H

#include <linux/sched.h>
#include <linux/wait.h>

#define try_to_freeze() false
#define set_freezable() false
#define freezing(task) ((void)(task), false)
#define freezable_schedule_timeout_interruptible(ticks) schedule_timeout_interruptible(ticks)

#endif /* SHRINKER_LINUX_FREEZER_H */
