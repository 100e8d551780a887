/* SPDX-License-Identifier: MIT */
/*
 * What comes in while memory is short.
 *
 * Under pressure a cache does not grow, so a new entry takes another one's place.  Were
 * it put to the tail, keys that are asked for once would push out those that are asked
 * for again and again.  So it is put on trial: a fifth of the entries, those that are
 * evicted first.  One that is used there goes to the tail when an eviction meets it.
 *
 * Ghosts are what is left of keys that were evicted under pressure; where seeks are
 * learned (cache_seeks.c), also of those that scans evicted.  A set of such a key says
 * that it was asked for again: under pressure it goes to the tail at once.  A table has a
 * place for each hash, and a newer ghost takes it from an older one; there are as many
 * places as the cache had entries at most, or up to twice that.  A place has half of the
 * hash.  Where two keys have it in common, one comes in without a trial, no more.
 *
 * Where neither has evicted anything, there is no table.
 */
#include "python/cache.h"

/* Of so many entries one is on trial. */
#define ENTRIES_PER_TRIAL 5
/* Entries that join those on trial with one set, so that its cost is bounded. */
#define JOIN_PER_SET 2

static uint32_t *place_of(const struct store *store, uint64_t mixed)
{
	return &store->ghosts[mixed >> store->ghost_shift];
}

/* Not 0, which is an empty place. */
static uint32_t mark_of(uint64_t mixed)
{
	return (uint32_t)mixed | 1;
}

/* Makes a ghost of a key, unless there is no memory.  Runs no Python code. */
void store_note_ghost(struct store *store, Py_hash_t hash)
{
	uint64_t mixed = spread_hash(hash, 0);

	/* The first one, or the cache has grown.  There are two buckets for an entry. */
	if (store->ghost_shift != store->shift + 1) {
		store_drop_ghosts(store);
		store->ghosts = PyMem_Calloc(store->nr_buckets / 2, sizeof(*store->ghosts));
		if (!store->ghosts)
			return;
		store->ghost_shift = store->shift + 1;
	}
	*place_of(store, mixed) = mark_of(mixed);
	begin_learning();
	if (store->learning.ghosts < (double)(store->nr_buckets / 2))
		store->learning.ghosts++;
	end_learning();
}

bool store_is_ghost(const struct store *store, Py_hash_t hash)
{
	uint64_t mixed = spread_hash(hash, 0);

	return store->ghosts && *place_of(store, mixed) == mark_of(mixed);
}

/* Return: whether a key was a ghost; it is none any more. */
bool store_take_ghost(struct store *store, Py_hash_t hash)
{
	if (!store_is_ghost(store, hash))
		return false;
	*place_of(store, spread_hash(hash, 0)) = 0;
	begin_learning();
	store->learning.ghosts -= store->learning.ghosts < 1 ? store->learning.ghosts : 1;
	end_learning();
	store->ghost_hits++;
	return true;
}

void store_drop_ghosts(struct store *store)
{
	PyMem_Free(store->ghosts);
	store->ghosts = NULL;
	store->ghost_shift = 0;
	begin_learning();
	store->learning.ghosts = 0;
	end_learning();
}

/*
 * Puts an entry on trial, behind the others that are.  They are the first ones in the
 * order; where they are too few, the next ones join them.  Runs no Python code.
 */
void store_try(struct store *store, struct entry *entry)
{
	uint64_t most = store_get(&store->nr_entries) / ENTRIES_PER_TRIAL;
	struct entry *next;
	unsigned int i;

	store_unlink(store, entry);
	next = store->last_on_trial ? store->last_on_trial->next : store_first(store);
	for (i = 0; i < JOIN_PER_SET && store->nr_on_trial + 1 < most; i++) {
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
