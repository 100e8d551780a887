/* SPDX-License-Identifier: MIT */
/*
 * The argument of Python callbacks: an object around a struct shrink_control.
 * shrinker/control.py derives ShrinkControl from it.  Part of the extension only.
 *
 * A C type, because each use of a property that is written in Python takes 50 to
 * 75 ns, and a callback uses several.
 */
#ifndef SHRINKER_PYTHON_CONTROL_H
#define SHRINKER_PYTHON_CONTROL_H

#ifndef SHRINKER_CDEF
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#endif

#include <shrinker/types.h>

#ifndef SHRINKER_CDEF
/**
 * struct python_control - the base of ShrinkControl
 * @sc: of the running callback; NULL: no callback runs, and each use raises
 */
struct python_control {
	PyObject_HEAD
	struct shrink_control *sc;
};
#endif

/**
 * python_control_type - make the type; called once
 * @over: function without arguments; raises the exception for a use after the
 *	callback
 * @check: function of one number; returns it as an int from 0 to 2^64 - 1, or
 *	raises
 *
 * Python objects are void pointers, because cffi has no type for them.
 *
 * Return: a new reference; NULL with an exception set.
 */
void *python_control_type(void *over, void *check);

#endif /* SHRINKER_PYTHON_CONTROL_H */
