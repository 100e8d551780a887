/* SPDX-License-Identifier: MIT */
/*
 * The private structures of a domain and of a walk, for all files of the core.
 */
#ifndef SHRINKER_DOMAIN_PRIVATE_H
#define SHRINKER_DOMAIN_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <shrinker/domain.h>
#include <shrinker/events.h>

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#define CACHE_LINE 64
/* struct shrinker.flags: the callbacks have a host. */
#define SHRINKER_HOSTED (1U << 31)
/* Walks at once that need no memory: reclaim runs when memory is short. */
#define SPARE_WALKERS 4

/**
 * struct walker - the record of one walk
 * @hold: the walk's two slots (holding.c): shrinkers that must not be released, the
 *	one that the walk is at and the one that it goes to
 * @at: the shrinker that the walk is at; NULL before the first
 * @domain: constant
 * @host: host that the walk is inside; NULL: none
 * @outer: the thread's walk in whose callback this walk runs; NULL: none
 * @seq: registration number of the last shrinker that the walk visited before it
 *	started again from the head; 0 where it did not
 * @turn: index of the slot that has @at
 * @counts_alone: true in spare records, whose walks count in counters of their own
 *	(counts.c); constant
 * @counts_at: where these counters begin; constant
 * @busy: the record is in use.  If not, @hold, @at, @host, @seq and @stop are empty
 * @stop: the walk ends when the running callback returns
 * @counted: written by the walk only, read by any thread
 * @host_state: the host's word
 * @runs: the walk is in reclaim_next(), where it must not leave the host
 * @next: all records of the domain; constant once published
 *
 * Records are reused and live as long as their domain, so that the slots can be
 * searched without a lock.
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
 * struct event_sink - where a domain's events go
 * @emit: takes a copy of the event; called from any thread, must not block
 */
struct event_sink {
	void (*emit)(struct event_sink *sink, const struct shrink_event *event);
};

/**
 * struct reclaim_domain - a machine
 * @first: head of the registry, in order of registration
 * @dying_mask: the dying_bit() of each shrinker on @dying
 * @event_sink: where events go; NULL: nowhere
 * @walkers_fence: walks order their own stores and loads (holding.c); constant
 * @stall_limit: see reclaim_domain_create()
 * @nr_nodes: constant
 * @kmem: kernel-memory accounting is on; constant
 * @root: the memory cgroup above all; constant, NULL without memory cgroups
 * @nr_max: the maps of all groups have room for ids below it (memcg_maps.c)
 * @by_id: registered memcg-aware shrinkers by id, a table of struct id_unit
 * @lrus: memcg-aware lrus by index, a table of struct list_lru (list_lru.c)
 * @registry_lock: guards @last, @seq, @debugfs_ids, and of shrinkers the links
 *	and the names.  Walks follow the links forward without it
 * @last: tail of the registry
 * @seq: number of the latest registration
 * @debugfs_ids: a bit for each debugfs id in use, in @debugfs_words words: enough for
 *	@nr_shrinkers ids
 * @full_debugfs_words: words of it that are known to have no free id, from the first
 * @nr_shrinkers: shrinkers that are allocated, registered or not
 * @dying_lock: guards @dying, @nr_dying, and of shrinkers @dying, @next_dying,
 *	@settled and @release_when_idle
 * @idle: signalled when a shrinker has left @dying
 * @dying: shrinkers that have left the registry, but may be held by a walk
 * @nr_dying: their number
 * @memcg_lock: guards @next_memcg_id, @free_kmem_id and the growth of maps and of
 *	@online; held while memory is allocated
 * @free_kmem_id: no lower kmem_id is free
 * @tree_lock: guards the fields of struct mem_cgroup that it names
 * @first_memcg, @last_memcg: all groups, by id
 * @online: online groups by kmem_id, a table of struct mem_cgroup
 * @id_lock: guards @ids_used, the units of counts.c, and writing to @lrus and to
 *	the groups' tables of lists
 * @ids_used: a bit for each id below @nr_max
 * @counts: all units of counters (counts.c)
 * @counts_with_room: units with a free place
 * @emitting: threads in event_emit() (events.c)
 * @nested: reclaims refused inside a callback
 * @stalled: passes ended because they made no progress
 * @refs: one for the creator, each shrinker, lru and held group
 * @next_domain: all domains, for fork()
 * @spare: the first records of walks; records that were allocated follow them
 *
 * Lock order: domains_lock (domain.c), memcg_lock, the locks of list_lru lists,
 * tree_lock, registry_lock, dying_lock, id_lock.  Of these, only the locks of
 * lists (list_lru.h) may be held while a callback or a host's function runs.
 */
struct reclaim_domain {
	_Alignas(CACHE_LINE) _Atomic(struct shrinker *) first;
	_Atomic(uint64_t) dying_mask;
	_Atomic(struct event_sink *) event_sink;
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
	uint64_t *debugfs_ids;
	size_t debugfs_words;
	size_t full_debugfs_words;
	size_t nr_shrinkers;

	pthread_mutex_t dying_lock;
	pthread_cond_t idle;
	struct shrinker *dying;
	unsigned long nr_dying;

	pthread_mutex_t memcg_lock;
	uint64_t next_memcg_id;
	int free_kmem_id;

	pthread_mutex_t tree_lock;
	struct mem_cgroup *first_memcg, *last_memcg;
	_Atomic(struct unit_table *) online;

	pthread_mutex_t id_lock;
	uint64_t *ids_used;
	struct counts_unit *counts;
	struct counts_unit *counts_with_room;

	_Atomic(unsigned int) emitting;
	_Atomic(uint64_t) nested;
	_Atomic(uint64_t) stalled;
	_Atomic(unsigned long) refs;
	struct reclaim_domain *next_domain;

	struct walker spare[SPARE_WALKERS];
};

/* Hidden, so that calls within the extension need no indirection. */
#pragma GCC visibility push(hidden)

/*
 * "initial-exec": the variable is found without a call, in a shared object too.  musl
 * does not load such an object into a running process.
 */
#ifdef __GLIBC__
#define WALK_TLS __attribute__((tls_model("initial-exec"))) _Thread_local
#else
#define WALK_TLS _Thread_local
#endif

/* The calling thread's innermost walk; NULL outside callbacks. */
extern WALK_TLS struct walker *current_walk;

/* Adds to a counter that only the calling thread writes. */
static inline void counter_add(_Atomic(uint64_t) *counter, uint64_t amount)
{
	atomic_store_explicit(counter,
			      atomic_load_explicit(counter,
						   memory_order_relaxed) + amount,
			      memory_order_relaxed);
}

/* By the flags, which each pass reads: the host itself is on another cache line. */
static inline bool is_hosted(const struct shrinker *shrinker)
{
	return unlikely(shrinker->flags & SHRINKER_HOSTED);
}

/* NULL where the callbacks have no host. */
static inline const struct reclaim_host *host_of(const struct shrinker *shrinker)
{
	return is_hosted(shrinker) ? shrinker->host : NULL;
}

/* The host of the count, inside which a pass begins; NULL: none. */
static inline const struct reclaim_host *
host_of_count(const struct shrinker *shrinker)
{
	return shrinker->flags & RECLAIM_COUNT_OUTSIDE_HOST ? NULL :
							      host_of(shrinker);
}

/* Whether the shrinker is not registered, or not any more. */
static inline bool is_unlinked(struct shrinker *shrinker)
{
	return atomic_load(&shrinker->next) == shrinker;
}

static inline bool nid_is_valid(const struct reclaim_domain *domain, int nid)
{
	/* One comparison: a negative number is a large one. */
	return (unsigned int)nid < (unsigned int)domain->nr_nodes;
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
void walk_dying_let_go(struct walker *walk, const struct shrinker *shrinker);
struct shrinker *walk_to_link(struct walker *walk,
			      _Atomic(struct shrinker *) *link);
bool walk_to(struct walker *walk, struct shrinker *shrinker);
void walk_change_host(struct walker *walk, const struct reclaim_host *host);

/* slab.c: the contracts are there. */
unsigned long do_shrink_slab(struct walker *walk, struct shrink_control *sc,
			     struct shrinker *shrinker, int priority);
unsigned long walk_slab(struct walker *walk, gfp_t gfp_mask, int nid,
			struct mem_cgroup *memcg, int priority);

/* events.c */
void event_emit(struct reclaim_domain *domain, const struct shrink_event *event);

#pragma GCC visibility pop

#endif /* SHRINKER_DOMAIN_PRIVATE_H */
