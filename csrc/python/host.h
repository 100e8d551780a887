/* SPDX-License-Identifier: MIT */
/*
 * The C half of the glue between the core and Python callbacks; its other half
 * is shrinker/_trampolines.py.  Part of the extension module only.
 */
#ifndef SHRINKER_PYTHON_HOST_H
#define SHRINKER_PYTHON_HOST_H

#include <shrinker/domain.h>

/* Python objects are void pointers, because cffi has no type for them. */

/**
 * python_host_use - set the type of the argument of callbacks; called once
 * @type: derived from python_control_type(); called without arguments
 * @list: receives an object of @type for each frame; the trampolines read them
 *	there
 *
 * Return: a new reference to a pair of functions for the trampolines: called(index,
 * number), with what a callback has returned, says whether to scan now;
 * next_pass(index) says which shrinker to count next.  NULL with an exception set.
 */
void *python_host_use(void *type, void *list);

/**
 * python_host_adopt - make the methods of a Python object the shrinker's callbacks
 * @number: the trampolines' number of the object
 */
void python_host_adopt(struct shrinker *shrinker, unsigned long number);

/**
 * python_pass_scan - scan callback for one_pass_run() that calls Python
 * @arg: number of the call, as a pointer
 */
unsigned long python_pass_scan(void *arg, unsigned long nr_to_scan,
			       unsigned long *nr_scanned);

/**
 * python_host_hold_gil - have walks take the GIL for a shrinker with callbacks in C
 */
void python_host_hold_gil(struct shrinker *shrinker);

/**
 * python_host_share_gil - let other threads have the GIL, once per switch interval
 * @until_ns: the caller's, 0 at first: CLOCK_MONOTONIC, in ns, until when this thread
 *	keeps the GIL.  Inside a walk the walk's own is used
 *
 * For long work in C.  Python code does the same by itself.
 *
 * Context: GIL held, no exception set; other threads may run.
 */
void python_host_share_gil(uint64_t *until_ns);

/* CLOCK_MONOTONIC. */
uint64_t python_host_now_ns(void);

/* Whether this thread is in a walk that has called Python. */
bool python_host_in_walk(void);

/*
 * Destructors of capsules that own a shrinker, a domain or a memory cgroup
 * (PyCapsule_Destructor).  Called with the GIL held; they do not wait for
 * callbacks.
 */
void python_host_free_shrinker(void *capsule);
void python_host_put_domain(void *capsule);
void python_host_put_memcg(void *capsule);

#endif /* SHRINKER_PYTHON_HOST_H */
