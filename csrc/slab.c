/* SPDX-License-Identifier: MIT */
/*
 * One pass over one shrinker, and the walk that makes a pass over each.
 */
#include "memcg.h"
#include "scan.h"

/* The counter of work that passes of this shrinker put off, on this node. */
static inline _Atomic(int64_t) *deferred_counter(struct shrinker *shrinker,
						 const struct shrink_control *sc)
{
	if (shrinker->id >= 0)
		return memcg_deferred(sc->memcg,
				      shrinker->flags & SHRINKER_NUMA_AWARE ?
					      sc->nid : 0,
				      shrinker->id);
	if (shrinker->nr_deferred == &shrinker->deferred_here)
		return &shrinker->deferred_here;
	return &shrinker->nr_deferred[sc->nid];
}

/* Exchange with 0; a counter that reads 0 needs no exchange. */
static inline int64_t take_deferred(_Atomic(int64_t) *counter)
{
	if (!atomic_load_explicit(counter, memory_order_relaxed))
		return 0;
	return atomic_exchange(counter, 0);
}

/* Adds and returns the sum, with what other walks have added meanwhile. */
static inline int64_t put_deferred(_Atomic(int64_t) *counter, int64_t next)
{
	if (!next)
		return atomic_load_explicit(counter, memory_order_relaxed);
	return wrap_add(atomic_fetch_add(counter, next), next);
}

static __attribute__((noinline)) void
trace_start(const struct shrinker *shrinker, const struct shrink_control *sc,
	    int64_t nr, int64_t freeable, uint64_t delta, int64_t total_scan,
	    int priority)
{
	struct shrink_event event = {
		.type = SHRINK_EVENT_START,
		.label = shrinker->label,
		.shrinker = (uintptr_t)shrinker,
		.scan_objects = (uintptr_t)shrinker->scan_objects,
		.nid = sc->nid,
		.gfp_mask = sc->gfp_mask,
		.priority = priority,
		.nr = nr,
		.total_scan = total_scan,
		.freeable = freeable,
		.delta = delta,
	};

	trace_emit(shrinker->domain, &event);
}

static __attribute__((noinline)) void
trace_end(const struct shrinker *shrinker, const struct shrink_control *sc,
	  int64_t nr, int64_t new_nr, int64_t total_scan, uint64_t freed)
{
	struct shrink_event event = {
		.type = SHRINK_EVENT_END,
		.label = shrinker->label,
		.shrinker = (uintptr_t)shrinker,
		.scan_objects = (uintptr_t)shrinker->scan_objects,
		.nid = sc->nid,
		.retval = (int)(uint32_t)freed,
		.nr = nr,
		.total_scan = total_scan,
		.new_nr = new_nr,
	};

	trace_emit(shrinker->domain, &event);
}

static inline void count_pass(struct walker *walk, struct shrinker *shrinker,
			      uint64_t calls, uint64_t scanned, uint64_t freed)
{
	counter_add(&walk->counted.passes, 1);
	atomic_fetch_add_explicit(&shrinker->counted.passes, 1,
				  memory_order_relaxed);
	if (!calls)
		return;
	counter_add(&walk->counted.scan_calls, calls);
	counter_add(&walk->counted.scanned, scanned);
	counter_add(&walk->counted.freed, freed);
	atomic_fetch_add_explicit(&shrinker->counted.scan_calls, calls,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&shrinker->counted.scanned, scanned,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&shrinker->counted.freed, freed,
				  memory_order_relaxed);
}

static __attribute__((noinline)) void count_stall(struct shrinker *shrinker)
{
	atomic_fetch_add(&shrinker->counted.stalled, 1);
	atomic_fetch_add(&shrinker->domain->stalled, 1);
}

/**
 * do_shrink_slab - one pass over one shrinker
 * @walk: the thread's walk, which holds @shrinker
 * @sc: gfp_mask, nid and memcg filled in
 * @priority: valid
 *
 * docs/specification.md, "One pass", line by line; scan.h has the arithmetic.
 *
 * Return: objects freed, modulo 2^64; where the count was 0 or SHRINK_EMPTY,
 * that, and no deferred work was touched.
 */
unsigned long do_shrink_slab(struct walker *walk, struct shrink_control *sc,
			     struct shrinker *shrinker, int priority)
{
	struct reclaim_domain *domain = shrinker->domain;
	_Atomic(int64_t) *counter;
	int64_t freeable, nr, total_scan, batch_size, next, new_nr;
	uint64_t count, delta, scanned = 0, freed = 0, calls = 0;
	unsigned long fruitless = 0;

	count = shrinker->count_objects(shrinker, sc);
	if (count == 0 || count == SHRINK_EMPTY)
		return count;
	if (unlikely(walk->stop))
		return 0;
	freeable = (int64_t)count;

	counter = deferred_counter(shrinker, sc);
	nr = take_deferred(counter);

	delta = scan_delta(freeable, priority, shrinker->seeks);
	total_scan = scan_total(nr, delta, freeable, priority);
	batch_size = scan_batch_size(shrinker->batch);
	if (unlikely(atomic_load_explicit(&domain->trace, memory_order_relaxed)))
		trace_start(shrinker, sc, nr, freeable, delta, total_scan,
			    priority);

	/* No further callback of a shrinker that was freed by one of its own. */
	while (scan_wanted(total_scan, batch_size, freeable) &&
	       likely(!is_unlinked(shrinker))) {
		int64_t before = total_scan;
		unsigned long ret;

		sc->nr_to_scan =
			(unsigned long)min_signed(batch_size, total_scan);
		sc->nr_scanned = sc->nr_to_scan;
		ret = shrinker->scan_objects(shrinker, sc);
		if (ret == SHRINK_STOP || unlikely(walk->stop))
			break;
		calls++;
		freed += ret;
		scanned += sc->nr_scanned;
		total_scan = wrap_sub(total_scan, (int64_t)sc->nr_scanned);

		/* A kernel would go on for ever with some callbacks. */
		if (unlikely(before <= 0 || total_scan >= before) &&
		    ++fruitless == domain->stall_limit) {
			count_stall(shrinker);
			break;
		}
	}

	next = scan_deferred(nr, delta, (int64_t)scanned, freeable);
	new_nr = put_deferred(counter, next);

	if (unlikely(atomic_load_explicit(&domain->trace, memory_order_relaxed)))
		trace_end(shrinker, sc, nr, new_nr, total_scan, freed);
	count_pass(walk, shrinker, calls, scanned, freed);
	return freed;
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

		if (unlikely(walk->host != shrinker->host))
			walk_change_host(walk, shrinker->host);
		ret = do_shrink_slab(walk, &sc, shrinker, priority);
		if (ret != SHRINK_EMPTY)
			freed += ret;
	}
	walk_rewind(walk);
	return freed;
}

/* The lowest id from @id up whose bit is set now; -1 where there is none. */
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
	/* Sequentially consistent, and so a full barrier behind as well. */
	atomic_fetch_and(&memcg_unit(memcg, nid, id)->map,
			 ~(UINT64_C(1) << (id % MEMCG_UNIT_IDS)));
}

/* A pass over each shrinker whose bit is set in a group, in the order of ids. */
static unsigned long walk_memcg(struct walker *walk, gfp_t gfp_mask, int nid,
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
			/* One that came meanwhile may have set it for itself. */
			if (atomic_load(shrinker_by_id(domain, id)))
				set_shrinker_bit(memcg, nid, id);
			continue;
		}
		if (!domain->kmem && !(shrinker->flags & SHRINKER_NONSLAB))
			continue;
		if (unlikely(walk->host != shrinker->host))
			walk_change_host(walk, shrinker->host);
		ret = do_shrink_slab(walk, &sc, shrinker, priority);
		if (ret == SHRINK_EMPTY) {
			/* That count stopped the walk or freed its shrinker:
			 * none comes after it.  The next walk clears the bit. */
			if (unlikely(walk->stop || is_unlinked(shrinker)))
				continue;
			clear_shrinker_bit(memcg, nid, id);
			/*
			 * Who adds an object sets the bit afterwards.  If that
			 * came before our clearing, the object is there for
			 * this second look, and the bit comes back.
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
 * walk_slab - one walk on behalf of a group
 * @walk: the thread's walk; stands before the first shrinker again afterwards
 * @memcg: of the walk's domain, kept there by the caller; NULL: the root
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

/**
 * reclaim_begin - walk_begin(), unless the thread is reclaiming already
 *
 * Reclaim frees memory and may allocate some for that; it is never entered a
 * second time from there, in whichever domain.
 *
 * Return: NULL where the thread is in a callback, or no record could be had.
 */
struct walker *reclaim_begin(struct reclaim_domain *domain)
{
	if (unlikely(current_walk)) {
		atomic_fetch_add(&domain->nested, 1);
		return NULL;
	}
	return walk_begin(domain);
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
		      unsigned long *ret)
{
	struct walker *walk;
	bool found;

	if (!nid_is_valid(shrinker->domain, sc->nid) ||
	    (sc->memcg && sc->memcg->domain != shrinker->domain))
		return false;
	if (!sc->memcg)
		sc->memcg = shrinker->domain->root;
	walk = walk_begin(shrinker->domain);
	if (!walk)
		return false;
	found = walk_to(walk, shrinker);
	if (found) {
		walk_change_host(walk, shrinker->host);
		*ret = callback(shrinker, sc);
	}
	walk_end(walk);
	return found;
}

bool shrinker_count_objects(struct shrinker *shrinker, struct shrink_control *sc,
			    unsigned long *count)
{
	sc->nr_to_scan = sc->nr_scanned = 0;
	return call_once(shrinker, sc, shrinker->count_objects, count);
}

bool shrinker_scan_objects(struct shrinker *shrinker, struct shrink_control *sc,
			   unsigned long *freed)
{
	sc->nr_scanned = sc->nr_to_scan;
	return call_once(shrinker, sc, shrinker->scan_objects, freed);
}
