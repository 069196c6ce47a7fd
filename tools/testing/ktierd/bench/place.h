/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_BENCH_PLACE_H
#define KTIERD_BENCH_PLACE_H
/* Where the pages of this process are, asked for at some 60 instructions a page. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum place {
	PLACE_NONE,		/* not present */
	PLACE_TOP,
	PLACE_LOW,
};

/* Learn which frames are in which tier. Returns NULL, or what is wrong. */
const char *place_learn(void);

/* Set @place of @nr pages from @start on. False if frames can't be read. */
bool place_look(const void *start, uint32_t nr, uint8_t *place);

/* Pages that are free in the top tier beyond what its watermarks keep. */
uint64_t place_top_room(void);

/* The first node of a tier. */
int place_node(enum place place);

#endif
