/* SPDX-License-Identifier: MIT */
/* The checksum of Castagnoli. */
#ifndef SHRINKER_LINUX_CRC32C_H
#define SHRINKER_LINUX_CRC32C_H

#include <linux/crc32.h>

#define crc32c(crc, data, size) __crc32c_le((crc), (data), (size))

#endif /* SHRINKER_LINUX_CRC32C_H */
