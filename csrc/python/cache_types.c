/* SPDX-License-Identifier: MIT */
/*
 * The types of the entries, of iterators over them and of the base of Cache: what Python
 * sees of cache.c.
 */
#include "python/computations.h"
#include "python/host.h"
#include "python/visit.h"

#include <stddef.h>
#include <structmember.h>

/* Of struct store. */
PyTypeObject *store_type;

/* --- methods of the store -------------------------------------------------------- */

static void raise_key_error(PyObject *key)
{
	/* Not PyErr_SetObject(type, key), which takes a tuple apart. */
	PyObject *error = PyObject_CallFunctionObjArgs(PyExc_KeyError, key, NULL);

	if (error)
		PyErr_SetObject(PyExc_KeyError, error);
	Py_XDECREF(error);
}

/* Return: 0; -1 with an exception set, TypeError for an unhashable key. */
static inline __attribute__((always_inline)) int
look_up(struct store *store, PyObject *key, struct entry **entry)
{
	Py_hash_t hash = PyObject_Hash(key);

	return hash == -1 ? -1 : store_look(store, key, hash, entry);
}

static PyObject *new_reference(PyObject *object)
{
	Py_XINCREF(object);
	return object;
}

static bool takes(const char *name, Py_ssize_t nr, Py_ssize_t least, Py_ssize_t most)
{
	if (nr >= least && nr <= most)
		return true;
	PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments, not %zd", name,
		     least, most, nr);
	return false;
}

/* A missing key returns @missing, or raises KeyError where that is NULL. */
static inline PyObject *get_in_section(struct store *store, PyObject *key,
				       PyObject *missing)
{
	struct entry *entry;

	if (look_up(store, key, &entry) < 0)
		return NULL;
	if (entry)
		return store_hit(store, entry);
	store->misses++;
	if (!missing)
		raise_key_error(key);
	return new_reference(missing);
}

static PyObject *get_item(struct store *store, PyObject *key, PyObject *missing)
{
	PyObject *value;

	BEGIN_STORE(store);
	value = get_in_section(store, key, missing);
	END_STORE();
	return value;
}

static inline PyObject *pop_in_section(struct store *store, PyObject *key,
				       PyObject *missing)
{
	Py_hash_t hash = PyObject_Hash(key);
	PyObject *own, *value;
	struct entry *entry;

	if (hash == -1 || store_overtake(store, key, hash) < 0 ||
	    store_look(store, key, hash, &entry) < 0)
		return NULL;
	if (!entry) {
		if (!missing)
			raise_key_error(key);
		return new_reference(missing);
	}
	store_take_out(store, entry, &own, &value);
	Py_DECREF(own);
	return value;
}

static PyObject *pop_item(struct store *store, PyObject *key, PyObject *missing)
{
	PyObject *value;

	BEGIN_STORE(store);
	value = pop_in_section(store, key, missing);
	END_STORE();
	return value;
}

static PyObject *put_item(struct store *store, PyObject *key, PyObject *value, bool replace)
{
	Py_hash_t hash = PyObject_Hash(key);
	PyObject *there;

	if (hash == -1)
		return NULL;
	BEGIN_STORE(store);
	there = store_put(store, key, hash, value, replace, NULL);
	END_STORE();
	return there;
}

/* hit(key, default): a hit, or the default without a miss. */
static PyObject *store_hit_method(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	struct store *store = (struct store *)self;
	PyObject *value = NULL;
	struct entry *entry;

	if (!takes("hit", nr, 2, 2))
		return NULL;
	BEGIN_STORE(store);
	if (look_up(store, args[0], &entry) == 0)
		value = entry ? store_hit(store, entry) : new_reference(args[1]);
	END_STORE();
	return value;
}

/* peek(key, default): the value, without a mark. */
static PyObject *store_peek(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	struct store *store = (struct store *)self;
	PyObject *value = NULL;
	struct entry *entry;

	if (!takes("peek", nr, 2, 2))
		return NULL;
	BEGIN_STORE(store);
	if (look_up(store, args[0], &entry) == 0)
		value = new_reference(entry ? entry->value : args[1]);
	END_STORE();
	return value;
}

static PyObject *store_pop(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	if (!takes("pop", nr, 1, 2))
		return NULL;
	return pop_item((struct store *)self, args[0], nr > 1 ? args[1] : NULL);
}

static PyObject *store_setdefault(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	if (!takes("setdefault", nr, 2, 2))
		return NULL;
	return put_item((struct store *)self, args[0], args[1], false);
}

static PyObject *call_make(void *function)
{
	return PyObject_CallNoArgs(function);
}

/* get_or_set(key, make): the value; make() is called where there is none. */
static PyObject *store_get_or_set(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	struct store *store = (struct store *)self;
	struct making how = { .make = call_make, .coalesce = true };
	PyObject *value = NULL;
	struct entry *entry;
	Py_hash_t hash;
	int error;

	if (!takes("get_or_set", nr, 2, 2))
		return NULL;
	hash = PyObject_Hash(args[0]);
	if (hash == -1)
		return NULL;
	note_ended(&how);
	BEGIN_STORE(store);
	error = store_look(store, args[0], hash, &entry);
	if (!error && entry)
		value = store_hit(store, entry);
	END_STORE();
	if (error || value)
		return value;
	how.argument = args[1];
	return store_compute(store, args[0], hash, &how);
}

/* keep(key, value, generation, seconds): sets a value, which took so long, unless that is
 * over. */
static PyObject *store_keep(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	struct store *store = (struct store *)self;
	unsigned long long generation;
	PyObject *result;
	Py_hash_t hash;
	double seconds;
	bool reclaimed;

	if (!takes("keep", nr, 4, 4))
		return NULL;
	generation = PyLong_AsUnsignedLongLong(args[2]);
	if (generation == (unsigned long long)-1 && PyErr_Occurred())
		return NULL;
	seconds = PyFloat_AsDouble(args[3]);
	if (seconds == -1.0 && PyErr_Occurred())
		return NULL;
	hash = PyObject_Hash(args[0]);
	if (hash == -1)
		return NULL;
	BEGIN_STORE(store);
	reclaimed = store_was_reclaimed(store, hash);
	result = store_put(store, args[0], hash, args[1], true, &generation);
	if (result) {
		store_note_cost(store, reclaimed, seconds);
		growth_learn(store->growth, python_host_now_ns());
	}
	END_STORE();
	return result;
}

static PyObject *store_popitem(PyObject *self, PyObject *unused)
{
	struct store *store = (struct store *)self;
	PyObject *item = PyTuple_New(2), *key = NULL, *value;

	(void)unused;
	if (!item)
		return NULL;
	BEGIN_STORE(store);
	if (store_expire_all(store) == 0) {
		store_give_kept(store);
		if (store->order.next == &store->order)
			PyErr_SetString(PyExc_KeyError, "the cache is empty");
		else
			store_take_out(store, store->order.next, &key, &value);
	}
	END_STORE();
	if (!key) {
		Py_DECREF(item);
		return NULL;
	}
	PyTuple_SetItem(item, 0, key);
	PyTuple_SetItem(item, 1, value);
	return item;
}

static PyObject *clear_method(PyObject *self, PyObject *unused)
{
	struct store *store = (struct store *)self;

	(void)unused;
	BEGIN_STORE(store);
	store_clear(store);
	END_STORE();
	Py_RETURN_NONE;
}

/* count_error(kind): how many errors of the kind there are now. */
static PyObject *store_count_error(PyObject *self, PyObject *kind)
{
	struct store *store = (struct store *)self;
	Py_ssize_t i = PyLong_AsSsize_t(kind);
	unsigned long long errors;

	if (i < 0 || i >= NR_CACHE_ERRORS) {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_IndexError, "no such error");
		return NULL;
	}
	BEGIN_STORE(store);
	errors = ++store->errors[i];
	END_STORE();
	return PyLong_FromUnsignedLongLong(errors);
}

/* add_hit(), add_miss(): what a look-up was that went on elsewhere. */
static PyObject *store_add_hit(PyObject *self, PyObject *unused)
{
	struct store *store = (struct store *)self;

	(void)unused;
	BEGIN_STORE(store);
	COUNT_UP(&store->hits);
	END_STORE();
	Py_RETURN_NONE;
}

static PyObject *store_add_miss(PyObject *self, PyObject *unused)
{
	struct store *store = (struct store *)self;

	(void)unused;
	BEGIN_STORE(store);
	store->misses++;
	END_STORE();
	Py_RETURN_NONE;
}

/* --- iteration ------------------------------------------------------------------- */

/**
 * struct items - an iterator over the entries that were there when it was made
 * @entries: pinned; those that are live yet are shown
 * @values: it shows values; otherwise pairs of key and value
 * @guard: of the store, where there is no GIL
 */
struct items {
	PyObject_HEAD
	struct entry **entries;
	size_t nr;
	size_t next;
	bool values;
#ifdef Py_GIL_DISABLED
	PyObject *guard;
#endif
};

static PyTypeObject *items_type;

/* Return: an array of all entries, pinned; NULL with an exception set. */
static struct entry **pin_all(struct store *store, size_t *nr)
{
	struct entry **entries, *entry;

	*nr = 0;
	if (store_expire_all(store) < 0)
		return NULL;
	entries = PyMem_Calloc(store_get(&store->nr_entries) + 1, sizeof(struct entry *));
	if (!entries) {
		PyErr_NoMemory();
		return NULL;
	}
	for (entry = store->order.next; entry != &store->order; entry = entry->next) {
		if (entry == &store->kept_end)
			continue;
		entry_pin(entry);
		entries[(*nr)++] = entry;
	}
	return entries;
}

static inline PyObject *keys_in_section(struct store *store)
{
	size_t nr, i;
	struct entry **entries = pin_all(store, &nr);
	PyObject *keys = entries ? PyList_New(0) : NULL;

	for (i = 0; i < nr; i++) {
		PyObject *key = new_reference(entries[i]->key);

		if (keys && key && PyList_Append(keys, key) < 0)
			Py_CLEAR(keys);
		Py_XDECREF(key);
		entry_unpin(entries[i]);
	}
	PyMem_Free(entries);
	return keys;
}

static PyObject *store_keys(PyObject *self, PyObject *unused)
{
	struct store *store = (struct store *)self;
	PyObject *keys;

	(void)unused;
	BEGIN_STORE(store);
	keys = keys_in_section(store);
	END_STORE();
	return keys;
}

static PyObject *iterate(PyObject *self, bool values)
{
	/* First, since the cycle collector may run. */
	PyObject *iterator = PyType_GenericAlloc(items_type, 0);
	struct items *items = (struct items *)iterator;
	struct store *store = (struct store *)self;

	if (!iterator)
		return NULL;
	items->values = values;
#ifdef Py_GIL_DISABLED
	items->guard = new_reference(store->guard);
#endif
	BEGIN_STORE(store);
	items->entries = pin_all(store, &items->nr);
	END_STORE();
	if (!items->entries)
		Py_CLEAR(iterator);
	return iterator;
}

static PyObject *store_items(PyObject *self, PyObject *unused)
{
	(void)unused;
	return iterate(self, false);
}

static PyObject *store_values(PyObject *self, PyObject *unused)
{
	(void)unused;
	return iterate(self, true);
}

static inline PyObject *next_in_section(struct items *items)
{
	while (items->next < items->nr) {
		struct entry *entry = items->entries[items->next++];
		PyObject *key = new_reference(entry->key), *pair;
		PyObject *value = new_reference(entry->value);

		entry_unpin(entry);
		if (!key)
			continue;
		if (items->values) {
			Py_DECREF(key);
			return value;
		}
		pair = PyTuple_New(2);
		if (!pair) {
			Py_DECREF(key);
			Py_DECREF(value);
			return NULL;
		}
		PyTuple_SetItem(pair, 0, key);
		PyTuple_SetItem(pair, 1, value);
		return pair;
	}
	return NULL;
}

static PyObject *items_next(PyObject *self)
{
	struct items *items = (struct items *)self;
	PyObject *next;

	BEGIN_STORE(items);
	next = next_in_section(items);
	END_STORE();
	return next;
}

static void items_dealloc(PyObject *self)
{
	struct items *items = (struct items *)self;
	PyTypeObject *type = Py_TYPE(self);

	BEGIN_STORE(items);
	while (items->next < items->nr)
		entry_unpin(items->entries[items->next++]);
	END_STORE();
	PyMem_Free(items->entries);
#ifdef Py_GIL_DISABLED
	Py_DECREF(items->guard);
#endif
	PyObject_Free(self);
	Py_DECREF(type);
}

static PyType_Slot items_slots[] = {
	{ Py_tp_iter, PyObject_SelfIter },
	{ Py_tp_iternext, items_next },
	{ Py_tp_dealloc, items_dealloc },
	{ 0, NULL },
};

static PyType_Spec items_spec = {
	.name = "shrinker._shrinker.CacheItems",
	.basicsize = sizeof(struct items),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = items_slots,
};

/* --- the type of the store ------------------------------------------------------- */

static PyObject *store_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "name", "growth", "maxsize", "unit", "growth_unit",
				 "weigher", "sampled", "on_evict", "min_age", "ttl", "batches",
				 "rebuild_seconds", "seconds_per_seek", "max_seeks",
				 "learns", NULL };
	PyObject *name, *growth, *weigher, *on_evict;
	unsigned long long maxsize, unit;
	long long growth_unit;
	unsigned long batches;
	double min_age, ttl, rebuild_seconds, seconds_per_seek;
	int max_seeks, sampled, learns;
	struct store *store;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOKKLOpOddkddip", names, &name,
					 &growth, &maxsize, &unit, &growth_unit, &weigher,
					 &sampled, &on_evict, &min_age, &ttl, &batches,
					 &rebuild_seconds, &seconds_per_seek,
					 &max_seeks, &learns))
		return NULL;
	store = (struct store *)PyType_GenericAlloc(type, 0);
	if (!store)
		return NULL;
	store->order.next = store->order.prev = &store->order;
#ifdef Py_GIL_DISABLED
	store->guard = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
	if (!store->guard) {
		PyObject_GC_UnTrack(store);
		PyObject_GC_Del(store);
		Py_DECREF(type);
		return NULL;
	}
#endif
	store->maxsize = maxsize;
	store->unit = unit;
	store->growth_unit = growth_unit;
	store->batches = batches;
	store->rebuild_seconds = rebuild_seconds;
	store->seconds_per_seek = seconds_per_seek;
	store->max_seeks = max_seeks;
	store->min_age = min_age;
	store->ttl = ttl;
	store->name = new_reference(name);
	store->growth = (struct python_growth *)new_reference(growth);
	store->sampling.on = sampled;
	store->weigher = weigher == Py_None ? NULL : new_reference(weigher);
	store->on_evict = on_evict == Py_None ? NULL : new_reference(on_evict);
	if (learns)
		store_begin_learning(store, python_host_now_ns());
	return (PyObject *)store;
}

static int store_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct store *store = (struct store *)self;
	struct entry *entry;

	VISIT_TYPE(self);
	Py_VISIT(store->weigher);
	Py_VISIT(store->on_evict);
	Py_VISIT(store->growth);
	for (entry = store->order.next; entry != &store->order; entry = entry->next) {
		Py_VISIT(entry->key);
		Py_VISIT(entry->value);
	}
	return 0;
}

/* The growth and the name stay, so that methods need not look for them. */
static int store_tp_clear(PyObject *self)
{
	struct store *store = (struct store *)self;

	BEGIN_STORE(store);
	store->closed = true;
	store_clear(store);
	END_STORE();
	Py_CLEAR(store->weigher);
	Py_CLEAR(store->on_evict);
	return 0;
}

static void store_dealloc(PyObject *self)
{
	struct store *store = (struct store *)self;
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	store_tp_clear(self);
	store_end_learning(store);
	Py_DECREF(store->growth);
	Py_DECREF(store->name);
#ifdef Py_GIL_DISABLED
	Py_DECREF(store->guard);
#endif
	PyObject_GC_Del(self);
	Py_DECREF(type);
}

static PyObject *store_weight(PyObject *self, void *closure)
{
	(void)closure;
	return PyLong_FromUnsignedLongLong(store_get(&((struct store *)self)->weight));
}

static PyObject *store_kept(PyObject *self, void *closure)
{
	(void)closure;
	return PyLong_FromUnsignedLongLong(store_get(&((struct store *)self)->kept));
}

static PyObject *keep_all_method(PyObject *self, PyObject *unused)
{
	struct store *store = (struct store *)self;

	(void)unused;
	BEGIN_STORE(store);
	store_keep_all(store);
	END_STORE();
	Py_RETURN_NONE;
}

static PyObject *give_kept_method(PyObject *self, PyObject *unused)
{
	struct store *store = (struct store *)self;
	bool gave;

	(void)unused;
	BEGIN_STORE(store);
	gave = store_give_kept(store);
	END_STORE();
	return PyBool_FromLong(gave);
}

static PyObject *store_nr_entries(PyObject *self, void *closure)
{
	(void)closure;
	return PyLong_FromUnsignedLongLong(store_get(&((struct store *)self)->nr_entries));
}

/* Return: what @figure says, as a float; None where nothing was measured. */
static PyObject *measured(PyObject *self, double (*figure)(const struct store *store))
{
	const struct store *store = (const struct store *)self;
	double number = 0;
	bool known;

	lock_learning();
	known = store->learning.computed > 0;
	if (known)
		number = figure(store);
	unlock_learning();
	if (!known)
		Py_RETURN_NONE;
	return PyFloat_FromDouble(number);
}

static double entry_seconds(const struct store *store)
{
	return store->learning.seconds / store->learning.computed;
}

static double saved(const struct store *store)
{
	return store->learning.value;
}

static PyObject *store_computed_seconds(PyObject *self, void *closure)
{
	(void)closure;
	return measured(self, entry_seconds);
}

static PyObject *store_page_seconds(PyObject *self, void *closure)
{
	(void)closure;
	return measured(self, store_object_seconds);
}

static PyObject *store_saved(PyObject *self, void *closure)
{
	(void)closure;
	return measured(self, saved);
}

static PyObject *store_errors(PyObject *self, void *closure)
{
	const struct store *store = (const struct store *)self;

	(void)closure;
	return PyLong_FromUnsignedLongLong(store->errors[0] + store->errors[1]);
}

static PyMethodDef store_methods[] = {
	{ "hit", (PyCFunction)(void (*)(void))store_hit_method, METH_FASTCALL, NULL },
	{ "peek", (PyCFunction)(void (*)(void))store_peek, METH_FASTCALL, NULL },
	{ "pop", (PyCFunction)(void (*)(void))store_pop, METH_FASTCALL, NULL },
	{ "setdefault", (PyCFunction)(void (*)(void))store_setdefault, METH_FASTCALL,
	  NULL },
	{ "get_or_set", (PyCFunction)(void (*)(void))store_get_or_set, METH_FASTCALL,
	  NULL },
	{ "keep", (PyCFunction)(void (*)(void))store_keep, METH_FASTCALL, NULL },
	{ "keep_all", keep_all_method, METH_NOARGS, NULL },
	{ "give_kept", give_kept_method, METH_NOARGS, NULL },
	{ "popitem", store_popitem, METH_NOARGS, NULL },
	{ "clear", clear_method, METH_NOARGS, NULL },
	{ "keys", store_keys, METH_NOARGS, NULL },
	{ "items", store_items, METH_NOARGS, NULL },
	{ "values", store_values, METH_NOARGS, NULL },
	{ "count_error", store_count_error, METH_O, NULL },
	{ "add_hit", store_add_hit, METH_NOARGS, NULL },
	{ "add_miss", store_add_miss, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef store_figures[] = {
	{ "weight", store_weight, NULL, NULL, NULL },
	{ "kept", store_kept, NULL, NULL, NULL },
	{ "entries", store_nr_entries, NULL, NULL, NULL },
	{ "errors", store_errors, NULL, NULL, NULL },
	{ "computed_seconds", store_computed_seconds, NULL, NULL, NULL },
	{ "page_seconds", store_page_seconds, NULL, NULL, NULL },
	{ "page_saves", store_saved, NULL, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyMemberDef store_members[] = {
	{ "hits", T_ULONGLONG, offsetof(struct store, hits), 0, NULL },
	{ "misses", T_ULONGLONG, offsetof(struct store, misses), 0, NULL },
	{ "evicted", T_ULONGLONG, offsetof(struct store, evicted), READONLY, NULL },
	{ "expired", T_ULONGLONG, offsetof(struct store, expired), READONLY, NULL },
	{ "ghost_hits", T_ULONGLONG, offsetof(struct store, ghost_hits), READONLY, NULL },
	{ "generation", T_ULONGLONG, offsetof(struct store, generation), READONLY,
	  NULL },
	{ "maxsize", T_ULONGLONG, offsetof(struct store, maxsize), READONLY, NULL },
	{ "ttl", T_DOUBLE, offsetof(struct store, ttl), READONLY, NULL },
	{ "weak_instances", T_BOOL, offsetof(struct store, weak_instances), 0, NULL },
	{ "closed", T_BOOL, offsetof(struct store, closed), 0, NULL },
	{ "learned_seeks", T_INT, offsetof(struct store, learning.seeks), READONLY, NULL },
	{ "name", T_OBJECT, offsetof(struct store, name), READONLY, NULL },
	{ "on_evict", T_OBJECT, offsetof(struct store, on_evict), READONLY, NULL },
	{ NULL, 0, 0, 0, NULL },
};

static PyType_Slot store_slots[] = {
	{ Py_tp_new, store_new },
	{ Py_tp_traverse, store_traverse },
	{ Py_tp_clear, store_tp_clear },
	{ Py_tp_dealloc, store_dealloc },
	{ Py_tp_methods, store_methods },
	{ Py_tp_getset, store_figures },
	{ Py_tp_members, store_members },
	{ Py_tp_doc, "The entries of a cache." },
	{ 0, NULL },
};

static PyType_Spec store_spec = {
	.name = "shrinker._shrinker.CacheStore",
	.basicsize = sizeof(struct store),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	.slots = store_slots,
};

/* --- the base of Cache ----------------------------------------------------------- */

struct face {
	PyObject_HEAD
	struct store *store;
};

/* Return: NULL with an exception set where __init__() has set no store. */
static struct store *store_of(PyObject *self)
{
	struct store *store = ((struct face *)self)->store;

	if (!store)
		PyErr_SetString(cache_helpers.shrinker_error,
				"the cache was not initialised: Cache.__init__() was not"
				" called, or it raised");
	return store;
}

static PyObject *face_subscript(PyObject *self, PyObject *key)
{
	struct store *store = store_of(self);

	return store ? get_item(store, key, NULL) : NULL;
}

static PyObject *face_get(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	struct store *store = store_of(self);

	if (!store || !takes("get", nr, 1, 2))
		return NULL;
	return get_item(store, args[0], nr > 1 ? args[1] : Py_None);
}

static int face_ass_subscript(PyObject *self, PyObject *key, PyObject *value)
{
	struct store *store = store_of(self);
	PyObject *done;

	if (!store)
		return -1;
	done = value ? put_item(store, key, value, true) : pop_item(store, key, NULL);
	Py_XDECREF(done);
	return done ? 0 : -1;
}

static int face_contains(PyObject *self, PyObject *key)
{
	struct store *store = store_of(self);
	struct entry *entry;
	int found = -1;

	if (!store)
		return -1;
	BEGIN_STORE(store);
	if (look_up(store, key, &entry) == 0)
		found = entry != NULL;
	END_STORE();
	return found;
}

static Py_ssize_t face_length(PyObject *self)
{
	struct store *store = store_of(self);
	Py_ssize_t length = -1;

	if (!store)
		return -1;
	BEGIN_STORE(store);
	if (store_expire_all(store) == 0)
		length = (Py_ssize_t)store_get(&store->nr_entries);
	END_STORE();
	return length;
}

static PyObject *face_get_store(PyObject *self, void *closure)
{
	(void)closure;
	return new_reference((PyObject *)store_of(self));
}

static int face_set_store(PyObject *self, PyObject *value, void *closure)
{
	struct face *face = (struct face *)self;
	bool done = false;

	(void)closure;
	BEGIN_SECTION(self);
	/* Methods that run would lose it. */
	if (!face->store && value && Py_TYPE(value) == store_type) {
		face->store = (struct store *)new_reference(value);
		done = true;
	}
	END_SECTION();
	if (!done)
		PyErr_SetString(PyExc_TypeError,
				"a cache is given its entries once, by __init__()");
	return done ? 0 : -1;
}

static int face_traverse(PyObject *self, visitproc visit, void *arg)
{
	VISIT_TYPE(self);
	Py_VISIT(((struct face *)self)->store);
	return 0;
}

static int face_tp_clear(PyObject *self)
{
	Py_CLEAR(((struct face *)self)->store);
	return 0;
}

static void face_dealloc(PyObject *self)
{
	struct face *face = (struct face *)self;
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	/* A scan that runs may keep the store, but not its entries. */
	if (face->store) {
		BEGIN_STORE(face->store);
		face->store->closed = true;
		store_clear(face->store);
		END_STORE();
	}
	face_tp_clear(self);
	PyObject_GC_Del(self);
	Py_DECREF(type);
}

static PyMethodDef face_methods[] = {
	{ "get", (PyCFunction)(void (*)(void))face_get, METH_FASTCALL,
	  "get(key, default=None, /)\n--\n\n"
	  "Return the value of a key, or ``default``; a hit or a miss as well." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef face_fields[] = {
	{ "_store", face_get_store, face_set_store, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot face_slots[] = {
	{ Py_mp_subscript, face_subscript },
	{ Py_mp_ass_subscript, face_ass_subscript },
	{ Py_mp_length, face_length },
	{ Py_sq_contains, face_contains },
	{ Py_tp_traverse, face_traverse },
	{ Py_tp_clear, face_tp_clear },
	{ Py_tp_dealloc, face_dealloc },
	{ Py_tp_methods, face_methods },
	{ Py_tp_getset, face_fields },
	{ Py_tp_doc, "The part of Cache that is written in C." },
	{ 0, NULL },
};

static PyType_Spec face_spec = {
	.name = "shrinker._shrinker.CacheFace",
	.basicsize = sizeof(struct face),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
	.slots = face_slots,
};

/* Return: a new reference; NULL with an exception set. */
static PyObject *helper(PyObject *helpers, const char *name)
{
	PyObject *found = PyDict_GetItemString(helpers, name);

	if (!found)
		PyErr_SetString(PyExc_KeyError, name);
	return new_reference(found);
}

void *python_cache_types(void *helpers)
{
	PyObject *face, *decorated, *method_type;

	cache_helpers = (struct cache_helpers){
		.shrinker_error = helper(helpers, "shrinker_error"),
		.check_weight = helper(helpers, "check_weight"),
		.tell_evicted = helper(helpers, "tell_evicted"),
		.scan_failed = helper(helpers, "scan_failed"),
		.time = helper(helpers, "time"),
		.new_lock = helper(helpers, "new_lock"),
		.wait = helper(helpers, "wait"),
	};
	method_type = helper(helpers, "method");
	if (PyErr_Occurred())
		return NULL;
	store_type = (PyTypeObject *)PyType_FromSpec(&store_spec);
	items_type = (PyTypeObject *)PyType_FromSpec(&items_spec);
	face = PyType_FromSpec(&face_spec);
	if (!store_type || !items_type || !face)
		return NULL;
	decorated = cached_type(method_type);
	if (!decorated)
		return NULL;
	Py_INCREF((PyObject *)store_type);
	return Py_BuildValue("NNNNNN", store_type, face, decorated,
			     cached_key_function(), cached_count_function(),
			     computations_fork_function());
}
