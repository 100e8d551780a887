/* SPDX-License-Identifier: MIT */
/*
 * Filesystems as far as their caches need them: the structures, references, and locks.
 *
 * Left out: everything that reads or writes a file, mounting, and the inode and dentry
 * caches of the kernel.  A test makes a super block or an inode by itself, as a variable.
 */
#ifndef SHRINKER_LINUX_FS_H
#define SHRINKER_LINUX_FS_H

#include <linux/bug.h>
#include <linux/cred.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/list_lru.h>
#include <linux/lockref.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait_bit.h>
#include <linux/xarray.h>

struct file;
struct seq_file;
struct module;
struct inode;
struct dentry;
struct vfsmount;
struct address_space;
struct backing_dev_info;
struct block_device;
struct super_block;
struct iov_iter;
struct kiocb;
struct kstatfs;
struct kstat;
struct mnt_idmap;
struct poll_table_struct;
struct vm_area_struct;
struct writeback_control;

struct qstr {
	u32 hash, len;
	const unsigned char *name;
};
#define QSTR_INIT(text, length) { 0, (length), (const unsigned char *)(text) }

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file_operations {
	struct module *owner;
	int (*open)(struct inode *inode, struct file *file);
	int (*show)(struct seq_file *m, void *v);
	ssize_t (*read)(struct file *file, char *to, size_t size, loff_t *pos);
	ssize_t (*write)(struct file *file, const char *from, size_t size,
			 loff_t *pos);
	loff_t (*llseek)(struct file *file, loff_t offset, int whence);
	int (*release)(struct inode *inode, struct file *file);
	long (*unlocked_ioctl)(struct file *file, unsigned int command, unsigned long argument);
	long (*compat_ioctl)(struct file *file, unsigned int command, unsigned long argument);
	int (*mmap)(struct file *file, struct vm_area_struct *vma);
	int (*flush)(struct file *file, void *owner);
	int (*fsync)(struct file *file, loff_t from, loff_t to, int datasync);
};

struct address_space_operations;
struct inode_operations;
struct dentry_operations;
struct file_system_type;

struct super_operations {
	struct inode *(*alloc_inode)(struct super_block *sb);
	void (*destroy_inode)(struct inode *inode);
	void (*free_inode)(struct inode *inode);
	void (*dirty_inode)(struct inode *inode, int flags);
	int (*drop_inode)(struct inode *inode);
	void (*evict_inode)(struct inode *inode);
	void (*put_super)(struct super_block *sb);
	int (*sync_fs)(struct super_block *sb, int wait);
	int (*statfs)(struct dentry *dentry, struct kstatfs *to);
	int (*show_options)(struct seq_file *m, struct dentry *root);
	long (*nr_cached_objects)(struct super_block *sb, struct shrink_control *sc);
	long (*free_cached_objects)(struct super_block *sb, struct shrink_control *sc);
};

struct super_block {
	struct list_head s_list;
	dev_t s_dev;
	unsigned char s_blocksize_bits;
	unsigned long s_blocksize;
	loff_t s_maxbytes;
	struct file_system_type *s_type;
	const struct super_operations *s_op;
	unsigned long s_flags, s_iflags, s_magic;
	struct dentry *s_root;
	struct rw_semaphore s_umount;
	int s_count;
	atomic_t s_active;
	struct block_device *s_bdev;
	struct backing_dev_info *s_bdi;
	char s_id[32];
	u8 s_uuid[16];
	void *s_fs_info;
	struct shrinker *s_shrink;
	struct list_lru s_dentry_lru, s_inode_lru;
	spinlock_t s_inode_list_lock;
	struct list_head s_inodes;
};

struct address_space {
	struct inode *host;
	struct xarray i_pages;
	gfp_t gfp_mask;
	unsigned long nrpages, flags;
	const struct address_space_operations *a_ops;
};

struct inode {
	umode_t i_mode;
	unsigned short i_opflags;
	kuid_t i_uid;
	kgid_t i_gid;
	unsigned int i_flags;
	const struct inode_operations *i_op;
	struct super_block *i_sb;
	struct address_space *i_mapping, i_data;
	unsigned long i_ino;
	unsigned int i_nlink;
	dev_t i_rdev;
	loff_t i_size;
	u64 i_blocks;
	u8 i_blkbits;
	spinlock_t i_lock;
	unsigned long i_state;
	struct rw_semaphore i_rwsem;
	unsigned long dirtied_when;
	struct hlist_node i_hash;
	struct list_head i_lru, i_sb_list, i_io_list;
	atomic_t i_count, i_writecount;
	u32 i_generation;
	const struct file_operations *i_fop;
	struct rcu_head i_rcu;
	void *i_private;
};

struct dentry {
	unsigned int d_flags;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct lockref d_lockref;
	const struct dentry_operations *d_op;
	struct super_block *d_sb;
	void *d_fsdata;
	struct list_head d_lru;
};
#define d_lock d_lockref.lock

struct file {
	struct path f_path;
	struct inode *f_inode;
	const struct file_operations *f_op;
	unsigned int f_flags;
	fmode_t f_mode;
	loff_t f_pos;
	const struct cred *f_cred;
	void *private_data;
	struct address_space *f_mapping;
	atomic_long_t f_count;
};

struct file_system_type {
	const char *name;
	int fs_flags;
	struct module *owner;
	void (*kill_sb)(struct super_block *sb);
	struct file_system_type *next;
};

#define I_DIRTY_SYNC (1U << 0)
#define I_DIRTY_DATASYNC (1U << 1)
#define I_DIRTY_PAGES (1U << 2)
#define I_NEW (1U << 3)
#define I_WILL_FREE (1U << 4)
#define I_FREEING (1U << 5)
#define I_CLEAR (1U << 6)
#define I_REFERENCED (1U << 8)
#define I_DIRTY_TIME (1U << 11)
#define I_DIRTY (I_DIRTY_SYNC | I_DIRTY_DATASYNC | I_DIRTY_PAGES)
#define SB_RDONLY 1UL
#define SB_NOATIME 1024UL
#define SB_ACTIVE (1UL << 30)
#define SB_BORN (1UL << 29)
#define sb_rdonly(sb) (!!((sb)->s_flags & SB_RDONLY))
#define FMODE_READ 1U
#define FMODE_WRITE 2U

#define file_inode(file) ((file)->f_inode)
#define d_inode(dentry) ((dentry)->d_inode)
#define d_is_negative(dentry) (!(dentry)->d_inode)
#define i_size_read(inode) ((inode)->i_size)
#define i_size_write(inode, size) ((void)((inode)->i_size = (size)))
#define i_blocksize(inode) (1U << (inode)->i_blkbits)
#define i_uid_read(inode) ((inode)->i_uid.val)
#define i_gid_read(inode) ((inode)->i_gid.val)
#define inode_lock(inode) down_write(&(inode)->i_rwsem)
#define inode_trylock(inode) down_write_trylock(&(inode)->i_rwsem)
#define inode_unlock(inode) up_write(&(inode)->i_rwsem)
#define inode_lock_shared(inode) down_read(&(inode)->i_rwsem)
#define inode_unlock_shared(inode) up_read(&(inode)->i_rwsem)
#define inode_is_locked(inode) rwsem_is_locked(&(inode)->i_rwsem)
#define ihold(inode) atomic_inc(&(inode)->i_count)
#define mapping_gfp_mask(mapping) ((mapping)->gfp_mask)
#define mapping_gfp_constraint(mapping, gfp) ((mapping)->gfp_mask & (gfp))
#define mapping_set_gfp_mask(mapping, gfp) ((void)((mapping)->gfp_mask = (gfp)))
#define mark_inode_dirty(inode) ((void)((inode)->i_state |= I_DIRTY))
#define simple_open(inode, file) ((file)->private_data = (inode)->i_private, 0)
#define no_llseek NULL
#define noop_llseek NULL
#define default_llseek NULL

/* Put by the one who has a reference; the inode itself is the test's. */
static inline void iput(struct inode *inode)
{
	if (inode)
		WARN(atomic_dec_return(&inode->i_count) < 0,
		     "an inode is put more often than it was taken\n");
}

static inline struct inode *igrab(struct inode *inode)
{
	bool may;

	spin_lock(&inode->i_lock);
	may = !(inode->i_state & (I_FREEING | I_WILL_FREE));
	if (may)
		ihold(inode);
	spin_unlock(&inode->i_lock);
	return may ? inode : NULL;
}

/* As a filesystem's constructor of its inodes calls it. */
static inline void inode_init_once(struct inode *inode)
{
	memset(inode, 0, sizeof(*inode));
	spin_lock_init(&inode->i_lock);
	init_rwsem(&inode->i_rwsem);
	INIT_HLIST_NODE(&inode->i_hash);
	INIT_LIST_HEAD(&inode->i_lru);
	INIT_LIST_HEAD(&inode->i_sb_list);
	INIT_LIST_HEAD(&inode->i_io_list);
	xa_init(&inode->i_data.i_pages);
	inode->i_data.host = inode;
	inode->i_mapping = &inode->i_data;
	atomic_set(&inode->i_count, 1);
}

#endif /* SHRINKER_LINUX_FS_H */
