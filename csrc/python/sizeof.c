/* SPDX-License-Identifier: MIT */
/*
 * What an object and all that it holds take of memory: an estimate in bounded time.
 *
 * - An object is looked at: its own bytes are what its __sizeof__() says, with what the
 *   allocator adds.  Buffers count at least the bytes that they show.
 * - A container but a dict is followed by its type's tp_traverse, the function of the
 *   cycle collector.  That runs no Python code, makes no __dict__, and knows all containers.
 * - A budget bounds the objects that are looked at.  Of a larger container some members
 *   are taken at random and stand for all.  What is left of the budget is divided among
 *   the members that are containers; where they are many, among some of them.
 * - An object with many references belongs to the program as much as to the entry: keys
 *   of records, a session, an enumeration's members.  It counts by its share of
 *   references.  Up to MAX_OWNERS references count as one, since the caller has some.
 * - No object counts twice; that ends circles, too.
 *
 * All objects that are looked at have a reference of ours: their code may do anything.
 */
#include "python/sizeof.h"

#include "python/critical.h"

#include <stdbool.h>
#include <string.h>

#include "python/dice.h"

/* Objects that one call looks at, at most. */
#define BUDGET 512
/* Part of it for which it is worth to follow a container, where they are more than a few. */
#define LEAST_BUDGET 32
#define A_FEW 8
/* Containers inside each other that are followed. */
#define MAX_DEPTH 16
/* References up to which an object that is held is taken for the entry's alone. */
#define MAX_OWNERS 8
/* The same for what is measured itself: one value may be set under many keys. */
#define MAX_KEYS_OF_VALUE 1000
/* Objects that are noted as met, at most; and a power of 2 above it. */
#define NR_USED 600
#define NR_SEEN 1024

/* The allocator of small objects rounds up to so many bytes, up to a size. */
#define ALIGNMENT 16
#define MAX_SMALL 512
/* What malloc() adds to larger ones, with rounding. */
#define MALLOC_BYTES 16
/* Before each object that the cycle collector knows. */
#ifdef Py_GIL_DISABLED
#define GC_HEAD_BYTES 0 /* It is in the object. */
#else
#define GC_HEAD_BYTES 16
#endif
/* By which an object's head is larger without a GIL. */
#define MORE_HEAD_BYTES ((double)(sizeof(PyObject) - 16))
/* Where __sizeof__() fails. */
#define UNKNOWN_BYTES 64
/*
 * Until 3.12 the values of an instance's attributes are a block of their own, which
 * __sizeof__() leaves out: two pointers before the object, and a head.  Later versions
 * have a flag for types whose instances have the values inside.
 */
#define HAS_MANAGED_DICT (1UL << 4)
#define HAS_VALUES_INSIDE (1UL << 2)
#define VALUES_BYTES 32

/**
 * struct held - an object with a reference of ours
 * @owners: references that it has otherwise
 */
struct held {
	PyObject *object;
	uint32_t owners;
};

/**
 * struct seen - an object with several references that was met
 * @object: only compared; NULL: free
 * @times: that it was met
 */
struct seen {
	const PyObject *object;
	unsigned int times;
};

/**
 * struct look - one call
 * @nr_held, @held: members of containers, those of the outer ones first
 * @random: state of the generator
 * @nr_used, @used: places in @seen
 * @seen: a hash table; all free between calls
 */
struct look {
	unsigned int nr_held;
	uint32_t random;
	unsigned int nr_used;
	struct held held[BUDGET];
	uint16_t used[NR_USED];
	struct seen seen[NR_SEEN];
};

/**
 * struct members - those of a container
 * @some: as many as there is room for, taken at random
 * @nr, @room: of @some
 * @all: number of all
 */
struct members {
	struct held *some;
	unsigned int nr, room;
	size_t all;
	uint32_t *random;
};

static PyObject *find_libraries;
static PyObject *opaque_types;
static PyObject *sizeof_name;
/* Pairs of a type and a function; found when there were so many modules. */
static SHARED(PyObject *) libraries;
static SHARED(Py_ssize_t) nr_modules;
static SHARED(uint32_t) next_seed = 1;
/* Of the last call, for the next one; or NULL. */
static SHARED(struct look *) spare;
#ifdef Py_GIL_DISABLED
static PyObject *get_referents;
#endif

static unsigned int smaller(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static bool is_gc(PyObject *object)
{
	return PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_HAVE_GC);
}

/* Later versions use the upper half for flags. */
static uint32_t references(PyObject *object)
{
	return (uint32_t)Py_REFCNT(object);
}

/* Drops an exception of an object's code.  Return: -1 if it is not an Exception. */
static int drop_exception(void)
{
	if (!PyErr_ExceptionMatches(PyExc_Exception))
		return -1;
	PyErr_Clear();
	return 0;
}

/* --- one object ------------------------------------------------------------------- */

/* Return: @bytes as the allocator rounds them. */
static double allocated(double bytes)
{
	if (bytes > MAX_SMALL)
		return bytes + MALLOC_BYTES;
	return (double)(((size_t)bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

/* Reads a number of bytes; others than 0 to MAX_SIZEOF are not believed. */
static int read_bytes(PyObject *number, double unknown, double *bytes)
{
	long long read = -1;

	*bytes = unknown;
	if (number && PyLong_Check(number))
		read = PyLong_AsLongLong(number);
	Py_XDECREF(number);
	if (PyErr_Occurred())
		return drop_exception();
	if (read >= 0 && read <= (long long)MAX_SIZEOF)
		*bytes = (double)read;
	return 0;
}

/* The bytes that a buffer shows; 0 where it shows none. */
static int buffer_bytes(PyObject *object, double *bytes)
{
	Py_buffer view;

	*bytes = 0;
	if (PyObject_GetBuffer(object, &view, PyBUF_FULL_RO) < 0)
		return drop_exception();
	if (view.len > 0)
		*bytes = (double)view.len;
	PyBuffer_Release(&view);
	return PyErr_Occurred() ? drop_exception() : 0;
}

/* The object's own bytes. */
static int own_bytes(PyObject *object, double *bytes)
{
	if (PyFloat_CheckExact(object) || PyBool_Check(object) || object == Py_None) {
		*bytes = 32 + MORE_HEAD_BYTES;
		return 0;
	}
	if (PyLong_CheckExact(object)) {
		int is_large;

		PyLong_AsLongLongAndOverflow(object, &is_large);
		*bytes = 32 + MORE_HEAD_BYTES;
		if (!is_large)
			return 0;
	}
	if (PyBytes_CheckExact(object)) {
		*bytes = allocated((double)(33 + PyBytes_Size(object)) + MORE_HEAD_BYTES);
		return 0;
	}
	if (read_bytes(PyObject_CallMethodObjArgs(object, sizeof_name, NULL), UNKNOWN_BYTES,
		       bytes) < 0)
		return -1;
	if (is_gc(object))
		*bytes += GC_HEAD_BYTES;
	/* A memoryview leads to what it shows. */
	if (!PyMemoryView_Check(object) && PyObject_CheckBuffer(object)) {
		double shown;

		if (buffer_bytes(object, &shown) < 0)
			return -1;
		if (*bytes < shown)
			*bytes += shown;
	}
	*bytes = allocated(*bytes);
	return 0;
}

/* --- what was met ----------------------------------------------------------------- */

/* Return: its place in the table, free or not. */
static struct seen *find_seen(struct look *look, const PyObject *object)
{
	size_t at = ((uintptr_t)object >> 4) * 0x9E3779B1u % NR_SEEN;

	while (look->seen[at].object && look->seen[at].object != object)
		at = (at + 1) % NR_SEEN;
	return &look->seen[at];
}

/* Notes that an object was met.  Return: how often so far; 1 where there is no room. */
static unsigned int meet(struct look *look, const PyObject *object)
{
	struct seen *seen = find_seen(look, object);

	if (!seen->object) {
		if (look->nr_used == NR_USED)
			return 1;
		seen->object = object;
		look->used[look->nr_used++] = (uint16_t)(seen - look->seen);
	}
	return ++seen->times;
}

static void forget_all(struct look *look)
{
	while (look->nr_used)
		look->seen[look->used[--look->nr_used]] = (struct seen){ 0 };
}

/* --- containers ------------------------------------------------------------------- */

static bool is_plain_container(PyObject *object)
{
	return PyDict_CheckExact(object) || PyList_CheckExact(object) ||
	       PyTuple_CheckExact(object) || PyAnySet_CheckExact(object);
}

/*
 * Return: the function that a library's type has; borrowed.  NULL without an exception
 * for other types.
 */
static PyObject *library_function(PyObject *object)
{
	PyObject *all = libraries;
	Py_ssize_t i;

	for (i = 0; i < PyTuple_Size(all); i++) {
		PyObject *pair = PyTuple_GetItem(all, i);

		if (PyType_IsSubtype(Py_TYPE(object),
				     (PyTypeObject *)PyTuple_GetItem(pair, 0)))
			return PyTuple_GetItem(pair, 1);
	}
	return NULL;
}

static bool is_opaque(PyObject *object)
{
	Py_ssize_t i;

	for (i = 0; i < PyTuple_Size(opaque_types); i++)
		if (PyType_IsSubtype(Py_TYPE(object),
				     (PyTypeObject *)PyTuple_GetItem(opaque_types, i)))
			return true;
	return false;
}

static int take(PyObject *object, void *arg)
{
	struct members *members = arg;
	size_t at = members->all++;

	if (members->nr < members->room)
		at = members->nr++;
	else
		at = dice_below(members->random, members->all);
	if (at < members->room)
		members->some[at].object = object;
	return 0;
}

/*
 * Takes a key and its value together: a sample with more of the one kind than of the
 * other would be wrong by what the two differ.
 */
static void take_item(PyObject *key, PyObject *value, struct members *members)
{
	unsigned int room = members->room / 2;
	size_t at = members->all / 2;

	if (!room) { /* For one of them, or for none. */
		take(key, members);
		take(value, members);
		return;
	}
	members->all += 2;
	if (at < room)
		members->nr += 2;
	else
		at = dice_below(members->random, at + 1);
	if (at < room) {
		members->some[2 * at].object = key;
		members->some[2 * at + 1].object = value;
	}
}

/* Takes members of a container.  Runs no Python code, so they stay without references
 * until it ends. */
static inline void take_in_section(PyObject *container, struct members *members)
{
	PyObject *key, *value;
	Py_ssize_t position = 0;
	unsigned int i;

	/* The collector passes over keys that are text. */
	while (PyDict_Check(container) &&
	       PyDict_Next(container, &position, &key, &value))
		take_item(key, value, members);
	if (PyList_CheckExact(container) || PyTuple_CheckExact(container)) {
		bool is_list = PyList_CheckExact(container);
		size_t all = (size_t)(is_list ? PyList_Size(container) :
						PyTuple_Size(container));

		/* Some of a large one, without a look at all. */
		for (i = 0; i < members->room && all > members->room; i++) {
			Py_ssize_t at = (Py_ssize_t)dice_below(members->random, all);

			take(is_list ? PyList_GetItem(container, at) :
				       PyTuple_GetItem(container, at),
			     members);
			members->all = all;
		}
	}
	if (!members->all && !PyDict_Check(container)) {
		traverseproc traverse = (traverseproc)PyType_GetSlot(Py_TYPE(container),
								     Py_tp_traverse);

		if (traverse)
			traverse(container, take, members);
	}
	for (i = 0; i < members->nr; i++)
		members->some[i].owners = references(members->some[i].object);
	for (i = 0; i < members->nr; i++)
		Py_INCREF(members->some[i].object);
}

#ifdef Py_GIL_DISABLED
/* The collector's function has all threads wait: what its types traverse has no lock. */
static void take_referents(PyObject *object, struct members *members)
{
	PyObject *all = PyObject_CallFunctionObjArgs(get_referents, object, NULL);
	Py_ssize_t i;

	if (!all) {
		PyErr_Clear();
		return;
	}
	for (i = 0; i < PyList_Size(all); i++)
		take(PyList_GetItem(all, i), members);
	for (i = 0; i < members->nr; i++) /* Without that of the list. */
		members->some[i].owners = references(members->some[i].object) - 1;
	for (i = 0; i < members->nr; i++)
		Py_INCREF(members->some[i].object);
	Py_DECREF(all);
}
#endif

static void take_members(PyObject *container, struct members *members)
{
#ifdef Py_GIL_DISABLED
	if (!is_plain_container(container) && !PyDict_Check(container)) {
		take_referents(container, members);
		return;
	}
#endif
	BEGIN_SECTION(container);
	take_in_section(container, members);
	END_SECTION();
}

/*
 * Asks a library's function.
 *
 * Return: 1 if it has answered; 0 otherwise, without an exception; -1 with one.
 */
static int ask_library(PyObject *function, PyObject *object, struct members *members,
		       double *bytes)
{
	PyObject *answer, *list;
	double all;

	Py_INCREF(function);
	answer = PyObject_CallFunctionObjArgs(function, object, NULL);
	Py_DECREF(function);
	if (!answer)
		return drop_exception();
	if (!PyArg_ParseTuple(answer, "dO!d", bytes, &PyList_Type, &list, &all) ||
	    !(*bytes >= 0 && *bytes <= (double)MAX_SIZEOF && all >= 0)) {
		Py_DECREF(answer);
		return PyErr_Occurred() ? drop_exception() : 0;
	}
	while (members->nr < members->room &&
	       (Py_ssize_t)members->nr < PyList_Size(list)) {
		PyObject *member = PyList_GetItem(list, members->nr);

		/* Without that of the list. */
		members->some[members->nr++] =
			(struct held){ member, references(member) - 1 };
		Py_INCREF(member);
	}
	members->all = (size_t)all;
	Py_DECREF(answer);
	return 1;
}

static int follow(struct look *look, struct held held, unsigned int *budget,
		  unsigned int depth, uint32_t max_owners, double *bytes);

static bool is_followed(PyObject *object)
{
	if (PyUnicode_CheckExact(object) || PyLong_CheckExact(object) ||
	    PyFloat_CheckExact(object) || PyBytes_CheckExact(object) ||
	    PyType_Check(object))
		return false;
	return is_gc(object) || library_function(object);
}

/*
 * Sums members up: first those that hold nothing; then the rest of the budget is divided
 * among the others.
 */
static int sum_members(struct look *look, const struct members *members,
		       unsigned int *budget, unsigned int depth, double *bytes)
{
	unsigned int nr_containers = 0, followed, none = 0, i;
	double plain = 0, deep = 0, one;

	for (i = 0; i < members->nr; i++) {
		struct held member = members->some[i];

		if (is_followed(member.object)) {
			members->some[i] = members->some[nr_containers];
			members->some[nr_containers++] = member;
			continue;
		}
		if (follow(look, member, &none, 0, MAX_OWNERS, &one) < 0)
			return -1;
		plain += one;
	}
	followed = *budget / LEAST_BUDGET > A_FEW ? *budget / LEAST_BUDGET : A_FEW;
	followed = smaller(followed, nr_containers);
	for (i = 0; i < followed; i++) {
		/* Any of the rest, which it changes places with. */
		size_t at = i + dice_below(&look->random, nr_containers - i);
		struct held member = members->some[at];
		unsigned int part = *budget / (followed - i), left = part;

		members->some[at] = members->some[i];
		members->some[i] = member;
		if (follow(look, member, &left, depth, MAX_OWNERS, &one) < 0)
			return -1;
		*budget -= part - left;
		deep += one;
	}
	if (followed)
		deep = deep / followed * nr_containers;
	*bytes += (plain + deep) / members->nr * (double)members->all;
	return 0;
}

/* Adds what the members of a container take. */
static int add_members(struct look *look, struct members *members, unsigned int *budget,
		       unsigned int depth, double *bytes)
{
	int ret;

	look->nr_held += members->nr;
	*budget -= members->nr;
	ret = sum_members(look, members, budget, depth, bytes);
	look->nr_held -= members->nr;
	while (members->nr)
		Py_DECREF(members->some[--members->nr].object);
	return ret;
}

/* The object's own bytes; and its members, where there is room for any. */
static int look_at(PyObject *object, struct members *members, double *bytes)
{
	PyObject *function = is_followed(object) && !is_plain_container(object) ?
				     library_function(object) :
				     NULL;
	int answered = 0;

	if (function)
		answered = ask_library(function, object, members, bytes);
	if (answered)
		return answered < 0 ? -1 : 0;
	if (own_bytes(object, bytes) < 0)
		return -1;
	if (members->room && is_gc(object) &&
	    (is_plain_container(object) || !is_opaque(object))) {
		unsigned long flags = PyType_GetFlags(Py_TYPE(object));

		take_members(object, members);
		if (flags & HAS_MANAGED_DICT && !(flags & HAS_VALUES_INSIDE))
			*bytes += allocated(VALUES_BYTES + 8 * (double)members->all);
	}
	return 0;
}

/**
 * follow - measure an object and what it holds
 * @budget: objects to look at, besides this one; it takes off those that it has
 * @depth: containers that are followed inside each other
 * @max_owners: number of references up to which all of it counts
 * @bytes: receives the size; 0 for an object that was met before
 */
static int follow(struct look *look, struct held held, unsigned int *budget,
		  unsigned int depth, uint32_t max_owners, double *bytes)
{
	PyObject *object = held.object;
	bool has_table = held.owners > 1 && (held.owners <= max_owners || is_gc(object));
	struct members members = {
		.some = look->held + look->nr_held,
		/* Half is for what they hold. */
		.room = depth ? *budget - *budget / 2 : 0,
		.random = &look->random,
	};
	unsigned int met = 1;

	*bytes = 0;
	/* Classes and modules are the program's. */
	if (PyType_Check(object) || PyModule_Check(object))
		return 0;
	if (has_table && meet(look, object) > 1)
		return 0;
	if (look_at(object, &members, bytes) < 0)
		return -1;
	if (members.nr && add_members(look, &members, budget, depth - 1, bytes) < 0)
		return -1;
	if (held.owners <= max_owners)
		return 0;
	/* As often as its members led back to it, it is the entry's. */
	if (has_table)
		met = find_seen(look, object)->times + max_owners;
	if (met < held.owners)
		*bytes *= (double)met / held.owners;
	return 0;
}

/* Looks for libraries where modules were imported since the last time. */
static int update_libraries(void)
{
	Py_ssize_t now = PyDict_Size(PyImport_GetModuleDict());
	PyObject *found, *before;

	if (libraries && now == nr_modules)
		return 0;
	found = PyObject_CallNoArgs(find_libraries);
	if (!found)
		return -1;
	nr_modules = now;
	before = libraries;
#ifdef Py_GIL_DISABLED
	/* Other threads may be going through it.  It stays: few libraries are known, so
	 * there are few of it. */
	if (before && PyObject_RichCompareBool(before, found, Py_EQ)) {
		Py_DECREF(found);
		return PyErr_Occurred() ? -1 : 0;
	}
	libraries = found;
#else
	libraries = found;
	Py_XDECREF(before);
#endif
	return 0;
}

/* Return: memory for a call; NULL: there is none. */
static struct look *take_look(void)
{
	struct look *look;

#ifdef Py_GIL_DISABLED
	look = atomic_exchange(&spare, NULL);
#else
	look = spare;
	spare = NULL;
#endif
	return look ? look : PyMem_Calloc(1, sizeof(*look));
}

static void put_look(struct look *look)
{
#ifdef Py_GIL_DISABLED
	look = atomic_exchange(&spare, look);
#else
	if (!spare) {
		spare = look;
		return;
	}
#endif
	PyMem_Free(look);
}

int python_sizeof(PyObject *const *objects, Py_ssize_t nr, uint64_t *bytes)
{
	struct look *look;
	double sum = 0, one;
	Py_ssize_t i;
	int ret;

	if (update_libraries() < 0)
		return -1;
	/* The objects' code may come here again. */
	look = take_look();
	if (!look) {
		PyErr_NoMemory();
		return -1;
	}
	look->random = next_seed++;
	for (i = 0, ret = 0; i < nr && !ret; i++) {
		struct held held = { objects[i], references(objects[i]) };
		unsigned int budget = BUDGET / (unsigned int)nr;

		Py_INCREF(held.object);
		ret = follow(look, held, &budget, MAX_DEPTH, MAX_KEYS_OF_VALUE, &one);
		Py_DECREF(held.object);
		sum += one;
	}
	*bytes = sum < (double)MAX_SIZEOF ? (uint64_t)sum : MAX_SIZEOF;
	forget_all(look);
	put_look(look);
	return ret;
}

static PyObject *sizeof_method(PyObject *unused, PyObject *const *args, Py_ssize_t nr)
{
	uint64_t bytes = 0;

	(void)unused;
	if (nr && python_sizeof(args, nr, &bytes) < 0)
		return NULL;
	return PyLong_FromUnsignedLongLong(bytes);
}

static PyMethodDef sizeof_definition = {
	"sizeof", (PyCFunction)(void (*)(void))sizeof_method, METH_FASTCALL,
	"sizeof(*objects): the bytes that they take together."
};

void *python_sizeof_function(void *find, void *opaque)
{
	find_libraries = find;
	opaque_types = opaque;
	Py_INCREF(find_libraries);
	Py_INCREF(opaque_types);
	sizeof_name = PyUnicode_InternFromString("__sizeof__");
#ifdef Py_GIL_DISABLED
	{
		PyObject *gc = PyImport_ImportModule("gc");

		get_referents = gc ? PyObject_GetAttrString(gc, "get_referents") : NULL;
		Py_XDECREF(gc);
		if (!get_referents)
			return NULL;
	}
#endif
	return sizeof_name ? PyCFunction_New(&sizeof_definition, NULL) : NULL;
}
