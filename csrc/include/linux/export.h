/* SPDX-License-Identifier: MIT */
/* Names for other modules: every name that is not static. */
#ifndef SHRINKER_LINUX_EXPORT_H
#define SHRINKER_LINUX_EXPORT_H

#define EXPORT_SYMBOL(name) extern __typeof__(name) name
#define EXPORT_SYMBOL_GPL(name) extern __typeof__(name) name
#define EXPORT_SYMBOL_NS(name, space) extern __typeof__(name) name
#define EXPORT_SYMBOL_NS_GPL(name, space) extern __typeof__(name) name

#endif /* SHRINKER_LINUX_EXPORT_H */
