/* SPDX-License-Identifier: MIT */
/*
 * Who is running: root, always.
 *
 * Left out: keys, namespaces, other users.
 */
#ifndef SHRINKER_LINUX_CRED_H
#define SHRINKER_LINUX_CRED_H

#include <linux/atomic.h>
#include <linux/types.h>

typedef struct {
	uid_t val;
} kuid_t;
typedef struct {
	gid_t val;
} kgid_t;
struct user_namespace;
struct group_info;
struct cred {
	atomic_long_t usage;
	kuid_t uid, euid, fsuid;
	kgid_t gid, egid, fsgid;
	struct user_namespace *user_ns;
	struct group_info *group_info;
};

static inline const struct cred *shrinker_kit_current_cred(void)
{
	static struct cred root;

	return &root;
}

static inline kuid_t make_kuid(struct user_namespace *ns, uid_t uid)
{
	kuid_t made = { uid };

	(void)ns;
	return made;
}

static inline kgid_t make_kgid(struct user_namespace *ns, gid_t gid)
{
	kgid_t made = { gid };

	(void)ns;
	return made;
}

#define KUIDT_INIT(value) ((kuid_t){ value })
#define KGIDT_INIT(value) ((kgid_t){ value })
#define GLOBAL_ROOT_UID KUIDT_INIT(0)
#define GLOBAL_ROOT_GID KGIDT_INIT(0)
#define INVALID_UID KUIDT_INIT((uid_t)-1)
#define init_user_ns (*(struct user_namespace *)NULL)
#define current_cred() shrinker_kit_current_cred()
#define current_uid() (current_cred()->uid)
#define current_gid() (current_cred()->gid)
#define current_fsuid() (current_cred()->fsuid)
#define current_fsgid() (current_cred()->fsgid)
#define current_euid() (current_cred()->euid)
#define current_user_ns() ((struct user_namespace *)NULL)
#define get_cred(cred) (cred)
#define get_current_cred() current_cred()
#define put_cred(cred) ((void)(cred))
#define override_creds(cred) (cred)
#define revert_creds(cred) ((void)(cred))
#define uid_eq(a, b) ((a).val == (b).val)
#define gid_eq(a, b) ((a).val == (b).val)
#define uid_lt(a, b) ((a).val < (b).val)
#define uid_gt(a, b) ((a).val > (b).val)
#define uid_valid(uid) ((uid).val != (uid_t)-1)
#define gid_valid(gid) ((gid).val != (gid_t)-1)
#define __kuid_val(uid) ((uid).val)
#define __kgid_val(gid) ((gid).val)
#define from_kuid(ns, uid) ((void)(ns), (uid).val)
#define from_kgid(ns, gid) ((void)(ns), (gid).val)
#define from_kuid_munged(ns, uid) from_kuid(ns, uid)
#define from_kgid_munged(ns, gid) from_kgid(ns, gid)
#define capable(capability) ((void)(capability), true)
#define ns_capable(ns, capability) ((void)(ns), capable(capability))
#define CAP_SYS_ADMIN 21
#define CAP_SYS_RESOURCE 24

#endif /* SHRINKER_LINUX_CRED_H */
