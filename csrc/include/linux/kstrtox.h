/* SPDX-License-Identifier: MIT */
/* Numbers in text: all of it, but for one line end, has to be the number. */
#ifndef SHRINKER_LINUX_KSTRTOX_H
#define SHRINKER_LINUX_KSTRTOX_H

#include <linux/errno.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kstrtoull, kstrtoll - read one number
 * @base: 0: by its prefix
 *
 * Return: 0; -EINVAL where it is no number, -ERANGE where it is too large.
 */
int kstrtoull(const char *text, unsigned int base, unsigned long long *number);
int kstrtoll(const char *text, unsigned int base, long long *number);
int kstrtoul(const char *text, unsigned int base, unsigned long *number);
int kstrtol(const char *text, unsigned int base, long *number);
int kstrtouint(const char *text, unsigned int base, unsigned int *number);
int kstrtoint(const char *text, unsigned int base, int *number);
/* By the first character: y, t, 1 and n, f, 0; "on" and "of" (off) by two; any case. */
int kstrtobool(const char *text, bool *yes);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_KSTRTOX_H */
