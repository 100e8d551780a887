/* SPDX-License-Identifier: MIT */
/* Files of /proc, which are not there: making them succeeds and does nothing. */
#ifndef SHRINKER_LINUX_PROC_FS_H
#define SHRINKER_LINUX_PROC_FS_H

#include <linux/kit.h>
#include <linux/fs.h>
#include <linux/seq_file.h>

struct proc_dir_entry;
struct proc_ops {
	unsigned int proc_flags;
	int (*proc_open)(struct inode *inode, struct file *file);
	ssize_t (*proc_read)(struct file *file, char *to, size_t size, loff_t *pos);
	ssize_t (*proc_write)(struct file *file, const char *from, size_t size, loff_t *pos);
	loff_t (*proc_lseek)(struct file *file, loff_t offset, int whence);
	int (*proc_release)(struct inode *inode, struct file *file);
};
static inline struct proc_dir_entry *shrinker_kit_proc(void)
{
	return (struct proc_dir_entry *)(void *)16;
}
#define SHRINKER_KIT_PROC shrinker_kit_proc()
#define proc_mkdir(name, parent) ((void)(name), (void)(parent), SHRINKER_KIT_PROC)
#define proc_create(name, mode, parent, ops) ((void)(name), (void)(parent), (void)(ops), SHRINKER_KIT_PROC)
#define proc_create_data(name, mode, parent, ops, data) ((void)(data), proc_create(name, mode, parent, ops))
#define proc_create_single(name, mode, parent, show) ((void)(show), SHRINKER_KIT_PROC)
#define proc_create_single_data(name, mode, parent, show, data)                \
	((void)(parent), (void)(show), (void)(data), SHRINKER_KIT_PROC)
#define proc_create_seq(name, mode, parent, ops) ((void)(ops), SHRINKER_KIT_PROC)
#define proc_create_seq_data(name, mode, parent, ops, data) ((void)(ops), (void)(data), SHRINKER_KIT_PROC)
#define proc_create_seq_private(name, mode, parent, ops, size, data)           \
	((void)(ops), (void)(data), SHRINKER_KIT_PROC)
#define proc_create_net(name, mode, parent, ops, size) ((void)(parent), (void)(ops), SHRINKER_KIT_PROC)
#define proc_create_net_single(name, mode, parent, show, data)                 \
	((void)(parent), (void)(show), SHRINKER_KIT_PROC)
#define proc_remove(entry) ((void)(entry))
#define remove_proc_entry(name, parent) ((void)(name), (void)(parent))
#define remove_proc_subtree(name, parent) ((void)(name), (void)(parent), shrinker_kit_zero())
#define pde_data(inode) ((void)(inode), (void *)NULL)
#define PDE_DATA(inode) pde_data(inode)

#endif /* SHRINKER_LINUX_PROC_FS_H */
