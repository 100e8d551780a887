/* SPDX-License-Identifier: MIT */
/* Functions that are told of events. */
#ifndef SHRINKER_LINUX_NOTIFIER_H
#define SHRINKER_LINUX_NOTIFIER_H

#include <linux/kit.h>
#include <linux/errno.h>
#include <linux/rwsem.h>

struct notifier_block;
typedef int (*notifier_fn_t)(struct notifier_block *block, unsigned long action, void *data);
struct notifier_block {
	notifier_fn_t notifier_call;
	struct notifier_block *next;
	int priority;
};
#define NOTIFY_DONE 0
#define NOTIFY_OK 1
#define NOTIFY_STOP_MASK 0x8000
#define NOTIFY_BAD (NOTIFY_STOP_MASK | 2)
#define NOTIFY_STOP (NOTIFY_OK | NOTIFY_STOP_MASK)

/* @lock: a rw_semaphore for all forms: calls may block. */
struct blocking_notifier_head {
	struct rw_semaphore rwsem;
	struct notifier_block *head;
};
#define BLOCKING_NOTIFIER_INIT(name) { __RWSEM_INITIALIZER(name.rwsem), NULL }
#define BLOCKING_NOTIFIER_HEAD(name)                                           \
	struct blocking_notifier_head name = BLOCKING_NOTIFIER_INIT(name)
#define BLOCKING_INIT_NOTIFIER_HEAD(which) (init_rwsem(&(which)->rwsem), (void)((which)->head = NULL))

static inline int blocking_notifier_chain_register(struct blocking_notifier_head *chain,
						   struct notifier_block *block)
{
	struct notifier_block **link = &chain->head;

	down_write(&chain->rwsem);
	while (*link && (*link)->priority >= block->priority)
		link = &(*link)->next;
	block->next = *link;
	*link = block;
	up_write(&chain->rwsem);
	return 0;
}

static inline int blocking_notifier_chain_unregister(struct blocking_notifier_head *chain,
						     struct notifier_block *block)
{
	struct notifier_block **link = &chain->head;
	int found;

	down_write(&chain->rwsem);
	while (*link && *link != block)
		link = &(*link)->next;
	found = *link != NULL;
	if (found)
		*link = block->next;
	up_write(&chain->rwsem);
	return found ? 0 : -ENOENT;
}

static inline int blocking_notifier_call_chain(struct blocking_notifier_head *chain,
					       unsigned long action, void *data)
{
	struct notifier_block *block;
	int answer = NOTIFY_DONE;

	down_read(&chain->rwsem);
	for (block = chain->head; block; block = block->next) {
		answer = block->notifier_call(block, action, data);
		if (answer & NOTIFY_STOP_MASK)
			break;
	}
	up_read(&chain->rwsem);
	return answer;
}

/* Of the machine: a test calls what it wants to be called. */
#define register_oom_notifier(block) ((void)(block), shrinker_kit_zero())
#define unregister_oom_notifier(block) ((void)(block), shrinker_kit_zero())
#define register_reboot_notifier(block) ((void)(block), shrinker_kit_zero())
#define unregister_reboot_notifier(block) ((void)(block), shrinker_kit_zero())

#endif /* SHRINKER_LINUX_NOTIFIER_H */
