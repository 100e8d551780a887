// SPDX-License-Identifier: MIT
/* What the name cache does when memory is short; docs/test-your-driver.md. */
#include <stdio.h>
#include <stdlib.h>

#include <shrinker_test.h>

#include "name_cache.h"

#define CHECK(condition)                                                       \
	do {                                                                   \
		if (!(condition)) {                                            \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,     \
				#condition);                                   \
			exit(1);                                               \
		}                                                              \
	} while (0)

static void fill(u32 nr)
{
	u32 key;

	for (key = 0; key < nr; key++)
		CHECK(name_cache_add(key, "a name") == 0);
}

/* Names that were asked for since the last scan stay. */
static void test_used_names_stay(void)
{
	struct shrinker_test_calls calls;
	char name[16];

	fill(1000);
	CHECK(shrinker_test_watch("name-cache"));
	CHECK(name_cache_get(7, name, sizeof(name)));
	/* seeks 2: twice the count; calls of 128, half of them for names that are left */
	CHECK(shrinker_test_pressure(1) == 895);
	CHECK(name_cache_get(7, name, sizeof(name)));
	CHECK(!name_cache_get(8, name, sizeof(name)));
	CHECK(shrinker_test_calls("name-cache", &calls));
	CHECK(calls.count_calls == 1 && calls.scan_calls == 7);
}

/* A thread inside a filesystem gets nothing, and the work is put off. */
static void test_no_reclaim_inside_a_filesystem(void)
{
	const struct shrinker_test_pressure nofs = {
		.priority = 0, .gfp_mask = GFP_NOFS, .nid = -1,
	};

	fill(1000);
	CHECK(shrinker_test_pressure_on(&nofs) == 0);
	CHECK(shrinker_test_pressure(DEF_PRIORITY) == 0);
	CHECK(shrinker_test_pressure(0) == 1000);
}

/* Whichever allocation fails, the cache says so and nothing leaks. */
static void test_no_memory(void)
{
	char name[16];

	shrinker_test_fail_allocation(1);
	CHECK(name_cache_add(1, "one") == -12);
	CHECK(!name_cache_get(1, name, sizeof(name)));
}

int main(void)
{
	void (*const tests[])(void) = {
		test_used_names_stay,
		test_no_reclaim_inside_a_filesystem,
		test_no_memory,
	};
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		shrinker_test_begin();
		CHECK(shrinker_test_load() == 0);
		tests[i]();
		shrinker_test_unload();
		CHECK(shrinker_test_end() == 0);
	}
	puts("3 tests passed");
	return 0;
}
