/* SPDX-License-Identifier: MIT */
/*
 * Passes whose callbacks a host calls.
 */
#ifndef SHRINKER_HOSTED_H
#define SHRINKER_HOSTED_H

#include "domain.h"

/* Whether the shrinker's host makes the calls of its passes. */
static inline bool runs_passes(const struct shrinker *shrinker)
{
	return is_hosted(shrinker) && shrinker->host->run;
}

#pragma GCC visibility push(hidden)

/* hosted.c: the contracts are there. */
unsigned long hosted_pass(struct walker *walk, struct shrink_control *sc,
			  struct shrinker *shrinker, int priority);
bool hosted_passes(struct walker *walk, struct shrink_control *sc,
		   struct shrinker *shrinker, int priority, unsigned long *freed,
		   struct shrinker **next);

#pragma GCC visibility pop

#endif /* SHRINKER_HOSTED_H */
