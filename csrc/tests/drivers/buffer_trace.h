/* SPDX-License-Identifier: MIT */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM buffer

#if !defined(TESTS_DRIVERS_BUFFER_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define TESTS_DRIVERS_BUFFER_TRACE_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(buffer_page_class,
	TP_PROTO(u32 slot, bool gone),
	TP_ARGS(slot, gone),
	TP_STRUCT__entry(
		__field(u32, slot)
		__field(bool, gone)
	),
	TP_fast_assign(
		__entry->slot = slot;
		__entry->gone = gone;
	),
	TP_printk("slot=%u gone=%d", __entry->slot, __entry->gone)
);

DEFINE_EVENT(buffer_page_class, buffer_page_freed,
	TP_PROTO(u32 slot, bool gone),
	TP_ARGS(slot, gone));

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE buffer_trace
#include <trace/define_trace.h>
