/* SPDX-License-Identifier: MIT */
/* Mutexes: they may block, so no spinlock may be held where one is taken. */
#ifndef SHRINKER_LINUX_MUTEX_H
#define SHRINKER_LINUX_MUTEX_H

#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/kit.h>
#include <linux/kit_locks.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/spinlock.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mutex {
	struct shrinker_kit_mutex lock;
};

#define __MUTEX_INITIALIZER(name) { SHRINKER_KIT_MUTEX }
#define DEFINE_MUTEX(name) struct mutex name = __MUTEX_INITIALIZER(name)

void shrinker_kit_mutex_init(struct mutex *lock);
void shrinker_kit_mutex_destroy(struct mutex *lock, const char *place);
void shrinker_kit_mutex_lock(struct mutex *lock, const char *place);
bool shrinker_kit_mutex_trylock(struct mutex *lock, const char *place);
void shrinker_kit_mutex_unlock(struct mutex *lock, const char *place);
bool shrinker_kit_mutex_is_locked(struct mutex *lock);

#define mutex_init(lock) shrinker_kit_mutex_init(lock)
#define __mutex_init(lock, name, key) mutex_init(lock)
#define mutex_destroy(lock) shrinker_kit_mutex_destroy((lock), SHRINKER_KIT_PLACE)
#define mutex_lock(lock) shrinker_kit_mutex_lock((lock), SHRINKER_KIT_PLACE)
#define mutex_lock_nest_lock(lock, outer) mutex_lock(lock)
#define mutex_lock_interruptible_nested(lock, subclass) mutex_lock_interruptible(lock)
#define mutex_lock_nested(lock, subclass) mutex_lock(lock)
/* No signal comes here: 0, and the lock is held. */
#define mutex_lock_interruptible(lock) SHRINKER_KIT_VALUE(mutex_lock(lock), 0)
#define mutex_lock_killable(lock) SHRINKER_KIT_VALUE(mutex_lock(lock), 0)
#define mutex_lock_io(lock) mutex_lock(lock)
#define mutex_trylock(lock)                                                    \
	((int)shrinker_kit_mutex_trylock((lock), SHRINKER_KIT_PLACE))
#define mutex_unlock(lock) shrinker_kit_mutex_unlock((lock), SHRINKER_KIT_PLACE)
#define mutex_is_locked(lock) shrinker_kit_mutex_is_locked(lock)

#ifdef __cplusplus
}
#endif

#include <linux/cleanup.h>

#ifndef __cplusplus
DEFINE_GUARD(mutex, struct mutex *, mutex_lock(_T), mutex_unlock(_T))
#endif

#endif /* SHRINKER_LINUX_MUTEX_H */
