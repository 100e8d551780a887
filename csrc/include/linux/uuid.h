/* SPDX-License-Identifier: MIT */
/* Identifiers of 128 bits. */
#ifndef SHRINKER_LINUX_UUID_H
#define SHRINKER_LINUX_UUID_H

#include <linux/random.h>
#include <linux/string.h>

#define UUID_SIZE 16
#define UUID_STRING_LEN 36
typedef struct {
	u8 b[UUID_SIZE];
} uuid_t;
typedef uuid_t guid_t;
#define uuid_equal(a, b) (!memcmp((a), (b), UUID_SIZE))
#define uuid_copy(to, from) ((void)memcpy((to), (from), UUID_SIZE))
#define uuid_is_null(uuid) (!memchr_inv((uuid), 0, UUID_SIZE))
#define uuid_gen(uuid) generate_random_uuid((uuid)->b)

/* Of version 4, that is random, and the usual variant. */
static inline void generate_random_uuid(u8 *bytes)
{
	get_random_bytes(bytes, UUID_SIZE);
	bytes[6] = (u8)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (u8)((bytes[8] & 0x3f) | 0x80);
}

#endif /* SHRINKER_LINUX_UUID_H */
