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

static void remember(struct slot_worlds *worlds, const struct slot_line *line,
		     int64_t before, int64_t after, bool end)
{
	worlds->changes[worlds->nr_changes++ % MAX_CHANGES] =
		(struct slot_change){ *line, before, after, end };
}

/* The change before number @n, newest first; NULL at the oldest that is known. */
static const struct slot_change *older_change(const struct slot_worlds *worlds,
					      uint64_t *n)
{
	uint64_t known = worlds->nr_changes < MAX_CHANGES ? worlds->nr_changes :
							    MAX_CHANGES;

	if (*n == worlds->nr_changes - known)
		return NULL;
	return &worlds->changes[--*n % MAX_CHANGES];
}

/* --- starts ---------------------------------------------------------------- */

/* One more world, in which the pass takes a slot that another pass has taken. */
static int branch(struct slot_worlds *worlds, uint32_t from, uint32_t slot,
		  const struct slot_line *line)
{
	struct slot_world *world = &worlds->world[worlds->nr_worlds];

	if (slot_world_copy(world, &worlds->world[from]))
		return -1;
	worlds->nr_worlds++;
	worlds->branched = worlds->clock;
	return slot_world_take(world, slot, line, false, worlds->clock);
}

static void remember_adoption(struct slot_worlds *worlds,
			      const struct slot_line *line, int64_t value,
			      uint64_t memcg)
{
	uint64_t n = worlds->nr_adoptions;

	/* Each world may adopt a slot for the same pass. */
	if (n && worlds->adopted == worlds->clock)
		return;
	worlds->adopted = worlds->clock;
	worlds->adoptions[n % MAX_ADOPTIONS] = (struct slot_adoption){
		*line, memcg, value, false,
	};
	worlds->nr_adoptions++;
}

void slot_worlds_count_adoption(struct slot_worlds *worlds, uint64_t pass)
{
	uint32_t i;

	for (i = 0; i < MAX_ADOPTIONS; i++)
		if (worlds->adoptions[i].start.pass == pass)
			worlds->adoptions[i].counted = true;
}

static int start_in_world(struct slot_worlds *worlds, uint32_t w,
			  const struct slot_line *line, int64_t nr,
			  uint64_t memcg)
{
	/* The array never moves, and new worlds go to its end. */
	struct slot_world *world = &worlds->world[w];
	int64_t choice = -1;
	bool fresh = false;
	uint32_t i;

	for (i = 0; i < world->nr_slots; i++) {
		const struct slot *slot = &world->slots[i];

		if (slot->value != nr || slot->memcg != memcg)
			continue;
		/* Of equal ones the one that may have been taken for longest. */
		if (!slot->users) {
			if (choice < 0 ||
			    slot->touched < world->slots[choice].touched)
				choice = i;
		} else if (worlds->nr_worlds < MAX_WORLDS &&
			 world->nr_bindings < CROWD_PASSES &&
			 branch(worlds, w, i, line)) {
			return -1;
		}
	}
	if (choice < 0) {
		choice = slot_world_add(world, nr, memcg, line, worlds->clock);
		/* With all slots in use the pass is not followed. */
		if (choice < 0)
			return world->nr_slots == MAX_SLOTS ? 0 : -1;
		fresh = true;
		if (nr)
			remember_adoption(worlds, line, nr, memcg);
	}
	return slot_world_take(world, (uint32_t)choice, line, fresh,
			       worlds->clock);
}

int slot_worlds_start(struct slot_worlds *worlds, const struct slot_line *line,
		      int64_t nr, uint64_t memcg)
{
	uint32_t nr_worlds, w;

	if (worlds->world[0].nr_bindings >= CROWD_PASSES ||
	    worlds->clock - worlds->branched > MAX_WORLD_LINES)
		keep_likeliest(worlds);
	if (worlds->nr_worlds > COSTLY_WORLDS)
		drop_costly(worlds);
	nr_worlds = worlds->nr_worlds;
	worlds->clock++;
	remember(worlds, line, nr, 0, false);
	for (w = 0; w < nr_worlds; w++)
		if (start_in_world(worlds, w, line, nr, memcg))
			return -1;
	return 0;
}

bool slot_worlds_adopted(const struct slot_worlds *worlds, uint64_t pass)
{
	const struct slot_binding *binding =
		slot_world_binding(&worlds->world[likeliest(worlds)], pass);

	return binding && binding->adopted;
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

/* The start of a pass, before change number @n. */
static const struct slot_change *start_of(const struct slot_worlds *worlds,
					  uint64_t pass, uint64_t n)
{
	const struct slot_change *change;

	while ((change = older_change(worlds, &n)))
		if (change->line.pass == pass)
			return change;
	return NULL;
}

/*
 * Whether a pass that took 0 may have done so between start and end of the latest pass
 * that left @value, although the lines stand in another order.
 */
static bool ran_inside(const struct slot_worlds *worlds, uint64_t pass,
		       int64_t value)
{
	uint64_t n = worlds->nr_changes;
	const struct slot_change *own = start_of(worlds, pass, n);
	const struct slot_change *change, *start;

	while (own && (change = older_change(worlds, &n))) {
		if (!change->end || change->after != value || change->before ||
		    change->line.task == own->line.task)
			continue;
		start = start_of(worlds, change->line.pass, n);
		return start && start->line.earliest <= own->line.time &&
		       own->line.earliest <= change->line.time;
	}
	return false;
}

static bool join_late_start(struct slot_worlds *worlds, uint64_t pass,
			    int64_t needed)
{
	bool inside = ran_inside(worlds, pass, needed);
	bool joined = false;
	uint32_t w;

	for (w = 0; w < worlds->nr_worlds; w++)
		joined |= slot_world_join(&worlds->world[w], pass, needed,
					  inside);
	return joined;
}

/* Return: how many idle slots hold what a pass has found beside @value. */
static uint32_t merge(struct slot_world *world, int64_t needed, int64_t value,
		      bool merges)
{
	uint32_t found[2];
	uint32_t nr_found = slot_world_find_sum(world, wrap_sub(needed, value),
						found);

	if (merges && nr_found >= least_merged(value))
		slot_world_forget(world, found, nr_found);
	return nr_found;
}

/* The adoption of what a pass leaves that may have left it before; NULL: there is none. */
static struct slot_adoption *adoption_of(struct slot_worlds *worlds,
					 const struct slot_line *line,
					 int64_t new_nr, uint64_t memcg)
{
	uint32_t i;

	if (!worlds->nr_adoptions || !new_nr ||
	    worlds->clock - worlds->adopted > MAX_ADOPTED_LINES)
		return NULL;
	for (i = 0; i < MAX_ADOPTIONS; i++) {
		struct slot_adoption *adoption = &worlds->adoptions[i];

		if (adoption->value == new_nr && adoption->memcg == memcg &&
		    adoption->start.task != line->task &&
		    line->earliest <= adoption->start.time)
			return adoption;
	}
	return NULL;
}

struct slot_end slot_worlds_end(struct slot_worlds *worlds,
				const struct slot_line *line, int64_t next,
				int64_t new_nr, const int64_t *left,
				bool merges)
{
	int64_t needed = wrap_sub(new_nr, next);
	struct slot_end end = { .verdict = SLOT_UNBOUND };
	uint64_t pass = line->pass;
	struct slot_world *world;
	const struct slot_binding *binding;
	struct slot_adoption *adoption = NULL;
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
		if (fits)
			adoption = adoption_of(
				worlds, line, new_nr,
				world->slots[binding->slot].memcg);
		end.late_start = !fits && join_late_start(worlds, pass, needed);
		if (!fits && !end.late_start)
			end.merged = merge(world, needed, end.value, merges);
	}
	for (w = 0; w < worlds->nr_worlds; w++)
		if (fits && left)
			slot_world_end_found(&worlds->world[w], pass, *left);
		else if (adoption && slot_world_end_adopted(
					     &worlds->world[w], pass,
					     adoption->start.pass))
			end.found = true;
		else
			slot_world_end(&worlds->world[w], line, new_nr,
				       worlds->clock);
	if (end.found) {
		end.found_counted = adoption->counted;
		adoption->value = 0;
	}
	if (worlds->nr_worlds > 1)
		join_worlds(worlds);
	remember(worlds, line, needed, new_nr, true);
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
	const struct slot_change *change;

	while ((change = older_change(worlds, &n))) {
		if (time > change->line.time &&
		    time - change->line.time > window)
			break;
		if (change->line.pass != pass &&
		    (change->before == value || change->after == value))
			return true;
	}
	return false;
}
