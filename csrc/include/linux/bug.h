/* SPDX-License-Identifier: MIT */
/*
 * BUG() ends the test with the place; WARN() prints it, and the test fails at its
 * end (shrinker_test.h).
 *
 * Left out: stack traces.  A debugger or a sanitizer shows one at the abort().
 */
#ifndef SHRINKER_LINUX_BUG_H
#define SHRINKER_LINUX_BUG_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/kit.h>
#include <linux/printk.h>

#define BUG() shrinker_kit_bug("BUG()", SHRINKER_KIT_PLACE)
#define BUG_ON(condition)                                                      \
	do {                                                                   \
		if (unlikely(condition))                                       \
			shrinker_kit_bug("BUG_ON(" #condition ")",             \
					 SHRINKER_KIT_PLACE);                  \
	} while (0)

#define SHRINKER_KIT_WARN(condition, once, ...)                                \
	__extension__({                                                        \
		bool warn_is_ = !!(condition);                                 \
		if (unlikely(warn_is_))                                        \
			shrinker_kit_warn((once), SHRINKER_KIT_PLACE, __VA_ARGS__); \
		warn_is_;                                                      \
	})
#define SHRINKER_KIT_ONCE                                                      \
	__extension__({                                                        \
		static bool once_;                                             \
		&once_;                                                        \
	})

#define WARN(condition, ...) SHRINKER_KIT_WARN(condition, NULL, __VA_ARGS__)
#define WARN_ON(condition)                                                     \
	SHRINKER_KIT_WARN(condition, NULL, "WARN_ON(%s)\n", #condition)
#define WARN_ONCE(condition, ...)                                              \
	SHRINKER_KIT_WARN(condition, SHRINKER_KIT_ONCE, __VA_ARGS__)
#define WARN_ON_ONCE(condition)                                                \
	SHRINKER_KIT_WARN(condition, SHRINKER_KIT_ONCE, "WARN_ON(%s)\n", #condition)
#define VM_BUG_ON(condition) BUG_ON(condition)
#define VM_WARN_ON(condition) ((void)WARN_ON(condition))
#define VM_WARN_ON_ONCE(condition) WARN_ON_ONCE(condition)
#define VM_BUG_ON_PAGE(condition, page) BUG_ON(condition)

#endif /* SHRINKER_LINUX_BUG_H */
