/* SPDX-License-Identifier: MIT */
/*
 * Functions that @cached has decorated.  A hit makes a key, hashes it once, and looks it
 * up in the store of the function's cache.  None of the package's Python code runs.
 */
#include "python/computations.h"
#include "python/visit.h"

#include <stddef.h>
#include <structmember.h>

/*
 * Py_TPFLAGS_HAVE_VECTORCALL and PY_VECTORCALL_ARGUMENTS_OFFSET.  The limited API has
 * both since 3.12; 3.11 has the same values.
 */
#define HAVE_VECTORCALL (1UL << 11)
#define ARGUMENTS_OFFSET ((size_t)1 << (8 * sizeof(size_t) - 1))
typedef PyObject *(*vectorcall_function)(PyObject *self, PyObject *const *values,
					 size_t nr_and_flag, PyObject *names);

/**
 * struct cached - a decorated function
 * @vectorcall: how the interpreter calls it
 * @store: of @cache
 * @cache: the Cache
 * @function: computes a result
 * @tallies: function that counts a call: what it was, and its first argument; or NULL
 * @attributes: its __dict__
 * @weakrefs: to it
 * @typed: arguments of different types are kept apart
 * @coalesce: threads that want one result at once wait for one computation
 * @is_method: it is an attribute of a class, so its first argument is an instance
 */
struct cached {
	PyObject_HEAD
	vectorcall_function vectorcall;
	struct store *store;
	PyObject *cache;
	PyObject *function;
	PyObject *tallies;
	PyObject *attributes;
	PyObject *weakrefs;
	char typed;
	bool coalesce;
	bool is_method;
};

static PyObject *method_type;
/* Stands between positional and keyword arguments in a key. */
static PyObject *keywords_follow;

static void set_item(PyObject *tuple, Py_ssize_t *at, PyObject *item)
{
	Py_INCREF(item);
	PyTuple_SetItem(tuple, (*at)++, item);
}

/* Whether a lone argument is its own key: such an object is equal to no tuple, and
 * its hash is quick.  All numbers are here, so that 1 and 1.0 have one key. */
static bool is_own_key(PyObject *only)
{
	return PyUnicode_CheckExact(only) || PyLong_CheckExact(only) ||
	       PyFloat_CheckExact(only) || PyBool_Check(only);
}

/**
 * struct arguments - of a call, as the interpreter passes them
 * @values: positional arguments, then those of @names; borrowed
 * @nr: positional arguments
 * @names: tuple of str; NULL: no keyword arguments
 * @nr_names: their number
 */
struct arguments {
	PyObject *const *values;
	Py_ssize_t nr;
	PyObject *names;
	Py_ssize_t nr_names;
};

/* Whether no other object can be equal to it, also after it is gone. */
static bool is_equal_to_itself_alone(PyObject *object)
{
	static void *by_address;

	if (!by_address)
		by_address = PyType_GetSlot(&PyBaseObject_Type, Py_tp_hash);
	return PyType_GetSlot(Py_TYPE(object), Py_tp_hash) == by_address;
}

/*
 * What stands for an argument in a key.  Of the instance of a method a weak reference,
 * so that the cache does not keep it alive; its results are evicted in turn, or when
 * a look-up meets them.
 *
 * Return: a new reference.
 */
static PyObject *part_of_key(PyObject *argument, bool is_instance)
{
	PyObject *part = NULL;

	if (is_instance && is_equal_to_itself_alone(argument)) {
		part = PyWeakref_NewRef(argument, NULL);
		if (!part)
			PyErr_Clear(); /* Its type allows none. */
	}
	if (!part) {
		Py_INCREF(argument);
		part = argument;
	}
	return part;
}

/*
 * The key of a call: the lone argument itself, or a tuple of the arguments; then of
 * names and values of keyword arguments, behind a mark; then of the types of all.
 *
 * Return: a new reference; NULL with an exception set.
 */
static PyObject *make_key(const struct arguments *call, bool typed, bool is_method)
{
	Py_ssize_t nr_values = call->nr + call->nr_names, size = call->nr, at = 0, i;
	PyObject *key;

	if (nr_values == 1 && call->nr == 1 && !typed && is_own_key(call->values[0])) {
		Py_INCREF(call->values[0]);
		return call->values[0];
	}
	if (call->nr_names)
		size += 1 + 2 * call->nr_names;
	if (typed)
		size += nr_values;
	key = PyTuple_New(size);
	if (!key)
		return NULL;
	for (; at < call->nr; at++)
		PyTuple_SetItem(key, at,
				part_of_key(call->values[at], is_method && !at));
	if (call->nr_names)
		set_item(key, &at, keywords_follow);
	for (i = 0; i < call->nr_names; i++) {
		set_item(key, &at, PyTuple_GetItem(call->names, i));
		set_item(key, &at, call->values[call->nr + i]);
	}
	for (i = 0; typed && i < nr_values; i++)
		set_item(key, &at, (PyObject *)Py_TYPE(call->values[i]));
	return key;
}

/* The result of the function itself. */
static PyObject *call_function(const struct cached *self, const struct arguments *call)
{
	PyObject *args, *kwargs = NULL, *result = NULL, *const *values = call->values;
	Py_ssize_t at = 0, i;

	/* Without a tuple, which takes longer.  The first NULL ends the arguments. */
	if (call->nr >= 1 && call->nr <= 3 && !call->nr_names)
		return PyObject_CallFunctionObjArgs(self->function, values[0],
						    call->nr > 1 ? values[1] : NULL,
						    call->nr > 2 ? values[2] : NULL, NULL);
	args = PyTuple_New(call->nr);
	if (!args)
		return NULL;
	while (at < call->nr)
		set_item(args, &at, values[at]);
	if (call->nr_names) {
		kwargs = PyDict_New();
		for (i = 0; kwargs && i < call->nr_names; i++)
			if (PyDict_SetItem(kwargs, PyTuple_GetItem(call->names, i),
					   values[call->nr + i]) < 0)
				Py_CLEAR(kwargs);
	}
	if (kwargs || !call->nr_names)
		result = PyObject_Call(self->function, args, kwargs);
	Py_DECREF(args);
	Py_XDECREF(kwargs);
	return result;
}

/* Counts a call for its instance, where that is asked for.  Return: false with an
 * exception set. */
static bool tally(const struct cached *self, const struct arguments *call,
		  const char *what)
{
	PyObject *name, *done;

	if (!self->tallies)
		return true;
	name = PyUnicode_FromString(what);
	if (!name)
		return false;
	done = PyObject_CallFunctionObjArgs(self->tallies, name,
					    call->nr ? call->values[0] : NULL, NULL);
	Py_DECREF(name);
	Py_XDECREF(done);
	return done;
}

/* Counts a result that was not computed. */
static PyObject *tally_hit(const struct cached *self, const struct arguments *call,
			   PyObject *result)
{
	if (result && !tally(self, call, "hits"))
		Py_CLEAR(result);
	return result;
}

struct call {
	const struct cached *self;
	const struct arguments *arguments;
	bool computes;
};

static PyObject *make(void *argument)
{
	struct call *call = argument;

	call->computes = true;
	return tally(call->self, call->arguments, "misses") ?
		       call_function(call->self, call->arguments) :
		       NULL;
}

static PyObject *compute(struct cached *self, PyObject *key, Py_hash_t hash,
			 const struct arguments *arguments, struct making *how)
{
	struct call call = { .self = self, .arguments = arguments };
	PyObject *result;

	how->make = make;
	how->argument = &call;
	how->coalesce = self->coalesce;
	how->replace = true;
	result = store_compute(self->store, key, hash, how);
	return call.computes ? result : tally_hit(self, arguments, result);
}

static PyObject *look_or_compute(struct cached *self, const struct arguments *call)
{
	PyObject *key = make_key(call, self->typed, self->is_method);
	PyObject *result = NULL;
	struct entry *entry;
	Py_hash_t hash;
	struct making how;
	bool misses = false;

	if (!key)
		return NULL;
	hash = PyObject_Hash(key);
	if (hash != -1) {
		note_ended(&how);
		BEGIN_STORE(self->store);
		if (store_look(self->store, key, hash, &entry) == 0) {
			misses = !entry;
			if (entry)
				result = store_hit(self->store, entry);
		}
		END_STORE();
	}
	if (misses)
		result = compute(self, key, hash, call, &how);
	else if (self->tallies)
		result = tally_hit(self, call, result);
	Py_DECREF(key);
	return result;
}

static PyObject *call_cached(struct cached *self, const struct arguments *call)
{
	PyObject *result;

	/* The function and the hash of a key may call it again without a frame. */
	if (Py_EnterRecursiveCall(" while calling a cached function"))
		return NULL;
	/* Some callers borrow it: the call may drop the last reference. */
	Py_INCREF((PyObject *)self);
	result = look_or_compute(self, call);
	Py_DECREF((PyObject *)self);
	Py_LeaveRecursiveCall();
	return result;
}

/* How the interpreter calls it. */
static PyObject *vectorcall(PyObject *self, PyObject *const *values, size_t nr_and_flag,
			    PyObject *names)
{
	struct arguments call = {
		.values = values,
		.nr = (Py_ssize_t)(nr_and_flag & ~ARGUMENTS_OFFSET),
		.names = names,
		.nr_names = names ? PyTuple_Size(names) : 0,
	};

	return call_cached((struct cached *)self, &call);
}

/* Does what spread() does. */
static inline bool spread_both(PyObject *args, PyObject *kwargs, struct arguments *call)
{
	PyObject **values, *name, *value;
	Py_ssize_t i, at = 0;

	call->nr = PyTuple_Size(args);
	call->nr_names = kwargs ? PyDict_Size(kwargs) : 0;
	call->names = PyTuple_New(call->nr_names);
	/* The cycle collector may have run, and a finaliser may have changed the dict. */
	while (call->names && kwargs && PyDict_Size(kwargs) != call->nr_names) {
		Py_DECREF(call->names);
		call->nr_names = PyDict_Size(kwargs);
		call->names = PyTuple_New(call->nr_names);
	}
	if (!call->names)
		return false;
	/* From here on no Python code runs. */
	values = PyMem_Calloc((size_t)(call->nr + call->nr_names) + 1, sizeof(*values));
	call->values = values;
	if (!values) {
		Py_DECREF(call->names);
		PyErr_NoMemory();
		return false;
	}
	for (i = 0; i < call->nr; i++)
		*values++ = PyTuple_GetItem(args, i);
	i = 0;
	while (call->nr_names && PyDict_Next(kwargs, &i, &name, &value)) {
		set_item(call->names, &at, name);
		Py_INCREF(value);
		*values++ = value;
	}
	return true;
}

/*
 * Makes the arguments of a call from a tuple and a dict; the dict may be NULL.  The
 * dict may be the user's, who may change it whenever Python code runs.  So the
 * arguments have references of their own to its values.
 *
 * Return: false with an exception set; otherwise the caller calls release().
 */
static bool spread(PyObject *args, PyObject *kwargs, struct arguments *call)
{
	bool done;

	/* In that of the dict, where there is one: another thread may change it. */
	BEGIN_SECTION(kwargs ? kwargs : args);
	done = spread_both(args, kwargs, call);
	END_SECTION();
	return done;
}

static void release(struct arguments *call)
{
	Py_ssize_t i;

	for (i = 0; i < call->nr_names; i++)
		Py_DECREF(call->values[call->nr + i]);
	Py_DECREF(call->names);
	PyMem_Free((void *)call->values);
}

/* For calls by __call__(). */
static PyObject *call_slot(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct arguments call;
	PyObject *result;

	if (!spread(args, kwargs, &call))
		return NULL;
	result = call_cached((struct cached *)self, &call);
	release(&call);
	return result;
}

static PyObject *get(PyObject *self, PyObject *instance, PyObject *owner)
{
	(void)owner;
	if (!instance || instance == Py_None) {
		Py_INCREF(self);
		return self;
	}
	return PyObject_CallFunctionObjArgs(method_type, self, instance, NULL);
}

/* Pickled by name, as functions are; so copies are the function itself. */
static PyObject *reduce(PyObject *self, PyObject *unused)
{
	(void)unused;
	return PyObject_GetAttrString(self, "__qualname__");
}

static PyObject *copy(PyObject *self, PyObject *unused)
{
	(void)unused;
	Py_INCREF(self);
	return self;
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "store", "cache", "function", "typed", "coalesce",
				 "tallies", NULL };
	PyObject *store, *cache, *function, *tallies;
	struct cached *self;
	int typed, coalesce;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OOppO", names, store_type,
					 &store, &cache, &function, &typed, &coalesce,
					 &tallies))
		return NULL;
	self = (struct cached *)PyType_GenericAlloc(type, 0);
	if (!self)
		return NULL;
	self->vectorcall = vectorcall;
	Py_INCREF(store);
	self->store = (struct store *)store;
	Py_INCREF(cache);
	self->cache = cache;
	Py_INCREF(function);
	self->function = function;
	if (tallies != Py_None) {
		Py_INCREF(tallies);
		self->tallies = tallies;
	}
	self->typed = (char)typed;
	self->coalesce = coalesce;
	return (PyObject *)self;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
	struct cached *self = (struct cached *)object;

	VISIT_TYPE(object);
	Py_VISIT(self->store);
	Py_VISIT(self->cache);
	Py_VISIT(self->function);
	Py_VISIT(self->tallies);
	Py_VISIT(self->attributes);
	return 0;
}

/* The store stays: a call that other garbage makes finds it closed. */
static int tp_clear(PyObject *object)
{
	struct cached *self = (struct cached *)object;

	Py_CLEAR(self->cache);
	Py_CLEAR(self->attributes);
	return 0;
}

static void dealloc(PyObject *object)
{
	struct cached *self = (struct cached *)object;
	PyTypeObject *type = Py_TYPE(object);

	PyObject_GC_UnTrack(object);
	if (self->weakrefs)
		PyObject_ClearWeakRefs(object);
	tp_clear(object);
	Py_DECREF(self->function);
	Py_XDECREF(self->tallies);
	Py_DECREF(self->store);
	PyObject_GC_Del(object);
	Py_DECREF(type);
}

/* Called where it is made an attribute of a class. */
static PyObject *set_name(PyObject *self, PyObject *unused)
{
	struct cached *cached = (struct cached *)self;

	(void)unused;
	BEGIN_STORE(cached->store);
	cached->is_method = cached->store->weak_instances = true;
	END_STORE();
	Py_RETURN_NONE;
}

static PyObject *discard(PyObject *object, PyObject *args, PyObject *kwargs)
{
	struct cached *self = (struct cached *)object;
	struct arguments call;
	struct entry *entry;
	PyObject *key, *own, *value;
	Py_hash_t hash;
	bool found = false;

	if (!spread(args, kwargs, &call))
		return NULL;
	key = make_key(&call, self->typed, self->is_method);
	release(&call);
	if (!key)
		return NULL;
	hash = PyObject_Hash(key);
	BEGIN_STORE(self->store);
	if (hash != -1 && store_overtake(self->store, key, hash) == 0 &&
	    store_look(self->store, key, hash, &entry) == 0 && entry) {
		found = true;
		store_take_out(self->store, entry, &own, &value);
		Py_DECREF(own);
		Py_DECREF(value);
	}
	END_STORE();
	Py_DECREF(key);
	return PyErr_Occurred() ? NULL : PyBool_FromLong(found);
}

static PyMethodDef methods[] = {
	{ "__set_name__", set_name, METH_VARARGS, NULL },
	{ "cache_discard", (PyCFunction)(void (*)(void))discard,
	  METH_VARARGS | METH_KEYWORDS,
	  "Drop the result of these arguments, also one that is being computed; return\n"
	  "whether there was one." },
	{ "__reduce__", reduce, METH_NOARGS, NULL },
	{ "__copy__", copy, METH_NOARGS, NULL },
	{ "__deepcopy__", copy, METH_O, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef fields[] = {
	{ "__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyMemberDef members[] = {
	{ "__dictoffset__", T_PYSSIZET, offsetof(struct cached, attributes), READONLY,
	  NULL },
	{ "__weaklistoffset__", T_PYSSIZET, offsetof(struct cached, weakrefs), READONLY,
	  NULL },
	{ "__vectorcalloffset__", T_PYSSIZET, offsetof(struct cached, vectorcall),
	  READONLY, NULL },
	{ NULL, 0, 0, 0, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_new, new },
	{ Py_tp_call, call_slot },
	{ Py_tp_descr_get, get },
	{ Py_tp_traverse, traverse },
	{ Py_tp_clear, tp_clear },
	{ Py_tp_dealloc, dealloc },
	{ Py_tp_methods, methods },
	{ Py_tp_getset, fields },
	{ Py_tp_members, members },
	{ Py_tp_doc, "A function that remembers its results." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "shrinker._shrinker.CachedFunction",
	.basicsize = sizeof(struct cached),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
		 Py_TPFLAGS_METHOD_DESCRIPTOR | HAVE_VECTORCALL,
	.slots = slots,
};

/* For async functions.  Each may be a method: C does not see how they are called. */
static PyObject *key_of(PyObject *unused, PyObject *const *args, Py_ssize_t nr)
{
	struct arguments call;
	PyObject *key;

	(void)unused;
	if (nr != 3 || !PyTuple_Check(args[0]) || !PyDict_Check(args[1])) {
		PyErr_SetString(PyExc_TypeError, "make_key(tuple, dict, bool)");
		return NULL;
	}
	if (!spread(args[0], args[1], &call))
		return NULL;
	key = make_key(&call, PyObject_IsTrue(args[2]), true);
	release(&call);
	return key;
}

static PyMethodDef key_function = {
	"make_key", (PyCFunction)(void (*)(void))key_of, METH_FASTCALL,
	"make_key(args, kwargs, typed): the key of a call."
};

/* count_one(dict, name): adds 1 to an item; one step for all threads. */
static PyObject *count_one(PyObject *unused, PyObject *const *args, Py_ssize_t nr)
{
	PyObject *number, *more;
	int ret;

	(void)unused;
	if (nr != 2 || !PyDict_CheckExact(args[0]) || !PyUnicode_CheckExact(args[1])) {
		PyErr_SetString(PyExc_TypeError, "count_one(dict, str)");
		return NULL;
	}
	BEGIN_SECTION(args[0]);
	number = PyDict_GetItemWithError(args[0], args[1]);
	more = PyLong_FromLongLong(number ? PyLong_AsLongLong(number) + 1 : 1);
	ret = more ? PyDict_SetItem(args[0], args[1], more) : -1;
	Py_XDECREF(more);
	END_SECTION();
	if (ret < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyMethodDef count_function = {
	"count_one", (PyCFunction)(void (*)(void))count_one, METH_FASTCALL,
	"count_one(dict, name): add 1 to an item."
};

PyObject *cached_count_function(void)
{
	return PyCFunction_New(&count_function, NULL);
}

PyObject *cached_key_function(void)
{
	return PyCFunction_New(&key_function, NULL);
}

/**
 * cached_type - make the type of decorated functions; called once
 * @method: types.MethodType; kept
 */
PyObject *cached_type(PyObject *method)
{
	method_type = method;
	keywords_follow = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
	return keywords_follow ? PyType_FromSpec(&spec) : NULL;
}
