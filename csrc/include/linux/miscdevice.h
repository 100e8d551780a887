/* SPDX-License-Identifier: MIT */
/* Left out: files of /dev. */
#ifndef SHRINKER_LINUX_MISCDEVICE_H
#define SHRINKER_LINUX_MISCDEVICE_H

#include <linux/kit.h>
#include <linux/device.h>
#include <linux/fs.h>

struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
	struct device *parent, *this_device;
	umode_t mode;
};
#define MISC_DYNAMIC_MINOR 255
#define misc_register(misc) ((void)(misc), shrinker_kit_zero())
#define misc_deregister(misc) ((void)(misc))

#endif /* SHRINKER_LINUX_MISCDEVICE_H */
