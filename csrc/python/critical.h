/* SPDX-License-Identifier: MIT */
/*
 * What guards the extension in a free-threaded build of Python.  With the GIL it is
 * nothing: that guards all, and these macros leave no code.
 *
 * The code is written for the GIL: a thread has all to itself until Python code runs.
 * A critical section of an object gives the same to all code that begins one of the
 * same object.  It may be interrupted where the GIL may be given up, no sooner: where
 * the thread waits, or where a section that is begun inside has to.  Both come only
 * with calls that may run Python code.  So rules of the kind "no Python code runs from
 * here to there" hold in both builds.  Nothing waits for ever: a thread that waits has
 * left its sections.
 *
 * A callback that runs inside a section keeps other threads out of that object, unless
 * it waits.  So what may take long, the computation of a value, runs outside.
 */
#ifndef SHRINKER_PYTHON_CRITICAL_H
#define SHRINKER_PYTHON_CRITICAL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/*
 * BEGIN_SECTION, END_SECTION - around code of one block, which is left at its end only
 * BEGIN_SECTIONS - the same of two objects at once
 * SHARED - type of a number that is read outside its section
 * COUNT_UP - add 1 to a SHARED number, inside its section
 */
#ifdef Py_GIL_DISABLED
#include <stdatomic.h>

#define BEGIN_SECTION(object) Py_BEGIN_CRITICAL_SECTION(object)
#define END_SECTION() Py_END_CRITICAL_SECTION()
#define BEGIN_SECTIONS(object, other) Py_BEGIN_CRITICAL_SECTION2(object, other)
#define END_SECTIONS() Py_END_CRITICAL_SECTION2()
#define SHARED(type) _Atomic(type)
#define COUNT_UP(number)                                                           \
	atomic_store_explicit(                                                     \
		number, atomic_load_explicit(number, memory_order_relaxed) + 1,    \
		memory_order_relaxed)
#else
#define BEGIN_SECTION(object) {
#define END_SECTION() }
#define BEGIN_SECTIONS(object, other) {
#define END_SECTIONS() }
#define SHARED(type) type
#define COUNT_UP(number) (++*(number))
#endif

/*
 * dict_get - look a key up in a dict
 * @found: receives a new reference, or NULL
 *
 * Return: -1 with an exception set.
 */
static inline int dict_get(PyObject *dict, PyObject *key, PyObject **found)
{
#ifdef Py_GIL_DISABLED
	return PyDict_GetItemRef(dict, key, found) < 0 ? -1 : 0;
#else
	*found = PyDict_GetItemWithError(dict, key);
	Py_XINCREF(*found);
	return !*found && PyErr_Occurred() ? -1 : 0;
#endif
}

#endif /* SHRINKER_PYTHON_CRITICAL_H */
