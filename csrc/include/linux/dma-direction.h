/* SPDX-License-Identifier: MIT */
#include <linux/dma-mapping.h>
