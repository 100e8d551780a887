/* SPDX-License-Identifier: MIT */
/*
 * What runs when a driver is loaded.  Each such function is put on a list when the
 * program starts; shrinker_test_load() calls them, in the kernel's order.
 */
#ifndef SHRINKER_LINUX_INIT_H
#define SHRINKER_LINUX_INIT_H

#include <linux/compiler.h>
#include <linux/kit.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef __cplusplus
#define __init
#define __exit
#define __initdata
#define __initconst
#define __exitdata
#endif

typedef int (*initcall_t)(void);
typedef void (*exitcall_t)(void);

/**
 * struct shrinker_kit_module - a function that loads, or one that unloads
 * @level: order; module_init() is 6
 */
struct shrinker_kit_module {
	const char *file;
	initcall_t init;
	exitcall_t leave;
	int level;
	bool loaded;
	struct shrinker_kit_module *next;
};

void shrinker_kit_add_module(struct shrinker_kit_module *module);

#define SHRINKER_KIT_CALL(name, function, member, order)                       \
	static struct shrinker_kit_module shrinker_kit_##name##_##function;    \
	__attribute__((constructor)) static void                               \
	shrinker_kit_add_##name##_##function(void)                             \
	{                                                                      \
		shrinker_kit_##name##_##function.file = __FILE__;              \
		shrinker_kit_##name##_##function.member = (function);          \
		shrinker_kit_##name##_##function.level = (order);              \
		shrinker_kit_add_module(&shrinker_kit_##name##_##function);    \
	}                                                                      \
	struct shrinker_kit_module

#define pure_initcall(function) SHRINKER_KIT_CALL(init, function, init, 0)
#define core_initcall(function) SHRINKER_KIT_CALL(init, function, init, 1)
#define postcore_initcall(function) SHRINKER_KIT_CALL(init, function, init, 2)
#define arch_initcall(function) SHRINKER_KIT_CALL(init, function, init, 3)
#define subsys_initcall(function) SHRINKER_KIT_CALL(init, function, init, 4)
#define fs_initcall(function) SHRINKER_KIT_CALL(init, function, init, 5)
#define device_initcall(function) SHRINKER_KIT_CALL(init, function, init, 6)
#define late_initcall(function) SHRINKER_KIT_CALL(init, function, init, 7)
#define __initcall(function) device_initcall(function)

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_INIT_H */
