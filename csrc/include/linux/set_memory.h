/* SPDX-License-Identifier: MIT */
/* Pages have no attributes here: 0, and nothing is done. */
#ifndef SHRINKER_LINUX_SET_MEMORY_H
#define SHRINKER_LINUX_SET_MEMORY_H

#include <linux/kit.h>

#define set_pages_array_wb(pages, n) ((void)(pages), (void)(n), shrinker_kit_zero())
#define set_pages_array_wc(pages, n) ((void)(pages), (void)(n), shrinker_kit_zero())
#define set_pages_array_uc(pages, n) ((void)(pages), (void)(n), shrinker_kit_zero())
#define set_pages_wb(page, n) ((void)(page), (void)(n), shrinker_kit_zero())
#define set_pages_wc(page, n) ((void)(page), (void)(n), shrinker_kit_zero())
#define set_pages_uc(page, n) ((void)(page), (void)(n), shrinker_kit_zero())
#define set_memory_ro(address, n) ((void)(address), shrinker_kit_zero())
#define set_memory_rw(address, n) ((void)(address), shrinker_kit_zero())
#define set_memory_wc(address, n) ((void)(address), shrinker_kit_zero())
#define set_memory_wb(address, n) ((void)(address), shrinker_kit_zero())
#define set_memory_encrypted(address, n) ((void)(address), shrinker_kit_zero())
#define set_memory_decrypted(address, n) ((void)(address), shrinker_kit_zero())

#endif /* SHRINKER_LINUX_SET_MEMORY_H */
