/* SPDX-License-Identifier: MIT */
/*
 * The host of callbacks that are written in Python.  A walk takes the GIL once, and
 * calls Python once for all passes that follow each other: the trampoline calls the
 * callbacks, and asks back here which one is next.
 */
#define PY_SSIZE_T_CLEAN
/* First: it decides what the system's headers declare. */
#include <Python.h>

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <shrinker/memcg.h>

#include "python/control.h"
#include "python/critical.h"
#include "python/host.h"

/* Defined by cffi, implemented in shrinker/_trampolines.py and one_pass.py. */
extern bool shrinker_py_run(int frame, unsigned long number, bool scanning);
extern unsigned long shrinker_py_pass_scan(unsigned long number,
					   unsigned long nr_to_scan,
					   unsigned long *nr_scanned);

/**
 * struct frame - the state that a walk shares with the trampolines
 * @outer: frame of the walk around this one; of a free frame, the next free one
 * @index: of @control in the list of controls
 * @control: argument of the callbacks, owned by the list; NULL: no memory for it
 * @calls: argument of reclaim_called() and reclaim_next(); NULL: a callback outside
 *	any pass
 * @sc: what @control stands for
 * @due: a callback is due: what it returned is not known yet
 * @scanning: the callback is scan_objects()
 * @interrupted: the trampoline has to return and be called again for it
 * @returned: what a callback outside any pass returned
 * @number: of the object whose callback is due
 * @gil: for PyGILState_Release()
 * @stays_until_ns: CLOCK_MONOTONIC, in ns, until when the walk may keep the GIL
 *	during passes over native shrinkers
 *
 * A walk has one frame while it is inside the interpreter, and runs one callback at
 * a time.  A walk inside a callback has a frame of its own.  Frames are never
 * released; there are as many as there were walks at a time.  The GIL guards them;
 * without one, the section of @controls does until one is taken.
 */
struct frame {
	struct frame *outer;
	Py_ssize_t index;
	struct python_control *control;
	struct reclaim_calls *calls;
	struct shrink_control *sc;
	bool due;
	bool scanning;
	bool interrupted;
	unsigned long returned;
	unsigned long number;
	PyGILState_STATE gil;
	uint64_t stays_until_ns;
};

/* The host's word is the address of the walk's frame.  Where there is no memory for
 * a frame, it is the address of the outer walk's frame with this bit, and the
 * walk's Python callbacks are skipped. */
#define NO_FRAME ((uintptr_t)1)

static PyObject *controls, *control_type;
/* sys.getswitchinterval(), looked up once.  Python 3.13 and later allocate in
 * PySys_GetObject(), and where memory is out it writes to sys.unraisablehook. */
static PyObject *getswitchinterval;
/* All frames, by index. */
static SHARED(struct frame **) frames;
static SHARED(Py_ssize_t) nr_frames;
static struct frame *free_frames;
/* The frame of the thread's innermost walk; NULL: no walk, or no memory for a
 * frame. */
static _Thread_local struct frame *current_frame;

/* Return: a new reference; NULL where memory ran out, without an exception set. */
static PyObject *new_control(void)
{
	PyObject *control =
		PyType_GenericAlloc((PyTypeObject *)control_type, 0);

	if (!control)
		PyErr_Clear();
	return control;
}

/* Replaces the frame's control after a callback has kept a reference to it. */
static void renew_control(struct frame *frame)
{
	PyObject *control = new_control();

	frame->control = (struct python_control *)control;
	/* PyList_SetItem() takes the reference.  Without a control the list has
	 * None. */
	if (!control) {
		control = Py_None;
		Py_INCREF(control);
	}
	PyList_SetItem(controls, frame->index, control);
}

/* Whether the list has the only reference, and the type was not changed. */
static bool is_unused(const struct python_control *control)
{
	PyObject *object = (PyObject *)control;

	return Py_REFCNT(object) == 1 &&
	       Py_TYPE(object) == (PyTypeObject *)control_type;
}

/* A thread that was given the control may be reading @sc just now. */
static inline void set_control(struct frame *frame, struct shrink_control *sc)
{
	BEGIN_SECTION(frame->control);
	frame->control->sc = sc;
	END_SECTION();
}

/*
 * Makes the control ready for the next callback; replaces it if the last callback
 * has kept it, because a kept control must stay invalid.
 *
 * Return: false where memory ran out.
 */
static bool hand_control_out(struct frame *frame)
{
	if (!frame->control || !is_unused(frame->control))
		renew_control(frame);
	if (frame->control)
		set_control(frame, frame->sc);
	return frame->control;
}

static void take_control_back(struct frame *frame)
{
	if (frame->control)
		set_control(frame, NULL);
}

static unsigned long number_of(const struct shrinker *shrinker)
{
	return (unsigned long)(uintptr_t)shrinker->private_data;
}

/* What counts as returned where a callback returned nothing. */
static unsigned long no_answer(const struct frame *frame)
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

/* Calls a callback outside any pass.  The core has entered the host for this call
 * alone, so the innermost frame is the call's own. */
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
	frame->returned = no_answer(frame);
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

/* By index, because the innermost frame may be another one: greenlets switch away
 * from a callback and back without a return.
 *
 * Return: NULL with an exception set where there is no such frame. */
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
 * called(index, number): the callback of frame @index has returned @number; None:
 * it has returned nothing valid.  Returns True where the trampoline has to call
 * scan_objects() now, with the control that is in the list.
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
		/* The pass ends: no further callback is due. */
		frame->interrupted = false;
		ret = no_answer(frame);
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
		/* The trampoline has to take the new control from the list
		 * first. */
		frame->interrupted = true;
		Py_RETURN_FALSE;
	}
	set_control(frame, frame->sc);
	Py_RETURN_TRUE;
}

/* next_pass(index): the number of the object to count next; 0: return. */
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

uint64_t python_host_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Python's switch interval, in ns; 0 where it cannot be read. */
static uint64_t switch_interval_ns(void)
{
	PyObject *seconds = PyObject_CallNoArgs(getswitchinterval);
	double interval = seconds ? PyFloat_AsDouble(seconds) : 0;

	Py_XDECREF(seconds);
	if (PyErr_Occurred()) {
		PyErr_Clear();
		return 0;
	}
	return (uint64_t)(interval * 1e9);
}

/* Makes room for one more.  Return: false where memory ran out. */
static bool enlarge_frames(void)
{
	struct frame **more;
#ifdef Py_GIL_DISABLED
	/* Other threads may read the old array, so it stays: all together take no more
	 * than the last one. */
	size_t nr = (size_t)nr_frames;

	if (nr & (nr - 1))
		return true;
	more = malloc((nr ? 2 * nr : 1) * sizeof(*more));
	if (more && nr)
		memcpy(more, frames, nr * sizeof(*more));
#else
	more = realloc(frames, ((size_t)nr_frames + 1) * sizeof(*frames));
#endif
	if (more)
		frames = more;
	return more;
}

/* Return: NULL where memory ran out, without an exception set. */
static inline struct frame *take_in_section(void)
{
	struct frame *frame = free_frames;
	PyObject *control;

	if (frame) {
		free_frames = frame->outer;
		return frame;
	}
	if (!enlarge_frames())
		return NULL;
	frame = calloc(1, sizeof(*frame));
	control = new_control();
	if (!frame || !control || PyList_Append(controls, control)) {
		PyErr_Clear();
		free(frame);
		Py_XDECREF(control);
		return NULL;
	}
	/* The list holds it. */
	Py_DECREF(control);
	frame->control = (struct python_control *)control;
	frame->index = nr_frames;
	frames[nr_frames] = frame;
	nr_frames++;
	return frame;
}

static struct frame *take_frame(void)
{
	struct frame *frame;

	BEGIN_SECTION(controls);
	frame = take_in_section();
	END_SECTION();
	return frame;
}

static bool is_main_thread(void)
{
	return syscall(SYS_gettid) == getpid();
}

/*
 * When the interpreter has begun to end, its main thread alone may go on.  Other threads
 * that want the GIL wait for the end of the process, as those of Python 3.14 do.  Once
 * the interpreter is gone, PyGILState_Ensure() would crash.
 */
static PyGILState_STATE take_gil(void)
{
	while (!Py_IsInitialized() && !is_main_thread())
		pause();
	return PyGILState_Ensure();
}

/*
 * If another thread is busy, taking the GIL can take a whole switch interval.  So a
 * walk that has it keeps it: for all its Python callbacks, which let other threads
 * in as all Python code does, and for one switch interval during native passes.
 */
static void enter_python(uintptr_t *state)
{
	PyGILState_STATE gil = take_gil();
	struct frame *frame = take_frame();

	if (!frame) {
		PyGILState_Release(gil);
		*state = (uintptr_t)current_frame | NO_FRAME;
		current_frame = NULL;
		return;
	}
	frame->gil = gil;
	frame->stays_until_ns = python_host_now_ns() + switch_interval_ns();
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
	/* The innermost frame, unless greenlets have ended in another order. */
	while (*link && *link != frame)
		link = &(*link)->outer;
	if (*link)
		*link = frame->outer;
	BEGIN_SECTION(controls);
	frame->outer = free_frames;
	free_frames = frame;
	END_SECTION();
	PyGILState_Release(frame->gil);
}

static bool may_stay_in_python(uintptr_t *state)
{
	const struct frame *frame = (const struct frame *)*state;

	return *state & NO_FRAME || python_host_now_ns() < frame->stays_until_ns;
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
	getswitchinterval = PySys_GetObject("getswitchinterval");
	if (!getswitchinterval) {
		PyErr_SetString(PyExc_RuntimeError,
				"sys.getswitchinterval is missing");
		return NULL;
	}
	Py_INCREF(getswitchinterval);
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

bool python_host_in_walk(void)
{
	return current_frame;
}

void python_host_share_gil(uint64_t *until_ns)
{
	uint64_t now = python_host_now_ns();

	if (current_frame)
		until_ns = &current_frame->stays_until_ns;
	if (now < *until_ns)
		return;
	if (*until_ns) {
		PyEval_RestoreThread(PyEval_SaveThread());
		now = python_host_now_ns();
	}
	*until_ns = now + switch_interval_ns();
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
