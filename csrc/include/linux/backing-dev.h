/* SPDX-License-Identifier: MIT */
/* Devices behind filesystems: a name, and no more. */
#ifndef SHRINKER_LINUX_BACKING_DEV_H
#define SHRINKER_LINUX_BACKING_DEV_H

#include <linux/fs.h>

struct backing_dev_info {
	const char *name;
	unsigned long ra_pages;
};
#define bdi_dev_name(bdi) ((bdi) && (bdi)->name ? (bdi)->name : "(unknown)")

#endif /* SHRINKER_LINUX_BACKING_DEV_H */
