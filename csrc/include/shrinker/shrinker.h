/* SPDX-License-Identifier: MIT */
/*
 * A shrinker and its life: allocate, fill in, register, free.  The names and
 * signatures are the kernel's, so that a shrinker written for the kernel
 * compiles against <linux/shrinker.h> of this directory unchanged.
 *
 * What may run beside what, on one and the same shrinker (yes: at any time,
 * from any thread; own: its owner sees to it that nothing else runs):
 *
 *                        walk  count/scan  try_get  register  unregister  free
 *   count_objects()      yes   yes         yes      -         yes         yes
 *   scan_objects()       yes   yes         yes      -         yes         yes
 *   shrinker_register()  -     -           -        own       own         own
 *   shrinker_unregister  yes   yes         yes      own       yes         own
 *   shrinker_free()      yes   (1)         (1)      own       own         own
 *
 * (1) The pointer must stay valid: whoever calls shrinker_count_objects(),
 *     shrinker_scan_objects() or shrinker_try_get() has to keep the owner from
 *     freeing meanwhile.  Walks need no such care.
 *
 * Different shrinkers never wait for each other, whatever is called on them.
 */
#ifndef SHRINKER_SHRINKER_H
#define SHRINKER_SHRINKER_H

#ifndef SHRINKER_CDEF
#include <stdatomic.h>
#endif
#include <shrinker/types.h>

struct shrinker;
struct reclaim_calls;

/**
 * struct reclaim_host - what a language runtime does around its callbacks
 * @enter: called before the first hosted pass of a walk; may block
 * @leave: called on the same thread when the walk is over, or stays outside
 * @may_stay: called before a pass of a shrinker that the host does not host,
 *	while the walk is inside the host; false makes the walk leave
 * @run: NULL, where the callbacks are called from here.  Otherwise called for a
 *	pass over a shrinker that the host hosts, and makes its calls:
 *
 *		do
 *			ret = shrinker->count_objects(shrinker, sc);
 *			while (reclaim_called(calls, ret))
 *				ret = shrinker->scan_objects(shrinker, sc);
 *		while ((shrinker = reclaim_next(calls)));
 *
 *	so that the runtime is gone into once for many passes.  Finds @sc ready
 *	for the first count, and each pass with what the first one found there.
 *	It may leave that loop anywhere, on the thread that called it: a call that
 *	is due has not said anything then, as if a count were 0 or a scan
 *	SHRINK_STOP.  shrinker_count_objects() and shrinker_scan_objects() call
 *	the callbacks all the same
 *
 * The core knows no Python.  A runtime with a global lock takes it in @enter
 * and gives it back in @leave; one walk enters once, however many of the
 * host's shrinkers it meets.  Until @may_stay says no, other shrinkers' callbacks
 * run inside the host too: they must not wait for what a thread outside may need
 * the host for.  @state is a word for the host's own use, 0 at
 * first and kept while the walk is inside; @run finds the walk inside.  No lock of
 * the core is held while any of them runs, and none may be: reclaim_next() takes
 * some for a moment, with the host's own lock in hand.
 */
struct reclaim_host {
	void (*enter)(uintptr_t *state);
	void (*leave)(uintptr_t *state);
	bool (*may_stay)(uintptr_t *state);
	void (*run)(uintptr_t *state, struct shrinker *shrinker,
		    struct shrink_control *sc, struct reclaim_calls *calls);
};

/**
 * struct shrinker - a cache that can give objects back
 * @count_objects: how many objects could be freed now; SHRINK_EMPTY where there
 *	are none, 0 where that is not known or the cache wants to be skipped.
 *	No promise: scanning may free fewer.  Must be cheap and must not block.
 * @scan_objects: look at up to sc->nr_to_scan objects and free those that can
 *	go.  Returns how many were freed, or SHRINK_STOP where no progress is
 *	possible now.  Called only after @count_objects returned neither 0 nor
 *	SHRINK_EMPTY.
 * @batch: objects in one scan call; 0 stands for SHRINK_BATCH
 * @seeks: cost of recreating an object, DEFAULT_SEEKS at first; 0 has half of
 *	the cache scanned in every pass
 * @flags: SHRINKER_*; those that shrinker_alloc() does not take belong to the
 *	library
 * @private_data: the owner's
 *
 * Both callbacks may run in several threads at once.  They run with no lock
 * of the library held, and may do anything but wait for a free of this very
 * shrinker in another thread.
 */
struct shrinker {
	unsigned long (*count_objects)(struct shrinker *shrinker,
				       struct shrink_control *sc);
	unsigned long (*scan_objects)(struct shrinker *shrinker,
				      struct shrink_control *sc);
	long batch;
	int seeks;
	unsigned int flags;
	void *private_data;
#ifdef SHRINKER_CDEF
	...;
#else
	/*
	 * private: the rest is the library's.  The first cache line is what
	 * every pass reads, and a pass with nothing to do writes no line that
	 * another walk reads.
	 */

	/* Successor in the registry; the shrinker itself while it is not linked. */
	_Atomic(struct shrinker *) next;
	/* Deferred objects, unless the flags say more; see @nr_deferred. */
	_Atomic(int64_t) deferred_here;
	/* Counted by passes of walks with the domain's spare records. */
	_Atomic(uint64_t) *counted_alone;

	/*
	 * Deferred objects: @deferred_here, or an array with one for each
	 * node.  Memcg-aware shrinkers keep theirs with the memcgs.
	 */
	_Atomic(int64_t) *nr_deferred;
	/* Host of the callbacks, where the flags say that there is one. */
	const struct reclaim_host *host;
	struct reclaim_domain *domain;
	/* Id in the memcgs' maps; -1 where not memcg-aware. */
	int id;
	/* Names the scan callback in trace events, where not 0. */
	uint32_t label;
	/* Place in the order of registration, from 1. */
	uint64_t seq;
	uint64_t debugfs_id;
	struct counts_unit *counts_unit;

	/* Registration and release; guarded by the locks in csrc/domain.h. */
	struct shrinker *prev;
	struct shrinker *next_dying;
	char *name;
	_Atomic(unsigned long) refs;
	bool linked;
	bool dying;
	bool settled;
	bool release_when_idle;

	/* Counted by passes of all other walks; see struct shrinker_statistics. */
	struct {
		_Alignas(64) _Atomic(uint64_t) passes;
		_Atomic(uint64_t) scan_calls;
		_Atomic(uint64_t) scanned;
		_Atomic(uint64_t) freed;
		_Atomic(uint64_t) stalled;
	} counted;
#endif
};

/**
 * struct shrinker_statistics - what happened to one shrinker so far
 * @passes: passes that got past the count
 * @scan_calls: calls of scan_objects() that were accounted
 * @scanned: objects scanned, as the callback reported them, modulo 2^64
 * @freed: objects freed, as the callback reported them, modulo 2^64
 * @stalled: passes that were ended because they made no progress
 */
struct shrinker_statistics {
	uint64_t passes;
	uint64_t scan_calls;
	uint64_t scanned;
	uint64_t freed;
	uint64_t stalled;
};

/**
 * shrinker_alloc - make a shrinker for the default domain
 * @flags: SHRINKER_NUMA_AWARE, SHRINKER_MEMCG_AWARE, SHRINKER_NONSLAB
 * @fmt: name, as printf() has it; never pass a user's text here
 *
 * The owner then sets the callbacks and, where wanted, @private_data, @batch
 * and @seeks, and calls shrinker_register() or shrinker_free().
 *
 * Context: any thread, callbacks included; takes the registry's lock.
 * Return: the shrinker, or NULL where memory ran out; nothing leaks.
 */
struct shrinker *shrinker_alloc(unsigned int flags, const char *fmt, ...)
#ifndef SHRINKER_CDEF
	__attribute__((format(printf, 2, 3)))
#endif
	;

/**
 * shrinker_register - let walks find the shrinker
 * @shrinker: from shrinker_alloc(), with both callbacks set
 *
 * It goes to the tail: walks visit shrinkers in the order of registration.
 * Without SHRINKER_ALLOCATED, or a second time, it does nothing but warn on
 * standard error.
 *
 * Context: any thread, callbacks included; takes the registry's lock, waits
 * for no callback.
 */
void shrinker_register(struct shrinker *shrinker);

/**
 * shrinker_free - take the shrinker out of the registry and release it
 * @shrinker: from shrinker_alloc(), registered or not; NULL is allowed
 *
 * No new callback starts.  Waits until every running callback of this shrinker
 * has returned; after that its private data may be destroyed.  Waits neither
 * for callbacks of other shrinkers nor for walks that are elsewhere.
 *
 * Context: any thread.  From inside a callback, of whichever shrinker, it
 * waits for nothing: the shrinker leaves the registry at once, passes over it
 * end after the callback that they are in, and whoever runs the last one
 * releases it.  The private data must outlive that; an owner who has to know when
 * asks shrinker_unregister(shrinker, false) first, until it says true.
 */
void shrinker_free(struct shrinker *shrinker);

/**
 * shrinker_unregister - the first half of shrinker_free()
 * @shrinker: registered or not; not NULL
 * @wait: wait for running callbacks, as shrinker_free() does; without it, or
 *	inside a callback, nothing is waited for
 *
 * The memory stays until shrinker_free(), so that whoever still holds the
 * pointer can read the structure.  Idempotent.
 *
 * Context: as shrinker_free().
 * Return: true when no callback of the shrinker runs and none will.
 */
bool shrinker_unregister(struct shrinker *shrinker, bool wait);

/**
 * shrinker_free_nowait - shrinker_free() for finalisers
 * @shrinker: not NULL
 *
 * Context: any thread, with whatever locks held; waits for nothing.
 * Return: true when the memory has gone already, false when whoever runs the
 * last callback releases it.
 */
bool shrinker_free_nowait(struct shrinker *shrinker);

/**
 * shrinker_try_get - keep a registered shrinker from being freed
 *
 * Return: false where it was never registered, or was unregistered and nobody
 * else has it.
 */
bool shrinker_try_get(struct shrinker *shrinker);

/**
 * shrinker_put - let go of what shrinker_try_get() got
 *
 * Context: any thread; does not wait.  The caller keeps the domain.
 */
void shrinker_put(struct shrinker *shrinker);

/**
 * shrink_slab - one walk over the default domain's shrinkers
 * @gfp_mask: allocation context that callbacks are told
 * @nid: memory node, 0 and up
 * @memcg: memory cgroup that is short; NULL for the whole machine
 * @priority: 0 to DEF_PRIORITY (at most SHRINK_MAX_PRIORITY); 0 is the most
 *	urgent
 *
 * Context: any thread; calls back with no lock held.  Inside a callback, of
 * whichever domain, it returns 0.
 * Return: objects freed, modulo 2^64; 0, and nothing happens, where an argument
 * is out of range.
 */
unsigned long shrink_slab(gfp_t gfp_mask, int nid, struct mem_cgroup *memcg,
			  int priority);

/**
 * drop_slab - shrink everything at priority 0, until little comes back
 *
 * Context: as shrink_slab().
 */
void drop_slab(void);

/**
 * shrinker_count_objects - call count_objects() once, outside any pass
 * @shrinker: registered; the caller keeps its memory and its domain
 * @sc: @gfp_mask, @nid and @memcg filled in
 * @count: receives what the callback returned
 *
 * Context: any thread; calls back with no lock held.
 * Return: false where the shrinker is not registered (any more), the node is
 * unknown, or memory for one walk more than ever before ran out.
 */
bool shrinker_count_objects(struct shrinker *shrinker, struct shrink_control *sc,
			    unsigned long *count);

/**
 * shrinker_scan_objects - call scan_objects() once, outside any pass
 * @freed: receives what the callback returned
 *
 * Otherwise as shrinker_count_objects(); sc->nr_to_scan is the caller's, and
 * sc->nr_scanned is set to it.  No deferred work is touched.
 */
bool shrinker_scan_objects(struct shrinker *shrinker, struct shrink_control *sc,
			   unsigned long *freed);

/**
 * shrinker_nr_deferred - deferred objects that the next pass will take over
 * @nid: node; a shrinker that is not NUMA-aware has one counter for all
 * @memcg: group, for a shrinker that is aware of them; NULL: the root
 */
int64_t shrinker_nr_deferred(struct shrinker *shrinker, int nid,
			     struct mem_cgroup *memcg);

/**
 * shrinker_get_statistics - what happened so far
 *
 * Each number is exact; between two of them a pass may have run.
 */
void shrinker_get_statistics(struct shrinker *shrinker,
			     struct shrinker_statistics *statistics);

/**
 * shrinker_set_host - say in which runtime the callbacks live
 * @host: must outlive the shrinker; NULL: plain C, the default
 *
 * Context: before shrinker_register().
 */
void shrinker_set_host(struct shrinker *shrinker,
		       const struct reclaim_host *host);

/**
 * reclaim_called - a callback that a host has called is over
 * @calls: as reclaim_host.run was told
 * @ret: what the callback returned; behind a scan sc->nr_scanned is read too
 *
 * Context: in reclaim_host.run, on its thread.
 * Return: true where the pass wants scan_objects() called now, for which
 * sc->nr_to_scan and sc->nr_scanned are set; false where the pass is over, and
 * where no call was due.
 */
bool reclaim_called(struct reclaim_calls *calls, unsigned long ret);

/**
 * reclaim_next - a pass is over: go to the next one
 *
 * Context: as reclaim_called().  Takes dying_lock and id_lock (csrc/domain.h), and
 * frees what nobody holds any more; calls nothing.
 * Return: the shrinker whose count_objects() to call, with the same sc; NULL where
 * the host is to return, and where the pass is not over.
 */
struct shrinker *reclaim_next(struct reclaim_calls *calls);

/**
 * shrinker_set_label - name the scan callback in trace events
 * @label: the caller's number for a name; 0: the callback's address stands
 *
 * Context: before shrinker_register().
 */
void shrinker_set_label(struct shrinker *shrinker, uint32_t label);

/**
 * shrinker_rename - give the shrinker another name
 * @name: copied
 *
 * Context: any thread; takes the registry's lock.
 * Return: false, and the old name stays, where memory ran out.
 */
bool shrinker_rename(struct shrinker *shrinker, const char *name);

/**
 * shrinker_copy_name - the shrinker's name
 * @buffer: receives up to @size bytes, the last of them 0; NULL where @size is 0
 *
 * Return: length of the whole name, without the 0.
 */
unsigned long shrinker_copy_name(struct shrinker *shrinker, char *buffer,
				 unsigned long size);

/**
 * shrinker_debugfs_id - number in the name of the shrinker's debugfs directory
 *
 * Counts up over all shrinkers of a domain, in order of registration, from 0;
 * 0 as well before registration.
 */
uint64_t shrinker_debugfs_id(const struct shrinker *shrinker);

/**
 * shrinker_id - id in the maps of memory cgroups; -1 where not memcg-aware
 */
int shrinker_id(const struct shrinker *shrinker);

#endif /* SHRINKER_SHRINKER_H */
