/* SPDX-License-Identifier: MIT */
/*
 * The entries of a cache of shrinker.cache.  cache.c has the rules.  Part of the
 * extension only.
 */
#ifndef SHRINKER_PYTHON_CACHE_H
#define SHRINKER_PYTHON_CACHE_H

#ifndef SHRINKER_CDEF
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <limits.h>
#include <stdatomic.h>
#endif

#include <shrinker/shrinker.h>

#ifndef SHRINKER_CDEF
#include "python/critical.h"
#include "python/growth.h"
#include "python/spread.h"

/**
 * struct entry - a key and its value; what a hit needs comes first
 * @key: NULL once it is taken out of the cache; then it stays for code that has pinned it
 * @value: valid while @key is not NULL
 * @hash: of @key, asked for once
 * @chain: next entry in the bucket
 * @uses: hits since an eviction passed over it, up to 255; the entry is marked unless 0
 * @era: number of forks that its process had behind it when it was set
 * @on_trial: it is one of the store's @nr_on_trial, if its era is the store's
 * @pins: C code that goes on with the entry after Python code has run
 * @prev: towards the head of the order, from which entries are evicted
 * @next: towards the tail
 * @weight: bytes, or 1
 */
struct entry {
	PyObject *key;
	PyObject *value;
	Py_hash_t hash;
	struct entry *chain;
	unsigned char uses;
	unsigned char era;
	bool on_trial;
	unsigned int pins;
	struct entry *prev, *next;
	uint64_t weight;
};

/**
 * struct sampling - how entries are weighed without a weigher (cache_sampling.c)
 * @on: so they are; the weight is in bytes, and maxsize in entries
 * @begun: there was a measurement
 * @skip: more sets until the next measurement
 * @familiar: type of the last value that was measured; only compared
 * @used: bytes of an entry without its value's length, as sets take them
 * @mean: the same as measurements have it
 * @in_a_row: sets that are measured before any is left out again
 * @sum: of those, up to now
 */
struct sampling {
	bool on;
	bool begun;
	uint32_t skip;
	const void *familiar;
	int64_t used;
	double mean;
	unsigned int in_a_row;
	double sum;
};

/**
 * struct learning - what seeks are learned from (cache_seeks.c)
 * @on: they are; neither seeks nor rebuild_seconds were given
 * @seeks: of a counted object; 0: nothing is known.  A count reads it without the GIL
 * @value: seconds of computing that a counted object saves in a second
 * @objects: that it counted when it was last seen; 0: nothing is known of it
 * @objects_per_entry: counted objects that an entry has, as it was last seen
 * @since_ns: when the sums last faded
 * @seen: hits of the store then
 * @window: seconds; the sum of all; this and the next ones fade
 * @hits: of look-ups
 * @computed, @seconds: computations, and what they took
 * @lost: of @seconds, for keys that a reclaim had evicted a short while ago
 * @ghosts: keys that a reclaim has evicted, without those that were set again
 * @next, @prev: stores of the domain that learn
 *
 * learning_lock guards it, too, where there is no GIL: a step for one store looks at all.
 */
struct learning {
	bool on;
	_Atomic(int) seeks;
	double value;
	double objects;
	double objects_per_entry;
	uint64_t since_ns;
	unsigned long long seen;
	double window;
	double hits;
	SHARED(double) computed;
	double seconds;
	double lost;
	double ghosts;
	struct store *next, *prev;
};

/* For so many more sets one counts whose value is of another type than @familiar. */
#define UNFAMILIAR 3

/**
 * struct timed_entry - an entry of a store with a minimum age or a ttl
 * @born: when it was set, in seconds
 * @older, @newer: the entries that were set before and after it, or NULL; with a ttl
 */
struct timed_entry {
	struct entry entry;
	double born;
	struct timed_entry *older, *newer;
};

/* Eviction callbacks that raised, and those that were not called. */
#define NR_CACHE_ERRORS 2

/**
 * struct store - the entries of one cache; what hits and sets need comes first
 * @quick: @buckets, where a look-up may take an entry as it finds it; otherwise NULL
 * @buckets: chains of entries by hash; NULL: no entry was ever set
 * @shift: 64 minus the logarithm of @nr_buckets
 * @hits: lookups that found a value
 * @closed: sets are refused
 * @weak_instances: its keys may begin with a weak reference to the instance of a method
 * @keeps: there may be entries that were there before a fork; see cache_fork.c
 * @era: number of forks that this process has behind it
 * @nr_buckets: a power of 2
 * @nr_entries: entries; a count reads it without the GIL
 * @weight: their weight together; a count reads it without the GIL
 * @kept: part of @weight that was there before a fork, in the child
 * @maxsize: largest @weight; where weights are sampled, largest @nr_entries
 * @ghosts: parts of hashes, by the hash; NULL: there are none
 * @ghost_shift: 64 minus the logarithm of the number of places in @ghosts; 0: none
 * @evicted: entries evicted so far, without @expired
 * @ghost_hits: sets of keys that were ghosts; see cache_ghosts.c
 * @free_entry: memory of an entry that was evicted, for the next one; or NULL
 * @last_on_trial: the entry on trial that is last in the order; NULL if there is none
 * @nr_on_trial: entries on trial
 * @generation: number of times that it was cleared
 * @growth: of the domain
 * @growth_unit: bytes that a weight of 1 stands for
 * @ttl: seconds after which an entry expires; 0: never
 * @min_age: seconds that scans spare an entry
 * @weigher, @on_evict: functions of key and value, or NULL
 * @sampling: of weights
 * @order: its next is the head, its prev the tail
 * @learning: of seeks
 * @kept_end: stands in the order behind what is kept, where @keeps
 * @tables: number of times that @buckets was replaced
 * @misses: other lookups
 * @expired: entries that left because their time was over
 * @uneven: the weigher has given different weights
 * @last_weight: the last one that it gave; 0: none
 * @random: of choices; see dice.h
 * @spare_room: weight that sets under pressure have evicted beyond what they added
 * @spare_pressure: @pressures of the growth when @spare_room was set
 * @oldest, @newest: ends of the entries by the time when they were set; with a ttl
 * @errors: of eviction callbacks, by kind
 * @unit: weight of an object that the shrinker counts
 * @batches: in which a pass scans the whole cache, where they are not too large
 * @rebuild_seconds: time to make an entry anew; NaN: the shrinker's seeks stay
 * @seconds_per_seek, @max_seeks: to convert it to seeks
 * @name: of the cache, for logs
 * @guard: whose critical section guards all of it, where there is no GIL.  An object of its
 *	own, since iterators need it, and must not keep the store
 */
struct store {
	PyObject_HEAD
	struct entry **quick;
	struct entry **buckets;
	int shift;
	SHARED(unsigned long long) hits;
	char closed;
	bool weak_instances;
	bool keeps;
	unsigned char era;
	size_t nr_buckets;
	_Atomic(uint64_t) nr_entries;
	_Atomic(uint64_t) weight;
	_Atomic(uint64_t) kept;
	unsigned long long maxsize;
	uint32_t *ghosts;
	int ghost_shift;
	unsigned long long evicted;
	unsigned long long ghost_hits;
	struct entry *free_entry;
	struct entry *last_on_trial;
	uint64_t nr_on_trial;
	unsigned long long generation;
	struct python_growth *growth;
	long long growth_unit;
	double ttl;
	double min_age;
	PyObject *weigher;
	PyObject *on_evict;
	struct sampling sampling;
	struct entry order;
	struct learning learning;
	struct entry kept_end;
	uint64_t tables;
	unsigned long long misses;
	unsigned long long expired;
	bool uneven;
	uint64_t last_weight;
	uint32_t random;
	uint64_t spare_room;
	unsigned long long spare_pressure;
	struct timed_entry *oldest, *newest;
	unsigned long long errors[NR_CACHE_ERRORS];
	unsigned long long unit;
	unsigned long batches;
	double rebuild_seconds;
	double seconds_per_seek;
	int max_seeks;
	PyObject *name;
#ifdef Py_GIL_DISABLED
	PyObject *guard;
#endif
};

#define BEGIN_STORE(store) BEGIN_SECTION((store)->guard)
#define END_STORE() END_SECTION()

/**
 * struct eviction - what an eviction may do, and has done
 * @limit, @max_entries: a set evicts until the weight and the number are no larger
 * @budget: weight of the entries that a scan looks at; the last one may exceed it
 * @steps: entries that a scan looks at, at most
 * @by_weight: a set needs room for a weight, and entries may differ in it
 * @spare: used entries that it puts to the tail before it evicts one, at most
 * @spares_young: a scan spares young entries
 * @before: those that were set later are young
 * @now: with a ttl, entries that have expired by then leave first
 * @keep: entry that it passes over; pinned; or NULL
 * @objects: that were freed by a scan, as the shrinker counts them
 * @looked: weight of the entries that it looked at
 * @freed: weight of the entries that it evicted
 */
struct eviction {
	uint64_t limit;
	uint64_t max_entries;
	uint64_t budget;
	uint64_t steps;
	bool by_weight;
	uint64_t spare;
	bool spares_young;
	double before;
	double now;
	const struct entry *keep;
	uint64_t objects;
	uint64_t looked;
	uint64_t freed;
};

/**
 * struct cache_helpers - what C needs of Python; cache/entries.py has it
 * @shrinker_error: ShrinkerError, for a cache that is closed or was not initialised
 * @check_weight: function of a weight that returns it as an int, or raises
 * @tell_evicted: function of store, key and value that calls the eviction callback
 * @scan_failed: function of store and exception that reports it
 * @time: the module
 * @new_lock: function that returns a lock that is locked
 * @wait: function of a lock that waits, within bounds, until it is unlocked
 */
struct cache_helpers {
	PyObject *shrinker_error;
	PyObject *check_weight;
	PyObject *tell_evicted;
	PyObject *scan_failed;
	PyObject *time;
	PyObject *new_lock;
	PyObject *wait;
};

#pragma GCC visibility push(hidden)

extern struct cache_helpers cache_helpers;
extern PyTypeObject *store_type;

void store_take_out(struct store *store, struct entry *entry, PyObject **key,
		    PyObject **value);
void store_clear(struct store *store);
int store_scan(struct store *store, struct eviction *work);
int store_evict_entry(struct store *store, struct entry *entry, bool expired);

/* cache_ttl.c */
int store_now(double *seconds);
void store_note_time(struct store *store, struct entry *entry);
void store_forget_time(struct store *store, struct entry *entry);
int store_expire(struct store *store, double now, unsigned long nr,
		 const struct entry *keep, uint64_t *freed);
int store_expire_all(struct store *store);

/* cache_fork.c */
void store_keep_all(struct store *store);
bool store_give_kept(struct store *store);
void store_own(struct store *store, struct entry *entry);

/* cache_ghosts.c */
void store_make_ghosts(struct store *store);
void store_try(struct store *store, struct entry *entry);
void store_drop_ghosts(struct store *store);

/* cache_seeks.c */
#ifdef Py_GIL_DISABLED
void lock_learning(void);
void unlock_learning(void);
#else
#define lock_learning() ((void)0)
#define unlock_learning() ((void)0)
#endif
void store_begin_learning(struct store *store, uint64_t now_ns);
void store_end_learning(struct store *store);
void store_note_cost(struct store *store, bool reclaimed, double seconds);
double store_object_seconds(const struct store *store);
void growth_learn(struct python_growth *growth, uint64_t now_ns);

/* cache_sizes.c */
struct entry *store_least_worth(struct store *store, struct entry *first,
				const struct entry *keep);

/* cache_sampling.c */
int store_measure(struct store *store, PyObject *key, PyObject *value, int64_t length,
		  uint64_t *weight);

int store_find(struct store *store, PyObject *key, Py_hash_t hash,
	       struct entry **found);
PyObject *store_hit(struct store *store, struct entry *entry);
PyObject *store_put(struct store *store, PyObject *key, Py_hash_t hash,
		    PyObject *value, bool replace,
		    const unsigned long long *generation);

static inline void store_add(_Atomic(uint64_t) *number, uint64_t n)
{
	/* Only the holder of the GIL, or of the store's section, writes. */
	atomic_store_explicit(
		number, atomic_load_explicit(number, memory_order_relaxed) + n,
		memory_order_relaxed);
}

static inline uint64_t store_get(_Atomic(uint64_t) *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

static inline int64_t length_of(PyObject *value)
{
	if (PyUnicode_CheckExact(value))
		return PyUnicode_GetLength(value);
	if (PyBytes_CheckExact(value))
		return PyBytes_Size(value);
	if (PyByteArray_CheckExact(value))
		return PyByteArray_Size(value);
	return 0;
}

/* Weighs an entry by sampling: most get an estimate.  Return: -1 with an exception. */
static inline int store_sample(struct store *store, PyObject *key, PyObject *value,
			       uint64_t *weight)
{
	struct sampling *sampling = &store->sampling;
	int64_t length = length_of(value), estimate = sampling->used + length;

	if (!sampling->skip)
		return store_measure(store, key, value, length, weight);
	sampling->skip--;
	/* A value of another type than the last one may be of another size. */
	if (Py_TYPE(value) != sampling->familiar && sampling->skip >= UNFAMILIAR)
		sampling->skip -= UNFAMILIAR;
	*weight = estimate > 1 ? (uint64_t)estimate : 1;
	return 0;
}

/* Two bits of a ghost; the others are of its key's hash.  GHOST is set in all of them, since
 * 0 is an empty place.  GHOST_OF_RECLAIM: the key was evicted because memory was short, by a
 * scan or by a set under pressure. */
#define GHOST 1U
#define GHOST_OF_RECLAIM 2U

static inline uint32_t *store_ghost_place(const struct store *store, uint64_t mixed)
{
	return &store->ghosts[mixed >> store->ghost_shift];
}

static inline bool ghost_is_of(uint32_t ghost, uint64_t mixed)
{
	return (ghost | GHOST_OF_RECLAIM) == ((uint32_t)mixed | GHOST | GHOST_OF_RECLAIM);
}

/* Makes a ghost of a key, unless there is no memory.  Runs no Python code. */
static inline void store_note_ghost(struct store *store, uint64_t mixed, bool reclaimed)
{
	/* The first one, or the cache has grown.  There are two buckets for an entry. */
	if (store->ghost_shift != store->shift + 1) {
		store_make_ghosts(store);
		if (!store->ghosts)
			return;
	}
	*store_ghost_place(store, mixed) = ((uint32_t)mixed & ~GHOST_OF_RECLAIM) | GHOST |
					   (reclaimed ? GHOST_OF_RECLAIM : 0);
	if (!reclaimed)
		return;
	lock_learning();
	if (store->learning.ghosts < (double)(store->nr_buckets / 2))
		store->learning.ghosts++;
	unlock_learning();
}

/* Return: whether a reclaim, or a set under pressure, evicted the key a short while ago. */
static inline bool store_was_reclaimed(const struct store *store, Py_hash_t hash)
{
	uint64_t mixed = spread_hash(hash, 0);
	uint32_t ghost = store->ghosts ? *store_ghost_place(store, mixed) : 0;

	return ghost_is_of(ghost, mixed) && ghost & GHOST_OF_RECLAIM;
}

/* Return: whether a key was a ghost; it is none any more. */
static inline bool store_take_ghost(struct store *store, uint64_t mixed)
{
	uint32_t *place, ghost;

	if (!store->ghosts)
		return false;
	place = store_ghost_place(store, mixed);
	ghost = *place;
	if (!ghost_is_of(ghost, mixed))
		return false;
	*place = 0;
	if (ghost & GHOST_OF_RECLAIM) {
		lock_learning();
		store->learning.ghosts -= store->learning.ghosts < 1 ?
						  store->learning.ghosts :
						  1;
		unlock_learning();
	}
	store->ghost_hits++;
	return true;
}

/* Puts an entry before another one, or at the tail: before &store->order. */
static inline void store_link(struct entry *next, struct entry *entry)
{
	entry->prev = next->prev;
	entry->next = next;
	entry->prev->next = entry;
	next->prev = entry;
}

static inline void store_append(struct store *store, struct entry *entry)
{
	store_link(&store->order, entry);
}

static inline void store_unlink(struct store *store, struct entry *entry)
{
	if (entry->on_trial && entry->era == store->era) {
		store->nr_on_trial--;
		/* Those on trial stand next to each other. */
		if (entry == store->last_on_trial)
			store->last_on_trial = store->nr_on_trial ? entry->prev : NULL;
	}
	entry->on_trial = false;
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
}

static inline void entry_use(struct entry *entry)
{
	entry->uses = (unsigned char)(entry->uses + (entry->uses < UCHAR_MAX));
}

static inline bool store_is_timed(const struct store *store)
{
	return store->min_age > 0 || store->ttl > 0;
}

/* When an entry of such a store was set. */
static inline double *entry_born(struct entry *entry)
{
	return &((struct timed_entry *)entry)->born;
}

static inline bool store_has_expired(const struct store *store, struct entry *entry,
				     double now)
{
	return store->ttl > 0 && now - *entry_born(entry) >= store->ttl;
}

/* Return: the entry that expired first, or NULL; @keep and what is newer stay. */
static inline struct entry *store_first_expired(const struct store *store, double now,
						const struct entry *keep)
{
	struct entry *oldest = (struct entry *)store->oldest;

	return oldest && oldest != keep && store_has_expired(store, oldest, now) ? oldest :
										   NULL;
}

static inline void entry_pin(struct entry *entry)
{
	entry->pins++;
}

/* Return: whether the entry is still live. */
static inline bool entry_unpin(struct entry *entry)
{
	bool live = entry->key;

	if (!--entry->pins && !live)
		PyMem_Free(entry);
	return live;
}

static inline uint64_t store_objects(const struct store *store, uint64_t weight)
{
	return weight / store->unit + (weight % store->unit != 0);
}

/* Return: whether the entry was there before a fork, and is kept. */
static inline bool store_keeps(const struct store *store, const struct entry *entry)
{
	return store->keeps && entry->era != store->era;
}

/* Return: the first entry that may be evicted, or &store->order. */
static inline struct entry *store_first(struct store *store)
{
	return store->keeps ? store->kept_end.next : store->order.next;
}

static inline struct entry **store_bucket(const struct store *store, Py_hash_t hash)
{
	return &store->buckets[spread_hash(hash, store->shift)];
}

/* store_find(), with the usual cases inline: none has the hash, or the first one that has
 * it is of this very object. */
static inline int store_look(struct store *store, PyObject *key, Py_hash_t hash,
			     struct entry **found)
{
	if (store->quick) {
		struct entry *entry = store->quick[spread_hash(hash, store->shift)];

		while (entry && entry->key != key && entry->hash != hash)
			entry = entry->chain;
		*found = entry;
		if (!entry || entry->key == key)
			return 0;
	}
	return store_find(store, key, hash, found);
}

/* cached.c; Return: a new reference, or NULL with an exception set. */
PyObject *cached_type(PyObject *method);
PyObject *cached_key_function(void);
PyObject *cached_count_function(void);

#pragma GCC visibility pop
#endif

/**
 * python_cache_types - make the types; called once
 * @helpers: dict of what is needed of Python; cache/entries.py makes it
 *
 * Return: a new reference to a tuple: the types of the entries, the base of Cache, the
 * type of decorated functions, and functions: that makes their keys, that counts in a dict,
 * and that is called in a forked child.  NULL with an exception set.
 */
void *python_cache_types(void *helpers);

/* Makes walks count outside Python, and enter it for scans. */
void python_cache_adopt(struct shrinker *shrinker);

/* The callbacks.  private_data is the struct store, which the registration keeps. */
unsigned long python_cache_count(struct shrinker *shrinker,
				 struct shrink_control *sc);
unsigned long python_cache_scan(struct shrinker *shrinker,
				struct shrink_control *sc);

#endif /* SHRINKER_PYTHON_CACHE_H */
