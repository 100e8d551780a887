/* SPDX-License-Identifier: MIT */
/* The priority ladder and drop_slab(). */
#include <shrinker/one_pass.h>

#include "cache.h"

/* What is expected of one cache. */
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

/* The ladder ends after the first priority at which the target is reached, and
 * nobody is spared at that one for standing late. */
static void the_ladder_stops_at_the_target(void)
{
	static const uint64_t targets[] = { 0, 1, 100, 2000, 20000, 200000 };
	unsigned int i;

	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct model model_a = { .objects = 100000 };
		struct model model_b = { .objects = 50000 };
		struct reclaim_domain *domain = domain_new(1);
		struct reclaim_request request = { .nr_to_reclaim = targets[i],
						   .gfp_mask = GFP_KERNEL,
						   .nid = i % 2 ? 0 : -1,
						   .priority = DEF_PRIORITY };
		char log[LOG_SIZE] = "", expected[LOG_SIZE] = "";
		struct reclaim_result result;
		struct cache a, b;
		uint64_t freed = 0;
		int priority;

		cache_open(&a, domain, 'a', model_a.objects);
		cache_open(&b, domain, 'b', model_b.objects);
		a.log = b.log = log;
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
		CHECK_EQ(atomic_load(&a.objects), model_a.objects);
		CHECK_EQ(atomic_load(&b.objects), model_b.objects);
		cache_close(&a);
		cache_close(&b);
		reclaim_domain_put(domain);
	}
}

static void note_the_node(struct cache *cache, struct shrink_control *sc)
{
	CHECK_EQ(sc->gfp_mask, GFP_NOIO);
	log_append(cache->arg, (char)('0' + sc->nid));
}

/* nid -1 walks every node at each priority, another one that node alone. */
static void the_ladder_walks_nodes(void)
{
	struct reclaim_domain *domain = domain_new(3);
	struct reclaim_request request = { .nr_to_reclaim = 1,
					   .gfp_mask = GFP_NOIO,
					   .nid = -1,
					   .priority = 2 };
	struct reclaim_result result;
	char log[LOG_SIZE] = "";
	struct cache a;

	cache_open(&a, domain, 'a', 0);
	a.on_count = note_the_node;
	a.arg = log;
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_EQ(result.nr_reclaimed, 0);
	CHECK_EQ(result.passes, 0);
	CHECK_EQ(result.priority, 0);
	CHECK_TEXT(log, "012012012");
	request.nid = 1;
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_TEXT(log, "012012012111");

	/* Reached on the first node, the others are walked all the same. */
	log[0] = '\0';
	request.nid = -1;
	atomic_store(&a.objects, 10);
	a.shrinker->seeks = 0;
	a.shrinker->batch = 1;
	CHECK(reclaim_run(domain, &request, &result));
	CHECK_TEXT(log, "012");
	CHECK_EQ(result.nr_reclaimed, 5 + 2 + 1);
	CHECK_EQ(result.priority, 2);
	cache_close(&a);
	reclaim_domain_put(domain);
}

/* A request out of range is refused, and nothing is called. */
static void wrong_requests_are_refused(void)
{
	static const struct reclaim_request wrong[] = {
		{ .nid = 0, .priority = -1 }, { .nid = 0, .priority = 64 },
		{ .nid = 2, .priority = 12 }, { .nid = -2, .priority = 12 },
	};
	struct reclaim_domain *domain = domain_new(2);
	struct reclaim_statistics statistics;
	struct reclaim_result result;
	struct cache a;
	int i;

	cache_open(&a, domain, 'a', 1000);
	for (i = 0; i < 4; i++) {
		CHECK(!reclaim_run(domain, &wrong[i], &result));
		CHECK_EQ(result.nr_reclaimed, 0);
	}
	reclaim_domain_get_statistics(domain, &statistics);
	CHECK_EQ(statistics.walks, 0);
	CHECK_EQ(atomic_load(&a.counts), 0);
	cache_close(&a);
	reclaim_domain_put(domain);
}

static void stop_at_the_fifth(struct cache *cache, struct shrink_control *sc)
{
	(void)sc;
	if (atomic_load(&cache->counts) == 5)
		reclaim_stop_walk();
}

/* A callback that stops the walk stops what made the walk: the other nodes, the
 * ladder, the rounds of drop_slab(). */
static void a_stopped_walk_ends_everything(void)
{
	struct reclaim_domain *domain = domain_new(2);
	struct reclaim_request request = { .nr_to_reclaim = ~UINT64_C(0),
					   .nid = -1,
					   .priority = DEF_PRIORITY };
	struct reclaim_result result;
	char log[LOG_SIZE] = "";
	struct cache a, b;

	cache_open(&a, domain, 'a', 64);
	cache_open(&b, domain, 'b', 0);
	a.log = b.log = log;
	a.keeps = true;
	a.on_count = stop_at_the_fifth;
	CHECK(reclaim_run(domain, &request, &result));
	CHECK(result.stopped);
	CHECK_EQ(result.priority, DEF_PRIORITY - 2);
	CHECK_TEXT(log, "ababababa");

	log[0] = '\0';
	atomic_store(&a.counts, 0);
	CHECK(shrinker_nr_deferred(a.shrinker, 0, NULL) == 0);
	CHECK_EQ(reclaim_drop_slab(domain), 4 * 128);
	CHECK_TEXT(log, "ababababa");

	/* The next reclaim is not stopped. */
	CHECK(reclaim_run(domain, &request, &result));
	CHECK(!result.stopped);
	CHECK_EQ(result.priority, 0);
	cache_close(&a);
	cache_close(&b);
	reclaim_domain_put(domain);
}

/* Rounds go on while freed >> shift > 1, the shift growing by one each time:
 * with a cache that refills itself, 8 rounds for 128 objects. */
static void drop_slab_ends_on_a_refilling_cache(void)
{
	struct reclaim_domain *domain = domain_new(1);
	struct cache a;

	cache_open(&a, domain, 'a', 64);
	a.keeps = true;
	CHECK_EQ(reclaim_drop_slab(domain), 8 * 128);
	CHECK_EQ(atomic_load(&a.counts), 8);

	/* 127 >> 6 is 1: one round less. */
	a.answers = true;
	a.answer = 127;
	CHECK_EQ(reclaim_drop_slab(domain), 7 * 127);
	CHECK_EQ(atomic_load(&a.counts), 15);

	/* One object is not worth another round, two are. */
	a.answer = 1;
	CHECK_EQ(reclaim_drop_slab(domain), 1);
	a.answer = 2;
	CHECK_EQ(reclaim_drop_slab(domain), 4);

	/* No shift is ever too wide. */
	atomic_store(&a.counts, 0);
	a.answer = 1UL << 63;
	CHECK_EQ(reclaim_drop_slab(domain), 0);
	CHECK_EQ(atomic_load(&a.counts), 64);
	cache_close(&a);
	reclaim_domain_put(domain);
}

static void note_gfp_and_node(struct cache *cache, struct shrink_control *sc)
{
	CHECK_EQ(sc->gfp_mask, GFP_KERNEL);
	log_append(cache->arg, (char)('0' + sc->nid));
}

/* Every round takes all nodes, the first one always; the sum decides. */
static void drop_slab_takes_all_nodes(void)
{
	struct reclaim_domain *domain = domain_new(3);
	char log[LOG_SIZE] = "";
	struct cache a;

	cache_open(&a, domain, 'a', 0);
	a.on_count = note_gfp_and_node;
	a.arg = log;
	CHECK_EQ(reclaim_drop_slab(domain), 0);
	CHECK_TEXT(log, "012");
	/* One object on each node: 3, then 3 >> 1 is 1. */
	atomic_store(&a.objects, 1);
	a.answers = true;
	a.answer = 1;
	CHECK_EQ(reclaim_drop_slab(domain), 6);
	CHECK_TEXT(log, "012012012");
	cache_close(&a);
	reclaim_domain_put(domain);
}

int main(void)
{
	RUN(the_ladder_stops_at_the_target);
	RUN(the_ladder_walks_nodes);
	RUN(wrong_requests_are_refused);
	RUN(a_stopped_walk_ends_everything);
	RUN(drop_slab_ends_on_a_refilling_cache);
	RUN(drop_slab_takes_all_nodes);
	return checks_report("test_reclaim");
}
