/* SPDX-License-Identifier: MIT */
#include "python/cache.h"

#include <stddef.h>
#include <structmember.h>

#include "python/host.h"

static PyMemberDef members[] = {
	{ "grown", T_LONGLONG, offsetof(struct python_growth, grown), 0,
	  "Bytes that were added to caches, of the allowance." },
	{ "allowance", T_DOUBLE, offsetof(struct python_growth, allowance), 0,
	  "Bytes that may be added before the next look." },
	{ "pressures", T_ULONGLONG, offsetof(struct python_growth, pressures), READONLY,
	  "How often under_pressure was set." },
	{ NULL, 0, 0, 0, NULL },
};

/* A page, which is the least that a look allows. */
#define LEAST_ALLOWANCE_BYTES 4096

/* Takes bytes off @grown, beside threads that add some.  Return: @bytes. */
static long long take_grown(struct python_growth *growth, long long bytes)
{
#ifdef Py_GIL_DISABLED
	atomic_fetch_sub(&growth->grown, bytes);
#else
	growth->grown = (long long)((unsigned long long)growth->grown -
				    (unsigned long long)bytes);
#endif
	return bytes;
}

/**
 * python_growth_exceeded - the allowance is used up: have the memory looked at
 *
 * The next thread gets half of it while this one looks, so that all threads together
 * add less than twice the allowance.  That is done before any Python code runs: there
 * another thread may go on, and add all of it again.
 *
 * Return: 0; -1 with an exception set.
 */
int python_growth_exceeded(struct python_growth *growth)
{
	PyObject *done;

	BEGIN_SECTION(growth);
	growth->before += (unsigned long long)take_grown(growth, growth->grown);
	if (growth->allowance >= 2 * LEAST_ALLOWANCE_BYTES)
		growth->allowance = growth->allowance / 2;
	END_SECTION();
	done = PyObject_CallMethod((PyObject *)growth, "call_watcher", NULL);
	Py_XDECREF(done);
	return done ? 0 : -1;
}

static PyObject *exceeded(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (python_growth_exceeded((struct python_growth *)self) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static unsigned long long all_added(const struct python_growth *growth)
{
	return growth->before + (unsigned long long)growth->grown;
}

static PyObject *add(PyObject *self, PyObject *bytes)
{
	long long more = PyLong_AsLongLong(bytes);

	if (more == -1 && PyErr_Occurred())
		return NULL;
	growth_add((struct python_growth *)self, more);
	Py_RETURN_NONE;
}

static PyObject *added(PyObject *self, PyObject *unused)
{
	unsigned long long all;

	(void)unused;
	BEGIN_SECTION(self);
	all = all_added((struct python_growth *)self);
	END_SECTION();
	return PyLong_FromUnsignedLongLong(all);
}

/* What was added since memory was read has used some of the allowance, also where other
 * threads have used theirs up and not read memory yet. */
static PyObject *allow(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = { "added", "allowance", "newest", NULL };
	struct python_growth *growth = (struct python_growth *)self;
	unsigned long long added;
	long long since;
	double allowance;
	int newest;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "Kd$p", names, &added,
					 &allowance, &newest))
		return NULL;
	BEGIN_SECTION(growth);
	since = (long long)(all_added(growth) - added);
	if (newest || allowance - (double)since <
			      growth->allowance - (double)growth->grown) {
		take_grown(growth, (long long)(added - growth->before));
		growth->before = added;
		growth->allowance = allowance;
	}
	END_SECTION();
	Py_RETURN_NONE;
}

/* Not the time of Python by default: a test may have stopped that, or put it years ahead. */
static PyObject *learn(PyObject *self, PyObject *args)
{
	unsigned long long now_ns = python_host_now_ns();

	if (!PyArg_ParseTuple(args, "|K", &now_ns))
		return NULL;
	growth_learn((struct python_growth *)self, now_ns);
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
	{ "exceeded", exceeded, METH_NOARGS,
	  "Halve the allowance, which is used up, and call the watcher." },
	{ "add", add, METH_O, "Add bytes to ``grown``." },
	{ "added", added, METH_NOARGS,
	  "Return all bytes that were ever added, modulo 2**64." },
	{ "learn", learn, METH_VARARGS,
	  "Set the seeks of caches by what was measured, now or at a time in ns." },
	{ "allow", (PyCFunction)(void (*)(void))allow, METH_VARARGS | METH_KEYWORDS,
	  "Allow bytes from the moment when added() was what is given." },
	{ NULL, NULL, 0, NULL },
};

static PyObject *get_pressure(PyObject *self, void *closure)
{
	(void)closure;
	return PyBool_FromLong(((struct python_growth *)self)->under_pressure);
}

static int set_pressure(PyObject *self, PyObject *value, void *closure)
{
	struct python_growth *growth = (struct python_growth *)self;

	(void)closure;
	if (value != Py_True && value != Py_False) {
		PyErr_SetString(PyExc_TypeError, "under_pressure must be a bool");
		return -1;
	}
	BEGIN_SECTION(growth);
	growth->pressures += value == Py_True && !growth->under_pressure;
	growth->under_pressure = value == Py_True;
	END_SECTION();
	return 0;
}

static PyGetSetDef computed[] = {
	{ "under_pressure", get_pressure, set_pressure, "Whether caches should not grow.",
	  NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_methods, methods },
	{ Py_tp_members, members },
	{ Py_tp_getset, computed },
	{ Py_tp_doc, "The part of Growth that is written in C." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "shrinker._shrinker.GrowthFigures",
	.basicsize = sizeof(struct python_growth),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.slots = slots,
};

void *python_growth_type(void)
{
	return PyType_FromSpec(&spec);
}
