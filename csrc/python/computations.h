/* SPDX-License-Identifier: MIT */
/*
 * One computation for all threads that want one result at once.  Part of the extension
 * only.
 */
#ifndef SHRINKER_PYTHON_COMPUTATIONS_H
#define SHRINKER_PYTHON_COMPUTATIONS_H

#include "python/cache.h"

/**
 * struct making - how a value is made that a store does not have
 * @make: returns a new reference, or NULL with an exception set
 * @argument: of @make
 * @coalesce: it is not made where another thread is at it: this one waits for that
 * @replace: as for store_put()
 * @ended: computations that had ended before the store was looked at; note_ended() sets it,
 *	where there is no GIL: another thread may end one between the look and the rest
 */
struct making {
	PyObject *(*make)(void *argument);
	void *argument;
	bool coalesce;
	bool replace;
#ifdef Py_GIL_DISABLED
	unsigned long long ended;
#endif
};

#pragma GCC visibility push(hidden)

PyObject *store_compute(struct store *store, PyObject *key, Py_hash_t hash,
			const struct making *how);
#ifdef Py_GIL_DISABLED
void note_ended(struct making *how);
#else
#define note_ended(how) ((void)0)
#endif
int store_overtake(struct store *store, PyObject *key, Py_hash_t hash);
PyObject *computations_fork_function(void);

#pragma GCC visibility pop

#endif /* SHRINKER_PYTHON_COMPUTATIONS_H */
