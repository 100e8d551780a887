/* SPDX-License-Identifier: MIT */
/*
 * What a Python callback is handed: an object around the core's own structure.
 * shrinker/control.py derives ShrinkControl from it.  Part of the extension only.
 *
 * It is a C type because a property written in Python costs 50 to 75 ns each time,
 * and a callback reads and writes several.
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
 * @sc: of the callback that runs; NULL: none does, and every use raises
 */
struct python_control {
	PyObject_HEAD
	struct shrink_control *sc;
};
#endif

/**
 * python_control_type - make the type; called once
 * @over: callable without arguments that raises what use after the end raises
 * @check: callable with a number; returns it as an int from 0 to 2^64 - 1, or raises
 *
 * Objects of Python are void pointers here, because cffi knows none.
 *
 * Return: a new reference; NULL with an exception set.
 */
void *python_control_type(void *over, void *check);

#endif /* SHRINKER_PYTHON_CONTROL_H */
