/* SPDX-License-Identifier: MIT */
/*
 * Work for later: one list of all that waits, in the order in which it was queued,
 * and one function at a time.
 */
#define _GNU_SOURCE 1

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <shrinker_test.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "kit.h"

/* Functions that may run in a row: more is taken for a loop. */
#define MAX_RUNS 100000

/** struct workqueue_struct - a queue: a name, since all are served alike */
struct workqueue_struct {
	char name[24];
};

/**
 * struct run - a function that is running
 * @outer: the function that called for it, by a flush; NULL: none
 */
struct run {
	struct work_struct *work;
	const struct run *outer;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Something was queued, has ended, or the clock was put forward. */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static LIST_HEAD(waiting);
static _Atomic(unsigned long) nr_waiting;
/* By one thread at a time. */
static const struct run *running;
static pthread_t runner;
static _Atomic(enum shrinker_test_work) how = SHRINKER_TEST_WORK_INLINE;
static bool has_thread;

/* --- doing it; under the lock --------------------------------------------------- */

static void take_off(struct work_struct *work)
{
	list_del_init(&work->entry);
	WRITE_ONCE(work->pending, false);
	nr_waiting--;
}

/* The first that is due; NULL: none. */
static struct work_struct *first_due(void)
{
	unsigned long now = jiffies;
	struct work_struct *work;

	list_for_each_entry(work, &waiting, entry)
		if (time_after_eq(now, work->due))
			return work;
	return NULL;
}

static bool runs_here(void)
{
	return running && pthread_equal(runner, pthread_self());
}

/* Whether a function is running, or has called for the one that is. */
static bool is_running(const struct work_struct *work)
{
	const struct run *run;

	for (run = running; run; run = run->outer)
		if (run->work == work)
			return true;
	return false;
}

/*
 * Waits until another thread has done what it is running, which is @work where that
 * is not NULL.  Return: false where that takes too long, and the test has failed.
 */
static bool wait_for_runner(const struct work_struct *work, const char *what,
			    const char *place)
{
	struct shrinker_kit_bound bound = { what, place, 0 };
	const char *queued_at;

	while (running && !runs_here() && (!work || is_running(work))) {
		if (kit_wait_for(&bound, &changed, &lock))
			continue;
		queued_at = running ? running->work->place : NULL;
		pthread_mutex_unlock(&lock);
		kit_waited_too_long(&bound, queued_at);
		pthread_mutex_lock(&lock);
		return false;
	}
	return true;
}

/* Lets the lock go meanwhile.  The work may free itself. */
static void run(struct work_struct *work)
{
	struct run this_one = { work, NULL };
	struct kit_before before;
	const char *place;
	bool busy = kit_thread.busy;

	if (!wait_for_runner(NULL, "queued work", work->place))
		take_off(work); /* The other function hangs: this one is dropped. */
	if (!work->pending)
		return; /* The thread that ran did this one too. */
	take_off(work);
	place = work->place;
	this_one.outer = running;
	running = &this_one;
	runner = pthread_self();
	kit_thread.busy = true;
	before = kit_before();
	pthread_mutex_unlock(&lock);
	work->func(work);
	kit_same_locks(before, "the function of work or a timer queued at ", place);
	pthread_mutex_lock(&lock);
	kit_thread.busy = busy;
	running = this_one.outer;
	pthread_cond_broadcast(&changed);
}

static unsigned long run_due(void)
{
	struct work_struct *work;
	unsigned long n = 0;

	while ((work = first_due())) {
		if (n++ == MAX_RUNS) {
			pthread_mutex_unlock(&lock);
			kit_fail("%d functions of queued work have run in a row: does one queue itself without a delay?",
				 MAX_RUNS);
			pthread_mutex_lock(&lock);
			break;
		}
		run(work);
	}
	return n;
}

unsigned long shrinker_test_run_work(void)
{
	unsigned long n;

	pthread_mutex_lock(&lock);
	n = run_due();
	pthread_mutex_unlock(&lock);
	return n;
}

/* The thread holds no lock: what it has queued can be done. */
void kit_work_idle(void)
{
	if (how == SHRINKER_TEST_WORK_INLINE && nr_waiting && !reclaim_in_callback())
		shrinker_test_run_work();
}

/* Tells what waits.  Return: complaints. */
int kit_work_complain(void)
{
	struct work_struct *work;
	int complaints = 0;

	pthread_mutex_lock(&lock);
	list_for_each_entry(work, &waiting, entry) {
		fprintf(stderr, "%s waits to be called, queued at %s\n",
			work->func == shrinker_kit_timer_fire ? "a timer" :
								"a work function",
			work->place);
		complaints++;
	}
	pthread_mutex_unlock(&lock);
	return complaints;
}

/*
 * Looks for waiting work whose work_struct lies inside of an object.  Return: where it
 * was queued; NULL: there is none.
 */
const char *kit_work_inside(const void *memory, size_t size)
{
	const char *place = NULL;
	struct work_struct *work;

	if (!nr_waiting)
		return NULL;
	pthread_mutex_lock(&lock);
	list_for_each_entry(work, &waiting, entry)
		if ((uintptr_t)work - (uintptr_t)memory < size)
			place = work->place;
	pthread_mutex_unlock(&lock);
	return place;
}

/* --- on a thread ---------------------------------------------------------------- */

static void *serve(void *unused)
{
	struct timespec time;

	pthread_mutex_lock(&lock);
	while (how == SHRINKER_TEST_WORK_THREAD) {
		if (run_due())
			continue;
		/* Delayed work becomes due by itself. */
		kit_real_time_in(&time, 1);
		if (list_empty(&waiting))
			pthread_cond_wait(&changed, &lock);
		else
			pthread_cond_timedwait(&changed, &lock, &time);
	}
	has_thread = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return unused;
}

void shrinker_test_work(enum shrinker_test_work new_how)
{
	struct shrinker_kit_bound bound = { "the end of the thread for work",
					    "shrinker_test_work()", 0 };
	bool ended = true;
	pthread_t thread;

	pthread_mutex_lock(&lock);
	how = new_how;
	pthread_cond_broadcast(&changed);
	if (new_how != SHRINKER_TEST_WORK_THREAD) {
		while (has_thread && ended)
			ended = kit_wait_for(&bound, &changed, &lock);
	} else if (!has_thread) {
		has_thread = !pthread_create(&thread, NULL, serve, NULL);
		if (has_thread)
			pthread_detach(thread);
		else
			kit_fail("no thread can be started for work");
	}
	pthread_mutex_unlock(&lock);
	if (!ended)
		kit_waited_too_long(&bound, NULL);
}

/* Milliseconds until some work is due, at most @most. */
static unsigned long until_due(unsigned long most)
{
	unsigned long now = jiffies;
	struct work_struct *work;

	pthread_mutex_lock(&lock);
	list_for_each_entry(work, &waiting, entry)
		if (time_before(work->due, now + most))
			most = time_after(work->due, now) ? work->due - now : 0;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return most;
}

/* Step by step, so that work which queues itself again runs each time. */
void shrinker_test_advance(unsigned long milliseconds)
{
	unsigned long step, n = 0;

	do {
		step = how == SHRINKER_TEST_WORK_THREAD ? milliseconds :
							  until_due(milliseconds);
		kit_advance(step);
		milliseconds -= step;
		until_due(0);
		if (how == SHRINKER_TEST_WORK_THREAD || n++ > MAX_RUNS)
			return;
		shrinker_test_run_work();
	} while (milliseconds);
}

/* --- queueing ------------------------------------------------------------------- */

/*
 * Takes off work that is about to be initialised although it waits, perhaps since an
 * earlier test: else its entry would break the list.  Where the entry of it, or of one
 * before it, was overwritten, the rest cannot be found, and all that waits is forgotten.
 *
 * Return: whether that was so; and in @place where it was queued, NULL: overwritten.
 */
static bool take_off_waiting(struct work_struct *work, const char **place)
{
	struct list_head *entry = waiting.next;
	unsigned long steps = nr_waiting;

	/* An initializer has an entry that points to itself. */
	while (entry && entry != &waiting && entry != &work->entry && steps--)
		entry = entry->next;
	if (entry == &waiting)
		return false;
	if (entry == &work->entry && entry->next && entry->next != entry) {
		*place = work->place;
		take_off(work);
	} else {
		INIT_LIST_HEAD(&waiting);
		nr_waiting = 0;
	}
	return true;
}

void shrinker_kit_work_init(struct work_struct *work, work_func_t func,
			    const char *place)
{
	const char *queued_at = NULL;
	bool waited;

	pthread_mutex_lock(&lock);
	waited = take_off_waiting(work, &queued_at);
	pthread_mutex_unlock(&lock);
	if (queued_at)
		kit_fail("%s: work or a timer is initialised while it waits to be called, queued at %s: did an earlier test leave it behind?",
			 place, queued_at);
	else if (waited)
		kit_fail("%s: work or a timer that waits to be called was overwritten: did an earlier test leave it behind?",
			 place);
	work->func = func;
	work->queue = NULL;
	work->due = 0;
	work->place = NULL;
	work->pending = false;
	work->disabled = 0;
	INIT_LIST_HEAD(&work->entry);
}

bool shrinker_kit_work_queue(struct workqueue_struct *queue,
			     struct work_struct *work, unsigned long delay,
			     bool again, const char *place)
{
	bool waits;

	if (!work->func) {
		kit_fail("%s: work or a timer is queued that was not initialised",
			 place);
		return false;
	}
	pthread_mutex_lock(&lock);
	if (work->disabled) {
		pthread_mutex_unlock(&lock);
		return false;
	}
	waits = work->pending;
	if (waits && again)
		take_off(work);
	if (!waits || again) {
		work->queue = queue;
		work->due = jiffies + delay;
		work->place = place;
		WRITE_ONCE(work->pending, true);
		shrinker_kit_list_add_tail(&work->entry, &waiting, place);
		nr_waiting++;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	kit_let_go();
	return again ? waits : !waits;
}

/* Return: false where a function waits for itself, and the test has failed. */
static bool may_wait_for(const struct work_struct *work, const char *what,
			 const char *place)
{
	bool own;

	shrinker_kit_might_sleep(place);
	pthread_mutex_lock(&lock);
	own = runs_here() && is_running(work);
	pthread_mutex_unlock(&lock);
	if (own)
		kit_fail("%s: %s in the function itself waits for its own end", place,
			 what);
	return !own;
}

bool shrinker_kit_work_cancel(struct work_struct *work, const char *sync,
			      const char *place)
{
	bool waited;

	if (sync && !may_wait_for(work, sync, place))
		return false;
	pthread_mutex_lock(&lock);
	waited = work->pending;
	if (waited)
		take_off(work);
	if (sync && is_running(work))
		wait_for_runner(work, sync, place);
	pthread_mutex_unlock(&lock);
	return waited;
}

bool shrinker_kit_work_disable(struct work_struct *work, const char *sync,
			       const char *place)
{
	pthread_mutex_lock(&lock);
	work->disabled++;
	pthread_mutex_unlock(&lock);
	return shrinker_kit_work_cancel(work, sync, place);
}

bool enable_work(struct work_struct *work)
{
	bool is_enabled;

	pthread_mutex_lock(&lock);
	is_enabled = !--work->disabled;
	pthread_mutex_unlock(&lock);
	return is_enabled;
}

static void queue_after_readers(struct rcu_head *head)
{
	struct rcu_work *work = container_of(head, struct rcu_work, rcu);

	__atomic_store_n(&work->waits, false, __ATOMIC_RELAXED);
	shrinker_kit_work_queue(work->wq, &work->work, 0, false, work->place);
}

/* Return: false where it waits already, for readers or in its queue. */
bool shrinker_kit_queue_rcu_work(struct workqueue_struct *queue, struct rcu_work *work,
				 const char *place)
{
	if (READ_ONCE(work->work.pending) ||
	    __atomic_exchange_n(&work->waits, true, __ATOMIC_RELAXED))
		return false;
	work->wq = queue;
	work->place = place;
	call_rcu(&work->rcu, queue_after_readers);
	return true;
}

bool shrinker_kit_work_flush(struct work_struct *work, const char *place)
{
	bool waited;

	if (!may_wait_for(work, "flush_work()", place))
		return false;
	pthread_mutex_lock(&lock);
	waited = work->pending || is_running(work);
	if (work->pending)
		run(work);
	if (is_running(work))
		wait_for_runner(work, "flush_work()", place);
	pthread_mutex_unlock(&lock);
	return waited;
}

unsigned int work_busy(struct work_struct *work)
{
	unsigned int busy;

	pthread_mutex_lock(&lock);
	busy = (work->pending ? 1U : 0U) | (is_running(work) ? 2U : 0U);
	pthread_mutex_unlock(&lock);
	return busy;
}

/* The first of a queue that is due; delayed work waits for its time. */
static struct work_struct *first_of(const struct workqueue_struct *queue)
{
	unsigned long now = jiffies;
	struct work_struct *work;

	list_for_each_entry(work, &waiting, entry)
		if (work->queue == queue && time_after_eq(now, work->due))
			return work;
	return NULL;
}

/* Whether a function that this thread is in was queued there. */
static bool is_inside(const struct workqueue_struct *queue)
{
	const struct run *run;

	for (run = running; run; run = run->outer)
		if (runs_here() && run->work->queue == queue)
			return true;
	return false;
}

static void flush_queue(const struct workqueue_struct *queue, const char *what,
			const char *place)
{
	struct work_struct *work;
	bool own;

	shrinker_kit_might_sleep(place);
	pthread_mutex_lock(&lock);
	own = is_inside(queue);
	while (!own && (work = first_of(queue)))
		run(work);
	if (!own)
		wait_for_runner(NULL, what, place);
	pthread_mutex_unlock(&lock);
	if (own)
		kit_fail("%s: %s in a function of the queue waits for its own end",
			 place, what);
}

void shrinker_kit_queue_flush(struct workqueue_struct *queue, const char *place)
{
	flush_queue(queue, "flush_workqueue()", place);
}

struct workqueue_struct *shrinker_kit_queue_create(const char *place,
						   const char *name, ...)
{
	struct workqueue_struct *queue;
	va_list arguments;

	if (!shrinker_kit_may_allocate(place))
		return NULL;
	queue = malloc(sizeof(*queue));
	if (!queue)
		return NULL;
	va_start(arguments, name);
	vsnprintf(queue->name, sizeof(queue->name), name, arguments);
	va_end(arguments);
	if (!kit_made("workqueue", queue, queue->name, place)) {
		free(queue);
		return NULL;
	}
	return queue;
}

/* Where delayed work of a queue was queued; NULL: none waits. */
static const char *waits_on(const struct workqueue_struct *queue)
{
	const char *place = NULL;
	struct work_struct *work;

	pthread_mutex_lock(&lock);
	list_for_each_entry(work, &waiting, entry)
		if (work->queue == queue)
			place = work->place;
	pthread_mutex_unlock(&lock);
	return place;
}

void shrinker_kit_queue_destroy(struct workqueue_struct *queue, const char *place)
{
	const char *queued_at;

	if (!kit_end_made("workqueue", queue, "destroy_workqueue()", place))
		return;
	flush_queue(queue, "destroy_workqueue()", place);
	queued_at = waits_on(queue);
	if (queued_at)
		kit_fail("%s: destroy_workqueue(): delayed work waits on %s, queued at %s",
			 place, queue->name, queued_at);
	free(queue);
}

/* --- timers --------------------------------------------------------------------- */

void shrinker_kit_timer_fire(struct work_struct *work)
{
	struct timer_list *timer = container_of(work, struct timer_list, work);

	timer->function(timer);
}

void shrinker_kit_timer_setup(struct timer_list *timer,
			      void (*function)(struct timer_list *timer),
			      const char *place)
{
	timer->function = function;
	timer->expires = 0;
	shrinker_kit_work_init(&timer->work, shrinker_kit_timer_fire, place);
}

int shrinker_kit_mod_timer(struct timer_list *timer, unsigned long expires,
			   const char *place)
{
	unsigned long now = jiffies;

	timer->expires = expires;
	return shrinker_kit_work_queue(NULL, &timer->work,
				       time_after(expires, now) ? expires - now : 0,
				       true, place);
}

int shrinker_kit_timer_delete(struct timer_list *timer, bool wait,
			      const char *place)
{
	return shrinker_kit_work_cancel(&timer->work,
					wait ? "timer_delete_sync()" : NULL, place);
}

int timer_pending(const struct timer_list *timer)
{
	return READ_ONCE(timer->work.pending);
}
