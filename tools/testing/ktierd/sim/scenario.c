// SPDX-License-Identifier: GPL-2.0
/*
 * One can't hold 64 TiB page by page.  So each process has a sample of its
 * blocks, each of which stands for so many blocks that are *equal* to it, in
 * what touches them, in when, and in where their pages are.  What is counted in
 * it is multiplied, so that decisions are made about the totals of the whole
 * machine; and what is decided of one of its pages is done to all that it
 * stands for.
 *
 * This assumes that blocks differ in no way that has no sample; that chance is
 * no smaller in a large machine, as equal blocks have equal luck (which makes
 * the simulated machine noisier than a real one); and that all tables that are
 * not touched stay so, and all others are touched in each interval.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <linux/minmax.h>

#include "random.h"
#include "scenario.h"

#define BLOCK_BYTES	(BLOCK_PAGES * 4096ULL)

/* Accesses a second of a small page, on average, where there are any. */
#define ACCESSES	18

#define WRITES		0.3

/* What the hot part of the pages gets. */
#define HOT_ACCESSES	0.9

/* Memory differs in how busy it is, by half an octave from part to part. */
#define ACTIVITIES	8	/* three bits */

/* Blocks that stand for those that are idle, in all. */
#define IDLE_SAMPLE	16

/* Of the top tier, as by default. */
#define HEADROOM	0.03

/* The classes of one activity. */
enum { HOT, WARM, UNTOUCHED, NR_HEATS };

static const struct scenario scenarios[] = {
	{ .name = "idle", .kind = BLOCK_SMALL, .busy = 0.05, .hot = 0.15,
	  .warm = 0.35 },
	{ .name = "busy", .kind = BLOCK_SMALL, .busy = 1, .hot = 0.15,
	  .warm = 0.85 },
	{ .name = "huge", .kind = BLOCK_HUGE, .busy = 1, .hot = 0.15,
	  .warm = 0.85 },
	{ }
};

const struct scenario *scenario_find(const char *name)
{
	const struct scenario *scenario;

	for (scenario = scenarios; scenario->name; scenario++)
		if (!strcmp(scenario->name, name))
			return scenario;
	return NULL;
}

static void set_rates(const struct scenario *scenario, struct rate *rate)
{
	unsigned int unit = scenario->kind == BLOCK_HUGE ? BLOCK_PAGES : 1;
	unsigned int activity;

	for (activity = 0; activity < ACTIVITIES; activity++, rate += NR_HEATS) {
		double all = ACCESSES * unit *
			     pow(2, (activity - (ACTIVITIES - 1) / 2.0) / 2);

		rate[HOT].worth = all * HOT_ACCESSES / scenario->hot;
		rate[WARM].worth = all * (1 - HOT_ACCESSES) / scenario->warm;
	}
	for (rate -= ACTIVITIES * NR_HEATS; activity--; rate += NR_HEATS) {
		unsigned int heat;

		for (heat = 0; heat < NR_HEATS; heat++) {
			rate[heat].reads = rate[heat].worth * (1 - WRITES);
			rate[heat].writes = rate[heat].worth * WRITES;
		}
	}
}

static bool happens(double probability)
{
	return random_below(1U << 31) < probability * (1U << 31);
}

/* As often one as another, in no order. */
static unsigned int activity_of(u32 number)
{
	return number * 0x9e3779b1U >> 29;
}

static u8 draw_class(const struct scenario *scenario, u32 number)
{
	double where = random_below(1U << 31) / (double)(1U << 31);
	unsigned int heat = where < scenario->hot ? HOT :
			    where < scenario->hot + scenario->warm ? WARM :
			    UNTOUCHED;

	return activity_of(number) * NR_HEATS + heat;
}

static void fill_group(const struct scenario *scenario, struct group *group,
		       u32 number, double on_top)
{
	unsigned int i;

	group->present = scenario->kind == BLOCK_HUGE ? 1 : ~0ULL;
	for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
		group->class[i] = draw_class(scenario, number);
		group->top |= (u64)happens(on_top) << i;
	}
}

static void fill_block(const struct scenario *scenario, struct block *block,
		       u32 number, double on_top)
{
	unsigned int g;

	for (g = 0; g < nr_groups(block); g++)
		fill_group(scenario, &block->group[g], number, on_top);
	if (block->kind == BLOCK_IDLE)
		block->nr_top = on_top * BLOCK_PAGES;
}

/* Of @all that are dealt out to @nr as evenly as can be, what one gets. */
static u64 part(u64 all, u64 nr, u64 one)
{
	return all / nr + (one < all % nr);
}

/* Each process has about as many of these blocks, and as many in the sample. */
static void add_blocks(struct machine *machine, enum block_kind kind, u64 blocks,
		       u64 sample)
{
	u64 mm, own, held, i;

	for (mm = 0; mm < machine->mms; mm++) {
		own = part(blocks, machine->mms, mm);
		held = min(own, max(sample / machine->mms, 1ULL));
		for (i = 0; i < held; i++)
			machine_add_block(machine, kind, part(own, held, i));
	}
}

static int by_kind_and_weight(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->weight < y->weight ? -1 : x->weight > y->weight;
}

void scenario_begin(const struct scenario *scenario, const struct size *size,
		    struct machine *machine)
{
	u64 blocks = size->memory / BLOCK_BYTES;
	u64 busy = size->busy ? size->busy / BLOCK_BYTES : blocks * scenario->busy;
	u64 dram = (size->dram ? size->dram : size->memory / 8) / 4096;
	u64 sample = size->sample;
	u32 i;

	if (scenario->kind == BLOCK_SMALL)
		sample /= BLOCK_PAGES;
	machine->mms = size->mms;
	machine->headroom = dram * HEADROOM;
	machine->top_pages = dram - machine->headroom;
	set_rates(scenario, machine->rate);
	add_blocks(machine, scenario->kind, busy, sample);
	add_blocks(machine, BLOCK_IDLE, blocks - busy, IDLE_SAMPLE);
	qsort(machine->block, machine->nr_blocks, sizeof(*machine->block),
	      by_kind_and_weight);
	for (i = 0; i < machine->nr_blocks; i++)
		fill_block(scenario, &machine->block[i], i,
			   machine->top_pages / (double)(blocks * BLOCK_PAGES));
	machine_count(machine);
}
