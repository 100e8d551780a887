/* SPDX-License-Identifier: MIT */
/* The driver test kit: work and timers: when they run, and what goes wrong in them. */

#include "check.h"
#include "kit_failures.h"

#include <linux/delay.h>
#include <net/net_namespace.h>

static DEFINE_SPINLOCK(spinlock);

static int works;
static void count_work(struct work_struct *work)
{
	CHECK_EQ(shrinker_test_locks_held(), 0);
	works++;
	(void)work;
}

static DECLARE_WORK(work, count_work);
static DECLARE_DELAYED_WORK(delayed, count_work);

/* Inline work is done when its thread has let go of its locks. */
static void work_waits_for_locks(void)
{
	begin();
	works = 0;
	CHECK(schedule_work(&work));
	CHECK_EQ(works, 1);
	spin_lock(&spinlock);
	CHECK(schedule_work(&work));
	CHECK(!schedule_work(&work));
	CHECK_EQ(works, 1);
	CHECK(work_pending(&work));
	spin_unlock(&spinlock);
	CHECK_EQ(works, 2);
	end();
}

/* Delayed work waits for the clock, and can be cancelled, moved, flushed. */
static void delayed_work_waits_for_time(void)
{
	begin();
	works = 0;
	CHECK(schedule_delayed_work(&delayed, 100000));
	shrinker_test_advance(50000);
	CHECK_EQ(works, 0);
	shrinker_test_advance(50001);
	CHECK_EQ(works, 1);
	schedule_delayed_work(&delayed, 100000);
	CHECK(mod_delayed_work(system_wq, &delayed, 200000));
	shrinker_test_advance(100001);
	CHECK_EQ(works, 1);
	CHECK(cancel_delayed_work_sync(&delayed));
	CHECK(!cancel_delayed_work_sync(&delayed));
	schedule_delayed_work(&delayed, 100000);
	CHECK(flush_delayed_work(&delayed));
	CHECK_EQ(works, 2);
	schedule_delayed_work(&delayed, 100000);
	CHECK_EQ(shrinker_test_end(), 1); /* it waits */
	cancel_delayed_work(&delayed);
	end();
}

static void again(struct work_struct *unused)
{
	works++;
	(void)unused;
	schedule_delayed_work(&delayed, 10);
}

/* Periodic work runs as often as its time has come; endless work is told. */
static void work_that_queues_itself(void)
{
	struct { struct delayed_work work; } *object;

	begin();
	works = 0;
	INIT_DELAYED_WORK(&delayed, again);
	schedule_delayed_work(&delayed, 10);
	shrinker_test_advance(1005);
	CHECK(works >= 95 && works <= 101);
	cancel_delayed_work_sync(&delayed);
	INIT_DELAYED_WORK(&delayed, count_work);
	object = kmalloc(sizeof(*object), GFP_KERNEL);
	INIT_DELAYED_WORK(&object->work, count_work);
	schedule_delayed_work(&object->work, 10);
	kfree(object);
	CHECK(failed_with("is freed with work or a timer queued inside"));
	cancel_delayed_work_sync(&object->work);
	kfree(object);
	end();
}

static int fired;
static void fire(struct timer_list *timer)
{
	fired++;
	(void)timer;
}

/* A timer fires at its moment, and again where it is set again. */
static void timers(void)
{
	struct timer_list timer;

	begin();
	fired = 0;
	timer_setup(&timer, fire, 0);
	mod_timer(&timer, jiffies + 1000);
	CHECK(timer_pending(&timer));
	mod_timer(&timer, jiffies + 5000);
	shrinker_test_advance(2000);
	CHECK_EQ(fired, 0);
	shrinker_test_advance(3001);
	CHECK_EQ(fired, 1);
	mod_timer(&timer, jiffies + 1000);
	CHECK(del_timer_sync(&timer));
	CHECK(!timer_pending(&timer));
	end();
}

/* Work that a test left waiting is told where the next one initialises it. */
static void work_left_by_an_earlier_test(void)
{
	static struct work_struct left, behind;
	static struct timer_list timer;
	char here[64];
	int i;

	begin();
	works = 0;
	shrinker_test_work(SHRINKER_TEST_WORK_ASKED);
	INIT_WORK(&behind, count_work);
	INIT_WORK(&left, count_work);
	timer_setup(&timer, fire, 0);
	schedule_work(&behind);
	schedule_work(&left);
	snprintf(here, sizeof(here), "test_kit_work.c:%d: did an earlier", __LINE__ - 1);
	mod_timer(&timer, jiffies + 10);
	CHECK_EQ(shrinker_test_end(), 3);
	begin();
	INIT_WORK(&left, count_work);
	CHECK(failed_with(here));
	timer_setup(&timer, fire, 0);
	CHECK(failed_with("work or a timer is initialised while it waits"));
	CHECK_EQ(shrinker_test_run_work(), 1);
	CHECK(schedule_work(&left));
	CHECK_EQ(works, 2);

	/* The driver has overwritten it or another one: by zeroes, or an initializer. */
	shrinker_test_work(SHRINKER_TEST_WORK_ASKED);
	for (i = 0; i < 4; i++) {
		struct work_struct *overwritten = i % 2 ? &behind : &left;

		INIT_WORK(&behind, count_work);
		schedule_work(&behind);
		schedule_work(&left);
		if (i < 2)
			memset(overwritten, 0, sizeof(*overwritten));
		else
			INIT_LIST_HEAD(&overwritten->entry);
		INIT_WORK(&left, count_work);
		CHECK(failed_with("called was overwritten: did an earlier"));
		CHECK_EQ(shrinker_test_run_work(), 0);
	}
	end();
}

static struct completion done;
static DECLARE_WAIT_QUEUE_HEAD(queue);
static int condition;

static void complete_it(struct work_struct *unused)
{
	(void)unused;
	WRITE_ONCE(condition, 1);
	wake_up(&queue);
	complete(&done);
}

static DECLARE_WORK(completing, complete_it);

/* A thread does the work, and others wait for it. */
static void work_on_a_thread(void)
{
	begin();
	shrinker_test_work(SHRINKER_TEST_WORK_THREAD);
	init_completion(&done);
	CHECK(!try_wait_for_completion(&done));
	CHECK_EQ(wait_for_completion_timeout(&done, 5), 0);
	CHECK_EQ(wait_event_timeout(queue, READ_ONCE(condition), 5), 0);
	schedule_work(&completing);
	wait_event(queue, READ_ONCE(condition));
	wait_for_completion(&done);
	flush_work(&completing);
	cancel_work_sync(&completing);
	shrinker_test_work(SHRINKER_TEST_WORK_INLINE);
	end();
}

/* Queues are flushed, and must be empty of delayed work when they end. */
static void queues(void)
{
	struct workqueue_struct *own;

	begin();
	works = 0;
	own = alloc_workqueue("own", 0, 0);
	shrinker_test_work(SHRINKER_TEST_WORK_ASKED);
	CHECK(queue_work(own, &work));
	CHECK_EQ(works, 0);
	CHECK_EQ(work_busy(&work), 1);
	flush_workqueue(own);
	CHECK_EQ(works, 1);
	CHECK_EQ(work_busy(&work), 0);
	CHECK(!flush_work(&work));
	schedule_work(&work);
	CHECK_EQ(shrinker_test_run_work(), 1);
	queue_delayed_work(own, &delayed, 1000000);
	shrinker_test_fail_allocation(1);
	CHECK(!alloc_workqueue("none", 0, 0));
	cancel_delayed_work(&delayed);
	destroy_workqueue(own);
	own = create_singlethread_workqueue("own");
	queue_delayed_work(own, &delayed, 1000000);
	destroy_workqueue(own);
	CHECK(failed_with("delayed work waits on own"));
	cancel_delayed_work(&delayed);
	end();
}

static struct workqueue_struct *own_queue;
static struct work_struct wrong_work, other_work;
static struct timer_list wrong_timer;
static int ran;

static void wait_for_itself(struct work_struct *self)
{
	CHECK(!cancel_work_sync(self));
	CHECK(failed_with("cancel_work_sync() in the function itself"));
	CHECK(!flush_work(self));
	CHECK(failed_with("flush_work() in the function itself"));
	flush_workqueue(own_queue);
	CHECK(failed_with("flush_workqueue() in a function of the queue"));
	ran++;
}

static void flush_the_other(struct work_struct *self)
{
	/* A function that a flush has called for is inside of this one. */
	queue_work(own_queue, &other_work);
	flush_work(&other_work);
	CHECK_EQ(work_busy(self), 2);
	ran++;
}

static void cancel_the_outer(struct work_struct *self)
{
	(void)self;
	cancel_work_sync(&wrong_work);
	CHECK(failed_with("in the function itself"));
	ran++;
}

static void leave_the_lock(struct work_struct *self)
{
	(void)self;
	spin_lock(&spinlock);
}

static void leave_the_reader(struct timer_list *self)
{
	CHECK(!del_timer_sync(self));
	CHECK(failed_with("timer_delete_sync() in the function itself"));
	rcu_read_lock();
}

/* A function that waits for its own end, or leaves what it has taken. */
static void work_goes_wrong(void)
{
	begin();
	ran = 0;
	own_queue = alloc_workqueue("own-%d", 0, 0, 5);
	INIT_WORK(&wrong_work, wait_for_itself);
	queue_work(own_queue, &wrong_work);
	CHECK_EQ(ran, 1);
	INIT_WORK(&wrong_work, flush_the_other);
	INIT_WORK(&other_work, cancel_the_outer);
	queue_work(own_queue, &wrong_work);
	CHECK_EQ(ran, 3);
	INIT_WORK(&wrong_work, leave_the_lock);
	queue_work(own_queue, &wrong_work);
	CHECK(failed_with("was called with 0 locks held, and returned with 1, one taken at"));
	spin_unlock(&spinlock);
	timer_setup(&wrong_timer, leave_the_reader, 0);
	mod_timer(&wrong_timer, jiffies);
	shrinker_test_advance(1);
	CHECK(failed_with("returned inside 1, the first at"));
	rcu_read_unlock();
	memset(&wrong_work, 0, sizeof(wrong_work));
	schedule_work(&wrong_work);
	CHECK(failed_with("not initialised"));
	CHECK_EQ(shrinker_test_end(), 1); /* the queue */
	destroy_workqueue(own_queue);
	destroy_workqueue(own_queue);
	CHECK(failed_with("destroy_workqueue() of a workqueue that was made at"));
	end();
}

#define LIMIT_MS 30

static void begin_short(void)
{
	begin();
	shrinker_test_wait_limit(LIMIT_MS);
}

static int may_end;

static void hang(struct work_struct *self)
{
	(void)self;
	while (!READ_ONCE(may_end))
		msleep(1);
}

/* A function that does not end, on the thread for work. */
static void work_that_hangs(void)
{
	begin_short();
	may_end = 0;
	shrinker_test_work(SHRINKER_TEST_WORK_THREAD);
	INIT_WORK(&wrong_work, hang);
	schedule_work(&wrong_work);
	while (work_busy(&wrong_work) != 2)
		msleep(1);
	flush_work(&wrong_work);
	CHECK(failed_with("flush_work() has waited for 30 ms for what was taken at"));
	cancel_work_sync(&wrong_work);
	CHECK(failed_with("cancel_work_sync() has waited"));
	flush_scheduled_work();
	CHECK(failed_with("flush_workqueue() has waited"));
	INIT_WORK(&other_work, cancel_the_outer);
	schedule_work(&other_work);
	flush_work(&other_work);
	CHECK(failed_with("queued work has waited"));
	shrinker_test_work(SHRINKER_TEST_WORK_INLINE);
	CHECK(failed_with("the end of the thread for work has waited"));
	WRITE_ONCE(may_end, 1);
	shrinker_test_wait_limit(60000);
	shrinker_test_work(SHRINKER_TEST_WORK_INLINE);
	cancel_work_sync(&wrong_work);
	may_end = 0;
	end();
}

static int turns;
static struct work_struct endless;

static void queue_again(struct work_struct *self)
{
	turns++;
	schedule_work(self);
}

static void nothing(struct work_struct *self)
{
	(void)self;
	turns++;
}

/* Work of another queue waits for its own flush; endless work is told. */
static void queues_apart(void)
{
	struct workqueue_struct *one, *two;
	static DECLARE_DELAYED_WORK(later, nothing);
	struct work_struct apart;

	begin();
	one = alloc_workqueue("one", 0, 0);
	two = alloc_ordered_workqueue("two", 0);
	shrinker_test_work(SHRINKER_TEST_WORK_ASKED);
	INIT_WORK(&apart, nothing);
	queue_work(one, &apart);
	queue_delayed_work(two, &later, 100000);
	flush_workqueue(two);
	CHECK(work_pending(&apart));
	destroy_workqueue(one);
	CHECK(!work_pending(&apart));
	cancel_delayed_work(&later);
	destroy_workqueue(two);
	INIT_WORK(&endless, queue_again);
	schedule_work(&endless);
	shrinker_test_run_work();
	CHECK(failed_with("does one queue itself without a delay?"));
	CHECK(turns >= 100000);
	cancel_work(&endless);
	/* The thread is started once. */
	shrinker_test_work(SHRINKER_TEST_WORK_THREAD);
	shrinker_test_work(SHRINKER_TEST_WORK_THREAD);
	shrinker_test_work(SHRINKER_TEST_WORK_INLINE);
	end();
}

/* What was disabled or shut down is not queued, until that is undone. */
static void disabled_work(void)
{
	struct timer_list timer;
	struct work_struct off;

	begin();
	works = 0;
	INIT_WORK(&off, count_work);
	shrinker_test_work(SHRINKER_TEST_WORK_ASKED);
	schedule_work(&off);
	CHECK(disable_work_sync(&off));
	CHECK(!disable_work(&off));
	CHECK(!schedule_work(&off));
	CHECK(!enable_work(&off));
	CHECK(!schedule_work(&off));
	CHECK(enable_work(&off));
	CHECK(schedule_work(&off));
	CHECK_EQ(shrinker_test_run_work(), 1);
	fired = 0;
	timer_setup(&timer, fire, 0);
	mod_timer(&timer, jiffies + 10);
	CHECK_EQ(timer_shutdown_sync(&timer), 1);
	CHECK_EQ(mod_timer(&timer, jiffies + 10), 0);
	shrinker_test_advance(20);
	CHECK_EQ(fired, 0);
	timer_setup(&timer, fire, 0);
	mod_timer(&timer, jiffies + 10);
	shrinker_test_advance(20);
	CHECK_EQ(fired, 1);
	end();
}

/* Work after readers may be queued under a spinlock, and waits for them. */
static void work_after_readers(void)
{
	struct rcu_work after;

	begin();
	works = 0;
	INIT_RCU_WORK(&after, count_work);
	rcu_read_lock();
	spin_lock(&spinlock);
	CHECK(queue_rcu_work(NULL, &after));
	CHECK(!queue_rcu_work(NULL, &after));
	spin_unlock(&spinlock);
	CHECK_EQ(works, 0);
	rcu_read_unlock();
	CHECK_EQ(works, 1);
	shrinker_test_work(SHRINKER_TEST_WORK_ASKED);
	CHECK(queue_rcu_work(NULL, &after));
	CHECK(!queue_rcu_work(NULL, &after));
	CHECK(flush_rcu_work(&after));
	CHECK_EQ(works, 2);
	end();
}

int main(void)
{
	RUN(work_waits_for_locks);
	RUN(delayed_work_waits_for_time);
	RUN(work_that_queues_itself);
	RUN(timers);
	RUN(work_left_by_an_earlier_test);
	RUN(work_on_a_thread);
	RUN(queues);
	RUN(work_goes_wrong);
	RUN(work_that_hangs);
	RUN(queues_apart);
	RUN(disabled_work);
	RUN(work_after_readers);
	return checks_report("test_kit_work");
}
