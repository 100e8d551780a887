/* SPDX-License-Identifier: MIT */
/*
 * Everything at once for some seconds (first argument, 2 if there is none):
 * threads register and free, walk, call shrinkers directly, hold references,
 * trace.  Each callback checks that its private data is alive, which the owner
 * poisons and frees as soon as shrinker_free() has returned.  Of no use but
 * under a sanitizer, or on a machine with patience.
 */
#include <sched.h>
#include <time.h>

#include <shrinker/trace.h>

#include "cache.h"

#define ALIVE UINT64_C(0x5eed5eed5eed5eed)
#define DEAD UINT64_C(0xdeaddeaddeaddead)

static struct reclaim_domain *domain;
static _Atomic(bool) over;

static struct {
	_Atomic(unsigned long) counts;
	_Atomic(unsigned long) scans;
	_Atomic(unsigned long) registered;
	_Atomic(unsigned long) freed_inside;
	_Atomic(unsigned long) freed_later;
	_Atomic(unsigned long) walks;
	_Atomic(unsigned long) direct;
	_Atomic(unsigned long) references;
	_Atomic(unsigned long) events;
} total;

/**
 * struct payload - private data of a shrinker under stress
 * @magic: ALIVE while callbacks may run
 * @inside: callbacks that run now
 * @victim: a shrinker that the first scan frees
 */
struct payload {
	uint64_t magic;
	_Atomic(int) inside;
	_Atomic(struct shrinker *) victim;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void enter_payload(struct payload *payload)
{
	CHECK_EQ(payload->magic, ALIVE);
	CHECK(atomic_fetch_add(&payload->inside, 1) >= 0);
}

static void leave_payload(struct payload *payload)
{
	CHECK_EQ(payload->magic, ALIVE);
	CHECK(atomic_fetch_sub(&payload->inside, 1) > 0);
}

static unsigned long stress_count(struct shrinker *shrinker,
				  struct shrink_control *sc)
{
	struct payload *payload = shrinker->private_data;

	enter_payload(payload);
	atomic_fetch_add_explicit(&total.counts, 1, memory_order_relaxed);
	CHECK_EQ(sc->nid, 0);
	leave_payload(payload);
	return 200;
}

static unsigned long stress_scan(struct shrinker *shrinker,
				 struct shrink_control *sc)
{
	struct payload *payload = shrinker->private_data;
	struct shrinker *victim;

	enter_payload(payload);
	atomic_fetch_add_explicit(&total.scans, 1, memory_order_relaxed);
	victim = atomic_exchange(&payload->victim, NULL);
	if (victim) {
		atomic_fetch_add(&total.freed_inside, 1);
		shrinker_free(victim);
	}
	if (atomic_load_explicit(&total.scans, memory_order_relaxed) % 64 == 0)
		sched_yield();
	leave_payload(payload);
	return sc->nr_to_scan;
}

/* Payloads of shrinkers that are freed in callbacks live here: nobody is told
 * when the last callback has returned. */
static struct payload for_ever = { .magic = ALIVE };

static struct shrinker *stress_shrinker(struct payload *payload)
{
	struct shrinker *shrinker = reclaim_shrinker_alloc(domain, 0, "stress");

	CHECK(shrinker);
	shrinker->count_objects = stress_count;
	shrinker->scan_objects = stress_scan;
	shrinker->private_data = payload;
	shrinker_register(shrinker);
	atomic_fetch_add_explicit(&total.registered, 1, memory_order_relaxed);
	return shrinker;
}

struct owned {
	struct shrinker *shrinker;
	struct payload *payload;
};

static void owned_open(struct owned *owned, bool with_victim)
{
	owned->payload = calloc(1, sizeof(*owned->payload));
	CHECK(owned->payload);
	owned->payload->magic = ALIVE;
	if (with_victim)
		atomic_store(&owned->payload->victim, stress_shrinker(&for_ever));
	owned->shrinker = stress_shrinker(owned->payload);
}

static void owned_close(struct owned *owned)
{
	struct payload *payload = owned->payload;

	if (!owned->shrinker)
		return;
	shrinker_free(owned->shrinker);
	owned->shrinker = NULL;
	CHECK_EQ(atomic_load(&payload->inside), 0);
	/* Where no scan came to free it. */
	shrinker_free(atomic_load(&payload->victim));
	payload->magic = DEAD;
	free(payload);
}

static void call_directly(struct shrinker *shrinker)
{
	struct shrink_control sc = { .nr_to_scan = 10 };
	unsigned long ret;

	CHECK(shrinker_count_objects(shrinker, &sc, &ret));
	CHECK(shrinker_scan_objects(shrinker, &sc, &ret));
	atomic_fetch_add_explicit(&total.direct, 2, memory_order_relaxed);
}

/* Owns some shrinkers, and calls, holds and frees them in any order. */
static void *owner(void *arg)
{
	uint64_t state = *(uint64_t *)arg;
	struct owned own[16];
	int i;

	memset(own, 0, sizeof(own));
	while (!atomic_load(&over)) {
		uint64_t random = next_random(&state);
		struct owned *owned = &own[random % 16];

		if (!owned->shrinker) {
			owned_open(owned, random & 1 << 10);
		} else if (random & 3 << 8) {
			call_directly(owned->shrinker);
		} else {
			if (random & 1 << 11) {
				CHECK(shrinker_try_get(owned->shrinker));
				CHECK(!shrinker_unregister(owned->shrinker, false));
				shrinker_put(owned->shrinker);
				atomic_fetch_add_explicit(&total.references, 1,
							  memory_order_relaxed);
			}
			owned_close(owned);
		}
	}
	for (i = 0; i < 16; i++)
		owned_close(&own[i]);
	return NULL;
}

/* Frees without waiting: the payload outlives everything. */
static void *finaliser(void *arg)
{
	(void)arg;
	while (!atomic_load(&over)) {
		struct shrinker *shrinker = stress_shrinker(&for_ever);

		sched_yield();
		if (!shrinker_free_nowait(shrinker))
			atomic_fetch_add(&total.freed_later, 1);
	}
	return NULL;
}

static void *walker(void *arg)
{
	(void)arg;
	while (!atomic_load(&over)) {
		walk(domain, 1);
		atomic_fetch_add_explicit(&total.walks, 1, memory_order_relaxed);
	}
	return NULL;
}

static void *tracer(void *arg)
{
	struct shrink_event event[256];

	(void)arg;
	while (!atomic_load(&over)) {
		int i;

		CHECK_EQ(reclaim_trace_start(domain, 10000), 0);
		for (i = 0; i < 20; i++) {
			atomic_fetch_add_explicit(
				&total.events,
				reclaim_trace_read(domain, event, 256),
				memory_order_relaxed);
			usleep(200);
		}
		reclaim_trace_stop(domain);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	void *(*const run[])(void *) = { owner,	 owner,	 finaliser, walker,
					 walker, walker, tracer };
	uint64_t seed[7];
	struct timespec seconds = { .tv_sec = argc > 1 ? atoi(argv[1]) : 2 };
	struct reclaim_statistics statistics;
	pthread_t thread[7];
	int i;

	domain = domain_new(1);
	for (i = 0; i < 7; i++) {
		seed[i] = (uint64_t)time(NULL) * 7919 + (uint64_t)i + 1;
		thread[i] = thread_start(run[i], &seed[i]);
	}
	nanosleep(&seconds, NULL);
	atomic_store(&over, true);
	alarm(TEST_SECONDS);
	for (i = 0; i < 7; i++)
		thread_join(thread[i]);

	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_EQ(atomic_load(&for_ever.inside), 0);
	CHECK_EQ(walk(domain, 0), 0);
	reclaim_domain_get_statistics(domain, &statistics);
	CHECK_EQ(statistics.walks, atomic_load(&total.walks) + 1);
	reclaim_domain_put(domain);
	printf("stress_registry: %lu registered, %lu freed in callbacks, %lu freed later, "
	       "%lu references, %lu walks, %lu counts, %lu scans, %lu direct calls, "
	       "%lu events\n",
	       atomic_load(&total.registered), atomic_load(&total.freed_inside),
	       atomic_load(&total.freed_later), atomic_load(&total.references),
	       atomic_load(&total.walks), atomic_load(&total.counts),
	       atomic_load(&total.scans), atomic_load(&total.direct),
	       atomic_load(&total.events));
	return 0;
}
