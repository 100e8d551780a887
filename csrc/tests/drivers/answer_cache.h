/* SPDX-License-Identifier: MIT */
/* Answers to questions asked over a network, each good for some seconds. */
#ifndef ANSWER_CACHE_H
#define ANSWER_CACHE_H

#include <linux/types.h>

#define ANSWER_SECONDS 30

/* 0, -EEXIST or -ENOMEM.  May be called with a spinlock held (GFP_ATOMIC). */
int answer_add(const char *question, u32 answer, gfp_t gfp);
/* 0, or -ENOENT: not known, or too old. */
int answer_find(const char *question, u32 *answer);
unsigned long answer_count(void);

#endif
