/* SPDX-License-Identifier: MIT */
/* Orders of bytes: the system's, and the kernel's own names. */
#pragma GCC system_header
#ifndef SHRINKER_ASM_BYTEORDER_H
#define SHRINKER_ASM_BYTEORDER_H

#include_next <asm/byteorder.h>
#include <endian.h>

/* The C library includes this file too: its programs keep their names. */
#ifdef SHRINKER_LINUX_COMPILER_TYPES_H
#ifndef cpu_to_le32
#define cpu_to_le16(x) ((__le16)htole16(x))
#define cpu_to_le32(x) ((__le32)htole32(x))
#define cpu_to_le64(x) ((__le64)htole64(x))
#define le16_to_cpu(x) ((__u16)le16toh(x))
#define le32_to_cpu(x) ((__u32)le32toh(x))
#define le64_to_cpu(x) ((__u64)le64toh(x))
#define cpu_to_be16(x) ((__be16)htobe16(x))
#define cpu_to_be32(x) ((__be32)htobe32(x))
#define cpu_to_be64(x) ((__be64)htobe64(x))
#define be16_to_cpu(x) ((__u16)be16toh(x))
#define be32_to_cpu(x) ((__u32)be32toh(x))
#define be64_to_cpu(x) ((__u64)be64toh(x))
#define le16_to_cpup(p) le16_to_cpu(*(p))
#define le32_to_cpup(p) le32_to_cpu(*(p))
#define le64_to_cpup(p) le64_to_cpu(*(p))
#define be16_to_cpup(p) be16_to_cpu(*(p))
#define be32_to_cpup(p) be32_to_cpu(*(p))
#define be64_to_cpup(p) be64_to_cpu(*(p))
#define le16_add_cpu(p, n) ((void)(*(p) = cpu_to_le16(le16_to_cpu(*(p)) + (n))))
#define le32_add_cpu(p, n) ((void)(*(p) = cpu_to_le32(le32_to_cpu(*(p)) + (n))))
#define le64_add_cpu(p, n) ((void)(*(p) = cpu_to_le64(le64_to_cpu(*(p)) + (n))))
#endif
#endif

#endif /* SHRINKER_ASM_BYTEORDER_H */
