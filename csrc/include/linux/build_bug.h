/* SPDX-License-Identifier: MIT */
/* Errors at compile time. */
#ifndef SHRINKER_LINUX_BUILD_BUG_H
#define SHRINKER_LINUX_BUILD_BUG_H

#ifdef __cplusplus
#define SHRINKER_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define SHRINKER_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

#define BUILD_BUG_ON_MSG(condition, text)                                      \
	do {                                                                   \
		SHRINKER_STATIC_ASSERT(!(condition), text);                    \
	} while (0)
#define BUILD_BUG_ON(condition) BUILD_BUG_ON_MSG(condition, #condition)
#define BUILD_BUG_ON_NOT_POWER_OF_2(n) BUILD_BUG_ON((n) == 0 || ((n) & ((n) - 1)))
#define BUILD_BUG_ON_ZERO(condition)                                           \
	((int)(sizeof(char[1 - 2 * !!(condition)]) - 1))

#ifndef __cplusplus
#undef static_assert
#define SHRINKER_ASSERT_TEXT(condition, text, ...) _Static_assert(condition, text)
#define static_assert(condition, ...)                                          \
	SHRINKER_ASSERT_TEXT(condition, ##__VA_ARGS__, #condition)
#endif

#endif /* SHRINKER_LINUX_BUILD_BUG_H */
