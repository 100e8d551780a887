/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a variable, or for a bit of a word, without a queue of one's own.
 *
 * Left out: actions and modes of a wait.
 */
#ifndef SHRINKER_LINUX_WAIT_BIT_H
#define SHRINKER_LINUX_WAIT_BIT_H

#include <linux/bitops.h>
#include <linux/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

wait_queue_head_t *shrinker_kit_variable_queue(void);

#ifdef __cplusplus
}
#endif

#define wait_var_event(variable, condition)                                    \
	((void)(variable), wait_event(*shrinker_kit_variable_queue(), condition))
#define wait_var_event_killable(variable, condition)                           \
	SHRINKER_KIT_VALUE(wait_var_event(variable, condition), 0)
#define wait_var_event_interruptible(variable, condition)                      \
	SHRINKER_KIT_VALUE(wait_var_event(variable, condition), 0)
#define wait_var_event_timeout(variable, condition, ticks)                     \
	((void)(variable),                                                     \
	 wait_event_timeout(*shrinker_kit_variable_queue(), condition, ticks))
#define wake_up_var(variable)                                                  \
	((void)(variable), wake_up_all(shrinker_kit_variable_queue()))

#define wait_on_bit(word, bit, mode)                                           \
	((void)(mode),                                                         \
	 SHRINKER_KIT_VALUE(wait_var_event(word, !test_bit(bit, word)), 0))
#define wait_on_bit_io(word, bit, mode) wait_on_bit(word, bit, mode)
#define wait_on_bit_timeout(word, bit, mode, ticks)                            \
	((void)(mode),                                                         \
	 wait_var_event_timeout(word, !test_bit(bit, word), ticks) ? 0 : -11)
#define wait_on_bit_lock(word, bit, mode)                                      \
	((void)(mode),                                                         \
	 SHRINKER_KIT_VALUE(wait_var_event(word, !test_and_set_bit(bit, word)), 0))
#define wait_on_bit_lock_io(word, bit, mode) wait_on_bit_lock(word, bit, mode)
#define wake_up_bit(word, bit) ((void)(bit), wake_up_var(word))
#define clear_and_wake_up_bit(bit, word)                                       \
	do {                                                                   \
		clear_bit_unlock(bit, word);                                   \
		wake_up_bit(word, bit);                                        \
	} while (0)

#endif /* SHRINKER_LINUX_WAIT_BIT_H */
