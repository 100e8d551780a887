/* SPDX-License-Identifier: MIT */
/* Registering: the order of walks, names, statistics, domains. */
#include "threads.h"

/* Walks visit shrinkers in the order in which they were registered. */
static void registration_order_is_walk_order(struct reclaim_domain *domain)
{
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

	/* The one in the middle, at the tail and at the head goes. */
	cache_close(&a);
	walk(domain, 12);
	CHECK_TEXT(log, "cabcb");
	cache_close(&b);
	cache_open(&d, domain, 'd', 10);
	CHECK_EQ(shrinker_debugfs_id(d.shrinker), 1);
	d.log = log;
	walk(domain, 12);
	CHECK_TEXT(log, "cabcbcd");
	cache_close(&c);
	walk(domain, 12);
	CHECK_TEXT(log, "cabcbcdd");
	cache_close(&d);
	CHECK_EQ(walk(domain, 12), 0);
}

/* Before it is registered no walk finds a shrinker, and it can be freed. */
static void allocated_is_not_registered(struct reclaim_domain *domain)
{
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
}

/* Calls shrinker_register(); returns the length of what it wrote to standard
 * error. */
static long warning_length(struct shrinker *shrinker)
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
	return length;
}

/* Registering a shrinker twice, or one that was not allocated, warns and does
 * nothing. */
static void a_wrong_registration_warns(struct reclaim_domain *domain)
{
	char log[LOG_SIZE] = "";
	struct shrinker other;
	struct cache a, b;

	cache_prepare(&a, domain, 0, 'a', 10);
	CHECK_EQ(warning_length(a.shrinker), 0);
	cache_open(&b, domain, 'b', 10);
	a.log = b.log = log;
	CHECK(warning_length(a.shrinker) > 0);
	CHECK_EQ(shrinker_debugfs_id(a.shrinker), 0);
	walk(domain, 12);
	CHECK_TEXT(log, "ab");

	/* After it was unregistered too. */
	CHECK(shrinker_unregister(a.shrinker, true));
	CHECK(warning_length(a.shrinker) > 0);
	walk(domain, 12);
	CHECK_TEXT(log, "abb");

	memset(&other, 0, sizeof(other));
	CHECK(warning_length(&other) > 0);
	CHECK_EQ(other.flags, 0);
	cache_close(&a);
}

struct naming {
	struct shrinker *shrinker;
	_Atomic(bool) stop;
};

static void *rename_until_stopped(void *arg)
{
	struct naming *naming = arg;
	int i;

	for (i = 0; !atomic_load(&naming->stop); i++)
		CHECK(shrinker_rename(naming->shrinker,
				      i % 2 ? "short" : "a rather long name"));
	return NULL;
}

/* A name is the one that was set last, cut to the reader's buffer; a reader beside
 * another thread's rename gets one name or the other. */
static void names_can_change(struct reclaim_domain *domain)
{
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
	thread = thread_start(rename_until_stopped, &naming);
	for (i = 0; i < 2000; i++) {
		unsigned long length =
			shrinker_copy_name(a.shrinker, name, sizeof(name));

		CHECK_TEXT(name, length == 5 ? "short" : "a rather long name");
	}
	atomic_store(&naming.stop, true);
	thread_join(thread);
}

/* A domain has 1 to RECLAIM_MAX_NODES nodes. */
static void domains_have_1_to_1024_nodes(void)
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

/* Shrinkers hold their domain: they may be freed after the creator has put it. */
static void a_domain_lives_as_long_as_its_shrinkers(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache a, b;

	cache_open(&a, domain, 'a', 10);
	cache_prepare(&b, domain, 0, 'b', 10);
	reclaim_domain_put(domain);
	CHECK_ALLOCATED(domain);
	CHECK_EQ(walk(domain, 0), 10);
	shrinker_register(b.shrinker);
	cache_close(&a);
	CHECK_EQ(walk(domain, 0), 10);
	cache_close(&b);
	CHECK_RELEASED(domain);
}

/* --- statistics ----------------------------------------------------------- */

#define WALKS (3 * SPARE_WALKERS)
#define CACHES 200

/* A hook; @arg: a barrier, at which all walks meet. */
static void meet_the_others(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	pthread_barrier_wait(cache->arg);
}

/* A shrinker's statistics are the sum over all walks, with spare records and
 * others.  A new shrinker begins with 0, also where it gets another one's
 * counters. */
static void each_shrinker_has_its_own_statistics(struct reclaim_domain *domain)
{
	struct cache cache[CACHES];
	pthread_barrier_t barrier;
	pthread_t walker[WALKS];
	int round, i;

	pthread_barrier_init(&barrier, NULL, WALKS);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < CACHES; i++) {
			cache_prepare(&cache[i], domain, 0, 'a', 1000);
			cache[i].shrinker->batch = i + 1;
			cache[i].keeps = true;
			if (!i) {
				cache[i].on_count = meet_the_others;
				cache[i].arg = &barrier;
			}
			shrinker_register(cache[i].shrinker);
		}
		threads_start(walker, WALKS, walk_thread, domain);
		threads_join(walker, WALKS);
		for (i = 0; i < CACHES; i++) {
			struct shrinker_statistics own =
				statistics_of_cache(&cache[i]);

			CHECK_EQ(own.passes, WALKS);
			CHECK_EQ(own.scan_calls, atomic_load(&cache[i].scans));
			CHECK_EQ(own.scanned, own.scan_calls * (unsigned)(i + 1));
			CHECK_EQ(own.freed, own.scanned);
		}
		/* Every third place is free first. */
		for (i = round; i < CACHES; i += 3)
			cache_close(&cache[i]);
		for (i = 0; i < CACHES; i++)
			cache_close(&cache[i]);
	}
	pthread_barrier_destroy(&barrier);
}

/* --- a walk whose place is unlinked --------------------------------------- */

/* Shrinkers that leave and arrive while the walk is at another one. */
struct upheaval {
	struct cache *leave[3];
	struct cache *arrive[2];
};

static void cause_upheaval(struct cache *cache, struct shrink_control *sc)
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

/*
 * A walk over a to e; at c, some leave and others arrive.  It goes on with the
 * right shrinker, visits none twice, and all that stay or arrive.
 */
static void a_walk_goes_on_after_its_place_was_unlinked(void)
{
	static const struct {
		const char *leave, *arrive, *visited;
	} rows[] = {
		{ "", "", "abcde" },	   { "c", "", "abcde" },
		{ "d", "", "abce" },	   { "cd", "", "abce" },
		{ "cde", "", "abc" },	   { "b", "", "abcde" },
		{ "ac", "", "abcde" },	   { "abc", "", "abcde" },
		{ "", "f", "abcdef" },	   { "c", "f", "abcdef" },
		{ "cde", "gf", "abcgf" },  { "de", "f", "abcf" },
	};
	size_t row;
	int i;

	for (row = 0; row < LENGTH(rows); row++) {
		struct reclaim_domain *domain = domain_new(1);
		struct upheaval upheaval = { .leave = { NULL } };
		char log[LOG_SIZE] = "";
		struct cache cache[7];

		for (i = 0; i < 7; i++) {
			cache_prepare(&cache[i], domain, 0, (char)('a' + i), 10);
			cache[i].log = log;
			if (i < 5)
				shrinker_register(cache[i].shrinker);
		}
		for (i = 0; rows[row].leave[i]; i++)
			upheaval.leave[i] = &cache[rows[row].leave[i] - 'a'];
		for (i = 0; rows[row].arrive[i]; i++)
			upheaval.arrive[i] = &cache[rows[row].arrive[i] - 'a'];
		cache[2].on_count = cause_upheaval;
		cache[2].arg = &upheaval;
		walk(domain, 12);
		CHECK_TEXT(log, rows[row].visited);
		CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
		for (i = 0; i < 7; i++)
			cache_close(&cache[i]);
		reclaim_domain_put(domain);
	}
}

int main(void)
{
	run_in(domain_new(1), registration_order_is_walk_order);
	run_in(domain_new(2), allocated_is_not_registered);
	run_in(domain_new(1), a_wrong_registration_warns);
	run_in(domain_new(1), names_can_change);
	RUN(domains_have_1_to_1024_nodes);
	RUN(a_domain_lives_as_long_as_its_shrinkers);
	run_in(domain_new(1), each_shrinker_has_its_own_statistics);
	RUN(a_walk_goes_on_after_its_place_was_unlinked);
	return checks_report("test_registry");
}
