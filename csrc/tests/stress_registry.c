/* SPDX-License-Identifier: MIT */
/*
 * Threads that register and free shrinkers, walk, call shrinkers directly, hold
 * references and keep events, all at once, for as many seconds as the first
 * argument says (default 2).  Each callback checks that its private data is alive;
 * the owner poisons and frees that as soon as shrinker_free() has returned.
 */
#include <shrinker/events.h>

#include "stress.h"

#define ALIVE UINT64_C(0x5eed5eed5eed5eed)
#define DEAD UINT64_C(0xdeaddeaddeaddead)

static struct reclaim_domain *domain;

static struct {
	counter counts, scans, registered, freed_inside, freed_later, walks, direct,
		references, events;
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
	count(&total.counts);
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
	count(&total.scans);
	victim = atomic_exchange(&payload->victim, NULL);
	if (victim) {
		count(&total.freed_inside);
		shrinker_free(victim);
	}
	if (atomic_load_explicit(&total.scans, memory_order_relaxed) % 64 == 0)
		sched_yield();
	leave_payload(payload);
	return sc->nr_to_scan;
}

/* The payload of shrinkers that are freed without a wait: their last callback may
 * run at any time. */
static struct payload immortal = { .magic = ALIVE };

static struct shrinker *stress_shrinker(struct payload *payload)
{
	struct shrinker *shrinker = reclaim_shrinker_alloc(domain, 0, "stress");

	CHECK(shrinker);
	shrinker->count_objects = stress_count;
	shrinker->scan_objects = stress_scan;
	shrinker->private_data = payload;
	shrinker_register(shrinker);
	count(&total.registered);
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
		atomic_store(&owned->payload->victim, stress_shrinker(&immortal));
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
	/* If no scan has freed it. */
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
	atomic_fetch_add(&total.direct, 2);
}

static _Thread_local struct owned own[16];

/* Makes, calls, holds or frees one of the thread's shrinkers. */
static void owner(void)
{
	uint64_t random = next_random();
	struct owned *owned = &own[random % LENGTH(own)];

	if (!owned->shrinker) {
		owned_open(owned, random & 1 << 10);
	} else if (random & 3 << 8) {
		call_directly(owned->shrinker);
	} else {
		if (random & 1 << 11) {
			CHECK(shrinker_try_get(owned->shrinker));
			CHECK(!shrinker_unregister(owned->shrinker, false));
			shrinker_put(owned->shrinker);
			count(&total.references);
		}
		owned_close(owned);
	}
}

static void owner_end(void)
{
	size_t i;

	for (i = 0; i < LENGTH(own); i++)
		owned_close(&own[i]);
}

/* Frees without waiting, as finalisers do. */
static void finaliser(void)
{
	struct shrinker *shrinker = stress_shrinker(&immortal);

	sched_yield();
	if (!shrinker_free_nowait(shrinker))
		count(&total.freed_later);
}

static void walker(void)
{
	walk(domain, 1);
	count(&total.walks);
}

static void reader(void)
{
	struct shrink_event event[256];
	int i;

	CHECK_EQ(reclaim_trace_start(domain, 10000), 0);
	for (i = 0; i < 20; i++) {
		atomic_fetch_add(&total.events,
				 reclaim_trace_read(domain, event, 256));
		usleep(200);
	}
	reclaim_trace_stop(domain);
}

int main(int argc, char **argv)
{
	struct role role[] = { { .step = owner, .end = owner_end },
			       { .step = owner, .end = owner_end },
			       { .step = finaliser },
			       { .step = walker },
			       { .step = walker },
			       { .step = walker },
			       { .step = reader } };

	domain = domain_new(1);
	roles_start(role, LENGTH(role));
	sleep_as_told(argc, argv);
	roles_end(role, LENGTH(role));

	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_EQ(atomic_load(&immortal.inside), 0);
	CHECK_EQ(walk(domain, 0), 0);
	CHECK_EQ(statistics_of(domain).walks, total.walks + 1);
	reclaim_domain_put(domain);
	printf("stress_registry: %lu registered, %lu freed in callbacks, %lu freed later, "
	       "%lu references, %lu walks, %lu counts, %lu scans, %lu direct calls, "
	       "%lu events\n",
	       total.registered, total.freed_inside, total.freed_later, total.references,
	       total.walks, total.counts, total.scans, total.direct, total.events);
	return 0;
}
