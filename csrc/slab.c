/* SPDX-License-Identifier: MIT */
/*
 * One pass over one shrinker, and the walk that makes a pass over each.
 */
#include "counts.h"
#include "memcg.h"
#include "scan_calls.h"
#include "walk.h"

static _Atomic(int64_t) *deferred_elsewhere(struct shrinker *shrinker,
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

/* The counter of work that passes of this shrinker put off, on this node. */
static inline _Atomic(int64_t) *deferred_counter(struct shrinker *shrinker,
						 const struct shrink_control *sc)
{
	if (likely(!(shrinker->flags &
		     (SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE))))
		return &shrinker->deferred_here;
	return deferred_elsewhere(shrinker, sc);
}

/* Exchange with 0; a counter that reads 0 needs no exchange. */
static inline int64_t take_deferred(_Atomic(int64_t) *counter)
{
	if (!atomic_load_explicit(counter, memory_order_relaxed))
		return 0;
	return atomic_exchange(counter, 0);
}

/*
 * The exchange with 0 and the addition of a pass that calls nothing between
 * them, in one: other walks may see the counter as it was and as it is after
 * both, and nobody can tell that there was no 0.
 *
 * Return: false, and nothing has changed, where the counter is not @nr any more.
 */
static inline bool swap_deferred(_Atomic(int64_t) *counter, int64_t nr,
				 int64_t next)
{
	return next == nr || atomic_compare_exchange_strong(counter, &nr, next);
}

/* Adds and returns the sum, with what other walks have added meanwhile. */
static inline int64_t put_deferred(_Atomic(int64_t) *counter, int64_t next)
{
	if (!next)
		return atomic_load_explicit(counter, memory_order_relaxed);
	return wrap_add(atomic_fetch_add(counter, next), next);
}

static __attribute__((cold, noinline)) void
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

static __attribute__((cold, noinline)) void
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

static __attribute__((noinline)) void
count_shared(struct shrinker *shrinker, uint64_t calls, uint64_t scanned,
		   uint64_t freed)
{
	atomic_fetch_add_explicit(&shrinker->counted.passes, 1,
				  memory_order_relaxed);
	if (!calls)
		return;
	atomic_fetch_add_explicit(&shrinker->counted.scan_calls, calls,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&shrinker->counted.scanned, scanned,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&shrinker->counted.freed, freed,
				  memory_order_relaxed);
}

/*
 * Only one walk at a time has a record, and what it leaves in the record's
 * counters is there for the next one, by the release and acquire of the record.
 * So it needs no atomic addition.
 */
static inline void count_pass(struct walker *walk, struct shrinker *shrinker,
			      uint64_t calls, uint64_t scanned, uint64_t freed)
{
	_Atomic(uint64_t) *alone;

	counter_add(&walk->counted.passes, 1);
	if (calls) {
		counter_add(&walk->counted.scan_calls, calls);
		counter_add(&walk->counted.scanned, scanned);
		counter_add(&walk->counted.freed, freed);
	}
	if (unlikely(!walk->counts_alone)) {
		count_shared(shrinker, calls, scanned, freed);
		return;
	}
	alone = shrinker->counted_alone + walk->counts_at;
	counter_add(&alone[COUNTED_PASSES], 1);
	if (calls) {
		counter_add(&alone[COUNTED_SCAN_CALLS], calls);
		counter_add(&alone[COUNTED_SCANNED], scanned);
		counter_add(&alone[COUNTED_FREED], freed);
	}
}

__attribute__((cold, noinline)) void count_stall(struct shrinker *shrinker)
{
	atomic_fetch_add(&shrinker->counted.stalled, 1);
	atomic_fetch_add(&shrinker->domain->stalled, 1);
}

static inline bool is_traced(const struct walker *walk)
{
	return unlikely(atomic_load_explicit(&walk->domain->trace,
					     memory_order_relaxed));
}

/**
 * reclaim_scan_again - a scan call that a host has made is over
 */
bool reclaim_scan_again(struct reclaim_scan_calls *calls, unsigned long freed)
{
	return scan_calls_account(calls, freed) && scan_calls_next(calls);
}

/*
 * The pass behind its count.  Not inline: it wants all registers for itself.  What
 * was worked out to find out that there is something to scan is worked out again:
 * to keep it would take registers from passes that find out that there is not.
 */
static __attribute__((noinline)) unsigned long
pass_with_scans(struct walker *walk, struct shrink_control *sc,
		struct shrinker *shrinker, int priority, int64_t freeable)
{
	_Atomic(int64_t) *counter = deferred_counter(shrinker, sc);
	uint64_t delta = scan_delta(freeable, priority, shrinker->seeks);
	const struct reclaim_host *host = host_of(shrinker);
	struct reclaim_scan_calls calls = {
		.walk = walk,
		.shrinker = shrinker,
		.sc = sc,
		.freeable = freeable,
		.batch_size = scan_batch_size(shrinker->batch),
	};
	int64_t nr, total_scan, scanned, new_nr;

	nr = take_deferred(counter);
	total_scan = scan_total(nr, delta, freeable, priority);
	if (is_traced(walk))
		trace_start(shrinker, sc, nr, freeable, delta, total_scan,
			    priority);

	calls.left = total_scan;
	if (unlikely(host && host->scan)) {
		/* A copy, so that the loop below can keep its own in registers. */
		struct reclaim_scan_calls hosted = calls;

		if (scan_calls_next(&hosted))
			host->scan(shrinker, sc, &hosted);
		calls = hosted;
	} else {
		while (scan_calls_next(&calls) &&
		       scan_calls_account(&calls,
					  shrinker->scan_objects(shrinker, sc)))
			;
	}
	scanned = wrap_sub(total_scan, calls.left);

	new_nr = put_deferred(counter,
			      scan_deferred(nr, delta, scanned, freeable));
	if (is_traced(walk))
		trace_end(shrinker, sc, nr, new_nr, calls.left, calls.freed);
	count_pass(walk, shrinker, calls.calls, (uint64_t)scanned, calls.freed);
	return calls.freed;
}

/*
 * One pass; docs/specification.md, "One pass", line by line, but that a pass
 * which scans nothing, and that nobody traces, is over before the rest begins.
 */
static inline __attribute__((always_inline)) unsigned long
pass(struct walker *walk, struct shrink_control *sc, struct shrinker *shrinker,
     int priority)
{
	_Atomic(int64_t) *counter;
	int64_t freeable, nr;
	uint64_t count, delta;

	count = shrinker->count_objects(shrinker, sc);
	if (count == 0 || count == SHRINK_EMPTY)
		return count;
	if (unlikely(walk->stop))
		return 0;
	freeable = (int64_t)count;
	delta = scan_delta(freeable, priority, shrinker->seeks);

	counter = deferred_counter(shrinker, sc);
	nr = atomic_load_explicit(counter, memory_order_relaxed);
	if (unlikely(scan_wanted(scan_total(nr, delta, freeable, priority),
				 scan_batch_size(shrinker->batch), freeable) ||
		     is_traced(walk) ||
		     !swap_deferred(counter, nr,
				    scan_deferred(nr, delta, 0, freeable))))
		return pass_with_scans(walk, sc, shrinker, priority, freeable);
	count_pass(walk, shrinker, 0, 0, 0);
	return 0;
}

/**
 * do_shrink_slab - one pass over one shrinker
 * @walk: the thread's walk, which holds @shrinker
 * @sc: gfp_mask, nid and memcg filled in
 * @priority: valid
 *
 * Return: objects freed, modulo 2^64; where the count was 0 or SHRINK_EMPTY,
 * that, and no deferred work was touched.
 */
unsigned long do_shrink_slab(struct walker *walk, struct shrink_control *sc,
			     struct shrinker *shrinker, int priority)
{
	return pass(walk, sc, shrinker, priority);
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

		if (unlikely(walk->host != host_of(shrinker)))
			walk_change_host(walk, host_of(shrinker));
		ret = pass(walk, &sc, shrinker, priority);
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
			/* One that came meanwhile may have set it for itself. */
			if (atomic_load(shrinker_by_id(domain, id)))
				set_shrinker_bit(memcg, nid, id);
			continue;
		}
		if (!domain->kmem && !(shrinker->flags & SHRINKER_NONSLAB))
			continue;
		if (unlikely(walk->host != host_of(shrinker)))
			walk_change_host(walk, host_of(shrinker));
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
		walk_change_host(walk, host_of(shrinker));
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
