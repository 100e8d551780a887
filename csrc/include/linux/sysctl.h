/* SPDX-License-Identifier: MIT */
/* Left out: /proc/sys.  A table is registered and never read. */
#ifndef SHRINKER_LINUX_SYSCTL_H
#define SHRINKER_LINUX_SYSCTL_H

#include <linux/types.h>

struct ctl_table;
struct ctl_table_header;
struct ctl_table {
	const char *procname;
	void *data;
	int maxlen;
	umode_t mode;
	int (*proc_handler)(const struct ctl_table *table, int write, void *buffer,
			    size_t *length, loff_t *pos);
	void *extra1, *extra2;
};
#define proc_dointvec NULL
#define proc_dointvec_minmax NULL
#define proc_douintvec NULL
#define proc_doulongvec_minmax NULL
#define proc_dobool NULL
#define SYSCTL_ZERO NULL
#define SYSCTL_ONE NULL
#define SYSCTL_INT_MAX NULL
#define register_sysctl(path, table) ((void)(table), (struct ctl_table_header *)(void *)16)
#define register_sysctl_init(path, table) ((void)(table))
#define unregister_sysctl_table(header) ((void)(header))

#endif /* SHRINKER_LINUX_SYSCTL_H */
