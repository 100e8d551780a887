/* SPDX-License-Identifier: MIT */
#ifndef SHRINKER_LINUX_CONTAINER_OF_H
#define SHRINKER_LINUX_CONTAINER_OF_H

#include <stddef.h>

/* The object of which @pointer is the @member. */
#ifndef container_of
#define container_of(pointer, type, member)                                    \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))
#endif
#define container_of_const(pointer, type, member)                              \
	container_of(pointer, type, member)

#endif /* SHRINKER_LINUX_CONTAINER_OF_H */
