/* SPDX-License-Identifier: MIT */
/* Parameters are plain variables, which a test sets by itself. */
#ifndef SHRINKER_LINUX_MODULEPARAM_H
#define SHRINKER_LINUX_MODULEPARAM_H

#include <linux/init.h>

/* So that the compiler takes the variable for used. */
#define module_param_named(shown, name, type, mode)                            \
	static const void *const shrinker_kit_param_##shown                    \
		__attribute__((unused)) = &(name)
#define module_param(name, type, mode) module_param_named(name, name, type, mode)
#define module_param_unsafe(name, type, mode) module_param(name, type, mode)
#define module_param_array(name, type, count, mode) module_param_named(name, name, type, mode)
#define module_param_string(shown, text, size, mode) module_param_named(shown, text, charp, mode)
#define core_param(shown, name, type, mode) module_param_named(shown, name, type, mode)
/* A declaration of nothing, to go with the semicolon. */
#define module_param_cb(name, ops, argument, mode) extern int shrinker_kit_nothing
#define MODULE_PARM_DESC(name, text) extern int shrinker_kit_nothing

#endif /* SHRINKER_LINUX_MODULEPARAM_H */
