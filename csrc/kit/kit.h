/* SPDX-License-Identifier: MIT */
/*
 * What the files of the driver test kit share: the state of a thread, and the two
 * moments at which work of others can be done.
 */
#ifndef SHRINKER_KIT_H
#define SHRINKER_KIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <linux/kit.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

/* Locks that a thread can hold at once and still be checked. */
#define KIT_MAX_HELD 48

/* How a lock is held; most have one way only. */
enum kit_mode { KIT_ALONE, KIT_READ, KIT_WRITE };

/**
 * struct held_lock - a lock that a thread has taken
 * @lock, @bit: which; @bit is -1 but for a lock that is a bit of a word
 * @place: where it was taken
 * @spins: nothing that blocks may be called under it
 */
struct held_lock {
	const void *lock;
	int bit;
	const char *place;
	bool spins;
	enum kit_mode mode;
};

/**
 * struct kit_before - what a thread held before it called the driver
 */
struct kit_before {
	int nr_held, rcu_depth;
};

/** struct kit_call - a call of a shrinker's callback; @outer: around this one */
struct kit_call {
	const struct shrinker *shrinker;
	const struct kit_call *outer;
};

/**
 * struct kit_thread - the calling thread
 * @held, @nr_held: its locks, the latest last
 * @rcu_depth, @rcu_place: rcu_read_lock() that were not undone, the first one's place
 * @calling: the call of a shrinker's callback that it is in, the innermost; or NULL
 * @busy: it is doing queued work
 * @task: what the driver sees as current
 */
struct kit_thread {
	struct held_lock held[KIT_MAX_HELD];
	int nr_held;
	int rcu_depth;
	const char *rcu_place;
	const struct kit_call *calling;
	bool busy;
	struct task_struct task;
};

#pragma GCC visibility push(hidden)

extern _Thread_local struct kit_thread kit_thread;

/* report.c */
void kit_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void kit_reset_counts(void);

/* bound.c: how long a thread may wait for another. */
void kit_bound_begin(void);
bool kit_wait_for(struct shrinker_kit_bound *bound, pthread_cond_t *cond,
		  pthread_mutex_t *mutex);
bool kit_pause(struct shrinker_kit_bound *bound);
void kit_waited_too_long(const struct shrinker_kit_bound *bound,
			 const char *taken_at);
void kit_real_time_in(struct timespec *time, unsigned long milliseconds);
unsigned long kit_wait_limit(void);

/* wait.c */
bool kit_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, bool for_ever,
		    unsigned long deadline, struct shrinker_kit_bound *bound);

/* locks.c */
bool kit_locks_checked(void);
const struct held_lock *kit_spinning(void);
struct kit_before kit_before(void);
void kit_same_locks(struct kit_before before, const char *what, const char *which);

void kit_list_lock_init(spinlock_t *lock, struct list_lru_one *list,
			const char *place);
bool kit_list_lock_end(spinlock_t *lock);

/* made.c: what has to be destroyed by its maker. */
bool kit_made(const char *kind, const void *object, const char *name,
	      const char *place);
bool kit_is_made(const char *kind, const void *object);
bool kit_end_made(const char *kind, const void *object, const char *call,
		  const char *place);
void kit_made_begin(void);
int kit_made_complain(void);

/* shrinkers.c */
int kit_shrinkers_complain(void);
bool kit_testing(void);
void kit_testing_begin(void);

/* work.c: called when the thread holds no lock and reads nothing under RCU. */
void kit_work_idle(void);
int kit_work_complain(void);
const char *kit_work_inside(const void *memory, size_t size);

/* rcu.c */
void kit_rcu_idle(void);

/* kmalloc.c */
void kit_memory_begin(void);
void kit_free_after_readers(void *memory);

/* blocks.c */
int kit_memory_complain(void);

/* time.c */
void kit_advance(unsigned long milliseconds);

#pragma GCC visibility pop

/* A thread that has let everything go does what waits for that. */
static inline void kit_let_go(void)
{
	if (kit_thread.nr_held || kit_thread.rcu_depth || kit_thread.busy)
		return;
	kit_rcu_idle();
	kit_work_idle();
}

#endif /* SHRINKER_KIT_H */
