/* SPDX-License-Identifier: MIT */
/*
 * One processor, which never goes: what is set up is called for it at once, and what
 * is removed once more.
 *
 * Left out: states with a place of their own in the order, and processors that go.
 */
#ifndef SHRINKER_LINUX_CPUHOTPLUG_H
#define SHRINKER_LINUX_CPUHOTPLUG_H

#include <linux/kit.h>
#include <linux/list_types.h>
#include <linux/smp.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cpuhp_state { CPUHP_AP_ONLINE_DYN = 1, CPUHP_BP_PREPARE_DYN = 2 };

/* The callbacks of a state, for a processor or for an instance on it; each may be NULL. */
struct shrinker_kit_cpuhp {
	int (*startup)(unsigned int cpu), (*teardown)(unsigned int cpu);
	int (*startup_one)(unsigned int cpu, struct hlist_node *node);
	int (*teardown_one)(unsigned int cpu, struct hlist_node *node);
};

/* @calls: startup is called.  Return: number of the state, or the error of startup. */
int shrinker_kit_cpuhp_setup(struct shrinker_kit_cpuhp callbacks, bool calls,
			     const char *place);
void shrinker_kit_cpuhp_remove(int state, bool calls, const char *place);
int shrinker_kit_cpuhp_instance(int state, struct hlist_node *node, bool starts);

#ifdef __cplusplus
}
#endif

static inline struct shrinker_kit_cpuhp
shrinker_kit_cpuhp_cpu(int (*startup)(unsigned int cpu), int (*teardown)(unsigned int cpu))
{
	struct shrinker_kit_cpuhp callbacks = { startup, teardown, NULL, NULL };

	return callbacks;
}

static inline struct shrinker_kit_cpuhp
shrinker_kit_cpuhp_multi(int (*startup)(unsigned int cpu, struct hlist_node *node),
			 int (*teardown)(unsigned int cpu, struct hlist_node *node))
{
	struct shrinker_kit_cpuhp callbacks = { NULL, NULL, startup, teardown };

	return callbacks;
}

#define cpuhp_setup_state(state, name, startup, teardown)                             \
	shrinker_kit_cpuhp_setup(shrinker_kit_cpuhp_cpu((startup), (teardown)), true, \
				 SHRINKER_KIT_PLACE)
#define cpuhp_setup_state_nocalls(state, name, startup, teardown)                     \
	shrinker_kit_cpuhp_setup(shrinker_kit_cpuhp_cpu((startup), (teardown)), false, \
				 SHRINKER_KIT_PLACE)
#define cpuhp_setup_state_multi(state, name, startup, teardown)                       \
	shrinker_kit_cpuhp_setup(shrinker_kit_cpuhp_multi((startup), (teardown)), false, \
				 SHRINKER_KIT_PLACE)
#define cpuhp_remove_state(state)                                              \
	shrinker_kit_cpuhp_remove((int)(state), true, SHRINKER_KIT_PLACE)
#define cpuhp_remove_state_nocalls(state)                                      \
	shrinker_kit_cpuhp_remove((int)(state), false, SHRINKER_KIT_PLACE)
#define cpuhp_remove_multi_state(state) cpuhp_remove_state_nocalls(state)
#define cpuhp_state_add_instance(state, node)                                  \
	shrinker_kit_cpuhp_instance((int)(state), (node), true)
#define cpuhp_state_remove_instance(state, node)                               \
	shrinker_kit_cpuhp_instance((int)(state), (node), false)
#define cpus_read_lock() ((void)0)
#define cpus_read_unlock() ((void)0)

#endif /* SHRINKER_LINUX_CPUHOTPLUG_H */
