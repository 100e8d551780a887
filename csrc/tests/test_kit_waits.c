/* SPDX-License-Identifier: MIT */
/* The driver test kit: waiting: what one thread waits for and another gives; a wait that is not ended fails. */
#include <sys/wait.h>

#include "check.h"
#include "kit_failures.h"

#include <linux/bit_spinlock.h>
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/mempool.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/semaphore.h>
#include <linux/seqlock.h>
#include <linux/srcu.h>
#include <linux/sysfs.h>

#define LIMIT_MS 30

static DEFINE_MUTEX(mutex);
static DECLARE_RWSEM(rwsem);
static DEFINE_RWLOCK(rwlock);
static DECLARE_WAIT_QUEUE_HEAD(queue);
static DECLARE_COMPLETION(never);
static DEFINE_SEMAPHORE(semaphore, 0);

static void begin_short(void)
{
	begin();
	shrinker_test_wait_limit(LIMIT_MS);
}

/* What no thread ends fails with its place, and goes on. */
static void waits_that_nothing_ends(void)
{
	unsigned long word = 0;

	begin_short();
	wait_event(queue, false);
	CHECK(failed_with("test_kit_waits.c:"));
	CHECK_EQ(wait_event_interruptible(queue, false), 0);
	CHECK(failed_with("wait_event() has waited for 30 ms"));
	wait_for_completion(&never);
	CHECK(failed_with("wait_for_completion() has waited for 30 ms"));
	down(&semaphore);
	CHECK(failed_with("down() has waited for 30 ms"));
	CHECK_EQ(down_trylock(&semaphore), 1);
	set_bit(3, &word);
	wait_on_bit(&word, 3, TASK_UNINTERRUPTIBLE);
	CHECK(failed_with("has waited for 30 ms"));
	bit_spin_lock(3, &word);
	CHECK(failed_with("bit_spin_lock() has waited"));
	/* No time at all is no wait. */
	CHECK_EQ(wait_event_timeout(queue, false, 0), 0);
	CHECK_EQ(wait_for_completion_timeout(&never, 0), 0);
	CHECK(wait_event_timeout(queue, true, 0) > 0);
	end();
}

static int held_for_ms;

static void *hold_all(void *unused)
{
	mutex_lock(&mutex);
	down_write(&rwsem);
	write_lock(&rwlock);
	WRITE_ONCE(held_for_ms, 1);
	while (READ_ONCE(held_for_ms))
		mdelay(1);
	write_unlock(&rwlock);
	up_write(&rwsem);
	mutex_unlock(&mutex);
	return unused;
}

/* A lock that another thread keeps fails with both places, and is not taken. */
static void locks_that_are_kept(void)
{
	pthread_t thread;

	begin_short();
	CHECK(!pthread_create(&thread, NULL, hold_all, NULL));
	while (!READ_ONCE(held_for_ms))
		msleep(1);
	mutex_lock(&mutex);
	CHECK(failed_with("a lock has waited for 30 ms for what was taken at tests/test_kit_waits.c:"));
	down_read(&rwsem);
	CHECK(failed_with("for what was taken at"));
	down_write(&rwsem);
	CHECK(failed_with("for what was taken at"));
	read_lock(&rwlock);
	CHECK(failed_with("for what was taken at"));
	CHECK_EQ(shrinker_test_locks_held(), 0);
	WRITE_ONCE(held_for_ms, 0);
	pthread_join(thread, NULL);
	mutex_lock(&mutex);
	/* Twice by one thread, where that is not checked. */
	shrinker_test_check_locks(false);
	mutex_lock(&mutex);
	CHECK(failed_with("has waited for 30 ms"));
	shrinker_test_check_locks(true);
	mutex_unlock(&mutex);
	end();
}

static void *read_for_a_while(void *unused)
{
	rcu_read_lock();
	WRITE_ONCE(held_for_ms, 1);
	while (READ_ONCE(held_for_ms))
		mdelay(1);
	rcu_read_unlock();
	return unused;
}

static void *no_element(gfp_t gfp, void *unused)
{
	(void)gfp;
	(void)unused;
	return NULL;
}

/* Readers that stay, and a reserve that is used up. */
static void readers_and_reserves(void)
{
	static struct srcu_struct srcu;
	pthread_t thread;
	mempool_t *pool;

	begin_short();
	CHECK(!pthread_create(&thread, NULL, read_for_a_while, NULL));
	while (!READ_ONCE(held_for_ms))
		msleep(1);
	synchronize_rcu();
	CHECK(failed_with("synchronize_rcu() has waited"));
	WRITE_ONCE(held_for_ms, 0);
	pthread_join(thread, NULL);
	synchronize_rcu();
	init_srcu_struct(&srcu);
	srcu_read_lock(&srcu);
	synchronize_srcu(&srcu);
	CHECK(failed_with("has waited"));
	cleanup_srcu_struct(&srcu);
	CHECK(failed_with("there are readers"));
	srcu_read_unlock(&srcu, 0);
	synchronize_srcu(&srcu);
	cleanup_srcu_struct(&srcu);
	pool = mempool_create(0, no_element, mempool_kfree, NULL);
	CHECK(pool);
	CHECK(!mempool_alloc(pool, GFP_KERNEL));
	CHECK(failed_with("mempool_alloc() has waited"));
	mempool_destroy(pool);
	end();
}

static struct semaphore given_semaphore;
static struct completion given;
static wait_queue_head_t given_queue;
static int condition;

static void *give(void *unused)
{
	while (!waitqueue_active(&given_queue))
		msleep(1);
	WRITE_ONCE(condition, 1);
	wake_up(&given_queue);
	up(&given_semaphore);
	complete_all(&given);
	return unused;
}

/* What one thread waits for, another gives. */
static void waiting(void)
{
	pthread_t thread;

	begin();
	sema_init(&given_semaphore, 1);
	init_completion(&given);
	init_waitqueue_head(&given_queue);
	down(&given_semaphore);
	CHECK_EQ(down_trylock(&given_semaphore), 1);
	CHECK(!completion_done(&given));
	CHECK_EQ(wait_event_timeout(given_queue, READ_ONCE(condition), 5), 0);
	CHECK(!pthread_create(&thread, NULL, give, NULL));
	CHECK(wait_event_timeout(given_queue, READ_ONCE(condition), 100000) > 0);
	down(&given_semaphore);
	CHECK(wait_for_completion_timeout(&given, 100000) > 0);
	wait_for_completion(&given);
	pthread_join(thread, NULL);
	CHECK(try_wait_for_completion(&given) && completion_done(&given));
	complete(&given);
	reinit_completion(&given);
	complete(&given);
	CHECK(try_wait_for_completion(&given));
	CHECK(!try_wait_for_completion(&given));
	up(&given_semaphore);
	CHECK_EQ(down_trylock(&given_semaphore), 0);
	end();
}

/* The clock is real, and can be put forward. */
static void the_clock(void)
{
	unsigned long before = jiffies;
	ktime_t then = ktime_get(), real = ktime_get_real();
	struct timespec64 now;
	u64 a, b;
	char bytes[16] = { 0 };

	begin();
	shrinker_test_advance(5000);
	CHECK(time_after_eq(jiffies, before + 5000));
	CHECK(ktime_ms_delta(ktime_get(), then) >= 5000);
	CHECK(ktime_after(ktime_get_real(), real));
	ktime_get_ts64(&now);
	CHECK(now.tv_sec >= ktime_get_seconds() - 1);
	udelay(1);
	usleep_range(1, 2);
	schedule();
	cpu_relax();
	schedule_timeout_uninterruptible(1);
	CHECK(current->pid > 0 && current->comm[0]);
	shrinker_test_seed(7);
	a = get_random_u64();
	shrinker_test_seed(7);
	b = get_random_u64();
	CHECK_EQ(a, b);
	get_random_bytes(bytes, sizeof(bytes));
	CHECK(memchr_inv(bytes, 0, sizeof(bytes)));
	end();
}

/* Messages are held back after a burst, until the interval is over. */
static void rates_are_limited(void)
{
	static DEFINE_RATELIMIT_STATE(state, 1000, 2);
	static DEFINE_RATELIMIT_STATE(unlimited, 0, 0);

	begin();
	CHECK(__ratelimit(&state) && __ratelimit(&state) && !__ratelimit(&state));
	CHECK_EQ(state.missed, 1);
	shrinker_test_advance(1002);
	CHECK(__ratelimit(&state));
	CHECK(__ratelimit(&unlimited));
	end();
}

/* A failure without a handler ends the program. */
static void a_wait_aborts(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		shrinker_test_begin();
		shrinker_test_wait_limit(10);
		signal(SIGABRT, SIG_DFL);
		wait_event(*shrinker_kit_variable_queue(), false);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(!WIFEXITED(status) || WEXITSTATUS(status));
}

/* A writer that does not end, and a sleep that no thread can end. */
static void sequences_and_sleeps(void)
{
	seqcount_t sequence = SEQCNT_ZERO(sequence);

	begin_short();
	CHECK_EQ(read_seqcount_begin(&sequence), 0);
	write_seqcount_begin(&sequence);
	read_seqcount_begin(&sequence);
	CHECK(failed_with("a reader of a sequence has waited for 30 ms"));
	write_seqcount_end(&sequence);
	CHECK_EQ(read_seqcount_begin(&sequence), 2);
	CHECK_EQ(schedule_timeout(MAX_SCHEDULE_TIMEOUT), MAX_SCHEDULE_TIMEOUT);
	CHECK(failed_with("schedule_timeout() has waited for 30 ms"));
	CHECK_EQ(schedule_timeout(2), 0);
	end();
}

int main(void)
{
	RUN(waits_that_nothing_ends);
	RUN(locks_that_are_kept);
	RUN(readers_and_reserves);
	RUN(waiting);
	RUN(the_clock);
	RUN(rates_are_limited);
	RUN(a_wait_aborts);
	RUN(sequences_and_sleeps);
	return checks_report("test_kit_waits");
}
