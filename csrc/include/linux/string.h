/* SPDX-License-Identifier: MIT */
/* The C library's string functions, and the kernel's own. */
#ifndef SHRINKER_LINUX_STRING_H
#define SHRINKER_LINUX_STRING_H

#include <string.h>
#include <strings.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Copies what fits and ends it.  Return: its length; -E2BIG where it was cut. */
ssize_t shrinker_kit_strscpy(char *to, const char *from, size_t size);
/* The size may be left out where @to is an array. */
#define strscpy(to, from, ...)                                                 \
	shrinker_kit_strscpy(to, from,                                         \
			     SHRINKER_KIT_SIZE(0, ##__VA_ARGS__, sizeof(to)))
#define SHRINKER_KIT_SIZE(zero, size, ...) (size)

/* The first byte that is not @byte; NULL: all are. */
void *memchr_inv(const void *memory, int byte, size_t size);
/* What of the text was written, which never is more than fits. */
int scnprintf(char *to, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static inline const char *kbasename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static inline void memzero_explicit(void *memory, size_t size)
{
	memset(memory, 0, size);
	__asm__ __volatile__("" : : "r"(memory) : "memory");
}

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_STRING_H */
