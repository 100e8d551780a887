/* SPDX-License-Identifier: MIT */
/* Locks that are cheap for readers: a rw_semaphore here. */
#ifndef SHRINKER_LINUX_PERCPU_RWSEM_H
#define SHRINKER_LINUX_PERCPU_RWSEM_H

#include <linux/rwsem.h>

struct percpu_rw_semaphore {
	struct rw_semaphore sem;
};
#define DEFINE_STATIC_PERCPU_RWSEM(name)                                       \
	static struct percpu_rw_semaphore name = { __RWSEM_INITIALIZER(name.sem) }
#define percpu_init_rwsem(which) (init_rwsem(&(which)->sem), 0)
#define percpu_free_rwsem(which) ((void)(which))
#define percpu_down_read(which) down_read(&(which)->sem)
#define percpu_down_read_trylock(which) down_read_trylock(&(which)->sem)
#define percpu_up_read(which) up_read(&(which)->sem)
#define percpu_down_write(which) down_write(&(which)->sem)
#define percpu_up_write(which) up_write(&(which)->sem)

#endif /* SHRINKER_LINUX_PERCPU_RWSEM_H */
