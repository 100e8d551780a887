/* SPDX-License-Identifier: MIT */
/* An event that one thread waits for and another tells. */
#ifndef SHRINKER_LINUX_COMPLETION_H
#define SHRINKER_LINUX_COMPLETION_H

#include <pthread.h>
#include <linux/kit.h>
#include <linux/limits.h>

#ifdef __cplusplus
extern "C" {
#endif

struct completion {
	pthread_mutex_t mutex;
	pthread_cond_t told;
	unsigned int done;
};

#define COMPLETION_INITIALIZER(name)                                           \
	{ PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }
#define DECLARE_COMPLETION(name)                                               \
	struct completion name = COMPLETION_INITIALIZER(name)
#define DECLARE_COMPLETION_ONSTACK(name) DECLARE_COMPLETION(name)

void init_completion(struct completion *event);
void reinit_completion(struct completion *event);
void complete(struct completion *event);
void complete_all(struct completion *event);
bool completion_done(struct completion *event);
bool try_wait_for_completion(struct completion *event);
/* @ticks: jiffies; LONG_MAX: for ever.  Return: jiffies left, 0 where time ran out. */
unsigned long shrinker_kit_wait_for_completion(struct completion *event,
					       unsigned long ticks,
					       const char *place);

#define wait_for_completion(event)                                             \
	((void)shrinker_kit_wait_for_completion((event), LONG_MAX, SHRINKER_KIT_PLACE))
#define wait_for_completion_interruptible(event) SHRINKER_KIT_VALUE(wait_for_completion(event), 0)
#define wait_for_completion_killable(event) SHRINKER_KIT_VALUE(wait_for_completion(event), 0)
#define wait_for_completion_io(event) wait_for_completion(event)
#define wait_for_completion_interruptible_timeout(event, ticks)                \
	((long)wait_for_completion_timeout(event, ticks))
#define wait_for_completion_killable_timeout(event, ticks)                     \
	((long)wait_for_completion_timeout(event, ticks))
#define wait_for_completion_timeout(event, ticks)                              \
	shrinker_kit_wait_for_completion((event), (ticks), SHRINKER_KIT_PLACE)

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_COMPLETION_H */
