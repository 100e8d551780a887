/* SPDX-License-Identifier: MIT */
/*
 * Memory for objects: whether an allocation goes on or is to fail, kmalloc() and its
 * kind, copies of memory and text.
 */
#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrinker_test.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

#include "blocks.h"

/* Bytes of one allocation by vmalloc() and its kind. */
#define MAX_SIZE (1UL << 30)

static _Atomic(unsigned long) nr_allocations;
/* The number of the allocation that is to fail; 0: none. */
static _Atomic(unsigned long) failing;
static _Atomic(unsigned long) reclaim_every;
static _Atomic(int) reclaim_priority;

/* --- whether an allocation goes on ---------------------------------------------- */

bool kit_may_allocate(gfp_t gfp, const char *place)
{
	unsigned long nth, every;

	gfp = current_gfp_context(gfp);
	if (gfp & __GFP_DIRECT_RECLAIM)
		shrinker_kit_might_sleep(place);
	if (gfp & __GFP_NOFAIL)
		return true;
	nth = ++nr_allocations;
	every = reclaim_every;
	if (every && nth % every == 0 && gfp & __GFP_DIRECT_RECLAIM &&
	    !(current->flags & PF_MEMALLOC) && !reclaim_in_callback()) {
		current->flags |= PF_MEMALLOC;
		shrink_slab(gfp, 0, NULL, reclaim_priority);
		current->flags &= ~PF_MEMALLOC;
	}
	return nth != failing;
}

bool shrinker_kit_may_allocate(const char *place)
{
	return kit_may_allocate(GFP_KERNEL, place);
}

void shrinker_test_fail_allocation(unsigned long nth)
{
	failing = nth ? nr_allocations + nth : 0;
}

unsigned long shrinker_test_allocations(void)
{
	return nr_allocations;
}

void shrinker_test_reclaim_on_allocation(unsigned long every, int priority)
{
	reclaim_priority = priority;
	reclaim_every = every;
}

void kit_memory_begin(void)
{
	nr_allocations = 0;
	failing = 0;
	reclaim_every = 0;
}

static bool is_charged(gfp_t gfp, const struct kmem_cache *cache)
{
	return gfp & __GFP_ACCOUNT || (cache && cache->flags & SLAB_ACCOUNT);
}

struct block *kit_allocate(enum shrinker_kit_kind kind, size_t size, size_t align,
			   gfp_t gfp, struct kmem_cache *cache, const char *place)
{
	struct block *block;

	if (!kit_may_allocate(gfp, place))
		return NULL;
	block = calloc(1, sizeof(*block));
	if (!block)
		return NULL;
	block->memory = align > ARCH_KMALLOC_MINALIGN ?
				aligned_alloc(align, ALIGN(size, align)) :
				malloc(size);
	if (!block->memory) {
		free(block);
		return NULL;
	}
	if (gfp & __GFP_ZERO)
		memset(block->memory, 0, size);
	block->size = size;
	block->place = place;
	block->kind = kind;
	block->cache = cache;
	if (is_charged(gfp, cache))
		block->memcg = current->active_memcg;
	return block;
}

/* --- kmalloc() and its kind ----------------------------------------------------- */

void *shrinker_kit_alloc(enum shrinker_kit_kind kind, size_t n, size_t size, gfp_t gfp,
			 const char *place)
{
	struct block *block;
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) ||
	    bytes > (kind == SHRINKER_KIT_KMALLOC ? KMALLOC_MAX_SIZE : MAX_SIZE))
		return NULL;
	if (!bytes)
		return kind == SHRINKER_KIT_VMALLOC ? NULL : ZERO_SIZE_PTR;
	block = kit_allocate(kind, bytes, kind == SHRINKER_KIT_VMALLOC ? PAGE_SIZE : 0, gfp,
			 NULL, place);
	if (!block)
		return NULL;
	kit_remember(block);
	return block->memory;
}

static const struct {
	const char *call;
	unsigned int kinds;
} frees[] = {
	[SHRINKER_KIT_KFREE] = { "kfree()", 1U << SHRINKER_KIT_KMALLOC |
						    1U << SHRINKER_KIT_OBJECT },
	[SHRINKER_KIT_KVFREE] = { "kvfree()", 1U << SHRINKER_KIT_KMALLOC |
						      1U << SHRINKER_KIT_KVMALLOC |
						      1U << SHRINKER_KIT_VMALLOC |
						      1U << SHRINKER_KIT_OBJECT },
	[SHRINKER_KIT_VFREE] = { "vfree()", 1U << SHRINKER_KIT_VMALLOC },
	[SHRINKER_KIT_FREE_PERCPU] = { "free_percpu()", 1U << SHRINKER_KIT_PERCPU },
};

void shrinker_kit_free(const void *memory, enum shrinker_kit_free how,
		       const char *place)
{
	struct block *block;

	if (ZERO_OR_NULL_PTR(memory))
		return;
	block = kit_take_block(memory, frees[how].kinds, NULL, frees[how].call, place);
	if (block)
		kit_free_block(block, place);
}

/* For pointers to functions. */
void (kfree)(const void *memory)
{
	shrinker_kit_free(memory, SHRINKER_KIT_KFREE, "a pointer to kfree()");
}

void (kvfree)(const void *memory)
{
	shrinker_kit_free(memory, SHRINKER_KIT_KVFREE, "a pointer to kvfree()");
}

void (vfree)(const void *memory)
{
	shrinker_kit_free(memory, SHRINKER_KIT_VFREE, "a pointer to vfree()");
}

/* Looks at the memory when it is given, since later its place is not known. */
bool shrinker_kit_may_free_later(const void *memory, const char *place)
{
	struct block *block;
	bool right;

	kit_lock_blocks();
	block = kit_find_block(memory);
	right = kit_is_right(block, memory, frees[SHRINKER_KIT_KVFREE].kinds, NULL);
	if (right)
		block->freeing = place;
	kit_unlock_blocks();
	if (!right)
		kit_wrong_free("kfree_rcu()", memory, place);
	return right;
}

/* What shrinker_kit_may_free_later() has allowed. */
void kit_free_after_readers(void *memory)
{
	struct block *block;

	kit_lock_blocks();
	block = kit_find_block(memory);
	kit_forget(block, block->freeing);
	kit_unlock_blocks();
	kit_free_block(block, block->freeing);
}

size_t ksize(const void *memory)
{
	struct block *block;
	size_t size = 0;

	kit_lock_blocks();
	block = kit_find_block(memory);
	if (block && block->memory == memory)
		size = block->size;
	kit_unlock_blocks();
	return size;
}

bool is_vmalloc_addr(const void *memory)
{
	struct block *block;
	bool is;

	kit_lock_blocks();
	block = kit_find_block(memory);
	is = block && block->kind == SHRINKER_KIT_VMALLOC;
	kit_unlock_blocks();
	return is;
}

void shrinker_kit_free_sensitive(const void *memory, const char *place)
{
	if (!ZERO_OR_NULL_PTR(memory))
		memzero_explicit((void *)(unsigned long)memory, ksize(memory));
	shrinker_kit_free(memory, SHRINKER_KIT_KFREE, place);
}

void *shrinker_kit_realloc(enum shrinker_kit_kind kind, const void *memory, size_t n,
			   size_t size, gfp_t gfp, const char *place)
{
	size_t old = ZERO_OR_NULL_PTR(memory) ? 0 : ksize(memory);
	void *larger = shrinker_kit_alloc(kind, n, size, gfp, place);

	if (!larger)
		return NULL;
	if (old && larger != ZERO_SIZE_PTR)
		memcpy(larger, memory, old < n * size ? old : n * size);
	shrinker_kit_free(memory,
			  kind == SHRINKER_KIT_KMALLOC ? SHRINKER_KIT_KFREE :
							 SHRINKER_KIT_KVFREE,
			  place);
	return larger;
}

void *shrinker_kit_memdup(const void *from, size_t size, gfp_t gfp,
			  const char *place)
{
	void *copy = shrinker_kit_alloc(SHRINKER_KIT_KMALLOC, 1, size, gfp, place);

	if (!ZERO_OR_NULL_PTR(copy))
		memcpy(copy, from, size);
	return copy;
}

char *shrinker_kit_memdup_nul(const char *text, size_t length, gfp_t gfp,
			      const char *place)
{
	char *copy;

	if (!text)
		return NULL;
	copy = shrinker_kit_alloc(SHRINKER_KIT_KMALLOC, 1, length + 1, gfp, place);
	if (!copy)
		return NULL;
	memcpy(copy, text, length);
	copy[length] = 0;
	return copy;
}

char *shrinker_kit_strdup(const char *text, size_t most, gfp_t gfp,
			  const char *place)
{
	return shrinker_kit_memdup_nul(text, text ? strnlen(text, most) : 0, gfp, place);
}

char *shrinker_kit_vasprintf(gfp_t gfp, const char *place, const char *format,
			     va_list arguments)
{
	char *text, *copy;

	if (vasprintf(&text, format, arguments) < 0)
		return NULL;
	copy = shrinker_kit_strdup(text, (size_t)-1, gfp, place);
	free(text);
	return copy;
}

char *shrinker_kit_asprintf(gfp_t gfp, const char *place, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	text = shrinker_kit_vasprintf(gfp, place, format, arguments);
	va_end(arguments);
	return text;
}
