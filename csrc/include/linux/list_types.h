/* SPDX-License-Identifier: MIT */
/* The structures of lists; <linux/list.h> has what is done with them. */
#ifndef SHRINKER_LINUX_LIST_TYPES_H
#define SHRINKER_LINUX_LIST_TYPES_H

/**
 * struct list_head - a list, or the place of an object on one
 * @next: first of the list, or successor
 * @prev: last of the list, or predecessor
 */
struct list_head {
	struct list_head *next, *prev;
};

/**
 * struct hlist_node - the place of an object in a hash bucket
 * @next: successor; NULL at the end
 * @pprev: the pointer that leads here; NULL while in no bucket
 */
struct hlist_node {
	struct hlist_node *next, **pprev;
};

/** struct hlist_head - a hash bucket: one pointer, and no way to its end */
struct hlist_head {
	struct hlist_node *first;
};

#endif /* SHRINKER_LINUX_LIST_TYPES_H */
