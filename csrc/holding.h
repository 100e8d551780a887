/* SPDX-License-Identifier: MIT */
/*
 * Keeping shrinkers from being released.  The steps are those of holding.c.
 */
#ifndef SHRINKER_HOLDING_H
#define SHRINKER_HOLDING_H

#include "domain.h"

/*
 * Steps 2 and 4: stores @shrinker, or NULL, in a slot.  Orders this store before
 * the loads of steps 3 and 5; without walkers_fence for the compiler alone, and
 * step c does the rest.
 */
static inline void hold(const struct reclaim_domain *domain,
			_Atomic(struct shrinker *) *slot,
			struct shrinker *shrinker)
{
	if (unlikely(domain->walkers_fence)) {
		atomic_store(slot, shrinker);
	} else {
		atomic_store_explicit(slot, shrinker, memory_order_release);
		atomic_signal_fence(memory_order_seq_cst);
	}
}

/* The shrinker's bit of dying_mask.  Shrinkers are aligned to cache lines. */
static inline uint64_t dying_bit(const struct shrinker *shrinker)
{
	return UINT64_C(1) << (((uintptr_t)shrinker / CACHE_LINE) % 64);
}

/* Step 5: whether a shrinker that was let go may be on the list of dying ones. */
static inline bool may_be_dying(struct reclaim_domain *domain,
				const struct shrinker *shrinker)
{
	return unlikely(atomic_load(&domain->dying_mask) & dying_bit(shrinker));
}

#pragma GCC visibility push(hidden)

/* holding.c: the contracts are there. */
bool membarrier_is_there(void);
void fence_all_threads(void);
void dying_let_go(struct reclaim_domain *domain, const struct shrinker *left);
void dying_after_fork(struct reclaim_domain *domain);
void start_dying(struct reclaim_domain *domain, struct shrinker *shrinker);
bool finish_dying(struct reclaim_domain *domain, struct shrinker *shrinker,
		  bool wait);
bool release_when_idle(struct reclaim_domain *domain, struct shrinker *shrinker);

/* registry.c */
void release_shrinker(struct shrinker *shrinker);

/* domain.c */
void domain_put(struct reclaim_domain *domain);

#pragma GCC visibility pop

#endif /* SHRINKER_HOLDING_H */
