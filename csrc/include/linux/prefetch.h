/* SPDX-License-Identifier: MIT */
/* Hints to the processor. */
#ifndef SHRINKER_LINUX_PREFETCH_H
#define SHRINKER_LINUX_PREFETCH_H

#define prefetch(address) __builtin_prefetch(address)
#define prefetchw(address) __builtin_prefetch((address), 1)
#define spin_lock_prefetch(lock) prefetchw(lock)
#define prefetch_range(address, length) ((void)(length), prefetch(address))

#endif /* SHRINKER_LINUX_PREFETCH_H */
