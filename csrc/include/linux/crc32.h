/* SPDX-License-Identifier: MIT */
/* Checksums of 32 bits, bit by bit. */
#ifndef SHRINKER_LINUX_CRC32_H
#define SHRINKER_LINUX_CRC32_H

#include <linux/types.h>

static inline u32 shrinker_kit_crc_le(u32 crc, const void *data, size_t size, u32 poly)
{
	const unsigned char *byte = (const unsigned char *)data;
	int bit;

	for (; size; size--) {
		crc ^= *byte++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? poly : 0);
	}
	return crc;
}

static inline u32 crc32_be(u32 crc, const void *data, size_t size)
{
	const unsigned char *byte = (const unsigned char *)data;
	int bit;

	for (; size; size--) {
		crc ^= (u32)*byte++ << 24;
		for (bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc & 0x80000000U ? 0x04c11db7U : 0);
	}
	return crc;
}

#define crc32_le(crc, data, size) shrinker_kit_crc_le((crc), (data), (size), 0xedb88320U)
#define crc32(seed, data, size) crc32_le((seed), (data), (size))
#define __crc32c_le(crc, data, size) shrinker_kit_crc_le((crc), (data), (size), 0x82f63b78U)
#define ether_crc_le(size, data) crc32_le(~0U, (data), (size))

#endif /* SHRINKER_LINUX_CRC32_H */
