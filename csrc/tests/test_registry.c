/* SPDX-License-Identifier: MIT */
/* The life of a shrinker: who finds it, who waits for whom, when it goes. */
#include "cache.h"
#include "domain.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif

/* That the memory has really gone can be seen under AddressSanitizer alone. */
#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#define CHECK_RELEASED(pointer) CHECK(__asan_address_is_poisoned(pointer))
#define CHECK_THERE(pointer) CHECK(!__asan_address_is_poisoned(pointer))
#else
#define CHECK_RELEASED(pointer) CHECK((pointer) != NULL)
#define CHECK_THERE(pointer) CHECK((pointer) != NULL)
#endif

/* --- registering ---------------------------------------------------------- */

/* Walks visit shrinkers in the order in which they were registered. */
static void registration_order_is_walk_order(void)
{
	struct reclaim_domain *domain = domain_new(1);
	char log[LOG_SIZE] = "";
	struct cache a, b, c, d;

	cache_prepare(&a, domain, 0, 'a', 10);
	cache_prepare(&b, domain, 0, 'b', 0);
	cache_prepare(&c, domain, 0, 'c', 10);
	a.log = b.log = c.log = log;
	shrinker_register(c.shrinker);
	shrinker_register(a.shrinker);
	shrinker_register(b.shrinker);
	CHECK_EQ(shrinker_debugfs_id(c.shrinker), 0);
	CHECK_EQ(shrinker_debugfs_id(a.shrinker), 1);
	CHECK_EQ(shrinker_id(a.shrinker), -1);
	walk(domain, 12);
	CHECK_TEXT(log, "cab");

	/* From the middle, the tail and the head of the list. */
	cache_close(&a);
	walk(domain, 12);
	CHECK_TEXT(log, "cabcb");
	cache_close(&b);
	cache_open(&d, domain, 'd', 10);
	CHECK_EQ(shrinker_debugfs_id(d.shrinker), 3);
	d.log = log;
	walk(domain, 12);
	CHECK_TEXT(log, "cabcbcd");
	cache_close(&c);
	walk(domain, 12);
	CHECK_TEXT(log, "cabcbcdd");
	cache_close(&d);
	CHECK_EQ(walk(domain, 12), 0);
	reclaim_domain_put(domain);
}

/* Before it is registered nobody finds a shrinker, and it can be freed. */
static void allocated_is_not_registered(void)
{
	struct reclaim_domain *domain = domain_new(2);
	struct shrink_control sc = { .nid = 0 };
	unsigned long ret = 7;
	struct cache a;

	cache_prepare(&a, domain, SHRINKER_NUMA_AWARE, 'a', 10);
	CHECK_EQ(a.shrinker->flags, SHRINKER_ALLOCATED | SHRINKER_NUMA_AWARE);
	CHECK_EQ(a.shrinker->seeks, DEFAULT_SEEKS);
	CHECK_EQ(a.shrinker->batch, 0);
	CHECK_EQ(walk(domain, 0), 0);
	CHECK(!shrinker_try_get(a.shrinker));
	CHECK(!shrinker_count_objects(a.shrinker, &sc, &ret));
	CHECK(!shrinker_scan_objects(a.shrinker, &sc, &ret));
	CHECK_EQ(ret, 7);
	CHECK_EQ(atomic_load(&a.counts), 0);
	cache_close(&a);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);

	cache_prepare(&a, domain, 0, 'a', 10);
	CHECK(shrinker_free_nowait(a.shrinker));
	shrinker_free(NULL);
	reclaim_domain_put(domain);
}

/* Runs what warns with standard error in a file; returns what it said. */
static size_t warned(struct shrinker *shrinker)
{
	FILE *file = tmpfile();
	int saved = dup(2);
	long length;

	CHECK(file && saved >= 0);
	dup2(fileno(file), 2);
	shrinker_register(shrinker);
	dup2(saved, 2);
	close(saved);
	fseek(file, 0, SEEK_END);
	length = ftell(file);
	fclose(file);
	return (size_t)length;
}

/* Registering twice, or what was never allocated, warns and does nothing. */
static void wrong_registration_warns(void)
{
	struct reclaim_domain *domain = domain_new(1);
	char log[LOG_SIZE] = "";
	struct shrinker stranger;
	struct cache a, b;

	cache_prepare(&a, domain, 0, 'a', 10);
	CHECK_EQ(warned(a.shrinker), 0);
	cache_open(&b, domain, 'b', 10);
	a.log = b.log = log;
	CHECK(warned(a.shrinker) > 0);
	CHECK_EQ(shrinker_debugfs_id(a.shrinker), 0);
	walk(domain, 12);
	CHECK_TEXT(log, "ab");

	/* Neither does it come back once it has been unregistered. */
	CHECK(shrinker_unregister(a.shrinker, true));
	CHECK(warned(a.shrinker) > 0);
	walk(domain, 12);
	CHECK_TEXT(log, "abb");

	memset(&stranger, 0, sizeof(stranger));
	CHECK(warned(&stranger) > 0);
	CHECK_EQ(stranger.flags, 0);
	cache_close(&a);
	cache_close(&b);
	reclaim_domain_put(domain);
}

struct naming {
	struct shrinker *shrinker;
	_Atomic(bool) stop;
};

static void *rename_for_ever(void *arg)
{
	struct naming *naming = arg;
	int i;

	for (i = 0; !atomic_load(&naming->stop); i++)
		CHECK(shrinker_rename(naming->shrinker,
				      i % 2 ? "short" : "a rather long name"));
	return NULL;
}

/* A name is what it was set to last, cut to the reader's buffer, and is never
 * seen half. */
static void names_can_change(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct naming naming;
	pthread_t thread;
	char name[32] = "xxxx";
	struct cache a;
	int i;

	cache_open(&a, domain, 'a', 10);
	CHECK_EQ(shrinker_copy_name(a.shrinker, NULL, 0), 1);
	CHECK_EQ(shrinker_copy_name(a.shrinker, name, 2), 1);
	CHECK_TEXT(name, "a");
	CHECK(shrinker_rename(a.shrinker, "sb-ext4:vda1"));
	CHECK_EQ(shrinker_copy_name(a.shrinker, name, sizeof(name)), 12);
	CHECK_TEXT(name, "sb-ext4:vda1");
	CHECK_EQ(shrinker_copy_name(a.shrinker, name, 8), 12);
	CHECK_TEXT(name, "sb-ext4");
	CHECK_EQ(shrinker_copy_name(a.shrinker, name, 1), 12);
	CHECK_TEXT(name, "");

	naming.shrinker = a.shrinker;
	atomic_store(&naming.stop, false);
	CHECK(shrinker_rename(a.shrinker, "short"));
	thread = thread_start(rename_for_ever, &naming);
	for (i = 0; i < 2000; i++) {
		unsigned long length =
			shrinker_copy_name(a.shrinker, name, sizeof(name));

		CHECK_TEXT(name, length == 5 ? "short" : "a rather long name");
	}
	atomic_store(&naming.stop, true);
	thread_join(thread);
	cache_close(&a);
	reclaim_domain_put(domain);
}

/* Whatever was done before, nobody buries a shrinker ahead of its own fence. */
static void registering_forgets_an_earlier_unregister(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct sleeper sleeper;
	pthread_t walker;
	struct cache a;

	sleeper_init(&sleeper);
	cache_prepare(&a, domain, 0, 'a', 10);
	CHECK(shrinker_unregister(a.shrinker, true));
	shrinker_register(a.shrinker);
	a.on_count = sleep_here;
	a.arg = &sleeper;
	CHECK(!a.shrinker->settled);

	walker = thread_start(walk_thread, domain);
	semaphore_wait(&sleeper.entered);
	CHECK(!shrinker_unregister(a.shrinker, false));
	sem_post(&sleeper.leave);
	thread_join(walker);
	cache_close(&a);
	reclaim_domain_put(domain);
}

/* A domain has 1 to RECLAIM_MAX_NODES nodes. */
static void domains_have_nodes(void)
{
	struct reclaim_domain *domain;

	CHECK(!reclaim_domain_create(0, 0, 0));
	CHECK(!reclaim_domain_create(-1, 0, 0));
	CHECK(!reclaim_domain_create(RECLAIM_MAX_NODES + 1, 0, 0));
	domain = domain_new(RECLAIM_MAX_NODES);
	CHECK_EQ(reclaim_domain_nr_nodes(domain), RECLAIM_MAX_NODES);
	reclaim_domain_put(domain);
	reclaim_domain_put(NULL);
}

/* A shrinker holds its domain: it may be freed after the creator let go. */
static void domain_lives_as_long_as_its_shrinkers(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache a, b;

	cache_open(&a, domain, 'a', 10);
	cache_prepare(&b, domain, 0, 'b', 10);
	reclaim_domain_put(domain);
	CHECK_THERE(domain);
	CHECK_EQ(walk(domain, 0), 10);
	shrinker_register(b.shrinker);
	cache_close(&a);
	CHECK_EQ(walk(domain, 0), 10);
	cache_close(&b);
	CHECK_RELEASED(domain);
}

/* --- freeing and waiting -------------------------------------------------- */

/* shrinker_free() returns when the shrinker's running callback has, not before. */
static void free_waits_for_its_own_callback(void)
{
	int in_scan;

	for (in_scan = 0; in_scan < 2; in_scan++) {
		struct reclaim_domain *domain = domain_new(1);
		struct freeing freeing;
		struct sleeper sleeper;
		pthread_t walker;
		struct cache a;

		sleeper_init(&sleeper);
		cache_prepare(&a, domain, 0, 'a', 10);
		*(in_scan ? &a.on_scan : &a.on_count) = sleep_here;
		a.arg = &sleeper;
		shrinker_register(a.shrinker);

		walker = thread_start(walk_thread, domain);
		semaphore_wait(&sleeper.entered);
		freeing_start(&freeing, a.shrinker);
		moment();
		CHECK(!atomic_load(&freeing.done));
		CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
		/* No new callback starts meanwhile: this would sleep. */
		CHECK_EQ(walk(domain, 0), 0);

		sem_post(&sleeper.leave);
		thread_join(freeing.thread);
		CHECK_EQ(atomic_load(&sleeper.left), 1);
		thread_join(walker);
		CHECK_RELEASED(a.shrinker);
		CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
		reclaim_domain_put(domain);
	}
}

/* Two callbacks of one shrinker run at once, and a free waits for both. */
static void free_waits_for_all_its_callbacks(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct freeing freeing;
	struct sleeper sleeper;
	pthread_t walker[2];
	struct cache a;

	sleeper_init(&sleeper);
	cache_prepare(&a, domain, 0, 'a', 10);
	a.on_count = sleep_here;
	a.arg = &sleeper;
	shrinker_register(a.shrinker);
	walker[0] = thread_start(walk_thread, domain);
	walker[1] = thread_start(walk_thread, domain);
	semaphore_wait(&sleeper.entered);
	semaphore_wait(&sleeper.entered);
	freeing_start(&freeing, a.shrinker);
	moment();
	sem_post(&sleeper.leave);
	moment();
	CHECK_EQ(atomic_load(&sleeper.left), 1);
	CHECK(!atomic_load(&freeing.done));
	sem_post(&sleeper.leave);
	thread_join(freeing.thread);
	thread_join(walker[0]);
	thread_join(walker[1]);
	reclaim_domain_put(domain);
}

/* One sleeping callback pins no other shrinker: neither those before and behind
 * it in the list, nor their memory; and all of the library goes on. */
static void a_sleeping_callback_pins_nobody_else(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct shrinker *freed[4];
	char log[LOG_SIZE] = "";
	struct cache a, b, sleeping, c, d, e;
	struct sleeper sleeper;
	pthread_t walker;
	int i;

	sleeper_init(&sleeper);
	cache_open(&a, domain, 'a', 10);
	cache_open(&b, domain, 'b', 10);
	cache_prepare(&sleeping, domain, 0, 's', 10);
	sleeping.on_count = sleep_here;
	sleeping.arg = &sleeper;
	shrinker_register(sleeping.shrinker);
	cache_open(&c, domain, 'c', 10);
	cache_open(&d, domain, 'd', 10);
	d.log = log;

	walker = thread_start(walk_thread, domain);
	semaphore_wait(&sleeper.entered);
	freed[0] = a.shrinker;
	freed[1] = b.shrinker;
	freed[2] = c.shrinker;
	cache_close(&c); /* The successor. */
	cache_close(&b); /* The predecessor. */
	CHECK(shrinker_free_nowait(a.shrinker));
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	for (i = 0; i < 3; i++)
		CHECK_RELEASED(freed[i]);
	CHECK_THERE(sleeping.shrinker);

	/* Registering and counting do not wait either. */
	cache_open(&e, domain, 'e', 10);
	e.log = log;
	CHECK(shrinker_try_get(d.shrinker));
	shrinker_put(d.shrinker);

	sem_post(&sleeper.leave);
	thread_join(walker);
	CHECK_TEXT(log, "de");
	sem_post(&sleeper.leave); /* The free finds no callback; nothing sleeps. */
	cache_close(&sleeping);
	cache_close(&d);
	cache_close(&e);
	reclaim_domain_put(domain);
}

/* While a freed shrinker's callback sleeps, others can still be freed. */
static void a_dying_shrinker_pins_nobody_else(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct freeing freeing;
	struct sleeper sleeper;
	struct cache a, b[70];
	pthread_t walker;
	int i;

	sleeper_init(&sleeper);
	cache_prepare(&a, domain, 0, 'a', 10);
	a.on_count = sleep_here;
	a.arg = &sleeper;
	shrinker_register(a.shrinker);
	walker = thread_start(walk_thread, domain);
	semaphore_wait(&sleeper.entered);
	freeing_start(&freeing, a.shrinker);
	while (!reclaim_domain_nr_lingering(domain))
		usleep(100);

	/* More than dying_mask has bits. */
	for (i = 0; i < 70; i++)
		cache_open(&b[i], domain, 'b', 1);
	CHECK_EQ(walk(domain, 0), 70);
	for (i = 0; i < 70; i++) {
		struct shrinker *shrinker = b[i].shrinker;

		CHECK(shrinker_free_nowait(shrinker));
		CHECK_RELEASED(shrinker);
	}
	CHECK(!atomic_load(&freeing.done));
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
	sem_post(&sleeper.leave);
	thread_join(walker);
	thread_join(freeing.thread);
	reclaim_domain_put(domain);
}

/* More walks at once than a domain has records ready. */
static void any_number_of_walks(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct reclaim_statistics statistics;
	pthread_t walker[3 * SPARE_WALKERS];
	struct freeing freeing;
	struct sleeper sleeper;
	struct cache a;
	int i;

	sleeper_init(&sleeper);
	cache_prepare(&a, domain, 0, 'a', 10);
	a.on_count = sleep_here;
	a.arg = &sleeper;
	shrinker_register(a.shrinker);
	for (i = 0; i < 3 * SPARE_WALKERS; i++)
		walker[i] = thread_start(walk_thread, domain);
	for (i = 0; i < 3 * SPARE_WALKERS; i++)
		semaphore_wait(&sleeper.entered);
	freeing_start(&freeing, a.shrinker);
	for (i = 0; i < 3 * SPARE_WALKERS; i++) {
		CHECK(!atomic_load(&freeing.done));
		sem_post(&sleeper.leave);
	}
	thread_join(freeing.thread);
	CHECK_EQ(atomic_load(&sleeper.left), 3 * SPARE_WALKERS);
	for (i = 0; i < 3 * SPARE_WALKERS; i++)
		thread_join(walker[i]);
	reclaim_domain_get_statistics(domain, &statistics);
	CHECK_EQ(statistics.walks, 3 * SPARE_WALKERS);
	reclaim_domain_put(domain);
}

struct counted {
	struct reclaim_domain *domain;
	pthread_barrier_t barrier;
};

/* Keeps the first of the caches waiting until all walks have come. */
static void meet_the_others(struct cache *cache, struct shrink_control *sc)
{
	struct counted *counted = cache->arg;

	(void)sc;
	pthread_barrier_wait(&counted->barrier);
}

/* What walks with any record have counted is the shrinker's; and a shrinker that
 * comes later begins with nothing, whatever its memory has been used for. */
static void each_shrinker_has_its_own_numbers(void)
{
	struct counted counted = { .domain = domain_new(1) };
	pthread_t walker[3 * SPARE_WALKERS];
	struct shrinker_statistics own;
	struct cache cache[200];
	int round, i;

	pthread_barrier_init(&counted.barrier, NULL, 3 * SPARE_WALKERS);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 200; i++) {
			cache_prepare(&cache[i], counted.domain, 0, 'a', 1000);
			cache[i].shrinker->batch = i + 1;
			cache[i].keeps = true;
			if (!i) {
				cache[i].on_count = meet_the_others;
				cache[i].arg = &counted;
			}
			shrinker_register(cache[i].shrinker);
		}
		for (i = 0; i < 3 * SPARE_WALKERS; i++)
			walker[i] = thread_start(walk_thread, counted.domain);
		for (i = 0; i < 3 * SPARE_WALKERS; i++)
			thread_join(walker[i]);
		for (i = 0; i < 200; i++) {
			shrinker_get_statistics(cache[i].shrinker, &own);
			CHECK_EQ(own.passes, 3 * SPARE_WALKERS);
			CHECK_EQ(own.scan_calls, atomic_load(&cache[i].scans));
			CHECK_EQ(own.scanned, own.scan_calls * (unsigned)(i + 1));
			CHECK_EQ(own.freed, own.scanned);
		}
		/* Some leave places between others. */
		for (i = round; i < 200; i += 3)
			cache_close(&cache[i]);
		for (i = 0; i < 200; i++)
			if (cache[i].shrinker)
				cache_close(&cache[i]);
	}
	pthread_barrier_destroy(&counted.barrier);
	reclaim_domain_put(counted.domain);
}

/* --- freeing inside callbacks --------------------------------------------- */

static void free_itself(struct cache *cache, struct shrink_control *sc)
{
	struct reclaim_domain *domain = cache->shrinker->domain;

	(void)sc;
	CHECK(reclaim_in_callback());
	shrinker_free(cache->shrinker);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
	CHECK(!shrinker_try_get(cache->shrinker));
}

/* A callback frees its own shrinker: nothing waits, and the walk releases it. */
static void free_inside_its_own_callback(void)
{
	int in_scan;

	for (in_scan = 0; in_scan < 2; in_scan++) {
		struct reclaim_domain *domain = domain_new(1);
		char log[LOG_SIZE] = "";
		struct cache a, b, c;

		cache_open(&a, domain, 'a', 10);
		cache_open(&b, domain, 'b', 10);
		cache_open(&c, domain, 'c', 10);
		a.log = b.log = c.log = log;
		*(in_scan ? &b.on_scan : &b.on_count) = free_itself;
		b.answers = true;
		b.answer = SHRINK_STOP;
		CHECK_EQ(walk(domain, 0), 20);
		CHECK_TEXT(log, "abc");
		CHECK_RELEASED(b.shrinker);
		CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
		walk(domain, 0);
		CHECK_TEXT(log, "abcac");
		cache_close(&a);
		cache_close(&c);
		reclaim_domain_put(domain);
	}
}

static void free_other(struct cache *cache, struct shrink_control *sc)
{
	struct cache *other = cache->arg;

	(void)sc;
	if (!other->shrinker)
		return;
	cache_close(other);
}

/* A callback frees another shrinker, which no callback runs in: it goes at
 * once, and the walk does not come to it. */
static void free_inside_another_callback(void)
{
	struct reclaim_domain *domain = domain_new(1);
	char log[LOG_SIZE] = "";
	struct shrinker *freed;
	struct cache a, b, c;

	cache_open(&a, domain, 'a', 10);
	cache_open(&b, domain, 'b', 10);
	cache_open(&c, domain, 'c', 10);
	a.log = b.log = c.log = log;
	freed = b.shrinker;
	a.on_count = free_other;
	a.arg = &b;
	CHECK_EQ(walk(domain, 0), 20);
	CHECK_TEXT(log, "ac");
	CHECK_EQ(atomic_load(&b.counts), 0);
	CHECK_RELEASED(freed);
	cache_close(&a);
	cache_close(&c);
	reclaim_domain_put(domain);
}

struct meeting {
	pthread_barrier_t *both_inside;
	struct shrinker *other;
};

static void meet_and_free_the_other(struct cache *cache,
				    struct shrink_control *sc)
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
static void two_callbacks_free_each_other(void)
{
	struct reclaim_domain *domain = domain_new(1);
	int i;

	for (i = 0; i < 20; i++) {
		struct meeting meeting_a, meeting_b;
		pthread_barrier_t both_inside;
		pthread_t first, second;
		struct cache a, b;

		pthread_barrier_init(&both_inside, NULL, 2);
		cache_open(&a, domain, 'a', 10);
		cache_open(&b, domain, 'b', 10);
		meeting_a = (struct meeting){ &both_inside, b.shrinker };
		meeting_b = (struct meeting){ &both_inside, a.shrinker };
		a.arg = &meeting_a;
		b.arg = &meeting_b;
		a.on_count = b.on_count = meet_and_free_the_other;
		first = thread_start(count_thread, &a);
		second = thread_start(count_thread, &b);
		thread_join(first);
		thread_join(second);
		CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
		CHECK_RELEASED(a.shrinker);
		CHECK_RELEASED(b.shrinker);
		pthread_barrier_destroy(&both_inside);
	}
	reclaim_domain_put(domain);
}

/* --- unregistering, deferred frees, references ---------------------------- */

/* Unregistering twice, or in several threads at once, is unregistering once. */
static void unregister_is_idempotent(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct unregistering unregistering;
	struct sleeper sleeper;
	pthread_t walker, thread[4];
	struct cache a;
	int i;

	cache_open(&a, domain, 'a', 10);
	CHECK(shrinker_unregister(a.shrinker, true));
	CHECK(shrinker_unregister(a.shrinker, true));
	CHECK(shrinker_unregister(a.shrinker, false));
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_EQ(shrinker_nr_deferred(a.shrinker, 0, NULL), 0); /* Still there. */
	cache_close(&a);

	sleeper_init(&sleeper);
	cache_prepare(&a, domain, 0, 'a', 10);
	a.on_count = sleep_here;
	a.arg = &sleeper;
	shrinker_register(a.shrinker);
	walker = thread_start(walk_thread, domain);
	semaphore_wait(&sleeper.entered);
	CHECK(!shrinker_unregister(a.shrinker, false));
	CHECK(!shrinker_unregister(a.shrinker, false));
	unregistering.shrinker = a.shrinker;
	atomic_store(&unregistering.done, 0);
	for (i = 0; i < 4; i++)
		thread[i] = thread_start(unregister_thread, &unregistering);
	moment();
	CHECK_EQ(atomic_load(&unregistering.done), 0);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
	sem_post(&sleeper.leave);
	for (i = 0; i < 4; i++)
		thread_join(thread[i]);
	CHECK_EQ(atomic_load(&sleeper.left), 1);
	CHECK_THERE(a.shrinker);
	cache_close(&a);
	thread_join(walker);
	reclaim_domain_put(domain);
}

/* A free that does not wait leaves the memory to the last running callback. */
static void free_nowait_leaves_the_rest_to_the_walk(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct sleeper sleeper;
	pthread_t walker;
	struct cache a;

	cache_open(&a, domain, 'a', 10);
	CHECK(shrinker_free_nowait(a.shrinker));
	CHECK_RELEASED(a.shrinker);

	sleeper_init(&sleeper);
	cache_prepare(&a, domain, 0, 'a', 10);
	a.on_scan = sleep_here;
	a.arg = &sleeper;
	shrinker_register(a.shrinker);
	walker = thread_start(walk_thread, domain);
	semaphore_wait(&sleeper.entered);
	CHECK(!shrinker_free_nowait(a.shrinker));
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
	CHECK_THERE(a.shrinker);
	sem_post(&sleeper.leave);
	thread_join(walker);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_RELEASED(a.shrinker);
	reclaim_domain_put(domain);
}

/* A reference holds a free back, however it is freed, and the last put of
 * several finishes it. */
static void references_hold_a_free_back(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct freeing freeing;
	struct cache a;

	cache_open(&a, domain, 'a', 10);
	CHECK(shrinker_try_get(a.shrinker));
	CHECK(shrinker_try_get(a.shrinker));
	freeing_start(&freeing, a.shrinker);
	while (!reclaim_domain_nr_lingering(domain))
		usleep(100);
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
	CHECK_THERE(a.shrinker);
	shrinker_put(a.shrinker);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	CHECK_RELEASED(a.shrinker);

	/* Put in time, it holds nothing back; unregistered, none is to be had. */
	cache_open(&a, domain, 'a', 10);
	CHECK(shrinker_try_get(a.shrinker));
	shrinker_put(a.shrinker);
	CHECK_EQ(walk(domain, 0), 10);
	CHECK(shrinker_unregister(a.shrinker, true));
	CHECK(!shrinker_try_get(a.shrinker));
	cache_close(&a);
	reclaim_domain_put(domain);
}

/* --- a walk whose place goes away ----------------------------------------- */

/* What happens while the walk is at one shrinker. */
struct upheaval {
	struct cache *leave[3];
	struct cache *arrive[2];
};

static void turn_upside_down(struct cache *cache, struct shrink_control *sc)
{
	struct upheaval *upheaval = cache->arg;
	int i;

	(void)sc;
	for (i = 0; i < 3; i++)
		if (upheaval->leave[i])
			shrinker_unregister(upheaval->leave[i]->shrinker, true);
	for (i = 0; i < 2; i++)
		if (upheaval->arrive[i])
			shrinker_register(upheaval->arrive[i]->shrinker);
}

/* Registers a to e, has @upheaval happen in c, and tells whom the walk met. */
static void walk_in_upheaval(const char *leave, const char *arrive,
			     const char *visited)
{
	struct reclaim_domain *domain = domain_new(1);
	struct upheaval upheaval;
	char log[LOG_SIZE] = "";
	struct cache cache[7];
	int i;

	memset(&upheaval, 0, sizeof(upheaval));
	for (i = 0; i < 7; i++) {
		cache_prepare(&cache[i], domain, 0, (char)('a' + i), 10);
		cache[i].log = log;
		if (i < 5)
			shrinker_register(cache[i].shrinker);
	}
	for (i = 0; leave[i]; i++)
		upheaval.leave[i] = &cache[leave[i] - 'a'];
	for (i = 0; arrive[i]; i++)
		upheaval.arrive[i] = &cache[arrive[i] - 'a'];
	cache[2].on_count = turn_upside_down;
	cache[2].arg = &upheaval;
	walk(domain, 12);
	CHECK_TEXT(log, visited);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	for (i = 0; i < 7; i++)
		cache_close(&cache[i]);
	reclaim_domain_put(domain);
}

/* Whoever leaves or comes, the walk goes on with the right successor, meets
 * nobody twice, misses nobody who stays, and meets those who come. */
static void a_walk_survives_its_place(void)
{
	walk_in_upheaval("", "", "abcde");
	walk_in_upheaval("c", "", "abcde");
	walk_in_upheaval("d", "", "abce");
	walk_in_upheaval("cd", "", "abce");
	walk_in_upheaval("cde", "", "abc");
	walk_in_upheaval("b", "", "abcde");
	walk_in_upheaval("ac", "", "abcde");
	walk_in_upheaval("abc", "", "abcde");
	walk_in_upheaval("", "f", "abcdef");
	walk_in_upheaval("c", "f", "abcdef");
	walk_in_upheaval("cde", "gf", "abcgf");
	walk_in_upheaval("de", "f", "abcf");
}

int main(void)
{
	RUN(registration_order_is_walk_order);
	RUN(allocated_is_not_registered);
	RUN(wrong_registration_warns);
	RUN(names_can_change);
	RUN(domains_have_nodes);
	RUN(domain_lives_as_long_as_its_shrinkers);
	RUN(free_waits_for_its_own_callback);
	RUN(free_waits_for_all_its_callbacks);
	RUN(a_sleeping_callback_pins_nobody_else);
	RUN(a_dying_shrinker_pins_nobody_else);
	RUN(any_number_of_walks);
	RUN(each_shrinker_has_its_own_numbers);
	RUN(free_inside_its_own_callback);
	RUN(free_inside_another_callback);
	RUN(two_callbacks_free_each_other);
	RUN(unregister_is_idempotent);
	RUN(free_nowait_leaves_the_rest_to_the_walk);
	RUN(references_hold_a_free_back);
	RUN(a_walk_survives_its_place);
	RUN(registering_forgets_an_earlier_unregister);
	return checks_report("test_registry");
}
