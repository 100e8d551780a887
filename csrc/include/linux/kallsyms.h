/* SPDX-License-Identifier: MIT */
/* Left out: names of addresses. */
#ifndef SHRINKER_LINUX_KALLSYMS_H
#define SHRINKER_LINUX_KALLSYMS_H

#include <stdio.h>

#define KSYM_SYMBOL_LEN 512
#define sprint_symbol(to, address) sprintf((to), "%#lx", (unsigned long)(address))

#endif /* SHRINKER_LINUX_KALLSYMS_H */
