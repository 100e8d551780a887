/* SPDX-License-Identifier: MIT */
/* The functions with kernel names, on the default domain. */
#include <linux/shrinker.h>

#include "threads.h"

static void *use_the_default_domain(void *arg)
{
	pthread_barrier_wait(arg);
	CHECK(reclaim_default_domain());
	return NULL;
}

static void *use_a_domain(void *arg)
{
	struct reclaim_domain *domain = domain_new(1);

	pthread_barrier_wait(arg);
	moment(); /* After the other thread in time, without synchronisation. */
	reclaim_domain_put(domain);
	return NULL;
}

/* Runs first: one thread makes the default domain while another one releases a
 * domain of its own.  ThreadSanitizer sees no race between them. */
static void the_first_use_has_no_race(void)
{
	pthread_barrier_t barrier;
	pthread_t first, second;

	pthread_barrier_init(&barrier, NULL, 2);
	first = thread_start(use_the_default_domain, &barrier);
	second = thread_start(use_a_domain, &barrier);
	thread_join(first);
	thread_join(second);
	pthread_barrier_destroy(&barrier);
}

/* The default domain cannot be released. */
static void the_default_domain_stays(void)
{
	struct reclaim_domain *domain = reclaim_default_domain();
	int i;

	CHECK(domain);
	CHECK_EQ(reclaim_domain_nr_nodes(domain), 1);
	for (i = 0; i < 3; i++)
		reclaim_domain_put(domain);
	CHECK(reclaim_default_domain() == domain);
}

static _Atomic(unsigned long) objects;

static unsigned long demo_count(struct shrinker *shrinker,
				struct shrink_control *sc)
{
	CHECK(shrinker->private_data == &objects);
	CHECK_EQ(sc->nid, 0);
	return atomic_load(&objects) ? atomic_load(&objects) : SHRINK_EMPTY;
}

static unsigned long demo_scan(struct shrinker *shrinker,
			       struct shrink_control *sc)
{
	CHECK(shrinker->private_data == &objects);
	CHECK(sc->nr_to_scan <= 100);
	atomic_fetch_sub(&objects, sc->nr_to_scan);
	return sc->nr_to_scan;
}

/* Allocate, fill in, register, shrink, free. */
static void the_life_of_a_shrinker(void)
{
	struct shrinker *shrinker = shrinker_alloc(0, "demo-%s:%d", "cache", 7);

	CHECK(shrinker);
	CHECK_TEXT(shrinker->name, "demo-cache:7");
	CHECK_EQ(shrinker->flags, SHRINKER_ALLOCATED);
	CHECK_EQ(shrinker->seeks, DEFAULT_SEEKS);
	CHECK_EQ(shrinker->batch, 0);
	CHECK(!shrinker->private_data);
	shrinker->count_objects = demo_count;
	shrinker->scan_objects = demo_scan;
	shrinker->private_data = &objects;
	shrinker->batch = 100;
	CHECK(!shrinker_try_get(shrinker));
	shrinker_register(shrinker);
	CHECK_EQ(shrinker->flags, SHRINKER_ALLOCATED | SHRINKER_REGISTERED);
	CHECK(shrinker_try_get(shrinker));
	shrinker_put(shrinker);

	/* Priority 2: a quarter of the objects, doubled by the default seeks. */
	atomic_store(&objects, 1000);
	CHECK_EQ(shrink_slab(GFP_KERNEL, 0, NULL, 2), 500);
	CHECK_EQ(shrink_slab(GFP_KERNEL, 0, NULL, DEF_PRIORITY), 0);
	CHECK_EQ(shrink_slab(GFP_KERNEL, 1, NULL, 0), 0);
	CHECK_EQ(shrink_slab(GFP_KERNEL, -1, NULL, 0), 0);
	CHECK_EQ(shrink_slab(GFP_KERNEL, 0, NULL, -1), 0);
	CHECK_EQ(shrink_slab(GFP_KERNEL, 0, NULL, 64), 0);
	CHECK_EQ(atomic_load(&objects), 500);

	atomic_store(&objects, 1000);
	shrinker_free(shrinker);
	CHECK_EQ(shrink_slab(GFP_KERNEL, 0, NULL, 0), 0);
	CHECK_EQ(atomic_load(&objects), 1000);
}

/* drop_slab() walks the default domain until a round frees little. */
static void drop_slab_empties_a_cache(void)
{
	struct cache cache;

	cache_open(&cache, reclaim_default_domain(), 'c', 1000);
	drop_slab();
	CHECK_EQ(atomic_load(&cache.objects), 0);
	cache_close(&cache);
}

/* Names may be long.  NULL, and a shrinker that was not registered, can be
 * freed. */
static void long_names_and_frees(void)
{
	char name[2000];
	struct shrinker *shrinker;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	shrinker = shrinker_alloc(SHRINKER_NONSLAB, "%s", name);
	CHECK(shrinker);
	CHECK_TEXT(shrinker->name, name);
	CHECK_EQ(shrinker->flags, SHRINKER_ALLOCATED | SHRINKER_NONSLAB);
	shrinker_free(shrinker);
	shrinker_free(NULL);
}

int main(void)
{
	RUN(the_first_use_has_no_race);
	RUN(the_default_domain_stays);
	RUN(the_life_of_a_shrinker);
	RUN(drop_slab_empties_a_cache);
	RUN(long_names_and_frees);
	return checks_report("test_kernel_api");
}
