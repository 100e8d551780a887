/* SPDX-License-Identifier: MIT */
/* Sorting of lists, by merging: items that are equal keep their order. */
#ifndef SHRINKER_LINUX_LIST_SORT_H
#define SHRINKER_LINUX_LIST_SORT_H

#include <linux/list.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif


typedef int (*list_cmp_func_t)(void *argument, const struct list_head *a,
			       const struct list_head *b);
void list_sort(void *argument, struct list_head *head, list_cmp_func_t compare);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_LIST_SORT_H */
