/* SPDX-License-Identifier: MIT */
/*
 * What a cache held before a fork, in the child.
 *
 * Its memory is the parent's, too, and that of the parent's other children.  So evicting
 * it frees nothing, and its hits cost nothing: it is kept.  Counts are without it, and
 * evictions begin behind it.
 *
 * No entry is touched at the fork, since that would copy its page.  Those that are there
 * have an older era than the store.  In the order they stand before @kept_end, which is
 * no entry: it has no key, and is in no bucket.  An entry that is set again is the
 * child's own from then on.
 */
#include "python/cache.h"

#include <limits.h>

/* Keeps all that is in now.  No more than 255 forks are told apart. */
void store_keep_all(struct store *store)
{
	store_give_kept(store);
	if (store->era == UCHAR_MAX || !store_get(&store->nr_entries))
		return;
	store->era++;
	store->keeps = true;
	store->last_on_trial = NULL;
	store->nr_on_trial = 0;
	store_append(store, &store->kept_end);
	store_add(&store->kept, store_get(&store->weight));
}

/* Has evictions begin with what was kept.  Return: whether anything was. */
bool store_give_kept(struct store *store)
{
	bool gave = store_get(&store->kept);

	if (!store->keeps)
		return false;
	store_unlink(store, &store->kept_end);
	store->keeps = false;
	store_add(&store->kept, -store_get(&store->kept));
	return gave;
}

/* Makes an entry the child's own, before its value is replaced. */
void store_own(struct store *store, struct entry *entry)
{
	if (!store_keeps(store, entry))
		return;
	store_add(&store->kept, -entry->weight);
	store_unlink(store, entry);
	entry->era = store->era;
	store_append(store, entry);
}
