/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_KTIERD_HEAT_H
#define _MM_KTIERD_HEAT_H
/*
 * The history of a page: which of its last windows saw it touched, and for
 * how long it has been idle.  Pure: no locks, no mm types, no allocation; it
 * compiles in user space too.
 */

#include <linux/types.h>

/* Ticks of idleness are counted up to here and no further. */
#define KTIERD_IDLE_MAX		255

/*
 * Heat is a level on one scale.  Level 0 is cold: idle for the cold age.
 * Levels up to KTIERD_LEVEL_USED are warm, told apart by how lately they were
 * used; those above are hot, told apart by how many of the last eight windows
 * saw them touched.  So the cold end of the scale sorts by recency and the hot
 * end by frequency: a rest of a second says nothing about the first, and one
 * touch says nothing about the second.
 */
#define KTIERD_LEVEL_COLD	0
#define KTIERD_LEVEL_USED	7
#define KTIERD_WINDOWS		8
#define KTIERD_LEVELS		(KTIERD_LEVEL_USED + KTIERD_WINDOWS + 1)

/**
 * struct ktierd_heat - history of one page
 * @windows: a bit a sample window, the latest in bit 0: was the page touched?
 * @idle_ticks: ticks since a scan last found the page used, at most
 *	KTIERD_IDLE_MAX
 */
struct ktierd_heat {
	u8 windows;
	u8 idle_ticks;
};

void ktierd_heat_age(struct ktierd_heat *heat, bool used, unsigned int ticks);
void ktierd_heat_rescale(struct ktierd_heat *heat, unsigned int from_ms,
			 unsigned int to_ms);
void ktierd_heat_window(struct ktierd_heat *heat, bool touched);
void ktierd_heat_demoted(struct ktierd_heat *heat);
void ktierd_heat_merge(struct ktierd_heat *into, const struct ktierd_heat *from);
unsigned int ktierd_heat_level(const struct ktierd_heat *heat,
			       unsigned int cold_ticks);

#endif /* _MM_KTIERD_HEAT_H */
