/* SPDX-License-Identifier: MIT */
/* Left out: the events of the kernel itself. */
#ifndef SHRINKER_TRACE_EVENTS_KMEM_H
#define SHRINKER_TRACE_EVENTS_KMEM_H

#include <linux/tracepoint.h>

#endif /* SHRINKER_TRACE_EVENTS_KMEM_H */
