/* SPDX-License-Identifier: MIT */
/* No security module. */
#ifndef SHRINKER_LINUX_SECURITY_H
#define SHRINKER_LINUX_SECURITY_H

#include <linux/cred.h>
#include <linux/fs.h>

#define security_capable(...) 0

#endif /* SHRINKER_LINUX_SECURITY_H */
