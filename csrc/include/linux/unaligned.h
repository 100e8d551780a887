/* SPDX-License-Identifier: MIT */
/* Numbers at any address, and in either order of bytes. */
#ifndef SHRINKER_LINUX_UNALIGNED_H
#define SHRINKER_LINUX_UNALIGNED_H

#include <endian.h>
#include <linux/types.h>

#define SHRINKER_KIT_UNALIGNED(order, bits, from, to)                          \
	static inline u##bits get_unaligned_##order##bits(const void *p)       \
	{                                                                      \
		u##bits x;                                                     \
		__builtin_memcpy(&x, p, sizeof(x));                            \
		return from(x);                                                \
	}                                                                      \
	static inline void put_unaligned_##order##bits(u##bits x, void *p)     \
	{                                                                      \
		x = to(x);                                                     \
		__builtin_memcpy(p, &x, sizeof(x));                            \
	}
SHRINKER_KIT_UNALIGNED(le, 16, le16toh, htole16)
SHRINKER_KIT_UNALIGNED(le, 32, le32toh, htole32)
SHRINKER_KIT_UNALIGNED(le, 64, le64toh, htole64)
SHRINKER_KIT_UNALIGNED(be, 16, be16toh, htobe16)
SHRINKER_KIT_UNALIGNED(be, 32, be32toh, htobe32)
SHRINKER_KIT_UNALIGNED(be, 64, be64toh, htobe64)

#define get_unaligned(p)                                                       \
	__extension__({                                                        \
		__typeof__(*(p)) gu_;                                          \
		__builtin_memcpy(&gu_, (p), sizeof(gu_));                      \
		gu_;                                                           \
	})
#define put_unaligned(value, p)                                                \
	do {                                                                   \
		__typeof__(*(p)) pu_ = (value);                                \
		__builtin_memcpy((p), &pu_, sizeof(pu_));                      \
	} while (0)

#endif /* SHRINKER_LINUX_UNALIGNED_H */
