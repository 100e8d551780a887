/* SPDX-License-Identifier: MIT */
/*
 * The lock of a list_lru list: one atomic read-modify-write to lock it, and a plain
 * store to unlock it.  A thread that has to wait does the rest of the work.
 *
 * To lock, a thread changes @state from LOCK_FREE to LOCK_HELD.  If it can't, it
 *
 *   1. adds itself to @waiting;
 *   2. makes sure that each unlock either sees step 1, or has its step a seen in 3
 *      (fence_all_threads());
 *   3. sleeps as long as @state is LOCK_HELD, and tries again.
 *
 * To unlock, a thread
 *
 *   a. stores LOCK_FREE in @state;
 *   b. loads @waiting, and wakes one thread where it is not 0.
 *
 * A mutex does the work instead where step 2 has no membarrier(), and where the
 * thread sanitizer watches the program but not this library: it knows mutexes, and
 * would otherwise see threads use a list's items without a lock.  @state is
 * LOCK_IS_MUTEX then.
 */
#ifndef SHRINKER_LIST_LOCK_H
#define SHRINKER_LIST_LOCK_H

#include "domain.h"
#include "single_thread.h"

enum {
	LOCK_FREE,
	LOCK_HELD,
	LOCK_IS_MUTEX,
};

/**
 * struct list_lock - the lock
 * @state: one of LOCK_*; a futex
 * @waiting: threads in steps 1 to 3
 * @mutex: where @state is LOCK_IS_MUTEX, which it stays
 */
struct list_lock {
	_Atomic(uint32_t) state;
	_Atomic(uint32_t) waiting;
	pthread_mutex_t mutex;
};

#pragma GCC visibility push(hidden)

/* list_lock.c: the contracts are there. */
void list_lock_init(struct list_lock *lock, const struct reclaim_domain *domain);
void list_lock_destroy(struct list_lock *lock);
void list_lock_wait(struct list_lock *lock);
void list_unlock_mutex(struct list_lock *lock);
void list_lock_wake(struct list_lock *lock);

#pragma GCC visibility pop

static inline bool list_lock_try(struct list_lock *lock)
{
	uint32_t state = LOCK_FREE;

	if (!single_threaded())
		return atomic_compare_exchange_strong_explicit(
			&lock->state, &state, LOCK_HELD, memory_order_acquire,
			memory_order_relaxed);
	if (atomic_load_explicit(&lock->state, memory_order_relaxed) != LOCK_FREE)
		return false;
	atomic_store_explicit(&lock->state, LOCK_HELD, memory_order_relaxed);
	return true;
}

static inline void list_lock(struct list_lock *lock)
{
	if (unlikely(!list_lock_try(lock)))
		list_lock_wait(lock);
}

static inline void list_unlock(struct list_lock *lock)
{
	if (unlikely(atomic_load_explicit(&lock->state, memory_order_relaxed) !=
		     LOCK_HELD)) {
		list_unlock_mutex(lock);
		return;
	}
	atomic_store_explicit(&lock->state, LOCK_FREE, memory_order_release);
	/* For the compiler; step 2 orders it for the processor. */
	atomic_signal_fence(memory_order_seq_cst);
	if (unlikely(atomic_load_explicit(&lock->waiting, memory_order_relaxed)))
		list_lock_wake(lock);
}

#endif /* SHRINKER_LIST_LOCK_H */
