/* SPDX-License-Identifier: MIT */
/* Arrays of hash buckets, of a size that is a power of two. */
#ifndef SHRINKER_LINUX_HASHTABLE_H
#define SHRINKER_LINUX_HASHTABLE_H

#include <linux/hash.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/rculist.h>

#define DECLARE_HASHTABLE(name, bits) struct hlist_head name[1 << (bits)]
#define DEFINE_HASHTABLE(name, bits) DECLARE_HASHTABLE(name, bits) = { { NULL } }
#define HASH_SIZE(table) (sizeof(table) / sizeof((table)[0]))
#define HASH_BITS(table) ilog2(HASH_SIZE(table))
#define hash_min(value, bits)                                                  \
	(sizeof(value) <= 4 ? hash_32((u32)(value), (unsigned int)(bits)) :    \
			      hash_long((u64)(value), (unsigned int)(bits)))
#define SHRINKER_BUCKET(table, key) (&(table)[hash_min(key, HASH_BITS(table))])

#define hash_init(table)                                                       \
	do {                                                                   \
		size_t hi_;                                                    \
		for (hi_ = 0; hi_ < HASH_SIZE(table); hi_++)                   \
			INIT_HLIST_HEAD(&(table)[hi_]);                        \
	} while (0)
#define hash_add(table, node, key) hlist_add_head((node), SHRINKER_BUCKET(table, key))
#define hash_add_rcu(table, node, key)                                         \
	hlist_add_head_rcu((node), SHRINKER_BUCKET(table, key))
#define hash_del(node) hlist_del_init(node)
#define hash_del_rcu(node) hlist_del_init_rcu(node)
#define hash_hashed(node) (!hlist_unhashed(node))
#define hash_empty(table)                                                      \
	__extension__({                                                        \
		size_t he_;                                                    \
		bool empty_ = true;                                            \
		for (he_ = 0; he_ < HASH_SIZE(table); he_++)                   \
			empty_ = empty_ && hlist_empty(&(table)[he_]);         \
		empty_;                                                        \
	})
#define hash_for_each(table, bucket, entry, member)                            \
	for ((bucket) = 0, (entry) = NULL;                                     \
	     !(entry) && (size_t)(bucket) < HASH_SIZE(table); (bucket)++)      \
		hlist_for_each_entry(entry, &(table)[bucket], member)
#define hash_for_each_safe(table, bucket, after, entry, member)                \
	for ((bucket) = 0, (entry) = NULL;                                     \
	     !(entry) && (size_t)(bucket) < HASH_SIZE(table); (bucket)++)      \
		hlist_for_each_entry_safe(entry, after, &(table)[bucket], member)
#define hash_for_each_possible(table, entry, member, key)                      \
	hlist_for_each_entry(entry, SHRINKER_BUCKET(table, key), member)
#define hash_for_each_possible_safe(table, entry, after, member, key)          \
	hlist_for_each_entry_safe(entry, after, SHRINKER_BUCKET(table, key), member)
#define hash_for_each_possible_rcu(table, entry, member, key, ...)             \
	hlist_for_each_entry_rcu(entry, SHRINKER_BUCKET(table, key), member)

#endif /* SHRINKER_LINUX_HASHTABLE_H */
