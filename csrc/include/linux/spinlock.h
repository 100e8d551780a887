/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks and reader-writer locks.  A waiting thread sleeps here instead of
 * spinning, but the thread that holds one must not call what may block: that fails
 * the test (shrinker_test.h).
 *
 * The _irq, _irqsave and _bh forms are the plain ones: there are no interrupts.
 */
#ifndef SHRINKER_LINUX_SPINLOCK_H
#define SHRINKER_LINUX_SPINLOCK_H

#include <linux/compiler.h>
#include <linux/kit.h>
#include <linux/kit_locks.h>
#include <linux/lockdep.h>
#include <linux/preempt.h>

#ifdef __cplusplus
extern "C" {
#endif

struct list_lru_one;

/**
 * struct spinlock - a lock under which nothing may block
 * @lock, @list: the library's; @list where it is the lock of a list of an lru
 */
typedef struct spinlock {
	struct shrinker_kit_mutex lock;
	struct list_lru_one *list;
} spinlock_t;
typedef spinlock_t raw_spinlock_t;

typedef struct shrinker_kit_rwlock rwlock_t;

#define __SPIN_LOCK_UNLOCKED(name) { SHRINKER_KIT_MUTEX, NULL }
#define DEFINE_SPINLOCK(name) spinlock_t name = __SPIN_LOCK_UNLOCKED(name)
#define __RAW_SPIN_LOCK_UNLOCKED(name) __SPIN_LOCK_UNLOCKED(name)
#define DEFINE_RAW_SPINLOCK(name) DEFINE_SPINLOCK(name)
#define __RW_LOCK_UNLOCKED(name) SHRINKER_KIT_RWLOCK
#define DEFINE_RWLOCK(name) rwlock_t name = __RW_LOCK_UNLOCKED(name)

void shrinker_kit_spin_init(spinlock_t *lock);
void shrinker_kit_spin_lock(spinlock_t *lock, const char *place);
bool shrinker_kit_spin_trylock(spinlock_t *lock, const char *place);
void shrinker_kit_spin_unlock(spinlock_t *lock, const char *place);
bool shrinker_kit_spin_is_locked(spinlock_t *lock);
void shrinker_kit_rwlock_init(rwlock_t *lock);
void shrinker_kit_read_lock(rwlock_t *lock, const char *place);
void shrinker_kit_write_lock(rwlock_t *lock, const char *place);
bool shrinker_kit_read_trylock(rwlock_t *lock, const char *place);
bool shrinker_kit_write_trylock(rwlock_t *lock, const char *place);
void shrinker_kit_read_unlock(rwlock_t *lock, const char *place);
void shrinker_kit_write_unlock(rwlock_t *lock, const char *place);

#define spin_lock_init(lock) shrinker_kit_spin_init(lock)
#define spin_lock(lock) shrinker_kit_spin_lock((lock), SHRINKER_KIT_PLACE)
#define spin_trylock(lock) shrinker_kit_spin_trylock((lock), SHRINKER_KIT_PLACE)
#define spin_unlock(lock) shrinker_kit_spin_unlock((lock), SHRINKER_KIT_PLACE)
#define spin_is_locked(lock) shrinker_kit_spin_is_locked(lock)
#define spin_is_contended(lock) ((void)(lock), 0)
#define assert_spin_locked(lock) lockdep_assert_held(lock)
#define spin_lock_nested(lock, subclass) spin_lock(lock)
#define spin_lock_nest_lock(lock, outer) spin_lock(lock)
#define spin_lock_irqsave_nested(lock, flags, subclass) spin_lock_irqsave(lock, flags)
#define spin_lock_bh(lock) spin_lock(lock)
#define spin_unlock_bh(lock) spin_unlock(lock)
#define spin_lock_irq(lock) spin_lock(lock)
#define spin_unlock_irq(lock) spin_unlock(lock)
#define spin_lock_irqsave(lock, flags) ((flags) = 0, spin_lock(lock))
#define spin_unlock_irqrestore(lock, flags) ((void)(flags), spin_unlock(lock))
#define spin_trylock_irqsave(lock, flags) ((flags) = 0, spin_trylock(lock))
#define spin_trylock_irq(lock) spin_trylock(lock)
#define spin_trylock_bh(lock) spin_trylock(lock)
#define spin_needbreak(lock) ((void)(lock), 0)

#define raw_spin_lock_init(lock) spin_lock_init(lock)
#define raw_spin_lock(lock) spin_lock(lock)
#define raw_spin_trylock(lock) spin_trylock(lock)
#define raw_spin_unlock(lock) spin_unlock(lock)
#define raw_spin_lock_irq(lock) spin_lock(lock)
#define raw_spin_unlock_irq(lock) spin_unlock(lock)
#define raw_spin_is_locked(lock) spin_is_locked(lock)
#define raw_spin_lock_irqsave(lock, flags) spin_lock_irqsave(lock, flags)
#define raw_spin_unlock_irqrestore(lock, flags) spin_unlock_irqrestore(lock, flags)

#define rwlock_init(lock) shrinker_kit_rwlock_init(lock)
#define read_lock(lock) shrinker_kit_read_lock((lock), SHRINKER_KIT_PLACE)
#define write_lock(lock) shrinker_kit_write_lock((lock), SHRINKER_KIT_PLACE)
#define read_trylock(lock) shrinker_kit_read_trylock((lock), SHRINKER_KIT_PLACE)
#define write_trylock(lock) shrinker_kit_write_trylock((lock), SHRINKER_KIT_PLACE)
#define read_unlock(lock) shrinker_kit_read_unlock((lock), SHRINKER_KIT_PLACE)
#define write_unlock(lock) shrinker_kit_write_unlock((lock), SHRINKER_KIT_PLACE)
#define read_lock_bh(lock) read_lock(lock)
#define read_unlock_bh(lock) read_unlock(lock)
#define write_lock_bh(lock) write_lock(lock)
#define write_unlock_bh(lock) write_unlock(lock)
#define read_lock_irq(lock) read_lock(lock)
#define read_unlock_irq(lock) read_unlock(lock)
#define write_lock_irq(lock) write_lock(lock)
#define write_unlock_irq(lock) write_unlock(lock)
#define read_lock_irqsave(lock, flags) ((flags) = 0, read_lock(lock))
#define read_unlock_irqrestore(lock, flags) ((void)(flags), read_unlock(lock))
#define write_lock_irqsave(lock, flags) ((flags) = 0, write_lock(lock))
#define write_unlock_irqrestore(lock, flags) ((void)(flags), write_unlock(lock))

#define atomic_dec_and_lock(counter, lock)                                     \
	__extension__({                                                        \
		bool last_ = false;                                            \
		if (!atomic_add_unless((counter), -1, 1)) {                    \
			spin_lock(lock);                                       \
			last_ = atomic_dec_and_test(counter);                  \
			if (!last_)                                            \
				spin_unlock(lock);                             \
		}                                                              \
		last_;                                                         \
	})

#ifdef __cplusplus
}
#endif

#include <linux/cleanup.h>

#ifndef __cplusplus
DEFINE_GUARD(spinlock, spinlock_t *, spin_lock(_T), spin_unlock(_T))
DEFINE_GUARD(spinlock_irq, spinlock_t *, spin_lock(_T), spin_unlock(_T))
DEFINE_GUARD(spinlock_irqsave, spinlock_t *, spin_lock(_T), spin_unlock(_T))
DEFINE_GUARD(read_lock, rwlock_t *, read_lock(_T), read_unlock(_T))
DEFINE_GUARD(write_lock, rwlock_t *, write_lock(_T), write_unlock(_T))
#endif

#endif /* SHRINKER_LINUX_SPINLOCK_H */
