/* SPDX-License-Identifier: MIT */
/* What objects take of memory.  sizeof.c has how.  Part of the extension only. */
#ifndef SHRINKER_PYTHON_SIZEOF_H
#define SHRINKER_PYTHON_SIZEOF_H

#ifndef SHRINKER_CDEF
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

#pragma GCC visibility push(hidden)

/**
 * python_sizeof - measure what some objects and all that they hold take together
 * @objects: with references of the caller
 * @nr: of them, 1 or more
 * @bytes: receives the size, at most MAX_SIZEOF
 *
 * Context: may run any Python code, and let other threads in.
 * Return: 0; -1 with an exception set that is not an Exception, such as
 * KeyboardInterrupt.  Others of the objects' own code are dropped.
 */
int python_sizeof(PyObject *const *objects, Py_ssize_t nr, uint64_t *bytes);

/* Bytes; above what a machine has.  So lies of objects do not add up to overflows. */
#define MAX_SIZEOF (1ULL << 46)

#pragma GCC visibility pop
#endif

/**
 * python_sizeof_function - make the function of Python; called once
 * @libraries: function without arguments; returns a tuple of pairs of a type, and a
 *	function of an object that returns (bytes, list of objects it holds, their whole
 *	number).  Called where modules were imported since the last time.
 * @opaque: tuple of types of objects that are not followed: they belong to the program
 *
 * Return: a new reference to sizeof(*objects); NULL with an exception set.
 */
void *python_sizeof_function(void *libraries, void *opaque);

#endif /* SHRINKER_PYTHON_SIZEOF_H */
