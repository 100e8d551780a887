/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees: no red node has a red child, and every way from the root down
 * meets as many black nodes, so the longest is at most twice the shortest.
 *
 * A missing node is black.  left and right are one thing seen from two sides: side()
 * gives the link, and each case is written once.
 */
#define _GNU_SOURCE 1

#include <linux/rbtree.h>

static bool is_red(const struct rb_node *node)
{
	return node && node->red;
}

static struct rb_node **side(struct rb_node *node, bool right)
{
	return right ? &node->rb_right : &node->rb_left;
}

/* Puts @node where @old was, as far as the parent knows. */
static void replace_child(struct rb_node *old, struct rb_node *node,
			  struct rb_node *parent, struct rb_root *root)
{
	if (!parent)
		root->rb_node = node;
	else
		*side(parent, parent->rb_right == old) = node;
}

/* Lifts the child that is on the other side of @right above @node. */
static void rotate(struct rb_node *node, bool right, struct rb_root *root)
{
	struct rb_node *child = *side(node, !right);
	struct rb_node *inner = *side(child, right);

	*side(node, !right) = inner;
	if (inner)
		inner->rb_parent = node;
	child->rb_parent = node->rb_parent;
	replace_child(node, child, node->rb_parent, root);
	*side(child, right) = node;
	node->rb_parent = child;
}

void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *parent, *grandparent, *uncle;
	bool right;

	while (is_red(parent = node->rb_parent)) {
		/* A red node is not the root: there is one above. */
		grandparent = parent->rb_parent;
		right = grandparent->rb_right == parent;
		uncle = *side(grandparent, !right);
		if (is_red(uncle)) {
			parent->red = uncle->red = false;
			grandparent->red = true;
			node = grandparent;
			continue;
		}
		if (*side(parent, !right) == node) {
			rotate(parent, right, root);
			node = parent;
			parent = node->rb_parent;
		}
		parent->red = false;
		grandparent->red = true;
		rotate(grandparent, !right, root);
	}
	root->rb_node->red = false;
}

/* One black node is missing on the way to @node, which may be NULL. */
static void repair(struct rb_node *node, struct rb_node *parent,
		   struct rb_root *root)
{
	struct rb_node *sibling;
	bool right;

	while (parent && !is_red(node)) {
		right = parent->rb_right == node;
		sibling = *side(parent, !right);
		if (is_red(sibling)) {
			sibling->red = false;
			parent->red = true;
			rotate(parent, right, root);
			sibling = *side(parent, !right);
		}
		if (!is_red(sibling->rb_left) && !is_red(sibling->rb_right)) {
			sibling->red = true;
			node = parent;
			parent = node->rb_parent;
			continue;
		}
		if (!is_red(*side(sibling, !right))) {
			(*side(sibling, right))->red = false;
			sibling->red = true;
			rotate(sibling, !right, root);
			sibling = *side(parent, !right);
		}
		sibling->red = parent->red;
		parent->red = false;
		(*side(sibling, !right))->red = false;
		rotate(parent, right, root);
		return;
	}
	if (node)
		node->red = false;
}

void rb_erase(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *parent = node->rb_parent, *child, *next;
	bool red = node->red;

	if (node->rb_left && node->rb_right) {
		/* The successor has no left child: it takes the node's place. */
		for (next = node->rb_right; next->rb_left; next = next->rb_left)
			;
		red = next->red;
		child = next->rb_right;
		parent = next->rb_parent;
		if (parent == node) {
			parent = next;
		} else {
			parent->rb_left = child;
			if (child)
				child->rb_parent = parent;
			next->rb_right = node->rb_right;
			next->rb_right->rb_parent = next;
		}
		next->rb_left = node->rb_left;
		next->rb_left->rb_parent = next;
		next->red = node->red;
		next->rb_parent = node->rb_parent;
		replace_child(node, next, node->rb_parent, root);
	} else {
		child = node->rb_left ? node->rb_left : node->rb_right;
		if (child)
			child->rb_parent = parent;
		replace_child(node, child, parent, root);
	}
	if (!red)
		repair(child, parent, root);
}

void rb_replace_node(struct rb_node *old, struct rb_node *node,
		     struct rb_root *root)
{
	*node = *old;
	if (node->rb_left)
		node->rb_left->rb_parent = node;
	if (node->rb_right)
		node->rb_right->rb_parent = node;
	replace_child(old, node, old->rb_parent, root);
}

static struct rb_node *outermost(struct rb_node *node, bool right)
{
	while (node && *side(node, right))
		node = *side(node, right);
	return node;
}

static struct rb_node *neighbour(const struct rb_node *node, bool right)
{
	struct rb_node *at = (struct rb_node *)(unsigned long)node;
	struct rb_node *below = *side(at, right);

	if (below)
		return outermost(below, !right);
	while (at->rb_parent && *side(at->rb_parent, right) == at)
		at = at->rb_parent;
	return at->rb_parent;
}

struct rb_node *rb_first(const struct rb_root *root)
{
	return outermost(root->rb_node, false);
}

struct rb_node *rb_last(const struct rb_root *root)
{
	return outermost(root->rb_node, true);
}

struct rb_node *rb_next(const struct rb_node *node)
{
	return RB_EMPTY_NODE(node) ? NULL : neighbour(node, true);
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	return RB_EMPTY_NODE(node) ? NULL : neighbour(node, false);
}

/* The first without children, to the left. */
static struct rb_node *first_leaf(struct rb_node *node)
{
	while (node && (node->rb_left || node->rb_right))
		node = node->rb_left ? node->rb_left : node->rb_right;
	return node;
}

struct rb_node *rb_first_postorder(const struct rb_root *root)
{
	return first_leaf(root->rb_node);
}

struct rb_node *rb_next_postorder(const struct rb_node *node)
{
	struct rb_node *parent = node ? node->rb_parent : NULL;

	if (parent && parent->rb_left == node && parent->rb_right)
		return first_leaf(parent->rb_right);
	return parent;
}
