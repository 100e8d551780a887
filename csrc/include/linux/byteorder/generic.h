/* SPDX-License-Identifier: MIT */
#include <asm/byteorder.h>
