/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KTIERD_PURE_BITOPS_H
#define _KTIERD_PURE_BITOPS_H

#include <linux/types.h>

#define BIT_ULL(nr)	(1ULL << (nr))

/* The number of the highest bit that is set, from 1; 0 if none is. */
static inline int fls(unsigned int x)
{
	return x ? 32 - __builtin_clz(x) : 0;
}

static inline int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

static inline unsigned int hweight64(u64 x)
{
	return __builtin_popcountll(x);
}

#endif /* _KTIERD_PURE_BITOPS_H */
