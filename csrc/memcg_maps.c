/* SPDX-License-Identifier: MIT */
/*
 * What each memory cgroup has for each shrinker, by the shrinker's id: a bit and
 * deferred objects.  And the ids.
 *
 * The maps of all groups of a domain have room for ids below nr_max, a multiple of
 * 64.  Before the id nr_max is given out, all groups get another unit; only then is
 * the new nr_max stored.  So a thread that has an id, or has loaded nr_max, finds
 * the unit in any group, and setting a bit cannot fail.
 */
#include <stdlib.h>
#include <string.h>

#include "memcg.h"
#include "single_thread.h"

/* --- tables ------------------------------------------------------------- */

/**
 * table_reserve - make room for indices below @capacity
 *
 * A larger table replaces the old one, which stays until table_free(), because
 * readers may still use it.  Sizes double, so all old tables together take no more
 * memory than the new one.
 *
 * Context: the caller's lock keeps other writers out.
 * Return: false where memory ran out; nothing has changed then.
 */
bool table_reserve(_Atomic(struct unit_table *) *table, int capacity)
{
	struct unit_table *old = atomic_load(table);
	struct unit_table *new;
	int size = old ? old->capacity : 1;
	int i;

	if (old && old->capacity >= capacity)
		return true;
	while (size < capacity)
		size *= 2;
	new = calloc(1, sizeof(*new) + (size_t)size * sizeof(new->unit[0]));
	if (!new)
		return false;
	new->smaller = old;
	new->capacity = size;
	for (i = 0; old && i < old->capacity; i++)
		atomic_init(&new->unit[i], atomic_load(&old->unit[i]));
	atomic_store_explicit(table, new, memory_order_release);
	return true;
}

/**
 * table_free - release a table that has no readers any more
 * @entries: free() its entries too
 */
void table_free(_Atomic(struct unit_table *) *table, bool entries)
{
	struct unit_table *now = atomic_exchange(table, NULL);
	struct unit_table *smaller;
	int i;

	for (i = 0; entries && now && i < now->capacity; i++)
		free(atomic_load(&now->unit[i]));
	for (; now; now = smaller) {
		smaller = now->smaller;
		free(now);
	}
}

/* --- growing ------------------------------------------------------------ */

static bool add_unit(_Atomic(struct unit_table *) *table, int index, size_t size)
{
	void *unit;

	if (table_get(table, index))
		return true; /* From an attempt that ran out of memory later. */
	if (!table_reserve(table, index + 1))
		return false;
	unit = calloc(1, size);
	if (!unit)
		return false;
	atomic_store_explicit(&atomic_load(table)->unit[index], unit,
			      memory_order_release);
	return true;
}

/**
 * memcg_grow - give one group units for ids below @nr_max
 *
 * Return: false where memory ran out; units that were made stay.
 */
bool memcg_grow(struct mem_cgroup *memcg, int nr_max)
{
	int units = nr_max / MEMCG_UNIT_IDS;
	int nid, index;

	for (nid = 0; nid < memcg->domain->nr_nodes; nid++) {
		/* At once: a table that is replaced stays allocated. */
		if (units && !table_reserve(&memcg->units[nid], units))
			return false;
		for (index = 0; index < units; index++)
			if (!add_unit(&memcg->units[nid], index,
				      sizeof(struct shrinker_unit)))
				return false;
	}
	return true;
}

/* Gives all groups room for MEMCG_UNIT_IDS more ids; called under memcg_lock. */
static bool grow(struct reclaim_domain *domain)
{
	int old_max = atomic_load(&domain->nr_max);
	int nr_max = old_max + MEMCG_UNIT_IDS;
	int index = old_max / MEMCG_UNIT_IDS;
	struct mem_cgroup *memcg = NULL;
	uint64_t *used;

	if (!add_unit(&domain->by_id, index, sizeof(struct id_unit)))
		return false;
	while ((memcg = memcg_next_all(domain, memcg)))
		if (!memcg_grow(memcg, nr_max)) {
			memcg_put(memcg);
			return false;
		}
	used = calloc((size_t)index + 1, sizeof(*used));
	if (!used)
		return false;
	pthread_mutex_lock(&domain->id_lock);
	if (index)
		memcpy(used, domain->ids_used, (size_t)index * sizeof(*used));
	free(domain->ids_used);
	domain->ids_used = used;
	atomic_store_explicit(&domain->nr_max, nr_max, memory_order_release);
	pthread_mutex_unlock(&domain->id_lock);
	return true;
}

/* --- ids ---------------------------------------------------------------- */

static bool take_lowest_id(struct reclaim_domain *domain, int *id)
{
	int units, unit;

	pthread_mutex_lock(&domain->id_lock);
	units = atomic_load(&domain->nr_max) / MEMCG_UNIT_IDS;
	for (unit = 0; unit < units; unit++)
		if (~domain->ids_used[unit]) {
			int bit = __builtin_ctzll(~domain->ids_used[unit]);

			domain->ids_used[unit] |= UINT64_C(1) << bit;
			*id = unit * MEMCG_UNIT_IDS + bit;
			break;
		}
	pthread_mutex_unlock(&domain->id_lock);
	return unit < units;
}

/**
 * memcg_alloc_id - take the lowest free id for a memcg-aware shrinker
 *
 * Return: false where memory ran out; no id is taken then, and nr_max is the same.
 */
bool memcg_alloc_id(struct reclaim_domain *domain, int *id)
{
	bool taken;

	if (take_lowest_id(domain, id))
		return true;
	pthread_mutex_lock(&domain->memcg_lock);
	do
		taken = take_lowest_id(domain, id);
	while (!taken && grow(domain));
	pthread_mutex_unlock(&domain->memcg_lock);
	return taken;
}

/**
 * memcg_release_id - give an id back
 *
 * Bits and counters stay as they are for the next shrinker with this id.
 */
void memcg_release_id(struct reclaim_domain *domain, int id)
{
	pthread_mutex_lock(&domain->id_lock);
	domain->ids_used[id / MEMCG_UNIT_IDS] &=
		~(UINT64_C(1) << (id % MEMCG_UNIT_IDS));
	pthread_mutex_unlock(&domain->id_lock);
}

/* --- maps and counters --------------------------------------------------- */

static struct shrinker_unit *checked_unit(struct mem_cgroup *memcg, int nid,
					  int id)
{
	if (!memcg || id < 0 || !nid_is_valid(memcg->domain, nid) ||
	    id >= atomic_load_explicit(&memcg->domain->nr_max,
				       memory_order_acquire))
		return NULL;
	return memcg_unit(memcg, nid, id);
}

void set_shrinker_bit(struct mem_cgroup *memcg, int nid, int shrinker_id)
{
	struct shrinker_unit *unit = checked_unit(memcg, nid, shrinker_id);

	/* Orders all that the caller has stored, such as the object that it added,
	 * before the bit; pairs with clear_shrinker_bit() in slab.c. */
	if (unit && memcg->parent)
		shared_set_bits(&unit->map,
				UINT64_C(1) << (shrinker_id % MEMCG_UNIT_IDS));
}

bool mem_cgroup_has_bit(struct mem_cgroup *memcg, int nid, int shrinker_id)
{
	struct shrinker_unit *unit = checked_unit(memcg, nid, shrinker_id);

	return unit && atomic_load(&unit->map) >>
				       (shrinker_id % MEMCG_UNIT_IDS) & 1;
}

const volatile uint64_t *mem_cgroup_map(struct mem_cgroup *memcg, int nid,
					int shrinker_id)
{
	struct shrinker_unit *unit = checked_unit(memcg, nid, shrinker_id);

	_Static_assert(sizeof(unit->map) == sizeof(uint64_t),
		       "an atomic word is a word");
	return unit ? (const volatile uint64_t *)&unit->map : NULL;
}

int64_t mem_cgroup_nr_deferred(struct mem_cgroup *memcg, int nid, int shrinker_id)
{
	struct shrinker_unit *unit = checked_unit(memcg, nid, shrinker_id);

	if (!unit)
		return 0;
	return atomic_load(&unit->nr_deferred[shrinker_id % MEMCG_UNIT_IDS]);
}

int mem_cgroup_nr_max(const struct mem_cgroup *memcg)
{
	return atomic_load(&memcg->domain->nr_max);
}

uint64_t mem_cgroup_read_unit(struct mem_cgroup *memcg, int nid, int unit,
			      int64_t *nr_deferred)
{
	struct shrinker_unit *found;
	int i;

	found = unit < 0 || unit >= mem_cgroup_nr_max(memcg) / MEMCG_UNIT_IDS ?
			NULL :
			checked_unit(memcg, nid, unit * MEMCG_UNIT_IDS);
	for (i = 0; i < MEMCG_UNIT_IDS; i++)
		nr_deferred[i] = found ? atomic_load(&found->nr_deferred[i]) : 0;
	return found ? atomic_load(&found->map) : 0;
}

static unsigned long table_memory(_Atomic(struct unit_table *) *table, size_t size)
{
	struct unit_table *now;
	unsigned long bytes = 0;
	int i;

	now = atomic_load(table);
	for (i = 0; now && i < now->capacity; i++)
		if (atomic_load(&now->unit[i]))
			bytes += size;
	for (; now; now = now->smaller)
		bytes += sizeof(*now) +
			 (size_t)now->capacity * sizeof(now->unit[0]);
	return bytes;
}

unsigned long mem_cgroup_memory(struct mem_cgroup *memcg)
{
	unsigned long bytes = sizeof(*memcg);
	int nid;

	for (nid = 0; nid < memcg->domain->nr_nodes; nid++)
		bytes += sizeof(memcg->units[0]) +
			 table_memory(&memcg->units[nid],
				      sizeof(struct shrinker_unit));
	return bytes;
}

void reparent_shrinker_deferred(struct mem_cgroup *memcg)
{
	struct mem_cgroup *heir = memcg->parent ? memcg->parent : memcg;
	int nr_max = mem_cgroup_nr_max(memcg);
	int nid, id, i;

	for (nid = 0; nid < memcg->domain->nr_nodes; nid++)
		for (id = 0; id < nr_max; id += MEMCG_UNIT_IDS) {
			struct shrinker_unit *from = memcg_unit(memcg, nid, id);
			struct shrinker_unit *to = memcg_unit(heir, nid, id);

			for (i = 0; i < MEMCG_UNIT_IDS; i++) {
				int64_t nr = atomic_load(&from->nr_deferred[i]);

				/* Atomic additions wrap. */
				if (nr)
					atomic_fetch_add(&to->nr_deferred[i],
							 nr);
			}
		}
}
