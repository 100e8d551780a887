/* SPDX-License-Identifier: MIT */
/* Who reclaims: never kswapd, unless a test sets PF_KSWAPD. */
#ifndef SHRINKER_LINUX_SWAP_H
#define SHRINKER_LINUX_SWAP_H

#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched.h>

#define current_is_kswapd() (!!(shrinker_kit_current()->flags & PF_KSWAPD))

#endif /* SHRINKER_LINUX_SWAP_H */
