/* SPDX-License-Identifier: MIT */
/* Words as text. */
#ifndef SHRINKER_LINUX_STRINGIFY_H
#define SHRINKER_LINUX_STRINGIFY_H

#define __stringify_1(x...) #x
#define __stringify(x...) __stringify_1(x)

#endif /* SHRINKER_LINUX_STRINGIFY_H */
