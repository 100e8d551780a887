// SPDX-License-Identifier: MIT
/* The functions of the demo cache. */
#ifndef KERNEL_STYLE_H
#define KERNEL_STYLE_H

/* Registers the shrinker, which counts its scan calls.  Returns 0; -1: no memory. */
int demo_init(unsigned long *nr_scan_calls);

/* Puts in @nr buffers.  Returns 0; -1: no memory for all of them. */
int demo_fill(unsigned long nr);

unsigned long demo_nr_buffers(void);

/* Unregisters the shrinker and frees what is left. */
void demo_exit(void);

#endif
