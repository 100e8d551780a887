/* SPDX-License-Identifier: MIT */
/*
 * fork() handlers that cannot be installed: there is no domain then, which a child
 * might find locked for ever, and the next attempt works.
 */
#include <sys/wait.h>

#include <linux/list_lru.h>
#include <shrinker/trace.h>

#include "cache.h"
#include "injector.h"

static void without_handlers_no_domain(void)
{
	struct list_lru lru;

	atfork_fails = true;
	CHECK(!reclaim_domain_create(1, RECLAIM_STALL_LIMIT, 0));
	CHECK(!reclaim_default_domain());
	CHECK(!shrinker_alloc(0, "s"));
	CHECK_EQ(list_lru_init(&lru), -ENOMEM);
	list_lru_destroy(&lru);
	CHECK_EQ(shrink_slab(GFP_KERNEL, 0, NULL, 0), 0);
	atfork_fails = false;
}

/* As if two threads had installed them at once: a fork runs all of them, and each
 * lock is taken and let go once. */
static void handlers_that_are_there_twice(void)
{
	struct reclaim_domain *domain;
	struct cache cache;
	int status;
	pid_t pid;

	atfork_times = 2;
	domain = domain_new(1);
	atfork_times = 1;
	cache_open(&cache, domain, 'c', 10);
	CHECK_EQ(reclaim_trace_start(domain, 10), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		alarm(TEST_SECONDS);
		/* That the handlers ran is seen by the trace, which they end. */
		CHECK_EQ(reclaim_trace_start(domain, 10), 0);
		CHECK_EQ(walk(domain, 0), 10);
		cache_close(&cache);
		reclaim_domain_put(domain);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK(reclaim_trace_start(domain, 10) < 0);
	CHECK_EQ(walk(domain, 0), 10);
	cache_close(&cache);
	reclaim_domain_put(domain);
}

/* They stay: whatever comes later asks for no memory for them. */
static void handlers_are_installed_once(void)
{
	atfork_fails = true;
	reclaim_domain_put(domain_new(1));
	CHECK(reclaim_default_domain());
	atfork_fails = false;
}

int main(void)
{
	RUN(without_handlers_no_domain);
	RUN(handlers_that_are_there_twice);
	RUN(handlers_are_installed_once);
	return checks_report("test_no_memory_fork");
}
