/* SPDX-License-Identifier: MIT */
/*
 * How Python starts a walk.  In C, because the way through cffi and the bookkeeping
 * around it took longer than a small walk.  Part of the extension only.
 */
#ifndef SHRINKER_PYTHON_WALKS_H
#define SHRINKER_PYTHON_WALKS_H

#ifndef SHRINKER_CDEF
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#endif

/**
 * python_walks_type - make the base of WalkErrors; called once
 * @under_way: dict of the threads that are in a walk; kept
 * @get_ident: function that returns the calling thread's key there; kept
 * @nest: function of a number that makes so many nested calls; kept
 *
 * Python objects are void pointers, because cffi has no type for them.
 *
 * Return: a new reference; NULL with an exception set.
 */
void *python_walks_type(void *under_way, void *get_ident, void *nest);

#endif /* SHRINKER_PYTHON_WALKS_H */
