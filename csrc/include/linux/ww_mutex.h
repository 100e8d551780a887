/* SPDX-License-Identifier: MIT */
/*
 * Mutexes that are taken in any order.
 *
 * Left out: the back-off.  Taking one that this thread holds says -EALREADY.
 */
#ifndef SHRINKER_LINUX_WW_MUTEX_H
#define SHRINKER_LINUX_WW_MUTEX_H

#include <linux/errno.h>
#include <linux/mutex.h>

struct ww_class {
	char unused;
};
struct ww_acquire_ctx {
	struct ww_class *ww_class;
};
struct ww_mutex {
	struct mutex base;
	struct ww_acquire_ctx *ctx;
};
#define DEFINE_WW_CLASS(name) struct ww_class name = { 0 }
#define DEFINE_WD_CLASS(name) DEFINE_WW_CLASS(name)
#define ww_mutex_init(lock, which) mutex_init(&(lock)->base)
#define ww_mutex_destroy(lock) mutex_destroy(&(lock)->base)
#define ww_acquire_init(ctx, which) ((void)((ctx)->ww_class = (which)))
#define ww_acquire_done(ctx) ((void)(ctx))
#define ww_acquire_fini(ctx) ((void)(ctx))
#define ww_mutex_lock(lock, ctx)                                               \
	((void)(ctx), shrinker_kit_held(&(lock)->base) ?                       \
			      -EALREADY :                                      \
			      SHRINKER_KIT_VALUE(mutex_lock(&(lock)->base), 0))
#define ww_mutex_lock_interruptible(lock, ctx) ww_mutex_lock(lock, ctx)
#define ww_mutex_lock_slow(lock, ctx) ((void)ww_mutex_lock(lock, ctx))
#define ww_mutex_trylock(lock, ctx) ((void)(ctx), mutex_trylock(&(lock)->base))
#define ww_mutex_unlock(lock) mutex_unlock(&(lock)->base)
#define ww_mutex_is_locked(lock) mutex_is_locked(&(lock)->base)

#endif /* SHRINKER_LINUX_WW_MUTEX_H */
