/* SPDX-License-Identifier: MIT */
/*
 * Integer types and small structures under their kernel names, on top of the
 * system's own <linux/types.h>, which system headers read too.
 */
#ifndef SHRINKER_LINUX_TYPES_H
#define SHRINKER_LINUX_TYPES_H

#pragma GCC system_header

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/compiler_types.h>
#include <linux/list_types.h>
#include <shrinker/types.h>

#if __has_include_next(<linux/types.h>)
#include_next <linux/types.h>
#else
typedef int8_t __s8;
typedef uint8_t __u8;
typedef int16_t __s16;
typedef uint16_t __u16;
typedef int32_t __s32;
typedef uint32_t __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __le16, __be16;
typedef __u32 __le32, __be32, __wsum;
typedef __u64 __le64, __be64;
typedef __u16 __sum16;
#endif

typedef __s8 s8;
typedef __u8 u8;
typedef __s16 s16;
typedef __u16 u16;
typedef __s32 s32;
typedef __u32 u32;
typedef __s64 s64;
typedef __u64 u64;

typedef unsigned int slab_flags_t;
typedef unsigned int vm_fault_t;
typedef unsigned int fmode_t;
typedef unsigned short umode_t;
typedef unsigned long pgoff_t;
typedef u64 sector_t;
typedef u64 dma_addr_t;
typedef u64 phys_addr_t;
typedef phys_addr_t resource_size_t;
typedef s64 ktime_t;
typedef s64 time64_t;

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic64_t;

typedef struct {
	long counter;
} atomic_long_t;

#define ATOMIC_INIT(value) { (value) }
#define ATOMIC64_INIT(value) { (value) }
#define ATOMIC_LONG_INIT(value) { (value) }

/**
 * struct callback_head - something to call once all readers are gone
 * @next: the library's
 * @func: what call_rcu() is to call
 */
struct callback_head {
	struct callback_head *next;
	void (*func)(struct callback_head *head);
};
#define rcu_head callback_head

typedef void (*rcu_callback_t)(struct rcu_head *head);

#define BITS_PER_BYTE 8
#define BITS_PER_LONG ((int)(8 * sizeof(long)))
#define BITS_PER_LONG_LONG 64
#define BITS_TO_LONGS(bits)                                                    \
	(((unsigned long)(bits) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define DECLARE_BITMAP(name, bits) unsigned long name[BITS_TO_LONGS(bits)]

#endif /* SHRINKER_LINUX_TYPES_H */
