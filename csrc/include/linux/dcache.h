/* SPDX-License-Identifier: MIT */
/* Names of files; fs.h has the structure. */
#ifndef SHRINKER_LINUX_DCACHE_H
#define SHRINKER_LINUX_DCACHE_H

#include <linux/fs.h>
#include <linux/lockref.h>

#define dget(dentry)                                                           \
	__extension__({                                                        \
		__typeof__(dentry) dg_ = (dentry);                             \
		if (dg_)                                                       \
			lockref_get(&dg_->d_lockref);                          \
		dg_;                                                           \
	})
#define dput(dentry)                                                           \
	do {                                                                   \
		struct dentry *dp_ = (dentry);                                 \
		if (dp_ && !lockref_put_or_lock(&dp_->d_lockref)) {            \
			dp_->d_lockref.count--;                                \
			spin_unlock(&dp_->d_lockref.lock);                     \
		}                                                              \
	} while (0)
#define d_count(dentry) ((dentry)->d_lockref.count)

#endif /* SHRINKER_LINUX_DCACHE_H */
