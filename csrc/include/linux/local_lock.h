/* SPDX-License-Identifier: MIT */
/* Locks of one processor: here a lock that all threads share. */
#ifndef SHRINKER_LINUX_LOCAL_LOCK_H
#define SHRINKER_LINUX_LOCAL_LOCK_H

#include <linux/spinlock.h>

typedef struct {
	spinlock_t lock;
} local_lock_t;
typedef local_lock_t localtry_lock_t;

#define INIT_LOCAL_LOCK(name) { __SPIN_LOCK_UNLOCKED(name) }
#define local_lock_init(which) spin_lock_init(&(which)->lock)
#define local_lock(which) spin_lock(&(which)->lock)
#define local_unlock(which) spin_unlock(&(which)->lock)
#define local_lock_irq(which) local_lock(which)
#define local_unlock_irq(which) local_unlock(which)
#define local_lock_irqsave(which, flags) ((flags) = 0, local_lock(which))
#define local_unlock_irqrestore(which, flags) ((void)(flags), local_unlock(which))
#define local_lock_nested_bh(which) local_lock(which)
#define local_unlock_nested_bh(which) local_unlock(which)

#endif /* SHRINKER_LINUX_LOCAL_LOCK_H */
