/* SPDX-License-Identifier: MIT */
/*
 * The figures of shrinker/growth.py: what caches and a reclaimer tell each other.
 * In C, because each insert reads and writes them.  Part of the extension only.
 */
#ifndef SHRINKER_PYTHON_GROWTH_H
#define SHRINKER_PYTHON_GROWTH_H

#ifndef SHRINKER_CDEF
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "python/critical.h"

struct store;

/**
 * struct python_growth - the base of Growth
 * @grown: bytes that were added to caches since memory was read for the allowance, or
 *	since that was used up
 * @before: all bytes that were added before those of @grown, modulo 2**64
 * @allowance: what @grown may be before the next look; infinity: no limit
 * @under_pressure: caches should not grow
 * @pressures: number of times that @under_pressure was set
 * @stores: of caches that learn their seeks (cache_seeks.c)
 * @learned_ns: when they last did, by CLOCK_MONOTONIC
 *
 * The GIL guards it; without one its critical section does, but for what inserts read
 * and add, and the last two, which learning_lock guards.
 */
struct python_growth {
	PyObject_HEAD
	SHARED(long long) grown;
	unsigned long long before;
	SHARED(double) allowance;
	SHARED(bool) under_pressure;
	SHARED(unsigned long long) pressures;
	struct store *stores;
	uint64_t learned_ns;
};

int python_growth_exceeded(struct python_growth *growth);

static inline void growth_add(struct python_growth *growth, long long bytes)
{
#ifdef Py_GIL_DISABLED
	long long sum;

	if (__builtin_add_overflow(atomic_fetch_add(&growth->grown, bytes), bytes, &sum))
		growth->grown = LLONG_MAX;
#else
	if (__builtin_add_overflow(growth->grown, bytes, &growth->grown))
		growth->grown = LLONG_MAX;
#endif
}
#endif

/**
 * python_growth_type - make the type; called once
 *
 * Return: a new reference; NULL with an exception set.
 */
void *python_growth_type(void);

#endif /* SHRINKER_PYTHON_GROWTH_H */
