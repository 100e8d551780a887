/* SPDX-License-Identifier: MIT */
/*
 * A driver as a module.  Several may be linked into one test.
 */
#ifndef SHRINKER_LINUX_MODULE_H
#define SHRINKER_LINUX_MODULE_H

#include <linux/export.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/slab.h>

#define THIS_MODULE ((struct module *)NULL)
#ifndef KBUILD_MODNAME
#define KBUILD_MODNAME "module"
#endif
struct module;

#define module_init(function) SHRINKER_KIT_CALL(init, function, init, 6)
#define module_exit(function) SHRINKER_KIT_CALL(exit, function, leave, 6)

#define MODULE_LICENSE(text) extern int shrinker_kit_nothing
#define MODULE_AUTHOR(text) extern int shrinker_kit_nothing
#define MODULE_DESCRIPTION(text) extern int shrinker_kit_nothing
#define MODULE_VERSION(text) extern int shrinker_kit_nothing
#define MODULE_ALIAS(text) extern int shrinker_kit_nothing
#define MODULE_INFO(tag, text) extern int shrinker_kit_nothing
#define MODULE_IMPORT_NS(space) extern int shrinker_kit_nothing
#define MODULE_SOFTDEP(text) extern int shrinker_kit_nothing
#define MODULE_DEVICE_TABLE(type, name) extern int shrinker_kit_nothing

#define try_module_get(module) ((void)(module), true)
#define module_put(module) ((void)(module))
#define __module_get(module) ((void)(module))

#endif /* SHRINKER_LINUX_MODULE_H */
