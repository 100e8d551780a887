/* SPDX-License-Identifier: MIT */
/*
 * The steps of shrinker/_lru_lists.py that change several of its tables.  Part of the
 * extension only.
 */
#ifndef SHRINKER_PYTHON_LRU_LISTS_H
#define SHRINKER_PYTHON_LRU_LISTS_H

#ifndef SHRINKER_CDEF
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#endif

/**
 * python_lru_steps - make the functions of _lru_lists.py; called once
 * @anywhere: dict of weak references to all entries, by the addresses of their objects;
 *	kept
 * @values: tuple of LruStatus.REMOVED, REMOVED_RETRY and ROTATE, and of the attributes
 *	"key", "ref", "obj", "list" and "entries"; kept
 *
 * Return: a new tuple of the functions put(), forget(), take_off(), visit(), move()
 * and read();
 * NULL with an exception set.
 */
void *python_lru_steps(void *anywhere, void *values);

#endif /* SHRINKER_PYTHON_LRU_LISTS_H */
