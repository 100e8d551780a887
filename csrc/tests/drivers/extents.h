/* SPDX-License-Identifier: MIT */
#ifndef TESTS_DRIVERS_EXTENTS_H
#define TESTS_DRIVERS_EXTENTS_H

#include <linux/fs.h>

/* What a filesystem keeps of each inode, and of itself. */
struct extents_inode {
	struct rb_root tree;
	rwlock_t lock;
	struct list_head list;
	unsigned int nr;
	struct inode vfs_inode;
};

struct extents_sb {
	struct super_block *sb;
	struct shrinker *shrinker;
	struct list_head inodes;
	spinlock_t lock;
	struct percpu_counter *count;
};

int extents_register(struct extents_sb *sbi, struct super_block *sb);
void extents_unregister(struct extents_sb *sbi);
void extents_begin(struct inode *inode);
void extents_forget(struct inode *inode);
int extents_insert(struct inode *inode, u32 block, u64 where);
bool extents_lookup(struct inode *inode, u32 block, u64 *where);

#endif /* TESTS_DRIVERS_EXTENTS_H */
