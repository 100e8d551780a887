/* SPDX-License-Identifier: MIT */
/* fork() in a process whose other threads are in the middle of things. */
#include <sys/wait.h>

#include <shrinker/trace.h>

#include "cache.h"

/* Not exit(): what the parent has to do at its end is none of the child's business,
 * but for what it has reached (make coverage). */
static void leave_child(void)
{
#ifdef TESTS_COVERAGE
	extern void __gcov_dump(void);

	__gcov_dump();
#endif
	_exit(0);
}

/* Runs @child in a forked child under a time limit; it may use CHECK. */
static void in_child(void (*child)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		alarm(30);
		child(arg);
		leave_child();
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

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

	/* The walk of the thread that is not here holds nothing any more. */
	forked->sleeping->on_count = NULL;
	CHECK_EQ(walk(forked->domain, 0), 20);
	cache_close(forked->sleeping);
	CHECK_EQ(reclaim_domain_nr_lingering(forked->domain), 0);

	cache_open(&fresh, forked->domain, 'f', 30);
	atomic_store(&forked->other->objects, 5);
	CHECK_EQ(walk(forked->domain, 0), 35);
	CHECK_EQ(reclaim_trace_start(forked->domain, 10), 0);
	reclaim_trace_stop(forked->domain);
	cache_close(&fresh);
	cache_close(forked->other);
	reclaim_domain_put(forked->domain);

	domain = domain_new(2);
	cache_open(&fresh, domain, 'f', 30);
	CHECK_EQ(walk(domain, 0), 30);
	cache_close(&fresh);
	reclaim_domain_put(domain);
	CHECK(reclaim_default_domain());
}

/* A child forked in the middle of another thread's callback is whole: it can
 * walk, close that very shrinker, and make domains; the parent goes on. */
static void fork_in_the_middle_of_a_walk(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct sleeper sleeper;
	struct cache a, b;
	struct forked forked = { domain, &a, &b };
	pthread_t walker;

	sleeper_init(&sleeper);
	cache_prepare(&a, domain, 0, 'a', 10);
	a.on_count = sleep_here;
	a.arg = &sleeper;
	shrinker_register(a.shrinker);
	cache_open(&b, domain, 'b', 10);
	walker = thread_start(walk_thread, domain);
	semaphore_wait(&sleeper.entered);
	in_child(use_everything, &forked);

	CHECK(!shrinker_free_nowait(a.shrinker)); /* Here the callback still runs. */
	sem_post(&sleeper.leave);
	thread_join(walker);
	CHECK_EQ(atomic_load(&b.objects), 0);
	cache_close(&b);
	reclaim_domain_put(domain);
}

static void close_what_lost_threads_closed(void *arg)
{
	struct forked *forked = arg;

	CHECK(shrinker_unregister(forked->sleeping->shrinker, true));
	cache_close(forked->sleeping);
}

/* A thread that waits in shrinker_unregister() does not exist in the child,
 * which can do its work. */
static void fork_while_a_thread_waits(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct unregistering unregistering;
	struct sleeper sleeper;
	struct cache a;
	struct forked forked = { domain, &a, NULL };
	pthread_t walker, waiter;

	sleeper_init(&sleeper);
	cache_prepare(&a, domain, 0, 'a', 10);
	a.on_count = sleep_here;
	a.arg = &sleeper;
	shrinker_register(a.shrinker);
	walker = thread_start(walk_thread, domain);
	semaphore_wait(&sleeper.entered);
	unregistering.shrinker = a.shrinker;
	atomic_store(&unregistering.done, 0);
	waiter = thread_start(unregister_thread, &unregistering);
	while (!reclaim_domain_nr_lingering(domain))
		usleep(100);
	in_child(close_what_lost_threads_closed, &forked);
	CHECK_EQ(atomic_load(&unregistering.done), 0);
	sem_post(&sleeper.leave);
	thread_join(walker);
	thread_join(waiter);
	cache_close(&a);
	reclaim_domain_put(domain);
}

static void nothing_lingers(void *arg)
{
	struct forked *forked = arg;

	CHECK_EQ(reclaim_domain_nr_lingering(forked->domain), 0);
}

/* A freed shrinker whose last callback runs in a thread that the child does
 * not have: nobody else will release it there, so fork() does. */
static void fork_releases_what_only_lost_threads_hold(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct sleeper sleeper;
	struct cache a;
	struct forked forked = { domain, &a, NULL };
	pthread_t walker;

	sleeper_init(&sleeper);
	cache_prepare(&a, domain, 0, 'a', 10);
	a.on_count = sleep_here;
	a.arg = &sleeper;
	shrinker_register(a.shrinker);
	walker = thread_start(walk_thread, domain);
	semaphore_wait(&sleeper.entered);
	CHECK(!shrinker_free_nowait(a.shrinker));
	in_child(nothing_lingers, &forked);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 1);
	sem_post(&sleeper.leave);
	thread_join(walker);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	reclaim_domain_put(domain);
}

static pid_t forked_here;

static void fork_here(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	cache->on_count = NULL;
	forked_here = fork();
	CHECK(forked_here >= 0);
	if (forked_here == 0) {
		alarm(30);
		CHECK(reclaim_in_callback());
		CHECK_EQ(walk(cache->shrinker->domain, 0), 0); /* Nested. */
		shrinker_free(cache->shrinker); /* Its own: cannot wait. */
		CHECK_EQ(reclaim_domain_nr_lingering(cache->shrinker->domain), 1);
	}
}

/* A child forked inside a callback is in that callback still, and its walk
 * goes on to the end, in the child as in the parent. */
static void fork_inside_a_callback(void)
{
	struct reclaim_domain *domain = domain_new(1);
	char log[LOG_SIZE] = "";
	struct cache a, b;
	unsigned long freed;
	int status;

	cache_open(&a, domain, 'a', 10);
	cache_open(&b, domain, 'b', 10);
	a.log = b.log = log;
	a.on_count = fork_here;
	freed = walk(domain, 0);
	/* The child has freed the first shrinker before it was scanned. */
	CHECK_EQ(freed, forked_here ? 20 : 10);
	CHECK_TEXT(log, "ab");
	if (forked_here == 0) {
		CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
		CHECK(!reclaim_in_callback());
		cache_close(&b);
		leave_child();
	}
	CHECK_EQ(waitpid(forked_here, &status, 0), forked_here);
	CHECK_EQ(status, 0);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	cache_close(&a);
	cache_close(&b);
	reclaim_domain_put(domain);
}

struct bustle {
	struct reclaim_domain *domain;
	struct cache steady;
	_Atomic(bool) stop;
};

static void *counting_bustle(void *arg)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };
	struct bustle *bustle = arg;
	unsigned long count;

	while (!atomic_load(&bustle->stop))
		CHECK(shrinker_count_objects(bustle->steady.shrinker, &sc, &count));
	return NULL;
}

static void *walking_bustle(void *arg)
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

static void close_the_steady_one(void *arg)
{
	struct bustle *bustle = arg;

	walk(bustle->domain, 12);
	cache_close(&bustle->steady);
	cache_open(&bustle->steady, bustle->domain, 's', 0);
	walk(bustle->domain, 12);
	cache_close(&bustle->steady);
}

static void fork_beside(void *(*run)(void *), int times)
{
	struct bustle bustle;
	pthread_t thread;
	int i;

	bustle.domain = domain_new(1);
	cache_open(&bustle.steady, bustle.domain, 's', 10);
	bustle.steady.keeps = true;
	atomic_store(&bustle.stop, false);
	thread = thread_start(run, &bustle);
	for (i = 0; i < times; i++)
		in_child(close_the_steady_one, &bustle);
	atomic_store(&bustle.stop, true);
	thread_join(thread);
	cache_close(&bustle.steady);
	reclaim_domain_put(bustle.domain);
}

/* Wherever other threads are in the library at the moment of a fork, the
 * child can close what they were at. */
static void fork_beside_walks_and_frees(void)
{
	fork_beside(walking_bustle, 100);
}

/* The same where they call one shrinker directly. */
static void fork_beside_direct_counts(void)
{
	fork_beside(counting_bustle, 100);
}

int main(void)
{
	RUN(fork_in_the_middle_of_a_walk);
	RUN(fork_while_a_thread_waits);
	RUN(fork_inside_a_callback);
	RUN(fork_beside_walks_and_frees);
	RUN(fork_releases_what_only_lost_threads_hold);
	RUN(fork_beside_direct_counts);
	return checks_report("test_fork");
}
