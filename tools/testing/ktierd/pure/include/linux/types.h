/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KTIERD_PURE_TYPES_H
#define _KTIERD_PURE_TYPES_H
/* For pure files in user space: as much of the kernel's headers as they use. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#endif /* _KTIERD_PURE_TYPES_H */
