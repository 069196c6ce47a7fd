// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include <linux/bitops.h>
#include <linux/minmax.h>

#include "costs.h"
#include "machine.h"

static void *more(void *memory, size_t size)
{
	memory = realloc(memory, size);
	if (!memory)
		abort();
	return memory;
}

void machine_add_block(struct machine *machine, enum block_kind kind, u64 weight)
{
	struct block *block;
	size_t size;

	/* Room is doubled whenever their number is a power of two. */
	if (!(machine->nr_blocks & (machine->nr_blocks - 1))) {
		size = max(1, machine->nr_blocks * 2) * sizeof(*block);
		machine->block = more(machine->block, size);
	}
	block = &machine->block[machine->nr_blocks++];
	memset(block, 0, sizeof(*block));
	block->kind = kind;
	block->weight = weight;
	if (nr_groups(block)) {
		size = nr_groups(block) * sizeof(*block->group);
		block->group = memset(more(NULL, size), 0, size);
	}
}

u64 machine_pages(const struct machine *machine)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < machine->nr_blocks; i++)
		sum += machine->block[i].weight * BLOCK_PAGES;
	return sum;
}

static void count_group(struct machine *machine, const struct block *block,
			const struct group *group)
{
	u64 pages = block->weight * unit_pages(block), left;

	machine->on_top += hweight64(group->present & group->top) * pages;
	for (left = group->present; left; left &= left - 1)
		machine->pages[group->class[__builtin_ctzll(left)]] += pages;
}

static void count_work(struct machine *machine, const struct block *block)
{
	switch (block->kind) {
	case BLOCK_SMALL:
		machine->scan += block->weight *
			(costs.table + costs.visits * BLOCK_PAGES * costs.pte_visit);
		machine->history += block->weight * costs.block_small;
		break;
	case BLOCK_HUGE:
		machine->scan += block->weight * costs.visits * costs.huge_visit;
		machine->history += block->weight * costs.block_huge;
		break;
	case BLOCK_IDLE:
		machine->scan += block->weight *
			(costs.visits * costs.idle_visit +
			 BLOCK_PAGES * costs.pte_visit / costs.sum_rounds);
		machine->history += block->weight * costs.block_idle;
		break;
	}
}

void machine_count(struct machine *machine)
{
	struct block *block = machine->block;
	unsigned int g;
	u32 i, looked_at = 0;

	memset(machine->pages, 0, sizeof(machine->pages));
	machine->on_top = 0;
	machine->history = 0;
	machine->scan = machine->mms * costs.visits * costs.mm;
	for (i = 0; i < machine->nr_blocks; i++, block++) {
		for (g = 0; g < nr_groups(block); g++)
			count_group(machine, block, &block->group[g]);
		if (block->kind == BLOCK_IDLE)
			machine->on_top += block->nr_top * block->weight;
		looked_at += nr_units(block);
		count_work(machine, block);
	}
	machine->watch = looked_at / machine->tunables.watched + 1;
}

/* A rate is that of a unit, which may be a huge page. */
static double group_worth(const struct machine *machine,
			  const struct group *group)
{
	u64 left = group->present & group->top;
	double sum = 0;

	for (; left; left &= left - 1)
		sum += machine->rate[group->class[__builtin_ctzll(left)]].worth;
	return sum;
}

static unsigned int class_unit(const struct machine *machine)
{
	/* A machine has pages with accesses of one size only. */
	return machine->nr_blocks ? unit_pages(&machine->block[0]) : 1;
}

static double all_worth(const struct machine *machine)
{
	unsigned int class;
	double sum = 0;

	for (class = 0; class < CLASSES; class++)
		sum += machine->rate[class].worth * machine->pages[class];
	return sum / class_unit(machine);
}

double machine_share(const struct machine *machine)
{
	const struct block *block = machine->block;
	double sum = 0;
	unsigned int g;
	u32 i;

	for (i = 0; i < machine->nr_blocks; i++, block++)
		for (g = 0; g < nr_groups(block); g++)
			sum += block->weight * group_worth(machine, &block->group[g]);
	return sum / all_worth(machine);
}

struct worthy {
	double worth;
	u64 pages;
};

static int worthiest_first(const void *a, const void *b)
{
	const struct worthy *x = a, *y = b;

	return x->worth < y->worth ? 1 : x->worth > y->worth ? -1 : 0;
}

double machine_oracle(const struct machine *machine)
{
	struct worthy order[CLASSES];
	u64 left = machine->top_pages, take;
	double best = 0;
	unsigned int i;

	for (i = 0; i < CLASSES; i++) {
		order[i].worth = machine->rate[i].worth;
		order[i].pages = machine->pages[i];
	}
	qsort(order, CLASSES, sizeof(*order), worthiest_first);
	for (i = 0; i < CLASSES && left; i++) {
		take = min(left, order[i].pages);
		best += order[i].worth * take;
		left -= take;
	}
	return best / class_unit(machine) / all_worth(machine);
}
