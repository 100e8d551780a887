/* SPDX-License-Identifier: MIT */
/*
 * Drivers written as for the kernel (drivers/), tested as a driver's author would
 * test them: with the kit of <shrinker_test.h> alone.
 */
#include <pthread.h>

#include <shrinker_test.h>

#include "check.h"
#include "drivers/answer_cache.h"
#include "drivers/buffer_pages.h"
#include "drivers/extents.h"
#include "drivers/object_cache.h"
#include "drivers/page_pool.h"

#include <linux/memcontrol.h>
#include <linux/mm.h>

static void begin(void)
{
	shrinker_test_begin();
	CHECK_EQ(shrinker_test_load(), 0);
}

static void end(void)
{
	shrinker_test_reclaim_on_allocation(0, 0);
	shrinker_test_unload();
	CHECK_EQ(shrinker_test_end(), 0);
}

/* --- a hash cache with a work item ---------------------------------------------- */

static void add_answers(unsigned int from, unsigned int nr)
{
	char question[32];

	for (; nr; nr--, from++) {
		snprintf(question, sizeof(question), "host-%u", from);
		CHECK_EQ(answer_add(question, from, GFP_KERNEL), 0);
	}
}

static bool knows(unsigned int n)
{
	char question[32];
	u32 answer = 0;
	int err;

	snprintf(question, sizeof(question), "host-%u", n);
	err = answer_find(question, &answer);
	CHECK(err == -ENOENT || answer == n);
	return !err;
}

/* The oldest answers go first, in batches of the driver's size. */
static void test_oldest_answers_go(void)
{
	struct shrinker_test_calls calls;

	begin();
	CHECK(shrinker_test_watch("answer-cache"));
	add_answers(0, 1000);
	CHECK_EQ(answer_add("host-5", 5, GFP_KERNEL), -EEXIST);
	/* 1000 >> 2, times 4 / seeks: 500, in calls of 32 */
	CHECK_EQ(shrinker_test_pressure(2), 480);
	CHECK(!knows(479) && knows(480));
	CHECK(shrinker_test_calls("answer-cache", &calls));
	CHECK_EQ(calls.count_calls, 1);
	CHECK_EQ(calls.last_count, 1000);
	CHECK_EQ(calls.scan_calls, 15);
	CHECK_EQ(calls.asked, 480);
	CHECK_EQ(calls.freed, 480);
	CHECK_EQ(calls.stops, 0);
	end();
}

/* An answer is good for its time, and the work drops it then. */
static void test_work_drops_old_answers(void)
{
	begin();
	add_answers(0, 10);
	shrinker_test_advance(ANSWER_SECONDS * 500);
	add_answers(10, 10);
	CHECK(knows(0));
	shrinker_test_advance(ANSWER_SECONDS * 500 + 1);
	CHECK_EQ(answer_count(), 10);
	CHECK(!knows(0) && knows(10));
	shrinker_test_advance(ANSWER_SECONDS * 1000);
	CHECK_EQ(answer_count(), 0);
	end();
}

static void *add_and_find(void *from)
{
	unsigned int n = *(unsigned int *)from, i;

	add_answers(n, 500);
	for (i = 0; i < 500; i++)
		knows(n + i);
	return NULL;
}

/* Users, pressure and the work beside each other; for sanitizers. */
static void test_answers_in_threads(void)
{
	unsigned int from[] = { 0, 1000, 2000 };
	pthread_t threads[3];
	int i;

	begin();
	shrinker_test_work(SHRINKER_TEST_WORK_THREAD);
	for (i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, add_and_find, &from[i]));
	for (i = 0; i < 50; i++) {
		shrinker_test_pressure(i % 4);
		shrinker_test_advance(1000);
	}
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	shrinker_test_work(SHRINKER_TEST_WORK_INLINE);
	end();
}

/* --- pages under a mutex --------------------------------------------------------- */

static void fill_pool(int nr)
{
	struct page *pages[64];
	int i;

	for (i = 0; i < nr; i++)
		CHECK((pages[i] = pool_take(GFP_KERNEL)));
	for (i = 0; i < nr; i++)
		pool_give(pages[i]);
}

/* What is given back is taken again, and freed where memory is short. */
static void test_pool_gives_back(void)
{
	struct page *page;
	unsigned long allocations;

	begin();
	fill_pool(64);
	allocations = shrinker_test_allocations();
	page = pool_take(GFP_KERNEL);
	CHECK_EQ(shrinker_test_allocations(), allocations);
	CHECK_EQ(page_count(page), 1);
	pool_give(page);
	CHECK_EQ(shrinker_test_pressure(0), 64);
	CHECK_EQ(shrinker_test_bytes(), 0);
	end();
}

/* The thread that allocates under the pool's mutex reclaims: the scan gives up. */
static void test_reclaim_under_the_mutex(void)
{
	struct shrinker_test_calls calls;

	begin();
	CHECK(shrinker_test_watch("page-pool"));
	fill_pool(64);
	shrinker_test_reclaim_on_allocation(1, 0);
	fill_pool(64);
	CHECK(shrinker_test_calls("page-pool", &calls));
	CHECK_EQ(calls.count_calls, 0);
	/* One more than the pool has, while it has some: nothing may hang. */
	{
		struct page *pages[65];
		int i;

		for (i = 0; i < 63; i++)
			pages[i] = pool_take(GFP_KERNEL);
		shrinker_test_reclaim_on_allocation(1, 0);
		pool_give(pages[62]);
		kfree(kmalloc(100, GFP_KERNEL)); /* reclaims outside of it */
		CHECK(shrinker_test_calls("page-pool", &calls));
		CHECK_EQ(calls.freed, 2);
		for (i = 0; i < 62; i++)
			pool_give(pages[i]);
	}
	end();
}

/* --- objects of groups on a list_lru ---------------------------------------------- */

static void make_objects(struct mem_cgroup *memcg, u32 from, u32 nr)
{
	struct mem_cgroup *old = set_active_memcg(memcg);
	struct object *object;

	for (; nr; nr--, from++) {
		CHECK((object = object_create(from)));
		object_put(object);
	}
	set_active_memcg(old);
}

static bool has(u32 key)
{
	struct object *object = object_get(key);

	if (object)
		object_put(object);
	return object;
}

/* A group that is short takes from its own objects alone. */
static void test_groups_are_apart(void)
{
	struct shrinker_test_pressure pressure = {
		.priority = 0, .gfp_mask = GFP_KERNEL,
	};
	struct mem_cgroup *one, *two;

	begin();
	CHECK_EQ(mem_cgroup_create(root_mem_cgroup, &one), 0);
	CHECK_EQ(mem_cgroup_create(root_mem_cgroup, &two), 0);
	make_objects(one, 0, 300);
	make_objects(two, 1000, 300);
	pressure.memcg = one;
	CHECK_EQ(shrinker_test_pressure_on(&pressure), 300);
	CHECK(!has(0) && has(1000));
	/* Offline: the objects are the parent's, and found there. */
	CHECK_EQ(mem_cgroup_offline(two), 0);
	CHECK_EQ(shrinker_test_pressure_on(&pressure), 0);
	CHECK_EQ(shrinker_test_pressure(0), 300);
	CHECK_EQ(mem_cgroup_offline(one), 0);
	end();
	mem_cgroup_put(one);
	mem_cgroup_put(two);
}

/* An object in use is not freed, and one that was used gets a second turn. */
static void test_used_objects_stay(void)
{
	struct object *object;

	begin();
	make_objects(NULL, 0, 200);
	CHECK((object = object_get(7)));
	CHECK(has(8));
	/* 200 objects, twice: one is in use, one is passed by at first */
	CHECK_EQ(shrinker_test_pressure(0), 199);
	CHECK(has(7) && !has(9));
	object_put(object);
	end();
}

/* --- pages on a list whose callback gets its lock ----------------------------------- */

/* Unused pages go, used ones stay; the scan frees them without the list's lock. */
static void test_unused_buffers_go(void)
{
	struct shrinker_test_calls calls;
	u32 i;

	begin();
	CHECK(shrinker_test_watch("buffer-pages"));
	for (i = 0; i < 100; i++)
		CHECK_EQ(buffer_use(i, 'a'), 0);
	for (i = 0; i < 60; i++)
		CHECK_EQ(buffer_unuse(i), 0);
	CHECK_EQ(buffer_unuse(0), -EALREADY);
	CHECK_EQ(buffer_use(7, 'b'), 0);
	CHECK_EQ(shrinker_test_pressure(0), 59);
	CHECK_EQ(buffer_pages(), 41);
	CHECK_EQ(buffer_read(8), -ENODATA);
	CHECK_EQ(buffer_read(7), 'b');
	CHECK_EQ(buffer_read(70), 'a');
	CHECK(shrinker_test_calls("buffer-pages", &calls));
	CHECK_EQ(calls.freed, 59);
	end();
	CHECK_EQ(buffer_pages(), 0);
}

/* --- what a filesystem knows of its files ------------------------------------------- */

/* Each super block has its shrinker, of one name: extents of its inodes go. */
static void test_extents_of_two_filesystems(void)
{
	struct super_block sb[2] = { { .s_id = "disk" }, { .s_id = "disk" } };
	struct shrinker_test_calls calls;
	static struct extents_inode inodes[2];
	struct extents_sb sbi[2];
	unsigned long n;
	u64 where = 0;
	int i;

	begin();
	for (n = 1; n <= 3; n++) {
		shrinker_test_fail_allocation(n);
		CHECK_EQ(extents_register(&sbi[0], &sb[0]), -ENOMEM);
	}
	for (i = 0; i < 2; i++) {
		CHECK_EQ(extents_register(&sbi[i], &sb[i]), 0);
		inode_init_once(&inodes[i].vfs_inode);
		inodes[i].vfs_inode.i_sb = &sb[i];
		extents_begin(&inodes[i].vfs_inode);
		for (n = 0; n < 500; n++)
			CHECK_EQ(extents_insert(&inodes[i].vfs_inode, (u32)n, n * 8), 0);
	}
	/* After the four of the other drivers. */
	CHECK(shrinker_test_watch("extents:disk-4"));
	CHECK(extents_lookup(&inodes[1].vfs_inode, 3, &where) && where == 24);
	/* 500 >> 1, times 4 / 2: 500 in each, in calls of 128 */
	CHECK_EQ(shrinker_test_pressure(1), 2 * 384);
	CHECK(shrinker_test_calls("extents:disk-4", &calls));
	CHECK_EQ(calls.scan_calls, 3);
	CHECK(!extents_lookup(&inodes[1].vfs_inode, 3, &where));
	CHECK(extents_lookup(&inodes[1].vfs_inode, 499, &where));
	CHECK_EQ(inodes[0].nr, 116);
	for (i = 0; i < 2; i++) {
		extents_forget(&inodes[i].vfs_inode);
		extents_unregister(&sbi[i]);
	}
	end();
}

/* Whichever allocation fails, loading and using say so and nothing leaks. */
static void test_no_memory(void)
{
	unsigned long n, needed;

	shrinker_test_begin();
	CHECK_EQ(shrinker_test_load(), 0);
	needed = shrinker_test_allocations();
	shrinker_test_unload();
	CHECK_EQ(shrinker_test_end(), 0);
	/* A queue, two caches, four shrinkers, two lrus. */
	CHECK_EQ(needed, 9);
	for (n = 1; n <= needed; n++) {
		shrinker_test_begin();
		shrinker_test_fail_allocation(n);
		CHECK_EQ(shrinker_test_load(), -ENOMEM);
		CHECK_EQ(shrinker_test_end(), 0);
	}
	begin();
	shrinker_test_fail_allocation(1);
	CHECK_EQ(answer_add("host", 1, GFP_KERNEL), -ENOMEM);
	shrinker_test_fail_allocation(1);
	CHECK(!pool_take(GFP_KERNEL));
	shrinker_test_fail_allocation(1);
	CHECK(!object_create(1));
	shrinker_test_fail_allocation(1);
	CHECK_EQ(buffer_use(1, 'x'), -ENOMEM);
	end();
}

int main(void)
{
	RUN(test_oldest_answers_go);
	RUN(test_work_drops_old_answers);
	RUN(test_answers_in_threads);
	RUN(test_pool_gives_back);
	RUN(test_reclaim_under_the_mutex);
	RUN(test_groups_are_apart);
	RUN(test_used_objects_stay);
	RUN(test_unused_buffers_go);
	RUN(test_extents_of_two_filesystems);
	RUN(test_no_memory);
	return checks_report("test_drivers");
}
