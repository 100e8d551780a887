/* SPDX-License-Identifier: MIT */
/* Freeing shrinkers: which calls wait for which callbacks, and when memory is
 * released. */
#include "threads.h"

/* --- freeing and waiting -------------------------------------------------- */

/* shrinker_free() returns after the shrinker's running callback has, and not
 * before. */
static void free_waits_for_its_own_callback(struct reclaim_domain *domain)
{
	int in_scan;

	for (in_scan = 0; in_scan < 2; in_scan++) {
		struct waiter freeing;
		struct sleepers s;

		sleepers_open(&s, domain, in_scan);
		sleepers_walk(&s, 1);
		waiter_start(&freeing, s.cache.shrinker, true);
		moment();
		CHECK(!atomic_load(&freeing.done));
		CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
		/* No new callback starts meanwhile: it would sleep for ever. */
		CHECK_EQ(walk(domain, 0), 0);

		sleepers_wake(&s);
		thread_join(freeing.thread);
		CHECK_EQ(atomic_load(&s.sleeper.left), 1);
		sleepers_join(&s);
		CHECK_RELEASED(freeing.shrinker);
		CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	}
}

/* Two callbacks of one shrinker run at once, and a free waits for both. */
static void free_waits_for_all_its_callbacks(struct reclaim_domain *domain)
{
	struct waiter freeing;
	struct sleepers s;

	sleepers_open(&s, domain, false);
	sleepers_walk(&s, 2);
	waiter_start(&freeing, s.cache.shrinker, true);
	moment();
	sleepers_wake(&s);
	moment();
	CHECK_EQ(atomic_load(&s.sleeper.left), 1);
	CHECK(!atomic_load(&freeing.done));
	sleepers_wake(&s);
	thread_join(freeing.thread);
	sleepers_join(&s);
}

/* While a callback sleeps, the shrinkers before and after it can be freed, and
 * their memory is released; other shrinkers can be registered and used. */
static void a_sleeping_callback_holds_its_own_shrinker_only(
	struct reclaim_domain *domain)
{
	struct shrinker *freed[3];
	char log[LOG_SIZE] = "";
	struct cache before[2], after[2], late;
	struct sleepers s;
	int i;

	caches_open(before, domain, "ab", 10, NULL);
	sleepers_open(&s, domain, false);
	caches_open(after, domain, "cd", 10, log);
	sleepers_walk(&s, 1);
	freed[0] = after[0].shrinker;
	freed[1] = before[1].shrinker;
	freed[2] = before[0].shrinker;
	cache_close(&after[0]);
	cache_close(&before[1]);
	CHECK(shrinker_free_nowait(before[0].shrinker));
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	for (i = 0; i < 3; i++)
		CHECK_RELEASED(freed[i]);
	CHECK_ALLOCATED(s.cache.shrinker);

	cache_open(&late, domain, 'e', 10);
	late.log = log;
	CHECK(shrinker_try_get(after[1].shrinker));
	shrinker_put(after[1].shrinker);
	sleepers_wake(&s);
	sleepers_join(&s);
	CHECK_TEXT(log, "de");
}

/* While a freed shrinker's callback sleeps, other shrinkers can still be freed. */
static void a_dying_shrinker_holds_no_other(struct reclaim_domain *domain)
{
	struct cache b[70]; /* More than dying_mask has bits. */
	struct waiter freeing;
	struct sleepers s;
	size_t i;

	sleepers_start(&s, domain);
	waiter_start(&freeing, s.cache.shrinker, true);
	wait_until_lingering(domain);
	for (i = 0; i < LENGTH(b); i++)
		cache_open(&b[i], domain, 'b', 1);
	CHECK_EQ(walk(domain, 0), LENGTH(b));
	for (i = 0; i < LENGTH(b); i++) {
		struct shrinker *shrinker = b[i].shrinker;

		CHECK(shrinker_free_nowait(shrinker));
		CHECK_RELEASED(shrinker);
	}
	CHECK(!atomic_load(&freeing.done));
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
	sleepers_wake(&s);
	sleepers_join(&s);
	thread_join(freeing.thread);
}

/* More walks at once than a domain has spare records. */
static void free_waits_for_any_number_of_walks(struct reclaim_domain *domain)
{
	enum { WALKS = 3 * SPARE_WALKERS };
	struct waiter freeing;
	struct sleepers s;
	int i;

	sleepers_open(&s, domain, false);
	sleepers_walk(&s, WALKS);
	waiter_start(&freeing, s.cache.shrinker, true);
	for (i = 0; i < WALKS; i++) {
		CHECK(!atomic_load(&freeing.done));
		sleepers_wake(&s);
	}
	thread_join(freeing.thread);
	CHECK_EQ(atomic_load(&s.sleeper.left), WALKS);
	sleepers_join(&s);
	CHECK_EQ(statistics_of(domain).walks, WALKS);
}

/* --- freeing inside callbacks --------------------------------------------- */

static void free_itself_and_look(struct cache *cache, struct shrink_control *sc)
{
	struct shrinker *shrinker = cache->shrinker;

	free_itself(cache, sc);
	CHECK_EQ(reclaim_domain_nr_lingering(shrinker->domain), 1);
	CHECK(!shrinker_try_get(shrinker));
}

/* A callback frees its own shrinker: nothing waits, and the walk releases it. */
static void a_callback_can_free_its_own_shrinker(struct reclaim_domain *domain)
{
	int in_scan;

	for (in_scan = 0; in_scan < 2; in_scan++) {
		char log[LOG_SIZE] = "";
		struct cache cache[3], *b = &cache[1];
		struct shrinker *freed;

		caches_open(cache, domain, "abc", 10, log);
		freed = b->shrinker;
		*(in_scan ? &b->on_scan : &b->on_count) = free_itself_and_look;
		cache_answer(b, SHRINK_STOP);
		CHECK_EQ(walk(domain, 0), 20);
		CHECK_TEXT(log, "abc");
		CHECK_RELEASED(freed);
		CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
		walk(domain, 0);
		CHECK_TEXT(log, "abcac");
		cache_close(&cache[0]);
		cache_close(&cache[2]);
	}
}

/* A callback frees another shrinker, in which no callback runs: it is released at
 * once, and the walk does not visit it. */
static void a_callback_can_free_another_shrinker(struct reclaim_domain *domain)
{
	char log[LOG_SIZE] = "";
	struct shrinker *freed;
	struct cache cache[3];

	caches_open(cache, domain, "abc", 10, log);
	freed = cache[1].shrinker;
	cache[0].on_count = free_other;
	cache[0].arg = &cache[1];
	CHECK_EQ(walk(domain, 0), 20);
	CHECK_TEXT(log, "ac");
	CHECK_EQ(atomic_load(&cache[1].counts), 0);
	CHECK_RELEASED(freed);
}

struct meeting {
	pthread_barrier_t *both_inside;
	struct shrinker *other;
};

static void meet_and_free_the_other(struct cache *cache, struct shrink_control *sc)
{
	struct meeting *meeting = cache->arg;

	(void)sc;
	pthread_barrier_wait(meeting->both_inside);
	shrinker_free(meeting->other);
}

static void *count_thread(void *arg)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };
	struct cache *cache = arg;
	unsigned long count;

	CHECK(shrinker_count_objects(cache->shrinker, &sc, &count));
	CHECK_EQ(count, 10);
	return NULL;
}

/* Two callbacks in two threads free each other's shrinker: neither waits. */
static void two_callbacks_can_free_each_other(struct reclaim_domain *domain)
{
	int round, i;

	for (round = 0; round < 20; round++) {
		struct meeting meeting[2];
		pthread_barrier_t both_inside;
		struct cache cache[2];
		pthread_t thread[2];

		pthread_barrier_init(&both_inside, NULL, 2);
		caches_open(cache, domain, "ab", 10, NULL);
		for (i = 0; i < 2; i++) {
			meeting[i].both_inside = &both_inside;
			meeting[i].other = cache[!i].shrinker;
			cache[i].arg = &meeting[i];
			cache[i].on_count = meet_and_free_the_other;
		}
		for (i = 0; i < 2; i++)
			thread[i] = thread_start(count_thread, &cache[i]);
		threads_join(thread, 2);
		CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
		for (i = 0; i < 2; i++)
			CHECK_RELEASED(cache[i].shrinker);
		pthread_barrier_destroy(&both_inside);
	}
}

/* --- unregistering, freeing without a wait, references -------------------- */

/* Unregistering several times, or in several threads, is unregistering once. */
static void unregister_is_idempotent(struct reclaim_domain *domain)
{
	struct waiter waiter[4];
	struct sleepers s;
	struct cache a;
	int i;

	cache_open(&a, domain, 'a', 10);
	CHECK(shrinker_unregister(a.shrinker, true));
	CHECK(shrinker_unregister(a.shrinker, true));
	CHECK(shrinker_unregister(a.shrinker, false));
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_EQ(cache_deferred(&a), 0); /* Still allocated. */
	cache_close(&a);

	sleepers_start(&s, domain);
	CHECK(!shrinker_unregister(s.cache.shrinker, false));
	CHECK(!shrinker_unregister(s.cache.shrinker, false));
	for (i = 0; i < 4; i++)
		waiter_start(&waiter[i], s.cache.shrinker, false);
	moment();
	for (i = 0; i < 4; i++)
		CHECK(!atomic_load(&waiter[i].done));
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
	sleepers_wake(&s);
	for (i = 0; i < 4; i++)
		thread_join(waiter[i].thread);
	CHECK_EQ(atomic_load(&s.sleeper.left), 1);
	CHECK_ALLOCATED(s.cache.shrinker);
	cache_close(&s.cache);
	sleepers_join(&s);
}

/* Registering resets the state of an earlier unregister: until its own step c
 * (holding.c), no search may find the shrinker settled. */
static void registering_unsettles_a_shrinker(struct reclaim_domain *domain)
{
	struct sleepers s;

	sleeper_init(&s.sleeper);
	cache_prepare(&s.cache, domain, 0, 's', 10);
	CHECK(shrinker_unregister(s.cache.shrinker, true));
	shrinker_register(s.cache.shrinker);
	s.cache.on_count = sleep_here;
	s.cache.arg = &s.sleeper;
	CHECK(!s.cache.shrinker->settled);

	sleepers_walk(&s, 1);
	CHECK(!shrinker_unregister(s.cache.shrinker, false));
	sleepers_wake(&s);
	sleepers_join(&s);
	cache_close(&s.cache);
}

/* A free that does not wait leaves the release to the last running callback. */
static void free_nowait_leaves_the_release_to_the_walk(struct reclaim_domain *domain)
{
	struct sleepers s;
	struct cache a;

	cache_open(&a, domain, 'a', 10);
	CHECK(shrinker_free_nowait(a.shrinker));
	CHECK_RELEASED(a.shrinker);

	sleepers_open(&s, domain, true);
	sleepers_walk(&s, 1);
	CHECK(!shrinker_free_nowait(s.cache.shrinker));
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
	CHECK_ALLOCATED(s.cache.shrinker);
	sleepers_wake(&s);
	sleepers_join(&s);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_RELEASED(s.cache.shrinker);
}

/* A free waits for references, or leaves the release to the last of them. */
static void free_waits_for_references(struct reclaim_domain *domain)
{
	struct waiter freeing;
	struct cache a;

	cache_open(&a, domain, 'a', 10);
	CHECK(shrinker_try_get(a.shrinker));
	CHECK(shrinker_try_get(a.shrinker));
	waiter_start(&freeing, a.shrinker, true);
	wait_until_lingering(domain);
	CHECK_EQ(walk(domain, 0), 0);
	shrinker_put(a.shrinker);
	moment();
	CHECK(!atomic_load(&freeing.done));
	shrinker_put(a.shrinker);
	thread_join(freeing.thread);
	CHECK_RELEASED(a.shrinker);

	cache_open(&a, domain, 'a', 10);
	CHECK(shrinker_try_get(a.shrinker));
	CHECK(shrinker_try_get(a.shrinker));
	CHECK(!shrinker_free_nowait(a.shrinker));
	CHECK_EQ(walk(domain, 0), 0);
	shrinker_put(a.shrinker);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
	CHECK_ALLOCATED(a.shrinker);
	shrinker_put(a.shrinker);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_RELEASED(a.shrinker);

	/* Without references a free need not wait, and an unregistered shrinker
	 * gives none. */
	cache_open(&a, domain, 'a', 10);
	CHECK(shrinker_try_get(a.shrinker));
	shrinker_put(a.shrinker);
	CHECK_EQ(walk(domain, 0), 10);
	CHECK(shrinker_unregister(a.shrinker, true));
	CHECK(!shrinker_try_get(a.shrinker));
	cache_close(&a);
}

int main(void)
{
	run_in(domain_new(1), free_waits_for_its_own_callback);
	run_in(domain_new(1), free_waits_for_all_its_callbacks);
	run_in(domain_new(1), a_sleeping_callback_holds_its_own_shrinker_only);
	run_in(domain_new(1), a_dying_shrinker_holds_no_other);
	run_in(domain_new(1), free_waits_for_any_number_of_walks);
	run_in(domain_new(1), a_callback_can_free_its_own_shrinker);
	run_in(domain_new(1), a_callback_can_free_another_shrinker);
	run_in(domain_new(1), two_callbacks_can_free_each_other);
	run_in(domain_new(1), unregister_is_idempotent);
	run_in(domain_new(1), registering_unsettles_a_shrinker);
	run_in(domain_new(1), free_nowait_leaves_the_release_to_the_walk);
	run_in(domain_new(1), free_waits_for_references);
	return checks_report("test_holding");
}
