/* SPDX-License-Identifier: MIT */
/*
 * The entries of a cache.  cache_shrinker.c has the callbacks of its shrinker,
 * cache_ttl.c what is done about entries that expire, cache_ghosts.c where new ones come
 * in.
 *
 * Structure
 *
 * - A table finds entries by hash: chains of buckets, at most one entry for two
 *   buckets.  The order is a list; eviction begins at its head.  New entries go to the
 *   tail of both; in a cache that has evicted any, nearer to the head of the order.
 * - A hit marks an entry.  Eviction takes the head of the order; where that is marked, it
 *   loses the mark and goes to the tail instead.
 * - An entry with a key is live: it is in the table, in the order, in nr_entries and in
 *   weight.  store_take_out() undoes all four at once, and hands key and value out.
 *
 * Rules
 *
 * 1. The GIL guards all.  There is no lock, so nothing waits inside.  In a free-threaded
 *    build a critical section does, which those that come from outside begin: the methods
 *    of cache_types.c, cached.c, computations.c, and scans (critical.h).
 * 2. These may run any Python code: hashing, comparing, weighing, reading the time,
 *    eviction callbacks, dropping a reference, making an object that the cycle
 *    collector knows, raising.  That code may raise, use, clear or close this very
 *    cache, and let other threads in.  So the structure is whole whenever it runs.
 * 3. Code that goes on with an entry after Python code has run pins it before, and then
 *    looks whether it is still live.  Memory of a pinned entry is not released.
 * 4. What store_find() says is true when it returns: no Python code has run since.  So
 *    an insert that follows at once cannot put a key in twice.
 * 5. An entry keeps the hash of its key.  So eviction compares and hashes nothing, and
 *    cannot fail.
 * 6. References are dropped after the structure is whole again, one entry at a time.
 * 7. A count reads two numbers without the GIL.  Each is right; they may be of two
 *    moments.  The shrinker's registration keeps the store until no callback runs.
 */
#include "python/cache.h"

#include <limits.h>

#include "python/host.h"

/* Used entries that a set puts to the tail at most, for each one that it evicts. */
#define ROTATIONS 8
/* How often an insert passes over its own entry.  It meets the entry a third time only
 * where callbacks or other threads add entries meanwhile. */
#define KEEPS 2
/* Entries that have expired which one set lets go: more than it adds, so that they do
 * not gather; few, so that its cost is bounded. */
#define EXPIRED_PER_SET 2
/* Of an entry, and of maxsize. */
#define MAX_WEIGHT (1ULL << 62)
/* Entries that an eviction looks at between two looks at the clock. */
#define STEPS_BETWEEN_LOOKS 1024
/* Entries of a scan that are fetched from memory at once. */
#define FETCHED_AHEAD 16
/* A function that is compiled for each of its callers; once for all where nothing is
 * optimised, so that a measurement of coverage does not count its branches twice. */
#ifdef __OPTIMIZE__
#define FOR_EACH_CALLER __attribute__((always_inline))
#else
#define FOR_EACH_CALLER
#endif
#define MIN_BUCKETS 8
#define MIN_BUCKETS_SHIFT 61

struct cache_helpers cache_helpers;

static uint64_t add_up_to_max(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

/* --- the table and the order ----------------------------------------------------- */

/*
 * Takes a live entry out.  Runs no Python code.  The caller gets the references, and
 * drops them.
 * @mixed: spread_hash(entry->hash, 0), which a caller may have already
 */
static inline void take_out(struct store *store, struct entry *entry, uint64_t mixed,
			    PyObject **key, PyObject **value)
{
	struct entry **link = &store->buckets[mixed >> store->shift];

	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	store_unlink(store, entry);
	if (store->ttl > 0)
		store_forget_time(store, entry);
	store_add(&store->nr_entries, -UINT64_C(1));
	store_add(&store->weight, -entry->weight);
	if (store_keeps(store, entry))
		store_add(&store->kept, -entry->weight);
	*key = entry->key;
	*value = entry->value;
	entry->key = entry->value = NULL;
	if (entry->pins)
		return;
	/* Most sets that evict an entry take its memory for the next one. */
	PyMem_Free(store->free_entry);
	store->free_entry = entry;
}

/* Calls the eviction callback.  Return: -1 with an exception that is not an Exception,
 * such as KeyboardInterrupt. */
static int tell(struct store *store, PyObject *key, PyObject *value)
{
	PyObject *told;

	if (!store->on_evict)
		return 0;
	told = PyObject_CallFunctionObjArgs(cache_helpers.tell_evicted, (PyObject *)store, key,
					    value, NULL);
	Py_XDECREF(told);
	return told ? 0 : -1;
}

/* Evicts a live entry.  Return: as tell(). */
static inline int evict(struct store *store, struct entry *entry, uint64_t mixed,
			bool expired)
{
	PyObject *key, *value;
	int told;

	take_out(store, entry, mixed, &key, &value);
	++*(expired ? &store->expired : &store->evicted);
	told = tell(store, key, value);
	Py_DECREF(key);
	Py_DECREF(value);
	return told;
}

int store_evict_entry(struct store *store, struct entry *entry, bool expired)
{
	return evict(store, entry, spread_hash(entry->hash, 0), expired);
}

/* Whether it is of the instance of a method, and that is gone: no call has it again. */
static bool is_dead(PyObject *key)
{
	PyObject *first, *instance;
	bool dead;

	if (!PyTuple_CheckExact(key) || !PyTuple_Size(key))
		return false;
	first = PyTuple_GetItem(key, 0);
	if (!PyWeakref_CheckRefExact(first))
		return false;
	/* A call is in the stable ABI of each Python: 3.15 has no PyWeakref_GetObject(),
	 * and 3.12 no PyWeakref_GetRef() yet. */
	instance = PyObject_CallNoArgs(first);
	if (!instance)
		PyErr_Clear();
	dead = instance == Py_None;
	/* With the GIL not the last reference: no other code has run since. */
	Py_XDECREF(instance);
	return dead;
}

/**
 * store_find - look a key up; lets it go where it has expired
 * @hash: of @key
 * @found: receives the entry, or NULL
 *
 * Context: may run Python code, but not between finding and returning.
 * Return: 0, or -1 with an exception set.
 */
int store_find(struct store *store, PyObject *key, Py_hash_t hash,
	       struct entry **found)
{
	struct entry *entry;
	uint64_t tables;
	double now = 0;

	if (store->ttl > 0 && store_now(&now) < 0)
		return -1;
again:
	*found = NULL;
	if (!store->buckets)
		return 0;
	tables = store->tables;
	entry = *store_bucket(store, hash);
	for (; entry; entry = entry->chain) {
		PyObject *own = entry->key;
		int equal = 0;
		bool live, dead;

		if (own == key)
			break;
		if (entry->hash != hash)
			continue;
		entry_pin(entry);
		Py_INCREF(own);
		dead = store->weak_instances && is_dead(own);
		if (!dead)
			equal = PyObject_RichCompareBool(own, key, Py_EQ);
		Py_DECREF(own);
		live = entry_unpin(entry);
		if (equal < 0)
			return -1;
		if (!live)
			goto again;
		/* A new instance at the address of one that is gone has its hash.  So such
		 * entries would gather in one chain. */
		if (dead) {
			if (store_evict_entry(store, entry, false) < 0)
				return -1;
			goto again;
		}
		if (equal)
			break;
		/* Entries of this chain may have gone to other places. */
		if (tables != store->tables)
			goto again;
	}
	if (entry && store_has_expired(store, entry, now)) {
		if (store_evict_entry(store, entry, true) < 0)
			return -1;
		goto again;
	}
	*found = entry;
	return 0;
}

/* Replaces the table.  Return: false, and nothing has changed, without memory. */
static bool resize(struct store *store, size_t nr_buckets, int shift)
{
	struct entry **buckets = PyMem_Calloc(nr_buckets, sizeof(*buckets));
	struct entry *entry;

	if (!buckets)
		return false;
	PyMem_Free(store->buckets);
	store->buckets = buckets;
	store->quick = store->ttl > 0 ? NULL : buckets;
	store->nr_buckets = nr_buckets;
	store->shift = shift;
	store->tables++;
	/* From the tail, so that chains begin with what is evicted first. */
	for (entry = store->order.prev; entry != &store->order; entry = entry->prev) {
		struct entry **bucket = store_bucket(store, entry->hash);

		if (entry == &store->kept_end)
			continue;
		entry->chain = *bucket;
		*bucket = entry;
	}
	return true;
}

static void move_to_tail(struct store *store, struct entry *entry)
{
	store_unlink(store, entry);
	store_append(store, entry);
}

/*
 * Adds a key that store_find() has not found.  Runs no Python code.
 *
 * Return: the entry, which has a weight but no value; NULL without memory, and without
 * an exception.
 */
static inline struct entry *insert(struct store *store, PyObject *key, Py_hash_t hash,
				   uint64_t mixed, uint64_t weight)
{
	struct entry **link, *entry;

	if (!store->buckets && !resize(store, MIN_BUCKETS, MIN_BUCKETS_SHIFT))
		return NULL;
	/* Without memory for a larger table the chains grow. */
	if (store_get(&store->nr_entries) >= store->nr_buckets / 2)
		resize(store, store->nr_buckets * 2, store->shift - 1);
	entry = store->free_entry;
	store->free_entry = NULL;
	if (!entry)
		entry = PyMem_Malloc(store_is_timed(store) ? sizeof(struct timed_entry) :
							     sizeof(*entry));
	if (!entry)
		return NULL;
	Py_INCREF(key);
	*entry = (struct entry){ .key = key, .hash = hash, .weight = weight };
	entry->era = store->era;
	/* At the end, where a look that is under way comes to it. */
	link = &store->buckets[mixed >> store->shift];
	while (*link)
		link = &(*link)->chain;
	*link = entry;
	store_append(store, entry);
	store_add(&store->nr_entries, 1);
	store_add(&store->weight, weight);
	return entry;
}

void store_take_out(struct store *store, struct entry *entry, PyObject **key,
		    PyObject **value)
{
	take_out(store, entry, spread_hash(entry->hash, 0), key, value);
}

/* Drops what is in now; what Python code adds meanwhile may stay. */
void store_clear(struct store *store)
{
	uint64_t left = store_get(&store->nr_entries);

	store->generation++;
	store->spare_room = 0;
	store_drop_ghosts(store);
	for (;;) {
		PyObject *key, *value;

		/* Each time: a finaliser may have forked. */
		store_give_kept(store);
		if (!left-- || store->order.next == &store->order)
			break;
		store_take_out(store, store->order.next, &key, &value);
		Py_DECREF(key);
		Py_DECREF(value);
	}
	PyMem_Free(store->free_entry);
	store->free_entry = NULL;
	if (store_get(&store->nr_entries))
		return;
	PyMem_Free(store->buckets);
	store->quick = store->buckets = NULL;
	store->nr_buckets = 0;
	store->tables++;
}

/* --- eviction -------------------------------------------------------------------- */

/*
 * Fetches what the next steps of a scan touch: in a large cache it is not in the
 * processor's cache.  A bucket is read: processors drop a prefetch from a page whose
 * address they would have to look up.
 */
static void fetch_ahead(struct store *store)
{
	const struct entry *entry = store_first(store);
	unsigned int i;

	for (i = 0; i < FETCHED_AHEAD && entry != &store->order; i++) {
		uint64_t mixed = spread_hash(entry->hash, 0);

		(void)*(struct entry *const volatile *)&store->buckets[mixed >> store->shift];
		if (store->ghosts)
			__builtin_prefetch(store_ghost_place(store, mixed));
		__builtin_prefetch(entry->key);
		__builtin_prefetch(entry->value);
		entry = entry->next;
	}
}

static bool has_room(struct store *store, const struct eviction *work)
{
	return store_get(&store->weight) <= work->limit &&
	       store_get(&store->nr_entries) <= work->max_entries;
}

/*
 * Evicts until enough was looked at where it @scans, otherwise until there is room.  It is
 * compiled for each of the two: a set should not pay for what scans have to ask.
 *
 * Return: -1 with an exception set; the evictions up to there are complete.
 */
static inline FOR_EACH_CALLER int
evict_until(struct store *store, struct eviction *work, bool scans)
{
	unsigned int keeps = KEEPS, until_look = STEPS_BETWEEN_LOOKS, until_fetch = 0;
	uint64_t until_ns = 0;

	while (scans ? work->looked < work->budget && work->steps : !has_room(store, work)) {
		struct entry *entry = store_first(store), *expired;
		uint64_t weight, total, mixed;
		bool pressed;

		if (entry == &store->order ||
		    (entry == work->keep && entry->next == &store->order)) {
			/* What is kept counts for maxsize. */
			uint64_t size = store_get(store->sampling.on ? &store->nr_entries :
								       &store->weight);

			if (!scans && size > store->maxsize && store_give_kept(store))
				continue;
			/* A callback may have set @keep again, to what needs more. */
			break;
		}
		expired = store_first_expired(store, work->now, work->keep);
		if (expired)
			entry = expired;
		if (scans && !until_fetch--) {
			until_fetch = FETCHED_AHEAD - 1;
			fetch_ahead(store);
		}
		if (!--until_look) {
			until_look = STEPS_BETWEEN_LOOKS;
			python_host_share_gil(&until_ns);
			continue;
		}
		work->steps -= scans;
		weight = entry->weight;
		if (entry == work->keep && keeps) {
			keeps--;
			move_to_tail(store, entry);
			continue;
		}
		if (entry->uses && work->spare && !expired) {
			work->spare--;
			entry->uses = 0;
			work->looked = add_up_to_max(work->looked, weight);
			move_to_tail(store, entry);
			continue;
		}
		if (scans && work->spares_young && *entry_born(entry) > work->before && !expired) {
			work->looked = add_up_to_max(work->looked, weight);
			move_to_tail(store, entry);
			continue;
		}
		if (!scans && work->by_weight && !expired) {
			entry = store_least_worth(store, entry, work->keep);
			weight = entry->weight;
		}
		if (!scans) {
			work->spare = ROTATIONS;
			/* For the next insert; a scan has fetched more. */
			__builtin_prefetch(store_bucket(store, entry->next->hash));
			__builtin_prefetch(entry->next->next);
		}
		total = store_get(&store->weight) - store_get(&store->kept);
		/* Differences of what is counted, so that they add up to it. */
		if (scans && !store_keeps(store, entry)) /* As an expired one may be. */
			work->objects += store_objects(store, total) -
					 store_objects(store, total - weight);
		work->looked = add_up_to_max(work->looked, weight);
		pressed = store->growth->under_pressure;
		mixed = spread_hash(entry->hash, 0);
		if (!expired)
			store_note_ghost(store, mixed, scans || pressed);
		work->freed = add_up_to_max(work->freed, weight);
		if (evict(store, entry, mixed, expired) < 0)
			return -1;
	}
	return 0;
}

int store_scan(struct store *store, struct eviction *work)
{
	return evict_until(store, work, true);
}

/* --- setting --------------------------------------------------------------------- */

/* Return: -1 with an exception set. */
static int weigh(struct store *store, PyObject *key, PyObject *value,
		 uint64_t *weight)
{
	PyObject *weighed;
	long long number;

	if (store->sampling.on)
		return store_sample(store, key, value, weight);
	*weight = 1;
	if (!store->weigher)
		return 0;
	weighed = PyObject_CallFunctionObjArgs(store->weigher, key, value, NULL);
	if (!weighed)
		return -1;
	number = PyLong_CheckExact(weighed) ? PyLong_AsLongLong(weighed) : -1;
	if (number < 0 || (unsigned long long)number > MAX_WEIGHT) {
		PyObject *checked;

		PyErr_Clear();
		checked = PyObject_CallFunctionObjArgs(cache_helpers.check_weight, weighed, NULL);
		number = checked ? PyLong_AsLongLong(checked) : -1;
		Py_XDECREF(checked);
	}
	Py_DECREF(weighed);
	if (number < 0)
		return -1;
	*weight = (uint64_t)number;
	store->uneven |= store->last_weight && store->last_weight != *weight;
	store->last_weight = *weight;
	return 0;
}

/*
 * Whether a set ends without a change: the cache was cleared since @generation, or is
 * closed, or @entry has a value that is not to be replaced.
 * @result: receives what the set returns then: a new reference to the value, or NULL
 *	with an exception set
 */
static inline bool changes_nothing(const struct store *store, struct entry *entry,
			    PyObject *value, bool replace,
			    const unsigned long long *generation, PyObject **result)
{
	*result = NULL;
	if (generation && (*generation != store->generation || store->closed)) {
		*result = value;
	} else if (store->closed) {
		PyErr_SetString(cache_helpers.shrinker_error, "the cache is closed");
	} else if (entry && !replace) {
		entry_use(entry);
		*result = entry->value;
	} else {
		return false;
	}
	Py_XINCREF(*result);
	return true;
}

/* Evicts a value that is heavier than maxsize at once, with the key's old value. */
static PyObject *refuse(struct store *store, PyObject *key, Py_hash_t hash,
			PyObject *value, bool replace,
			const unsigned long long *generation)
{
	PyObject *old_key = NULL, *old_value = NULL, *stays;
	struct entry *entry;
	int told;

	if (store_find(store, key, hash, &entry) < 0)
		return NULL;
	if (changes_nothing(store, entry, value, replace, generation, &stays))
		return stays;
	if (entry)
		store_take_out(store, entry, &old_key, &old_value);
	store->evicted++;
	Py_XDECREF(old_key);
	Py_XDECREF(old_value);
	told = tell(store, key, value);
	if (told < 0)
		return NULL;
	Py_INCREF(value);
	return value;
}

/* Makes room for @grown more weight of @entry, which is @added or has a new value, and
 * accounts for it. */
static inline int make_room(struct store *store, struct entry *entry, uint64_t mixed,
			    bool added, double born, uint64_t before, uint64_t grown)
{
	struct python_growth *growth = store->growth;
	struct eviction work = {
		.limit = store->sampling.on ? UINT64_MAX : store->maxsize,
		.max_entries = store->sampling.on ? store->maxsize : UINT64_MAX,
		.by_weight = store->uneven,
		.spare = ROTATIONS,
		.now = born,
		.keep = entry,
	};
	bool pressed = growth->under_pressure, on_trial;
	unsigned long long generation = store->generation, pressures = growth->pressures;
	uint64_t spare = 0;
	int ret = 0;

	if (pressed) {
		uint64_t kept = store_get(&store->kept);
		uint64_t room;

		/* None of an earlier shortage: others may have that memory now. */
		if (store->spare_pressure == pressures)
			spare = store->spare_room;
		room = add_up_to_max(before, spare);
		if (room - kept < entry->weight)
			room = kept + entry->weight;
		if (room < work.limit)
			work.limit = room;
		work.by_weight |= store->sampling.on;
	}
	on_trial = added && !store_take_ghost(store, mixed);
	if (store->ttl > 0 || !has_room(store, &work)) {
		entry_pin(entry);
		if (store->ttl > 0)
			ret = store_expire(store, work.now, EXPIRED_PER_SET, entry,
					   &work.freed);
		if (!ret && !has_room(store, &work))
			ret = evict_until(store, &work, false);
		/* A callback may have forked: in the child the entry is kept. */
		on_trial &= entry_unpin(entry) && !store_keeps(store, entry);
	}
	/* Without ghosts nothing was evicted yet: there is room for all. */
	if (on_trial && store->ghosts)
		store_try(store, entry);
	/*
	 * The next sets may take what this one has evicted beyond what it added: otherwise
	 * each large entry that goes for a small one would make the cache smaller for as
	 * long as memory is short.  Not what scans or a clear took out meanwhile.
	 */
	if (pressed) {
		uint64_t weight = store_get(&store->weight);
		uint64_t room = work.limit > weight ? work.limit - weight : 0;

		spare = add_up_to_max(spare, work.freed);
		spare = spare > grown ? spare - grown : 0;
		if (spare > room)
			spare = room;
		store->spare_room = generation == store->generation ? spare : 0;
		store->spare_pressure = pressures;
	}
	if (ret < 0)
		return ret;
	/* Evicted entries are not subtracted: a thread's allocator may not get the memory
	 * of entries that another thread has allocated. */
	growth_add(growth, (long long)grown * store->growth_unit);
	if ((double)growth->grown <= growth->allowance)
		return 0;
	return python_growth_exceeded(growth);
}

/**
 * store_put - set a value, make room for it, and account for its growth
 * @replace: false: a value that is there stays
 * @generation: sets nothing if the cache was cleared since @generation, or is closed;
 *	NULL: sets always, and raises if the cache is closed
 *
 * Return: a new reference to the value that is there then, or that was to be set; NULL
 * with an exception set.
 */
PyObject *store_put(struct store *store, PyObject *key, Py_hash_t hash,
		    PyObject *value, bool replace,
		    const unsigned long long *generation)
{
	PyObject *old = NULL;
	struct entry *entry;
	uint64_t mixed = spread_hash(hash, 0), weight, before, grown = 0;
	double born = 0;
	bool added;
	int ret = 0;

	if (weigh(store, key, value, &weight) < 0)
		return NULL;
	if ((store->sampling.on ? 1 : weight) > store->maxsize)
		return refuse(store, key, hash, value, replace, generation);
	if (store_is_timed(store) && store_now(&born) < 0)
		return NULL;
	if (store_look(store, key, hash, &entry) < 0)
		return NULL;
	/* From here to the end of the change no Python code runs. */
	if (changes_nothing(store, entry, value, replace, generation, &old))
		return old;
	before = store_get(&store->weight);
	if (before - (entry ? entry->weight : 0) > UINT64_MAX - weight) {
		PyErr_SetString(PyExc_OverflowError,
				"the cache would weigh 2**64 bytes or more");
		return NULL;
	}
	Py_INCREF(value); /* The entry's. */
	Py_INCREF(value); /* The caller's. */
	added = !entry;
	if (entry) {
		old = entry->value;
		store_own(store, entry);
		if (weight > entry->weight)
			grown = weight - entry->weight;
		store_add(&store->weight, weight - entry->weight);
		if (store->ttl > 0)
			store_forget_time(store, entry);
		entry->weight = weight;
		entry_use(entry);
	} else {
		entry = insert(store, key, hash, mixed, weight);
		if (!entry) {
			Py_DECREF(value);
			Py_DECREF(value);
			return PyErr_NoMemory();
		}
		grown = weight;
	}
	entry->value = value;
	if (store_is_timed(store))
		*entry_born(entry) = born;
	if (store->ttl > 0)
		store_note_time(store, entry);
	if (grown || store->ttl > 0)
		ret = make_room(store, entry, mixed, added, born, before, grown);
	Py_XDECREF(old);
	if (ret < 0) {
		Py_DECREF(value);
		return NULL;
	}
	return value;
}

/**
 * store_hit - note that an entry was found
 *
 * Return: a new reference to its value.
 */
PyObject *store_hit(struct store *store, struct entry *entry)
{
	COUNT_UP(&store->hits);
	entry_use(entry);
	Py_INCREF(entry->value);
	return entry->value;
}
