/* SPDX-License-Identifier: MIT */
/*
 * Devices as far as messages and lifetimes need them.
 *
 * Left out: buses, drivers, power, and memory that goes with a device (devm_*).
 */
#ifndef SHRINKER_LINUX_DEVICE_H
#define SHRINKER_LINUX_DEVICE_H

#include <linux/kit.h>
#include <linux/dev_printk.h>
#include <linux/kobject.h>
#include <linux/nodemask.h>
#include <linux/sysfs.h>

struct device_driver;
struct device {
	struct kobject kobj;
	struct device *parent;
	const char *init_name;
	void *driver_data, *platform_data;
	u64 *dma_mask;
	u64 coherent_dma_mask;
};
struct device_attribute {
	struct attribute attr;
	ssize_t (*show)(struct device *dev, struct device_attribute *attr, char *to);
	ssize_t (*store)(struct device *dev, struct device_attribute *attr,
			 const char *from, size_t size);
};
#define DEVICE_ATTR(name, mode, show, store)                                   \
	struct device_attribute dev_attr_##name = __ATTR(name, mode, show, store)
#define DEVICE_ATTR_RO(name) struct device_attribute dev_attr_##name = __ATTR_RO(name)
#define DEVICE_ATTR_RW(name) struct device_attribute dev_attr_##name = __ATTR_RW(name)
#define DEVICE_ATTR_WO(name) struct device_attribute dev_attr_##name = __ATTR_WO(name)
#define dev_name(dev)                                                          \
	((dev) && (dev)->init_name ? (dev)->init_name : "device")
#define dev_get_drvdata(dev) ((dev)->driver_data)
#define dev_set_drvdata(dev, data) ((void)((dev)->driver_data = (data)))
#define get_device(dev) (dev)
#define put_device(dev) ((void)(dev))
#define dev_to_node(dev) ((void)(dev), NUMA_NO_NODE)
#define device_create_file(dev, attr) ((void)(dev), (void)(attr), shrinker_kit_zero())
#define device_remove_file(dev, attr) ((void)(dev), (void)(attr))

#endif /* SHRINKER_LINUX_DEVICE_H */
