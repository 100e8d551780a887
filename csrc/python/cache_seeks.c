/* SPDX-License-Identifier: MIT */
/*
 * Seeks that are learned: which caches of a domain give their pages first.
 *
 * The more seeks a cache has, the less a pass takes of it.  What a page is worth is the
 * time that it saves, and that is measured:
 *
 * - What @cached and get_or_set() compute is timed.  Each hit has saved the mean of it.
 * - A key that a reclaim has evicted, and that is computed again while it is a ghost
 *   (cache_ghosts.c), would have been a hit of a larger cache.  So its time counts as well,
 *   and such ghosts count as pages.  Without them a cache that was made too small would
 *   seem to be of no use.  What was evicted for maxsize more memory would not have kept.
 *
 *	value = (hits * mean time + time for ghosts) / (pages + pages of ghosts) / time
 *
 * All sums fade, so that the last minutes count.  A cache whose pages are worth twice as
 * much has 4 times the seeks: the square makes caches of little value give nearly all
 * before others give much.
 *
 * What is learned decides which caches give, not how much all of them give: a pass asks
 * the caches of the domain that learn for as much together as with the kernel's 2 seeks
 * each.  So they stay comparable with others, and one that is alone has 2.
 *
 * A step for all caches of the domain comes with a computation or a scan of one of them,
 * once a second at most.  A count then reads one number, without the GIL.
 */
#include "python/cache.h"

#include <math.h>
#ifdef Py_GIL_DISABLED
#include <pthread.h>
#endif

#define NS_PER_SECOND 1000000000
#define NS_BETWEEN_STEPS NS_PER_SECOND
/* With a step each second, sums fade to a half in 42 seconds; with one step after a
 * minute, in that minute. */
#define FADE_SECONDS 60.0
/* The same of ghosts.  They fade, since a key that is not asked for again must not count as
 * a page for ever; more slowly than hits, as one may come back after minutes. */
#define FADE_GHOSTS_SECONDS 600.0
/* A younger cache counts as this old: a few hits in its first second are not a rate. */
#define MIN_WINDOW_SECONDS 5.0
/* A computation that took longer, 32 years, was timed by a clock that was set. */
#define MAX_SECONDS 1e9
/* Of computations: their mean stays where there are no new ones. */
#define MIN_COMPUTED 1e-3
/* Of the factor of the squares, and how often its range is halved to find it. */
#define MAX_SCALE 1e12
#define HALVINGS 20

#ifdef Py_GIL_DISABLED
/*
 * Not a critical section: that of a store would be interrupted while it waits for one of
 * all.  Nothing inside waits, so no thread is stopped there, at a fork neither.
 */
static pthread_mutex_t learning_lock = PTHREAD_MUTEX_INITIALIZER;

void lock_learning(void)
{
	pthread_mutex_lock(&learning_lock);
}

void unlock_learning(void)
{
	pthread_mutex_unlock(&learning_lock);
}
#endif

/* Enters a new store into the list of those that learn. */
void store_begin_learning(struct store *store, uint64_t now_ns)
{
	struct python_growth *growth = store->growth;
	struct learning *learning = &store->learning;

	lock_learning();
	learning->on = true;
	learning->since_ns = now_ns;
	learning->next = growth->stores;
	if (learning->next)
		learning->next->learning.prev = store;
	growth->stores = store;
	unlock_learning();
}

void store_end_learning(struct store *store)
{
	struct learning *learning = &store->learning;

	if (!learning->on)
		return;
	lock_learning();
	*(learning->prev ? &learning->prev->learning.next : &store->growth->stores) =
		learning->next;
	if (learning->next)
		learning->next->learning.prev = learning->prev;
	learning->on = false;
	unlock_learning();
}

/**
 * store_note_cost - note a computation
 * @reclaimed: a reclaim had evicted its key a short while ago
 * @seconds: that it took; ignored where a clock has jumped
 */
void store_note_cost(struct store *store, bool reclaimed, double seconds)
{
	struct learning *learning = &store->learning;

	/* A clock that a test has set may go back, or years ahead. */
	if (!learning->on || !(seconds >= 0 && seconds < MAX_SECONDS))
		return;
	lock_learning();
	learning->seconds += seconds;
	learning->computed = learning->computed + 1;
	if (reclaimed)
		learning->lost += seconds;
	unlock_learning();
}

/* Seconds to compute a counted object: a page, or an entry. */
double store_object_seconds(const struct store *store)
{
	const struct learning *learning = &store->learning;

	return learning->objects_per_entry > 0 ?
		       learning->seconds / learning->computed / learning->objects_per_entry :
		       0;
}

/* Lets the sums fade, adds what is new, and sets value and objects. */
static void look_at(struct store *store, uint64_t now_ns)
{
	struct learning *learning = &store->learning;
	uint64_t weight = store_get(&store->weight), kept = store_get(&store->kept);
	/* Another thread may have made it after @now_ns was read. */
	double seconds = now_ns < learning->since_ns ?
				 0 :
				 (double)(now_ns - learning->since_ns) / NS_PER_SECOND;
	double fade = FADE_SECONDS / (FADE_SECONDS + seconds);
	double most = seconds < FADE_SECONDS ? seconds : FADE_SECONDS;
	double entries = (double)store_get(&store->nr_entries), objects, all, window;

	if (seconds > 0)
		learning->since_ns = now_ns;
	/* Where nothing was computed for an hour, its hits count as those of a minute: the
	 * next minutes must outweigh them. */
	learning->window = learning->window * fade + most;
	window = learning->window < MIN_WINDOW_SECONDS ? MIN_WINDOW_SECONDS : learning->window;
	/* cache_clear() sets hits to 0. */
	learning->hits = learning->hits * fade +
			 (double)(store->hits -
				  (store->hits < learning->seen ? 0 : learning->seen)) *
				 (seconds > 0 ? most / seconds : 1);
	learning->seen = store->hits;
	learning->lost *= fade;
	learning->ghosts *= FADE_GHOSTS_SECONDS / (FADE_GHOSTS_SECONDS + seconds);
	if (learning->computed > MIN_COMPUTED) {
		learning->seconds *= fade;
		learning->computed = learning->computed * fade;
	}
	objects = weight > kept ? (double)store_objects(store, weight - kept) : 0;
	if (entries > 0)
		learning->objects_per_entry = (double)weight / (double)store->unit / entries;
	learning->objects = learning->computed > 0 ? objects : 0;
	if (!(learning->objects > 0))
		return;
	/* Hits go also to what was there before a fork. */
	all = (double)store_objects(store, weight) +
	      learning->ghosts * learning->objects_per_entry;
	learning->value = (learning->hits * learning->seconds / learning->computed +
			   learning->lost) /
			  all / window;
}

/* Seeks of a store whose value is @ratio of the largest, before rounding. */
static double seeks_at(const struct store *store, double scale, double largest)
{
	double ratio = store->learning.value / largest;
	double seeks = scale * ratio * ratio;

	return seeks < 1 ? 1 : seeks > store->max_seeks ? store->max_seeks : seeks;
}

/* Finds the largest scale at which a pass asks for as much as with 2 seeks each. */
static double find_scale(const struct python_growth *growth, double objects, double largest)
{
	double low = 1, high = MAX_SCALE;
	int i;

	for (i = 0; i < HALVINGS; i++) {
		double scale = sqrt(low * high), asked = 0;
		const struct store *store;

		for (store = growth->stores; store; store = store->learning.next)
			asked += store->learning.objects / seeks_at(store, scale, largest);
		*(asked * DEFAULT_SEEKS >= objects ? &low : &high) = scale;
	}
	return low;
}

static void learn(struct python_growth *growth, uint64_t now_ns)
{
	double objects = 0, largest = 0, scale;
	struct store *store;

	if (!growth->stores || now_ns < growth->learned_ns + NS_BETWEEN_STEPS)
		return;
	growth->learned_ns = now_ns;
	for (store = growth->stores; store; store = store->learning.next) {
		look_at(store, now_ns);
		objects += store->learning.objects;
		if (store->learning.objects > 0 && largest < store->learning.value)
			largest = store->learning.value;
	}
	if (!(largest > 0))
		return;
	scale = find_scale(growth, objects, largest);
	for (store = growth->stores; store; store = store->learning.next)
		if (store->learning.objects > 0)
			atomic_store_explicit(
				&store->learning.seeks,
				(int)(seeks_at(store, scale, largest) + 0.5),
				memory_order_relaxed);
}

/**
 * growth_learn - set the seeks of a domain's caches by what was measured
 *
 * Does nothing less than a second after the last time.  Runs no Python code.
 */
void growth_learn(struct python_growth *growth, uint64_t now_ns)
{
	lock_learning();
	learn(growth, now_ns);
	unlock_learning();
}
