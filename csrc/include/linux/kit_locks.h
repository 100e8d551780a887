/* SPDX-License-Identifier: MIT */
/* What locks of several names are made of; not for drivers. */
#ifndef SHRINKER_LINUX_KIT_LOCKS_H
#define SHRINKER_LINUX_KIT_LOCKS_H

#include <pthread.h>
#include <stddef.h>

/* @place: where it was taken last. */
struct shrinker_kit_mutex {
	pthread_mutex_t mutex;
	const char *place;
};

struct shrinker_kit_rwlock {
	pthread_rwlock_t lock;
	const char *place;
};

#define SHRINKER_KIT_MUTEX { PTHREAD_MUTEX_INITIALIZER, NULL }
#define SHRINKER_KIT_RWLOCK { PTHREAD_RWLOCK_INITIALIZER, NULL }

#endif /* SHRINKER_LINUX_KIT_LOCKS_H */
