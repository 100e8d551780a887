/* SPDX-License-Identifier: MIT */
/* fork() in a process whose other threads are inside the library. */
#include <shrinker/events.h>

#include "threads.h"

struct forked {
	struct reclaim_domain *domain;
	struct cache *sleeping;
	struct cache *other;
};

static void use_everything(void *arg)
{
	struct forked *forked = arg;
	struct reclaim_domain *domain;
	struct cache fresh;

	/* The walk of the thread that the child does not have holds nothing. */
	forked->sleeping->on_count = NULL;
	CHECK_EQ(walk(forked->domain, 0), 20);
	cache_close(forked->sleeping);
	CHECK_EQ(reclaim_domain_nr_lingering(forked->domain), 0);

	cache_open(&fresh, forked->domain, 'f', 30);
	atomic_store(&forked->other->objects, 5);
	CHECK_EQ(walk(forked->domain, 0), 35);
	CHECK_EQ(reclaim_trace_start(forked->domain, 10), 0);
	reclaim_trace_stop(forked->domain);
	domain_close(forked->domain);

	domain = domain_new(2);
	cache_open(&fresh, domain, 'f', 30);
	CHECK_EQ(walk(domain, 0), 30);
	domain_close(domain);
	CHECK(reclaim_default_domain());
}

/* A child that is forked during another thread's callback can walk, close the
 * shrinker of that callback, and make domains; the parent goes on. */
static void fork_during_a_walk(struct reclaim_domain *domain)
{
	struct sleepers s;
	struct cache b;
	struct forked forked = { domain, &s.cache, &b };

	sleepers_open(&s, domain, false);
	cache_open(&b, domain, 'b', 10);
	sleepers_walk(&s, 1);
	in_child(use_everything, &forked);

	/* In the parent the callback still runs. */
	CHECK(!shrinker_free_nowait(s.cache.shrinker));
	sleepers_wake(&s);
	sleepers_join(&s);
	CHECK_EQ(atomic_load(&b.objects), 0);
}

static void unregister_and_close(void *arg)
{
	struct cache *cache = arg;

	CHECK(shrinker_unregister(cache->shrinker, true));
	cache_close(cache);
}

/* The child does not have the thread that waits in shrinker_unregister(), and can
 * do what that was about to do. */
static void fork_while_a_thread_waits(struct reclaim_domain *domain)
{
	struct waiter waiter;
	struct sleepers s;

	sleepers_start(&s, domain);
	waiter_start(&waiter, s.cache.shrinker, false);
	wait_until_lingering(domain);
	in_child(unregister_and_close, &s.cache);
	CHECK(!atomic_load(&waiter.done));
	sleepers_wake(&s);
	sleepers_join(&s);
	thread_join(waiter.thread);
	cache_close(&s.cache);
}

static void nothing_lingers(void *domain)
{
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
}

/* A freed shrinker whose last callback runs in a thread that the child does not
 * have: fork() releases it in the child. */
static void fork_releases_what_only_lost_threads_held(struct reclaim_domain *domain)
{
	struct sleepers s;

	sleepers_start(&s, domain);
	CHECK(!shrinker_free_nowait(s.cache.shrinker));
	in_child(nothing_lingers, domain);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
	sleepers_wake(&s);
	sleepers_join(&s);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
}

static pid_t forked_here;

static void fork_here(struct cache *cache, struct shrink_control *sc)
{
	struct reclaim_domain *domain = cache->shrinker->domain;

	(void)sc;
	cache->on_count = NULL;
	forked_here = fork();
	CHECK(forked_here >= 0);
	if (forked_here == 0) {
		alarm(30);
		CHECK(reclaim_in_callback());
		CHECK_EQ(walk(domain, 0), 0); /* No reclaim in a callback. */
		cache_close(cache); /* Its own shrinker: does not wait. */
		CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
	}
}

/* A child that is forked inside a callback is inside that callback too.  The walk
 * goes on to its end in both. */
static void fork_inside_a_callback(struct reclaim_domain *domain)
{
	char log[LOG_SIZE] = "";
	struct cache cache[2];
	unsigned long freed;

	caches_open(cache, domain, "ab", 10, log);
	cache[0].on_count = fork_here;
	freed = walk(domain, 0);
	/* In the child the first shrinker was freed before its scan. */
	CHECK_EQ(freed, forked_here ? 20 : 10);
	CHECK_TEXT(log, "ab");
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	if (forked_here == 0) {
		CHECK(!reclaim_in_callback());
		cache_close(&cache[1]);
		leave_child();
	}
	wait_for_child(forked_here);
}

struct bustle {
	struct reclaim_domain *domain;
	struct cache steady;
	_Atomic(bool) stop;
};

static void *count_until_stopped(void *arg)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };
	struct bustle *bustle = arg;
	unsigned long count;

	while (!atomic_load(&bustle->stop))
		CHECK(shrinker_count_objects(bustle->steady.shrinker, &sc, &count));
	return NULL;
}

static void *walk_and_free_until_stopped(void *arg)
{
	struct bustle *bustle = arg;

	while (!atomic_load(&bustle->stop)) {
		struct cache passing;

		cache_open(&passing, bustle->domain, 'p', 10);
		walk(bustle->domain, 0);
		cache_close(&passing);
	}
	return NULL;
}

static void close_the_steady_cache(void *arg)
{
	struct bustle *bustle = arg;

	walk(bustle->domain, 12);
	cache_close(&bustle->steady);
	cache_open(&bustle->steady, bustle->domain, 's', 0);
	walk(bustle->domain, 12);
	cache_close(&bustle->steady);
}

static void fork_beside(struct reclaim_domain *domain, void *(*run)(void *))
{
	struct bustle bustle = { .domain = domain };
	pthread_t thread;
	int i;

	cache_open(&bustle.steady, domain, 's', 10);
	bustle.steady.keeps = true;
	thread = thread_start(run, &bustle);
	for (i = 0; i < 100; i++)
		in_child(close_the_steady_cache, &bustle);
	atomic_store(&bustle.stop, true);
	thread_join(thread);
	cache_close(&bustle.steady);
}

/* Wherever another thread is inside the library at the moment of a fork, the child
 * can close the shrinker that it is at. */
static void fork_beside_walks_and_frees(struct reclaim_domain *domain)
{
	fork_beside(domain, walk_and_free_until_stopped);
}

static void fork_beside_direct_counts(struct reclaim_domain *domain)
{
	fork_beside(domain, count_until_stopped);
}

int main(void)
{
	run_in(domain_new(1), fork_during_a_walk);
	run_in(domain_new(1), fork_while_a_thread_waits);
	run_in(domain_new(1), fork_inside_a_callback);
	run_in(domain_new(1), fork_beside_walks_and_frees);
	run_in(domain_new(1), fork_releases_what_only_lost_threads_held);
	run_in(domain_new(1), fork_beside_direct_counts);
	return checks_report("test_fork");
}
