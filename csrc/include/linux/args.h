/* SPDX-License-Identifier: MIT */
/* Counting arguments of macros. */
#ifndef SHRINKER_LINUX_ARGS_H
#define SHRINKER_LINUX_ARGS_H

#define SHRINKER_KIT_COUNT(z, a, b, c, d, e, f, g, h, i, j, k, l, n, ...) n
#define COUNT_ARGS(...)                                                        \
	SHRINKER_KIT_COUNT(, ##__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#ifndef CONCATENATE
#define CONCATENATE_(a, b) a##b
#define CONCATENATE(a, b) CONCATENATE_(a, b)
#endif

#endif /* SHRINKER_LINUX_ARGS_H */
