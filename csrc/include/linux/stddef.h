/* SPDX-License-Identifier: MIT */
/* Offsets, and members that share a place. */
#pragma GCC system_header
#ifndef SHRINKER_LINUX_STDDEF_H
#define SHRINKER_LINUX_STDDEF_H

#include_next <linux/stddef.h>
#include <stddef.h>
#include <linux/compiler_types.h>

#ifndef offsetofend
#define offsetofend(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#endif
#define sizeof_field(type, member) (sizeof(((type *)0)->member))
#ifndef struct_group
#define struct_group(name, ...)                                                \
	union {                                                                \
		struct {                                                       \
			__VA_ARGS__                                            \
		};                                                             \
		struct {                                                       \
			__VA_ARGS__                                            \
		} name;                                                        \
	}
#endif
#ifndef DECLARE_FLEX_ARRAY
#define DECLARE_FLEX_ARRAY(type, name)                                         \
	struct {                                                               \
		struct {                                                       \
		} name##_empty;                                                \
		type name[];                                                   \
	}
#endif

#endif /* SHRINKER_LINUX_STDDEF_H */
