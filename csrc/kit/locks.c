/* SPDX-License-Identifier: MIT */
/*
 * Locks, and the checks of their use.
 *
 * A thread keeps a list of the locks that it holds.  From that list follows
 * all that is checked: a lock is on it twice, is let go of without being on it, or
 * has to be spun for while something blocks.
 */
#define _GNU_SOURCE 1

#include <shrinker_test.h>
#include <linux/bit_spinlock.h>
#include <linux/list_lru.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/seqlock.h>
#include <linux/spinlock.h>

#include "kit.h"

_Thread_local struct kit_thread kit_thread;

static _Atomic(bool) unchecked;

void shrinker_test_check_locks(bool check)
{
	unchecked = !check;
}

bool kit_locks_checked(void)
{
	return !unchecked;
}

int shrinker_test_locks_held(void)
{
	return kit_thread.nr_held;
}

/* --- the list ----------------------------------------------------------------- */

static struct held_lock *find_held(const void *lock, int bit)
{
	int i;

	for (i = kit_thread.nr_held - 1; i >= 0; i--)
		if (kit_thread.held[i].lock == lock &&
		    kit_thread.held[i].bit == bit)
			return &kit_thread.held[i];
	return NULL;
}

/* A spinlock that the thread holds; NULL: none. */
const struct held_lock *kit_spinning(void)
{
	int i;

	for (i = kit_thread.nr_held - 1; i >= 0; i--)
		if (kit_thread.held[i].spins)
			return &kit_thread.held[i];
	return NULL;
}

/* Return: false where the thread holds the lock, and would wait for itself. */
static bool may_take(const void *lock, int bit, const char *place)
{
	const struct held_lock *held;

	if (!kit_locks_checked() || !(held = find_held(lock, bit)))
		return true;
	kit_fail("%s: a lock is taken that this thread has held since %s", place,
		 held->place);
	return false;
}

static void taken(const void *lock, int bit, const char *place, bool spins,
		  enum kit_mode mode)
{
	if (!kit_locks_checked())
		return;
	if (kit_thread.nr_held == KIT_MAX_HELD) {
		kit_fail("%s: more than %d locks are held", place, KIT_MAX_HELD);
		return;
	}
	kit_thread.held[kit_thread.nr_held++] =
		(struct held_lock){ lock, bit, place, spins, mode };
}

static const char *name_of(enum kit_mode mode)
{
	return mode == KIT_READ ? "reading" : "writing";
}

/* Return: false where the thread does not hold the lock, or not in that way. */
static bool may_release(const void *lock, int bit, enum kit_mode mode,
			const char *place)
{
	struct held_lock *held;

	if (!kit_locks_checked())
		return true;
	held = find_held(lock, bit);
	if (!held) {
		kit_fail("%s: a lock is let go of that this thread does not hold",
			 place);
		return false;
	}
	if (held->mode != mode) {
		kit_fail("%s: a lock is let go of after %s that was taken for %s at %s",
			 place, name_of(mode), name_of(held->mode), held->place);
		return false;
	}
	for (; held + 1 < &kit_thread.held[kit_thread.nr_held]; held++)
		held[0] = held[1];
	kit_thread.nr_held--;
	return true;
}

bool shrinker_kit_held(const void *lock)
{
	return !kit_locks_checked() || find_held(lock, -1);
}

void shrinker_kit_assert_held(const void *lock, bool for_writing, const char *name,
			      const char *place)
{
	const struct held_lock *held = find_held(lock, -1);

	if (!kit_locks_checked())
		return;
	if (!held)
		kit_fail("%s: %s is not held", place, name);
	else if (for_writing && held->mode == KIT_READ)
		kit_fail("%s: %s is held for reading only, since %s", place, name,
			 held->place);
}

void shrinker_kit_assert(bool holds, const char *condition, const char *place)
{
	if (kit_locks_checked() && !holds)
		kit_fail("%s: lockdep_assert(%s)", place, condition);
}

void shrinker_kit_assert_not_held(const void *lock, const char *name,
				  const char *place)
{
	const struct held_lock *held = find_held(lock, -1);

	if (held)
		kit_fail("%s: %s is held, since %s", place, name, held->place);
}

void shrinker_kit_might_sleep(const char *place)
{
	const struct held_lock *held;

	if (!kit_locks_checked())
		return;
	held = kit_spinning();
	if (held)
		kit_fail("%s: a call that may block, under the spinlock taken at %s",
			 place, held->place);
	else if (kit_thread.rcu_depth)
		kit_fail("%s: a call that may block, inside rcu_read_lock()", place);
}

struct kit_before kit_before(void)
{
	return (struct kit_before){ kit_thread.nr_held, kit_thread.rcu_depth };
}

/* What the driver was called for is over: it holds what it held before. */
void kit_same_locks(struct kit_before before, const char *what, const char *which)
{
	int held = kit_thread.nr_held;

	if (held != before.nr_held)
		kit_fail("%s%s was called with %d locks held, and returned with %d%s%s",
			 what, which, before.nr_held, held,
			 held > before.nr_held ? ", one taken at " : "",
			 held > before.nr_held ?
				 kit_thread.held[held - 1].place :
				 "");
	if (kit_thread.rcu_depth != before.rcu_depth)
		kit_fail("%s%s was called inside %d rcu_read_lock(), and returned inside %d%s%s",
			 what, which, before.rcu_depth, kit_thread.rcu_depth,
			 kit_thread.rcu_depth ? ", the first at " : "",
			 kit_thread.rcu_depth ? kit_thread.rcu_place : "");
}

/* --- waiting for a lock, for a while ------------------------------------------- */

/*
 * ThreadSanitizer sees the order of locks in plain calls alone, not in those with a
 * bound.  With it a lock is waited for by looking, and then taken.
 */
extern void __tsan_init(void) __attribute__((weak));

/* Functions of one kind of lock of pthreads. */
struct functions {
	int (*try)(void *lock);
	int (*take)(void *lock);
	int (*take_until)(void *lock, const struct timespec *time);
	int (*release)(void *lock);
};

#define FUNCTIONS(type, kind, release_, suffix)                                \
	static int try_##suffix(void *lock)                                    \
	{                                                                      \
		return pthread_##type##_try##kind((pthread_##type##_t *)lock); \
	}                                                                      \
	static int take_##suffix(void *lock)                                   \
	{                                                                      \
		return pthread_##type##_##kind((pthread_##type##_t *)lock);    \
	}                                                                      \
	static int take_##suffix##_until(void *lock, const struct timespec *time) \
	{                                                                      \
		return pthread_##type##_timed##kind((pthread_##type##_t *)lock, \
						    time);                     \
	}                                                                      \
	static int release_##suffix(void *lock)                                \
	{                                                                      \
		return pthread_##type##_unlock((pthread_##type##_t *)lock);    \
	}                                                                      \
	static const struct functions suffix = {                               \
		try_##suffix, take_##suffix, take_##suffix##_until,            \
		release_##suffix                                               \
	}
FUNCTIONS(mutex, lock, unlock, mutexes);
FUNCTIONS(rwlock, rdlock, unlock, readers);
FUNCTIONS(rwlock, wrlock, unlock, writers);

/* Return: false where the lock stays taken for too long, and the test has failed. */
static bool wait_for_lock(const struct functions *functions, void *lock,
			  const char **taken_at, const char *place)
{
	struct shrinker_kit_bound bound = { "a lock", place, 0 };
	struct timespec time;

	if (__tsan_init) {
		while (functions->try(lock))
			if (!kit_pause(&bound))
				goto too_long;
		functions->release(lock);
		functions->take(lock);
	} else if (functions->try(lock)) {
		kit_real_time_in(&time, kit_wait_limit());
		if (functions->take_until(lock, &time))
			goto too_long;
	}
	__atomic_store_n(taken_at, place, __ATOMIC_RELAXED);
	return true;
too_long:
	kit_waited_too_long(&bound, __atomic_load_n(taken_at, __ATOMIC_RELAXED));
	return false;
}

/* --- mutexes under any name ---------------------------------------------------- */

static void take_mutex(struct shrinker_kit_mutex *lock, const char *place,
		       bool spins)
{
	if (!may_take(lock, -1, place))
		return;
	if (wait_for_lock(&mutexes, &lock->mutex, &lock->place, place))
		taken(lock, -1, place, spins, KIT_ALONE);
}

static bool try_mutex(struct shrinker_kit_mutex *lock, const char *place,
		      bool spins)
{
	if (pthread_mutex_trylock(&lock->mutex))
		return false;
	__atomic_store_n(&lock->place, place, __ATOMIC_RELAXED);
	taken(lock, -1, place, spins, KIT_ALONE);
	return true;
}

static void release_mutex(struct shrinker_kit_mutex *lock, const char *place)
{
	if (!may_release(lock, -1, KIT_ALONE, place))
		return;
	pthread_mutex_unlock(&lock->mutex);
	kit_let_go();
}

static bool is_locked(struct shrinker_kit_mutex *lock)
{
	if (pthread_mutex_trylock(&lock->mutex))
		return true;
	pthread_mutex_unlock(&lock->mutex);
	return false;
}

static void init_mutex(struct shrinker_kit_mutex *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
	lock->place = NULL;
}

/*
 * The lock of a list_lru's list, as an isolate callback has it: the list is locked
 * and unlocked by its own functions.
 */
static bool is_of_list(const spinlock_t *lock)
{
	return lock->list;
}

void kit_list_lock_init(spinlock_t *lock, struct list_lru_one *list,
			const char *place)
{
	init_mutex(&lock->lock);
	lock->list = list;
	taken(lock, -1, place, true, KIT_ALONE);
}

/* Return: whether the callback has left it locked, as it has to. */
bool kit_list_lock_end(spinlock_t *lock)
{
	bool held = !kit_locks_checked() || find_held(lock, -1);

	if (held)
		may_release(lock, -1, KIT_ALONE, "");
	return held;
}

/* The first member: the list of held locks knows a lock by its address. */
_Static_assert(offsetof(spinlock_t, lock) == 0, "a spinlock is its mutex");
_Static_assert(offsetof(struct mutex, lock) == 0, "a mutex is its mutex");

void shrinker_kit_spin_init(spinlock_t *lock)
{
	init_mutex(&lock->lock);
	lock->list = NULL;
}

void shrinker_kit_spin_lock(spinlock_t *lock, const char *place)
{
	if (!is_of_list(lock)) {
		take_mutex(&lock->lock, place, true);
	} else if (may_take(lock, -1, place)) {
		list_lru_lock(lock->list);
		taken(lock, -1, place, true, KIT_ALONE);
	}
}

bool shrinker_kit_spin_trylock(spinlock_t *lock, const char *place)
{
	return try_mutex(&lock->lock, place, true);
}

void shrinker_kit_spin_unlock(spinlock_t *lock, const char *place)
{
	if (!is_of_list(lock))
		release_mutex(&lock->lock, place);
	else if (may_release(lock, -1, KIT_ALONE, place))
		list_lru_unlock(lock->list);
}

bool shrinker_kit_spin_is_locked(spinlock_t *lock)
{
	return is_locked(&lock->lock);
}

void shrinker_kit_mutex_init(struct mutex *lock)
{
	init_mutex(&lock->lock);
}

void shrinker_kit_mutex_destroy(struct mutex *lock, const char *place)
{
	if (is_locked(&lock->lock))
		kit_fail("%s: mutex_destroy() of a mutex that is locked", place);
	else
		pthread_mutex_destroy(&lock->lock.mutex);
}

void shrinker_kit_mutex_lock(struct mutex *lock, const char *place)
{
	shrinker_kit_might_sleep(place);
	take_mutex(&lock->lock, place, false);
}

bool shrinker_kit_mutex_trylock(struct mutex *lock, const char *place)
{
	return try_mutex(&lock->lock, place, false);
}

void shrinker_kit_mutex_unlock(struct mutex *lock, const char *place)
{
	release_mutex(&lock->lock, place);
}

bool shrinker_kit_mutex_is_locked(struct mutex *lock)
{
	return is_locked(&lock->lock);
}

/* --- readers and writers ------------------------------------------------------- */

static bool try_rwlock(struct shrinker_kit_rwlock *lock, const char *place,
		       bool spins, enum kit_mode mode)
{
	if (mode == KIT_WRITE ? pthread_rwlock_trywrlock(&lock->lock) :
				pthread_rwlock_tryrdlock(&lock->lock))
		return false;
	__atomic_store_n(&lock->place, place, __ATOMIC_RELAXED);
	taken(lock, -1, place, spins, mode);
	return true;
}

static void take_rwlock(struct shrinker_kit_rwlock *lock, const char *place,
			bool spins, enum kit_mode mode)
{
	if (wait_for_lock(mode == KIT_WRITE ? &writers : &readers, &lock->lock,
			  &lock->place, place))
		taken(lock, -1, place, spins, mode);
}

static void release_rwlock(struct shrinker_kit_rwlock *lock, enum kit_mode mode,
			   const char *place)
{
	if (!may_release(lock, -1, mode, place))
		return;
	pthread_rwlock_unlock(&lock->lock);
	kit_let_go();
}

static void init_rwlock(struct shrinker_kit_rwlock *lock)
{
	pthread_rwlock_init(&lock->lock, NULL);
	lock->place = NULL;
}

void shrinker_kit_rwlock_init(rwlock_t *lock)
{
	init_rwlock(lock);
}

/* Readers of an rwlock_t may nest; one that writes must not read. */
void shrinker_kit_read_lock(rwlock_t *lock, const char *place)
{
	const struct held_lock *held = find_held(lock, -1);

	if ((held && held->mode == KIT_READ) || may_take(lock, -1, place))
		take_rwlock(lock, place, true, KIT_READ);
}

void shrinker_kit_write_lock(rwlock_t *lock, const char *place)
{
	if (may_take(lock, -1, place))
		take_rwlock(lock, place, true, KIT_WRITE);
}

bool shrinker_kit_read_trylock(rwlock_t *lock, const char *place)
{
	return try_rwlock(lock, place, true, KIT_READ);
}

bool shrinker_kit_write_trylock(rwlock_t *lock, const char *place)
{
	return try_rwlock(lock, place, true, KIT_WRITE);
}

void shrinker_kit_read_unlock(rwlock_t *lock, const char *place)
{
	release_rwlock(lock, KIT_READ, place);
}

void shrinker_kit_write_unlock(rwlock_t *lock, const char *place)
{
	release_rwlock(lock, KIT_WRITE, place);
}

_Static_assert(offsetof(struct rw_semaphore, lock) == 0, "known by its lock");

void shrinker_kit_rwsem_init(struct rw_semaphore *sem)
{
	init_rwlock(&sem->lock);
}

/* Those of a rw_semaphore may not: a writer may wait between the two. */
void shrinker_kit_down_read(struct rw_semaphore *sem, const char *place)
{
	shrinker_kit_might_sleep(place);
	if (may_take(sem, -1, place))
		take_rwlock(&sem->lock, place, false, KIT_READ);
}

void shrinker_kit_down_write(struct rw_semaphore *sem, const char *place)
{
	shrinker_kit_might_sleep(place);
	if (may_take(sem, -1, place))
		take_rwlock(&sem->lock, place, false, KIT_WRITE);
}

bool shrinker_kit_down_read_trylock(struct rw_semaphore *sem, const char *place)
{
	return try_rwlock(&sem->lock, place, false, KIT_READ);
}

bool shrinker_kit_down_write_trylock(struct rw_semaphore *sem, const char *place)
{
	return try_rwlock(&sem->lock, place, false, KIT_WRITE);
}

void shrinker_kit_up_read(struct rw_semaphore *sem, const char *place)
{
	release_rwlock(&sem->lock, KIT_READ, place);
}

void shrinker_kit_up_write(struct rw_semaphore *sem, const char *place)
{
	release_rwlock(&sem->lock, KIT_WRITE, place);
}

void shrinker_kit_downgrade_write(struct rw_semaphore *sem, const char *place)
{
	if (!may_release(sem, -1, KIT_WRITE, place))
		return;
	pthread_rwlock_unlock(&sem->lock.lock);
	take_rwlock(&sem->lock, place, false, KIT_READ);
}

bool shrinker_kit_rwsem_is_locked(struct rw_semaphore *sem)
{
	if (pthread_rwlock_trywrlock(&sem->lock.lock))
		return true;
	pthread_rwlock_unlock(&sem->lock.lock);
	return false;
}

/* --- sequences ----------------------------------------------------------------- */

unsigned int shrinker_kit_read_begin(const unsigned int *sequence, const char *place)
{
	struct shrinker_kit_bound bound = { "a reader of a sequence", place, 0 };
	unsigned int now;

	while ((now = __atomic_load_n(sequence, __ATOMIC_ACQUIRE)) & 1) {
		if (!kit_pause(&bound)) {
			kit_waited_too_long(&bound, NULL);
			break;
		}
	}
	return now;
}

/* --- bits ---------------------------------------------------------------------- */

static bool set_lock_bit(int bit, unsigned long *word)
{
	unsigned long mask = 1UL << bit;

	return !(__atomic_fetch_or(word, mask, __ATOMIC_ACQUIRE) & mask);
}

void shrinker_kit_bit_lock(int bit, unsigned long *word, const char *place)
{
	struct shrinker_kit_bound bound = { "bit_spin_lock()", place, 0 };

	if (!may_take(word, bit, place))
		return;
	while (!set_lock_bit(bit, word)) {
		if (!kit_pause(&bound)) {
			kit_waited_too_long(&bound, NULL);
			return;
		}
	}
	taken(word, bit, place, true, KIT_ALONE);
}

bool shrinker_kit_bit_trylock(int bit, unsigned long *word, const char *place)
{
	if (!set_lock_bit(bit, word))
		return false;
	taken(word, bit, place, true, KIT_ALONE);
	return true;
}

void shrinker_kit_bit_unlock(int bit, unsigned long *word, const char *place)
{
	if (!may_release(word, bit, KIT_ALONE, place))
		return;
	__atomic_fetch_and(word, ~(1UL << bit), __ATOMIC_RELEASE);
	kit_let_go();
}
