/* SPDX-License-Identifier: MIT */
/* Counting semaphores, which any thread may give back. */
#ifndef SHRINKER_LINUX_SEMAPHORE_H
#define SHRINKER_LINUX_SEMAPHORE_H

#include <pthread.h>
#include <linux/kit.h>

#ifdef __cplusplus
extern "C" {
#endif

struct semaphore {
	pthread_mutex_t mutex;
	pthread_cond_t given;
	int count;
};

#define __SEMAPHORE_INITIALIZER(name, n)                                       \
	{ PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, (n) }
#define DEFINE_SEMAPHORE(name, n)                                              \
	struct semaphore name = __SEMAPHORE_INITIALIZER(name, n)

void sema_init(struct semaphore *sem, int n);
void shrinker_kit_down(struct semaphore *sem, const char *place);
int down_trylock(struct semaphore *sem); /* 0: taken, as in the kernel */
void up(struct semaphore *sem);

#define down(sem) shrinker_kit_down((sem), SHRINKER_KIT_PLACE)
#define down_interruptible(sem) SHRINKER_KIT_VALUE(down(sem), 0)
#define down_killable(sem) SHRINKER_KIT_VALUE(down(sem), 0)

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_SEMAPHORE_H */
