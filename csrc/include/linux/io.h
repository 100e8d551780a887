/* SPDX-License-Identifier: MIT */
/* Registers are memory here. */
#ifndef SHRINKER_LINUX_IO_H
#define SHRINKER_LINUX_IO_H

#include <linux/compiler.h>
#include <linux/string.h>
#include <linux/types.h>

#define readb(address) READ_ONCE(*(const volatile u8 *)(address))
#define readw(address) READ_ONCE(*(const volatile u16 *)(address))
#define readl(address) READ_ONCE(*(const volatile u32 *)(address))
#define readq(address) READ_ONCE(*(const volatile u64 *)(address))
#define writeb(value, address) WRITE_ONCE(*(volatile u8 *)(address), (value))
#define writew(value, address) WRITE_ONCE(*(volatile u16 *)(address), (value))
#define writel(value, address) WRITE_ONCE(*(volatile u32 *)(address), (value))
#define writeq(value, address) WRITE_ONCE(*(volatile u64 *)(address), (value))
#define memcpy_fromio(to, from, size) memcpy((to), (const void *)(from), (size))
#define memcpy_toio(to, from, size) memcpy((void *)(to), (from), (size))
#define virt_to_phys(address) ((phys_addr_t)(unsigned long)(address))
#define phys_to_virt(address) ((void *)(unsigned long)(address))

#endif /* SHRINKER_LINUX_IO_H */
