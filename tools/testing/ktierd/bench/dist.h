/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_BENCH_DIST_H
#define KTIERD_BENCH_DIST_H
/*
 * Distributions of accesses over things, such as pages or keys, that are known
 * exactly and are drawn from in a few instructions without touching memory that
 * would not stay in a cache.
 *
 * A distribution is a list of segments of ranks. Within a segment every rank is
 * equally likely. Ranks are laid out over the things either in order or
 * scattered by a fixed permutation.
 */
#include <stdbool.h>
#include <stdint.h>

#include "../lib/dice.h"

/* Enough for 32 octaves in 16 parts each. */
#define DIST_SEGMENTS	512

/**
 * struct dist_segment - ranks that are equally likely
 * @first: the first rank
 * @nr: how many
 * @weight: probability of the whole segment
 * @writes: share of the accesses to it that are writes, 0 to 1
 */
struct dist_segment {
	uint32_t first;
	uint32_t nr;
	double weight;
	double writes;
};

/* Walker's alias method: one draw is one compare, whatever the number is. */
struct dist_alias {
	uint32_t threshold;	/* of 2^32: below it the entry itself */
	uint32_t other;
};

struct dist {
	uint32_t nr;		/* things */
	uint32_t nr_segments;
	uint32_t rotate;	/* rank 0 is this thing, where not scattered */
	bool scattered;
	uint32_t mask, shift, salt;	/* of the permutation */
	uint32_t table_mask;	/* size of the alias table, less one */
	uint32_t writes[DIST_SEGMENTS];	/* of 2^16 */
	struct dist_alias alias[DIST_SEGMENTS];
	struct dist_segment segment[DIST_SEGMENTS];
};

/*
 * A permutation of the numbers below a power of two, made of steps that can
 * each be undone. What falls behind the end is permuted again.
 */
static inline uint32_t dist_scatter(const struct dist *dist, uint32_t x)
{
	do {
		x = (x + dist->salt) & dist->mask;
		x ^= x >> dist->shift;
		x = (x * 0x9e3779b1U) & dist->mask;
		x ^= x >> dist->shift;
		x = (x * 0x85ebca77U) & dist->mask;
		x ^= x >> dist->shift;
	} while (x >= dist->nr);
	return x;
}

static inline uint32_t dist_place(const struct dist *dist, uint32_t rank)
{
	if (dist->scattered)
		return dist_scatter(dist, rank);
	rank += dist->rotate;
	return rank < dist->nr ? rank : rank - dist->nr;
}

/**
 * struct draw - one access
 * @thing: which thing is accessed
 * @bits: 16 random bits that nothing else depends on
 * @write: is it a write?
 */
struct draw {
	uint32_t thing;
	uint16_t bits;
	bool write;
};

static inline struct draw dist_draw(const struct dist *dist, struct dice *dice)
{
	uint64_t which = dice_roll(dice), where = dice_roll(dice);
	uint32_t i = (which >> 32) & dist->table_mask;
	const struct dist_segment *segment;
	struct draw draw;

	if ((uint32_t)which >= dist->alias[i].threshold)
		i = dist->alias[i].other;
	segment = &dist->segment[i];
	draw.thing = dist_place(dist, segment->first +
				((where >> 32) * segment->nr >> 32));
	draw.write = (where & 0xffff) < dist->writes[i];
	draw.bits = where >> 16;
	return draw;
}

/* Segments must follow each other and their weights add up to 1. */
void dist_begin(struct dist *dist, uint32_t nr);
void dist_add(struct dist *dist, uint32_t nr, double weight, double writes);
void dist_end(struct dist *dist);

/* Lay ranks out scattered, by a permutation that depends on @seed. */
void dist_set_scattered(struct dist *dist, uint32_t seed);

/* Zipf: the thing of rank r is accessed in proportion to 1 / (r + 1)^theta. */
void dist_zipf(struct dist *dist, uint32_t nr, double theta, double writes);

#endif
