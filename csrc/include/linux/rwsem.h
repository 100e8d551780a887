/* SPDX-License-Identifier: MIT */
/* Locks for many readers or one writer that may block. */
#ifndef SHRINKER_LINUX_RWSEM_H
#define SHRINKER_LINUX_RWSEM_H

#include <linux/compiler.h>
#include <linux/kit.h>
#include <linux/kit_locks.h>
#include <linux/lockdep.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rw_semaphore {
	struct shrinker_kit_rwlock lock;
};

#define __RWSEM_INITIALIZER(name) { SHRINKER_KIT_RWLOCK }
#define DECLARE_RWSEM(name) struct rw_semaphore name = __RWSEM_INITIALIZER(name)

void shrinker_kit_rwsem_init(struct rw_semaphore *sem);
void shrinker_kit_down_read(struct rw_semaphore *sem, const char *place);
void shrinker_kit_down_write(struct rw_semaphore *sem, const char *place);
bool shrinker_kit_down_read_trylock(struct rw_semaphore *sem, const char *place);
bool shrinker_kit_down_write_trylock(struct rw_semaphore *sem, const char *place);
void shrinker_kit_up_read(struct rw_semaphore *sem, const char *place);
void shrinker_kit_up_write(struct rw_semaphore *sem, const char *place);
void shrinker_kit_downgrade_write(struct rw_semaphore *sem, const char *place);
bool shrinker_kit_rwsem_is_locked(struct rw_semaphore *sem);

#define init_rwsem(sem) shrinker_kit_rwsem_init(sem)
#define down_read(sem) shrinker_kit_down_read((sem), SHRINKER_KIT_PLACE)
#define down_write(sem) shrinker_kit_down_write((sem), SHRINKER_KIT_PLACE)
#define down_read_non_owner(sem) down_read(sem)
#define up_read_non_owner(sem) up_read(sem)
#define rwsem_is_contended(sem) ((void)(sem), 0)
#define down_read_nested(sem, subclass) down_read(sem)
#define down_write_nested(sem, subclass) down_write(sem)
#define down_read_killable(sem) SHRINKER_KIT_VALUE(down_read(sem), 0)
#define down_read_interruptible(sem) SHRINKER_KIT_VALUE(down_read(sem), 0)
#define down_write_killable(sem) SHRINKER_KIT_VALUE(down_write(sem), 0)
#define down_read_trylock(sem)                                                 \
	((int)shrinker_kit_down_read_trylock((sem), SHRINKER_KIT_PLACE))
#define down_write_trylock(sem)                                                \
	((int)shrinker_kit_down_write_trylock((sem), SHRINKER_KIT_PLACE))
#define up_read(sem) shrinker_kit_up_read((sem), SHRINKER_KIT_PLACE)
#define up_write(sem) shrinker_kit_up_write((sem), SHRINKER_KIT_PLACE)
/* Another writer may come between, unlike in the kernel. */
#define downgrade_write(sem)                                                   \
	shrinker_kit_downgrade_write((sem), SHRINKER_KIT_PLACE)
#define rwsem_is_locked(sem) shrinker_kit_rwsem_is_locked(sem)

#ifdef __cplusplus
}
#endif

#include <linux/cleanup.h>

#ifndef __cplusplus
DEFINE_GUARD(rwsem_read, struct rw_semaphore *, down_read(_T), up_read(_T))
DEFINE_GUARD(rwsem_write, struct rw_semaphore *, down_write(_T), up_write(_T))
#endif

#endif /* SHRINKER_LINUX_RWSEM_H */
