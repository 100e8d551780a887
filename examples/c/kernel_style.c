// SPDX-License-Identifier: MIT
/*
 * A cache of buffers with a shrinker, written as for the kernel: nothing in this file
 * is specific to the library.
 */
#include <pthread.h>
#include <stdlib.h>

#include <linux/shrinker.h>

#include "kernel_style.h"

struct demo_buffer {
	struct demo_buffer *next;
	char data[256];
};

static struct {
	pthread_mutex_t lock;
	struct demo_buffer *buffers;
	unsigned long nr;
	struct shrinker *shrinker;
} demo = { .lock = PTHREAD_MUTEX_INITIALIZER };

static unsigned long demo_count(struct shrinker *shrink,
				struct shrink_control *sc)
{
	unsigned long nr;

	(void)shrink;
	(void)sc;
	pthread_mutex_lock(&demo.lock);
	nr = demo.nr;
	pthread_mutex_unlock(&demo.lock);

	return nr ? nr : SHRINK_EMPTY;
}

static unsigned long demo_scan(struct shrinker *shrink,
			       struct shrink_control *sc)
{
	unsigned long *nr_calls = shrink->private_data;
	unsigned long freed = 0;

	/* The thread that holds the lock may be the one that needs memory. */
	if (pthread_mutex_trylock(&demo.lock))
		return SHRINK_STOP;

	while (freed < sc->nr_to_scan && demo.buffers) {
		struct demo_buffer *buffer = demo.buffers;

		demo.buffers = buffer->next;
		free(buffer);
		freed++;
	}
	demo.nr -= freed;
	pthread_mutex_unlock(&demo.lock);

	++*nr_calls;
	return freed;
}

int demo_init(unsigned long *nr_scan_calls)
{
	demo.shrinker = shrinker_alloc(0, "demo-cache");
	if (!demo.shrinker)
		return -1;

	demo.shrinker->count_objects = demo_count;
	demo.shrinker->scan_objects = demo_scan;
	demo.shrinker->private_data = nr_scan_calls;
	demo.shrinker->seeks = DEFAULT_SEEKS;
	demo.shrinker->batch = 64;

	shrinker_register(demo.shrinker);
	return 0;
}

int demo_fill(unsigned long nr)
{
	int ret = 0;

	pthread_mutex_lock(&demo.lock);
	for (; nr; nr--) {
		struct demo_buffer *buffer = malloc(sizeof(*buffer));

		if (!buffer) {
			ret = -1;
			break;
		}
		buffer->next = demo.buffers;
		demo.buffers = buffer;
		demo.nr++;
	}
	pthread_mutex_unlock(&demo.lock);
	return ret;
}

unsigned long demo_nr_buffers(void)
{
	unsigned long nr;

	pthread_mutex_lock(&demo.lock);
	nr = demo.nr;
	pthread_mutex_unlock(&demo.lock);
	return nr;
}

void demo_exit(void)
{
	/* From here on no callback runs. */
	shrinker_free(demo.shrinker);

	while (demo.buffers) {
		struct demo_buffer *buffer = demo.buffers;

		demo.buffers = buffer->next;
		free(buffer);
	}
	demo.nr = 0;
}
