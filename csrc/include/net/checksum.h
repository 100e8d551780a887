/* SPDX-License-Identifier: MIT */
/* Checksums of the internet protocols. */
#ifndef SHRINKER_NET_CHECKSUM_H
#define SHRINKER_NET_CHECKSUM_H

#include <linux/types.h>

static inline __wsum csum_partial(const void *data, int size, __wsum sum)
{
	const unsigned char *byte = (const unsigned char *)data;
	u64 total = sum;
	int i;

	for (i = 0; i < size; i++)
		total += i & 1 ? (u64)byte[i] << 8 : byte[i];
	while (total >> 32)
		total = (total & 0xffffffffU) + (total >> 32);
	return (__wsum)total;
}

static inline __sum16 csum_fold(__wsum sum)
{
	u32 folded = ((u32)sum & 0xffff) + ((u32)sum >> 16);

	folded = (folded & 0xffff) + (folded >> 16);
	return (__sum16)~folded;
}

#endif /* SHRINKER_NET_CHECKSUM_H */
