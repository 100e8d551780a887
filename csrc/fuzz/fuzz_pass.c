/* SPDX-License-Identifier: MIT */
/*
 * Passes against pass_model.h: first one pass on raw numbers, without a stall
 * limit, then walks over a registered shrinker, with a stall limit and with the
 * deferred objects of the walks before.  The input decides what callbacks return.
 */
#include <errno.h>
#include <string.h>

#include <shrinker/domain.h>
#include <shrinker/one_pass.h>
#include <shrinker/events.h>

#include "bytes.h"
#include "pass_model.h"

#define MAX_CALLS 3000
#define SIZES 8

/* The state that the callbacks and the model share. */
static struct {
	struct bytes bytes;
	struct pass_model pass;
	uint64_t sizes[SIZES];
	uint64_t asked;
	unsigned int calls;
	uint64_t count;
	int priority, seeks;
	long batch;
	uint64_t stall_limit;
	int64_t counter;
	bool stop, begun;
} script;

static unsigned long answer(unsigned long nr_to_scan, unsigned long *nr_scanned)
{
	unsigned int how = take(&script.bytes);
	unsigned long returned = nr_to_scan;

	EXPECT(script.begun && !script.stop && pass_wants(&script.pass));
	EXPECT_EQ(nr_to_scan, pass_asks(&script.pass));
	EXPECT_EQ(*nr_scanned, nr_to_scan);
	/* Any number, or one near @nr_to_scan. */
	if (how & 1)
		returned = how & 4 ? nr_to_scan + take(&script.bytes) - 128 :
				     take_number(&script.bytes);
	if (how & 2)
		*nr_scanned = how & 8 ? nr_to_scan + take(&script.bytes) - 128 :
					take_number(&script.bytes);
	script.calls++;
	if (script.calls > MAX_CALLS)
		returned = SHRINK_STOP;
	pass_account(&script.pass, returned, *nr_scanned);
	return returned;
}

/* --- on raw numbers ------------------------------------------------------- */

static unsigned long scan_raw(void *arg, unsigned long nr_to_scan,
			      unsigned long *nr_scanned)
{
	EXPECT(arg == &script);
	if (script.asked < SIZES)
		script.sizes[script.asked] = nr_to_scan;
	script.asked++;
	return answer(nr_to_scan, nr_scanned);
}

/* The default callback of one_pass_run() frees @nr_to_scan objects. */
static void run_model_alone(uint64_t max_calls)
{
	while (pass_wants(&script.pass) && script.asked < max_calls) {
		uint64_t size = pass_asks(&script.pass);

		if (script.asked < SIZES)
			script.sizes[script.asked] = size;
		script.asked++;
		pass_account(&script.pass, size, size);
	}
}

static void run_raw(void)
{
	struct bytes *bytes = &script.bytes;
	uint64_t sizes[SIZES] = { 0 };
	struct one_pass pass = { .count = take_number(bytes),
				 .nr_deferred = (int64_t)take_number(bytes),
				 .priority = take_below(bytes, 66) - 1,
				 .seeks = (int)take_number(bytes),
				 .batch = (long)take_number(bytes),
				 .max_calls = take(bytes),
				 .arg = &script,
				 .sizes = sizes,
				 .nr_sizes = SIZES };
	int64_t before = pass.nr_deferred;
	bool valid = pass.priority >= 0 && pass.priority <= 63;

	pass.scan = take(bytes) & 1 ? NULL : scan_raw;
	script.begun = valid && pass.count != 0 && pass.count != SHRINK_EMPTY;
	if (script.begun)
		script.pass = pass_begin(pass.count, before, pass.priority,
					 pass.seeks, pass.batch, 0);
	EXPECT_EQ(one_pass_run(&pass), valid);
	if (!script.begun) {
		EXPECT_EQ(pass.nr_deferred, before);
		EXPECT(!valid || (pass.returned == pass.count && !pass.emitted));
		return;
	}
	if (!pass.scan)
		run_model_alone(pass.max_calls);
	EXPECT_EQ(pass.returned, u64(script.pass.freed));
	EXPECT_EQ(pass.calls, script.asked);
	EXPECT_EQ(pass.cut, pass_wants(&script.pass));
	EXPECT(pass.emitted);
	EXPECT_EQ(pass.nr_before, before);
	EXPECT_EQ(pass.freeable, script.pass.freeable);
	EXPECT_EQ(pass.delta, u64(script.pass.delta));
	EXPECT_EQ(pass.total_scan, script.pass.goal);
	EXPECT_EQ(pass.total_scan_left, script.pass.left);
	EXPECT_EQ(pass.nr_deferred, pass_defers(&script.pass));
	EXPECT_EQ(pass.nr_after, pass.nr_deferred);
	EXPECT_EQ(pass.retval, pass_retval(&script.pass));
	EXPECT(memcmp(sizes, script.sizes, sizeof(sizes)) == 0);
}

/* --- in a walk ------------------------------------------------------------ */

static unsigned long count_walked(struct shrinker *shrinker,
				  struct shrink_control *sc)
{
	EXPECT(shrinker->private_data == &script && sc->gfp_mask == GFP_KERNEL);
	script.count = take_number(&script.bytes);
	if (script.count == 0 || script.count == SHRINK_EMPTY)
		return script.count;
	if (take(&script.bytes) == 255) {
		reclaim_stop_walk();
		return script.count;
	}
	script.begun = true;
	script.pass = pass_begin(script.count, script.counter, script.priority,
				 script.seeks, script.batch, script.stall_limit);
	return script.count;
}

static unsigned long scan_walked(struct shrinker *shrinker,
				 struct shrink_control *sc)
{
	struct pass_model before = script.pass;
	unsigned long returned;

	EXPECT(shrinker->private_data == &script);
	returned = answer(sc->nr_to_scan, &sc->nr_scanned);
	if (take(&script.bytes) == 255) {
		/* As if it had returned SHRINK_STOP: the call does not count. */
		reclaim_stop_walk();
		script.stop = true;
		script.pass = before;
	}
	return returned;
}

static void check_events(struct reclaim_domain *domain, int64_t before)
{
	const struct pass_model *pass = &script.pass;
	struct shrink_event event[3];

	EXPECT_EQ(reclaim_trace_read(domain, event, 3), script.begun ? 2 : 0);
	if (!script.begun)
		return;
	EXPECT_EQ(event[0].type, SHRINK_EVENT_START);
	EXPECT_EQ(event[0].nr, before);
	EXPECT_EQ(event[0].freeable, pass->freeable);
	EXPECT_EQ(event[0].delta, u64(pass->delta));
	EXPECT_EQ(event[0].total_scan, pass->goal);
	EXPECT_EQ(event[0].priority, script.priority);
	EXPECT_EQ(event[1].type, SHRINK_EVENT_END);
	EXPECT_EQ(event[1].nr, before);
	EXPECT_EQ(event[1].new_nr, script.counter);
	EXPECT_EQ(event[1].total_scan, pass->left);
	EXPECT_EQ(event[1].retval, pass_retval(pass));
}

static void run_walked(void)
{
	struct reclaim_domain *domain;
	struct shrinker *shrinker;
	uint64_t stalled = 0, passes = 0, scanned = 0, freed = 0, calls = 0;
	int rounds = take_below(&script.bytes, 8);

	script.stall_limit = take_number(&script.bytes);
	domain = reclaim_domain_create(1, script.stall_limit, 0);
	shrinker = reclaim_shrinker_alloc(domain, 0, "one");
	shrinker->count_objects = count_walked;
	shrinker->scan_objects = scan_walked;
	shrinker->private_data = &script;
	shrinker->seeks = script.seeks = (int)take_number(&script.bytes);
	shrinker->batch = script.batch = (long)take_number(&script.bytes);
	shrinker_register(shrinker);
	EXPECT_EQ(reclaim_trace_start(domain, 100), 0);
	script.counter = 0;

	for (; rounds; rounds--) {
		struct shrinker_statistics got;
		int64_t before = script.counter;
		uint64_t returned, expected = 0;

		script.priority = take_below(&script.bytes, 64);
		script.begun = script.stop = false;
		script.calls = 0;
		returned = reclaim_shrink_slab(domain, GFP_KERNEL, 0, NULL,
					       script.priority);
		if (script.begun) {
			EXPECT(script.stop || !pass_wants(&script.pass));
			script.counter = pass_defers(&script.pass);
			expected = u64(script.pass.freed);
			passes++;
			stalled += script.pass.stalled;
			calls += script.pass.calls;
			scanned += u64(script.pass.scanned);
			freed += expected;
		}
		EXPECT_EQ(returned, expected == SHRINK_EMPTY ? 0 : expected);
		EXPECT_EQ(shrinker_nr_deferred(shrinker, 0, NULL),
			  script.counter);
		check_events(domain, before);
		shrinker_get_statistics(shrinker, &got);
		EXPECT_EQ(got.passes, passes);
		EXPECT_EQ(got.stalled, stalled);
		EXPECT_EQ(got.scan_calls, calls);
		EXPECT_EQ(got.scanned, scanned);
		EXPECT_EQ(got.freed, freed);
	}
	shrinker_free(shrinker);
	reclaim_domain_put(domain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(&script, 0, sizeof(script));
	script.bytes = (struct bytes){ data, data + size };
	run_raw();
	run_walked();
	return 0;
}
