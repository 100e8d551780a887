/* SPDX-License-Identifier: MIT */
/*
 * Which entry goes where a set needs bytes, and entries differ in size.
 *
 * A large entry takes the place of many small ones.  So it should stay only if it has as
 * many more hits.  A set looks at some entries besides the one whose turn it is, and
 * evicts the one that is the largest for its hits.  Which ones it looks at is left to
 * chance: an order by hits and size would have to be kept with every hit.  It has nearly
 * the hits of GreedyDual-Size-Frequency (benchmarks/costs.py).
 *
 * Entries of one size go by the order alone.  Scans go by it, too: they are asked for
 * pages, and each entry that they look at counts.
 */
#include "python/cache.h"

#include "python/dice.h"

/* Chains of entries that are looked at, and buckets at most to find them: a large table
 * may have few entries now. */
#define LOOKS 32
#define MAX_BUCKETS 256
/* Of fewer entries, a set would look at most, and a large one would go each time. */
#define MIN_ENTRIES 64
/* One with n hits may be 1 + n * SIZES_PER_HIT times as large as one without. */
#define SIZES_PER_HIT 4

static double size_for_hits(const struct entry *entry)
{
	return (double)entry->weight / (1 + SIZES_PER_HIT * entry->uses);
}

/**
 * store_least_worth - choose the entry that a set evicts
 * @first: whose turn it is
 * @keep: the set's own entry, which stays
 *
 * If the largest for its hits has hits, it loses them and stays, as an entry does that an
 * eviction passes over.  The largest without hits goes instead.  Otherwise a large entry that
 * is used all the time would be evicted, set and evicted again, while small entries stayed
 * that nobody asks for.
 *
 * Return: @first, or one that has more weight for its hits.  Runs no Python code.
 */
struct entry *store_least_worth(struct store *store, struct entry *first,
				const struct entry *keep)
{
	double largest = size_for_hits(first);
	struct entry *chosen = first, *unused = first, *looked[LOOKS];
	uint64_t largest_unused = first->uses ? 0 : first->weight;
	unsigned int nr = 0, i;
	size_t bucket;

	if (store_get(&store->nr_entries) < MIN_ENTRIES)
		return first;
	/* Neighbours in the table have nothing else in common, and are quick to read.  All
	 * are fetched before the first one is needed. */
	bucket = dice_below(&store->random, store->nr_buckets);
	for (i = 0; i < MAX_BUCKETS && nr < LOOKS; i++) {
		looked[nr] = store->buckets[bucket++ & (store->nr_buckets - 1)];
		__builtin_prefetch(looked[nr]);
		nr += looked[nr] != NULL;
	}
	for (i = 0; i < nr; i++) {
		struct entry *entry;

		/* The whole chain: what is never looked at would stay, however large. */
		for (entry = looked[i]; entry; entry = entry->chain) {
			double size = size_for_hits(entry);

			if (entry == keep || store_keeps(store, entry))
				continue;
			if (size > largest) {
				largest = size;
				chosen = entry;
			}
			if (!entry->uses && entry->weight > largest_unused) {
				largest_unused = entry->weight;
				unused = entry;
			}
		}
	}
	if (chosen == first || !chosen->uses)
		return chosen;
	chosen->uses = 0;
	return unused;
}
