/* SPDX-License-Identifier: MIT */
/* Files of /sys, which are not there: making them succeeds and does nothing. */
#ifndef SHRINKER_LINUX_SYSFS_H
#define SHRINKER_LINUX_SYSFS_H

#include <linux/kit.h>
#include <linux/kobject.h>
#include <linux/string.h>

#define __ATTR(name_, mode_, show_, store_) { { #name_, mode_ }, show_, store_ }
#define __ATTR_RO(name_) { { #name_, 0444 }, name_##_show, NULL }
#define __ATTR_RW(name_) { { #name_, 0644 }, name_##_show, name_##_store }
#define __ATTR_WO(name_) { { #name_, 0200 }, NULL, name_##_store }
#define __ATTRIBUTE_GROUPS(name)                                               \
	static const struct attribute_group *name##_groups[] = { &name##_group, NULL }
#define ATTRIBUTE_GROUPS(name)                                                 \
	static const struct attribute_group name##_group = { NULL, NULL, name##_attrs }; \
	__ATTRIBUTE_GROUPS(name)
#define sysfs_create_group(object, group) ((void)(object), (void)(group), shrinker_kit_zero())
#define sysfs_create_groups(object, groups) ((void)(object), (void)(groups), shrinker_kit_zero())
#define sysfs_remove_group(object, group) ((void)(object), (void)(group))
#define sysfs_remove_groups(object, groups) ((void)(object), (void)(groups))
#define sysfs_create_file(object, attr) ((void)(object), (void)(attr), shrinker_kit_zero())
#define sysfs_create_files(object, attrs) ((void)(object), (void)(attrs), shrinker_kit_zero())
#define sysfs_remove_file(object, attr) ((void)(object), (void)(attr))
#define sysfs_create_link(object, to, name) ((void)(object), (void)(to), shrinker_kit_zero())
#define sysfs_remove_link(object, name) ((void)(object))
#define sysfs_notify(object, dir, attr) ((void)(object))
/* A page takes what is shown. */
#define sysfs_emit(to, ...) scnprintf((to), 4096, __VA_ARGS__)
#define sysfs_emit_at(to, at, ...) scnprintf((to) + (at), 4096 - (size_t)(at), __VA_ARGS__)
#define sysfs_streq(a, b) shrinker_kit_streq((a), (b))

static inline bool shrinker_kit_streq(const char *a, const char *b)
{
	size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");

	return la == lb && !strncmp(a, b, la);
}

#endif /* SHRINKER_LINUX_SYSFS_H */
