/* SPDX-License-Identifier: MIT */
/* Objects by number; who has one puts it. */
#ifndef OBJECT_CACHE_H
#define OBJECT_CACHE_H

#include <linux/types.h>

struct object;

/* NULL: there is none. */
struct object *object_get(u32 key);
/* A new one, got; NULL: no memory. */
struct object *object_create(u32 key);
void object_put(struct object *object);

#endif
