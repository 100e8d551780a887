/* SPDX-License-Identifier: MIT */
/*
 * Where a new entry comes in, once the cache has evicted any.  The policy is much like
 * S3-FIFO (docs/caches.md has hit ratios).
 *
 * Were a new entry put to the tail, keys that are asked for once would push out those that
 * are asked for again and again.  So it is put on trial: those on trial are evicted first.
 * One that is used there goes to the tail when an eviction meets it.  Where less than a
 * fifth of the entries is on trial, others join them with each new one, so that it has the
 * time to be asked for again.
 *
 * Ghosts are what is left of keys that were evicted.  A set of such a key says that it was
 * asked for again: it goes to the tail at once.  A table has a place for each hash, and a
 * newer ghost takes it from an older one; there are as many places as the cache had entries
 * at most, or up to twice that.  A place has half of the hash.  Where two keys have it in
 * common, one comes in without a trial, no more.
 *
 * A cache that has evicted none has no table.
 */
#include "python/cache.h"

/* Of so many entries one should be on trial. */
#define ENTRIES_PER_TRIAL 5
/* With so few entries a new one goes to the tail: a fifth of them would be one, and the
 * next new key would evict it. */
#define FEW_ENTRIES 9
/* Entries that join those on trial with one set, so that its cost is bounded. */
#define JOIN_PER_SET 2

/* Makes an empty table for the present number of buckets, unless there is no memory. */
void store_make_ghosts(struct store *store)
{
	store_drop_ghosts(store);
	store->ghosts = PyMem_Calloc(store->nr_buckets / 2, sizeof(*store->ghosts));
	if (store->ghosts)
		store->ghost_shift = store->shift + 1;
}

void store_drop_ghosts(struct store *store)
{
	PyMem_Free(store->ghosts);
	store->ghosts = NULL;
	store->ghost_shift = 0;
	lock_learning();
	store->learning.ghosts = 0;
	unlock_learning();
}

/*
 * Moves a new entry from the tail to those on trial, behind them.  They are the first ones
 * in the order; where they are too few, the next ones join them.  Runs no Python code.
 */
void store_try(struct store *store, struct entry *entry)
{
	uint64_t entries = store_get(&store->nr_entries), wanted = entries / ENTRIES_PER_TRIAL;
	struct entry *next;
	unsigned int i;

	if (entries <= FEW_ENTRIES)
		return;
	store_unlink(store, entry);
	next = store->last_on_trial ? store->last_on_trial->next : store_first(store);
	for (i = 0; i < JOIN_PER_SET && store->nr_on_trial + 1 < wanted; i++) {
		/* All are on trial, but those from before a fork. */
		if (next == &store->order)
			break;
		next->on_trial = true;
		next->era = store->era; /* It may be from before a fork, and given. */
		store->nr_on_trial++;
		next = next->next;
	}
	store_link(next, entry);
	entry->on_trial = true;
	store->nr_on_trial++;
	store->last_on_trial = entry;
}
