/* SPDX-License-Identifier: MIT */
/* Choices at random, the same ones in each run.  No secrets. */
#ifndef SHRINKER_PYTHON_DICE_H
#define SHRINKER_PYTHON_DICE_H

#include <stddef.h>
#include <stdint.h>

/**
 * dice_below - a number from 0 to n - 1; of 2**24 different ones at most
 * @state: of the generator
 */
static inline size_t dice_below(uint32_t *state, size_t n)
{
	*state = *state * 1664525 + 1013904223;
	return (size_t)(((uint64_t)(*state >> 8) * n) >> 24);
}

#endif /* SHRINKER_PYTHON_DICE_H */
