/* SPDX-License-Identifier: MIT */
/*
 * What the core calls where a shrinker's callbacks are Python: the interpreter
 * is entered once for a walk, and the numbers that a callback needs are passed
 * as numbers, which costs Python less than reading them from a structure, and
 * only where they have changed, because cffi takes about 30 ns for each.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>
#include <time.h>

#include <shrinker/memcg.h>

#include "python_host.h"

/* Defined by cffi, implemented in shrinker/_trampolines.py and one_pass.py. */
extern bool shrinker_py_aim(int frame, unsigned long number, int nid,
			    unsigned long memcg_id, unsigned int gfp_mask,
			    unsigned long *nr_scanned);
extern unsigned long shrinker_py_count(int frame, unsigned long number);
extern unsigned long shrinker_py_scan(int frame, unsigned long nr_to_scan);
extern unsigned long shrinker_py_pass_scan(unsigned long number,
					   unsigned long nr_to_scan,
					   unsigned long *nr_scanned);

/*
 * What the trampolines know of a walk, so that a callback costs two arguments
 * instead of six.  A walk has one frame while it is inside the interpreter, and
 * is in one callback at a time; a walk inside a callback has a frame of its own.
 *
 * Frames are never released, and keep what they were aimed at: the next walk
 * mostly wants the same.  All but nr_scanned is guarded by the GIL.
 */
struct frame {
	/* The frame of the walk around this one; of a free frame, the next. */
	struct frame *outer;
	/* Its place in the trampolines' table. */
	int index;
	/* Number of the shrinker that it is aimed at; 0: none. */
	unsigned long number;
	/* Whether it is aimed at all, and what its control says then. */
	bool aimed;
	int nid;
	unsigned int gfp_mask;
	unsigned long memcg_id;
	/* Where the scan trampoline puts nr_scanned if it was changed. */
	unsigned long nr_scanned;
	PyGILState_STATE gil;
	/* When the walk should make room for other threads, in nanoseconds. */
	uint64_t stays_until;
};

static struct frame *free_frames;
static int nr_frames;
/* Of the innermost walk; NULL: there is none, or no memory for one. */
static _Thread_local struct frame *current_frame;

/* Ids count up from 1; 0 stands for no group. */
static unsigned long memcg_id(const struct shrink_control *sc)
{
	return sc->memcg ? mem_cgroup_get_id(sc->memcg) : 0;
}

static bool aimed_there(const struct frame *frame, const struct shrink_control *sc)
{
	return frame->aimed && frame->nid == sc->nid &&
	       frame->gfp_mask == sc->gfp_mask && frame->memcg_id == memcg_id(sc);
}

/* Return: false where the trampoline raised. */
static bool aim(struct frame *frame, unsigned long number,
		const struct shrink_control *sc)
{
	frame->nid = sc->nid;
	frame->gfp_mask = sc->gfp_mask;
	frame->memcg_id = memcg_id(sc);
	frame->aimed = shrinker_py_aim(frame->index, number, frame->nid,
				       frame->memcg_id, frame->gfp_mask,
				       &frame->nr_scanned);
	frame->number = frame->aimed ? number : 0;
	return frame->aimed;
}

static unsigned long number_of(const struct shrinker *shrinker)
{
	return (unsigned long)(uintptr_t)shrinker->private_data;
}

static unsigned long count_in_python(struct shrinker *shrinker,
				     struct shrink_control *sc)
{
	struct frame *frame = current_frame;
	unsigned long number = number_of(shrinker), count;

	if (!frame)
		return 0;
	if (!aimed_there(frame, sc) && !aim(frame, number, sc))
		return 0;
	count = shrinker_py_count(frame->index, number);
	/* 0 may also say that the trampoline came to nothing. */
	frame->number = count ? number : 0;
	return count;
}

static unsigned long scan_in_python(struct shrinker *shrinker,
				    struct shrink_control *sc)
{
	struct frame *frame = current_frame;
	unsigned long number = number_of(shrinker), freed;

	if (!frame)
		return SHRINK_STOP;
	if ((frame->number != number || !aimed_there(frame, sc)) &&
	    !aim(frame, number, sc))
		return SHRINK_STOP;
	frame->nr_scanned = sc->nr_to_scan;
	freed = shrinker_py_scan(frame->index, sc->nr_to_scan);
	sc->nr_scanned = frame->nr_scanned;
	return freed;
}

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

static struct frame *take_frame(void)
{
	struct frame *frame = free_frames;

	if (frame) {
		free_frames = frame->outer;
		return frame;
	}
	frame = calloc(1, sizeof(*frame));
	if (frame)
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

void python_host_enter(uintptr_t *state)
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

void python_host_leave(uintptr_t *state)
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
	.enter = python_host_enter,
	.leave = python_host_leave,
	.may_stay = may_stay_in_python,
};

void python_host_adopt(struct shrinker *shrinker, unsigned long number)
{
	shrinker->count_objects = count_in_python;
	shrinker->scan_objects = scan_in_python;
	shrinker->private_data = (void *)(uintptr_t)number;
	shrinker_set_host(shrinker, &python_host);
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
