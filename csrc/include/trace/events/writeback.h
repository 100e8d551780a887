/* SPDX-License-Identifier: MIT */
/* Left out: the events of the kernel itself. */
#ifndef SHRINKER_TRACE_EVENTS_WRITEBACK_H
#define SHRINKER_TRACE_EVENTS_WRITEBACK_H

#include <linux/tracepoint.h>

#endif /* SHRINKER_TRACE_EVENTS_WRITEBACK_H */
