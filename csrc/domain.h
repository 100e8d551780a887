/* SPDX-License-Identifier: MIT */
/*
 * Inside of a domain and of a walk: what the files of the core share.
 */
#ifndef SHRINKER_DOMAIN_PRIVATE_H
#define SHRINKER_DOMAIN_PRIVATE_H

#include <pthread.h>

#include <shrinker/domain.h>
#include <shrinker/trace.h>

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#define CACHE_LINE 64
/* struct shrinker.flags: there is a host. */
#define SHRINKER_HOSTED (1U << 31)
/* Walks that find a record without allocating: reclaim runs when memory is
 * short. */
#define SPARE_WALKERS 4

/**
 * struct walker - one walk under way
 * @hold: shrinkers that must not be released: where the walk is, and where it
 *	goes next (holding.c)
 * @at: the shrinker that the walk is at; NULL before the first
 * @domain: constant
 * @host: runtime that the walk is inside
 * @outer: the thread's walk inside whose callback this one runs
 * @seq: where the walk was when it had to start again from the head, the
 *	registration number of the last shrinker visited; 0: it had not
 * @turn: index of the hold on @at
 * @counts_alone: a spare record, with counters of its own in each shrinker;
 *	constant
 * @counts_at: where they begin; constant
 * @busy: the record is in use; otherwise @hold, @at, @host, @seq and @stop are
 *	empty
 * @stop: end the walk at the next return of a callback
 * @counted: written by the walk alone, read by anyone
 * @host_state: the host's word
 * @runs: inside of reclaim_next(), from where the host cannot be left
 * @next: all records of the domain; constant once published
 *
 * Records are reused and live as long as their domain, so that a search for
 * holds can run through them without a lock.
 */
struct walker {
	_Alignas(CACHE_LINE) _Atomic(struct shrinker *) hold[2];
	struct shrinker *at;
	struct reclaim_domain *domain;
	const struct reclaim_host *host;
	struct walker *outer;
	uint64_t seq;
	bool turn;
	bool counts_alone;
	_Atomic(bool) busy;
	bool stop;
	unsigned int counts_at;

	struct {
		_Alignas(CACHE_LINE) _Atomic(uint64_t) walks;
		_Atomic(uint64_t) passes;
		_Atomic(uint64_t) scan_calls;
		_Atomic(uint64_t) scanned;
		_Atomic(uint64_t) freed;
		_Atomic(uint64_t) host_entries;
	} counted;
	uintptr_t host_state;
	bool runs;
	_Atomic(struct walker *) next;
};

/**
 * struct trace_sink - where a domain's events go
 * @emit: takes a copy of the event; called from any thread, must not block
 */
struct trace_sink {
	void (*emit)(struct trace_sink *sink, const struct shrink_event *event);
};

/**
 * struct reclaim_domain - a machine
 * @first: head of the registry, in order of registration
 * @dying_mask: a bit for each shrinker on @dying, by dying_bit()
 * @trace: sink of the trace under way
 * @tracing: threads that are handing an event to @trace
 * @walkers_fence: walks order their holds themselves (holding.c)
 * @stall_limit: see reclaim_domain_create()
 * @nr_nodes: constant
 * @kmem: kernel-memory accounting is on; constant
 * @root: the memory cgroup above all; constant, NULL without memory cgroups
 * @nr_max: ids that the maps of all groups have room for (memcg_maps.c)
 * @by_id: registered memcg-aware shrinkers, a table of struct id_unit
 * @lrus: memcg-aware lrus by index, a table of struct list_lru (list_lru.c)
 * @nested: reclaims refused inside a callback
 * @stalled: passes ended because they made no progress
 * @registry_lock: guards @last, @seq, @nr_registered, the links backwards, the
 *	linking and unlinking, and the names
 * @last: tail of the registry
 * @seq: number of the latest registration
 * @nr_registered: debugfs id of the next registration
 * @dying_lock: guards @dying, @nr_dying and the fields of shrinkers on it;
 *	taken inside registry_lock or alone
 * @idle: a shrinker has left @dying
 * @dying: shrinkers that are out of the registry, but may be held by a walk
 * @nr_dying: their number
 * @memcg_lock: guards @next_memcg_id and the growth of maps; held while memory
 *	is allocated
 * @tree_lock: guards what struct mem_cgroup says
 * @first_memcg, @last_memcg: all groups, by id
 * @id_lock: guards @ids_used, a bit for each id below @nr_max, writing to @lrus
 *	and to the groups' tables of lists, and the units of counts.c; a leaf
 * @counts: all units of counters
 * @counts_with_room: those with a place free
 * @refs: one for each shrinker, one for the creator
 * @next_domain: all domains, for fork()
 * @spare: the first of all walk records; the others come behind them
 *
 * Lock order: domains_lock (domain.c), memcg_lock, the locks of list_lru lists,
 * tree_lock, registry_lock, dying_lock, id_lock.  None of them but those of
 * lists (list_lru.h) is held while a callback or a host's function runs.
 */
struct reclaim_domain {
	_Alignas(CACHE_LINE) _Atomic(struct shrinker *) first;
	_Atomic(uint64_t) dying_mask;
	_Atomic(struct trace_sink *) trace;
	struct mem_cgroup *root;
	unsigned long stall_limit;
	int nr_nodes;
	bool walkers_fence;
	bool kmem;
	_Atomic(int) nr_max;
	_Atomic(struct unit_table *) by_id;
	_Atomic(struct unit_table *) lrus;

	_Alignas(CACHE_LINE) pthread_mutex_t registry_lock;
	struct shrinker *last;
	uint64_t seq;
	uint64_t nr_registered;

	pthread_mutex_t dying_lock;
	pthread_cond_t idle;
	struct shrinker *dying;
	unsigned long nr_dying;

	pthread_mutex_t memcg_lock;
	uint64_t next_memcg_id;

	pthread_mutex_t tree_lock;
	struct mem_cgroup *first_memcg, *last_memcg;

	pthread_mutex_t id_lock;
	uint64_t *ids_used;
	struct counts_unit *counts;
	struct counts_unit *counts_with_room;

	_Atomic(unsigned int) tracing;
	_Atomic(uint64_t) nested;
	_Atomic(uint64_t) stalled;
	_Atomic(unsigned long) refs;
	struct reclaim_domain *next_domain;

	struct walker spare[SPARE_WALKERS];
};

/* Inside of the library: calls within the extension need no indirection. */
#pragma GCC visibility push(hidden)

/* The calling thread's innermost walk; NULL outside callbacks. */
extern __attribute__((tls_model("initial-exec")))
_Thread_local struct walker *current_walk;

/* Adds to a counter that only the calling thread writes. */
static inline void counter_add(_Atomic(uint64_t) *counter, uint64_t amount)
{
	atomic_store_explicit(counter,
			      atomic_load_explicit(counter,
						   memory_order_relaxed) + amount,
			      memory_order_relaxed);
}

/* The host stands on another line than what each pass reads. */
static inline bool is_hosted(const struct shrinker *shrinker)
{
	return unlikely(shrinker->flags & SHRINKER_HOSTED);
}

/* The host of the shrinker's callbacks; NULL: plain C. */
static inline const struct reclaim_host *host_of(const struct shrinker *shrinker)
{
	return is_hosted(shrinker) ? shrinker->host : NULL;
}

/* Not registered yet, or not any more. */
static inline bool is_unlinked(struct shrinker *shrinker)
{
	return atomic_load(&shrinker->next) == shrinker;
}

static inline bool nid_is_valid(const struct reclaim_domain *domain, int nid)
{
	return nid >= 0 && nid < domain->nr_nodes;
}

static inline bool priority_is_valid(int priority)
{
	return priority >= 0 && priority <= SHRINK_MAX_PRIORITY;
}

/* walk.c: the contracts are there, and in walk.h. */
void walker_init(struct walker *walk, struct reclaim_domain *domain);
void walker_publish(struct walker *walk);
struct walker *walker_claim_another(struct reclaim_domain *domain);
struct shrinker *walk_step(struct walker *walk);
void walk_leave_host(struct walker *walk);
void walk_unlink(const struct walker *walk);
void walk_let_dying_go(struct walker *walk, const struct shrinker *shrinker);
struct shrinker *walk_to_link(struct walker *walk,
			      _Atomic(struct shrinker *) *link);
bool walk_to(struct walker *walk, struct shrinker *shrinker);
void walk_change_host(struct walker *walk, const struct reclaim_host *host);

/* slab.c; the walk is inside the shrinker's host */
unsigned long do_shrink_slab(struct walker *walk, struct shrink_control *sc,
			     struct shrinker *shrinker, int priority);
unsigned long walk_slab(struct walker *walk, gfp_t gfp_mask, int nid,
			struct mem_cgroup *memcg, int priority);

/* trace.c */
void trace_emit(struct reclaim_domain *domain, const struct shrink_event *event);

#pragma GCC visibility pop

#endif /* SHRINKER_DOMAIN_PRIVATE_H */
