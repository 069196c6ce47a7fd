// SPDX-License-Identifier: GPL-2.0
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <linux/minmax.h>

#include "pattern.h"
#include "random.h"

#define SMALL_UNITS	163840
#define HUGE_UNITS	(SMALL_UNITS / BLOCK_PAGES)

/* Accesses a second, of all pages together. */
#define ACCESSES	3e6

/* What part of them are writes. */
#define WRITES		0.3

/* The hot part of the pages, and its part of the accesses. */
#define HOT		0.15
#define HOT_ACCESSES	0.9

/* What is touched of idle memory. */
#define TOUCHED		0.05

/* What there is of growing memory at the start. */
#define GROWN		0.5

/* Parts of an octave of ranks, all of one probability. */
#define OCTAVE_PARTS	16
#define THETA		0.99

/* The top tier holds half of the memory, and this part more. */
#define ROOM		0.03

/*
 * A block jumps by this part of the memory, so that it comes to lie in every
 * place before it lies in one again.
 */
#define JUMP		0.38196601

static void set_rate(struct rate *rate, double accesses, double writes)
{
	rate->reads = accesses * (1 - writes);
	rate->writes = accesses * writes;
	rate->worth = accesses;
}

/* Class 0 is hot, class 1 is not; the hot ones begin at @first. */
static void hot_and_cold(const struct pattern *pattern, struct rate *rate,
			 u8 *class, u32 units, u32 first)
{
	u32 hot = pattern->units * HOT, i;

	set_rate(&rate[0], ACCESSES * HOT_ACCESSES / hot, WRITES);
	set_rate(&rate[1], ACCESSES * (1 - HOT_ACCESSES) / (units - hot), WRITES);
	memset(class, 1, units);
	for (i = 0; i < hot; i++)
		class[(first + i) % units] = 0;
}

static u32 scattered(const struct pattern *pattern, struct rate *rate,
		     u8 *class, double t)
{
	hot_and_cold(pattern, rate, class, pattern->units, 0);
	random_shuffle(class, pattern->units);
	return pattern->units;
}

static u32 moving(const struct pattern *pattern, struct rate *rate, u8 *class,
		  double t)
{
	double where = floor(t / pattern->period_s) * JUMP;

	hot_and_cold(pattern, rate, class, pattern->units,
		     (where - floor(where)) * pattern->units);
	return pattern->units;
}

static u32 halves(const struct pattern *pattern, struct rate *rate, u8 *class,
		  double t)
{
	u32 half = pattern->units / 2;

	set_rate(&rate[0], ACCESSES / pattern->units, 1);
	set_rate(&rate[1], ACCESSES / pattern->units, 0);
	rate[1].worth = 0;
	memset(class, 0, half);
	memset(class + half, 1, pattern->units - half);
	random_shuffle(class, pattern->units);
	return pattern->units;
}

static u32 zipf_step(u32 first)
{
	u32 octave = 1;

	while (octave * 2 <= first + 1)
		octave *= 2;
	return max(octave / OCTAVE_PARTS, 1U);
}

static double zipf_mass(u32 first, u32 nr)
{
	double sum = 0;

	while (nr--)
		sum += pow(first + nr + 1.0, -THETA);
	return sum;
}

static u32 zipf(const struct pattern *pattern, struct rate *rate, u8 *class,
		double t)
{
	double all = zipf_mass(0, pattern->units);
	u32 first, step, nr = 0;

	for (first = 0; first < pattern->units; first += step, nr++) {
		step = min(zipf_step(first), pattern->units - first);
		set_rate(&rate[nr], ACCESSES / all * zipf_mass(first, step) / step,
			 WRITES);
		memset(class + first, nr, step);
	}
	random_shuffle(class, pattern->units);
	return pattern->units;
}

/* The newest is the hottest. */
static u32 growing(const struct pattern *pattern, struct rate *rate, u8 *class,
		   double t)
{
	double there = GROWN + (1 - GROWN) * t / pattern->until_s;
	u32 units = min(there, 1.0) * pattern->units;

	hot_and_cold(pattern, rate, class, units,
		     units - (u32)(pattern->units * HOT));
	return units;
}

static u32 idle(const struct pattern *pattern, struct rate *rate, u8 *class,
		double t)
{
	u32 used = pattern->units * TOUCHED;

	set_rate(&rate[0], ACCESSES / used, WRITES);
	set_rate(&rate[1], 0, 0);
	memset(class, 0, used);
	memset(class + used, 1, pattern->units - used);
	random_shuffle(class, pattern->units);
	return pattern->units;
}

static u32 flat(const struct pattern *pattern, struct rate *rate, u8 *class,
		double t)
{
	set_rate(&rate[0], ACCESSES / pattern->units, WRITES);
	memset(class, 0, pattern->units);
	return pattern->units;
}

static const struct pattern patterns[] = {
	{ .name = "scattered", .units = SMALL_UNITS, .lay_out = scattered },
	{ .name = "moving", .units = SMALL_UNITS, .lay_out = moving,
	  .period_s = 20, .until_s = 60 },
	{ .name = "halves", .units = SMALL_UNITS, .lay_out = halves },
	{ .name = "zipf", .units = SMALL_UNITS, .lay_out = zipf },
	{ .name = "growing", .units = SMALL_UNITS, .lay_out = growing,
	  .period_s = 0.1, .until_s = 20, .fill = true },
	{ .name = "idle", .units = SMALL_UNITS, .lay_out = idle },
	{ .name = "flat", .units = SMALL_UNITS, .lay_out = flat },
	{ .name = "huge", .units = HUGE_UNITS, .lay_out = scattered,
	  .kind = BLOCK_HUGE },
	{ }
};

const struct pattern *pattern_find(const char *name)
{
	const struct pattern *pattern;

	for (pattern = patterns; pattern->name; pattern++)
		if (!strcmp(pattern->name, name))
			return pattern;
	return NULL;
}

/* The group of a unit, and which it is in there. */
static struct group *group_of(struct machine *machine, u32 unit, u64 *bit)
{
	if (machine->block[0].kind == BLOCK_HUGE) {
		*bit = 1;
		return machine->block[unit].group;
	}
	*bit = 1ULL << unit % KTIERD_GROUP_PAGES;
	return machine->block[unit / BLOCK_PAGES].group +
	       unit % BLOCK_PAGES / KTIERD_GROUP_PAGES;
}

/* A page that is new goes where there is room. */
static void place(const struct pattern *pattern, struct machine *machine,
		  u32 unit, u8 class)
{
	struct group *group;
	u64 bit;

	group = group_of(machine, unit, &bit);
	group->class[__builtin_ctzll(bit)] = class;
	if (group->present & bit)
		return;
	group->present |= bit;
	if (pattern->fill ? machine->on_top < machine->top_pages : !(unit & 1)) {
		group->top |= bit;
		machine->on_top += unit_pages(&machine->block[0]);
	}
}

static void lay_out(const struct pattern *pattern, struct machine *machine)
{
	u8 *class = calloc(pattern->units, 1);
	u32 units, i;

	if (!class)
		abort();
	units = pattern->lay_out(pattern, machine->rate, class,
				 machine->now_ms / 1000.0);
	for (i = 0; i < units; i++)
		place(pattern, machine, i, class[i]);
	free(class);
	machine_count(machine);
}

void pattern_begin(const struct pattern *pattern, struct machine *machine)
{
	u32 blocks = pattern->units, i;
	u64 pages;

	if (pattern->kind == BLOCK_SMALL)
		blocks /= BLOCK_PAGES;
	for (i = 0; i < blocks; i++)
		machine_add_block(machine, pattern->kind, 1);
	machine->mms = 1;
	pages = machine_pages(machine);
	machine->headroom = pages * ROOM;
	machine->top_pages = pages / 2 + pages * ROOM;
	lay_out(pattern, machine);
}

void pattern_update(const struct pattern *pattern, struct machine *machine)
{
	double now = machine->now_ms / 1000.0;
	double before = now - machine->interval_ms / 1000.0;

	if (!pattern->period_s || before > pattern->until_s)
		return;
	if (floor(now / pattern->period_s) != floor(before / pattern->period_s))
		lay_out(pattern, machine);
}
