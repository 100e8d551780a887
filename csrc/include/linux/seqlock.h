/* SPDX-License-Identifier: MIT */
/*
 * Counters that tell a reader that a writer came between.
 *
 * What is read inside has to be read by READ_ONCE() if a thread sanitizer is to
 * be content, as with the kernel's own.
 */
#ifndef SHRINKER_LINUX_SEQLOCK_H
#define SHRINKER_LINUX_SEQLOCK_H

#include <linux/spinlock.h>

typedef struct {
	unsigned int sequence;
} seqcount_t;

typedef struct {
	seqcount_t seqcount;
	spinlock_t lock;
} seqlock_t;

#define SEQCNT_ZERO(name) { 0 }
#define DEFINE_SEQLOCK(name)                                                   \
	seqlock_t name = { SEQCNT_ZERO(name), __SPIN_LOCK_UNLOCKED(name) }
#define seqcount_init(s) ((void)((s)->sequence = 0))
#define seqlock_init(s)                                                        \
	do {                                                                   \
		seqcount_init(&(s)->seqcount);                                 \
		spin_lock_init(&(s)->lock);                                    \
	} while (0)

#ifdef __cplusplus
extern "C" {
#endif

/* Waits for a writer; one that does not end fails the test. */
unsigned int shrinker_kit_read_begin(const unsigned int *sequence, const char *place);

#ifdef __cplusplus
}
#endif

#define read_seqcount_begin(s)                                                 \
	shrinker_kit_read_begin(&(s)->sequence, SHRINKER_KIT_PLACE)

static inline int read_seqcount_retry(const seqcount_t *s, unsigned int begun)
{
	/* Changes nothing, and comes after what was read. */
	return __atomic_fetch_add((unsigned int *)(unsigned long)&s->sequence, 0,
				  __ATOMIC_ACQ_REL) != begun;
}

static inline void write_seqcount_begin(seqcount_t *s)
{
	__atomic_fetch_add(&s->sequence, 1, __ATOMIC_ACQ_REL);
}

static inline void write_seqcount_end(seqcount_t *s)
{
	smp_store_release(&s->sequence, s->sequence + 1);
}

#define raw_read_seqcount_begin(s) read_seqcount_begin(s)
#define raw_read_seqcount(s) smp_load_acquire(&(s)->sequence)
#define raw_seqcount_begin(s) (raw_read_seqcount(s) & ~1U)
#define __read_seqcount_begin(s) read_seqcount_begin(s)
#define __read_seqcount_retry(s, begun) read_seqcount_retry(s, begun)
#define raw_write_seqcount_begin(s) write_seqcount_begin(s)
#define raw_write_seqcount_end(s) write_seqcount_end(s)
#define write_seqcount_begin_nested(s, subclass) write_seqcount_begin(s)
#define write_seqcount_invalidate(s)                                           \
	WRITE_ONCE((s)->sequence, (s)->sequence + 2)
typedef seqcount_t seqcount_spinlock_t, seqcount_mutex_t, seqcount_rwlock_t,
	seqcount_raw_spinlock_t, seqcount_ww_mutex_t, seqcount_latch_t;
#define SEQCNT_SPINLOCK_ZERO(name, lock) SEQCNT_ZERO(name)
#define SEQCNT_MUTEX_ZERO(name, lock) SEQCNT_ZERO(name)
#define seqcount_spinlock_init(s, lock) seqcount_init(s)
#define seqcount_mutex_init(s, lock) seqcount_init(s)
#define __SEQLOCK_UNLOCKED(name) { SEQCNT_ZERO(name), __SPIN_LOCK_UNLOCKED(name) }
#define read_seqlock_excl(s) spin_lock(&(s)->lock)
#define read_sequnlock_excl(s) spin_unlock(&(s)->lock)
#define write_seqlock_irqsave(s, flags)                                        \
	do {                                                                   \
		(flags) = 0;                                                   \
		write_seqlock(s);                                              \
	} while (0)
#define write_sequnlock_irqrestore(s, flags)                                   \
	do {                                                                   \
		(void)(flags);                                                 \
		write_sequnlock(s);                                            \
	} while (0)
#define write_seqlock_bh(s) write_seqlock(s)
#define write_sequnlock_bh(s) write_sequnlock(s)
#define write_seqlock_irq(s) write_seqlock(s)
#define write_sequnlock_irq(s) write_sequnlock(s)
#define done_seqretry(s, begun)                                                \
	do {                                                                   \
		if ((begun) & 1)                                               \
			read_sequnlock_excl(s);                                \
	} while (0)
#define need_seqretry(s, begun) (!((begun) & 1) && read_seqretry(s, begun))
#define read_seqbegin(s) read_seqcount_begin(&(s)->seqcount)
#define read_seqretry(s, begun) read_seqcount_retry(&(s)->seqcount, (begun))
#define write_seqlock(s)                                                       \
	do {                                                                   \
		spin_lock(&(s)->lock);                                         \
		write_seqcount_begin(&(s)->seqcount);                          \
	} while (0)
#define write_sequnlock(s)                                                     \
	do {                                                                   \
		write_seqcount_end(&(s)->seqcount);                            \
		spin_unlock(&(s)->lock);                                       \
	} while (0)

#endif /* SHRINKER_LINUX_SEQLOCK_H */
