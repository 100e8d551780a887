/* SPDX-License-Identifier: MIT */
/*
 * Walks: a pass over each shrinker.
 *
 * The core calls the callbacks of native shrinkers (pass_from_here()).  Where the
 * callbacks need a host, such as Python, the host calls them (hosted.c).
 */
#include "hosted.h"
#include "memcg.h"
#include "pass.h"
#include "walk.h"

/* Not inline, so that passes that scan nothing need not save registers for it. */
static __attribute__((noinline)) unsigned long
pass_with_scans(struct walker *walk, struct shrink_control *sc,
		struct shrinker *shrinker, int priority, int64_t batch_size,
		int64_t freeable)
{
	struct pass pass = { .walk = walk,
			     .shrinker = shrinker,
			     .sc = sc,
			     .priority = priority,
			     .batch_size = batch_size,
			     .freeable = freeable };

	pass_begin_scans(&pass);
	while (pass_wants_call(&pass) &&
	       pass_account(&pass, shrinker->scan_objects(shrinker, sc)))
		;
	pass_end_scans(&pass);
	return pass.freed;
}

/* One pass whose callbacks are called from here. */
static inline __attribute__((always_inline)) unsigned long
pass_from_here(struct walker *walk, struct shrink_control *sc,
	       struct shrinker *shrinker, _Atomic(int64_t) *counter, int priority)
{
	/* A count that sets the batch sets it for the next pass, but see
	 * pass_by_count(). */
	long batch = shrinker->batch;
	uint64_t count = shrinker->count_objects(shrinker, sc);
	unsigned long ret;

	if (pass_wants_scans(walk, shrinker, counter, priority,
			     scan_batch_size(batch), count, &ret))
		ret = pass_with_scans(walk, sc, shrinker, priority,
				      scan_batch_size(batch), (int64_t)count);
	return ret;
}

/* One pass whose count sets the batch, or runs outside the host of the scans. */
static unsigned long pass_by_count(struct walker *walk, struct shrink_control *sc,
				   struct shrinker *shrinker, int priority)
{
	uint64_t count = shrinker->count_objects(shrinker, sc);
	int64_t batch_size = scan_batch_size(shrinker->batch);
	unsigned long ret;

	if (!pass_wants_scans(walk, shrinker, deferred_counter(shrinker, sc),
			      priority, batch_size, count, &ret))
		return ret;
	walk_change_host(walk, host_of(shrinker));
	return pass_with_scans(walk, sc, shrinker, priority, batch_size,
			       (int64_t)count);
}

static __attribute__((noinline)) unsigned long
special_pass(struct walker *walk, struct shrink_control *sc,
	     struct shrinker *shrinker, int priority)
{
	if (runs_passes(shrinker))
		return hosted_pass(walk, sc, shrinker, priority);
	if (shrinker->flags & (RECLAIM_BATCH_BY_COUNT | RECLAIM_COUNT_OUTSIDE_HOST))
		return pass_by_count(walk, sc, shrinker, priority);
	return pass_from_here(walk, sc, shrinker, deferred_counter(shrinker, sc),
			      priority);
}

/**
 * do_shrink_slab - one pass over one shrinker
 * @walk: the thread's walk, which holds @shrinker, and is inside its host
 * @sc: gfp_mask, nid and memcg filled in
 * @priority: valid
 *
 * Return: objects freed, modulo 2^64.  A count of 0 or SHRINK_EMPTY is returned as
 * it is, and the deferred work stays as it was.
 */
unsigned long do_shrink_slab(struct walker *walk, struct shrink_control *sc,
			     struct shrinker *shrinker, int priority)
{
	if (unlikely(!is_plain(shrinker)))
		return special_pass(walk, sc, shrinker, priority);
	return pass_from_here(walk, sc, shrinker, &shrinker->deferred_here,
			      priority);
}

/*
 * Passes of a walk that is inside a host, or at a shrinker that is not plain: over
 * @shrinker, and over the ones after it to which the host takes the walk.
 * @fresh: shrink_control that each pass begins with
 *
 * Return: false where the walk is over.
 */
static __attribute__((noinline)) bool
special_passes(struct walker *walk, const struct shrink_control *fresh,
	       struct shrinker *shrinker, int priority, unsigned long *freed)
{
	while (shrinker && !walk->stop) {
		struct shrink_control sc = *fresh;
		struct shrinker *next = NULL;

		walk_change_host(walk, host_of_count(shrinker));
		if (runs_passes(shrinker)) {
			if (!hosted_passes(walk, &sc, shrinker, priority, freed,
					   &next))
				return false;
		} else {
			unsigned long ret = special_pass(walk, &sc, shrinker,
							 priority);

			if (ret != SHRINK_EMPTY)
				*freed += ret;
		}
		shrinker = next;
	}
	return true;
}

/* A pass over each shrinker, in the order of registration. */
static unsigned long walk_all(struct walker *walk, gfp_t gfp_mask, int nid,
			      struct mem_cgroup *memcg, int priority)
{
	struct shrinker *shrinker;
	unsigned long freed = 0;

	while (!unlikely(walk->stop) && (shrinker = walk_next(walk))) {
		struct shrink_control sc = {
			.gfp_mask = gfp_mask,
			.nid = nid,
			.memcg = memcg,
		};
		unsigned long ret;

		if (unlikely(walk->host || !is_plain(shrinker))) {
			if (!special_passes(walk, &sc, shrinker, priority, &freed))
				break;
			continue;
		}
		ret = pass_from_here(walk, &sc, shrinker,
				     &shrinker->deferred_here, priority);
		if (ret != SHRINK_EMPTY)
			freed += ret;
	}
	walk_rewind(walk);
	return freed;
}

/* The lowest id that is @id or more and whose bit is set now; -1: none. */
static int next_bit(struct mem_cgroup *memcg, int nid, int id)
{
	for (;;) {
		int nr_max = atomic_load_explicit(&memcg->domain->nr_max,
						  memory_order_acquire);
		uint64_t map;

		if (id >= nr_max)
			return -1;
		map = atomic_load(&memcg_unit(memcg, nid, id)->map);
		map &= ~UINT64_C(0) << (id % MEMCG_UNIT_IDS);
		if (map)
			return id / MEMCG_UNIT_IDS * MEMCG_UNIT_IDS +
			       __builtin_ctzll(map);
		id = (id / MEMCG_UNIT_IDS + 1) * MEMCG_UNIT_IDS;
	}
}

static void clear_shrinker_bit(struct mem_cgroup *memcg, int nid, int id)
{
	/* Orders the clearing before the loads of the count that follows; pairs
	 * with set_shrinker_bit(), which comes after the addition of an object. */
	atomic_fetch_and(&memcg_unit(memcg, nid, id)->map,
			 ~(UINT64_C(1) << (id % MEMCG_UNIT_IDS)));
}

/* A pass over each shrinker whose bit is set in a group, in the order of ids. */
static __attribute__((noinline)) unsigned long
walk_memcg(struct walker *walk, gfp_t gfp_mask, int nid,
	   struct mem_cgroup *memcg, int priority)
{
	struct reclaim_domain *domain = walk->domain;
	unsigned long freed = 0;
	int id;

	if (!mem_cgroup_is_online(memcg))
		return 0;
	for (id = next_bit(memcg, nid, 0); id >= 0 && !unlikely(walk->stop);
	     id = next_bit(memcg, nid, id + 1)) {
		struct shrink_control sc = {
			.gfp_mask = gfp_mask,
			.nid = nid,
			.memcg = memcg,
		};
		struct shrinker *shrinker;
		unsigned long ret;

		shrinker = walk_to_link(walk, shrinker_by_id(domain, id));
		if (!shrinker) {
			clear_shrinker_bit(memcg, nid, id);
			/* The id's next shrinker may have been registered
			 * meanwhile, and the bit may have been set for it. */
			if (atomic_load(shrinker_by_id(domain, id)))
				set_shrinker_bit(memcg, nid, id);
			continue;
		}
		if (!domain->kmem && !(shrinker->flags & SHRINKER_NONSLAB))
			continue;
		walk_change_host(walk, host_of_count(shrinker));
		ret = do_shrink_slab(walk, &sc, shrinker, priority);
		if (ret == SHRINK_EMPTY) {
			/* The count stopped the walk or freed its shrinker, so
			 * no second one follows.  The next walk clears the bit. */
			if (unlikely(walk->stop || is_unlinked(shrinker)))
				continue;
			clear_shrinker_bit(memcg, nid, id);
			/*
			 * Code that adds an object sets the bit afterwards.  If it
			 * set the bit before it was cleared here, this second
			 * pass sees the object, and the bit is set again.
			 */
			ret = do_shrink_slab(walk, &sc, shrinker, priority);
			if (ret == SHRINK_EMPTY)
				ret = 0;
			else
				set_shrinker_bit(memcg, nid, id);
		}
		freed += ret;
	}
	walk_rewind(walk);
	return freed;
}

/**
 * walk_slab - one walk for a group
 * @walk: the thread's walk; before the first shrinker, also afterwards
 * @memcg: of the walk's domain, held by the caller; NULL: the root
 *
 * Return: objects freed, modulo 2^64.
 */
unsigned long walk_slab(struct walker *walk, gfp_t gfp_mask, int nid,
			struct mem_cgroup *memcg, int priority)
{
	counter_add(&walk->counted.walks, 1);
	if (!memcg)
		memcg = walk->domain->root;
	if (memcg == walk->domain->root)
		return walk_all(walk, gfp_mask, nid, memcg, priority);
	return walk_memcg(walk, gfp_mask, nid, memcg, priority);
}

unsigned long reclaim_shrink_slab(struct reclaim_domain *domain, gfp_t gfp_mask,
				  int nid, struct mem_cgroup *memcg, int priority)
{
	struct walker *walk;
	unsigned long freed;

	if (!nid_is_valid(domain, nid) || !priority_is_valid(priority) ||
	    (memcg && memcg->domain != domain))
		return 0;
	walk = reclaim_begin(domain);
	if (!walk)
		return 0;
	freed = walk_slab(walk, gfp_mask, nid, memcg, priority);
	walk_end(walk);
	return freed;
}

/* One callback outside any pass. */
static bool call_once(struct shrinker *shrinker, struct shrink_control *sc,
		      unsigned long (*callback)(struct shrinker *shrinker,
						struct shrink_control *sc),
		      const struct reclaim_host *host, unsigned long *ret)
{
	struct walker *walk;
	bool found;

	if (!nid_is_valid(shrinker->domain, sc->nid) ||
	    (sc->memcg && sc->memcg->domain != shrinker->domain))
		return false;
	/* As in debugfs; in a walk the callbacks of all shrinkers see the group. */
	if (shrinker->id < 0)
		sc->memcg = NULL;
	else if (!sc->memcg)
		sc->memcg = shrinker->domain->root;
	walk = walk_begin(shrinker->domain);
	if (!walk)
		return false;
	found = walk_to(walk, shrinker);
	if (found) {
		walk_change_host(walk, host);
		*ret = callback(shrinker, sc);
	}
	walk_end(walk);
	return found;
}

bool shrinker_count_objects(struct shrinker *shrinker, struct shrink_control *sc,
			    unsigned long *count)
{
	sc->nr_to_scan = sc->nr_scanned = 0;
	return call_once(shrinker, sc, shrinker->count_objects,
			 host_of_count(shrinker), count);
}

bool shrinker_scan_objects(struct shrinker *shrinker, struct shrink_control *sc,
			   unsigned long *freed)
{
	sc->nr_scanned = sc->nr_to_scan;
	return call_once(shrinker, sc, shrinker->scan_objects, host_of(shrinker),
			 freed);
}
