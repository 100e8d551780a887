/* SPDX-License-Identifier: MIT */
/*
 * Messages that are held back where there are too many.
 *
 * printk() and its kind hold nothing back here (printk.h); __ratelimit() does.
 */
#ifndef SHRINKER_LINUX_RATELIMIT_H
#define SHRINKER_LINUX_RATELIMIT_H

#include <linux/bug.h>
#include <linux/jiffies.h>
#include <linux/printk.h>
#include <linux/spinlock.h>

struct ratelimit_state {
	spinlock_t lock;
	int interval, burst;
	int printed, missed;
	unsigned long begin, flags;
};

#define DEFAULT_RATELIMIT_INTERVAL (5 * HZ)
#define DEFAULT_RATELIMIT_BURST 10
#define RATELIMIT_MSG_ON_RELEASE 1

#define RATELIMIT_STATE_INIT(name, interval_, burst_)                          \
	{ __SPIN_LOCK_UNLOCKED(name.lock), (interval_), (burst_), 0, 0, 0, 0 }
#define RATELIMIT_STATE_INIT_DISABLED RATELIMIT_STATE_INIT(disabled, 0, 0)
#define DEFINE_RATELIMIT_STATE(name, interval, burst)                          \
	struct ratelimit_state name = RATELIMIT_STATE_INIT(name, interval, burst)

static inline void ratelimit_state_init(struct ratelimit_state *state, int interval,
					int burst)
{
	spin_lock_init(&state->lock);
	state->interval = interval;
	state->burst = burst;
	state->printed = state->missed = 0;
	state->begin = state->flags = 0;
}

#define ratelimit_default_init(state)                                          \
	ratelimit_state_init((state), DEFAULT_RATELIMIT_INTERVAL,              \
			     DEFAULT_RATELIMIT_BURST)
#define ratelimit_set_flags(state, bits) ((void)((state)->flags = (bits)))
#define ratelimit_state_exit(state) ((void)(state))

/* Whether there may be one more: @burst in each @interval jiffies; 0: always. */
static inline int shrinker_kit_ratelimit(struct ratelimit_state *state)
{
	unsigned long now = jiffies;
	bool may;

	if (!state->interval)
		return 1;
	spin_lock(&state->lock);
	if (!state->begin || time_after(now, state->begin + (unsigned long)state->interval)) {
		state->begin = now;
		state->printed = 0;
	}
	may = state->printed < state->burst;
	if (may)
		state->printed++;
	else
		state->missed++;
	spin_unlock(&state->lock);
	return may;
}

#define __ratelimit(state) shrinker_kit_ratelimit(state)
#define WARN_ON_RATELIMIT(condition, state) WARN_ON(condition)
#define WARN_RATELIMIT(condition, ...) WARN(condition, __VA_ARGS__)

#endif /* SHRINKER_LINUX_RATELIMIT_H */
