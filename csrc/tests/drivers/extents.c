// SPDX-License-Identifier: MIT
/*
 * Where blocks of files are, in the kernel's idiom: a tree for each inode, a list of the
 * inodes that have one, and a shrinker for each super block.
 */
#include <linux/list_sort.h>
#include <linux/module.h>
#include <linux/percpu_counter.h>
#include <linux/proc_fs.h>
#include <linux/rbtree.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "extents.h"

struct extent {
	struct rb_node node;
	u32 block;
	u64 where;
};

static struct kmem_cache *extent_cachep;

static inline struct extents_inode *EXTENTS_I(struct inode *inode)
{
	return container_of(inode, struct extents_inode, vfs_inode);
}

static inline struct extents_sb *EXTENTS_SB(struct super_block *sb)
{
	return sb->s_fs_info;
}

void extents_begin(struct inode *inode)
{
	struct extents_inode *ei = EXTENTS_I(inode);

	ei->tree = RB_ROOT;
	rwlock_init(&ei->lock);
	INIT_LIST_HEAD(&ei->list);
	ei->nr = 0;
}

static struct extent *extent_find(struct extents_inode *ei, u32 block)
{
	struct rb_node *node = ei->tree.rb_node;
	struct extent *extent;

	lockdep_assert_held(&ei->lock);
	while (node) {
		extent = rb_entry(node, struct extent, node);
		if (block < extent->block)
			node = node->rb_left;
		else if (block > extent->block)
			node = node->rb_right;
		else
			return extent;
	}
	return NULL;
}

bool extents_lookup(struct inode *inode, u32 block, u64 *where)
{
	struct extents_inode *ei = EXTENTS_I(inode);
	struct extent *extent;

	read_lock(&ei->lock);
	extent = extent_find(ei, block);
	if (extent)
		*where = extent->where;
	read_unlock(&ei->lock);
	return extent;
}

int extents_insert(struct inode *inode, u32 block, u64 where)
{
	struct extents_inode *ei = EXTENTS_I(inode);
	struct extents_sb *sbi = EXTENTS_SB(inode->i_sb);
	struct rb_node **p, *parent = NULL;
	struct extent *extent;

	extent = kmem_cache_alloc(extent_cachep, GFP_NOFS);
	if (!extent)
		return -ENOMEM;
	extent->block = block;
	extent->where = where;
	write_lock(&ei->lock);
	for (p = &ei->tree.rb_node; *p;) {
		parent = *p;
		if (block < rb_entry(parent, struct extent, node)->block)
			p = &parent->rb_left;
		else
			p = &parent->rb_right;
	}
	rb_link_node(&extent->node, parent, p);
	rb_insert_color(&extent->node, &ei->tree);
	percpu_counter_inc(sbi->count);
	if (!ei->nr++) {
		spin_lock(&sbi->lock);
		list_add_tail(&ei->list, &sbi->inodes);
		spin_unlock(&sbi->lock);
	}
	write_unlock(&ei->lock);
	return 0;
}

/* Frees the first extents of an inode; called with its lock. */
static unsigned long extents_reclaim(struct extents_sb *sbi, struct extents_inode *ei,
				     unsigned long nr)
{
	unsigned long freed = 0;
	struct rb_node *node;

	while (freed < nr && (node = rb_first(&ei->tree))) {
		rb_erase(node, &ei->tree);
		kmem_cache_free(extent_cachep, rb_entry(node, struct extent, node));
		ei->nr--;
		freed++;
	}
	percpu_counter_sub(sbi->count, freed);
	return freed;
}

void extents_forget(struct inode *inode)
{
	struct extents_inode *ei = EXTENTS_I(inode);
	struct extents_sb *sbi = EXTENTS_SB(inode->i_sb);

	write_lock(&ei->lock);
	extents_reclaim(sbi, ei, ULONG_MAX);
	spin_lock(&sbi->lock);
	list_del_init(&ei->list);
	spin_unlock(&sbi->lock);
	write_unlock(&ei->lock);
}

static unsigned long extents_count(struct shrinker *shrink, struct shrink_control *sc)
{
	struct extents_sb *sbi = shrink->private_data;

	return percpu_counter_read_positive(sbi->count);
}

static unsigned long extents_scan(struct shrinker *shrink, struct shrink_control *sc)
{
	struct extents_sb *sbi = shrink->private_data;
	unsigned long nr = sc->nr_to_scan, freed = 0;
	struct extents_inode *ei, *next;

	spin_lock(&sbi->lock);
	list_for_each_entry_safe(ei, next, &sbi->inodes, list) {
		if (freed >= nr)
			break;
		/* Inserting takes the two locks in the other order. */
		if (!write_trylock(&ei->lock))
			continue;
		freed += extents_reclaim(sbi, ei, nr - freed);
		if (!ei->nr)
			list_del_init(&ei->list);
		else
			list_move_tail(&ei->list, &sbi->inodes);
		write_unlock(&ei->lock);
	}
	spin_unlock(&sbi->lock);
	return freed;
}

static int extents_stats_show(struct seq_file *seq, void *v)
{
	struct extents_sb *sbi = EXTENTS_SB((struct super_block *)seq->private);

	seq_printf(seq, "%lld extents\n", percpu_counter_sum_positive(sbi->count));
	return 0;
}

int extents_register(struct extents_sb *sbi, struct super_block *sb)
{
	int err = -ENOMEM;

	sbi->sb = sb;
	sb->s_fs_info = sbi;
	INIT_LIST_HEAD(&sbi->inodes);
	spin_lock_init(&sbi->lock);
	sbi->count = kzalloc(sizeof(*sbi->count), GFP_KERNEL);
	if (!sbi->count)
		return err;
	err = percpu_counter_init(sbi->count, 0, GFP_KERNEL);
	if (err)
		goto err_count;
	sbi->shrinker = shrinker_alloc(0, "extents:%s", sb->s_id);
	if (!sbi->shrinker) {
		err = -ENOMEM;
		goto err_counter;
	}
	sbi->shrinker->scan_objects = extents_scan;
	sbi->shrinker->count_objects = extents_count;
	sbi->shrinker->private_data = sbi;
	shrinker_register(sbi->shrinker);
	proc_create_single_data("extents", 0444, NULL, extents_stats_show, sb);
	return 0;

err_counter:
	percpu_counter_destroy(sbi->count);
err_count:
	kfree(sbi->count);
	return err;
}

void extents_unregister(struct extents_sb *sbi)
{
	shrinker_free(sbi->shrinker);
	percpu_counter_destroy(sbi->count);
	kfree(sbi->count);
}

static int __init extents_init(void)
{
	extent_cachep = KMEM_CACHE(extent, SLAB_RECLAIM_ACCOUNT);
	return extent_cachep ? 0 : -ENOMEM;
}

static void __exit extents_exit(void)
{
	kmem_cache_destroy(extent_cachep);
}

fs_initcall(extents_init);
module_exit(extents_exit);
EXPORT_SYMBOL_GPL(extents_register);
MODULE_LICENSE("Dual MIT/GPL");
