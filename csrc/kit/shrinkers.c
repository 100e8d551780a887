/* SPDX-License-Identifier: MIT */
/*
 * The driver's shrinkers: where each was made and freed, and what its callbacks were
 * asked.
 *
 * Between a walk and the driver stand two callbacks of ours.  They take no lock, so
 * that a thread sanitizer sees the driver's races.
 */
#define _GNU_SOURCE 1

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrinker_test.h>
#include <linux/list_lru.h>

#include "domain.h"
#include "kit/kit.h"

/* The library's own, without the place. */
#undef shrinker_alloc
#undef shrinker_register
#undef shrinker_free

/**
 * struct record - one shrinker
 * @next: records are never freed, so a reader needs no lock
 * @shrinker: NULL: the record is free for another
 * @made_at, @freed_at: places; @freed_at is NULL while it lives
 * @name: the beginning of its name
 * @is_registered: it was given to shrinker_register()
 * @is_watched: its calls are counted
 * @count_objects, @scan_objects: its own, where ours stand before them; or NULL
 */
struct record {
	struct record *next;
	_Atomic(struct shrinker *) shrinker;
	const char *made_at, *freed_at;
	char name[32];
	bool is_registered, is_watched;
	unsigned long (*count_objects)(struct shrinker *, struct shrink_control *);
	unsigned long (*scan_objects)(struct shrinker *, struct shrink_control *);
	struct {
		_Atomic(unsigned long) count_calls, scan_calls, asked, scanned, freed;
		_Atomic(unsigned long) stops, empty, last_count;
	} calls;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct record *) records;
static _Atomic(bool) testing;

bool kit_testing(void)
{
	return testing;
}

/* Forgets the shrinkers that earlier tests have freed. */
void kit_testing_begin(void)
{
	struct record *record;

	testing = true;
	pthread_mutex_lock(&lock);
	for (record = records; record; record = record->next)
		if (record->freed_at)
			record->shrinker = NULL;
	pthread_mutex_unlock(&lock);
}

static struct record *find(const struct shrinker *shrinker)
{
	struct record *record;

	for (record = atomic_load_explicit(&records, memory_order_acquire); record;
	     record = record->next)
		if (atomic_load_explicit(&record->shrinker, memory_order_relaxed) ==
		    shrinker)
			return record;
	return NULL;
}

/* The record of that shrinker, a free one or a new one; NULL: no memory. */
static struct record *record_for(struct shrinker *shrinker, const char *place)
{
	struct record *record;

	pthread_mutex_lock(&lock);
	record = find(shrinker);
	if (!record)
		record = find(NULL);
	if (!record) {
		record = calloc(1, sizeof(*record));
		if (record) {
			record->next = records;
			atomic_store_explicit(&records, record, memory_order_release);
		}
	}
	if (record) {
		record->made_at = place;
		record->freed_at = NULL;
		record->is_watched = false;
		record->is_registered = shrinker->flags & SHRINKER_REGISTERED;
		snprintf(record->name, sizeof(record->name), "%s", shrinker->name);
		record->scan_objects = NULL;
		record->shrinker = shrinker;
	}
	pthread_mutex_unlock(&lock);
	return record;
}

/* --- between the walk and the driver --------------------------------------------- */

static void add(_Atomic(unsigned long) *counter, unsigned long n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static unsigned long
call(unsigned long (*callback)(struct shrinker *, struct shrink_control *),
     struct shrinker *shrinker, struct shrink_control *sc, const char *what)
{
	struct kit_call this_one = { shrinker, kit_thread.calling };
	struct kit_before before = kit_before();
	unsigned long answer;

	kit_thread.calling = &this_one;
	answer = callback(shrinker, sc);
	kit_thread.calling = this_one.outer;
	kit_same_locks(before, what, shrinker->name);
	return answer;
}

static unsigned long watch_count(struct shrinker *shrinker,
				 struct shrink_control *sc)
{
	struct record *at = find(shrinker);
	unsigned long count =
		call(at->count_objects, shrinker, sc, "count_objects() of ");

	add(&at->calls.count_calls, 1);
	add(&at->calls.empty, count == SHRINK_EMPTY);
	atomic_store_explicit(&at->calls.last_count, count, memory_order_relaxed);
	return count;
}

static unsigned long watch_scan(struct shrinker *shrinker,
				struct shrink_control *sc)
{
	struct record *at = find(shrinker);
	unsigned long asked = sc->nr_to_scan;
	unsigned long freed =
		call(at->scan_objects, shrinker, sc, "scan_objects() of ");

	add(&at->calls.scan_calls, 1);
	add(&at->calls.asked, asked);
	if (freed == SHRINK_STOP) {
		add(&at->calls.stops, 1);
	} else {
		add(&at->calls.scanned, sc->nr_scanned);
		add(&at->calls.freed, freed);
	}
	return freed;
}

/* Puts our callbacks before the driver's. */
static void stand_between(struct record *at, struct shrinker *shrinker)
{
	if (shrinker->scan_objects == watch_scan)
		return;
	at->count_objects = shrinker->count_objects;
	at->scan_objects = shrinker->scan_objects;
	shrinker->count_objects = watch_count;
	shrinker->scan_objects = watch_scan;
}

/* --- what the driver calls ---------------------------------------------------------- */

struct shrinker *shrinker_kit_shrinker_alloc(const char *place, unsigned int flags,
					     const char *format, ...)
{
	struct reclaim_domain *domain = reclaim_default_domain();
	struct shrinker *shrinker;
	va_list arguments;
	char *name;

	if (!shrinker_kit_may_allocate(place) || !domain)
		return NULL;
	va_start(arguments, format);
	if (vasprintf(&name, format, arguments) < 0)
		name = NULL;
	va_end(arguments);
	if (!name)
		return NULL;
	shrinker = reclaim_shrinker_alloc(domain, flags, name);
	free(name);
	if (shrinker && kit_testing() && !record_for(shrinker, place)) {
		shrinker_free(shrinker);
		return NULL;
	}
	return shrinker;
}

void shrinker_kit_shrinker_register(struct shrinker *shrinker, const char *place)
{
	struct record *at = find(shrinker);

	if (at && kit_testing()) {
		shrinker_kit_might_sleep(place);
		if (at->freed_at || shrinker->flags & SHRINKER_REGISTERED) {
			kit_fail("%s: shrinker_register() of a shrinker that is %s", place,
				 at->freed_at ? "freed" : "registered");
			return;
		}
		if (!shrinker->count_objects || !shrinker->scan_objects) {
			kit_fail("%s: shrinker_register(): %s has no %s()", place,
				 shrinker->name,
				 shrinker->count_objects ? "scan_objects" :
							   "count_objects");
			return;
		}
		stand_between(at, shrinker);
	}
	if (at)
		at->is_registered = true;
	shrinker_register(shrinker);
}

static bool is_in_callback_of(const struct shrinker *shrinker)
{
	const struct kit_call *outer;

	for (outer = kit_thread.calling; outer; outer = outer->outer)
		if (outer->shrinker == shrinker)
			return true;
	return false;
}

/* A kernel has no stall guard: there such a pass would have no end. */
static void warn_of_stalls(struct shrinker *shrinker, const char *made_at)
{
	uint64_t stalled = atomic_load(&shrinker->counted.stalled);

	if (stalled)
		shrinker_kit_warn(NULL, made_at,
				  "%s: passes without progress: %llu; a kernel would call its scan_objects() for ever. Does it set nr_scanned to 0?\n",
				  shrinker->name, (unsigned long long)stalled);
}

void shrinker_kit_shrinker_free(struct shrinker *shrinker, const char *place)
{
	struct record *at = shrinker ? find(shrinker) : NULL;
	const char *freed_at = NULL;

	if (!at) {
		shrinker_free(shrinker);
		return;
	}
	if (is_in_callback_of(shrinker)) {
		kit_fail("%s: shrinker_free() of %s in its own callback waits for its own end",
			 place, shrinker->name);
		return;
	}
	if (kit_testing())
		shrinker_kit_might_sleep(place);
	pthread_mutex_lock(&lock);
	freed_at = at->freed_at;
	if (!freed_at)
		at->freed_at = place;
	pthread_mutex_unlock(&lock);
	if (freed_at) {
		kit_fail("%s: shrinker_free() of a shrinker that was allocated at %s and freed at %s",
			 place, at->made_at, freed_at);
		return;
	}
	warn_of_stalls(shrinker, at->made_at);
	shrinker_free(shrinker);
}

/* --- what the test asks -------------------------------------------------------------- */

/* Whether it is meant: by its name, or as debugfs calls it. */
static bool is_called(struct shrinker *shrinker, const char *name, bool in_debugfs)
{
	char full[160];

	if (!in_debugfs)
		return !strcmp(shrinker->name, name);
	snprintf(full, sizeof(full), "%s-%llu", shrinker->name,
		 (unsigned long long)shrinker_debugfs_id(shrinker));
	return !strcmp(full, name);
}

/* The first registered one of that name; under registry_lock. */
static struct shrinker *find_shrinker(struct reclaim_domain *domain,
				      const char *name, bool *is_one_of_many)
{
	struct shrinker *shrinker, *found = NULL;
	int in_debugfs;

	for (in_debugfs = 0; in_debugfs < 2 && !found; in_debugfs++) {
		for (shrinker = atomic_load(&domain->first); shrinker;
		     shrinker = atomic_load(&shrinker->next)) {
			if (!is_called(shrinker, name, in_debugfs))
				continue;
			*is_one_of_many = found;
			if (!found)
				found = shrinker;
		}
	}
	return found;
}

static void say_which(const struct reclaim_domain *domain, const char *name)
{
	struct shrinker *shrinker;

	fprintf(stderr, "several shrinkers are called %s: the first is meant;", name);
	for (shrinker = atomic_load(&domain->first); shrinker;
	     shrinker = atomic_load(&shrinker->next))
		if (is_called(shrinker, name, false))
			fprintf(stderr, " %s-%llu", name,
				(unsigned long long)shrinker_debugfs_id(shrinker));
	fprintf(stderr, " name each\n");
}

bool shrinker_test_watch(const char *name)
{
	struct reclaim_domain *domain = reclaim_default_domain();
	struct shrinker *shrinker;
	struct record *at = NULL;
	bool is_one_of_many = false;

	if (!domain)
		return false;
	pthread_mutex_lock(&domain->registry_lock);
	shrinker = find_shrinker(domain, name, &is_one_of_many);
	if (is_one_of_many)
		say_which(domain, name);
	if (shrinker && !(at = find(shrinker)))
		at = record_for(shrinker, "?");
	if (at && !at->is_watched) {
		memset(&at->calls, 0, sizeof(at->calls));
		at->is_watched = true;
		stand_between(at, shrinker);
	}
	pthread_mutex_unlock(&domain->registry_lock);
	return at;
}

static void read_calls(const struct record *at, struct shrinker_test_calls *calls)
{
	*calls = (struct shrinker_test_calls){
		.count_calls = at->calls.count_calls,
		.scan_calls = at->calls.scan_calls,
		.asked = at->calls.asked,
		.scanned = at->calls.scanned,
		.freed = at->calls.freed,
		.stops = at->calls.stops,
		.empty = at->calls.empty,
		.last_count = at->calls.last_count,
	};
}

bool shrinker_test_calls(const char *name, struct shrinker_test_calls *calls)
{
	struct reclaim_domain *domain = reclaim_default_domain();
	const struct shrinker *shrinker;
	const struct record *at;
	bool is_watched = false, is_one_of_many;

	if (!domain)
		return false;
	pthread_mutex_lock(&domain->registry_lock);
	shrinker = find_shrinker(domain, name, &is_one_of_many);
	at = shrinker ? find(shrinker) : NULL;
	if (at && at->is_watched) {
		is_watched = true;
		read_calls(at, calls);
	}
	pthread_mutex_unlock(&domain->registry_lock);
	return is_watched;
}

/* Names the shrinkers that are left, registered or not.  Return: complaints. */
int kit_shrinkers_complain(void)
{
	struct reclaim_domain *domain = reclaim_default_domain();
	struct shrinker *shrinker;
	struct record *record;
	int left = 0;

	if (!domain)
		return 0;
	pthread_mutex_lock(&domain->registry_lock);
	for (shrinker = atomic_load(&domain->first); shrinker;
	     shrinker = atomic_load(&shrinker->next), left++) {
		record = find(shrinker);
		fprintf(stderr, "shrinker %s, allocated at %s, was not freed\n",
			shrinker->name, record ? record->made_at : "?");
	}
	/* Not looked at itself: another than the kit may have freed it. */
	for (record = records; record; record = record->next) {
		if (!record->shrinker || record->freed_at || record->is_registered)
			continue;
		fprintf(stderr, "shrinker %s, allocated at %s, was neither registered nor freed\n",
			record->name, record->made_at);
		left++;
	}
	pthread_mutex_unlock(&domain->registry_lock);
	return left;
}
