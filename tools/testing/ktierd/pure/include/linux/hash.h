/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KTIERD_PURE_HASH_H
#define _KTIERD_PURE_HASH_H

#include <linux/types.h>

/* As in the kernel, where a product's high bits are the hash. */
static inline u32 hash_64(u64 val, unsigned int bits)
{
	return val * 0x61C8864680B583EBull >> (64 - bits);
}

#endif /* _KTIERD_PURE_HASH_H */
