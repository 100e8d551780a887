/* SPDX-License-Identifier: MIT */
/* The driver test kit: loading and unloading, and what a test's end complains of. */

#include "check.h"
#include "kit_failures.h"

#include <linux/list_lru.h>
#include <linux/mempool.h>
#include <linux/module.h>
#include <linux/percpu_counter.h>

static DEFINE_MUTEX(mutex);

static void *no_element(gfp_t gfp, void *unused)
{
	(void)gfp;
	(void)unused;
	return NULL;
}

static struct timer_list timer;

static void count_fire(struct timer_list *self)
{
	(void)self;
}

/* Each thing that is left is one complaint. */
static void what_is_left(void)
{
	struct kmem_cache *cache;
	struct percpu_counter counter;
	struct list_lru lru;
	mempool_t *pool;

	begin();
	cache = kmem_cache_create("left", 8, 0, 0, NULL);
	CHECK_EQ(list_lru_init(&lru), 0);
	CHECK_EQ(percpu_counter_init(&counter, 5, GFP_KERNEL), 0);
	pool = mempool_create(0, no_element, mempool_kfree, NULL);
	timer_setup(&timer, count_fire, 0);
	mod_timer(&timer, jiffies + 100000);
	rcu_read_lock();
	CHECK_EQ(shrinker_test_end(), 6);
	rcu_read_unlock();
	del_timer(&timer);
	kmem_cache_destroy(cache);
	list_lru_destroy(&lru);
	percpu_counter_destroy(&counter);
	mempool_destroy(pool);
	mempool_destroy(pool);
	CHECK(failed_with("mempool_destroy() of a mempool that was made at"));
	end();
}

/* A failure counts at the end, unless the test has asked for it. */
static void failures_count(void)
{
	begin();
	mutex_unlock(&mutex);
	CHECK_EQ(shrinker_test_end(), 1);
	failures = 0;
	mutex_unlock(&mutex);
	CHECK_EQ(shrinker_test_failures(), 1);
	CHECK_EQ(shrinker_test_failures(), 0);
	failures = 0;
	end();
}

static int loading;

static int load(void)
{
	return loading;
}

module_init(load);

/* A positive number is no error, and is told. */
static void odd_answers_of_init(void)
{
	begin();
	loading = 1;
	CHECK_EQ(shrinker_test_load(), 0);
	CHECK_EQ(shrinker_test_warnings(), 1);
	CHECK_EQ(shrinker_test_end(), 1);
	shrinker_test_unload();
	begin();
	loading = -ENOMEM;
	CHECK_EQ(shrinker_test_load(), -ENOMEM);
	loading = 0;
	end();
}

static int first(void)
{
	return 0;
}

static int last(void)
{
	return 0;
}

late_initcall(last);
core_initcall(first);

/* What is loaded is not loaded again. */
static void loading_twice(void)
{
	begin();
	CHECK_EQ(shrinker_test_load(), 0);
	CHECK_EQ(shrinker_test_load(), 0);
	shrinker_test_unload();
	end();
}

int main(void)
{
	RUN(what_is_left);
	RUN(failures_count);
	RUN(odd_answers_of_init);
	RUN(loading_twice);
	return checks_report("test_kit_ends");
}
