/* SPDX-License-Identifier: MIT */
/*
 * A shrinker and its life: allocate, fill in, register, free.  The names and
 * signatures are the kernel's, so that a shrinker written for the kernel compiles
 * unchanged against <linux/shrinker.h> of this directory.
 *
 * Which call may run beside which, on the same shrinker:
 *
 *                           walk  count/scan  try_get  register  unregister  free
 *   count_objects()         yes   yes         yes      -         yes         yes
 *   scan_objects()          yes   yes         yes      -         yes         yes
 *   shrinker_register()     -     -           -        owner     owner       owner
 *   shrinker_unregister()   yes   yes         yes      owner     yes         owner
 *   shrinker_free()         yes   (1)         (1)      owner     owner       owner
 *
 *   yes    in any thread, at any time
 *   owner  the shrinker's owner has to prevent it
 *   -      cannot happen: the shrinker is not registered
 *   (1)    a caller of shrinker_count_objects(), shrinker_scan_objects() or
 *          shrinker_try_get() has to make sure that the owner does not free the
 *          shrinker meanwhile.  Walks need not.
 *
 * A call on one shrinker never waits for a call or a callback on another one.
 */
#ifndef SHRINKER_SHRINKER_H
#define SHRINKER_SHRINKER_H

#include <shrinker/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shrinker;
struct reclaim_calls;

/**
 * struct reclaim_host - functions of a language runtime whose callbacks walks call
 * @enter: called before a walk's first pass over a shrinker of the host; may block
 * @leave: called on the same thread at the end of the walk, or earlier
 * @may_stay: called while the walk is inside the host, before a pass over a
 *	shrinker without a host; false makes the walk leave
 * @run: NULL: the core calls the callbacks.  Otherwise the core calls @run for a
 *	pass over a shrinker of the host, inside the host, and @run calls the
 *	callbacks:
 *
 *		do {
 *			ret = shrinker->count_objects(shrinker, sc);
 *			while (reclaim_called(calls, ret))
 *				ret = shrinker->scan_objects(shrinker, sc);
 *		} while ((shrinker = reclaim_next(calls)));
 *
 *	So one call into the runtime serves many passes.  @sc is ready for the first
 *	count, and reclaim_next() makes it ready for the next one.  @run may end
 *	this loop anywhere, on the thread that called it.  A callback that is due
 *	then counts as 0, or as SHRINK_STOP for a scan.  shrinker_count_objects()
 *	and shrinker_scan_objects() do not use @run: they call the callback
 *
 * A runtime with a global lock takes it in @enter and gives it back in @leave.  A
 * walk enters once for all of the host's shrinkers, as long as @may_stay lets it stay
 * inside between them.  Callbacks of other shrinkers then run inside the host too;
 * they must not wait for a thread that may wait for the host.
 *
 * @state is a word for the host's own use; it is 0 when @enter is called, and kept
 * until @leave.  The core holds no lock while any of these functions runs, because
 * reclaim_next() takes some of the core's locks with the host's lock held.
 */
struct reclaim_host {
	void (*enter)(uintptr_t *state);
	void (*leave)(uintptr_t *state);
	bool (*may_stay)(uintptr_t *state);
	void (*run)(uintptr_t *state, struct shrinker *shrinker,
		    struct shrink_control *sc, struct reclaim_calls *calls);
};

/**
 * struct shrinker - a cache that can free objects
 * @count_objects: returns the number of objects that could be freed now;
 *	SHRINK_EMPTY where there are none; 0 where the number is not known, or the
 *	cache wants to be skipped.  Does not mean that scanning will free so many.
 *	Must be fast and must not block.
 * @scan_objects: looks at up to sc->nr_to_scan objects and frees those that can go.
 *	Returns the number of objects that were freed, or SHRINK_STOP where no
 *	progress is possible now.  Called only after @count_objects has returned
 *	neither 0 nor SHRINK_EMPTY.
 * @batch: objects in one scan call; 0 means SHRINK_BATCH
 * @seeks: cost of recreating an object, DEFAULT_SEEKS at first.  With 0, each pass
 *	scans half of the cache
 * @flags: SHRINKER_*; those that shrinker_alloc() does not take are private
 * @private_data: the owner's
 *
 * Both callbacks may run in several threads at once.  They run without any lock of
 * the library.  They may call any function, but must not wait for another thread
 * that frees this shrinker.
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
	 * private: the rest is the library's.  Each pass reads the first cache
	 * line; a pass that scans nothing writes no line that another walk reads.
	 */

	/* Next in the registry; the shrinker itself where it is not registered. */
	SHRINKER_ATOMIC(struct shrinker *) next;
	/* Deferred objects, where @nr_deferred points to it. */
	SHRINKER_ATOMIC(int64_t) deferred_here;
	/* Counters of walks with a spare record (csrc/counts.c). */
	SHRINKER_ATOMIC(uint64_t) *counted_alone;

	/*
	 * Deferred objects: points to @deferred_here, or to an array with one
	 * number for each node.  Those of memcg-aware shrinkers are in the groups.
	 */
	SHRINKER_ATOMIC(int64_t) *nr_deferred;
	/* Host of the callbacks, where SHRINKER_HOSTED (csrc/domain.h) is set. */
	const struct reclaim_host *host;
	struct reclaim_domain *domain;
	/* Id in the maps of memory cgroups; -1 where not memcg-aware. */
	int id;
	/* Label for the scan callback in events; 0: none. */
	uint32_t label;
	/* Number of the registration, from 1. */
	uint64_t seq;
	uint64_t debugfs_id;
	struct counts_unit *counts_unit;

	/* Registration and release; csrc/domain.h says which lock guards them. */
	struct shrinker *prev;
	struct shrinker *next_dying;
	char *name;
	SHRINKER_ATOMIC(unsigned long) refs;
	bool linked;
	bool dying;
	bool settled;
	bool release_when_idle;

	/* Counters of all other walks; see struct shrinker_statistics. */
	struct {
		SHRINKER_ALIGNED(64) SHRINKER_ATOMIC(uint64_t) passes;
		SHRINKER_ATOMIC(uint64_t) scan_calls;
		SHRINKER_ATOMIC(uint64_t) scanned;
		SHRINKER_ATOMIC(uint64_t) freed;
		SHRINKER_ATOMIC(uint64_t) stalled;
	} counted;
#endif
};

/**
 * struct shrinker_statistics - counts of one shrinker since it was allocated
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
 * @fmt: name, a format of printf(); must not be text of a user
 *
 * The owner then sets both callbacks, and @private_data, @batch and @seeks if it
 * wants, and calls shrinker_register() or shrinker_free().
 *
 * Context: any thread, callbacks included; takes locks for a moment.
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
 * Walks visit shrinkers in the order of registration.  Warns on standard error, and
 * does nothing else, where @shrinker is not from shrinker_alloc() (no
 * SHRINKER_ALLOCATED) or was registered before.
 *
 * Context: any thread, callbacks included; takes registry_lock; does not wait.
 */
void shrinker_register(struct shrinker *shrinker);

/**
 * shrinker_free - take the shrinker out of the registry and release it
 * @shrinker: from shrinker_alloc(), registered or not; NULL is allowed
 *
 * No new callback of it starts.  Waits until its running callbacks have returned;
 * then its private data may be destroyed.  Does not wait for callbacks of other
 * shrinkers, nor for walks that are at other shrinkers.
 *
 * Context: any thread.  Inside a callback of any shrinker it does not wait: the
 * shrinker leaves the registry at once, its passes end when their current callback
 * returns, and the last of them releases it.  The private data must live until
 * then.  An owner that has to know when calls shrinker_unregister(shrinker, false)
 * first, until that returns true.
 */
void shrinker_free(struct shrinker *shrinker);

/**
 * shrinker_unregister - the first half of shrinker_free(): no new callback starts
 * @shrinker: registered or not; not NULL
 * @wait: wait as shrinker_free() does: not inside a callback
 *
 * The memory stays until shrinker_free(), so that the structure can still be read.
 * May be called several times.
 *
 * Context: as shrinker_free().
 * Return: true when no callback of the shrinker runs or will run.
 */
bool shrinker_unregister(struct shrinker *shrinker, bool wait);

/**
 * shrinker_free_nowait - shrinker_free() for finalisers
 * @shrinker: not NULL
 *
 * Context: any thread, with any locks of the caller's held; waits for no callback.
 * Return: true when the memory is released; false when the end of the last running
 * callback releases it.
 */
bool shrinker_free_nowait(struct shrinker *shrinker);

/**
 * shrinker_try_get - take a reference, which keeps the shrinker from being released
 *
 * Return: false where the shrinker was never registered, or was unregistered and
 * there is no other reference.
 */
bool shrinker_try_get(struct shrinker *shrinker);

/**
 * shrinker_put - drop a reference of shrinker_try_get()
 *
 * Context: any thread; does not wait.  The caller has to hold the domain.
 */
void shrinker_put(struct shrinker *shrinker);

/**
 * shrink_slab - one walk over the default domain's shrinkers
 * @gfp_mask: allocation context, for the callbacks
 * @nid: memory node, from 0
 * @memcg: memory cgroup that is short of memory; NULL: the whole machine
 * @priority: 0, the most urgent, to DEF_PRIORITY; at most SHRINK_MAX_PRIORITY
 *
 * Context: any thread; no lock is held during callbacks.  Inside a callback of any
 * domain it does nothing and returns 0.
 * Return: objects freed, modulo 2^64; 0, and nothing happens, where an argument is
 * out of range.
 */
unsigned long shrink_slab(gfp_t gfp_mask, int nid, struct mem_cgroup *memcg,
			  int priority);

/**
 * drop_slab - walk all groups and nodes at priority 0, until a round frees little
 *
 * Context: as shrink_slab().
 */
void drop_slab(void);

/**
 * shrinker_count_objects - call count_objects() once, outside any pass
 * @shrinker: the caller keeps it from being released
 * @sc: @gfp_mask, @nid and @memcg filled in; @memcg NULL is the root.  The callback
 *	of a shrinker that is not memcg-aware gets NULL.
 * @count: receives what the callback returned
 *
 * Context: any thread; no lock is held during the callback.
 * Return: false, and nothing is called, where the shrinker is not registered, @nid
 * or @memcg is not of its domain, or memory ran out.
 */
bool shrinker_count_objects(struct shrinker *shrinker, struct shrink_control *sc,
			    unsigned long *count);

/**
 * shrinker_scan_objects - call scan_objects() once, outside any pass
 * @freed: receives what the callback returned
 *
 * As shrinker_count_objects(), but with the caller's sc->nr_to_scan; sc->nr_scanned
 * is set to it before the call.  Deferred work stays as it is.
 */
bool shrinker_scan_objects(struct shrinker *shrinker, struct shrink_control *sc,
			   unsigned long *freed);

/**
 * shrinker_nr_deferred - deferred objects that the next pass will take over
 * @nid: memory node; without SHRINKER_NUMA_AWARE one counter serves all nodes
 * @memcg: group, for a memcg-aware shrinker; NULL: the root
 */
int64_t shrinker_nr_deferred(struct shrinker *shrinker, int nid,
			     struct mem_cgroup *memcg);

/**
 * shrinker_get_statistics - read the shrinker's counts
 *
 * Each number is exact when it is read.  Passes may run between two of them.
 */
void shrinker_get_statistics(struct shrinker *shrinker,
			     struct shrinker_statistics *statistics);

/**
 * shrinker_set_host - set the runtime that runs the callbacks
 * @host: must live longer than the shrinker; NULL, the default: C without a host
 *
 * Context: before shrinker_register().
 */
void shrinker_set_host(struct shrinker *shrinker,
		       const struct reclaim_host *host);

/**
 * reclaim_called - tell the core that the host has called a callback
 * @calls: argument of reclaim_host.run
 * @ret: what the callback returned.  After a scan, sc->nr_scanned is read too
 *
 * Context: in reclaim_host.run, on its thread.
 * Return: true where the host has to call scan_objects() now; sc->nr_to_scan and
 * sc->nr_scanned are set for it.  False where the pass is over, or no call was due.
 */
bool reclaim_called(struct reclaim_calls *calls, unsigned long ret);

/**
 * reclaim_next - go to the next shrinker after the end of a pass
 *
 * Context: as reclaim_called().  Takes dying_lock and id_lock (csrc/domain.h) for a
 * moment, and may release a shrinker that was freed; calls nothing back.
 * Return: the shrinker whose count_objects() the host has to call, with the same
 * sc.  NULL where the host has to return, or the pass is not over.
 */
struct shrinker *reclaim_next(struct reclaim_calls *calls);

/**
 * shrinker_set_label - set the number that names the scan callback in events
 * @label: the caller's number for a name; 0: none, the callback's address names it
 *
 * Context: before shrinker_register().
 */
void shrinker_set_label(struct shrinker *shrinker, uint32_t label);

/**
 * shrinker_rename - give the shrinker another name
 * @name: is copied
 *
 * Context: any thread; takes registry_lock.
 * Return: false where memory ran out; the old name stays.
 */
bool shrinker_rename(struct shrinker *shrinker, const char *name);

/**
 * shrinker_copy_name - copy the shrinker's name
 * @buffer: receives the name, cut to @size bytes with the 0 at its end; may be NULL
 *	where @size is 0
 * @size: of @buffer, in bytes
 *
 * Return: length of the whole name, in bytes, without the 0.
 */
unsigned long shrinker_copy_name(struct shrinker *shrinker, char *buffer,
				 unsigned long size);

/**
 * shrinker_order - the shrinker's place in the order of registration
 *
 * Return: counts up from 1 in the domain; 0 for a shrinker that was not registered.
 */
uint64_t shrinker_order(const struct shrinker *shrinker);

/**
 * shrinker_debugfs_id - number in the name of the shrinker's debugfs directory
 *
 * Return: the lowest number, from 0, that no registered shrinker of the domain had
 * when this one was registered; also 0 for a shrinker that was not registered.
 */
uint64_t shrinker_debugfs_id(const struct shrinker *shrinker);

/**
 * shrinker_id - the shrinker's id in the maps of memory cgroups
 *
 * Return: -1 where it is not memcg-aware.
 */
int shrinker_id(const struct shrinker *shrinker);

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_SHRINKER_H */
