/* SPDX-License-Identifier: MIT */
/*
 * What the core calls where a shrinker's callbacks are Python: the interpreter
 * is entered once for a walk, and what a callback needs is reached through an
 * object that both sides know.  An argument would cost 30 ns each.
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
extern bool shrinker_py_aim(int frame, unsigned long number);
extern unsigned long shrinker_py_count(int frame, unsigned long number);
extern void shrinker_py_scan(int frame);
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
	/* Number of the shrinker that it is aimed at; 0: none. */
	unsigned long number;
	/* Of the pass that the running trampoline makes the scan calls of; NULL
	 * where it makes one on its own. */
	struct reclaim_scan_calls *scan_calls;
	/* What the latest of them freed. */
	unsigned long freed;
	/* The trampoline has ended, but the pass has not. */
	bool interrupted;
	PyGILState_STATE gil;
	/* When the walk should make room for other threads, in nanoseconds. */
	uint64_t stays_until;
};

static PyObject *controls, *control_type;
static struct frame *free_frames;
static Py_ssize_t nr_frames;
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
	frame->number = 0;
	/* Takes our reference; where there is no control, None stands there. */
	if (!control) {
		control = Py_None;
		Py_INCREF(control);
	}
	PyList_SetItem(controls, frame->index, control);
}

/* Return: NULL where there is no control to hand out. */
static struct frame *begin_callback(struct shrink_control *sc)
{
	struct frame *frame = current_frame;

	if (!frame)
		return NULL;
	if (!frame->control)
		renew_control(frame);
	if (!frame->control)
		return NULL;
	frame->control->sc = sc;
	return frame;
}

/* Return: false where the callback has kept the control. */
static bool take_control_back(struct frame *frame)
{
	frame->control->sc = NULL;
	return Py_REFCNT((PyObject *)frame->control) == 1;
}

static void end_callback(struct frame *frame)
{
	if (!take_control_back(frame))
		renew_control(frame);
}

static unsigned long number_of(const struct shrinker *shrinker)
{
	return (unsigned long)(uintptr_t)shrinker->private_data;
}

static unsigned long count_in_python(struct shrinker *shrinker,
				     struct shrink_control *sc)
{
	struct frame *frame = begin_callback(sc);
	unsigned long count;

	if (!frame)
		return 0;
	sc->nr_to_scan = sc->nr_scanned = 0;
	frame->number = number_of(shrinker);
	count = shrinker_py_count((int)frame->index, frame->number);
	/* 0 may also say that the trampoline came to nothing. */
	if (!count)
		frame->number = 0;
	end_callback(frame);
	return count;
}

/* Return: false where nobody could be called. */
static bool run_trampoline(struct shrinker *shrinker, struct shrink_control *sc,
			   struct reclaim_scan_calls *calls)
{
	struct frame *frame = begin_callback(sc);
	unsigned long number = number_of(shrinker);

	if (!frame)
		return false;
	if (frame->number != number)
		frame->number =
			shrinker_py_aim((int)frame->index, number) ? number : 0;
	frame->scan_calls = calls;
	frame->freed = SHRINK_STOP;
	frame->interrupted = false;
	if (frame->number)
		shrinker_py_scan((int)frame->index);
	frame->scan_calls = NULL;
	end_callback(frame);
	return true;
}

static unsigned long scan_in_python(struct shrinker *shrinker,
				    struct shrink_control *sc)
{
	return run_trampoline(shrinker, sc, NULL) ? current_frame->freed :
						    SHRINK_STOP;
}

static void scan_pass_in_python(struct shrinker *shrinker,
				struct shrink_control *sc,
				struct reclaim_scan_calls *calls)
{
	while (run_trampoline(shrinker, sc, calls) && current_frame->interrupted)
		;
}

/*
 * scan_again(freed): what the trampoline asks after each call of scan_objects().
 * True: call it again, with the control that stands in the list.
 */
static PyObject *scan_again(PyObject *self, PyObject *number)
{
	unsigned long freed = PyLong_AsUnsignedLong(number);
	struct frame *frame = current_frame;
	struct shrink_control *sc;

	(void)self;
	if (freed == (unsigned long)-1 && PyErr_Occurred())
		return NULL;
	if (!frame || !frame->control || !frame->control->sc) {
		PyErr_SetString(PyExc_RuntimeError, "no scan call is under way");
		return NULL;
	}
	frame->freed = freed;
	if (!frame->scan_calls || !reclaim_scan_again(frame->scan_calls, freed))
		Py_RETURN_FALSE;
	sc = frame->control->sc;
	if (!take_control_back(frame)) {
		/* A new one has to be aimed first, which is seldom. */
		frame->interrupted = true;
		Py_RETURN_FALSE;
	}
	frame->control->sc = sc;
	Py_RETURN_TRUE;
}

static PyMethodDef scan_again_method = { "scan_again", scan_again, METH_O, NULL };

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
	PyObject *control;

	if (frame) {
		free_frames = frame->outer;
		return frame;
	}
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
	frame->index = nr_frames++;
	return frame;
}

/*
 * The host's word is the walk's frame; where there is no memory for one, the
 * frame around it and NO_FRAME, and the walk's Python callbacks are left out.
 *
 * Each entry can cost a switch interval where another thread is busy, so a walk
 * that has entered stays, across all its Python callbacks (which let others in
 * as all Python code does) and for a switch interval across native passes.
 */
#define NO_FRAME ((uintptr_t)1)

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

	if (*state & NO_FRAME) {
		current_frame = (struct frame *)(*state & ~NO_FRAME);
		return;
	}
	current_frame = frame->outer;
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
	.scan = scan_pass_in_python,
};

static const struct reclaim_host gil_host = {
	.enter = enter_python,
	.leave = leave_python,
	.may_stay = may_stay_in_python,
};

void *python_host_use(void *type, void *list)
{
	control_type = type;
	Py_INCREF(control_type);
	controls = list;
	Py_INCREF(controls);
	return PyCFunction_New(&scan_again_method, NULL);
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
