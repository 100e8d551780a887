/* SPDX-License-Identifier: MIT */
/* Mutexes that lend their priority: plain mutexes here. */
#ifndef SHRINKER_LINUX_RTMUTEX_H
#define SHRINKER_LINUX_RTMUTEX_H

#include <linux/mutex.h>

struct rt_mutex {
	struct mutex mutex;
};
#define __RT_MUTEX_INITIALIZER(name) { __MUTEX_INITIALIZER(name) }
#define DEFINE_RT_MUTEX(name) struct rt_mutex name = __RT_MUTEX_INITIALIZER(name)
#define rt_mutex_init(which) mutex_init(&(which)->mutex)
#define rt_mutex_lock(which) mutex_lock(&(which)->mutex)
#define rt_mutex_lock_interruptible(which) mutex_lock_interruptible(&(which)->mutex)
#define rt_mutex_trylock(which) mutex_trylock(&(which)->mutex)
#define rt_mutex_unlock(which) mutex_unlock(&(which)->mutex)
#define rt_mutex_is_locked(which) mutex_is_locked(&(which)->mutex)

#endif /* SHRINKER_LINUX_RTMUTEX_H */
