/* SPDX-License-Identifier: MIT */
/* The callbacks of a cache's shrinker. */
#include "python/cache.h"

#include <limits.h>
#include <math.h>

#include "python/host.h"

/* Seconds as seeks, rounded to the nearest, from 1 to max_seeks; half to even. */
static int seeks_of(const struct store *store, double seconds)
{
	double seeks = seconds / store->seconds_per_seek, rest;
	int whole;

	if (!(seeks > 1))
		return 1;
	if (seeks >= store->max_seeks)
		return store->max_seeks;
	whole = (int)seeks;
	rest = seeks - whole;
	return whole + (rest > 0.5 || (rest == 0.5 && whole % 2));
}

/*
 * Sets batch and seeks for the count of this pass (cache/pass_settings.py has why).
 * Walks at once may read each other's: those were right a moment ago.  Only what
 * changes is written, since other walks read the cache line.
 */
static void set_for_count(const struct store *store, struct shrinker *shrinker,
			  uint64_t count, uint64_t entries)
{
	uint64_t batch = count / store->batches;
	int seeks = atomic_load_explicit(&store->learning.seeks, memory_order_relaxed);

	batch = batch < 1 ? 1 : batch > SHRINK_BATCH ? SHRINK_BATCH : batch;
	if (__atomic_load_n(&shrinker->batch, __ATOMIC_RELAXED) != (long)batch)
		__atomic_store_n(&shrinker->batch, (long)batch, __ATOMIC_RELAXED);
	if (!isnan(store->rebuild_seconds)) {
		double entry_share = (double)(entries ? entries : 1) / (double)count;

		seeks = seeks_of(store, store->rebuild_seconds * entry_share);
	}
	if (seeks) {
		if (count < INT_MAX / 4 && seeks > 4 * (int)count)
			seeks = 4 * (int)count;
		if (__atomic_load_n(&shrinker->seeks, __ATOMIC_RELAXED) != seeks)
			__atomic_store_n(&shrinker->seeks, seeks, __ATOMIC_RELAXED);
	}
}

unsigned long python_cache_count(struct shrinker *shrinker,
				 struct shrink_control *sc)
{
	struct store *store = shrinker->private_data;
	uint64_t weight = store_get(&store->weight), kept = store_get(&store->kept);
	uint64_t entries = store_get(&store->nr_entries);
	uint64_t count = store_objects(store, weight > kept ? weight - kept : 0);

	(void)sc;
	if (!count)
		return SHRINK_EMPTY;
	if (kept) /* Its entries are not counted; those of the child weigh as much. */
		entries = (uint64_t)((double)entries * (double)(weight - kept) / (double)weight);
	set_for_count(store, shrinker, count, entries);
	return count;
}

/* At most two turns around all entries: the first one clears all marks. */
static int scan(struct store *store, struct shrink_control *sc, uint64_t *objects)
{
	uint64_t turn = store_get(&store->nr_entries), asked = sc->nr_to_scan, looked;
	struct eviction work = {
		.budget = asked > UINT64_MAX / store->unit ? UINT64_MAX :
							     asked * store->unit,
		.steps = 2 * turn,
		.spare = turn,
		.spares_young = store->min_age > 0,
	};

	if ((work.spares_young || store->ttl > 0) && store_now(&work.now) < 0)
		return -1;
	work.before = work.now - store->min_age;
	if (store_scan(store, &work) < 0)
		return -1;
	*objects = work.objects;
	/* Rounded down: a part of a page each call would add up to many.  An entry may
	 * have more pages than were asked for. */
	looked = work.looked / store->unit;
	if (looked < work.objects)
		looked = work.objects;
	if (looked > asked)
		sc->nr_scanned = looked;
	return 0;
}

/* Leaves the exception that is set to the caller of the walk. */
static void report(struct store *store)
{
	PyObject *type, *value, *traceback, *reported;

	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	if (traceback)
		PyException_SetTraceback(value, traceback);
	reported = PyObject_CallFunctionObjArgs(cache_helpers.scan_failed, (PyObject *)store,
						value, NULL);
	if (!reported)
		PyErr_WriteUnraisable((PyObject *)store);
	Py_XDECREF(reported);
	Py_DECREF(type);
	Py_DECREF(value);
	Py_XDECREF(traceback);
}

unsigned long python_cache_scan(struct shrinker *shrinker,
				struct shrink_control *sc)
{
	struct store *store = shrinker->private_data;
	/* The walk holds the GIL already, unless it had no memory for a frame. */
	PyGILState_STATE gil = PyGILState_Ensure();
	uint64_t until_ns = 0, objects = 0;

	Py_INCREF((PyObject *)store);
	python_host_share_gil(&until_ns);
	growth_learn(store->growth, python_host_now_ns());
	BEGIN_STORE(store);
	if (scan(store, sc, &objects) < 0) {
		report(store);
		objects = SHRINK_STOP;
	}
	END_STORE();
	Py_DECREF((PyObject *)store);
	PyGILState_Release(gil);
	return objects;
}

void python_cache_adopt(struct shrinker *shrinker)
{
	python_host_hold_gil(shrinker);
	shrinker->flags |= RECLAIM_COUNT_OUTSIDE_HOST;
}
