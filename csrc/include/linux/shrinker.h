/* SPDX-License-Identifier: MIT */
/* The header under the name that sources written for the kernel include. */
#ifndef SHRINKER_LINUX_SHRINKER_H
#define SHRINKER_LINUX_SHRINKER_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/kit.h>
#include <shrinker/shrinker.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In a driver it is an allocation like others, and can be made to fail. */
struct shrinker *shrinker_kit_shrinker_alloc(const char *place, unsigned int flags,
					     const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Fails where it is registered already, or has no callbacks. */
void shrinker_kit_shrinker_register(struct shrinker *shrinker, const char *place);
/* Fails in its own callback, and the second time. */
void shrinker_kit_shrinker_free(struct shrinker *shrinker, const char *place);

#ifdef __cplusplus
}
#endif

#define shrinker_alloc(...)                                                    \
	shrinker_kit_shrinker_alloc(SHRINKER_KIT_PLACE, __VA_ARGS__)
#define shrinker_register(shrinker)                                            \
	shrinker_kit_shrinker_register((shrinker), SHRINKER_KIT_PLACE)
#define shrinker_free(shrinker)                                                \
	shrinker_kit_shrinker_free((shrinker), SHRINKER_KIT_PLACE)

#endif /* SHRINKER_LINUX_SHRINKER_H */
