/* SPDX-License-Identifier: MIT */
/*
 * Hash tables that grow by themselves.
 *
 * Here a table has one size, and a lock of the library is held for each step.  Left out:
 * rhltable, rhashtable_walk_peek(), and changes that a walk would have to be told of (it never says -EAGAIN).
 */
#ifndef SHRINKER_LINUX_RHASHTABLE_H
#define SHRINKER_LINUX_RHASHTABLE_H

#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/jhash.h>
#include <linux/kit.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif


struct rhash_head {
	struct rhash_head *next;
};
struct rhashtable;
struct rhashtable_compare_arg {
	struct rhashtable *ht;
	const void *key;
};
typedef u32 (*rht_hashfn_t)(const void *data, u32 length, u32 seed);
typedef u32 (*rht_obj_hashfn_t)(const void *data, u32 length, u32 seed);
typedef int (*rht_obj_cmpfn_t)(struct rhashtable_compare_arg *argument, const void *object);

struct rhashtable_params {
	u16 nelem_hint, key_len, key_offset, head_offset;
	unsigned int max_size;
	u16 min_size;
	bool automatic_shrinking;
	rht_hashfn_t hashfn;
	rht_obj_hashfn_t obj_hashfn;
	rht_obj_cmpfn_t obj_cmpfn;
};

/** struct rhashtable - @p, @nelems, @mutex may be read; the rest is the library's */
struct rhashtable {
	struct rhashtable_params p;
	atomic_t nelems;
	struct mutex mutex;
	struct rhash_head **buckets;
};

struct rhashtable_iter {
	struct rhashtable *ht;
	struct rhash_head *at;
	unsigned int bucket;
};

int shrinker_kit_rhashtable_init(struct rhashtable *table,
				 const struct rhashtable_params *params, const char *place);
void rhashtable_free_and_destroy(struct rhashtable *table,
				 void (*release)(void *object, void *argument),
				 void *argument);
void *shrinker_kit_rhashtable_lookup(struct rhashtable *table, const void *key,
				     const struct rhashtable_params *params);
/* Return: NULL where @head was put in, or the object that has the key already. */
void *shrinker_kit_rhashtable_insert(struct rhashtable *table, const void *key,
				     struct rhash_head *head,
				     const struct rhashtable_params *params);
int shrinker_kit_rhashtable_remove(struct rhashtable *table, struct rhash_head *head,
				   const struct rhashtable_params *params);
void rhashtable_walk_enter(struct rhashtable *table, struct rhashtable_iter *iter);
void *rhashtable_walk_next(struct rhashtable_iter *iter);

#ifdef __cplusplus
}
#endif

#define rhashtable_init(table, params)                                         \
	shrinker_kit_rhashtable_init((table), (params), SHRINKER_KIT_PLACE)
#define rhashtable_destroy(table) rhashtable_free_and_destroy((table), NULL, NULL)
#define rhashtable_lookup_fast(table, key, params)                             \
	__extension__({                                                        \
		const struct rhashtable_params rl_ = params;                   \
		shrinker_kit_rhashtable_lookup((table), (key), &rl_);          \
	})
#define rhashtable_lookup(table, key, params) rhashtable_lookup_fast(table, key, params)
#define rhashtable_lookup_get_insert_key(table, key, head, params)             \
	__extension__({                                                        \
		const struct rhashtable_params ri_ = params;                   \
		shrinker_kit_rhashtable_insert((table), (key), (head), &ri_);  \
	})
#define SHRINKER_KIT_RHT_KEY(head, params)                                     \
	((const char *)(head) - (params).head_offset + (params).key_offset)
#define rhashtable_lookup_get_insert_fast(table, head, params)                 \
	rhashtable_lookup_get_insert_key(table, SHRINKER_KIT_RHT_KEY(head, params), head, params)
#define rhashtable_lookup_insert_fast(table, head, params)                     \
	(rhashtable_lookup_get_insert_fast(table, head, params) ? -EEXIST : 0)
#define rhashtable_lookup_insert_key(table, key, head, params)                 \
	(rhashtable_lookup_get_insert_key(table, key, head, params) ? -EEXIST : 0)
#define rhashtable_insert_fast(table, head, params)                            \
	((void)rhashtable_lookup_get_insert_key(table, NULL, head, params), 0)
#define rhashtable_remove_fast(table, head, params)                            \
	__extension__({                                                        \
		const struct rhashtable_params rr_ = params;                   \
		shrinker_kit_rhashtable_remove((table), (head), &rr_);         \
	})
#define rhashtable_walk_start(iter) ((void)(iter))
#define rhashtable_walk_start_check(iter) ((void)(iter), 0)
#define rhashtable_walk_stop(iter) ((void)(iter))
#define rhashtable_walk_exit(iter) ((void)(iter))

#endif /* SHRINKER_LINUX_RHASHTABLE_H */
