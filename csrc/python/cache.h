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
 * @used: the mark: set by a hit, cleared when an eviction passes over it
 * @era: number of forks that its process had behind it when it was set
 * @on_trial: it is one of the store's @nr_on_trial, if its era is the store's
 * @pins: C code that goes on with the entry after Python code has run
 * @prev: towards the head of the order, from which entries are evicted
 * @next: towards the tail
 * @weight: bytes, or 1
 * @born: when it was set, in seconds; where there is a minimum age or a ttl
 */
struct entry {
	PyObject *key;
	PyObject *value;
	Py_hash_t hash;
	struct entry *chain;
	bool used;
	unsigned char era;
	bool on_trial;
	unsigned int pins;
	struct entry *prev, *next;
	uint64_t weight;
	double born;
};

/**
 * struct sampling - how entries are weighed without a weigher (cache_sampling.c)
 * @on: so they are; the weight is in bytes, and maxsize in entries
 * @skip: more sets until the next measurement
 * @familiar: type of the last value that was measured; only compared
 * @used: bytes of an entry without its value's length, as sets take them
 * @mean: the same as measurements have it
 * @begun: there was a measurement
 * @in_a_row: sets that are measured before any is left out again
 * @sum: of those, up to now
 * @random: state of the generator
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
	uint32_t random;
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
 * @lost: of @seconds, for keys that were ghosts
 * @ghosts: keys that became ghosts, without those that were set again
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
 * struct timed_entry - an entry of a store with a ttl
 * @older, @newer: the entries that were set before and after it, or NULL
 */
struct timed_entry {
	struct entry entry;
	struct timed_entry *older, *newer;
};

/* Eviction callbacks that raised, and those that were not called. */
#define NR_CACHE_ERRORS 2

/**
 * struct store - the entries of one cache; what a hit needs comes first
 * @quick: @buckets, where a look-up may take an entry as it finds it; otherwise NULL
 * @buckets: chains of entries by hash; NULL: no entry was ever set
 * @shift: 64 minus the logarithm of @nr_buckets
 * @hits: lookups that found a value
 * @nr_buckets: a power of 2
 * @tables: number of times that @buckets was replaced
 * @nr_entries: entries; a count reads it without the GIL
 * @weight: their weight together; a count reads it without the GIL
 * @kept: part of @weight that was there before a fork, in the child; see cache_fork.c
 * @order: its next is the head, its prev the tail
 * @kept_end: stands in the order behind what is kept, where @keeps
 * @keeps: whether there may be such entries
 * @era: number of forks that this process has behind it
 * @misses: other lookups
 * @evicted: entries evicted so far, without @expired
 * @expired: entries that left because their time was over
 * @ghost_hits: sets of keys that were ghosts; see cache_ghosts.c
 * @ghosts: parts of hashes, by the hash; NULL: there are none
 * @ghost_shift: 64 minus the logarithm of the number of places in @ghosts; 0: none
 * @spare_room: weight that sets under pressure have evicted beyond what they added
 * @spare_pressure: @pressures of the growth when @spare_room was set
 * @last_on_trial: the entry on trial that is last in the order; NULL if there is none
 * @nr_on_trial: entries on trial
 * @errors: of eviction callbacks, by kind
 * @generation: number of times that it was cleared
 * @closed: sets are refused
 * @weak_instances: its keys may begin with a weak reference to the instance of a method
 * @maxsize: largest @weight; where weights are sampled, largest @nr_entries
 * @unit: weight of an object that the shrinker counts
 * @growth_unit: bytes that a weight of 1 stands for
 * @batches: in which a pass scans the whole cache, where they are not too large
 * @rebuild_seconds: time to make an entry anew; NaN: the shrinker's seeks stay
 * @seconds_per_seek, @max_seeks: to convert it to seeks
 * @min_age: seconds that scans spare an entry
 * @sampling: of weights
 * @learning: of seeks
 * @ttl: seconds after which an entry expires; 0: never
 * @oldest, @newest: ends of the entries by the time when they were set; with a ttl
 * @weigher, @on_evict: functions of key and value, or NULL
 * @name: of the cache, for logs
 * @growth: of the domain
 * @guard: whose critical section guards all of it, where there is no GIL.  An object of its
 *	own, since iterators need it, and must not keep the store
 */
struct store {
	PyObject_HEAD
	struct entry **quick;
	struct entry **buckets;
	int shift;
	SHARED(unsigned long long) hits;
	size_t nr_buckets;
	uint64_t tables;
	_Atomic(uint64_t) nr_entries;
	_Atomic(uint64_t) weight;
	_Atomic(uint64_t) kept;
	struct entry order;
	struct entry kept_end;
	bool keeps;
	unsigned char era;
	unsigned long long misses, evicted, expired, generation;
	unsigned long long ghost_hits;
	uint32_t *ghosts;
	int ghost_shift;
	uint64_t spare_room;
	unsigned long long spare_pressure;
	struct entry *last_on_trial;
	uint64_t nr_on_trial;
	unsigned long long errors[NR_CACHE_ERRORS];
	char closed;
	bool weak_instances;
	unsigned long long maxsize;
	unsigned long long unit;
	long long growth_unit;
	unsigned long batches;
	double rebuild_seconds;
	double seconds_per_seek;
	int max_seeks;
	double min_age;
	struct sampling sampling;
	struct learning learning;
	double ttl;
	struct timed_entry *oldest, *newest;
	PyObject *weigher;
	PyObject *on_evict;
	PyObject *name;
	struct python_growth *growth;
#ifdef Py_GIL_DISABLED
	PyObject *guard;
#endif
};

#define BEGIN_STORE(store) BEGIN_SECTION((store)->guard)
#define END_STORE() END_SECTION()

/**
 * struct eviction - what an eviction may do, and has done
 * @scan: it goes on to @budget; otherwise until the weight is @limit or less, and the
 *	number of entries @max_entries or less
 * @budget: weight of the entries that it looks at; the last one may exceed it
 * @steps: entries that it looks at, at most
 * @spare: used entries that it puts to the tail, at most
 * @spares_young: it spares entries that were set after @before
 * @now: with a ttl, entries that have expired by then leave first
 * @keep: entry that it passes over; pinned; or NULL
 * @objects: that were freed by a scan, as the shrinker counts them
 * @looked: weight of the entries that it looked at
 * @freed: weight of the entries that it evicted
 */
struct eviction {
	bool scan;
	uint64_t limit;
	uint64_t max_entries;
	uint64_t budget;
	uint64_t steps;
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
int store_evict(struct store *store, struct eviction *work);
int store_evict_entry(struct store *store, struct entry *entry, bool expired);

/* cache_ttl.c */
int store_now(double *seconds);
void store_note_time(struct store *store, struct entry *entry);
void store_forget_time(struct store *store, struct entry *entry);
int store_expire(struct store *store, double now, unsigned long nr,
		 const struct entry *keep, uint64_t *freed);
int store_expire_all(struct store *store);

void store_link(struct entry *next, struct entry *entry);
void store_append(struct store *store, struct entry *entry);
void store_unlink(struct store *store, struct entry *entry);

/* cache_fork.c */
void store_keep_all(struct store *store);
bool store_give_kept(struct store *store);
void store_own(struct store *store, struct entry *entry);

/* cache_ghosts.c */
void store_note_ghost(struct store *store, Py_hash_t hash);
bool store_is_ghost(const struct store *store, Py_hash_t hash);
bool store_take_ghost(struct store *store, Py_hash_t hash);
void store_try(struct store *store, struct entry *entry);
void store_drop_ghosts(struct store *store);

/* cache_seeks.c */
#ifdef Py_GIL_DISABLED
void begin_learning(void);
void end_learning(void);
#else
#define begin_learning() ((void)0)
#define end_learning() ((void)0)
#endif
void store_begin_learning(struct store *store, uint64_t now_ns);
void store_end_learning(struct store *store);
void store_note_cost(struct store *store, bool ghost, double seconds);
double store_object_seconds(const struct store *store);
void growth_learn(struct python_growth *growth, uint64_t now_ns);

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

static inline bool store_has_expired(const struct store *store, const struct entry *entry,
				     double now)
{
	return store->ttl > 0 && now - entry->born >= store->ttl;
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

/* store_find(), with the usual cases inline: the bucket is empty, or its first key is this
 * object. */
static inline int store_look(struct store *store, PyObject *key, Py_hash_t hash,
			     struct entry **found)
{
	if (store->quick) {
		*found = store->quick[spread_hash(hash, store->shift)];
		if (!*found || (*found)->key == key)
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
