/* SPDX-License-Identifier: MIT */
/*
 * Memory for objects, from the C library, so that address sanitizers and valgrind
 * see each object.  Everything that was taken is known until it is given back
 * (shrinker_test_end() names leaks by the place where they were allocated), and
 * shrinker_test_fail_allocation() makes an allocation fail.  An allocation that may
 * reclaim fails the test where the thread must not sleep.
 *
 * Left out: merging, colouring and debugging of slabs; statistics.
 */
#ifndef SHRINKER_LINUX_SLAB_H
#define SHRINKER_LINUX_SLAB_H

#include <stdarg.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/hash.h>
#include <linux/kit.h>
#include <linux/list.h>
#include <linux/math.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#ifdef __cplusplus
extern "C" {
#endif

struct list_lru;

#define ZERO_SIZE_PTR ((void *)16)
#define ZERO_OR_NULL_PTR(p) ((unsigned long)(p) <= (unsigned long)ZERO_SIZE_PTR)
#define ARCH_KMALLOC_MINALIGN 16
#define KMALLOC_MAX_SIZE (1UL << 22)
#define KMALLOC_MAX_CACHE_SIZE (2 * PAGE_SIZE)

#define SLAB_HWCACHE_ALIGN (1U << 0)
#define SLAB_ACCOUNT (1U << 1)
#define SLAB_TYPESAFE_BY_RCU (1U << 2)
#define SLAB_RECLAIM_ACCOUNT 0U
#define SLAB_MEM_SPREAD 0U
#define SLAB_PANIC 0U
#define SLAB_POISON 0U
#define SLAB_RED_ZONE 0U
#define SLAB_TEMPORARY 0U
#define SLAB_NO_MERGE 0U

/* Families of allocation, each with its own way to free. */
enum shrinker_kit_kind {
	SHRINKER_KIT_KMALLOC,
	SHRINKER_KIT_KVMALLOC,
	SHRINKER_KIT_VMALLOC,
	SHRINKER_KIT_PERCPU,
	SHRINKER_KIT_OBJECT,
	SHRINKER_KIT_PAGES,
	SHRINKER_KIT_STRUCT_PAGE
};

enum shrinker_kit_free {
	SHRINKER_KIT_KFREE,
	SHRINKER_KIT_KVFREE,
	SHRINKER_KIT_VFREE,
	SHRINKER_KIT_FREE_PERCPU
};

/**
 * shrinker_kit_alloc - memory for an object
 * @size: bytes of each; @n of them; too many in all: NULL
 *
 * Aligned as malloc() does.  @gfp has __GFP_ZERO for memory of zeroes.
 */
void *shrinker_kit_alloc(enum shrinker_kit_kind kind, size_t n, size_t size, gfp_t gfp,
			 const char *place);
void *shrinker_kit_realloc(enum shrinker_kit_kind kind, const void *memory, size_t n,
			   size_t size, gfp_t gfp, const char *place);
void *shrinker_kit_memdup(const void *from, size_t size, gfp_t gfp,
			  const char *place);
/* With a NUL behind it; what is copied may have some too. */
char *shrinker_kit_memdup_nul(const char *text, size_t length, gfp_t gfp,
			      const char *place);
char *shrinker_kit_strdup(const char *text, size_t most, gfp_t gfp,
			  const char *place);
char *shrinker_kit_vasprintf(gfp_t gfp, const char *place, const char *format,
			     va_list arguments);
char *shrinker_kit_asprintf(gfp_t gfp, const char *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * shrinker_kit_free - give memory back; NULL is allowed
 *
 * Fails where @memory is not what an allocation returned, was freed before, or has to
 * be freed by another call.
 */
void shrinker_kit_free(const void *memory, enum shrinker_kit_free how,
		       const char *place);
void shrinker_kit_free_sensitive(const void *memory, const char *place);
/* As functions, for pointers; a failure has no place then. */
void kfree(const void *memory);
void kvfree(const void *memory);
size_t ksize(const void *memory);

#define kfree(memory)                                                          \
	shrinker_kit_free((memory), SHRINKER_KIT_KFREE, SHRINKER_KIT_PLACE)
#define kvfree(memory)                                                         \
	shrinker_kit_free((memory), SHRINKER_KIT_KVFREE, SHRINKER_KIT_PLACE)
#define kvfree_sensitive(memory, size) ((void)(size), kvfree(memory))
#define kfree_sensitive(memory)                                                \
	shrinker_kit_free_sensitive((memory), SHRINKER_KIT_PLACE)

#define kmalloc_array(n, size, gfp)                                            \
	shrinker_kit_alloc(SHRINKER_KIT_KMALLOC, (n), (size), (gfp), SHRINKER_KIT_PLACE)
#define kmalloc(size, gfp) kmalloc_array(1, (size), (gfp))
#define kzalloc(size, gfp) kmalloc((size), (gfp) | __GFP_ZERO)
#define kcalloc(n, size, gfp) kmalloc_array((n), (size), (gfp) | __GFP_ZERO)
#define kmalloc_node(size, gfp, nid) ((void)(nid), kmalloc(size, gfp))
#define kzalloc_node(size, gfp, nid) ((void)(nid), kzalloc(size, gfp))
#define kcalloc_node(n, size, gfp, nid) ((void)(nid), kcalloc(n, size, gfp))
#define kmalloc_array_node(n, size, gfp, nid) ((void)(nid), kmalloc_array(n, size, gfp))
#define kmalloc_size_roundup(size) (size)
#define krealloc_array(memory, n, size, gfp)                                   \
	shrinker_kit_realloc(SHRINKER_KIT_KMALLOC, (memory), (n), (size), (gfp), \
			     SHRINKER_KIT_PLACE)
#define krealloc(memory, size, gfp) krealloc_array((memory), 1, (size), (gfp))
#define kmemdup(from, size, gfp)                                               \
	shrinker_kit_memdup((from), (size), (gfp), SHRINKER_KIT_PLACE)
#define kmemdup_array(from, n, size, gfp) kmemdup((from), size_mul((n), (size)), (gfp))
#define kmemdup_nul(text, length, gfp)                                         \
	shrinker_kit_memdup_nul((text), (length), (gfp), SHRINKER_KIT_PLACE)
#define kstrdup(text, gfp)                                                     \
	shrinker_kit_strdup((text), (size_t)-1, (gfp), SHRINKER_KIT_PLACE)
#define kstrndup(text, most, gfp)                                              \
	shrinker_kit_strdup((text), (most), (gfp), SHRINKER_KIT_PLACE)
#define kstrdup_const(text, gfp) kstrdup(text, gfp)
#define kfree_const(text) kfree(text)
#define kasprintf(gfp, ...)                                                    \
	shrinker_kit_asprintf((gfp), SHRINKER_KIT_PLACE, __VA_ARGS__)
#define kvasprintf(gfp, format, arguments)                                     \
	shrinker_kit_vasprintf((gfp), SHRINKER_KIT_PLACE, (format), (arguments))
#define kvmalloc_array(n, size, gfp)                                           \
	shrinker_kit_alloc(SHRINKER_KIT_KVMALLOC, (n), (size), (gfp), SHRINKER_KIT_PLACE)
#define kvmalloc(size, gfp) kvmalloc_array(1, (size), (gfp))
#define kvzalloc(size, gfp) kvmalloc((size), (gfp) | __GFP_ZERO)
#define kvcalloc(n, size, gfp) kvmalloc_array((n), (size), (gfp) | __GFP_ZERO)
#define kvmalloc_node(size, gfp, nid) ((void)(nid), kvmalloc(size, gfp))
#define kvzalloc_node(size, gfp, nid) ((void)(nid), kvzalloc(size, gfp))
/* With the old size up to 6.11: (memory, old, size, gfp); without from 6.12 on. */
#define SHRINKER_KIT_KVREALLOC3(memory, size, gfp)                             \
	shrinker_kit_realloc(SHRINKER_KIT_KVMALLOC, (memory), 1, (size), (gfp), \
			     SHRINKER_KIT_PLACE)
#define SHRINKER_KIT_KVREALLOC4(memory, old, size, gfp)                        \
	((void)(old), SHRINKER_KIT_KVREALLOC3(memory, size, gfp))
#define kvrealloc(...)                                                         \
	SHRINKER_KIT_PICK4(__VA_ARGS__, SHRINKER_KIT_KVREALLOC4,               \
			   SHRINKER_KIT_KVREALLOC3, 0, 0)(__VA_ARGS__)
#define SHRINKER_KIT_PICK4(a, b, c, d, which, ...) which

struct kmem_cache;

/** struct kmem_cache_args - the less common properties of a cache */
struct kmem_cache_args {
	unsigned int align;
	unsigned int useroffset, usersize;
	unsigned int freeptr_offset;
	bool use_freeptr_offset;
	void (*ctor)(void *object);
};

struct kmem_cache *shrinker_kit_cache_create(const char *name, unsigned int size,
					     unsigned int align,
					     slab_flags_t flags,
					     void (*ctor)(void *object),
					     const char *place);
struct kmem_cache *
shrinker_kit_cache_create_args(const char *name, unsigned int size,
			       const struct kmem_cache_args *args,
			       slab_flags_t flags, const char *place);

void *shrinker_kit_cache_alloc(struct kmem_cache *cache, gfp_t gfp,
			       const char *place);
int shrinker_kit_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t n,
				  void **objects, const char *place);
void shrinker_kit_cache_free(struct kmem_cache *cache, void *object,
			     const char *place);
void shrinker_kit_cache_free_bulk(struct kmem_cache *cache, size_t n, void **objects,
				  const char *place);
/* For pointers. */
void kmem_cache_free(struct kmem_cache *cache, void *object);
/* Fails where objects are left. */
void shrinker_kit_cache_destroy(struct kmem_cache *cache, const char *place);
unsigned int kmem_cache_size(struct kmem_cache *cache);

static inline int kmem_cache_shrink(struct kmem_cache *cache)
{
	(void)cache;
	return 0;
}

/* With an alignment, flags and a constructor, or with kmem_cache_args and flags. */
#define SHRINKER_KIT_PICK(a, b, c, d, e, which, ...) which
#define kmem_cache_create(...)                                                 \
	SHRINKER_KIT_PICK(__VA_ARGS__, shrinker_kit_cache_create,              \
			  shrinker_kit_cache_create_args, 0, 0)(               \
		__VA_ARGS__, SHRINKER_KIT_PLACE)
#define kmem_cache_create_usercopy(name, size, align, flags, offset, length, ctor) \
	shrinker_kit_cache_create((name), (size), (align), (flags), (ctor), \
				  SHRINKER_KIT_PLACE)
#define KMEM_CACHE(type, flags)                                                \
	shrinker_kit_cache_create(#type, sizeof(struct type),                  \
				  __alignof__(struct type), (flags), NULL,     \
				  SHRINKER_KIT_PLACE)
#define KMEM_CACHE_USERCOPY(type, flags, field) KMEM_CACHE(type, flags)
#define kmem_cache_free(cache, object)                                         \
	shrinker_kit_cache_free((cache), (object), SHRINKER_KIT_PLACE)
#define kmem_cache_free_bulk(cache, n, objects)                                \
	shrinker_kit_cache_free_bulk((cache), (n), (objects), SHRINKER_KIT_PLACE)
#define kfree_bulk(n, objects)                                                 \
	do {                                                                   \
		size_t kb_i_;                                                  \
		for (kb_i_ = 0; kb_i_ < (size_t)(n); kb_i_++)                  \
			kfree((objects)[kb_i_]);                               \
	} while (0)
#define kmem_cache_destroy(cache)                                              \
	shrinker_kit_cache_destroy((cache), SHRINKER_KIT_PLACE)
#define kmem_cache_alloc(cache, gfp)                                           \
	shrinker_kit_cache_alloc((cache), (gfp), SHRINKER_KIT_PLACE)
#define kmem_cache_zalloc(cache, gfp) kmem_cache_alloc((cache), (gfp) | __GFP_ZERO)
#define kmem_cache_alloc_node(cache, gfp, nid)                                 \
	((void)(nid), kmem_cache_alloc(cache, gfp))
#define kmem_cache_alloc_lru(cache, lru, gfp)                                  \
	((void)(lru), kmem_cache_alloc(cache, gfp))
#define kmem_cache_alloc_bulk(cache, gfp, n, objects)                          \
	shrinker_kit_cache_alloc_bulk((cache), (gfp), (n), (objects),          \
				      SHRINKER_KIT_PLACE)

#ifdef __cplusplus
}
#endif

#include <linux/cleanup.h>

#ifndef __cplusplus
DEFINE_FREE(kfree, void *, if (!IS_ERR_OR_NULL(_T)) kfree(_T))
DEFINE_FREE(kvfree, void *, if (!IS_ERR_OR_NULL(_T)) kvfree(_T))
#endif

#endif /* SHRINKER_LINUX_SLAB_H */
