/* SPDX-License-Identifier: MIT */
/*
 * What changes several tables of shrinker/_lru_lists.py does so here, in one step: the
 * GIL is held, and no Python code runs in between.  So no thread, signal handler or
 * finaliser sees half of it, wherever the interpreter turns to these.
 *
 * - Keys are ints, which are hashed and compared by C.
 * - Objects that the cycle collector knows are made before the first change.
 * - What is dropped is a weak reference or an int, or the caller still has it.
 * - A step begins with what may lack memory, and undoes it where the rest does.
 *
 * Only visit() runs Python code, isolate(), with the tables whole.
 *
 * Without a GIL a lock stands for it, of all lists.  Not a critical section: a step uses
 * several tables, and would be interrupted where it waits for that of another one.
 */
#include "python/lru_lists.h"

#include <stdbool.h>
#ifdef Py_GIL_DISABLED
#include <pthread.h>
#endif

#include "python/critical.h"

#ifdef Py_GIL_DISABLED
static PyMutex steps_lock;

static void begin_step(void)
{
	PyMutex_Lock(&steps_lock);
}

static void end_step(void)
{
	PyMutex_Unlock(&steps_lock);
}

/* In a forked child the thread that had it may be gone. */
static void renew_lock(void)
{
	steps_lock = (PyMutex){ 0 };
}
#else
#define begin_step() ((void)0)
#define end_step() ((void)0)
#endif

static PyObject *anywhere;
/* Of LruStatus. */
static PyObject *removed, *removed_retry, *rotate;
/* Attributes; slots of their classes, so reading one runs no Python code. */
static PyObject *name_key, *name_ref, *name_obj, *name_list, *name_entries;

/**
 * struct parts - where an entry is, and by what it is found; owned
 * @key: by which lists have it
 * @ref: the weak reference to it in @anywhere
 * @place: address of its object, the key of @anywhere
 * @order: OrderedDict of its list
 */
struct parts {
	PyObject *key, *ref, *place, *order;
};

static void release(struct parts *parts)
{
	Py_XDECREF(parts->key);
	Py_XDECREF(parts->ref);
	Py_XDECREF(parts->place);
	Py_XDECREF(parts->order);
}

/* Return: false with an exception set, and nothing to release. */
static bool look_at(PyObject *entry, struct parts *parts)
{
	PyObject *obj = PyObject_GetAttr(entry, name_obj);
	PyObject *list = PyObject_GetAttr(entry, name_list);

	parts->key = PyObject_GetAttr(entry, name_key);
	parts->ref = PyObject_GetAttr(entry, name_ref);
	parts->place = obj ? PyLong_FromVoidPtr(obj) : NULL;
	parts->order = list ? PyObject_GetAttr(list, name_entries) : NULL;
	Py_XDECREF(obj);
	Py_XDECREF(list);
	if (parts->key && parts->ref && parts->place && parts->order)
		return true;
	release(parts);
	return false;
}

static bool has_arguments(const char *name, Py_ssize_t nr, Py_ssize_t expected)
{
	if (nr != expected)
		PyErr_Format(PyExc_TypeError, "%s takes %zd arguments", name, expected);
	return nr == expected;
}

/* Deletes table[key].  Return: 1; 0: it has none; -1 with an exception set. */
static int discard(PyObject *table, PyObject *key)
{
	if (PyObject_DelItem(table, key) == 0)
		return 1;
	if (!PyErr_ExceptionMatches(PyExc_KeyError))
		return -1;
	PyErr_Clear();
	return 0;
}

/* The object is no longer on an lru by this entry.  Return: 0, or -1. */
static int forget(const struct parts *parts)
{
	PyObject *found;

	if (dict_get(anywhere, parts->place, &found) < 0)
		return -1;
	Py_XDECREF(found);
	if (found != parts->ref)
		return 0;
	return discard(anywhere, parts->place) < 0 ? -1 : 0;
}

/* forget(entry): its object can be put on other lrus. */
static PyObject *forget_step(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	struct parts parts;
	int error = -1;

	(void)self;
	if (!has_arguments("forget", nr, 1))
		return NULL;
	begin_step();
	if (look_at(args[0], &parts)) {
		error = forget(&parts);
		release(&parts);
	}
	end_step();
	if (error < 0)
		return NULL;
	Py_RETURN_NONE;
}

/* Return: the entry by which the object is on an lru; a new reference, or NULL. */
static PyObject *put(PyObject *entry, PyObject *live, const struct parts *parts)
{
	PyObject *found;

	if (dict_get(anywhere, parts->place, &found) < 0)
		return NULL;
	if (found) {
		PyObject *other = PyObject_CallNoArgs(found);

		Py_DECREF(found);
		/* None: of an lru that is being collected right now. */
		if (other != Py_None)
			return other;
		Py_DECREF(other);
	}
	if (PyDict_SetItem(anywhere, parts->place, parts->ref) < 0)
		return NULL;
	if (PyDict_SetItem(live, parts->key, entry) < 0 ||
	    PyObject_SetItem(parts->order, parts->key, entry) < 0) {
		PyErr_Clear();
		if (forget(parts) < 0 || discard(live, parts->key) < 0)
			return NULL;
		return PyErr_NoMemory();
	}
	Py_INCREF(entry);
	return entry;
}

/*
 * put(entry, live): put an entry on its list, unless its object is on one.  Returns
 * the entry by which that is there: this one, or another.
 */
static PyObject *put_step(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	struct parts parts;
	PyObject *there = NULL;

	(void)self;
	if (!has_arguments("put", nr, 2))
		return NULL;
	begin_step();
	if (look_at(args[0], &parts)) {
		there = put(args[0], args[1], &parts);
		release(&parts);
	}
	end_step();
	return there;
}

/* Return: 1; 0: another call has taken it off; -1 with an exception set. */
static int take_off(PyObject *entry, PyObject *live)
{
	struct parts parts;
	int was_there;

	if (!look_at(entry, &parts))
		return -1;
	was_there = discard(live, parts.key);
	if (was_there > 0 && (forget(&parts) < 0 || discard(parts.order, parts.key) < 0))
		was_there = -1;
	release(&parts);
	return was_there;
}

/* take_off(entry, live): returns whether this call has done so. */
static PyObject *take_off_step(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	int done;

	(void)self;
	if (!has_arguments("take_off", nr, 2))
		return NULL;
	begin_step();
	done = take_off(args[0], args[1]);
	end_step();
	return done < 0 ? NULL : PyBool_FromLong(done);
}

/* Moves an entry to the tail.  Return: 0, or -1. */
static int to_tail(PyObject *entry)
{
	struct parts parts;
	PyObject *done;

	if (!look_at(entry, &parts))
		return -1;
	done = PyObject_CallMethod(parts.order, "move_to_end", "O", parts.key);
	release(&parts);
	Py_XDECREF(done);
	if (done)
		return 0;
	/* isolate() or another thread has taken it off. */
	if (!PyErr_ExceptionMatches(PyExc_KeyError))
		return -1;
	PyErr_Clear();
	return 0;
}

/* Outside the step: it may run Python code, if it raises. */
static bool is_status(PyObject *status)
{
	if (Py_TYPE(status) == Py_TYPE(rotate))
		return true;
	PyErr_Format(PyExc_TypeError, "isolate must return LruStatus, not %R", status);
	return false;
}

/* Does what isolate() answered.  Return: 1: the entry was taken off; 0; -1. */
static int obey(PyObject *status, PyObject *entry, PyObject *live)
{
	if (status == rotate)
		return to_tail(entry);
	if (status == removed || status == removed_retry)
		return take_off(entry, live);
	return 0;
}

/* Return: 1: the entry is on this list, and no other walk has it; 0; -1. */
static int is_due(PyObject *key, PyObject *list, PyObject *claims)
{
	PyObject *order;
	int found = PySet_Contains(claims, key);

	if (found)
		return found < 0 ? -1 : 0;
	order = PyObject_GetAttr(list, name_entries);
	if (!order)
		return -1;
	found = PySequence_Contains(order, key);
	Py_DECREF(order);
	return found;
}

/* Claims an entry that is due.  Return: 1; 0: it is not; -1 with an exception set. */
static int claim(PyObject *key, PyObject *list, PyObject *claims)
{
	int due;

	begin_step();
	due = is_due(key, list, claims);
	if (due == 1 && PySet_Add(claims, key) < 0)
		due = -1;
	end_step();
	return due;
}

/*
 * visit(entry, list, live, claims, isolate): hand an object of a list to isolate(),
 * unless another walk has it, or it was taken off or moved since the caller looked.
 * Returns what isolate() answered, None where it was not asked, and whether this call
 * took the object off.
 */
static PyObject *visit_step(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	PyObject *entry, *claims, *status = NULL, *type, *value, *traceback;
	PyObject *key, *obj;
	bool answered;
	int taken = -1;

	(void)self;
	if (!has_arguments("visit", nr, 5))
		return NULL;
	entry = args[0], claims = args[3];
	key = PyObject_GetAttr(entry, name_key);
	obj = PyObject_GetAttr(entry, name_obj);
	if (!key || !obj)
		goto out;
	taken = claim(key, args[1], claims);
	if (taken < 1) {
		status = Py_NewRef(Py_None);
		goto out;
	}
	taken = -1;
	status = PyObject_CallFunctionObjArgs(args[4], obj, NULL);
	answered = status && is_status(status);
	begin_step();
	if (answered)
		taken = obey(status, entry, args[2]);
	PyErr_Fetch(&type, &value, &traceback);
	PySet_Discard(claims, key);
	PyErr_Restore(type, value, traceback);
	end_step();
out:
	Py_XDECREF(key);
	Py_XDECREF(obj);
	if (taken < 0) {
		Py_XDECREF(status);
		return NULL;
	}
	return Py_BuildValue("NO", status, taken ? Py_True : Py_False);
}

/*
 * Moves an entry from one order to the head of another list.
 * @to_end: move_to_end() of @order
 *
 * Return: 0, or -1.
 */
static int move(PyObject *entry, PyObject *key, PyObject *from, PyObject *list,
		PyObject *order, PyObject *to_end)
{
	int there = PySequence_Contains(from, key);
	PyObject *done;

	if (there < 1)
		return there;
	if (PyObject_SetItem(order, key, entry) < 0)
		return -1;
	done = PyObject_CallFunctionObjArgs(to_end, key, Py_False, NULL);
	if (!done) {
		PyErr_Clear();
		if (discard(order, key) >= 0)
			PyErr_NoMemory();
		return -1;
	}
	Py_DECREF(done);
	if (PyObject_SetAttr(entry, name_list, list) < 0)
		return -1;
	return discard(from, key) < 0 ? -1 : 0;
}

/*
 * move(entry, list, other): move an entry from a list to the head of another one,
 * unless another call has moved it or taken it off.
 */
static PyObject *move_step(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	PyObject *key, *from, *order, *to_end;
	int error = -1;

	(void)self;
	if (!has_arguments("move", nr, 3))
		return NULL;
	begin_step();
	key = PyObject_GetAttr(args[0], name_key);
	from = PyObject_GetAttr(args[1], name_entries);
	order = PyObject_GetAttr(args[2], name_entries);
	/* Made first: the cycle collector knows bound methods, and may run now. */
	to_end = key && from && order ? PyObject_GetAttrString(order, "move_to_end") :
					NULL;
	if (to_end)
		error = move(args[0], key, from, args[2], order, to_end);
	Py_XDECREF(key);
	Py_XDECREF(from);
	Py_XDECREF(order);
	Py_XDECREF(to_end);
	end_step();
	if (error < 0)
		return NULL;
	Py_RETURN_NONE;
}

/* read(function, iterable): what a function of C returns for an iterator over an order,
 * between two steps. */
static PyObject *read_step(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	PyObject *result;

	(void)self;
	if (!has_arguments("read", nr, 2))
		return NULL;
	begin_step();
	result = PyObject_CallFunctionObjArgs(args[0], args[1], NULL);
	end_step();
	return result;
}

static PyMethodDef steps[] = {
	{ "put", (PyCFunction)(void (*)(void))put_step, METH_FASTCALL, NULL },
	{ "forget", (PyCFunction)(void (*)(void))forget_step, METH_FASTCALL, NULL },
	{ "take_off", (PyCFunction)(void (*)(void))take_off_step, METH_FASTCALL, NULL },
	{ "visit", (PyCFunction)(void (*)(void))visit_step, METH_FASTCALL, NULL },
	{ "move", (PyCFunction)(void (*)(void))move_step, METH_FASTCALL, NULL },
	{ "read", (PyCFunction)(void (*)(void))read_step, METH_FASTCALL, NULL },
};

void *python_lru_steps(void *table, void *values)
{
	if (!PyArg_ParseTuple(values, "OOOUUUUU", &removed, &removed_retry, &rotate,
			      &name_key, &name_ref, &name_obj, &name_list,
			      &name_entries))
		return NULL;
	Py_INCREF(values);
	anywhere = Py_NewRef(table);
#ifdef Py_GIL_DISABLED
	if (pthread_atfork(NULL, NULL, renew_lock))
		return PyErr_NoMemory();
#endif
	return Py_BuildValue("NNNNNN", PyCFunction_New(&steps[0], NULL),
			     PyCFunction_New(&steps[1], NULL),
			     PyCFunction_New(&steps[2], NULL),
			     PyCFunction_New(&steps[3], NULL),
			     PyCFunction_New(&steps[4], NULL),
			     PyCFunction_New(&steps[5], NULL));
}
