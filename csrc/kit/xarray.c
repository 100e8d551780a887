/* SPDX-License-Identifier: MIT */
/* Arrays with any index: a tree of entries, and one lock for all arrays. */
#define _GNU_SOURCE 1

#include <stdlib.h>

#include <linux/xarray.h>

#include "kit.h"

/** struct entry - what is stored at an index; @marks: a bit for each mark */
struct entry {
	struct rb_node node;
	unsigned long index;
	void *stored;
	unsigned int marks;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void xa_init_flags(struct xarray *xa, unsigned int flags)
{
	spin_lock_init(&xa->xa_lock);
	xa->xa_flags = flags;
	xa->root.rb_node = NULL;
	xa->next = 0;
}

/* The lowest entry that is not below an index; NULL: none.  Under the lock. */
static struct entry *first_from(struct xarray *xa, unsigned long index)
{
	struct rb_node *node = xa->root.rb_node;
	struct entry *found = NULL;

	while (node) {
		struct entry *entry = rb_entry(node, struct entry, node);

		if (entry->index >= index) {
			found = entry;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

static struct entry *entry_at(struct xarray *xa, unsigned long index)
{
	struct entry *entry = first_from(xa, index);

	return entry && entry->index == index ? entry : NULL;
}

static bool is_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct entry, node)->index <
	       rb_entry(b, struct entry, node)->index;
}

void *xa_load(struct xarray *xa, unsigned long index)
{
	struct entry *entry;
	void *stored;

	pthread_mutex_lock(&lock);
	entry = entry_at(xa, index);
	stored = entry ? entry->stored : NULL;
	pthread_mutex_unlock(&lock);
	return stored;
}

void *shrinker_kit_xa_find(struct xarray *xa, unsigned long *index, unsigned long most,
			   xa_mark_t mark, bool after)
{
	struct entry *entry = NULL;
	struct rb_node *node;
	void *stored = NULL;

	if (after && *index == ~0UL)
		return NULL;
	pthread_mutex_lock(&lock);
	entry = first_from(xa, *index + after);
	while (entry && mark != XA_PRESENT && !(entry->marks & 1U << mark)) {
		node = rb_next(&entry->node);
		entry = node ? rb_entry(node, struct entry, node) : NULL;
	}
	if (entry && entry->index <= most) {
		*index = entry->index;
		stored = entry->stored;
	}
	pthread_mutex_unlock(&lock);
	return stored;
}

static void put(struct xarray *xa, struct entry *entry, unsigned long index, void *stored)
{
	entry->index = index;
	entry->stored = stored;
	entry->marks = 0;
	rb_add(&entry->node, &xa->root, is_less);
}

void *shrinker_kit_xa_store(struct xarray *xa, unsigned long index, void *old, bool any,
			    void *stored, gfp_t gfp, const char *place)
{
	struct entry *fresh = NULL, *entry, *gone = NULL;
	void *was;

	if (stored) {
		fresh = shrinker_kit_alloc(SHRINKER_KIT_KMALLOC, 1, sizeof(*fresh), gfp,
					   place);
		if (!fresh)
			return XA_ERROR(-ENOMEM);
	}
	pthread_mutex_lock(&lock);
	entry = entry_at(xa, index);
	was = entry ? entry->stored : NULL;
	if (!any && was != old) {
		gone = fresh;
	} else if (entry && stored) {
		entry->stored = stored;
		gone = fresh;
	} else if (entry) {
		rb_erase(&entry->node, &xa->root);
		gone = entry;
	} else if (stored) {
		put(xa, fresh, index, stored);
	}
	pthread_mutex_unlock(&lock);
	shrinker_kit_free(gone, SHRINKER_KIT_KFREE, place);
	return was;
}

/* The lowest index in a range without an entry; -1: none.  Under the lock. */
static long long free_index(struct xarray *xa, u32 least, u32 most)
{
	struct entry *entry = first_from(xa, least);
	struct rb_node *node;
	u64 index = least;

	while (entry && entry->index == index) {
		index++;
		node = rb_next(&entry->node);
		entry = node ? rb_entry(node, struct entry, node) : NULL;
	}
	return index <= most ? (long long)index : -1;
}

int shrinker_kit_xa_alloc(struct xarray *xa, u32 *index, void *stored,
			  struct xa_limit limit, u32 first, gfp_t gfp, const char *place)
{
	struct entry *fresh = shrinker_kit_alloc(SHRINKER_KIT_KMALLOC, 1, sizeof(*fresh),
						 gfp, place);
	long long at = -1;
	u32 least = limit.min;

	if (!fresh)
		return -ENOMEM;
	if (!least && (xa->xa_flags & XA_FLAGS_ALLOC1) == XA_FLAGS_ALLOC1)
		least = 1;
	pthread_mutex_lock(&lock);
	if (first > least)
		at = free_index(xa, first, limit.max);
	if (at < 0)
		at = free_index(xa, least, limit.max);
	if (at >= 0) {
		put(xa, fresh, (unsigned long)at, stored);
		*index = (u32)at;
	}
	pthread_mutex_unlock(&lock);
	if (at < 0)
		shrinker_kit_free(fresh, SHRINKER_KIT_KFREE, place);
	return at < 0 ? -EBUSY : 0;
}

void xa_destroy(struct xarray *xa)
{
	unsigned long index;
	void *stored;

	xa_for_each(xa, index, stored)
		xa_erase(xa, index);
}

bool xa_get_mark(struct xarray *xa, unsigned long index, xa_mark_t mark)
{
	struct entry *entry;
	bool marked;

	pthread_mutex_lock(&lock);
	entry = entry_at(xa, index);
	marked = entry && entry->marks & 1U << mark;
	pthread_mutex_unlock(&lock);
	return marked;
}

void shrinker_kit_xa_mark(struct xarray *xa, unsigned long index, xa_mark_t mark, bool set)
{
	struct entry *entry;

	pthread_mutex_lock(&lock);
	entry = entry_at(xa, index);
	if (entry)
		entry->marks = set ? entry->marks | 1U << mark :
				     entry->marks & ~(1U << mark);
	pthread_mutex_unlock(&lock);
}
