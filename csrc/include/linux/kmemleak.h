/* SPDX-License-Identifier: MIT */
/* Left out: the kernel's search for leaks.  shrinker_test_end() tells them. */
#ifndef SHRINKER_LINUX_KMEMLEAK_H
#define SHRINKER_LINUX_KMEMLEAK_H

#define kmemleak_not_leak(pointer) ((void)(pointer))
#define kmemleak_ignore(pointer) ((void)(pointer))
#define kmemleak_alloc(pointer, size, count, gfp) ((void)(pointer))
#define kmemleak_free(pointer) ((void)(pointer))
#define kmemleak_update_trace(pointer) ((void)(pointer))
#define kmemleak_no_scan(pointer) ((void)(pointer))

#endif /* SHRINKER_LINUX_KMEMLEAK_H */
