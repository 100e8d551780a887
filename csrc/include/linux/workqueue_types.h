/* SPDX-License-Identifier: MIT */
/* One piece of work; <linux/workqueue.h> has what is done with it. */
#ifndef SHRINKER_LINUX_WORKQUEUE_TYPES_H
#define SHRINKER_LINUX_WORKQUEUE_TYPES_H

#include <stdbool.h>
#include <linux/list_types.h>

struct work_struct;
struct workqueue_struct;
typedef void (*work_func_t)(struct work_struct *work);

/**
 * struct work_struct - something to be done
 * @func: does it
 * @queue, @due, @entry, @place, @pending, @disabled: the library's
 */
struct work_struct {
	work_func_t func;
	struct workqueue_struct *queue;
	unsigned long due;
	struct list_head entry;
	const char *place;
	bool pending;
	int disabled;
};

#endif /* SHRINKER_LINUX_WORKQUEUE_TYPES_H */
