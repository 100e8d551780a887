/* SPDX-License-Identifier: MIT */
/*
 * Network namespaces: one, init_net.
 *
 * Left out: devices, and everything that a namespace has.  register_pernet_subsys() makes
 * the caller's own part in init_net and calls its init function.
 */
#ifndef SHRINKER_NET_NET_NAMESPACE_H
#define SHRINKER_NET_NET_NAMESPACE_H

#include <linux/kit.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/slab.h>

#ifdef __cplusplus
extern "C" {
#endif


struct net {
	refcount_t passive;
	unsigned int proc_inum;
	void *gen[16];
	struct list_head list;
	struct proc_dir_entry *proc_net, *proc_net_stat;
	struct user_namespace *user_ns;
};
typedef struct {
	struct net *net;
} possible_net_t;

/**
 * struct pernet_operations - what a driver has for each namespace
 * @id: gets the number for net_generic(), where it is not NULL
 * @size: bytes of that part
 */
struct pernet_operations {
	struct list_head list;
	int (*init)(struct net *net);
	void (*pre_exit)(struct net *net);
	void (*exit)(struct net *net);
	void (*exit_batch)(struct list_head *nets);
	unsigned int *id;
	size_t size;
};
extern struct net init_net;
int shrinker_kit_pernet_register(struct pernet_operations *ops, const char *place);
void shrinker_kit_pernet_unregister(struct pernet_operations *ops, const char *place);

#ifdef __cplusplus
}
#endif

#define register_pernet_subsys(ops) shrinker_kit_pernet_register((ops), SHRINKER_KIT_PLACE)
#define unregister_pernet_subsys(ops) shrinker_kit_pernet_unregister((ops), SHRINKER_KIT_PLACE)
#define register_pernet_device(ops) register_pernet_subsys(ops)
#define unregister_pernet_device(ops) unregister_pernet_subsys(ops)
#define net_generic(net, id) ((void *)(net)->gen[(id)])
#define get_net(net) (net)
#define maybe_get_net(net) (net)
#define put_net(net) ((void)(net))
#define get_net_track(net, tracker, gfp) (net)
#define put_net_track(net, tracker) ((void)(net))
#define net_eq(a, b) ((a) == (b))
#define check_net(net) ((void)(net), 1)
#define read_pnet(pnet) ((pnet)->net)
#define write_pnet(pnet, which) ((void)((pnet)->net = (which)))
#define for_each_net(which) for ((which) = &init_net; (which); (which) = NULL)
#define for_each_net_rcu(which) for_each_net(which)
#define net_hash_mix(net) ((void)(net), 0U)
#define __net_init
#define __net_exit
#define __net_initdata

#endif /* SHRINKER_NET_NET_NAMESPACE_H */
