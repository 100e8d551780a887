/* SPDX-License-Identifier: MIT */
/*
 * Counters that many threads change.  One number here, so reading it is exact.
 */
#ifndef SHRINKER_LINUX_PERCPU_COUNTER_H
#define SHRINKER_LINUX_PERCPU_COUNTER_H

#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/kit.h>
#include <linux/types.h>

struct percpu_counter {
	atomic64_t count;
	bool ready;
};

#define percpu_counter_init(counter, amount, gfp)                              \
	(shrinker_kit_may_allocate(SHRINKER_KIT_PLACE) ?                       \
		 shrinker_percpu_counter_init((counter), (amount),             \
					      SHRINKER_KIT_PLACE) : -ENOMEM)

static inline int shrinker_percpu_counter_init(struct percpu_counter *counter,
					       s64 amount, const char *place)
{
	if (!shrinker_kit_made("percpu_counter", counter, place))
		return -ENOMEM;
	atomic64_set(&counter->count, amount);
	counter->ready = true;
	return 0;
}

static inline void percpu_counter_destroy(struct percpu_counter *counter)
{
	counter->ready = false;
	shrinker_kit_drop_made("percpu_counter", counter);
}

static inline bool percpu_counter_initialized(struct percpu_counter *counter)
{
	return counter->ready;
}

static inline void percpu_counter_set(struct percpu_counter *counter, s64 amount)
{
	atomic64_set(&counter->count, amount);
}

static inline void percpu_counter_add(struct percpu_counter *counter, s64 amount)
{
	atomic64_add(amount, &counter->count);
}

#define percpu_counter_add_batch(counter, amount, batch)                       \
	percpu_counter_add((counter), (amount))
#define percpu_counter_add_local(counter, amount)                              \
	percpu_counter_add((counter), (amount))
#define percpu_counter_sub(counter, amount) percpu_counter_add((counter), -(amount))
#define percpu_counter_inc(counter) percpu_counter_add((counter), 1)
#define percpu_counter_dec(counter) percpu_counter_add((counter), -1)

static inline s64 percpu_counter_read(struct percpu_counter *counter)
{
	return atomic64_read(&counter->count);
}

static inline s64 percpu_counter_read_positive(struct percpu_counter *counter)
{
	s64 now = percpu_counter_read(counter);

	return now > 0 ? now : 0;
}

static inline bool percpu_counter_limited_add(struct percpu_counter *counter,
					      s64 limit, s64 amount)
{
	s64 now = percpu_counter_read(counter);

	if (!amount)
		return true;
	while (amount > 0 ? now + amount <= limit : now + amount >= limit)
		if (atomic64_try_cmpxchg(&counter->count, &now, now + amount))
			return true;
	return false;
}

#define percpu_counter_sync(counter) ((void)(counter))
#define __percpu_counter_compare(counter, with, batch)                         \
	percpu_counter_compare((counter), (with))
#define percpu_counter_sum(counter) percpu_counter_read(counter)
#define percpu_counter_sum_positive(counter) percpu_counter_read_positive(counter)

static inline int percpu_counter_compare(struct percpu_counter *counter, s64 with)
{
	s64 now = percpu_counter_read(counter);

	return now > with ? 1 : now < with ? -1 : 0;
}

#endif /* SHRINKER_LINUX_PERCPU_COUNTER_H */
