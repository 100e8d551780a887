/* SPDX-License-Identifier: MIT */
#include "python/control.h"

#include "python/critical.h"

#include <shrinker/memcg.h>

static PyObject *raise_over, *checked;

/* Return: NULL with an exception set where the callback is over. */
static struct shrink_control *valid(PyObject *self)
{
	struct shrink_control *sc = ((struct python_control *)self)->sc;

	if (!sc)
		Py_XDECREF(PyObject_CallNoArgs(raise_over));
	return sc;
}

static PyObject *get_nr_to_scan(PyObject *self, void *closure)
{
	const struct shrink_control *sc;
	PyObject *number;

	(void)closure;
	BEGIN_SECTION(self);
	sc = valid(self);
	number = sc ? PyLong_FromUnsignedLong(sc->nr_to_scan) : NULL;
	END_SECTION();
	return number;
}

static PyObject *get_nr_scanned(PyObject *self, void *closure)
{
	const struct shrink_control *sc;
	PyObject *number;

	(void)closure;
	BEGIN_SECTION(self);
	sc = valid(self);
	number = sc ? PyLong_FromUnsignedLong(sc->nr_scanned) : NULL;
	END_SECTION();
	return number;
}

static inline int set_in_section(PyObject *self, PyObject *value)
{
	struct shrink_control *sc = valid(self);
	PyObject *number;
	unsigned long nr_scanned;

	if (!sc)
		return -1;
	if (value && PyLong_CheckExact(value)) {
		nr_scanned = PyLong_AsUnsignedLong(value);
		if (nr_scanned != (unsigned long)-1 || !PyErr_Occurred()) {
			sc->nr_scanned = nr_scanned;
			return 0;
		}
		PyErr_Clear();
	}
	number = PyObject_CallFunctionObjArgs(checked, value ? value : Py_None,
					      NULL);
	if (!number)
		return -1;
	/* The check has run Python code: the callback may be over now. */
	sc = valid(self);
	if (sc)
		sc->nr_scanned = PyLong_AsUnsignedLong(number);
	Py_DECREF(number);
	return sc ? 0 : -1;
}

static int set_nr_scanned(PyObject *self, PyObject *value, void *closure)
{
	int error;

	(void)closure;
	BEGIN_SECTION(self);
	error = set_in_section(self, value);
	END_SECTION();
	return error;
}

static PyObject *get_nid(PyObject *self, void *closure)
{
	const struct shrink_control *sc;
	PyObject *number;

	(void)closure;
	BEGIN_SECTION(self);
	sc = valid(self);
	number = sc ? PyLong_FromLong(sc->nid) : NULL;
	END_SECTION();
	return number;
}

static PyObject *get_gfp_mask(PyObject *self, void *closure)
{
	const struct shrink_control *sc;
	PyObject *number;

	(void)closure;
	BEGIN_SECTION(self);
	sc = valid(self);
	number = sc ? PyLong_FromUnsignedLong(sc->gfp_mask) : NULL;
	END_SECTION();
	return number;
}

/* Ids count up from 1; 0 means no group. */
static PyObject *get_memcg_id(PyObject *self, void *closure)
{
	const struct shrink_control *sc;
	PyObject *number = NULL;

	(void)closure;
	BEGIN_SECTION(self);
	sc = valid(self);
	if (sc)
		number = PyLong_FromUnsignedLong(
			sc->memcg ? mem_cgroup_get_id(sc->memcg) : 0);
	END_SECTION();
	return number;
}

static PyGetSetDef fields[] = {
	{ "nr_to_scan", get_nr_to_scan, NULL,
	  "Objects to scan in this call; 0 in ``count_objects``.  Read only.",
	  NULL },
	{ "nr_scanned", get_nr_scanned, set_nr_scanned,
	  "Objects scanned in this call, ``nr_to_scan`` unless set.\n\n"
	  "Can be set to 0..2**64-1; it is not clamped to ``nr_to_scan``.  A smaller\n"
	  "number says that fewer objects were looked at, a larger one that more\n"
	  "were; the pass subtracts it from its work.  Setting raises ``ValueError``\n"
	  "for a number out of range and ``TypeError`` for anything but an ``int``.\n"
	  "In Rust this is ``set_nr_scanned``.",
	  NULL },
	{ "nid", get_nid, NULL, "Memory node that is short of memory.", NULL },
	{ "_gfp_mask", get_gfp_mask, NULL, NULL, NULL },
	{ "_memcg_id", get_memcg_id, NULL, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_getset, fields },
	{ Py_tp_doc, "The part of ShrinkControl that is written in C." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "shrinker._shrinker.Control",
	.basicsize = sizeof(struct python_control),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.slots = slots,
};

void *python_control_type(void *over, void *check)
{
	PyObject *type;

	if (raise_over) {
		PyErr_SetString(PyExc_ImportError,
				"shrinker cannot be imported twice in a process");
		return NULL;
	}
	type = PyType_FromSpec(&spec);
	if (!type)
		return NULL;
	raise_over = over;
	Py_INCREF(raise_over);
	checked = check;
	Py_INCREF(checked);
	return type;
}
