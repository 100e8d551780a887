/* SPDX-License-Identifier: MIT */
/* The driver test kit: locks: each wrong use fails with its place. */

#include "check.h"
#include "kit_failures.h"

#include <linux/bit_spinlock.h>
#include <linux/delay.h>
#include <linux/idr.h>
#include <linux/list_lru.h>
#include <linux/srcu.h>
#include <linux/xarray.h>
#include <net/net_namespace.h>

static DEFINE_MUTEX(mutex);
static DEFINE_SPINLOCK(spinlock);
static DECLARE_RWSEM(rwsem);
static DEFINE_RWLOCK(rwlock);
static unsigned long word;

/* A lock that is taken twice would wait for itself: both places are named. */
static void a_lock_taken_twice(void)
{
	begin();
	mutex_lock(&mutex);
	mutex_lock(&mutex);
	CHECK(failed_with("test_kit_locks.c:"));
	CHECK(!mutex_trylock(&mutex));
	mutex_unlock(&mutex);
	spin_lock(&spinlock);
	spin_lock_irq(&spinlock);
	CHECK(failed_with("held since"));
	CHECK(!spin_trylock(&spinlock));
	CHECK(spin_is_locked(&spinlock));
	spin_unlock(&spinlock);
	CHECK(!spin_is_locked(&spinlock));
	down_read(&rwsem);
	down_write(&rwsem);
	CHECK(failed_with("held since"));
	up_read(&rwsem);
	bit_spin_lock(3, &word);
	CHECK_EQ(word, 8);
	bit_spin_lock(3, &word);
	CHECK(failed_with("held since"));
	/* Another bit is another lock. */
	bit_spin_lock(4, &word);
	bit_spin_unlock(4, &word);
	bit_spin_unlock(3, &word);
	CHECK_EQ(word, 0);
	/* Readers of an rwlock_t may nest. */
	read_lock(&rwlock);
	read_lock(&rwlock);
	read_unlock(&rwlock);
	write_lock(&rwlock);
	CHECK(failed_with("held since"));
	read_unlock(&rwlock);
	CHECK_EQ(shrinker_test_locks_held(), 0);
	end();
}

static void *unlock_it(void *lock)
{
	mutex_unlock((struct mutex *)lock);
	return NULL;
}

/* Only the thread that holds a lock may let go of it. */
static void an_unlock_by_another(void)
{
	pthread_t thread;

	begin();
	mutex_lock(&mutex);
	CHECK(!pthread_create(&thread, NULL, unlock_it, &mutex));
	pthread_join(thread, NULL);
	CHECK(failed_with("does not hold"));
	CHECK(mutex_is_locked(&mutex));
	mutex_unlock(&mutex);
	mutex_unlock(&mutex);
	CHECK(failed_with("does not hold"));
	up_write(&rwsem);
	CHECK(failed_with("does not hold"));
	lockdep_assert_held(&mutex);
	CHECK(failed_with("&mutex is not held"));
	mutex_lock(&mutex);
	lockdep_assert_held(&mutex);
	mutex_unlock(&mutex);
	end();
}

/* What may block must not be called under a spinlock, or in an RCU read section. */
static void sleep_where_it_is_forbidden(void)
{
	begin();
	spin_lock(&spinlock);
	mutex_lock(&mutex);
	CHECK(failed_with("under the spinlock taken at"));
	mutex_unlock(&mutex);
	kfree(kmalloc(10, GFP_ATOMIC));
	CHECK_EQ(failures, 0);
	kfree(kmalloc(10, GFP_KERNEL));
	CHECK(failed_with("under the spinlock taken at"));
	synchronize_rcu();
	CHECK(failed_with("under the spinlock taken at"));
	msleep(0);
	CHECK(failed_with("under the spinlock taken at"));
	spin_unlock(&spinlock);
	rcu_read_lock();
	cond_resched();
	CHECK(failed_with("inside rcu_read_lock()"));
	rcu_read_unlock();
	rcu_read_unlock();
	CHECK(failed_with("without rcu_read_lock()"));
	/* Not while locks are not checked. */
	shrinker_test_check_locks(false);
	spin_lock(&spinlock);
	cond_resched();
	spin_unlock(&spinlock);
	shrinker_test_check_locks(true);
	end();
}

/* A lock that is left is told at the end. */
static void a_lock_is_left(void)
{
	begin();
	mutex_lock(&mutex);
	CHECK_EQ(shrinker_test_end(), 1);
	mutex_unlock(&mutex);
	end();
}

static int guarded(void)
{
	guard(mutex)(&mutex);
	CHECK(mutex_is_locked(&mutex));
	return 1;
}

/* Guards and __free() let go at the end of their block. */
static void blocks_clean_up(void)
{
	begin();
	CHECK_EQ(guarded(), 1);
	CHECK(!mutex_is_locked(&mutex));
	scoped_guard(spinlock, &spinlock)
		CHECK(spin_is_locked(&spinlock));
	CHECK(!spin_is_locked(&spinlock));
	{
		void *freed __free(kfree) = kmalloc(10, GFP_KERNEL);

		CHECK(freed);
	}
	end();
}

/* What was taken for reading is not let go of after writing. */
static void the_wrong_unlock(void)
{
	begin();
	down_read(&rwsem);
	up_write(&rwsem);
	CHECK(failed_with("after writing that was taken for reading at"));
	lockdep_assert_held(&rwsem);
	lockdep_assert_held_write(&rwsem);
	CHECK(failed_with("held for reading only"));
	up_read(&rwsem);
	down_write(&rwsem);
	up_read(&rwsem);
	CHECK(failed_with("after reading that was taken for writing at"));
	lockdep_assert_held_write(&rwsem);
	downgrade_write(&rwsem);
	downgrade_write(&rwsem);
	CHECK(failed_with("after writing that was taken for reading at"));
	up_read(&rwsem);
	read_lock(&rwlock);
	write_unlock(&rwlock);
	CHECK(failed_with("after writing"));
	read_unlock(&rwlock);
	write_lock(&rwlock);
	read_lock(&rwlock);
	CHECK(failed_with("held since"));
	write_unlock(&rwlock);
	lockdep_assert_not_held(&rwlock);
	mutex_lock(&mutex);
	lockdep_assert_not_held(&mutex);
	CHECK(failed_with("&mutex is held, since"));
	mutex_unlock(&mutex);
	end();
}

static enum lru_status unlock_unchecked(struct list_head *item, struct list_lru_one *list,
					spinlock_t *lock, void *arg)
{
	(void)arg;
	spin_unlock(lock);
	spin_unlock(lock);
	CHECK(failed_with("does not hold"));
	spin_lock(lock);
	spin_lock(lock);
	CHECK(failed_with("held since"));
	list_lru_isolate(list, item);
	return LRU_REMOVED_RETRY;
}

static enum lru_status isolate_unchecked(struct list_head *item, struct list_lru_one *list,
					 spinlock_t *lock, void *arg)
{
	(void)arg;
	(void)lock;
	list_lru_isolate(list, item);
	return LRU_REMOVED;
}

static void unlock_one(struct work_struct *self)
{
	(void)self;
	spin_unlock(&spinlock);
	rcu_read_unlock();
}

/* A list's lock, checked and not; a function that lets go of what its caller holds. */
static void the_lock_of_a_list(void)
{
	struct list_head item;
	struct list_lru lru;
	struct work_struct work;

	begin();
	CHECK_EQ(list_lru_init(&lru), 0);
	INIT_LIST_HEAD(&item);
	list_lru_add_obj(&lru, &item);
	CHECK_EQ(list_lru_walk(&lru, unlock_unchecked, NULL, 1), 1);
	shrinker_test_check_locks(false);
	lockdep_assert_held(&mutex);
	list_lru_add_obj(&lru, &item);
	CHECK_EQ(list_lru_walk(&lru, isolate_unchecked, NULL, 1), 1);
	shrinker_test_check_locks(true);
	list_lru_destroy(&lru);
	shrinker_test_fail_allocation(1);
	CHECK_EQ(list_lru_init_memcg(&lru, NULL), -ENOMEM);
	INIT_WORK(&work, unlock_one);
	shrinker_test_work(SHRINKER_TEST_WORK_ASKED);
	schedule_work(&work);
	rcu_read_lock();
	spin_lock(&spinlock);
	shrinker_test_run_work();
	CHECK_EQ(shrinker_test_failures(), 2);
	CHECK(strstr(failure, "was called inside 1 rcu_read_lock(), and returned inside 0"));
	failures = 0;
	rcu_read_lock();
	synchronize_rcu();
	CHECK(failed_with("inside rcu_read_lock()"));
	rcu_read_unlock();
	end();
}

/* What lockdep_assert() is given has to hold, where locks are checked. */
static void conditions_of_locks(void)
{
	begin();
	lockdep_assert(lockdep_is_held(&mutex));
	CHECK(failed_with("lockdep_assert(lockdep_is_held(&mutex))"));
	mutex_lock(&mutex);
	lockdep_assert(lockdep_is_held(&mutex));
	mutex_unlock(&mutex);
	shrinker_test_check_locks(false);
	lockdep_assert(false);
	shrinker_test_check_locks(true);
	end();
}

/* Arrays and numbers allocate: not so that it may sleep, under a spinlock. */
static void arrays_under_a_spinlock(void)
{
	DEFINE_XARRAY_ALLOC(xa);
	DEFINE_IDR(idr);
	u32 index, next = 0;

	begin();
	spin_lock(&spinlock);
	CHECK(!xa_store(&xa, 1, &xa, GFP_ATOMIC));
	CHECK_EQ(idr_alloc(&idr, &idr, 0, 0, GFP_ATOMIC), 0);
	CHECK_EQ(failures, 0);
	xa_store(&xa, 2, &xa, GFP_KERNEL);
	CHECK(failed_with("under the spinlock"));
	CHECK_EQ(xa_insert(&xa, 3, &xa, GFP_KERNEL), 0);
	CHECK(failed_with("under the spinlock"));
	CHECK_EQ(xa_alloc(&xa, &index, &xa, xa_limit_32b, GFP_KERNEL), 0);
	CHECK(failed_with("under the spinlock"));
	CHECK_EQ(xa_alloc_cyclic(&xa, &index, &xa, xa_limit_32b, &next, GFP_KERNEL), 0);
	CHECK(failed_with("under the spinlock"));
	CHECK_EQ(idr_alloc(&idr, &idr, 0, 0, GFP_KERNEL), 1);
	CHECK(failed_with("under the spinlock"));
	spin_unlock(&spinlock);
	xa_destroy(&xa);
	idr_destroy(&idr);
	end();
}

int main(void)
{
	RUN(a_lock_taken_twice);
	RUN(an_unlock_by_another);
	RUN(sleep_where_it_is_forbidden);
	RUN(a_lock_is_left);
	RUN(blocks_clean_up);
	RUN(the_wrong_unlock);
	RUN(the_lock_of_a_list);
	RUN(conditions_of_locks);
	RUN(arrays_under_a_spinlock);
	return checks_report("test_kit_locks");
}
