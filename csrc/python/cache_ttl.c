/* SPDX-License-Identifier: MIT */
/*
 * Entries that expire: those of a store with a ttl.
 *
 * A list has them by the time when they were set.  All have the same ttl, so the oldest
 * one expires first.  Where there is no ttl, there is no list, and look-ups do not come
 * here: store->quick leads past it.
 */
#include "python/cache.h"

#include <limits.h>

/* Return: -1 with an exception set.  Runs Python code: tests set a clock of their own. */
int store_now(double *seconds)
{
	static PyObject *monotonic;
	PyObject *time;

	if (!monotonic)
		monotonic = PyUnicode_InternFromString("monotonic");
	if (!monotonic)
		return -1;
	time = PyObject_CallMethodObjArgs(cache_helpers.time, monotonic, NULL);
	if (!time)
		return -1;
	*seconds = PyFloat_AsDouble(time);
	Py_DECREF(time);
	return *seconds == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* Makes an entry the newest one. */
void store_note_time(struct store *store, struct entry *entry)
{
	struct timed_entry *timed = (struct timed_entry *)entry;

	timed->older = store->newest;
	timed->newer = NULL;
	*(timed->older ? &timed->older->newer : &store->oldest) = timed;
	store->newest = timed;
}

void store_forget_time(struct store *store, struct entry *entry)
{
	struct timed_entry *timed = (struct timed_entry *)entry;

	*(timed->older ? &timed->older->newer : &store->oldest) = timed->newer;
	*(timed->newer ? &timed->newer->older : &store->newest) = timed->older;
}

/**
 * store_expire - let entries go that have expired
 * @nr: as many at most
 * @keep: entry that stays; NULL: none
 * @freed: their weight is added to it; NULL: not wanted
 *
 * Return: -1 with an exception set, which an eviction callback left.
 */
int store_expire(struct store *store, double now, unsigned long nr,
		 const struct entry *keep, uint64_t *freed)
{
	struct entry *entry;

	while (nr-- && (entry = store_first_expired(store, now, keep))) {
		if (freed)
			*freed += entry->weight;
		if (store_evict_entry(store, entry, true) < 0)
			return -1;
	}
	return 0;
}

/* Lets all go that have expired.  Return: as store_expire(). */
int store_expire_all(struct store *store)
{
	double now;

	if (!store->oldest)
		return 0;
	return store_now(&now) < 0 ? -1 : store_expire(store, now, ULONG_MAX, NULL, NULL);
}
