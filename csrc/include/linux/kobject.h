/* SPDX-License-Identifier: MIT */
/*
 * Objects with a name, a parent and references.
 *
 * Left out: /sys.  Attributes are called by a test, not by a file.
 */
#ifndef SHRINKER_LINUX_KOBJECT_H
#define SHRINKER_LINUX_KOBJECT_H

#include <linux/kit.h>
#include <linux/errno.h>
#include <linux/kref.h>
#include <linux/slab.h>
#include <linux/types.h>

struct attribute {
	const char *name;
	umode_t mode;
};
struct kobject;
struct kobj_attribute {
	struct attribute attr;
	ssize_t (*show)(struct kobject *object, struct kobj_attribute *attr, char *to);
	ssize_t (*store)(struct kobject *object, struct kobj_attribute *attr,
			 const char *from, size_t size);
};
struct attribute_group {
	const char *name;
	umode_t (*is_visible)(struct kobject *object, struct attribute *attr, int n);
	struct attribute **attrs;
};
struct sysfs_ops {
	ssize_t (*show)(struct kobject *object, struct attribute *attr, char *to);
	ssize_t (*store)(struct kobject *object, struct attribute *attr, const char *from,
			 size_t size);
};
struct kobj_type {
	void (*release)(struct kobject *object);
	const struct sysfs_ops *sysfs_ops;
	const struct attribute_group **default_groups;
};
struct kset;
struct kobject {
	const char *name;
	struct kobject *parent;
	struct kset *kset;
	const struct kobj_type *ktype;
	struct kref kref;
};
struct kset {
	struct kobject kobj;
};

static inline void kobject_init(struct kobject *object, const struct kobj_type *type)
{
	kref_init(&object->kref);
	object->ktype = type;
}

static inline void shrinker_kit_kobject_release(struct kref *kref)
{
	struct kobject *object = container_of(kref, struct kobject, kref);
	const char *name = object->name;

	if (object->ktype && object->ktype->release)
		object->ktype->release(object);
	kfree(name);
}

static inline struct kobject *kobject_get(struct kobject *object)
{
	if (object)
		kref_get(&object->kref);
	return object;
}

static inline void kobject_put(struct kobject *object)
{
	if (object)
		kref_put(&object->kref, shrinker_kit_kobject_release);
}

#define kobject_set_name(object, ...)                                          \
	((object)->name = kasprintf(GFP_KERNEL, __VA_ARGS__), (object)->name ? 0 : -ENOMEM)
#define kobject_add(object, parent_, ...)                                      \
	((object)->parent = (parent_), kobject_set_name(object, __VA_ARGS__))
#define kobject_init_and_add(object, type, parent, ...)                        \
	(kobject_init((object), (type)), kobject_add(object, parent, __VA_ARGS__))
#define kobject_del(object) ((void)(object))
#define kobject_name(object) ((object)->name)
#define kobject_uevent(object, action) ((void)(object), shrinker_kit_zero())

static inline void shrinker_kit_kobject_free(struct kobject *object)
{
	kfree(object);
}

static inline struct kobject *kobject_create_and_add(const char *name,
						     struct kobject *parent)
{
	static const struct kobj_type plain = { shrinker_kit_kobject_free, NULL, NULL };
	struct kobject *object =
		(struct kobject *)kzalloc(sizeof(struct kobject), GFP_KERNEL);

	if (object && kobject_init_and_add(object, &plain, parent, "%s", name)) {
		kfree(object);
		object = NULL;
	}
	return object;
}

#define kernel_kobj ((struct kobject *)NULL)
#define mm_kobj ((struct kobject *)NULL)
#define fs_kobj ((struct kobject *)NULL)

#endif /* SHRINKER_LINUX_KOBJECT_H */
