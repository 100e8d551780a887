/* SPDX-License-Identifier: MIT */
/*
 * Results that threads compute now, of all caches.
 *
 * A thread that wants a result which another thread computes waits for that one.  The
 * table has the computations, a list those who wait.  The GIL guards both; without one the
 * critical section of @table_guard does, with the store's wherever a store is looked at or
 * a generation is set.  Rules 2 and 3 of cache.c hold here too: a computation that code
 * goes on with after Python code has run is held, and looked at again.
 *
 * Nothing waits for ever:
 *
 * - A thread that would wait for itself computes: where it computes that result already,
 *   or where the other thread waits for one of its results, directly or by further
 *   threads.  The look and the wait's entry in the list are one step.  So of the threads
 *   that would close a ring the last one finds it.
 * - So does a thread that runs inside of a walk: the other one may need that walk's end.
 * - A lock of the program can close a ring that is not seen here.  So a wait ends after
 *   MAX_WAIT_SECONDS (cache/entries.py), and then the thread computes.
 *
 * An Exception that a computation raises goes to all that wait for it.  Any other, as
 * KeyboardInterrupt, is of its thread: those that wait then look and compute anew.
 *
 * All get the same object.  Each thread that waited raises it with the traceback that it
 * had when the computation ended; otherwise each would add its frames to those of the
 * threads before it.  Its context stays, too: it is not set to what the thread handles.
 */
#include "python/computations.h"

#include <limits.h>

#include "python/host.h"

#define NR_BUCKETS 64
#define NR_BUCKETS_SHIFT 58
/* Generation of no store. */
#define OVERTAKEN ULLONG_MAX

/**
 * struct computation - a result that a thread computes
 * @next: in the bucket
 * @store: whose it is; the computing thread keeps it
 * @key: a reference
 * @hash: of @key
 * @thread: that computes
 * @generation: of @store when it began
 * @refs: the thread that computes, and code of others that goes on with it
 * @ended: it is not in the table any more
 * @value: result, for those that wait; or NULL
 * @error: Exception, for those that wait; or NULL
 * @traceback: of @error when the computation ended, or NULL
 */
struct computation {
	struct computation *next;
	const struct store *store;
	PyObject *key;
	Py_hash_t hash;
	unsigned long thread;
	unsigned long long generation;
	unsigned long refs;
	bool ended;
	PyObject *value;
	PyObject *error;
	PyObject *traceback;
};

/**
 * struct waiter - a thread that waits
 * @next: in the list
 * @thread: that waits
 * @computation: for what; a reference
 * @wake: function that ends the wait
 */
struct waiter {
	struct waiter *next;
	unsigned long thread;
	struct computation *computation;
	PyObject *wake;
};

/* What a thread does that has found the computation of another one.  FAIL: it raises an
 * exception of its own, such as one of a signal handler. */
enum outcome { TAKE_RESULT, FAIL, LOOK_AGAIN, COMPUTE };

static struct computation *computations[NR_BUCKETS];
/* Memory for the next one, or NULL. */
static struct computation *spare;
static SHARED(unsigned long) nr_computations;
/* So many have ended. */
static SHARED(unsigned long long) nr_ended;
static struct waiter *waiters;
#ifdef Py_GIL_DISABLED
static PyObject *table_guard;
#endif

#define BEGIN_TABLE() BEGIN_SECTION(table_guard)
#define END_TABLE() END_SECTION()
#define BEGIN_TABLE_AND_STORE(store) BEGIN_SECTIONS(table_guard, (store)->guard)
#define END_TABLE_AND_STORE() END_SECTIONS()

static struct computation **bucket_of(Py_hash_t hash)
{
	return &computations[spread_hash(hash, NR_BUCKETS_SHIFT)];
}

static void let_go(struct computation *computation)
{
	PyObject *key = computation->key, *value = computation->value;
	PyObject *error = computation->error, *traceback = computation->traceback;

	if (--computation->refs)
		return;
	if (spare)
		PyMem_Free(computation);
	else
		spare = computation;
	Py_DECREF(key);
	Py_XDECREF(value);
	Py_XDECREF(error);
	Py_XDECREF(traceback);
}

static struct computation *begin(const struct store *store, PyObject *key, Py_hash_t hash)
{
	struct computation *computation = spare ? spare : PyMem_Malloc(sizeof(*computation));
	struct computation **bucket = bucket_of(hash);

	spare = NULL;
	if (!computation) {
		PyErr_NoMemory();
		return NULL;
	}
	Py_INCREF(key);
	*computation = (struct computation){
		.next = *bucket,
		.store = store,
		.key = key,
		.hash = hash,
		.thread = PyThread_get_thread_ident(),
		.generation = store->generation,
		.refs = 1,
		/* Otherwise gcc clears the struct by a string instruction, slow to begin. */
		.ended = false,
		.value = NULL,
		.error = NULL,
		.traceback = NULL,
	};
	*bucket = computation;
	nr_computations++;
	return computation;
}

/* Takes it out of the table, and wakes those that wait for it.  Runs no Python code. */
static void end(struct computation *computation)
{
	struct computation **link = bucket_of(computation->hash);
	struct waiter *waiter;

	while (*link != computation)
		link = &(*link)->next;
	*link = computation->next;
	computation->ended = true;
	nr_computations--;
	nr_ended++;
	for (waiter = waiters; waiter; waiter = waiter->next)
		if (waiter->computation == computation)
			Py_XDECREF(PyObject_CallNoArgs(waiter->wake));
}

/* Ends it; with @value, or NULL and an exception that is set, which stays set. */
static void end_with(struct computation *computation, PyObject *value)
{
	PyObject *type, *error, *traceback;

	if (computation->refs == 1) { /* The usual case. */
		end(computation);
		return;
	}
	Py_XINCREF(value);
	computation->value = value;
	PyErr_Fetch(&type, &error, &traceback);
	if (type) {
		PyErr_NormalizeException(&type, &error, &traceback);
		if (traceback)
			PyException_SetTraceback(error, traceback);
		if (PyErr_GivenExceptionMatches(type, PyExc_Exception)) {
			Py_INCREF(error);
			computation->error = error;
			Py_XINCREF(traceback);
			computation->traceback = traceback;
		}
	}
	end(computation);
	PyErr_Restore(type, error, traceback);
}

/*
 * Finds a computation of a key that @accepts says.
 *
 * Context: may run Python code, but not between finding and returning.
 * Return: 0, or -1 with an exception set.
 */
static int find(const struct store *store, PyObject *key, Py_hash_t hash,
		bool (*accepts)(const struct computation *computation),
		struct computation **found)
{
	struct computation *at;

again:
	for (at = *bucket_of(hash); at; at = at->next) {
		int equal = at->key == key;
		bool ended;

		if (at->store != store || at->hash != hash ||
		    at->generation != store->generation || !accepts(at))
			continue;
		if (!equal) {
			at->refs++;
			equal = PyObject_RichCompareBool(at->key, key, Py_EQ);
			ended = at->ended;
			if (ended) {
				let_go(at);
				if (equal < 0)
					return -1;
				goto again;
			}
			at->refs--;
			if (equal < 0)
				return -1;
		}
		if (equal && at->generation == store->generation)
			break;
	}
	*found = at;
	return 0;
}

static bool is_of_another_thread(const struct computation *computation)
{
	return computation->thread != PyThread_get_thread_ident();
}

static bool any(const struct computation *computation)
{
	(void)computation;
	return true;
}

/**
 * store_overtake - let computations of a key that are under way keep nothing
 *
 * Those that wait get their results; later callers do not wait for them.
 *
 * Return: 0, or -1 with an exception set.
 */
int store_overtake(struct store *store, PyObject *key, Py_hash_t hash)
{
	struct computation *found = NULL;
	int error;

	if (!nr_computations)
		return 0;
	BEGIN_TABLE_AND_STORE(store);
	do {
		error = find(store, key, hash, any, &found);
		if (!error && found)
			found->generation = OVERTAKEN;
	} while (!error && found);
	END_TABLE_AND_STORE();
	return error;
}

/* Whether @thread goes on only after @other does. */
static bool depends_on(unsigned long thread, unsigned long other)
{
	const struct waiter *waiter;

	if (thread == other)
		return true;
	for (waiter = waiters; waiter; waiter = waiter->next)
		if (waiter->thread == thread && !waiter->computation->ended &&
		    depends_on(waiter->computation->thread, other))
			return true;
	return false;
}

/* Waits for the computation of another thread, which the caller holds.  Return: false
 * with an exception set. */
static bool wait_for(struct computation *computation, PyObject *lock, PyObject *wake)
{
	struct waiter *waiter = PyMem_Malloc(sizeof(*waiter)), **link = &waiters;
	PyObject *woken;

	if (!waiter) {
		PyErr_NoMemory();
		return false;
	}
	*waiter = (struct waiter){ .next = waiters,
				   .thread = PyThread_get_thread_ident(),
				   .computation = computation,
				   .wake = wake };
	waiters = waiter;
	/* Other threads run; in the main thread also signal handlers. */
	woken = PyObject_CallFunctionObjArgs(cache_helpers.wait, lock, NULL);
	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
	PyMem_Free(waiter);
	Py_XDECREF(woken);
	return woken;
}

static void raise_error(const struct computation *computation)
{
	PyObject *type = (PyObject *)Py_TYPE(computation->error);

	Py_INCREF(type);
	Py_INCREF(computation->error);
	Py_XINCREF(computation->traceback);
	/* From Python 3.15 on the next call leaves it where the last thread put it. */
	if (!computation->traceback)
		PyException_SetTraceback(computation->error, Py_None);
	PyErr_Restore(type, computation->error, computation->traceback);
}

/*
 * Waits for the computation of another thread, which the caller holds.
 *
 * @result: with TAKE_RESULT: a new reference, or NULL with an exception set; otherwise NULL
 */
static enum outcome join(struct computation *computation, PyObject **result)
{
	PyObject *lock, *wake = NULL;
	bool goes_on;

	*result = NULL;
	if (python_host_in_walk())
		return COMPUTE;
	lock = PyObject_CallNoArgs(cache_helpers.new_lock);
	if (lock)
		wake = PyObject_GetAttrString(lock, "release");
	goes_on = wake;
	if (wake && !computation->ended) {
		if (depends_on(computation->thread, PyThread_get_thread_ident())) {
			Py_DECREF(wake);
			Py_DECREF(lock);
			return COMPUTE;
		}
		goes_on = wait_for(computation, lock, wake);
	}
	Py_XDECREF(wake);
	Py_XDECREF(lock);
	if (!goes_on)
		return FAIL;
	if (!computation->ended)
		return COMPUTE;
	if (computation->error)
		raise_error(computation);
	*result = computation->value;
	Py_XINCREF(*result);
	return computation->error || computation->value ? TAKE_RESULT : LOOK_AGAIN;
}

/*
 * Takes the result from another thread, where one computes it.
 *
 * Return: false: there is none, and no Python code has run since.  Otherwise @result is
 * a new reference, or NULL with an exception set.
 */
static bool taken(struct store *store, PyObject *key, Py_hash_t hash, PyObject **result)
{
	*result = NULL;
	while (nr_computations) {
		unsigned long long ended = nr_ended;
		struct computation *computation;
		enum outcome outcome = LOOK_AGAIN;
		struct entry *entry;

		if (find(store, key, hash, is_of_another_thread, &computation) < 0)
			return true;
		if (computation) {
			computation->refs++;
			outcome = join(computation, result);
			let_go(computation);
		} else if (ended == nr_ended) {
			return false;
		}
		if (outcome == TAKE_RESULT)
			COUNT_UP(&store->hits);
		if (outcome == TAKE_RESULT || outcome == FAIL)
			return true;
		if (store_look(store, key, hash, &entry) < 0)
			return true;
		if (entry) {
			*result = store_hit(store, entry);
			return true;
		}
		if (outcome == COMPUTE)
			return false;
	}
	return false;
}

#ifdef Py_GIL_DISABLED
void note_ended(struct making *how)
{
	how->ended = nr_ended;
}
#endif

/*
 * Takes the result from another thread, or begins to compute it.
 *
 * Return: the computation; NULL: @result is a new reference, or NULL with an exception set.
 */
static inline struct computation *take_or_begin(struct store *store, PyObject *key,
						Py_hash_t hash, const struct making *how,
						PyObject **result)
{
	struct computation *computation;

	*result = NULL;
#ifdef Py_GIL_DISABLED
	if (how->coalesce && how->ended != nr_ended) {
		struct entry *entry;

		if (store_look(store, key, hash, &entry) < 0)
			return NULL;
		if (entry) {
			*result = store_hit(store, entry);
			return NULL;
		}
	}
#endif
	if (nr_computations && how->coalesce && taken(store, key, hash, result))
		return NULL;
	computation = begin(store, key, hash);
	if (computation)
		store->misses++;
	return computation;
}

/**
 * store_compute - make a value that a store does not have, or get it from another thread
 *
 * It is kept unless the store was cleared or closed meanwhile, or the key overtaken.
 * The caller keeps @store.
 *
 * Return: a new reference, or NULL with an exception set.
 */
PyObject *store_compute(struct store *store, PyObject *key, Py_hash_t hash,
			const struct making *how)
{
	struct computation *computation;
	PyObject *value, *result;
	uint64_t began_ns, now_ns;
	bool reclaimed;

	BEGIN_TABLE_AND_STORE(store);
	computation = take_or_begin(store, key, hash, how, &result);
	END_TABLE_AND_STORE();
	if (!computation)
		return result;
	began_ns = python_host_now_ns();
	result = value = how->make(how->argument);
	if (value) {
		now_ns = python_host_now_ns();
		BEGIN_STORE(store);
		reclaimed = store_was_reclaimed(store, hash);
		result = store_put(store, key, hash, value, how->replace,
				   &computation->generation);
		Py_DECREF(value);
		if (result) {
			store_note_cost(store, reclaimed, (double)(now_ns - began_ns) / 1e9);
			growth_learn(store->growth, now_ns);
		}
		END_STORE();
	}
	BEGIN_TABLE();
	end_with(computation, result);
	let_go(computation);
	END_TABLE();
	return result;
}

/* Called in a forked child: the other threads are gone. */
static PyObject *after_fork(PyObject *unused, PyObject *unused_too)
{
	unsigned long me = PyThread_get_thread_ident();
	struct waiter *waiter, **link = &waiters;
	unsigned int i;

	(void)unused;
	(void)unused_too;
	BEGIN_TABLE();
	/* What they hold stays: they might have been anywhere in the code above. */
	while ((waiter = *link)) {
		if (waiter->thread == me)
			link = &waiter->next;
		else
			*link = waiter->next;
	}
	for (i = 0; i < NR_BUCKETS; i++) {
		struct computation *at = computations[i], *next;

		for (; at; at = next) {
			next = at->next;
			if (at->thread != me)
				end(at);
		}
	}
	END_TABLE();
	Py_RETURN_NONE;
}

static PyMethodDef fork_function = { "after_fork", after_fork, METH_NOARGS,
				     "Forget the computations of other threads." };

PyObject *computations_fork_function(void)
{
#ifdef Py_GIL_DISABLED
	table_guard = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
	if (!table_guard)
		return NULL;
#endif
	return PyCFunction_New(&fork_function, NULL);
}
