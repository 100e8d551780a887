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
 *
 * Return: a new reference to two functions: called(number), which the trampoline
 * tells what a callback has returned, and which says whether to scan now; and
 * next_pass(), which says whom to count next.  NULL with an exception set.
 */
void *python_host_use(void *type, void *list);

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
 * python_host_hold_gil - have walks go into the interpreter for callbacks in C
 *
 * For callbacks that call Python by other means than python_host_adopt()'s, which
 * `shrinker bench --peers` compares.
 */
void python_host_hold_gil(struct shrinker *shrinker);

/*
 * Ends of capsules, which own what they point to: PyCapsule_Destructor functions.
 * The GIL is held; none of them waits.
 */
void python_host_free_shrinker(void *capsule);
void python_host_put_domain(void *capsule);
void python_host_put_memcg(void *capsule);

#endif /* SHRINKER_PYTHON_HOST_H */
