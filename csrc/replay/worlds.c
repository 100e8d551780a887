/* SPDX-License-Identifier: MIT */
/*
 * Worlds of a set of slots: where they branch, and where they end.
 */
#include <string.h>

#include "replay/worlds.h"
#include "scan.h"

/* The last world moves into the gap. */
static void remove_world(struct slot_worlds *worlds, uint32_t gap)
{
	uint32_t last = --worlds->nr_worlds;

	slot_world_exit(&worlds->world[gap]);
	worlds->world[gap] = worlds->world[last];
	memset(&worlds->world[last], 0, sizeof(worlds->world[last]));
}

void slot_worlds_init(struct slot_worlds *worlds)
{
	memset(worlds, 0, sizeof(*worlds));
	worlds->nr_worlds = 1;
}

void slot_worlds_exit(struct slot_worlds *worlds)
{
	while (worlds->nr_worlds)
		remove_world(worlds, worlds->nr_worlds - 1);
}

int slot_worlds_copy(struct slot_worlds *to, const struct slot_worlds *from)
{
	uint32_t w;

	*to = *from;
	memset(to->world, 0, sizeof(to->world));
	for (w = 0; w < from->nr_worlds; w++)
		if (slot_world_copy(&to->world[w], &from->world[w])) {
			to->nr_worlds = w;
			slot_worlds_exit(to);
			return -1;
		}
	return 0;
}

static void swap_worlds(struct slot_world *a, struct slot_world *b)
{
	struct slot_world swap = *a;

	*a = *b;
	*b = swap;
}

/* The world that explains the recording with the fewest adopted slots. */
static uint32_t likeliest(const struct slot_worlds *worlds)
{
	uint32_t best = 0, w;

	for (w = 1; w < worlds->nr_worlds; w++)
		if (worlds->world[w].adopted < worlds->world[best].adopted)
			best = w;
	return best;
}

/*
 * Only worlds with the fewest adopted slots stay.  Inside of a long pass each pass of
 * another walker on the same counter may also have adopted a slot: such worlds would
 * fill the set, and the one without would find no room to branch.
 */
static void drop_costly(struct slot_worlds *worlds)
{
	uint64_t fewest = worlds->world[likeliest(worlds)].adopted;
	uint32_t w = 0;

	while (w < worlds->nr_worlds)
		if (worlds->world[w].adopted > fewest)
			remove_world(worlds, w);
		else
			w++;
}

static void keep_likeliest(struct slot_worlds *worlds)
{
	swap_worlds(&worlds->world[0], &worlds->world[likeliest(worlds)]);
	while (worlds->nr_worlds > 1)
		remove_world(worlds, worlds->nr_worlds - 1);
}

/* Of worlds that are the same now, the one with the fewest adopted slots stays. */
static void join_worlds(struct slot_worlds *worlds)
{
	uint64_t hashes[MAX_WORLDS];
	uint32_t i, j;

	for (i = 0; i < worlds->nr_worlds; i++)
		hashes[i] = slot_world_hash(&worlds->world[i]);
	for (i = 0; i < worlds->nr_worlds; i++)
		for (j = i + 1; j < worlds->nr_worlds;) {
			struct slot_world *a = &worlds->world[i];
			struct slot_world *b = &worlds->world[j];

			if (hashes[i] != hashes[j] || !slot_world_same(a, b)) {
				j++;
				continue;
			}
			if (b->adopted < a->adopted)
				swap_worlds(a, b);
			remove_world(worlds, j);
			hashes[j] = hashes[worlds->nr_worlds];
		}
}

static void remember(struct slot_worlds *worlds, uint64_t time, uint64_t pass,
		     int64_t before, int64_t after)
{
	worlds->changes[worlds->nr_changes++ % MAX_CHANGES] =
		(struct slot_change){ time, pass, before, after };
}

/* --- starts ---------------------------------------------------------------- */

/* One more world, in which the pass takes a slot that another pass has taken. */
static int branch(struct slot_worlds *worlds, uint32_t from, uint32_t slot,
		  uint64_t pass)
{
	struct slot_world *world = &worlds->world[worlds->nr_worlds];

	if (slot_world_copy(world, &worlds->world[from]))
		return -1;
	worlds->nr_worlds++;
	worlds->branched = worlds->clock;
	return slot_world_take(world, slot, pass, false, worlds->clock);
}

static int start_in_world(struct slot_worlds *worlds, uint32_t w, uint64_t pass,
			  int64_t nr, uint64_t memcg)
{
	/* The array never moves, and new worlds go to its end. */
	struct slot_world *world = &worlds->world[w];
	int64_t choice = -1;
	bool adopted = false;
	uint32_t i;

	for (i = 0; i < world->nr_slots; i++) {
		const struct slot *slot = &world->slots[i];

		if (slot->value != nr || slot->memcg != memcg)
			continue;
		if (!slot->users)
			choice = i;
		else if (worlds->nr_worlds < MAX_WORLDS &&
			 world->nr_bindings < CROWD_PASSES &&
			 branch(worlds, w, i, pass))
			return -1;
	}
	if (choice < 0) {
		choice = slot_world_add(world, nr, memcg, worlds->clock);
		/* With all slots in use the pass is not followed. */
		if (choice < 0)
			return world->nr_slots == MAX_SLOTS ? 0 : -1;
		adopted = nr != 0;
	}
	return slot_world_take(world, (uint32_t)choice, pass, adopted,
			       worlds->clock);
}

int slot_worlds_start(struct slot_worlds *worlds, uint64_t pass, int64_t nr,
		      uint64_t memcg, uint64_t time)
{
	uint32_t nr_worlds, w;

	if (worlds->world[0].nr_bindings >= CROWD_PASSES ||
	    worlds->clock - worlds->branched > MAX_WORLD_LINES)
		keep_likeliest(worlds);
	if (worlds->nr_worlds > COSTLY_WORLDS)
		drop_costly(worlds);
	nr_worlds = worlds->nr_worlds;
	worlds->clock++;
	remember(worlds, time, pass, nr, 0);
	for (w = 0; w < nr_worlds; w++)
		if (start_in_world(worlds, w, pass, nr, memcg))
			return -1;
	return 0;
}

/* --- ends ------------------------------------------------------------------ */

static bool end_fits(const struct slot_world *world, uint64_t pass,
		     int64_t needed)
{
	const struct slot_binding *binding = slot_world_binding(world, pass);

	return binding && world->slots[binding->slot].value == needed;
}

/* Drops the worlds in which the end is impossible.  Return: false, and all stay,
 * where it is impossible in each. */
static bool keep_fitting(struct slot_worlds *worlds, uint64_t pass,
			 int64_t needed)
{
	uint32_t fitting = 0, w;

	for (w = 0; w < worlds->nr_worlds; w++)
		fitting += end_fits(&worlds->world[w], pass, needed);
	for (w = 0; fitting && w < worlds->nr_worlds;)
		if (end_fits(&worlds->world[w], pass, needed))
			w++;
		else
			remove_world(worlds, w);
	return fitting;
}

static bool join_late_start(struct slot_worlds *worlds, uint64_t pass,
			    int64_t needed)
{
	bool joined = false;
	uint32_t w;

	for (w = 0; w < worlds->nr_worlds; w++)
		joined |= slot_world_join_late_start(&worlds->world[w], pass,
						     needed);
	return joined;
}

struct slot_end slot_worlds_end(struct slot_worlds *worlds, uint64_t pass,
				int64_t next, int64_t new_nr, uint64_t time)
{
	int64_t needed = wrap_sub(new_nr, next);
	struct slot_end end = { SLOT_UNBOUND, false, false, 0 };
	const struct slot_world *world;
	const struct slot_binding *binding;
	bool fits;
	uint32_t w;

	worlds->clock++;
	fits = keep_fitting(worlds, pass, needed);
	world = &worlds->world[likeliest(worlds)];
	binding = slot_world_binding(world, pass);
	if (binding) {
		end.verdict = fits ? SLOT_EXACT : SLOT_WRONG;
		end.adopted = binding->adopted;
		end.value = world->slots[binding->slot].value;
		end.late_start = !fits && join_late_start(worlds, pass, needed);
	}
	for (w = 0; w < worlds->nr_worlds; w++)
		slot_world_end(&worlds->world[w], pass, new_nr, worlds->clock);
	if (worlds->nr_worlds > 1)
		join_worlds(worlds);
	remember(worlds, time, pass, needed, new_nr);
	return end;
}

void slot_worlds_drop(struct slot_worlds *worlds, uint64_t pass)
{
	uint32_t w;

	for (w = 0; w < worlds->nr_worlds; w++)
		slot_world_drop(&worlds->world[w], pass);
	if (worlds->nr_worlds > 1)
		join_worlds(worlds);
}

/* --- what else may explain a counter --------------------------------------- */

bool slot_worlds_saw(const struct slot_worlds *worlds, uint64_t pass,
		     int64_t value, uint64_t time, uint64_t window)
{
	uint64_t n = worlds->nr_changes;
	uint64_t oldest = n > MAX_CHANGES ? n - MAX_CHANGES : 0;

	while (n-- > oldest) {
		const struct slot_change *change =
			&worlds->changes[n % MAX_CHANGES];

		if (time > change->time && time - change->time > window)
			break;
		if (change->pass != pass &&
		    (change->before == value || change->after == value))
			return true;
	}
	return false;
}

bool slot_worlds_idle_sum(const struct slot_worlds *worlds, int64_t value,
			  int nr_slots)
{
	return slot_world_idle_sum(&worlds->world[likeliest(worlds)], value,
				   nr_slots);
}
