/* SPDX-License-Identifier: MIT */
#ifndef TESTS_DRIVERS_BUFFER_PAGES_H
#define TESTS_DRIVERS_BUFFER_PAGES_H

#include <linux/types.h>

int buffer_use(u32 slot, char value);
int buffer_unuse(u32 slot);
/* The value that the page had; -ENODATA where the page is gone. */
int buffer_read(u32 slot);
unsigned long buffer_pages(void);

#endif /* TESTS_DRIVERS_BUFFER_PAGES_H */
