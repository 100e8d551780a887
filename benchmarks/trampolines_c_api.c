/* SPDX-License-Identifier: MIT */
/*
 * A trampoline written by hand in CPython's C API, the whole API, not the stable
 * part: the least that a callback into Python can cost.  trampolines.py compiles it
 * when it runs; it is no part of the package's extension.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <shrinker/shrinker.h>

/* What a callback is handed; sc is NULL when the callback is over. */
struct control {
	PyObject_HEAD
	struct shrink_control *sc;
};

/* Whose methods to call; owned by the capsule that adopt() returns. */
struct record {
	PyObject *count_objects;
	PyObject *scan_objects;
};

static PyObject *count_type, *scan_type, *value_name;

static bool is_over(const struct control *control)
{
	if (!control->sc)
		PyErr_SetString(PyExc_RuntimeError,
				"this control's callback is over");
	return !control->sc;
}

static PyObject *get_nr_to_scan(PyObject *self, void *closure)
{
	struct control *control = (struct control *)self;

	(void)closure;
	return is_over(control) ?
		       NULL :
		       PyLong_FromUnsignedLong(control->sc->nr_to_scan);
}

static PyObject *get_nr_scanned(PyObject *self, void *closure)
{
	struct control *control = (struct control *)self;

	(void)closure;
	return is_over(control) ?
		       NULL :
		       PyLong_FromUnsignedLong(control->sc->nr_scanned);
}

static int set_nr_scanned(PyObject *self, PyObject *value, void *closure)
{
	struct control *control = (struct control *)self;
	unsigned long number;

	(void)closure;
	if (is_over(control))
		return -1;
	if (!value || !PyLong_Check(value) || PyBool_Check(value)) {
		PyErr_SetString(PyExc_TypeError, "nr_scanned must be an int");
		return -1;
	}
	number = PyLong_AsUnsignedLong(value);
	if (number == (unsigned long)-1 && PyErr_Occurred()) {
		PyErr_SetString(PyExc_ValueError, "nr_scanned out of range");
		return -1;
	}
	control->sc->nr_scanned = number;
	return 0;
}

static PyGetSetDef control_fields[] = {
	{ "nr_to_scan", get_nr_to_scan, NULL, NULL, NULL },
	{ "nr_scanned", get_nr_scanned, set_nr_scanned, NULL, NULL },
	{ 0 },
};

static PyTypeObject control_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "trampolines_c_api.Control",
	.tp_basicsize = sizeof(struct control),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_getset = control_fields,
};

/* Return: 0 on success; -1 with an exception set. */
static int unbox(PyObject *result, PyObject *type, unsigned long *number)
{
	PyObject *value = NULL;

	if (Py_IS_TYPE(result, (PyTypeObject *)type)) {
		result = value = PyObject_GetAttr(result, value_name);
		if (!value)
			return -1;
	} else if (!PyLong_Check(result) || PyBool_Check(result)) {
		PyErr_SetString(PyExc_TypeError, "not a result of this callback");
		return -1;
	}
	*number = PyLong_AsUnsignedLong(result);
	Py_XDECREF(value);
	return *number == (unsigned long)-1 && PyErr_Occurred() ? -1 : 0;
}

static unsigned long call(PyObject *method, PyObject *type,
			  struct shrink_control *sc, unsigned long failed)
{
	PyGILState_STATE gil = PyGILState_Ensure();
	struct control *control = PyObject_New(struct control, &control_type);
	PyObject *result = NULL;
	unsigned long number;

	if (control) {
		/* The slot in front is vectorcall's, for the method's self. */
		PyObject *args[] = { NULL, (PyObject *)control };

		control->sc = sc;
		result = PyObject_Vectorcall(
			method, args + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET,
			NULL);
		control->sc = NULL;
		Py_DECREF(control);
	}
	if (!result || unbox(result, type, &number)) {
		PyErr_WriteUnraisable(method);
		number = failed;
	}
	Py_XDECREF(result);
	PyGILState_Release(gil);
	return number;
}

static unsigned long count_objects(struct shrinker *shrinker,
				   struct shrink_control *sc)
{
	const struct record *record = shrinker->private_data;

	return call(record->count_objects, count_type, sc, 0);
}

static unsigned long scan_objects(struct shrinker *shrinker,
				  struct shrink_control *sc)
{
	const struct record *record = shrinker->private_data;

	return call(record->scan_objects, scan_type, sc, SHRINK_STOP);
}

static void free_record(PyObject *capsule)
{
	struct record *record = PyCapsule_GetPointer(capsule, NULL);

	Py_XDECREF(record->count_objects);
	Py_XDECREF(record->scan_objects);
	PyMem_Free(record);
}

/* adopt(address, cache): make a cache's methods the callbacks of the struct
 * shrinker at an address, as long as the result lives. */
static PyObject *adopt(PyObject *module, PyObject *args)
{
	unsigned long long address;
	struct shrinker *shrinker;
	struct record *record;
	PyObject *cache, *owner;

	(void)module;
	if (!PyArg_ParseTuple(args, "KO", &address, &cache))
		return NULL;
	record = PyMem_Calloc(1, sizeof(*record));
	if (!record)
		return PyErr_NoMemory();
	owner = PyCapsule_New(record, NULL, free_record);
	if (!owner) {
		PyMem_Free(record);
		return NULL;
	}
	record->count_objects = PyObject_GetAttrString(cache, "count_objects");
	record->scan_objects = PyObject_GetAttrString(cache, "scan_objects");
	if (!record->count_objects || !record->scan_objects) {
		Py_DECREF(owner);
		return NULL;
	}
	shrinker = (struct shrinker *)(uintptr_t)address;
	shrinker->count_objects = count_objects;
	shrinker->scan_objects = scan_objects;
	shrinker->private_data = record;
	return owner;
}

static PyMethodDef functions[] = {
	{ "adopt", adopt, METH_VARARGS, NULL },
	{ 0 },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "trampolines_c_api",
	.m_size = -1,
	.m_methods = functions,
};

PyMODINIT_FUNC PyInit_trampolines_c_api(void)
{
	PyObject *values = PyImport_ImportModule("shrinker.values");

	if (!values || PyType_Ready(&control_type) < 0)
		return NULL;
	count_type = PyObject_GetAttrString(values, "CountObjects");
	scan_type = PyObject_GetAttrString(values, "ScanObjects");
	value_name = PyUnicode_InternFromString("value");
	Py_DECREF(values);
	if (!count_type || !scan_type || !value_name)
		return NULL;
	return PyModule_Create(&definition);
}
