/* SPDX-License-Identifier: MIT */
/*
 * fork() handlers that cannot be installed.  Then no domain can be made, because a
 * child might find it locked for ever; the next call works.
 */
#include <linux/list_lru.h>
#include <shrinker/events.h>

#include "injector.h"
#include "threads.h"

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

static void close_in_child(void *arg)
{
	struct reclaim_domain *domain = arg;

	/* The handlers ran: they have stopped the events. */
	CHECK_EQ(reclaim_trace_start(domain, 10), 0);
	CHECK_EQ(walk(domain, 0), 10);
	domain_close(domain);
}

/* Two threads may install the handlers at once: then fork() runs both, and each
 * lock is taken and released once. */
static void handlers_that_are_installed_twice(void)
{
	struct reclaim_domain *domain;
	struct cache cache;

	atfork_times = 2;
	domain = domain_new(1);
	atfork_times = 1;
	cache_open(&cache, domain, 'c', 10);
	CHECK_EQ(reclaim_trace_start(domain, 10), 0);
	in_child(close_in_child, domain);
	CHECK(reclaim_trace_start(domain, 10) < 0);
	CHECK_EQ(walk(domain, 0), 10);
	domain_close(domain);
}

/* Handlers stay installed: later domains need no memory for them. */
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
	RUN(handlers_that_are_installed_twice);
	RUN(handlers_are_installed_once);
	return checks_report("test_no_memory_fork");
}
