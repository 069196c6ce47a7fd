/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_SIM_RANDOM_H
#define KTIERD_SIM_RANDOM_H
/* Numbers that look random and are the same each time. */
#include <linux/types.h>

void random_seed(u64 seed);
u64 random_bits(void);

/* Less than @limit. */
u32 random_below(u32 limit);

/* Put bytes in random order. */
void random_shuffle(u8 *bytes, u32 nr);

#endif
