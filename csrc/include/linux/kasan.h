/* SPDX-License-Identifier: MIT */
/* Left out: the kernel's sanitizer.  Compile the test under one of the compiler's. */
#ifndef SHRINKER_LINUX_KASAN_H
#define SHRINKER_LINUX_KASAN_H

#define kasan_poison_object_data(cache, object) ((void)(object))
#define kasan_unpoison_object_data(cache, object) ((void)(object))
#define kasan_unpoison_range(address, size) ((void)(address), (void)(size))
#define kasan_reset_tag(address) ((void *)(unsigned long)(address))
#define kasan_mempool_poison_object(object) ((void)(object), true)
#define kasan_mempool_unpoison_object(object, size) ((void)(object))

#endif /* SHRINKER_LINUX_KASAN_H */
