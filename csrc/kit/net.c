/* SPDX-License-Identifier: MIT */
/* Network namespaces: one, init_net. */
#define _GNU_SOURCE 1

#include <net/net_namespace.h>

#include "kit.h"

/* Drivers with a part of their own, at once; 0 is no number. */
#define NR_GENERIC (sizeof(init_net.gen) / sizeof(init_net.gen[0]))

struct net init_net;

int shrinker_kit_pernet_register(struct pernet_operations *ops, const char *place)
{
	unsigned int id = 1;
	int error = 0;

	if (ops->id && ops->size) {
		while (id < NR_GENERIC && init_net.gen[id])
			id++;
		if (id == NR_GENERIC)
			return -ENOSPC;
		*ops->id = id;
		init_net.gen[*ops->id] = shrinker_kit_alloc(SHRINKER_KIT_KMALLOC, 1,
							    ops->size,
							    GFP_KERNEL | __GFP_ZERO, place);
		if (!init_net.gen[*ops->id])
			return -ENOMEM;
	}
	if (ops->init)
		error = ops->init(&init_net);
	if (error && ops->id && ops->size) {
		shrinker_kit_free(init_net.gen[id], SHRINKER_KIT_KFREE, place);
		init_net.gen[id] = NULL;
	}
	return error;
}

void shrinker_kit_pernet_unregister(struct pernet_operations *ops, const char *place)
{
	LIST_HEAD(nets);

	if (ops->pre_exit)
		ops->pre_exit(&init_net);
	if (ops->exit)
		ops->exit(&init_net);
	if (ops->exit_batch) {
		INIT_LIST_HEAD(&init_net.list);
		list_add(&init_net.list, &nets);
		ops->exit_batch(&nets);
		INIT_LIST_HEAD(&init_net.list);
	}
	if (ops->id && ops->size) {
		shrinker_kit_free(init_net.gen[*ops->id], SHRINKER_KIT_KFREE, place);
		init_net.gen[*ops->id] = NULL;
	}
}
