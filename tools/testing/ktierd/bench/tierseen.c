// SPDX-License-Identifier: GPL-2.0
/*
 * Where the pages of tierload are, what moved since the last look, and what
 * share of the accesses the top tier so serves.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "../lib/tiers.h"
#include "../lib/util.h"
#include "place.h"
#include "tierload.h"

/* What is known of each page, and what happened to it. */
static uint32_t nr_pages, pages_a_unit;
static uint8_t *place, *place_before, *last_move;
static struct {
	uint64_t up, down;	/* moves seen */
	uint64_t returns;	/* of them against the direction of the last one */
} traffic;

/* Cells of the map of where pages are. */
#define MAP_CELLS		32

/* The segment of each unit, for the distribution that it was worked out for. */
static uint16_t *segment_of;
static const struct dist *segments_known;

static struct {
	uint64_t pages[2];			/* in the top tier, in a lower one */
	uint64_t top[DIST_SEGMENTS];		/* pages in the top tier */
	double share[NR_WORTHS];
} seen;

static void learn_segments(const struct dist *dist)
{
	if (segments_known == dist)
		return;
	segments_known = dist;
	for (uint32_t s = 0; s < dist->nr_segments; s++) {
		const struct dist_segment *segment = &dist->segment[s];

		for (uint32_t r = segment->first; r < segment->first + segment->nr; r++)
			segment_of[dist_place(dist, r)] = s;
	}
}

static void note_move(uint32_t page)
{
	if (!place[page] || !place_before[page])
		return;
	traffic.up += place[page] == PLACE_TOP;
	traffic.down += place[page] == PLACE_LOW;
	traffic.returns += last_move[page] && last_move[page] != place[page];
	last_move[page] = place[page];
}

static void count_places(const struct dist *dist)
{
	uint32_t there = dist->nr * pages_a_unit;

	memset(&seen, 0, sizeof(seen));
	for (uint32_t page = 0; page < there; page++) {
		if (place[page] != place_before[page])
			note_move(page);
		if (place[page] == PLACE_TOP)
			seen.top[segment_of[page / pages_a_unit]]++;
		seen.pages[1] += place[page] == PLACE_LOW;
	}
	for (uint32_t s = 0; s < dist->nr_segments; s++)
		seen.pages[0] += seen.top[s];
}

/* What share of the accesses the top tier serves with pages where they are. */
static void share_out(const struct dist *dist)
{
	double sum[NR_WORTHS] = { 0 };

	for (uint32_t s = 0; s < dist->nr_segments; s++) {
		const struct dist_segment *segment = &dist->segment[s];
		double top = (double)seen.top[s] / segment->nr / pages_a_unit;

		for (enum worth worth = 0; worth < NR_WORTHS; worth++) {
			double each = segment_worth(segment, worth);

			sum[worth] += each;
			seen.share[worth] += each * top;
		}
	}
	for (enum worth worth = 0; worth < NR_WORTHS; worth++)
		if (sum[worth] > 0)
			seen.share[worth] /= sum[worth];
}

static void look(const void *memory, const struct dist *dist)
{
	uint8_t *swap = place_before;

	place_before = place;
	place = swap;
	if (!place_look(memory, nr_pages, place))
		fail("/proc/self/pagemap does not tell frames; be root.");
	learn_segments(dist);
	count_places(dist);
	share_out(dist);
}

/* Percent of the pages in the top tier, hottest first or, in order, by address. */
static void print_map(const struct dist *dist)
{
	for (uint32_t cell = 0; cell < MAP_CELLS; cell++) {
		uint32_t rank = (uint64_t)dist->nr * cell / MAP_CELLS;
		uint32_t end = (uint64_t)dist->nr * (cell + 1) / MAP_CELLS;
		uint64_t top = 0, all = (uint64_t)(end - rank) * pages_a_unit;

		for (; rank < end; rank++) {
			uint32_t unit = dist->scattered ? dist_place(dist, rank) : rank;

			for (uint32_t i = 0; i < pages_a_unit; i++)
				top += place[unit * pages_a_unit + i] == PLACE_TOP;
		}
		printf("%s%lu", cell ? ", " : "", all ? 100 * top / all : 0);
	}
}

/* At the start, while all is where it was put. */
static uint64_t capacity(void)
{
	return (seen.pages[0] + place_top_room()) * PAGE_SIZE;
}

void seen_print_start(const void *memory, const struct dist *dist)
{
	look(memory, dist);
	if (!option.capacity)
		option.capacity = capacity();
	printf("{\"event\": \"start\", \"pattern\": \"%s\", \"scattered\": %s",
	       option.pattern->name, dist->scattered ? "true" : "false");
	printf(", \"size_kib\": %llu, \"unit_kib\": %llu, \"capacity_kib\": %llu, \"address\": %lu",
	       option.size >> 10, option.unit >> 10, option.capacity >> 10,
	       (unsigned long)memory);
	printf(", \"start\": \"%s\", \"tier\": %s, \"threads\": %u, \"work\": %u, \"seed\": %u}\n",
	       start_names[option.start], option.tier ? "true" : "false", option.threads,
	       option.work, option.of.seed);
	fflush(stdout);
}

static void print_worth(const char *suffix, enum worth worth, const struct dist *dist)
{
	printf(", \"share%s\": %.4f, \"oracle%s\": %.4f", suffix, seen.share[worth], suffix,
	       pattern_oracle(dist, option.capacity / option.unit, worth));
}

static void print_look(const void *memory, const struct dist *dist)
{
	look(memory, dist);
	print_worth("", WORTH_ALL, dist);
	print_worth("_reads", WORTH_READS, dist);
	print_worth("_writes", WORTH_WRITES, dist);
	printf(", \"top_pages\": %lu, \"low_pages\": %lu", seen.pages[0], seen.pages[1]);
	printf(", \"up\": %lu, \"down\": %lu, \"returns\": %lu, \"map\": [", traffic.up,
	       traffic.down, traffic.returns);
	print_map(dist);
	putchar(']');
}

void seen_print_tick(double t, uint64_t ops, unsigned long number, const void *memory,
		     const struct dist *dist)
{
	static double next_look;

	printf("{\"event\": \"tick\", \"number\": %lu, \"t\": %.4f, \"ops\": %lu", number, t, ops);
	if (t >= next_look) {
		next_look += option.look_s;
		print_look(memory, dist);
	}
	puts("}");
	fflush(stdout);
}

void seen_init(void)
{
	const char *wrong;

	tiers_learn();
	wrong = place_learn();
	if (wrong)
		fail("%s.", wrong);
	nr_pages = option.size / PAGE_SIZE;
	pages_a_unit = option.unit / PAGE_SIZE;
	place = allocate(nr_pages, sizeof(*place));
	place_before = allocate(nr_pages, sizeof(*place));
	last_move = allocate(nr_pages, sizeof(*last_move));
	segment_of = allocate(option.of.units, sizeof(*segment_of));
}
