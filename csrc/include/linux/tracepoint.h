/* SPDX-License-Identifier: MIT */
/*
 * Trace events: each is a function that does nothing, and is switched off.
 *
 * Left out: what an event records, and its text.  A header of events that includes itself
 * through <trace/define_trace.h> is read once.
 */
#ifndef SHRINKER_LINUX_TRACEPOINT_H
#define SHRINKER_LINUX_TRACEPOINT_H

#include <linux/types.h>

#define PARAMS(...) __VA_ARGS__
#define TP_PROTO(...) __VA_ARGS__
#define TP_ARGS(...) __VA_ARGS__
#define TP_STRUCT__entry(...)
#define TP_fast_assign(...)
#define TP_printk(...)
#define TP_CONDITION(...)

#define SHRINKER_KIT_TRACE(name, proto)                                        \
	static inline __attribute__((unused)) void trace_##name(proto)         \
	{                                                                      \
	}                                                                      \
	static inline __attribute__((unused)) bool trace_##name##_enabled(void) \
	{                                                                      \
		return false;                                                  \
	}                                                                      \
	struct shrinker_kit_trace_##name

#define TRACE_EVENT(name, proto, args, fields, assign, print)                  \
	SHRINKER_KIT_TRACE(name, PARAMS(proto))
#define TRACE_EVENT_CONDITION(name, proto, args, condition, fields, assign, print) \
	SHRINKER_KIT_TRACE(name, PARAMS(proto))
#define TRACE_EVENT_FN(name, proto, args, fields, assign, print, on, off)      \
	SHRINKER_KIT_TRACE(name, PARAMS(proto))
#define DECLARE_EVENT_CLASS(name, proto, args, fields, assign, print)          \
	struct shrinker_kit_trace_class_##name
#define DEFINE_EVENT(class_name, name, proto, args) SHRINKER_KIT_TRACE(name, PARAMS(proto))
#define DEFINE_EVENT_PRINT(class_name, name, proto, args, print)               \
	SHRINKER_KIT_TRACE(name, PARAMS(proto))
#define DEFINE_EVENT_CONDITION(class_name, name, proto, args, condition)       \
	SHRINKER_KIT_TRACE(name, PARAMS(proto))
#define DECLARE_TRACE(name, proto, args) SHRINKER_KIT_TRACE(name, PARAMS(proto))
#define TRACE_DEFINE_ENUM(name) struct shrinker_kit_nothing_at_all
#define TRACE_DEFINE_SIZEOF(name) struct shrinker_kit_nothing_at_all
#define EXPORT_TRACEPOINT_SYMBOL(name) struct shrinker_kit_nothing_at_all
#define EXPORT_TRACEPOINT_SYMBOL_GPL(name) struct shrinker_kit_nothing_at_all
#define DEFINE_TRACE(name, ...) struct shrinker_kit_nothing_at_all
#define tracepoint_enabled(name) false

#endif /* SHRINKER_LINUX_TRACEPOINT_H */
