/* SPDX-License-Identifier: MIT */
/*
 * The C half of the glue between the core and Python callbacks; its other half
 * is shrinker/_trampolines.py.  Part of the extension module only.
 */
#ifndef SHRINKER_PYTHON_HOST_H
#define SHRINKER_PYTHON_HOST_H

#include <shrinker/domain.h>

/* cffi knows no Python objects: what is one is a void pointer here. */

/**
 * python_host_use - say what walks hand to callbacks; called once
 * @type: derived from python_control_type(), makes an object without arguments
 * @list: receives one for each frame; the trampolines find them there
 */
void python_host_use(void *type, void *list);

/**
 * python_host_adopt - make Python functions the shrinker's callbacks
 * @number: tells the trampolines which object to call
 */
void python_host_adopt(struct shrinker *shrinker, unsigned long number);

/**
 * python_pass_scan - scan callback for one_pass_run() that calls Python
 * @arg: number of the call, as a pointer
 */
unsigned long python_pass_scan(void *arg, unsigned long nr_to_scan,
			       unsigned long *nr_scanned);

/**
 * python_host_enter - go into the interpreter, as a walk does
 * @state: a word for python_host_leave(), which the same thread calls
 *
 * In between, callbacks that python_host_adopt() has set may be called.
 */
void python_host_enter(uintptr_t *state);
void python_host_leave(uintptr_t *state);

/*
 * Ends of capsules, which own what they point to: PyCapsule_Destructor functions.
 * The GIL is held; none of them waits.
 */
void python_host_free_shrinker(void *capsule);
void python_host_put_domain(void *capsule);
void python_host_put_memcg(void *capsule);

#endif /* SHRINKER_PYTHON_HOST_H */
