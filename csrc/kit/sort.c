/* SPDX-License-Identifier: MIT */
/* Lists and arrays put in order. */
#define _GNU_SOURCE 1

#include <linux/list_sort.h>
#include <linux/sort.h>

#include "kit.h"

/* Merges @b into @a, both sorted; of equals those of @a come first. */
static void merge(void *argument, struct list_head *a, struct list_head *b,
		  list_cmp_func_t compare)
{
	struct list_head *at = a->next, *item;

	while (!list_empty(b)) {
		item = b->next;
		while (at != a && compare(argument, at, item) <= 0)
			at = at->next;
		list_move_tail(item, at);
	}
}

void list_sort(void *argument, struct list_head *head, list_cmp_func_t compare)
{
	struct list_head *middle = head->next, *end = head->next;
	LIST_HEAD(left);

	if (list_empty(head) || list_is_singular(head))
		return;
	for (; end != head && end->next != head; end = end->next->next)
		middle = middle->next;
	list_cut_position(&left, head, middle->prev);
	list_sort(argument, &left, compare);
	list_sort(argument, head, compare);
	merge(argument, &left, head, compare);
	list_splice_init(&left, head);
}

/* --- arrays: by a heap -------------------------------------------------------------- */

struct array {
	char *base;
	size_t size;
	cmp_r_func_t compare;
	swap_r_func_t swap;
	const void *argument;
};

static void exchange_bytes(char *a, char *b, size_t size)
{
	char byte;

	while (size--) {
		byte = *a;
		*a++ = *b;
		*b++ = byte;
	}
}

static void exchange(const struct array *array, size_t i, size_t j)
{
	char *a = array->base + i * array->size, *b = array->base + j * array->size;

	if (array->swap)
		array->swap(a, b, (int)array->size, array->argument);
	else
		exchange_bytes(a, b, array->size);
}

static bool is_less(const struct array *array, size_t i, size_t j)
{
	return array->compare(array->base + i * array->size,
			      array->base + j * array->size, array->argument) < 0;
}

/* Lets an element sink to its place in the heap of the first @n. */
static void sink(const struct array *array, size_t i, size_t n)
{
	size_t child;

	while ((child = 2 * i + 1) < n) {
		if (child + 1 < n && is_less(array, child, child + 1))
			child++;
		if (!is_less(array, i, child))
			return;
		exchange(array, i, child);
		i = child;
	}
}

void sort_r(void *base, size_t n, size_t size, cmp_r_func_t compare, swap_r_func_t swap,
	    const void *argument)
{
	const struct array array = { base, size, compare, swap, argument };
	size_t i;

	for (i = n / 2; i--;)
		sink(&array, i, n);
	while (n > 1) {
		exchange(&array, 0, --n);
		sink(&array, 0, n);
	}
}

/* What sort() was given, behind the argument that the functions of sort_r() have. */
struct plain {
	cmp_func_t compare;
	swap_func_t swap;
};

static int compare_plain(const void *a, const void *b, const void *plain)
{
	return ((const struct plain *)plain)->compare(a, b);
}

static void swap_plain(void *a, void *b, int size, const void *plain)
{
	((const struct plain *)plain)->swap(a, b, size);
}

void sort(void *base, size_t n, size_t size, cmp_func_t compare, swap_func_t swap)
{
	const struct plain plain = { compare, swap };

	sort_r(base, n, size, compare_plain, swap ? swap_plain : NULL, &plain);
}
