/* SPDX-License-Identifier: MIT */
/* Values of pointers that must not be followed. */
#ifndef SHRINKER_LINUX_POISON_H
#define SHRINKER_LINUX_POISON_H

#define LIST_POISON1 ((struct list_head *)0x100)
#define LIST_POISON2 ((struct list_head *)0x122)
#define POISON_FREE 0x6b
#define POISON_INUSE 0x5a
#define PAGE_POISON 0xaa
#define SLUB_RED_ACTIVE 0xcc

#endif /* SHRINKER_LINUX_POISON_H */
