/* SPDX-License-Identifier: MIT */
/* Left out: the kernel's faults.  shrinker_test_fail_allocation() makes them. */
#ifndef SHRINKER_LINUX_FAULT_INJECT_H
#define SHRINKER_LINUX_FAULT_INJECT_H

#include <linux/types.h>

struct fault_attr {
	int unused;
};
#define DECLARE_FAULT_ATTR(name) struct fault_attr name = { 0 }
#define should_fail(attr, size) ((void)(attr), false)
#define setup_fault_attr(attr, text) 1

#endif /* SHRINKER_LINUX_FAULT_INJECT_H */
