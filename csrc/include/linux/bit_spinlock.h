/* SPDX-License-Identifier: MIT */
/* Spinlocks that are one bit of a word. */
#ifndef SHRINKER_LINUX_BIT_SPINLOCK_H
#define SHRINKER_LINUX_BIT_SPINLOCK_H

#include <linux/bitops.h>
#include <linux/kit.h>

#ifdef __cplusplus
extern "C" {
#endif

void shrinker_kit_bit_lock(int bit, unsigned long *word, const char *place);
bool shrinker_kit_bit_trylock(int bit, unsigned long *word, const char *place);
void shrinker_kit_bit_unlock(int bit, unsigned long *word, const char *place);

#define bit_spin_lock(bit, word)                                               \
	shrinker_kit_bit_lock((bit), (word), SHRINKER_KIT_PLACE)
#define bit_spin_trylock(bit, word)                                            \
	((int)shrinker_kit_bit_trylock((bit), (word), SHRINKER_KIT_PLACE))
#define bit_spin_unlock(bit, word)                                             \
	shrinker_kit_bit_unlock((bit), (word), SHRINKER_KIT_PLACE)
#define __bit_spin_unlock(bit, word) bit_spin_unlock(bit, word)
#define bit_spin_is_locked(bit, word) test_bit((bit), (word))

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_BIT_SPINLOCK_H */
