// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

/* Growing memory grows so often. */
#define GROW_STEP_S	0.1

/*
 * A block jumps by this part of the memory, so that it comes to lie in every
 * place before it lies in one again.
 */
#define JUMP		0.38196601

static void hot_and_cold(const struct pattern_options *o, uint32_t units, struct dist *dist)
{
	uint32_t hot = o->units * o->hot;

	if (hot > units)
		hot = units;
	dist_begin(dist, units);
	dist_add(dist, hot, units > hot ? o->hot_ops : 1, o->writes);
	dist_add(dist, units - hot, 1 - o->hot_ops, o->writes);
	dist_end(dist);
}

static void make_scattered(const struct pattern_options *o, double t, struct dist *dist)
{
	(void)t;
	hot_and_cold(o, o->units, dist);
	dist_set_scattered(dist, o->seed);
}

static void make_moving(const struct pattern_options *o, double t, struct dist *dist)
{
	double where = (uint64_t)(t / o->period_s) * JUMP;

	hot_and_cold(o, o->units, dist);
	dist->rotate = (where - (uint64_t)where) * o->units;
}

static void make_halves(const struct pattern_options *o, double t, struct dist *dist)
{
	(void)t;
	dist_begin(dist, o->units);
	dist_add(dist, o->units / 2, 0.5, 1);
	dist_add(dist, o->units - o->units / 2, 0.5, 0);
	dist_end(dist);
	dist_set_scattered(dist, o->seed);
}

static void make_zipf(const struct pattern_options *o, double t, struct dist *dist)
{
	(void)t;
	dist_zipf(dist, o->units, o->theta, o->writes);
	dist_set_scattered(dist, o->seed);
}

static uint32_t growing_units(const struct pattern_options *o, double t)
{
	double there = o->grown + (1 - o->grown) * t / o->period_s;

	return o->units * (there < 1 ? there : 1);
}

/* The newest is the hottest: ranks begin before the end and go on at the start. */
static void make_growing(const struct pattern_options *o, double t, struct dist *dist)
{
	uint32_t units = growing_units(o, t);

	hot_and_cold(o, units, dist);
	dist->rotate = units - dist->segment[0].nr;
}

static void make_idle(const struct pattern_options *o, double t, struct dist *dist)
{
	uint32_t touched = o->units * o->touched;

	(void)t;
	dist_begin(dist, o->units);
	dist_add(dist, touched ? touched : 1, 1, o->writes);
	dist_add(dist, o->units - dist->segment[0].nr, 0, 0);
	dist_end(dist);
	dist_set_scattered(dist, o->seed);
}

static void make_flat(const struct pattern_options *o, double t, struct dist *dist)
{
	(void)t;
	dist_begin(dist, o->units);
	dist_add(dist, o->units, 1, o->writes);
	dist_end(dist);
}

static double every_period(const struct pattern_options *o)
{
	return o->period_s;
}

static double every_grow_step(const struct pattern_options *o)
{
	(void)o;
	return GROW_STEP_S;
}

const struct pattern patterns[] = {
	{ .name = "scattered", .make = make_scattered,
	  .help = "a part of the pages, scattered, gets most accesses" },
	{ .name = "moving", .make = make_moving, .step_s = every_period,
	  .help = "a block of pages gets most accesses, and jumps every --period" },
	{ .name = "halves", .make = make_halves,
	  .help = "one half is only written, the other only read, equally often" },
	{ .name = "zipf", .make = make_zipf,
	  .help = "Zipf's law over scattered pages" },
	{ .name = "growing", .make = make_growing, .step_s = every_grow_step,
	  .units = growing_units,
	  .help = "memory grows for --period, and the newest is the hottest" },
	{ .name = "idle", .make = make_idle,
	  .help = "few pages, scattered, are touched at all" },
	{ .name = "flat", .make = make_flat,
	  .help = "all pages are equally likely" },
	{ }
};

const struct pattern *pattern_find(const char *name)
{
	for (const struct pattern *pattern = patterns; pattern->name; pattern++)
		if (!strcmp(pattern->name, name))
			return pattern;
	return NULL;
}

double segment_worth(const struct dist_segment *segment, enum worth worth)
{
	switch (worth) {
	case WORTH_READS:
		return segment->weight * (1 - segment->writes);
	case WORTH_WRITES:
		return segment->weight * segment->writes;
	default:
		return segment->weight;
	}
}

struct density {
	double worth;
	uint32_t nr;
};

static int densest_first(const void *a, const void *b)
{
	const struct density *x = a, *y = b;
	double dx = x->worth / x->nr, dy = y->worth / y->nr;

	return dx < dy ? 1 : dx > dy ? -1 : 0;
}

double pattern_oracle(const struct dist *dist, uint64_t capacity, enum worth worth)
{
	struct density density[DIST_SEGMENTS];
	double sum = 0, best = 0;

	for (uint32_t i = 0; i < dist->nr_segments; i++) {
		density[i].worth = segment_worth(&dist->segment[i], worth);
		density[i].nr = dist->segment[i].nr;
		sum += density[i].worth;
	}
	qsort(density, dist->nr_segments, sizeof(*density), densest_first);
	for (uint32_t i = 0; i < dist->nr_segments && capacity; i++) {
		uint64_t take = density[i].nr < capacity ? density[i].nr : capacity;

		best += density[i].worth * take / density[i].nr;
		capacity -= take;
	}
	return sum > 0 ? best / sum : 0;
}
