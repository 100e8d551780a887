/* SPDX-License-Identifier: MIT */
/* Left out: stack traces; each is empty. */
#ifndef SHRINKER_LINUX_STACKTRACE_H
#define SHRINKER_LINUX_STACKTRACE_H

#include <linux/types.h>

#define stack_trace_save(store, size, skip) ((void)(store), 0U)
#define stack_trace_print(entries, n, spaces) ((void)(entries))
#define stack_trace_snprint(to, size, entries, n, spaces) 0

#endif /* SHRINKER_LINUX_STACKTRACE_H */
