/* SPDX-License-Identifier: MIT */
/* Hosts: when walks enter and leave them, and passes whose callbacks a host
 * calls. */
#include <shrinker/events.h>

#include "cache.h"

/* The calls of hosts and callbacks, in order: each appends a letter or sign. */
static char host_log[LOG_SIZE];
static bool host_lets_stay;
static int hosts_inside;
static struct reclaim_domain *host_domain;

/* Takes locks of the core, which must not be held. */
static void use_the_library(void)
{
	struct shrinker *shrinker =
		reclaim_shrinker_alloc(host_domain, 0, "from a host");

	CHECK(shrinker);
	CHECK_EQ(reclaim_domain_nr_lingering(host_domain), 0);
	CHECK(shrinker_free_nowait(shrinker));
}

static void host_enter(uintptr_t *state)
{
	CHECK_EQ(*state, 0);
	CHECK_EQ(hosts_inside++, 0);
	*state = 42;
	log_append(host_log, '(');
	use_the_library();
}

static void host_leave(uintptr_t *state)
{
	CHECK_EQ(*state, 42);
	CHECK_EQ(hosts_inside--, 1);
	log_append(host_log, ')');
	use_the_library();
}

static bool host_may_stay(uintptr_t *state)
{
	CHECK_EQ(*state, 42);
	log_append(host_log, '?');
	use_the_library();
	return host_lets_stay;
}

static void other_enter(uintptr_t *state)
{
	CHECK_EQ(*state, 0);
	CHECK_EQ(hosts_inside++, 0);
	log_append(host_log, '[');
}

static void other_leave(uintptr_t *state)
{
	(void)state;
	CHECK_EQ(hosts_inside--, 1);
	log_append(host_log, ']');
}

/* Calls that host_run() makes at most; it does not report the last of them. */
static unsigned long host_calls;

static void host_run(uintptr_t *state, struct shrinker *shrinker,
		     struct shrink_control *sc, struct reclaim_calls *calls)
{
	unsigned long made = 0;

	CHECK_EQ(*state, 42);
	CHECK_EQ(hosts_inside, 1);
	log_append(host_log, '<');
	CHECK(!reclaim_next(calls));
	do {
		unsigned long ret;

		CHECK_EQ(sc->nr_to_scan | sc->nr_scanned, 0);
		ret = shrinker->count_objects(shrinker, sc);
		while (++made != host_calls && reclaim_called(calls, ret))
			ret = shrinker->scan_objects(shrinker, sc);
		if (made >= host_calls)
			break;
		CHECK(!reclaim_called(calls, 7));
	} while ((shrinker = reclaim_next(calls)));
	log_append(host_log, '>');
}

static const struct reclaim_host host = { host_enter, host_leave, host_may_stay, NULL };
static const struct reclaim_host other_host = { other_enter, other_leave,
						host_may_stay, NULL };
static const struct reclaim_host running_host = { host_enter, host_leave,
						  host_may_stay, host_run };

static void begin_log(struct reclaim_domain *domain, bool lets_stay)
{
	host_domain = domain;
	host_lets_stay = lets_stay;
	host_log[0] = '\0';
}

static void hosted_open(struct cache *cache, struct reclaim_domain *domain,
			const struct reclaim_host *with, char tag, cache_hook on_count)
{
	cache_prepare(cache, domain, 0, tag, 10);
	cache->log = host_log;
	cache->on_count = on_count;
	shrinker_set_host(cache->shrinker, with);
	shrinker_register(cache->shrinker);
}

static void check_fresh(struct cache *cache, struct shrink_control *sc)
{
	(void)cache;
	CHECK_EQ(sc->nr_to_scan | sc->nr_scanned, 0);
	CHECK_EQ(sc->nid, 0);
	/* No later callback may see this. */
	sc->nid = 77;
}

static void log_scan(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	CHECK_EQ(hosts_inside, 1);
	log_append(cache->log, '.');
}

/*
 * Returns the log of a walk over a shrinker for each letter of @kinds: native, of
 * the host, of the other host, of the running host; R is one of the running host,
 * and frees the one before it; s is one of the host that counts outside, and e one of
 * those that is empty.
 */
static const char *walk_over(const char *kinds, bool lets_stay)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache cache[8];
	int i;

	begin_log(domain, lets_stay);
	for (i = 0; kinds[i]; i++) {
		hosted_open(&cache[i], domain,
			    kinds[i] == 'n' ? NULL :
			    strchr("hse", kinds[i]) ? &host :
			    kinds[i] == 'o' ? &other_host :
					      &running_host,
			    kinds[i], kinds[i] == 'R' ? free_other : check_fresh);
		if (kinds[i] == 'R')
			cache[i].arg = &cache[i - 1];
		if (strchr("se", kinds[i])) {
			cache[i].shrinker->flags |= RECLAIM_COUNT_OUTSIDE_HOST;
			cache[i].on_scan = log_scan;
		}
		if (kinds[i] == 'e')
			atomic_store(&cache[i].objects, 0);
	}
	walk(domain, 0);
	CHECK_EQ(hosts_inside, 0);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
	domain_close(domain);
	return host_log;
}

/* A walk enters a host before its first hosted pass, asks it before native passes,
 * stays if it may, and has left when it ends. */
static void a_walk_enters_a_host_once(void)
{
	CHECK_TEXT(walk_over("nnn", true), "nnn");
	CHECK_TEXT(walk_over("hhh", true), "(hhh)");
	CHECK_TEXT(walk_over("nhhnhn", true), "n(hh?nh?n)");
	CHECK_TEXT(walk_over("nhhnnhn", false), "n(hh?)nn(h?)n");
	CHECK_TEXT(walk_over("hoh", true), "(h)[o](h)");
}

/* Such a count is no reason to enter; the first scan is. */
static void a_count_may_run_outside_its_host(void)
{
	CHECK_TEXT(walk_over("eee", true), "eee");
	CHECK_TEXT(walk_over("ses", true), "s(.?e?s.)");
	CHECK_TEXT(walk_over("ses", false), "s(.?)es(.)");
	CHECK_TEXT(walk_over("nhsn", true), "n(h?s.?n)");
	CHECK_TEXT(walk_over("hs", false), "(h?)s(.)");
}

static void count_other(struct cache *cache, struct shrink_control *sc)
{
	struct cache *native = cache->arg;
	unsigned long count;

	CHECK(shrinker_count_objects(native->shrinker, sc, &count));
}

/* A callback outside any pass enters the host for itself; a ladder stays inside. */
static void direct_calls_and_ladders_enter_hosts(struct reclaim_domain *domain)
{
	struct reclaim_request request = { .nr_to_reclaim = ~UINT64_C(0),
					   .nid = -1,
					   .priority = 3 };
	struct shrink_control sc = { .nid = 0 };
	struct reclaim_result result;
	struct cache a, b;
	unsigned long count;

	begin_log(domain, true);
	hosted_open(&a, domain, &host, 'h', NULL);
	hosted_open(&b, domain, NULL, 'n', NULL);
	CHECK(shrinker_count_objects(a.shrinker, &sc, &count));
	CHECK(shrinker_count_objects(b.shrinker, &sc, &count));
	CHECK_TEXT(host_log, "(h)n");
	CHECK_EQ(statistics_of(domain).host_entries, 1);

	begin_log(domain, true);
	b.shrinker->flags |= RECLAIM_COUNT_OUTSIDE_HOST;
	shrinker_set_host(b.shrinker, &host);
	b.on_scan = log_scan;
	sc.nr_to_scan = 1;
	CHECK(shrinker_scan_objects(b.shrinker, &sc, &count));
	CHECK(shrinker_count_objects(b.shrinker, &sc, &count));
	CHECK_TEXT(host_log, "(.)n");
	b.shrinker->flags &= ~RECLAIM_COUNT_OUTSIDE_HOST;
	shrinker_set_host(b.shrinker, NULL);
	b.on_scan = NULL;

	begin_log(domain, true);
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_TEXT(host_log, "(h?nh?nh?nh?nh?nh?nh?nh?n)");
	CHECK_EQ(statistics_of(domain).host_entries, 3);

	/* A native callback inside a hosted one. */
	begin_log(domain, true);
	a.on_count = count_other;
	a.arg = &b;
	walk(domain, 0);
	CHECK_TEXT(host_log, "(hn?n)");
}

/* A walk takes a lock to say that it has let go of a freed shrinker: it leaves the
 * host before. */
static void a_walk_leaves_the_host_for_a_lock(struct reclaim_domain *domain)
{
	struct reclaim_domain *other = domain_new(1);
	struct cache a, b;

	begin_log(other, true); /* In this domain no shrinker lingers. */
	hosted_open(&a, domain, &host, 'a', free_itself);
	hosted_open(&b, domain, &host, 'b', NULL);
	cache_answer(&a, SHRINK_STOP);
	walk(domain, 0);
	CHECK_TEXT(host_log, "(a)(b)");
	reclaim_domain_put(other);
}

/* --- passes whose callbacks the host calls -------------------------------- */

/* The results of a walk at priority 0 over one cache of 1,000 objects. */
struct outcome {
	struct reclaim_statistics statistics;
	unsigned long scans;
	int64_t deferred;
	int nr_events;
	struct shrink_event events[2];
};

static struct outcome outcome_of_walk(const struct reclaim_host *with,
				      cache_hook on_count, cache_hook on_scan)
{
	struct reclaim_domain *domain = domain_new(1);
	struct outcome outcome = { .scans = 0 };
	struct cache cache;

	begin_log(domain_new(1), true);
	cache_prepare(&cache, domain, 0, 'c', 1000);
	cache.on_count = on_count;
	cache.on_scan = on_scan;
	cache.keeps = true;
	shrinker_set_host(cache.shrinker, with);
	shrinker_register(cache.shrinker);
	CHECK_EQ(reclaim_trace_start(domain, 2), 0);
	walk(domain, 0);
	outcome.nr_events = (int)reclaim_trace_read(domain, outcome.events, 2);
	outcome.statistics = statistics_of(domain);
	outcome.statistics.host_entries = 0;
	outcome.scans = atomic_load(&cache.scans);
	outcome.deferred = cache_deferred(&cache);
	cache_close(&cache);
	domain_close(domain);
	reclaim_domain_put(host_domain);
	return outcome;
}

static void answer_stop_from_the_third(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	cache->answers = atomic_load(&cache->scans) >= 3;
	cache->answer = SHRINK_STOP;
}

static void stop_walk_in_the_third(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	if (atomic_load(&cache->scans) == 3)
		reclaim_stop_walk();
}

static void unregister_in_the_third(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	if (atomic_load(&cache->scans) == 3)
		shrinker_unregister(cache->shrinker, false);
}

/* A pass is the same if the host calls the callbacks. */
static void a_hosts_pass_is_the_cores(void)
{
	static const struct {
		cache_hook on_count, on_scan;
		unsigned long scans;
	} rows[] = {
		{ NULL, NULL, 15 },
		{ set_batch_to_512, NULL, 15 },
		{ NULL, scan_half, 30 },
		{ NULL, scan_nothing, RECLAIM_STALL_LIMIT },
		{ NULL, answer_stop_from_the_third, 3 },
		{ NULL, stop_walk_in_the_third, 3 },
		{ NULL, unregister_in_the_third, 3 },
	};
	size_t i;

	host_calls = ~0UL;
	for (i = 0; i < LENGTH(rows); i++) {
		struct outcome here = outcome_of_walk(NULL, rows[i].on_count,
						      rows[i].on_scan);
		struct outcome there = outcome_of_walk(
			&running_host, rows[i].on_count, rows[i].on_scan);
		int event;

		CHECK_TEXT(host_log, "(<>)");
		CHECK_EQ(here.scans, rows[i].scans);
		CHECK_EQ(there.scans, here.scans);
		CHECK_EQ(there.deferred, here.deferred);
		CHECK_NUMBERS(&there.statistics, &here.statistics);
		CHECK_EQ(here.nr_events, 2);
		CHECK_EQ(there.nr_events, 2);
		for (event = 0; event < 2; event++) {
			/* Two shrinkers, and the same events. */
			there.events[event].shrinker = here.events[event].shrinker;
			CHECK(!memcmp(&there.events[event], &here.events[event],
				      sizeof(struct shrink_event)));
		}
	}
}

/* What the host does not report counts as 0 or SHRINK_STOP, and work is
 * deferred. */
static void a_host_may_end_its_run_anywhere(void)
{
	struct outcome outcome;

	host_calls = 1;
	outcome = outcome_of_walk(&running_host, NULL, NULL);
	CHECK_EQ(outcome.statistics.passes, 0);
	CHECK_EQ(outcome.deferred, 0);
	CHECK_EQ(outcome.nr_events, 0);

	host_calls = 4;
	outcome = outcome_of_walk(&running_host, NULL, NULL);
	CHECK_EQ(outcome.scans, 3);
	CHECK_EQ(outcome.statistics.passes, 1);
	CHECK_EQ(outcome.statistics.scan_calls, 2);
	CHECK_EQ(outcome.deferred, 2000 - 2 * 128);
	CHECK_EQ(outcome.nr_events, 2);
}

/* A run goes on to the next shrinker as long as that is the host's. */
static void a_run_goes_over_the_hosts_shrinkers(void)
{
	host_calls = ~0UL;
	CHECK_TEXT(walk_over("rrr", true), "(<rrr>)");
	CHECK_TEXT(walk_over("rrnrnnr", true), "(<rr>?n<r>?n?n<r>)");
	CHECK_TEXT(walk_over("nrrnr", false), "n(<rr>?)n(<r>)");
	CHECK_TEXT(walk_over("rhr", true), "(<r>)(h)(<r>)");
	/* R frees the shrinker that the walk has just left. */
	CHECK_TEXT(walk_over("rrRr", true), "(<rrRr>)");
	CHECK_TEXT(walk_over("nRr", true), "n(<Rr>)");
	/* The host ends each run after two calls. */
	host_calls = 2;
	CHECK_TEXT(walk_over("rrr", true), "(<r><r><r>)");
}

int main(void)
{
	RUN(a_walk_enters_a_host_once);
	RUN(a_count_may_run_outside_its_host);
	run_in(domain_new(2), direct_calls_and_ladders_enter_hosts);
	run_in(domain_new(1), a_walk_leaves_the_host_for_a_lock);
	RUN(a_hosts_pass_is_the_cores);
	RUN(a_host_may_end_its_run_anywhere);
	RUN(a_run_goes_over_the_hosts_shrinkers);
	return checks_report("test_hosts");
}
