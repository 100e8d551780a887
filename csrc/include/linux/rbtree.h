/* SPDX-License-Identifier: MIT */
/*
 * Balanced trees of nodes inside the caller's objects.  The caller finds the place
 * and links the node; the tree keeps its balance.
 *
 * Left out: augmented trees, and reading them under RCU.
 */
#ifndef SHRINKER_LINUX_RBTREE_H
#define SHRINKER_LINUX_RBTREE_H

#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rb_node {
	struct rb_node *rb_parent, *rb_left, *rb_right;
	bool red;
};

struct rb_root {
	struct rb_node *rb_node;
};

struct rb_root_cached {
	struct rb_root rb_root;
	struct rb_node *rb_leftmost;
};

#define RB_ROOT { NULL }
#define RB_ROOT_CACHED { { NULL }, NULL }
#ifndef __cplusplus
#undef RB_ROOT
#define RB_ROOT (struct rb_root) { NULL }
#undef RB_ROOT_CACHED
#define RB_ROOT_CACHED (struct rb_root_cached) { { NULL }, NULL }
#endif
#define RB_EMPTY_ROOT(root) (READ_ONCE((root)->rb_node) == NULL)
/* A node that is in no tree is its own parent. */
#define RB_EMPTY_NODE(node) ((node)->rb_parent == (node))
#define RB_CLEAR_NODE(node) ((void)((node)->rb_parent = (node)))
#define rb_parent(node) ((node)->rb_parent)
#define rb_entry(pointer, type, member) container_of(pointer, type, member)
#define rb_entry_safe(pointer, type, member)                                   \
	__extension__({                                                        \
		__typeof__(pointer) re_ = (pointer);                           \
		re_ ? rb_entry(re_, type, member) : NULL;                      \
	})

/* Balances after @node was linked, and after it is taken out. */
void rb_insert_color(struct rb_node *node, struct rb_root *root);
void rb_erase(struct rb_node *node, struct rb_root *root);
void rb_replace_node(struct rb_node *old, struct rb_node *node,
		     struct rb_root *root);
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);
struct rb_node *rb_first_postorder(const struct rb_root *root);
struct rb_node *rb_next_postorder(const struct rb_node *node);

static inline void rb_link_node(struct rb_node *node, struct rb_node *parent,
				struct rb_node **link)
{
	node->rb_parent = parent;
	node->rb_left = node->rb_right = NULL;
	node->red = true;
	*link = node;
}

#define rb_first_cached(root) ((root)->rb_leftmost)

static inline void rb_insert_color_cached(struct rb_node *node,
					  struct rb_root_cached *root,
					  bool leftmost)
{
	if (leftmost)
		root->rb_leftmost = node;
	rb_insert_color(node, &root->rb_root);
}

static inline void rb_erase_cached(struct rb_node *node,
				   struct rb_root_cached *root)
{
	if (root->rb_leftmost == node)
		root->rb_leftmost = rb_next(node);
	rb_erase(node, &root->rb_root);
}

static inline void rb_add(struct rb_node *node, struct rb_root *root,
			  bool (*less)(struct rb_node *, const struct rb_node *))
{
	struct rb_node **link = &root->rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = less(node, parent) ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(node, parent, link);
	rb_insert_color(node, root);
}

static inline struct rb_node *
rb_find(const void *key, const struct rb_root *root,
	int (*compare)(const void *key, const struct rb_node *))
{
	struct rb_node *node = root->rb_node;
	int order;

	while (node && (order = compare(key, node)) != 0)
		node = order < 0 ? node->rb_left : node->rb_right;
	return node;
}

#define rbtree_postorder_for_each_entry_safe(entry, after, root, member)       \
	for ((entry) = rb_entry_safe(rb_first_postorder(root),                 \
				     __typeof__(*(entry)), member);            \
	     (entry) && ((after) = rb_entry_safe(                              \
				 rb_next_postorder(&(entry)->member),          \
				 __typeof__(*(entry)), member), 1);            \
	     (entry) = (after))

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_RBTREE_H */
