/* SPDX-License-Identifier: MIT */
/* The end of a header of trace events: nothing is defined here. */
#ifndef SHRINKER_TRACE_DEFINE_TRACE_H
#define SHRINKER_TRACE_DEFINE_TRACE_H

#endif /* SHRINKER_TRACE_DEFINE_TRACE_H */
