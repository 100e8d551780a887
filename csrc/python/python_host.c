/* SPDX-License-Identifier: MIT */
/*
 * What the core calls where a shrinker's callbacks are Python.  The GIL is taken
 * once for a walk, and Python is called once for all passes that follow each other
 * there: its trampoline makes the calls, and asks here what comes next.
 */
#define PY_SSIZE_T_CLEAN
/* First: it decides what the system's headers declare. */
#include <Python.h>

#include <stdlib.h>
#include <time.h>

#include <shrinker/memcg.h>

#include "python_control.h"
#include "python_host.h"

/* Defined by cffi, implemented in shrinker/_trampolines.py and one_pass.py. */
extern bool shrinker_py_run(int frame, unsigned long number, bool scanning);
extern unsigned long shrinker_py_pass_scan(unsigned long number,
					   unsigned long nr_to_scan,
					   unsigned long *nr_scanned);

/*
 * What the trampolines know of a walk: a control to hand to callbacks, in the
 * list that they share with us, and the shrinker that the walk is at.  A walk
 * has one frame while it is inside the interpreter, and is in one callback at a
 * time; a walk inside a callback has a frame of its own.
 *
 * Frames are never released; there are as many as there were walks at a time.
 * The GIL guards all of this.
 */
struct frame {
	/* The frame of the walk around this one; of a free frame, the next. */
	struct frame *outer;
	/* Its place in the list of controls. */
	Py_ssize_t index;
	/* Owned by the list; NULL where there was no memory for another one. */
	struct python_control *control;
	/* What the running trampoline makes the calls of; NULL: of one alone. */
	struct reclaim_calls *calls;
	struct shrink_control *sc;
	/* A callback is to be called, and what it returned is not known. */
	bool due;
	/* It is scan_objects(). */
	bool scanning;
	/* The trampoline has to be called again for it. */
	bool interrupted;
	/* What a callback on its own returned. */
	unsigned long returned;
	/* Number of the shrinker that the walk is at. */
	unsigned long number;
	PyGILState_STATE gil;
	/* When the walk should make room for other threads, in nanoseconds. */
	uint64_t stays_until;
};

/* The host's word is the walk's frame; where there is no memory for one, the frame
 * around it and this bit, and the walk's Python callbacks are left out. */
#define NO_FRAME ((uintptr_t)1)

static PyObject *controls, *control_type;
/* All of them, by index. */
static struct frame **frames;
static Py_ssize_t nr_frames;
static struct frame *free_frames;
/* Of the innermost walk; NULL: there is none, or no memory for one. */
static _Thread_local struct frame *current_frame;

/* Return: a new reference; NULL without memory, and without an exception. */
static PyObject *new_control(void)
{
	PyObject *control =
		PyType_GenericAlloc((PyTypeObject *)control_type, 0);

	if (!control)
		PyErr_Clear();
	return control;
}

/* The frame's control was kept by somebody, and will not be used again. */
static void renew_control(struct frame *frame)
{
	PyObject *control = new_control();

	frame->control = (struct python_control *)control;
	/* Takes our reference; where there is no control, None stands there. */
	if (!control) {
		control = Py_None;
		Py_INCREF(control);
	}
	PyList_SetItem(controls, frame->index, control);
}

/* Nobody but the list refers to it, and it is what it was. */
static bool is_unused(const struct python_control *control)
{
	PyObject *object = (PyObject *)control;

	return Py_REFCNT(object) == 1 &&
	       Py_TYPE(object) == (PyTypeObject *)control_type;
}

/*
 * Between two callbacks: what the one before has kept is over, and the next one
 * has what nobody keeps.
 *
 * Return: false where there is no memory for it.
 */
static bool hand_control_out(struct frame *frame)
{
	if (!frame->control || !is_unused(frame->control))
		renew_control(frame);
	if (frame->control)
		frame->control->sc = frame->sc;
	return frame->control;
}

static void take_control_back(struct frame *frame)
{
	if (frame->control)
		frame->control->sc = NULL;
}

static unsigned long number_of(const struct shrinker *shrinker)
{
	return (unsigned long)(uintptr_t)shrinker->private_data;
}

/* What stands for a callback that has said nothing. */
static unsigned long nothing_said(const struct frame *frame)
{
	return frame->scanning ? SHRINK_STOP : 0;
}

/* Runs the trampoline for the callback that is due, and what follows it. */
static void run_trampoline(struct frame *frame)
{
	bool returned;

	do {
		frame->interrupted = false;
		if (!hand_control_out(frame))
			return;
		returned = shrinker_py_run((int)frame->index, frame->number,
					   frame->scanning);
		take_control_back(frame);
	} while (returned && frame->interrupted);
}

static void run_in_python(uintptr_t *state, struct shrinker *shrinker,
			  struct shrink_control *sc, struct reclaim_calls *calls)
{
	struct frame *frame = (struct frame *)*state;

	if (*state & NO_FRAME)
		return;
	frame->calls = calls;
	frame->sc = sc;
	frame->number = number_of(shrinker);
	frame->scanning = false;
	frame->due = true;
	run_trampoline(frame);
	frame->calls = NULL;
}

/* A callback outside any pass, which begins by going into the host: the innermost
 * frame is its own. */
static unsigned long call_in_python(struct shrinker *shrinker,
				    struct shrink_control *sc, bool scanning)
{
	struct frame *frame = current_frame;

	if (!frame)
		return scanning ? SHRINK_STOP : 0;
	frame->sc = sc;
	frame->number = number_of(shrinker);
	frame->scanning = scanning;
	frame->due = true;
	frame->returned = nothing_said(frame);
	run_trampoline(frame);
	return frame->returned;
}

static unsigned long count_in_python(struct shrinker *shrinker,
				     struct shrink_control *sc)
{
	return call_in_python(shrinker, sc, false);
}

static unsigned long scan_in_python(struct shrinker *shrinker,
				    struct shrink_control *sc)
{
	return call_in_python(shrinker, sc, true);
}

/* The frame is asked for by its index, and not the innermost one taken, because a
 * callback may be left and come back to by what is not a call: greenlets.
 *
 * Return: NULL with an exception set. */
static struct frame *frame_at(PyObject *index)
{
	Py_ssize_t at = PyLong_AsSsize_t(index);

	if (at >= 0 && at < nr_frames)
		return frames[at];
	if (!PyErr_Occurred())
		PyErr_SetString(PyExc_IndexError, "no such frame");
	return NULL;
}

/*
 * called(index, number): a callback has returned it; None: it said nothing that
 * counts.  True: scan_objects() is to be called, with the control that stands in
 * the list.
 */
static PyObject *called(PyObject *self, PyObject *const *args, Py_ssize_t nr)
{
	struct frame *frame;
	PyObject *number;
	unsigned long ret;

	(void)self;
	if (nr != 2) {
		PyErr_SetString(PyExc_TypeError, "called() takes two arguments");
		return NULL;
	}
	frame = frame_at(args[0]);
	if (!frame)
		return NULL;
	number = args[1];
	if (!frame->due || !frame->control)
		Py_RETURN_FALSE;
	if (number == Py_None) {
		/* Whatever came of it: no further callback of this pass. */
		frame->interrupted = false;
		ret = nothing_said(frame);
	} else if (frame->interrupted) {
		Py_RETURN_FALSE;
	} else {
		ret = PyLong_AsUnsignedLong(number);
		if (ret == (unsigned long)-1 && PyErr_Occurred())
			return NULL;
	}
	take_control_back(frame);
	if (frame->calls)
		frame->due = reclaim_called(frame->calls, ret);
	else {
		frame->returned = ret;
		frame->due = false;
	}
	if (!frame->due)
		Py_RETURN_FALSE;
	frame->scanning = true;
	if (!is_unused(frame->control)) {
		/* A new one has to be made known to the trampoline first. */
		frame->interrupted = true;
		Py_RETURN_FALSE;
	}
	frame->control->sc = frame->sc;
	Py_RETURN_TRUE;
}

/* next_pass(index): the number of the shrinker to count next; 0: return. */
static PyObject *next_pass(PyObject *self, PyObject *index)
{
	struct frame *frame = frame_at(index);
	struct shrinker *shrinker = NULL;

	(void)self;
	if (!frame)
		return NULL;
	if (frame->calls && !frame->due)
		shrinker = reclaim_next(frame->calls);
	if (!shrinker)
		return PyLong_FromLong(0);
	frame->number = number_of(shrinker);
	frame->scanning = false;
	frame->due = true;
	if (!hand_control_out(frame))
		return PyLong_FromLong(0);
	return PyLong_FromUnsignedLong(frame->number);
}

static PyMethodDef methods[] = {
	{ "called", (PyCFunction)(void (*)(void))called, METH_FASTCALL, NULL },
	{ "next_pass", next_pass, METH_O, NULL },
};

unsigned long python_pass_scan(void *arg, unsigned long nr_to_scan,
			       unsigned long *nr_scanned)
{
	return shrinker_py_pass_scan((unsigned long)(uintptr_t)arg, nr_to_scan,
				     nr_scanned);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* How long a thread may keep the interpreter from others. */
static uint64_t switch_interval_ns(void)
{
	PyObject *function = PySys_GetObject("getswitchinterval");
	PyObject *seconds = function ? PyObject_CallNoArgs(function) : NULL;
	double interval = seconds ? PyFloat_AsDouble(seconds) : 0;

	Py_XDECREF(seconds);
	if (PyErr_Occurred()) {
		PyErr_Clear();
		return 0;
	}
	return (uint64_t)(interval * 1e9);
}

/* Return: NULL without memory, and without an exception. */
static struct frame *take_frame(void)
{
	struct frame *frame = free_frames;
	struct frame **more;
	PyObject *control;

	if (frame) {
		free_frames = frame->outer;
		return frame;
	}
	more = realloc(frames, ((size_t)nr_frames + 1) * sizeof(*frames));
	if (!more)
		return NULL;
	frames = more;
	frame = calloc(1, sizeof(*frame));
	control = new_control();
	if (!frame || !control || PyList_Append(controls, control)) {
		PyErr_Clear();
		free(frame);
		Py_XDECREF(control);
		return NULL;
	}
	/* The list has it. */
	Py_DECREF(control);
	frame->control = (struct python_control *)control;
	frame->index = nr_frames;
	frames[nr_frames++] = frame;
	return frame;
}

/*
 * Each entry can cost a switch interval where another thread is busy, so a walk
 * that has entered stays, across all its Python callbacks (which let others in
 * as all Python code does) and for a switch interval across native passes.
 */
static void enter_python(uintptr_t *state)
{
	PyGILState_STATE gil = PyGILState_Ensure();
	struct frame *frame = take_frame();

	if (!frame) {
		PyGILState_Release(gil);
		*state = (uintptr_t)current_frame | NO_FRAME;
		current_frame = NULL;
		return;
	}
	frame->gil = gil;
	frame->stays_until = now_ns() + switch_interval_ns();
	frame->outer = current_frame;
	current_frame = frame;
	*state = (uintptr_t)frame;
}

static void leave_python(uintptr_t *state)
{
	struct frame *frame = (struct frame *)*state;
	struct frame **link = &current_frame;

	if (*state & NO_FRAME) {
		current_frame = (struct frame *)(*state & ~NO_FRAME);
		return;
	}
	/* The innermost one, unless greenlets have ended in another order. */
	while (*link && *link != frame)
		link = &(*link)->outer;
	if (*link)
		*link = frame->outer;
	frame->outer = free_frames;
	free_frames = frame;
	PyGILState_Release(frame->gil);
}

static bool may_stay_in_python(uintptr_t *state)
{
	const struct frame *frame = (const struct frame *)*state;

	return *state & NO_FRAME || now_ns() < frame->stays_until;
}

static const struct reclaim_host python_host = {
	.enter = enter_python,
	.leave = leave_python,
	.may_stay = may_stay_in_python,
	.run = run_in_python,
};

static const struct reclaim_host gil_host = {
	.enter = enter_python,
	.leave = leave_python,
	.may_stay = may_stay_in_python,
};

void *python_host_use(void *type, void *list)
{
	if (controls) {
		PyErr_SetString(PyExc_ImportError,
				"shrinker cannot be imported twice in a process");
		return NULL;
	}
	control_type = type;
	Py_INCREF(control_type);
	controls = list;
	Py_INCREF(controls);
	return Py_BuildValue("NN", PyCFunction_New(&methods[0], NULL),
			     PyCFunction_New(&methods[1], NULL));
}

void python_host_adopt(struct shrinker *shrinker, unsigned long number)
{
	shrinker->count_objects = count_in_python;
	shrinker->scan_objects = scan_in_python;
	shrinker->private_data = (void *)(uintptr_t)number;
	shrinker_set_host(shrinker, &python_host);
}

void python_host_hold_gil(struct shrinker *shrinker)
{
	shrinker_set_host(shrinker, &gil_host);
}

void python_host_free_shrinker(void *capsule)
{
	shrinker_free_nowait(PyCapsule_GetPointer(capsule, NULL));
}

void python_host_put_domain(void *capsule)
{
	reclaim_domain_put(PyCapsule_GetPointer(capsule, NULL));
}

void python_host_put_memcg(void *capsule)
{
	mem_cgroup_put(PyCapsule_GetPointer(capsule, NULL));
}
