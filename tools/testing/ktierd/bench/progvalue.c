// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <string.h>

#include "prog.h"

/* What a value has behind its key begins at one of so many places of a text. */
#define PLACES	64

static char filler[PROG_MAX_VALUE + PLACES];

void prog_values_init(void)
{
	struct dice dice = { 0 };

	for (u32 i = 0; i < sizeof(filler); i++)
		filler[i] = 'a' + (dice_roll(&dice) >> 32) % 26;
}

void prog_write_key(char *text, u32 key)
{
	for (int i = PROG_KEY_DIGITS - 1; i >= 0; i--) {
		text[i] = '0' + key % 10;
		key /= 10;
	}
}

const char *prog_filler(const struct draw *draw)
{
	return filler + draw->bits % PLACES;
}

bool prog_value_is_of(const char *value, u32 key)
{
	char wanted[PROG_KEY_DIGITS];

	prog_write_key(wanted, key);
	return !memcmp(value, wanted, sizeof(wanted));
}
