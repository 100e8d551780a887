/* SPDX-License-Identifier: MIT */
/* Memory nodes: as many as the default domain has. */
#ifndef SHRINKER_LINUX_NODEMASK_H
#define SHRINKER_LINUX_NODEMASK_H

#include <shrinker/domain.h>

#define NUMA_NO_NODE (-1)
#define MAX_NUMNODES RECLAIM_MAX_NODES
#define nr_node_ids                                                            \
	((unsigned int)reclaim_domain_nr_nodes(reclaim_default_domain()))
#define num_online_nodes() ((int)nr_node_ids)
#define numa_node_id() 0
#define numa_mem_id() 0
#define first_online_node 0
#define node_online(nid) ((unsigned int)(nid) < nr_node_ids)
#define for_each_node(nid) for ((nid) = 0; (nid) < (int)nr_node_ids; (nid)++)
#define for_each_online_node(nid) for_each_node(nid)
#define for_each_node_state(nid, state) for_each_node(nid)

#endif /* SHRINKER_LINUX_NODEMASK_H */
