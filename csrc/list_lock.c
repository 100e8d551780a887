/* SPDX-License-Identifier: MIT */
/* The lock of a list_lru list: the slow paths.  list_lock.h has the steps. */
#define _GNU_SOURCE 1

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "holding.h"
#include "list_lock.h"

/* Tries before a thread sleeps: most locks are held for less than it takes to sleep
 * and to be woken. */
#define TRIES 100

#if defined(__SANITIZE_THREAD__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif

#ifdef INSTRUMENTED
static bool is_watched(void)
{
	return false;
}
#else
/* Only the thread sanitizer's own library defines it. */
extern void __tsan_init(void) __attribute__((weak));

static bool is_watched(void)
{
	return __tsan_init;
}
#endif

void list_lock_init(struct list_lock *lock, const struct reclaim_domain *domain)
{
	bool mutex = domain->walkers_fence || is_watched();

	atomic_init(&lock->state, mutex ? LOCK_IS_MUTEX : LOCK_FREE);
	atomic_init(&lock->waiting, 0);
	pthread_mutex_init(&lock->mutex, NULL);
}

void list_lock_destroy(struct list_lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" : : : "memory");
#endif
}

/**
 * list_lock_wait - lock a list that is locked, or whose lock is a mutex
 */
void list_lock_wait(struct list_lock *lock)
{
	int tries;

	if (atomic_load_explicit(&lock->state, memory_order_relaxed) ==
	    LOCK_IS_MUTEX) {
		pthread_mutex_lock(&lock->mutex);
		return;
	}
	for (tries = 0; tries < TRIES; tries++) {
		relax();
		if (atomic_load_explicit(&lock->state, memory_order_relaxed) ==
			    LOCK_FREE &&
		    list_lock_try(lock))
			return;
	}
	atomic_fetch_add(&lock->waiting, 1);
	fence_all_threads();
	while (!list_lock_try(lock))
		syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, LOCK_HELD, NULL,
			NULL, 0);
	atomic_fetch_sub(&lock->waiting, 1);
}

/**
 * list_unlock_mutex - unlock a list whose lock is a mutex
 */
void list_unlock_mutex(struct list_lock *lock)
{
	pthread_mutex_unlock(&lock->mutex);
}

/**
 * list_lock_wake - step b, where threads wait
 */
void list_lock_wake(struct list_lock *lock)
{
	syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
