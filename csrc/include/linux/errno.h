/* SPDX-License-Identifier: MIT */
/*
 * Error numbers: those of the system's own <linux/errno.h>, which glibc's <errno.h>
 * reads too, and some that only the kernel knows.
 */
#ifndef SHRINKER_LINUX_ERRNO_H
#define SHRINKER_LINUX_ERRNO_H

#pragma GCC system_header

#if __has_include_next(<linux/errno.h>)
#include_next <linux/errno.h>
#else
#include <errno.h>
#endif

#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ENOIOCTLCMD 515
#define EPROBE_DEFER 517
#define ENOTSUPP 524
#define EJUKEBOX 528

#endif /* SHRINKER_LINUX_ERRNO_H */
