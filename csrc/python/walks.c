/* SPDX-License-Identifier: MIT */
#include "python/critical.h"
#include "python/visit.h"
#include "python/walks.h"

#include <limits.h>
#include <stddef.h>
#include <structmember.h>

#include <shrinker/domain.h>

/**
 * struct walk_errors - what the callbacks of one walk raise; around that walk it is
 * in @under_way, where the trampolines find it
 * @thread: key of the thread that walks
 * @outer: struct walk_errors of the walk around this one; NULL: none
 * @errors: what _walk_errors.py keeps of exceptions; NULL, which it sees as None:
 *	none was raised
 * @rest: the same
 * @interrupt: the same
 * @freed: objects freed by the walk of shrink_slab()
 *
 * Its thread alone uses it.  On the heap, since greenlets move the C stack.
 */
struct walk_errors {
	PyObject_HEAD
	PyObject *thread;
	PyObject *outer;
	PyObject *errors;
	PyObject *rest;
	PyObject *interrupt;
	unsigned long freed;
};

/* Nested calls from the start of a walk to the last function that reports an error.
 * test_trampolines.py fails where it is too small. */
#define REPORT_DEPTH 10

static PyObject *under_way, *get_ident, *nest;

/*
 * At the interpreter's limit a trampoline could not begin, or not report what it
 * caught: cffi would drop the error, and the core would take the callback for one that
 * answered nothing.  Here, before the walk, the error can be raised.
 *
 * Return: -1 with RecursionError set, unless calls may nest so deep.
 */
static int ensure_depth(void)
{
	PyObject *nested;
	int depth = 0, missing;

	if (Py_Version >= 0x030c0000) {
		/* Calls in C do not count for the limit of calls in Python. */
		nested = PyObject_CallFunction(nest, "i", REPORT_DEPTH);
		Py_XDECREF(nested);
		return nested ? 0 : -1;
	}
	while (depth <= REPORT_DEPTH &&
	       !Py_EnterRecursiveCall(" while calling a Python object"))
		depth++;
	missing = REPORT_DEPTH + 1 - depth;
	while (depth--)
		Py_LeaveRecursiveCall();
	return missing ? -1 : 0;
}

/* Return: -1 with an exception set; nothing has changed. */
static int begin(struct walk_errors *self)
{
	PyObject *thread, *outer;

	if (ensure_depth() < 0)
		return -1;
	thread = PyObject_CallNoArgs(get_ident);
	if (!thread)
		return -1;
	/* The core refuses a reclaim inside a callback, but direct counts and scans
	 * may nest. */
	if (dict_get(under_way, thread, &outer) < 0) {
		Py_DECREF(thread);
		return -1;
	}
	if (outer && !reclaim_in_callback())
		Py_CLEAR(outer); /* A signal kept it from being removed. */
	if (PyDict_SetItem(under_way, thread, (PyObject *)self) < 0) {
		Py_XDECREF(outer);
		Py_DECREF(thread);
		return -1;
	}
	Py_XDECREF(self->outer);
	Py_XDECREF(self->thread);
	self->outer = outer;
	self->thread = thread;
	return 0;
}

/* No exception is set. */
static void end(struct walk_errors *self)
{
	if (!self->thread)
		return;
	/* Neither takes memory: the key is there, unless a fork took it out. */
	if (self->outer ? PyDict_SetItem(under_way, self->thread, self->outer) < 0 :
			  PyDict_DelItem(under_way, self->thread) < 0)
		PyErr_Clear();
	Py_CLEAR(self->outer);
	Py_CLEAR(self->thread);
}

static PyObject *enter(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (begin((struct walk_errors *)self) < 0)
		return NULL;
	Py_INCREF(self);
	return self;
}

static PyObject *leave(PyObject *self, PyObject *unused)
{
	(void)unused;
	end((struct walk_errors *)self);
	Py_RETURN_NONE;
}

/* Return: whether @number is an int, of no derived type, from 0 to @max. */
static bool is_up_to(PyObject *number, unsigned long max, unsigned long *value)
{
	if (!PyLong_CheckExact(number))
		return false;
	*value = PyLong_AsUnsignedLong(number);
	if (*value == (unsigned long)-1 && PyErr_Occurred()) {
		PyErr_Clear();
		return false;
	}
	return *value <= max;
}

/*
 * shrink_slab(domain, gfp_mask, nid, memcg, priority, stalled), a class method: walk
 * once.  Domain and memory cgroup are addresses; the caller keeps them.
 *
 * Returns the number of objects freed.  Where a callback has raised, or the domain's
 * number of stalled passes is not @stalled, returns the WalkErrors, with the number in
 * it.  Returns None, and nothing happens, where gfp_mask, nid or priority are not plain
 * ints in their ranges.
 */
static PyObject *shrink_slab_method(PyObject *type, PyObject *const *args, Py_ssize_t nr)
{
	unsigned long gfp_mask, nid, priority, stalled;
	struct reclaim_domain *domain;
	struct walk_errors *self;
	struct mem_cgroup *memcg;
	PyThreadState *thread;
	PyObject *result;

	if (nr != 6) {
		PyErr_SetString(PyExc_TypeError, "shrink_slab() takes six arguments");
		return NULL;
	}
	domain = PyLong_AsVoidPtr(args[0]);
	memcg = PyLong_AsVoidPtr(args[3]);
	stalled = PyLong_AsUnsignedLong(args[5]);
	if (PyErr_Occurred())
		return NULL;
	if (!is_up_to(args[1], UINT_MAX, &gfp_mask) ||
	    !is_up_to(args[2], (unsigned long)reclaim_domain_nr_nodes(domain) - 1,
		      &nid) ||
	    !is_up_to(args[4], SHRINK_MAX_PRIORITY, &priority))
		Py_RETURN_NONE;
	self = (struct walk_errors *)PyType_GenericAlloc((PyTypeObject *)type, 0);
	if (!self)
		return NULL;
	if (begin(self) < 0) {
		Py_DECREF(self);
		return NULL;
	}

	thread = PyEval_SaveThread();
	self->freed = reclaim_shrink_slab(domain, (gfp_t)gfp_mask, (int)nid, memcg,
					  (int)priority);
	PyEval_RestoreThread(thread);

	end(self);
	if (self->errors || self->interrupt || *reclaim_domain_stalled(domain) != stalled)
		return (PyObject *)self;
	result = PyLong_FromUnsignedLong(self->freed);
	Py_DECREF(self);
	return result;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
	struct walk_errors *self = (struct walk_errors *)object;

	VISIT_TYPE(object);
	Py_VISIT(self->outer);
	Py_VISIT(self->errors);
	Py_VISIT(self->rest);
	Py_VISIT(self->interrupt);
	return 0;
}

static int clear(PyObject *object)
{
	struct walk_errors *self = (struct walk_errors *)object;

	Py_CLEAR(self->outer);
	Py_CLEAR(self->errors);
	Py_CLEAR(self->rest);
	Py_CLEAR(self->interrupt);
	return 0;
}

static void dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);

	PyObject_GC_UnTrack(object);
	clear(object);
	Py_CLEAR(((struct walk_errors *)object)->thread);
	PyObject_GC_Del(object);
	Py_DECREF(type);
}

static PyMethodDef methods[] = {
	{ "__enter__", enter, METH_NOARGS, NULL },
	{ "__exit__", leave, METH_VARARGS, NULL },
	{ "shrink_slab", (PyCFunction)(void (*)(void))shrink_slab_method,
	  METH_FASTCALL | METH_CLASS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyMemberDef members[] = {
	{ "_errors", T_OBJECT, offsetof(struct walk_errors, errors), 0, NULL },
	{ "_rest", T_OBJECT, offsetof(struct walk_errors, rest), 0, NULL },
	{ "_interrupt", T_OBJECT, offsetof(struct walk_errors, interrupt), 0, NULL },
	{ "freed", T_ULONG, offsetof(struct walk_errors, freed), READONLY, NULL },
	{ NULL, 0, 0, 0, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_traverse, traverse },
	{ Py_tp_clear, clear },
	{ Py_tp_dealloc, dealloc },
	{ Py_tp_methods, methods },
	{ Py_tp_members, members },
	{ Py_tp_doc, "The part of WalkErrors that is written in C." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "shrinker._shrinker.Walk",
	.basicsize = sizeof(struct walk_errors),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
	.slots = slots,
};

void *python_walks_type(void *threads, void *ident, void *nesting)
{
	if (under_way) {
		/* The first copy's walks go on with what it has given. */
		PyErr_SetString(PyExc_ImportError,
				"shrinker cannot be imported twice in a process");
		return NULL;
	}
	under_way = threads;
	Py_INCREF(under_way);
	get_ident = ident;
	Py_INCREF(get_ident);
	nest = nesting;
	Py_INCREF(nest);
	return PyType_FromSpec(&spec);
}
