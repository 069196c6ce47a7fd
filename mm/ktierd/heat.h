/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_KTIERD_HEAT_H
#define _MM_KTIERD_HEAT_H
/*
 * The history of pages: how often windows find them touched and written, and
 * for how long they have been idle.  Pure: no locks, no mm types, no
 * allocation; it compiles in user space too.
 */

#include <linux/types.h>

/* Pages of a group: a bit each in a word. */
#define KTIERD_GROUP_PAGES	64

#define KTIERD_SCORE_BITS	8
#define KTIERD_SCORE_MAX	((1U << KTIERD_SCORE_BITS) - 1)
#define KTIERD_WRITES_BITS	3
#define KTIERD_WRITES_MAX	((1U << KTIERD_WRITES_BITS) - 1)
#define KTIERD_IDLE_BITS	4
/* Ticks of idleness are counted up to here and no further. */
#define KTIERD_IDLE_MAX		((1U << KTIERD_IDLE_BITS) - 1)

/* What a score averages over, at last: about twice 2^5 windows. */
#define KTIERD_SHIFT_MAX	5

/*
 * Heat is a level on one scale.  Level 0 is cold: idle for the cold age.
 * Levels up to KTIERD_LEVEL_USED are warm, told apart by how lately they were
 * used.  Those from KTIERD_LEVEL_HOT on are told apart by their score, which is
 * how often windows find them touched.  Those in between are nobody's.
 */
#define KTIERD_LEVEL_BITS	5
#define KTIERD_LEVELS		32
#define KTIERD_LEVEL_COLD	0
#define KTIERD_LEVEL_USED	7
#define KTIERD_LEVEL_HOT	17

/* Pages at a level are told apart by what part of their uses is writes. */
#define KTIERD_CLASS_BITS	2
#define KTIERD_CLASSES		4

/**
 * struct ktierd_heat - histories of a group of pages
 * @score: in what part of the windows the page is touched, of KTIERD_SCORE_MAX
 * @writes: in what part of those it is written, of KTIERD_WRITES_MAX
 * @idle: ticks since the page was last used, 0 to KTIERD_IDLE_MAX
 * @moved: the page was moved lately
 *
 * Bit-sliced: word k of a number holds bit k of that number of all 64 pages, so
 * that one instruction works on 64 of them.
 */
struct ktierd_heat {
	u64 score[KTIERD_SCORE_BITS];
	u64 writes[KTIERD_WRITES_BITS];
	u64 idle[KTIERD_IDLE_BITS];
	u64 moved;
};

/**
 * struct ktierd_levels - heat of a group of pages
 * @bit: the levels, bit-sliced
 * @class: the part of writes, bit-sliced; 0 where the page has no score
 */
struct ktierd_levels {
	u64 bit[KTIERD_LEVEL_BITS];
	u64 class[KTIERD_CLASS_BITS];
};

/**
 * struct ktierd_histogram - how many pages are how hot
 * @nr: pages by level and part of writes
 */
struct ktierd_histogram {
	u64 nr[KTIERD_LEVELS][KTIERD_CLASSES];
};

void ktierd_heat_age(struct ktierd_heat *heat, u64 used, u64 unused,
		     unsigned int ticks);
void ktierd_heat_fade(struct ktierd_heat *heat, u64 pages);
void ktierd_heat_rescale(struct ktierd_heat *heat, unsigned int from_ms,
			 unsigned int to_ms);
void ktierd_heat_touch(struct ktierd_heat *heat, u64 touched,
		       unsigned int shift);
void ktierd_heat_window(struct ktierd_heat *heat, u64 touched, u64 written,
			unsigned int shift);
unsigned int ktierd_heat_shift(unsigned int windows);
void ktierd_heat_moved(struct ktierd_heat *heat, u64 pages);
void ktierd_heat_settled(struct ktierd_heat *heat);
void ktierd_heat_uniform(struct ktierd_heat *heat, unsigned int idle);
void ktierd_heat_merge(struct ktierd_heat *into, const struct ktierd_heat *from,
		       u64 pages);
void ktierd_heat_spread(struct ktierd_heat *into, const struct ktierd_heat *from);
u64 ktierd_heat_used(const struct ktierd_heat *heat, unsigned int ticks);
bool ktierd_heat_scoreless(const struct ktierd_heat *heat);
void ktierd_heat_idle_range(const struct ktierd_heat *heat, u64 pages,
			    unsigned int *least, unsigned int *most);
unsigned int ktierd_heat_score(const struct ktierd_heat *heat, unsigned int i);
unsigned int ktierd_heat_idle(const struct ktierd_heat *heat, unsigned int i);

void ktierd_levels_get(struct ktierd_levels *levels,
		       const struct ktierd_heat *heat, u64 top,
		       unsigned int cold_ticks);
u32 ktierd_levels_count(const struct ktierd_levels *levels, u64 pages,
			struct ktierd_histogram *histogram);
u64 ktierd_levels_from(const struct ktierd_levels *levels, unsigned int level);
u64 ktierd_levels_among(const struct ktierd_levels *levels, u32 some);
unsigned int ktierd_levels_at(const struct ktierd_levels *levels,
			      unsigned int i);
unsigned int ktierd_levels_class(const struct ktierd_levels *levels,
				 unsigned int i);
void ktierd_levels_uniform(struct ktierd_levels *levels, unsigned int level,
			   unsigned int class);
void ktierd_levels_join(struct ktierd_levels *levels,
			const struct ktierd_levels *low,
			const struct ktierd_levels *high, unsigned int first);
void ktierd_levels_whole(struct ktierd_levels *levels);
void ktierd_levels_max(struct ktierd_levels *levels,
		       const struct ktierd_levels *other, u64 pages);
unsigned int ktierd_idle_level(unsigned int idle, unsigned int cold_ticks);

#endif /* _MM_KTIERD_HEAT_H */
