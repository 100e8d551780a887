/* SPDX-License-Identifier: MIT */
/*
 * The whole registry against the model of registry_world.h.  The input decides
 * which operations run, also inside callbacks: free the shrinker that a walk is at,
 * remove groups during a walk, and so on.
 */
#include "registry_world.h"

struct world world;

typedef void (*operation)(struct machine *machine);

/* Frequent operations are here several times. */
static const operation operations[] = {
	op_alloc, op_alloc,	  op_crowd,   op_register,  op_free,
	op_free,  op_reference,	  op_once,    op_walk,	    op_walk,
	op_walk,  op_ladder,	  op_ladder,  op_drop,	    op_group_create,
	op_bits,  op_group_create, op_bits,   op_group_end, op_group_end,
	op_lru,	  op_group_put,	  op_lru,     op_add,	    op_add,
	op_add,	  op_del,	  op_list_walk, op_list_walk, op_events,
	op_events, op_machine,
};

#define OPERATIONS (int)(sizeof(operations) / sizeof(operations[0]))

static void run_one(void)
{
	unsigned int byte = take(&world.script);
	struct machine *machine = &world.machine[byte >> 7];

	if (machine->nr_nodes)
		operations[byte % OPERATIONS](machine);
	else
		op_machine(machine);
}

/* Runs at most @most operations, inside a callback. */
void run_some(unsigned int most)
{
	if (world.depth == DEPTH)
		return;
	world.depth++;
	while (most-- && world.script.at < world.script.end)
		run_one();
	world.depth--;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int i;

	memset(&world, 0, sizeof(world));
	world.script = (struct bytes){ data, data + size };
	for (i = 0; i < ITEMS; i++)
		INIT_LIST_HEAD(&world.item[i].head);
	while (world.script.at < world.script.end) {
		run_one();
		if (!(take(&world.script) & 7))
			for (i = 0; i < MACHINES; i++)
				compare(&world.machine[i]);
	}
	for (i = 0; i < MACHINES; i++) {
		compare(&world.machine[i]);
		if (world.machine[i].nr_nodes)
			free_machine(&world.machine[i]);
	}
	return 0;
}
