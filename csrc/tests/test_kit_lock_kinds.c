/* SPDX-License-Identifier: MIT */
/* The driver test kit: locks of each kind are shared, tried and made at run time. */

#include "check.h"
#include "kit_failures.h"

#include <linux/bit_spinlock.h>
#include <linux/local_lock.h>
#include <linux/seqlock.h>
#include <linux/srcu.h>
#include <linux/ww_mutex.h>

static struct mutex mutex;
static spinlock_t spinlock;
static struct rw_semaphore rwsem;
static rwlock_t rwlock;

/* Runs @function on a thread of its own, to its end. */
static void elsewhere(void *(*function)(void *), void *argument)
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, function, argument));
	pthread_join(thread, NULL);
}

/* Another thread finds out what it can take: written to, read from. */
static void *try_all(void *expected)
{
	bool reads = expected;

	CHECK_EQ(down_write_trylock(&rwsem), 0);
	CHECK_EQ(down_read_trylock(&rwsem), reads);
	if (reads)
		up_read(&rwsem);
	CHECK_EQ(write_trylock(&rwlock), 0);
	CHECK_EQ(read_trylock(&rwlock), reads);
	if (reads)
		read_unlock(&rwlock);
	CHECK(rwsem_is_locked(&rwsem));
	return NULL;
}

/* Readers share a lock, a writer does not. */
static void readers_and_writers(void)
{
	begin();
	init_rwsem(&rwsem);
	rwlock_init(&rwlock);
	CHECK(!rwsem_is_locked(&rwsem));
	down_read(&rwsem);
	read_lock(&rwlock);
	elsewhere(try_all, (void *)1);
	read_unlock(&rwlock);
	up_read(&rwsem);
	down_write(&rwsem);
	write_lock(&rwlock);
	elsewhere(try_all, NULL);
	write_unlock(&rwlock);
	downgrade_write(&rwsem);
	up_read(&rwsem);
	CHECK_EQ(down_write_trylock(&rwsem), 1);
	up_write(&rwsem);
	CHECK_EQ(write_trylock(&rwlock), 1);
	write_unlock(&rwlock);
	CHECK_EQ(down_read_killable(&rwsem), 0);
	down_read(&rwsem);
	CHECK(failed_with("held since"));
	up_read(&rwsem);
	end();
}

/* Locks that are made at run time, tried, and ended. */
static void locks_are_tried(void)
{
	unsigned long flags, word = 0;

	begin();
	mutex_init(&mutex);
	spin_lock_init(&spinlock);
	CHECK_EQ(mutex_trylock(&mutex), 1);
	mutex_destroy(&mutex);
	CHECK(failed_with("mutex_destroy() of a mutex that is locked"));
	mutex_unlock(&mutex);
	CHECK(!mutex_is_locked(&mutex));
	CHECK_EQ(mutex_lock_interruptible(&mutex), 0);
	mutex_unlock(&mutex);
	mutex_destroy(&mutex);
	CHECK(spin_trylock(&spinlock));
	spin_unlock(&spinlock);
	spin_lock_irqsave(&spinlock, flags);
	spin_unlock_irqrestore(&spinlock, flags);
	CHECK_EQ(bit_spin_trylock(5, &word), 1);
	CHECK_EQ(bit_spin_trylock(5, &word), 0);
	bit_spin_unlock(5, &word);
	bit_spin_unlock(5, &word);
	CHECK(failed_with("does not hold"));
	read_unlock(&rwlock);
	CHECK(failed_with("does not hold"));
	end();
}

/* More locks than can be followed are told. */
static void too_many_locks(void)
{
	static spinlock_t many[49];
	int i;

	begin();
	for (i = 0; i < 49; i++) {
		spin_lock_init(&many[i]);
		spin_lock(&many[i]);
	}
	CHECK(failed_with("more than 48 locks are held"));
	for (i = 0; i < 48; i++)
		spin_unlock(&many[i]);
	shrinker_test_check_locks(false);
	spin_unlock(&many[48]);
	CHECK(lockdep_is_held(&many[48]));
	shrinker_test_check_locks(true);
	end();
}

/* A counter tells a reader that a writer came between. */
static void sequences_and_other_locks(void)
{
	static DEFINE_SEQLOCK(lock);
	static local_lock_t local = INIT_LOCAL_LOCK(local);
	static DEFINE_WW_CLASS(class);
	struct ww_acquire_ctx ctx;
	struct ww_mutex ww;
	unsigned int begun;

	begin();
	begun = read_seqbegin(&lock);
	CHECK(!read_seqretry(&lock, begun));
	write_seqlock(&lock);
	write_sequnlock(&lock);
	CHECK(read_seqretry(&lock, begun));
	local_lock(&local);
	local_unlock(&local);
	ww_mutex_init(&ww, &class);
	ww_acquire_init(&ctx, &class);
	CHECK_EQ(ww_mutex_lock(&ww, &ctx), 0);
	CHECK_EQ(ww_mutex_lock(&ww, &ctx), -EALREADY);
	ww_mutex_unlock(&ww);
	end();
}

int main(void)
{
	RUN(readers_and_writers);
	RUN(locks_are_tried);
	RUN(too_many_locks);
	RUN(sequences_and_other_locks);
	return checks_report("test_kit_lock_kinds");
}
