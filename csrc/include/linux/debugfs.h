/* SPDX-License-Identifier: MIT */
/* As on a kernel without debugfs: nothing is made, and that is no error. */
#ifndef SHRINKER_LINUX_DEBUGFS_H
#define SHRINKER_LINUX_DEBUGFS_H

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/seq_file.h>

struct dentry;

#define SHRINKER_KIT_NO_DENTRY ((struct dentry *)ERR_PTR(-ENODEV))
#define debugfs_initialized() false
#define debugfs_create_dir(name, parent)                                       \
	((void)(name), (void)(parent), SHRINKER_KIT_NO_DENTRY)
#define debugfs_create_file(name, mode, parent, data, fops)                    \
	((void)(name), (void)(parent), (void)(data), (void)(fops),             \
	 SHRINKER_KIT_NO_DENTRY)
#define debugfs_create_ulong(name, mode, parent, value) ((void)(value))
#define debugfs_create_u64(name, mode, parent, value) ((void)(value))
#define debugfs_create_u32(name, mode, parent, value) ((void)(value))
#define debugfs_create_bool(name, mode, parent, value) ((void)(value))
#define debugfs_create_atomic_t(name, mode, parent, value) ((void)(value))
#define debugfs_lookup(name, parent) ((void)(parent), (struct dentry *)NULL)
#define debugfs_remove(dentry) ((void)(dentry))
#define debugfs_remove_recursive(dentry) ((void)(dentry))

#endif /* SHRINKER_LINUX_DEBUGFS_H */
