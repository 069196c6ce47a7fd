/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_LIB_DICE_H
#define KTIERD_LIB_DICE_H
/* A seeded generator of pseudo-random numbers (splitmix64); all states are good. */
#include <stdint.h>

struct dice {
	uint64_t state;
};

static inline uint64_t dice_roll(struct dice *dice)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

#endif
