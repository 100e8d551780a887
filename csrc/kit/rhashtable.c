/* SPDX-License-Identifier: MIT */
/* Hash tables of one size, and one lock for all of them. */
#define _GNU_SOURCE 1

#include <string.h>

#include <linux/rhashtable.h>

#include "kit.h"

#define NR_BUCKETS 1024U

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int shrinker_kit_rhashtable_init(struct rhashtable *table,
				 const struct rhashtable_params *params, const char *place)
{
	memset(table, 0, sizeof(*table));
	table->p = *params;
	mutex_init(&table->mutex);
	table->buckets = shrinker_kit_alloc(SHRINKER_KIT_KMALLOC, NR_BUCKETS,
					    sizeof(*table->buckets),
					    GFP_KERNEL | __GFP_ZERO, place);
	return table->buckets ? 0 : -ENOMEM;
}

static const char *object_of(const struct rhash_head *head,
			     const struct rhashtable_params *params)
{
	return (const char *)head - params->head_offset;
}

static struct rhash_head **bucket_of(struct rhashtable *table, const void *key,
				     const struct rhashtable_params *params)
{
	rht_hashfn_t hash = params->hashfn;

	return &table->buckets[(hash ? hash(key, params->key_len, 0) :
				       jhash(key, params->key_len, 0)) %
			       NR_BUCKETS];
}

static struct rhash_head **bucket_of_object(struct rhashtable *table,
					    const struct rhash_head *head,
					    const struct rhashtable_params *params)
{
	const char *object = object_of(head, params);

	if (params->obj_hashfn)
		return &table->buckets[params->obj_hashfn(object, params->key_len, 0) %
				       NR_BUCKETS];
	return bucket_of(table, object + params->key_offset, params);
}

static struct rhash_head *find(struct rhashtable *table, const void *key,
			       const struct rhashtable_params *params)
{
	struct rhashtable_compare_arg argument = { table, key };
	struct rhash_head *head;
	const char *object;

	for (head = *bucket_of(table, key, params); head; head = head->next) {
		object = object_of(head, params);
		if (params->obj_cmpfn ?
			    !params->obj_cmpfn(&argument, object) :
			    !memcmp(object + params->key_offset, key, params->key_len))
			return head;
	}
	return NULL;
}

void *shrinker_kit_rhashtable_lookup(struct rhashtable *table, const void *key,
				     const struct rhashtable_params *params)
{
	struct rhash_head *head;

	pthread_mutex_lock(&lock);
	head = find(table, key, params);
	pthread_mutex_unlock(&lock);
	return head ? (char *)head - params->head_offset : NULL;
}

void *shrinker_kit_rhashtable_insert(struct rhashtable *table, const void *key,
				     struct rhash_head *head,
				     const struct rhashtable_params *params)
{
	struct rhash_head *there, **bucket;

	pthread_mutex_lock(&lock);
	there = key ? find(table, key, params) : NULL;
	if (!there) {
		bucket = bucket_of_object(table, head, params);
		head->next = *bucket;
		*bucket = head;
		atomic_inc(&table->nelems);
	}
	pthread_mutex_unlock(&lock);
	return there ? (char *)there - params->head_offset : NULL;
}

int shrinker_kit_rhashtable_remove(struct rhashtable *table, struct rhash_head *head,
				   const struct rhashtable_params *params)
{
	struct rhash_head **link;
	bool found;

	pthread_mutex_lock(&lock);
	link = bucket_of_object(table, head, params);
	while (*link && *link != head)
		link = &(*link)->next;
	found = *link;
	if (found) {
		*link = head->next;
		atomic_dec(&table->nelems);
	}
	pthread_mutex_unlock(&lock);
	return found ? 0 : -ENOENT;
}

void rhashtable_walk_enter(struct rhashtable *table, struct rhashtable_iter *iter)
{
	iter->ht = table;
	iter->at = NULL;
	iter->bucket = 0;
}

/* The next is looked up before the caller may free this one. */
void *rhashtable_walk_next(struct rhashtable_iter *iter)
{
	struct rhash_head *head;

	pthread_mutex_lock(&lock);
	head = iter->at;
	while (!head && iter->bucket < NR_BUCKETS)
		head = iter->ht->buckets[iter->bucket++];
	iter->at = head ? head->next : NULL;
	pthread_mutex_unlock(&lock);
	return head ? (char *)head - iter->ht->p.head_offset : NULL;
}

void rhashtable_free_and_destroy(struct rhashtable *table,
				 void (*release)(void *object, void *argument),
				 void *argument)
{
	struct rhashtable_iter iter;
	void *object;

	rhashtable_walk_enter(table, &iter);
	while (release && (object = rhashtable_walk_next(&iter)))
		release(object, argument);
	(kfree)(table->buckets);
	table->buckets = NULL;
}
