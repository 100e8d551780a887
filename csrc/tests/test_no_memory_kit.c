/* SPDX-License-Identifier: MIT */
/*
 * The driver test kit where the C library itself has no memory, and what it prints.
 */
#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "injector.h"
#include "kit_failures.h"

#include <linux/bug.h>
#include <linux/kthread.h>
#include <linux/list_lru.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/percpu_counter.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

/* Calls @make with 0, 1, ... allocations, until it makes something. */
static void *made_at_last(void *(*make)(void))
{
	unsigned long number;
	void *made = NULL;

	for (number = 0; !made; number++) {
		CHECK(number < 20);
		CHECK_EQ(shrinker_test_bytes(), 0);
		WITH_ALLOCATIONS(number, made = make());
	}
	CHECK(number > 1);
	return made;
}

static void *make_object(void)
{
	return kmalloc(10, GFP_KERNEL);
}

static void *make_pages(void)
{
	return alloc_pages(GFP_KERNEL, 1);
}

static void *make_cache(void)
{
	return kmem_cache_create("cache", 40, 64, SLAB_HWCACHE_ALIGN, NULL);
}

static void *make_text(void)
{
	return kasprintf(GFP_KERNEL, "%d", 5);
}

static void *make_queue(void)
{
	return alloc_workqueue("queue", 0, 0);
}

static void *make_reserve(void)
{
	return mempool_create_kmalloc_pool(2, 10);
}

static struct list_lru lru;

static void *make_lru(void)
{
	return list_lru_init_memcg(&lru, NULL) ? NULL : &lru;
}

static struct percpu_counter counter;

static void *make_counter(void)
{
	return percpu_counter_init(&counter, 0, GFP_KERNEL) ? NULL : &counter;
}

static void *make_shrinker(void)
{
	return shrinker_alloc(0, "a name that is not short enough to be inside of it");
}

static int return_at_once(void *unused)
{
	(void)unused;
	return 0;
}

static void *make_thread(void)
{
	struct task_struct *task = kthread_create(return_at_once, NULL, "thread");

	return IS_ERR(task) ? NULL : task;
}

/* Each allocation says so, and leaves nothing behind. */
static void no_memory(void)
{
	struct kmem_cache *cache;
	void *objects[3] = { NULL };
	unsigned long number;
	int made = 0;

	begin();
	kfree(made_at_last(make_object));
	__free_pages(made_at_last(make_pages), 1);
	kfree(made_at_last(make_text));
	destroy_workqueue(made_at_last(make_queue));
	mempool_destroy(made_at_last(make_reserve));
	list_lru_destroy(made_at_last(make_lru));
	percpu_counter_destroy(made_at_last(make_counter));
	CHECK_EQ(kthread_stop(made_at_last(make_thread)), -EINTR);
	shrinker_free(made_at_last(make_shrinker));
	cache = made_at_last(make_cache);
	for (number = 0; !made; number++)
		WITH_ALLOCATIONS(number, made = kmem_cache_alloc_bulk(
						 cache, GFP_KERNEL, 3, objects));
	CHECK_EQ(made, 3);
	CHECK(number > 3);
	kmem_cache_free_bulk(cache, 3, objects);
	kmem_cache_destroy(cache);
	end();
}

/* An object of a cache that readers may still see is freed after them. */
static void typesafe_objects(void)
{
	struct kmem_cache *cache;
	void *object;

	begin();
	cache = kmem_cache_create("typesafe", 16, 0, SLAB_TYPESAFE_BY_RCU, NULL);
	object = kmem_cache_zalloc(cache, GFP_KERNEL);
	rcu_read_lock();
	CHECK(rcu_read_lock_held());
	kmem_cache_free(cache, object);
	memset(object, 1, 16);
	rcu_read_unlock();
	kmem_cache_free(cache, NULL);
	kmem_cache_destroy(cache);
	/* More complaints than are told one by one. */
	{
		void *left[12];
		int i;

		for (i = 0; i < 12; i++)
			left[i] = kmalloc(1, GFP_KERNEL);
		CHECK_EQ(shrinker_test_end(), 1);
		for (i = 0; i < 12; i++)
			kfree(left[i]);
	}
	end();
}

static bool warns_once(void)
{
	return WARN_ON_ONCE(1);
}

/* The kernel log is standard error, without levels. */
static void what_is_printed(void)
{
	begin();
	CHECK_EQ(pr_info("12345\n"), 6);
	CHECK_EQ(printk("123\n"), 4);
	pr_warn_once("once\n");
	pr_debug("never\n");
	CHECK(warns_once() && warns_once());
	CHECK_EQ(shrinker_test_warnings(), 1);
	CHECK(!WARN_ON(0));
	begin();
	end();
}

/* Without a handler a failure ends the program. */
static void a_failure_aborts(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		shrinker_test_begin();
		signal(SIGABRT, SIG_DFL);
		BUG();
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(!WIFEXITED(status) || WEXITSTATUS(status));
}

int main(void)
{
	RUN(no_memory);
	RUN(typesafe_objects);
	RUN(what_is_printed);
	RUN(a_failure_aborts);
	return checks_report("test_no_memory_kit");
}
