/* SPDX-License-Identifier: MIT */
/*
 * Tests of a driver's shrinker, in userspace.
 *
 * A driver written for the kernel is compiled against the headers in linux/ of this
 * directory and linked with libshrinker.a.  A test then plays the kernel: it makes
 * memory short, lets allocations fail, lets time pass, and sees what the driver does.
 *
 *	shrinker_test_begin();
 *	shrinker_test_load();                      the driver's module_init()
 *	... fill its cache ...
 *	freed = shrinker_test_pressure(DEF_PRIORITY);
 *	...
 *	shrinker_test_unload();
 *	return shrinker_test_end() ? 1 : 0;        leaks, locks, warnings
 *
 * docs/test-your-driver.md has a driver and its test.
 *
 * Context: all functions may be called from any thread, with no lock of the driver
 * held, unless they say more.
 */
#ifndef SHRINKER_TEST_H
#define SHRINKER_TEST_H

#include <linux/shrinker.h>
#include <shrinker/domain.h>
#include <shrinker/memcg.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * shrinker_test_begin - forget what was counted, failed and warned before
 *
 * Work is done inline, locks are checked, no allocation fails.
 */
void shrinker_test_begin(void);

/**
 * shrinker_test_end - look at what the driver has left behind
 *
 * Complains on standard error of what is left, each with the place that made it:
 * memory, shrinkers, caches, list_lrus, work queues, pools, per-cpu counters, work and
 * timers that wait, locks and rcu_read_lock() of this thread.  And of warnings and
 * failures since shrinker_test_begin(); without failures that shrinker_test_failures()
 * was asked about.
 *
 * Return: number of complaints.
 */
int shrinker_test_end(void);

/**
 * shrinker_test_load - call what the drivers gave to module_init() and the like
 *
 * Return: 0, or the first error; what was loaded before it is unloaded then.
 */
int shrinker_test_load(void);

/* Calls what they gave to module_exit(), the last one loaded first. */
void shrinker_test_unload(void);

/* --- pressure ----------------------------------------------------------------- */

/**
 * struct shrinker_test_pressure - who is short of memory, and how much
 * @priority: DEF_PRIORITY (little) to 0 (everything)
 * @gfp_mask: what the thread that is short may do; GFP_NOFS for one inside a
 *	filesystem
 * @nid: node that is short; -1: each in turn
 * @memcg: group that is short; NULL: the machine
 */
struct shrinker_test_pressure {
	int priority;
	gfp_t gfp_mask;
	int nid;
	struct mem_cgroup *memcg;
};

/**
 * shrinker_test_pressure - one walk over all shrinkers, on each node
 *
 * With GFP_KERNEL, the whole machine short.
 *
 * Return: objects freed.
 */
unsigned long shrinker_test_pressure(int priority);
unsigned long
shrinker_test_pressure_on(const struct shrinker_test_pressure *pressure);

/**
 * struct shrinker_test_calls - what shrinkers were asked and answered
 * @count_calls: calls of count_objects()
 * @scan_calls: calls of scan_objects()
 * @asked: objects asked for, the sum of nr_to_scan
 * @scanned: objects scanned, the sum of nr_scanned
 * @freed: objects freed
 * @stops: scans that said SHRINK_STOP
 * @empty: counts that said SHRINK_EMPTY
 * @last_count: what the latest count said
 */
struct shrinker_test_calls {
	unsigned long count_calls;
	unsigned long scan_calls;
	unsigned long asked;
	unsigned long scanned;
	unsigned long freed;
	unsigned long stops;
	unsigned long empty;
	unsigned long last_count;
};

/**
 * shrinker_test_watch - count the calls of a shrinker's callbacks from now on
 * @name: as it was given to shrinker_alloc(); the shrinker is registered.  Of several
 *	with one name the first is meant, and a line on standard error says how each is
 *	named: as its directory in debugfs, "name-0", "name-1"
 *
 * Watched or not, a callback that returns with more or fewer locks held than it was
 * called with fails the test.
 *
 * Return: false where there is no such shrinker.
 */
bool shrinker_test_watch(const char *name);

/**
 * shrinker_test_calls - what a watched shrinker was asked since it is watched
 *
 * Return: false where it is not watched.
 */
bool shrinker_test_calls(const char *name, struct shrinker_test_calls *calls);

/* --- allocations ---------------------------------------------------------------- */

/**
 * shrinker_test_fail_allocation - let an allocation fail
 * @nth: 1: the next one of any thread, 2: the one after it; 0: none
 *
 * One with __GFP_NOFAIL does not fail, and is not counted.
 */
void shrinker_test_fail_allocation(unsigned long nth);

/**
 * shrinker_test_allocations - allocations since shrinker_test_begin()
 *
 * Those that failed included.  A test that makes each fail in turn runs to this.
 */
unsigned long shrinker_test_allocations(void);

/* Bytes that were allocated and not given back. */
unsigned long shrinker_test_bytes(void);

/**
 * shrinker_test_reclaim_on_allocation - call shrinkers out of allocations
 * @every: each @every-th allocation that may reclaim; 0: none
 * @priority: of the walk
 *
 * As a kernel that is short of memory does: with the allocation's own gfp mask, on
 * the thread and under the locks that allocate.  It shows scans that wait for a lock
 * which the allocating thread holds.
 */
void shrinker_test_reclaim_on_allocation(unsigned long every, int priority);

/* --- locks, work, time ---------------------------------------------------------- */

/**
 * shrinker_test_check_locks - whether wrong use of locks fails the test
 *
 * Checked at first: a lock taken again by the thread that holds it, an unlock by
 * another thread or of a free lock, a call that may block under a spinlock or
 * rcu_read_lock().  Each names the place, and where the lock was taken.
 */
void shrinker_test_check_locks(bool check);

/* Locks that the calling thread holds. */
int shrinker_test_locks_held(void);

/**
 * shrinker_test_wait_limit - how long a thread may wait for others
 * @milliseconds: of real time; 10,000 after shrinker_test_begin()
 *
 * A lock, wait_event(), wait_for_completion(), down(), flush_work(),
 * synchronize_rcu() or mempool_alloc() that waits longer fails the test with its
 * place.  Where a handler is installed, it returns then, without what it waited for.
 */
void shrinker_test_wait_limit(unsigned long milliseconds);

enum shrinker_test_work {
	/* By the thread that queues it, once it holds no lock. */
	SHRINKER_TEST_WORK_INLINE,
	/* By a thread. */
	SHRINKER_TEST_WORK_THREAD,
	/* When shrinker_test_run_work() is called. */
	SHRINKER_TEST_WORK_ASKED,
};

/* Says who does work that was queued (linux/workqueue.h). */
void shrinker_test_work(enum shrinker_test_work how);

/**
 * shrinker_test_run_work - do all work that is due, and what it queues
 *
 * Return: how many functions were called.
 */
unsigned long shrinker_test_run_work(void);

/* Puts jiffies and ktime_get() forward, and does the work that is due then. */
void shrinker_test_advance(unsigned long milliseconds);

/* Seeds get_random_u32() and its kind. */
void shrinker_test_seed(unsigned long seed);

/* --- failures ------------------------------------------------------------------- */

/**
 * shrinker_test_on_failure - what to do when the driver does something wrong
 * @handler: called with one line of text; NULL: print it and abort(), so that
 *	a sanitizer or debugger shows where
 *
 * What was wrong is not done where the handler returns: a lock that is held is not
 * taken again.  For tests of the kit, and those that expect a failure.  Each counts
 * as a complaint at the end of the test, unless shrinker_test_failures() is called.
 */
void shrinker_test_on_failure(void (*handler)(const char *text));

/**
 * shrinker_test_failures - failures that a handler was called with
 *
 * Return: since shrinker_test_begin() or the last call.  Those that were asked for
 * are taken as expected: shrinker_test_end() does not complain of them.
 */
unsigned long shrinker_test_failures(void);

/* Warnings (WARN_ON() and its kind) since shrinker_test_begin(). */
unsigned long shrinker_test_warnings(void);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_TEST_H */
