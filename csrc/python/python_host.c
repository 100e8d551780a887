/* SPDX-License-Identifier: MIT */
/*
 * What the core calls where a shrinker's callbacks are Python: the interpreter
 * is entered once for a walk, and the numbers that a callback needs are passed
 * as numbers, which costs Python less than reading them from a structure.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <time.h>

#include <shrinker/memcg.h>

#include "python_host.h"

/* Defined by cffi, implemented in shrinker/_trampolines.py and one_pass.py. */
extern unsigned long shrinker_py_count(unsigned long number, int nid,
				       unsigned long memcg_id,
				       unsigned int gfp_mask);
extern unsigned long shrinker_py_scan(unsigned long number, int nid,
				      unsigned long memcg_id,
				      unsigned int gfp_mask,
				      unsigned long nr_to_scan,
				      unsigned long *nr_scanned);
extern unsigned long shrinker_py_pass_scan(unsigned long number,
					   unsigned long nr_to_scan,
					   unsigned long *nr_scanned);

/* Ids count up from 1; 0 stands for no group. */
static unsigned long memcg_id(const struct shrink_control *sc)
{
	return sc->memcg ? mem_cgroup_get_id(sc->memcg) : 0;
}

static unsigned long count_in_python(struct shrinker *shrinker,
				     struct shrink_control *sc)
{
	return shrinker_py_count((unsigned long)(uintptr_t)shrinker->private_data,
				 sc->nid, memcg_id(sc), sc->gfp_mask);
}

static unsigned long scan_in_python(struct shrinker *shrinker,
				    struct shrink_control *sc)
{
	return shrinker_py_scan((unsigned long)(uintptr_t)shrinker->private_data,
				sc->nid, memcg_id(sc), sc->gfp_mask,
				sc->nr_to_scan, &sc->nr_scanned);
}

unsigned long python_pass_scan(void *arg, unsigned long nr_to_scan,
			       unsigned long *nr_scanned)
{
	return shrinker_py_pass_scan((unsigned long)(uintptr_t)arg, nr_to_scan,
				     nr_scanned);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* How long a thread may keep the interpreter from others. */
static uint64_t switch_interval_ns(void)
{
	PyObject *function = PySys_GetObject("getswitchinterval");
	PyObject *seconds = function ? PyObject_CallNoArgs(function) : NULL;
	double interval = seconds ? PyFloat_AsDouble(seconds) : 0;

	Py_XDECREF(seconds);
	if (PyErr_Occurred()) {
		PyErr_Clear();
		return 0;
	}
	return (uint64_t)(interval * 1e9);
}

/*
 * The host's word: when the walk should make room for other threads, in
 * nanoseconds, and below it one bit, the state that PyGILState_Release() wants.
 *
 * Each entry can cost a switch interval where another thread is busy, so a walk
 * that has entered stays, across all its Python callbacks (which let others in
 * as all Python code does) and for a switch interval across native passes.
 */
static void enter_python(uintptr_t *state)
{
	uint64_t gil = PyGILState_Ensure() == PyGILState_UNLOCKED;

	*state = (now_ns() + switch_interval_ns()) << 1 | gil;
}

static void leave_python(uintptr_t *state)
{
	PyGILState_Release(*state & 1 ? PyGILState_UNLOCKED : PyGILState_LOCKED);
}

static bool may_stay_in_python(uintptr_t *state)
{
	return now_ns() < *state >> 1;
}

static const struct reclaim_host python_host = {
	.enter = enter_python,
	.leave = leave_python,
	.may_stay = may_stay_in_python,
};

void python_host_adopt(struct shrinker *shrinker, unsigned long number)
{
	shrinker->count_objects = count_in_python;
	shrinker->scan_objects = scan_in_python;
	shrinker->private_data = (void *)(uintptr_t)number;
	shrinker_set_host(shrinker, &python_host);
}

void python_host_free_shrinker(void *capsule)
{
	shrinker_free_nowait(PyCapsule_GetPointer(capsule, NULL));
}

void python_host_put_domain(void *capsule)
{
	reclaim_domain_put(PyCapsule_GetPointer(capsule, NULL));
}

void python_host_put_memcg(void *capsule)
{
	mem_cgroup_put(PyCapsule_GetPointer(capsule, NULL));
}
