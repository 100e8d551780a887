/* SPDX-License-Identifier: MIT */
/* Left out: block devices.  What is here can be declared. */
#ifndef SHRINKER_LINUX_BLKDEV_H
#define SHRINKER_LINUX_BLKDEV_H

#include <linux/fs.h>

#define SECTOR_SHIFT 9
#define SECTOR_SIZE (1 << SECTOR_SHIFT)
struct gendisk;
struct request_queue;
struct bio;
struct block_device {
	dev_t bd_dev;
	struct inode *bd_inode;
	struct super_block *bd_super;
	void *bd_holder;
};

#endif /* SHRINKER_LINUX_BLKDEV_H */
