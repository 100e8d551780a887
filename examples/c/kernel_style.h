// SPDX-License-Identifier: MIT
/* The demo cache, to its user. */
#ifndef KERNEL_STYLE_H
#define KERNEL_STYLE_H

/* Registers the shrinker; its scan calls are counted. 0, or -1: no memory. */
int demo_init(unsigned long *nr_scan_calls);

/* Puts @nr buffers in.  0, or -1: no memory for all of them. */
int demo_fill(unsigned long nr);

unsigned long demo_nr_buffers(void);

/* Unregisters the shrinker and frees what is left. */
void demo_exit(void);

#endif
