/* SPDX-License-Identifier: MIT */
/*
 * Memory of a process: memory of the test.
 *
 * Left out: faults; every address can be reached.
 */
#ifndef SHRINKER_LINUX_UACCESS_H
#define SHRINKER_LINUX_UACCESS_H

#include <linux/err.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>

#define access_ok(address, size) ((void)(address), (void)(size), 1)
#define copy_from_user(to, from, size)                                         \
	((void)memcpy((to), (const void *)(from), (size)), 0UL)
#define copy_to_user(to, from, size)                                           \
	((void)memcpy((void *)(to), (from), (size)), 0UL)
#define __copy_from_user(to, from, size) copy_from_user(to, from, size)
#define __copy_to_user(to, from, size) copy_to_user(to, from, size)
#define clear_user(to, size) ((void)memset((void *)(to), 0, (size)), 0UL)
#define get_user(value, from) ((value) = *(from), 0)
#define put_user(value, to) (*(to) = (value), 0)
#define strncpy_from_user(to, from, size)                                      \
	shrinker_kit_strncpy((to), (const char *)(from), (long)(size))
#define u64_to_user_ptr(number) ((void *)(unsigned long)(number))
#define memdup_user(from, size)                                                \
	shrinker_kit_memdup_user((const void *)(from), (size), SHRINKER_KIT_PLACE)
#define simple_read_from_buffer(to, size, pos, from, available)                \
	shrinker_kit_read_buffer((to), (size), (pos), (from), (available))
#define pagefault_disable() ((void)0)
#define pagefault_enable() ((void)0)

/* Return: the length of the text; @size where it has no end within that. */
static inline long shrinker_kit_strncpy(char *to, const char *from, long size)
{
	size_t length = strnlen(from, (size_t)size);

	memcpy(to, from, length + (length < (size_t)size));
	return (long)length;
}

static inline void *shrinker_kit_memdup_user(const void *from, size_t size,
					     const char *place)
{
	void *copy = shrinker_kit_memdup(from, size, GFP_KERNEL, place);

	return copy ? copy : ERR_PTR(-ENOMEM);
}

static inline ssize_t shrinker_kit_read_buffer(void *to, size_t size, loff_t *pos,
					       const void *from, size_t available)
{
	size_t left = (size_t)*pos < available ? available - (size_t)*pos : 0;

	if (*pos < 0)
		return -EINVAL;
	size = size < left ? size : left;
	memcpy(to, (const char *)from + *pos, size);
	*pos += (loff_t)size;
	return (ssize_t)size;
}

#endif /* SHRINKER_LINUX_UACCESS_H */
