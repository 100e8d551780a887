/* SPDX-License-Identifier: MIT */
/* Conditions that seldom change: plain counters here. */
#ifndef SHRINKER_LINUX_JUMP_LABEL_H
#define SHRINKER_LINUX_JUMP_LABEL_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/types.h>

struct static_key {
	atomic_t enabled;
};
struct static_key_true {
	struct static_key key;
};
struct static_key_false {
	struct static_key key;
};

#define STATIC_KEY_INIT_TRUE { ATOMIC_INIT(1) }
#define STATIC_KEY_INIT_FALSE { ATOMIC_INIT(0) }
#define STATIC_KEY_TRUE_INIT { STATIC_KEY_INIT_TRUE }
#define STATIC_KEY_FALSE_INIT { STATIC_KEY_INIT_FALSE }
#define DEFINE_STATIC_KEY_TRUE(name) struct static_key_true name = STATIC_KEY_TRUE_INIT
#define DEFINE_STATIC_KEY_FALSE(name) struct static_key_false name = STATIC_KEY_FALSE_INIT
#define DEFINE_STATIC_KEY_TRUE_RO(name) DEFINE_STATIC_KEY_TRUE(name)
#define DEFINE_STATIC_KEY_FALSE_RO(name) DEFINE_STATIC_KEY_FALSE(name)
#define DEFINE_STATIC_KEY_MAYBE(config, name) DEFINE_STATIC_KEY_FALSE(name)
#define DECLARE_STATIC_KEY_TRUE(name) extern struct static_key_true name
#define DECLARE_STATIC_KEY_FALSE(name) extern struct static_key_false name

#define static_key_enabled(which) (atomic_read(&(which)->key.enabled) > 0)
#define static_key_count(which) atomic_read(&(which)->enabled)
#define static_branch_likely(which) likely(static_key_enabled(which))
#define static_branch_unlikely(which) unlikely(static_key_enabled(which))
#define static_branch_maybe(config, which) static_key_enabled(which)
#define static_branch_inc(which) atomic_inc(&(which)->key.enabled)
#define static_branch_dec(which) atomic_dec(&(which)->key.enabled)
#define static_branch_enable(which) atomic_set(&(which)->key.enabled, 1)
#define static_branch_disable(which) atomic_set(&(which)->key.enabled, 0)
#define static_branch_enable_cpuslocked(which) static_branch_enable(which)
#define static_key_slow_inc(which) atomic_inc(&(which)->enabled)
#define static_key_slow_dec(which) atomic_dec(&(which)->enabled)
#define static_key_false(which) (atomic_read(&(which)->enabled) > 0)
#define static_key_true(which) (atomic_read(&(which)->enabled) > 0)

#endif /* SHRINKER_LINUX_JUMP_LABEL_H */
