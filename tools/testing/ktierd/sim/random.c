// SPDX-License-Identifier: GPL-2.0
#include "random.h"

#define ODD	0x9e3779b97f4a7c15ULL

static u64 state = ODD;

void random_seed(u64 seed)
{
	state = (seed + 1) * ODD;
	if (!state)
		state = ODD;
}

u64 random_bits(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * ODD;
}

u32 random_below(u32 limit)
{
	return (random_bits() >> 32) * limit >> 32;
}

void random_shuffle(u8 *bytes, u32 nr)
{
	while (nr > 1) {
		u32 other = random_below(nr--);
		u8 byte = bytes[nr];

		bytes[nr] = bytes[other];
		bytes[other] = byte;
	}
}
