/* SPDX-License-Identifier: MIT */
/* The priority ladder and drop_slab(). */
#include <shrinker/one_pass.h>

#include "cache.h"

/* A model of one cache. */
struct model {
	uint64_t objects;
	int64_t deferred;
	uint64_t scanned;
	uint64_t passes;
};

static unsigned long take_objects(void *arg, unsigned long nr_to_scan,
				  unsigned long *nr_scanned)
{
	struct model *model = arg;
	unsigned long taken =
		nr_to_scan < model->objects ? nr_to_scan : model->objects;

	model->objects -= taken;
	model->scanned += *nr_scanned;
	return taken;
}

static unsigned long expected_pass(struct model *model, int priority)
{
	struct one_pass pass = { .count = model->objects,
				 .nr_deferred = model->deferred,
				 .priority = priority,
				 .seeks = DEFAULT_SEEKS,
				 .max_calls = 1000000,
				 .scan = take_objects,
				 .arg = model };

	CHECK(one_pass_run(&pass));
	model->deferred = pass.nr_deferred;
	model->passes += pass.emitted;
	return pass.returned;
}

/* The ladder ends after the first priority at which the target is reached.  At that
 * priority all shrinkers are walked. */
static void the_ladder_stops_at_the_target(void)
{
	static const uint64_t targets[] = { 0, 1, 100, 2000, 20000, 200000 };
	unsigned int i;

	for (i = 0; i < LENGTH(targets); i++) {
		struct model model_a = { .objects = 100000 };
		struct model model_b = { .objects = 50000 };
		struct reclaim_domain *domain = domain_new(1);
		struct reclaim_request request = { .nr_to_reclaim = targets[i],
						   .gfp_mask = GFP_KERNEL,
						   .nid = i % 2 ? 0 : -1,
						   .priority = DEF_PRIORITY };
		char log[LOG_SIZE] = "", expected[LOG_SIZE] = "";
		struct reclaim_result result;
		struct cache cache[2];
		uint64_t freed = 0;
		int priority;

		caches_open(cache, domain, "ab", model_a.objects, log);
		atomic_store(&cache[1].objects, model_b.objects);
		for (priority = DEF_PRIORITY;; priority--) {
			freed += expected_pass(&model_a, priority);
			freed += expected_pass(&model_b, priority);
			strcat(expected, "ab");
			if (priority == 0 || freed >= targets[i])
				break;
		}
		CHECK(reclaim_run(domain, &request, &result));
		CHECK_EQ(result.nr_reclaimed, freed);
		CHECK_EQ(result.nr_scanned, model_a.scanned + model_b.scanned);
		CHECK_EQ(result.priority, priority);
		CHECK_EQ(result.passes, model_a.passes + model_b.passes);
		CHECK(!result.stopped);
		CHECK_TEXT(log, expected);
		CHECK_EQ(atomic_load(&cache[0].objects), model_a.objects);
		CHECK_EQ(atomic_load(&cache[1].objects), model_b.objects);
		domain_close(domain);
	}
}

static void check_noio_and_note_the_node(struct cache *cache, struct shrink_control *sc)
{
	CHECK_EQ(sc->gfp_mask, GFP_NOIO);
	note_the_node(cache, sc);
}

/* With nid -1 each priority walks all nodes, with another nid this node. */
static void the_ladder_walks_nodes(struct reclaim_domain *domain)
{
	struct reclaim_request request = { .nr_to_reclaim = 1,
					   .gfp_mask = GFP_NOIO,
					   .nid = -1,
					   .priority = 2 };
	struct reclaim_result result;
	char log[LOG_SIZE] = "";
	struct cache a;

	cache_open(&a, domain, 'a', 0);
	a.on_count = check_noio_and_note_the_node;
	a.arg = log;
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_EQ(result.nr_reclaimed, 0);
	CHECK_EQ(result.passes, 0);
	CHECK_EQ(result.priority, 0);
	CHECK_TEXT(log, "012012012");
	request.nid = 1;
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_TEXT(log, "012012012111");

	/* After the target is reached on the first node the others are walked
	 * too. */
	log[0] = '\0';
	request.nid = -1;
	atomic_store(&a.objects, 10);
	a.shrinker->seeks = 0;
	a.shrinker->batch = 1;
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_TEXT(log, "012");
	CHECK_EQ(result.nr_reclaimed, 5 + 2 + 1);
	CHECK_EQ(result.priority, 2);
}

/* A request out of range is refused, and nothing is called. */
static void wrong_requests_are_refused(struct reclaim_domain *domain)
{
	static const struct reclaim_request wrong[] = {
		{ .nid = 0, .priority = -1 }, { .nid = 0, .priority = 64 },
		{ .nid = 2, .priority = 12 }, { .nid = -2, .priority = 12 },
	};
	struct reclaim_result result;
	struct cache a;
	size_t i;

	cache_open(&a, domain, 'a', 1000);
	for (i = 0; i < LENGTH(wrong); i++) {
		CHECK(!reclaim_run(domain, &wrong[i], &result));
		CHECK_EQ(result.nr_reclaimed, 0);
	}
	CHECK_EQ(statistics_of(domain).walks, 0);
	CHECK_EQ(atomic_load(&a.counts), 0);
}

static void stop_in_the_fifth_count(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	if (atomic_load(&cache->counts) == 5)
		reclaim_stop_walk();
}

/* A callback that stops the walk also ends the walks of the other nodes, the
 * ladder, and the rounds of drop_slab(). */
static void a_stopped_walk_ends_the_ladder_and_drop_slab(struct reclaim_domain *domain)
{
	struct reclaim_request request = { .nr_to_reclaim = ~UINT64_C(0),
					   .nid = -1,
					   .priority = DEF_PRIORITY };
	struct reclaim_result result;
	char log[LOG_SIZE] = "";
	struct cache cache[2], *a = &cache[0];

	caches_open(cache, domain, "ab", 64, log);
	atomic_store(&cache[1].objects, 0);
	a->keeps = true;
	a->on_count = stop_in_the_fifth_count;
	CHECK(reclaim_run(domain, &request, &result));
	CHECK(result.stopped);
	CHECK_EQ(result.priority, DEF_PRIORITY - 2);
	CHECK_TEXT(log, "ababababa");

	log[0] = '\0';
	atomic_store(&a->counts, 0);
	CHECK_EQ(cache_deferred(a), 0);
	CHECK_EQ(reclaim_drop_slab(domain), 4 * 128);
	CHECK_TEXT(log, "ababababa");

	/* The next reclaim is not stopped. */
	CHECK(reclaim_run(domain, &request, &result));
	CHECK(!result.stopped);
	CHECK_EQ(result.priority, 0);
}

/* Rounds go on while freed >> shift > 1; the shift is one more in each round.  A
 * cache that refills itself with 128 objects gets 8 rounds. */
static void drop_slab_ends_on_a_refilling_cache(struct reclaim_domain *domain)
{
	struct cache a;

	cache_open(&a, domain, 'a', 64);
	a.keeps = true;
	CHECK_EQ(reclaim_drop_slab(domain), 8 * 128);
	CHECK_EQ(atomic_load(&a.counts), 8);

	/* 127 >> 6 is 1: one round less. */
	cache_answer(&a, 127);
	CHECK_EQ(reclaim_drop_slab(domain), 7 * 127);
	CHECK_EQ(atomic_load(&a.counts), 15);

	/* After one object there is no other round, after two there is. */
	a.answer = 1;
	CHECK_EQ(reclaim_drop_slab(domain), 1);
	a.answer = 2;
	CHECK_EQ(reclaim_drop_slab(domain), 4);

	/* The shift stays below 64. */
	atomic_store(&a.counts, 0);
	a.answer = 1UL << 63;
	CHECK_EQ(reclaim_drop_slab(domain), 0);
	CHECK_EQ(atomic_load(&a.counts), 64);
}

static void check_kernel_and_note_the_node(struct cache *cache,
					   struct shrink_control *sc)
{
	CHECK_EQ(sc->gfp_mask, GFP_KERNEL);
	note_the_node(cache, sc);
}

/* Each round walks all nodes; the sum over them decides whether another follows. */
static void drop_slab_walks_all_nodes(struct reclaim_domain *domain)
{
	char log[LOG_SIZE] = "";
	struct cache a;

	cache_open(&a, domain, 'a', 0);
	a.on_count = check_kernel_and_note_the_node;
	a.arg = log;
	CHECK_EQ(reclaim_drop_slab(domain), 0);
	CHECK_TEXT(log, "012");
	/* One object on each node: 3, then 3 >> 1 is 1. */
	atomic_store(&a.objects, 1);
	cache_answer(&a, 1);
	CHECK_EQ(reclaim_drop_slab(domain), 6);
	CHECK_TEXT(log, "012012012");
}

int main(void)
{
	RUN(the_ladder_stops_at_the_target);
	run_in(domain_new(3), the_ladder_walks_nodes);
	run_in(domain_new(2), wrong_requests_are_refused);
	run_in(domain_new(2), a_stopped_walk_ends_the_ladder_and_drop_slab);
	run_in(domain_new(1), drop_slab_ends_on_a_refilling_cache);
	run_in(domain_new(3), drop_slab_walks_all_nodes);
	return checks_report("test_reclaim");
}
