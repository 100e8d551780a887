/* SPDX-License-Identifier: MIT */
/* The driver test kit: threads of the driver. */

#include "check.h"
#include "kit_failures.h"

#include <linux/delay.h>
#include <linux/kthread.h>
#include <net/net_namespace.h>

static int rounds;
static DECLARE_WAIT_QUEUE_HEAD(queue);

static int go_round(void *data)
{
	while (!kthread_should_stop()) {
		(*(int *)data)++;
		wait_event_interruptible_timeout(queue, kthread_should_stop(), 1);
	}
	return 7;
}

static int wait_to_stop(void *unused)
{
	(void)unused;
	wait_event(queue, kthread_should_stop());
	return 8;
}

static int never_stops(void *ends)
{
	while (!READ_ONCE(*(bool *)ends))
		msleep(1);
	return 0;
}

/* A thread runs until it is stopped; one that is not is told. */
static void threads(void)
{
	struct task_struct *task;
	/* The last thread may read it after this function has returned. */
	static bool ends;

	begin();
	CHECK(!kthread_should_stop());
	task = kthread_run(go_round, &rounds, "round-%d", 1);
	CHECK(!IS_ERR(task));
	CHECK_EQ(shrinker_test_end(), 1);
	wake_up_process(task);
	msleep(5);
	CHECK_EQ(kthread_stop(task), 7);
	CHECK(rounds > 0);
	CHECK_EQ(kthread_stop(task), -EINVAL);
	CHECK(failed_with("kthread_stop() of a kthread that was made at"));
	CHECK_EQ(wake_up_process(task), 0);
	task = kthread_run(wait_to_stop, NULL, "waits");
	CHECK_EQ(kthread_stop(task), 8);
	task = kthread_create(wait_to_stop, NULL, "never started");
	CHECK_EQ(kthread_stop(task), -EINTR);
	shrinker_test_fail_allocation(1);
	CHECK_EQ(PTR_ERR(kthread_run(go_round, NULL, "none")), -ENOMEM);
	shrinker_test_wait_limit(20);
	task = kthread_run(never_stops, &ends, "never");
	CHECK_EQ(kthread_stop(task), -EINTR);
	CHECK(failed_with("kthread_stop() has waited for 20 ms"));
	WRITE_ONCE(ends, true);
	msleep(20);
	end();
}

static int sleep_long(void *ended)
{
	CHECK(schedule_timeout_interruptible(100000) > 0);
	WRITE_ONCE(*(int *)ended, 1);
	CHECK_EQ(schedule_timeout(MAX_SCHEDULE_TIMEOUT), MAX_SCHEDULE_TIMEOUT);
	CHECK(kthread_should_stop());
	return 9;
}

/* A thread that sleeps for long is woken, and stopped at once. */
static void sleeps_are_ended(void)
{
	static int ended;
	struct task_struct *task;

	begin();
	task = kthread_run(sleep_long, &ended, "sleeps");
	while (!READ_ONCE(ended)) {
		wake_up_process(task);
		msleep(1);
	}
	CHECK_EQ(kthread_stop(task), 9);
	end();
}

int main(void)
{
	RUN(threads);
	RUN(sleeps_are_ended);
	return checks_report("test_kit_threads");
}
