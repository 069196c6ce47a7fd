// SPDX-License-Identifier: GPL-2.0
/*
 * A round, as the thread goes it: clear, wait, read, plan, demote, promote.
 * Here are the accessed bits and the clock; what follows from them is decided by
 * heat.c and policy.c.
 *
 * A page is accessed at random times, so many a second on average; in a time t
 * an accessed bit is then set with probability 1 - exp(-rate * t).
 */
#include <math.h>
#include <string.h>

#include <linux/bitops.h>
#include <linux/minmax.h>

#include "costs.h"
#include "machine.h"
#include "random.h"

/* The cold age is counted in about this many ticks, of one interval at least. */
#define COLD_TICKS	28

/* What the rate allows does not add up for longer than this. */
#define BURST_MS	10000

/* What was moved is noted until the next epoch begins. */
#define EPOCH_MS	32000

/* Where a window is this small a part of the interval, what is not used fades. */
#define FADE_PART	8

/* A window this much longer than it was to be tells nothing. */
#define LATE_TIMES	4
#define LATE_S		0.001

#define WINDOWS_MAX	255

#define MIB_PAGES	256

/* Promotion stops so far before the headroom, if that is not much of it. */
#define SLACK_PAGES	1024
#define SLACK_PART	16

/* Chances of what bits tell of a page, out of 2^32. */
struct chances {
	u32 used;	/* in an interval */
	u32 touched;	/* in a window */
	u32 written;
};

struct bits {
	u64 used;
	u64 touched;
	u64 written;
};

static u32 chance(double rate, double s)
{
	return min(-expm1(-rate * s) * 4294967296.0, 4294967295.0);
}

static void work_out_chances(const struct machine *machine,
			     struct chances *chances)
{
	double interval_s = machine->interval_ms / 1000.0;
	const struct rate *rate = machine->rate;
	unsigned int i;

	for (i = 0; i < CLASSES; i++, rate++) {
		double all = rate->reads + rate->writes;

		chances[i].used = chance(all, interval_s);
		chances[i].touched = chance(all, machine->window_s);
		chances[i].written = chance(rate->writes, machine->window_s);
	}
}

static void look(const struct group *group, const struct chances *chances,
		 struct bits *bits)
{
	u64 left;

	memset(bits, 0, sizeof(*bits));
	for (left = group->present; left; left &= left - 1) {
		unsigned int i = __builtin_ctzll(left);
		const struct chances *of = &chances[group->class[i]];
		u64 random = random_bits();
		u32 window = random, rest = random >> 32;

		bits->used |= (u64)(rest < of->used) << i;
		bits->touched |= (u64)(window < of->touched) << i;
		bits->written |= (u64)(window < of->written) << i;
	}
	/* The bits of the window before were left as they were. */
	bits->used |= group->touched & group->present;
}

static void clear_group(const struct machine *machine, struct group *group,
			u64 used)
{
	u64 unused = group->present & ~used;

	if (machine->epoch_begins)
		ktierd_heat_settled(&group->heat);
	ktierd_heat_age(&group->heat, used, unused, machine->ticks);
	if (machine->rested && unused)
		ktierd_heat_fade(&group->heat, unused);
}

static void watch_group(const struct machine *machine, const struct group *group,
			const struct bits *bits, bool light,
			struct ktierd_census *census)
{
	struct ktierd_levels levels;

	ktierd_levels_get(&levels, &group->heat, group->top, machine->cold_ticks);
	ktierd_levels_count(&levels, group->present, &census->were);
	ktierd_levels_count(&levels, bits->touched, &census->touched);
	if (light)
		return;
	ktierd_levels_count(&levels, bits->touched, &census->known);
	if (bits->written)
		ktierd_levels_count(&levels, bits->written, &census->written);
}

static void read_group(const struct machine *machine, struct block *block,
		       struct group *group, const struct bits *bits,
		       struct ktierd_census *census)
{
	unsigned int shift = min(machine->shift,
				 ktierd_heat_shift(block->windows - 1));
	u64 up = group->present & ~group->top;
	struct ktierd_levels levels;

	if (block->windows > 1 && block->watched)
		watch_group(machine, group, bits, block->light, census);
	if (!machine->late && block->light)
		ktierd_heat_touch(&group->heat, bits->touched, shift);
	else if (!machine->late)
		ktierd_heat_window(&group->heat, bits->touched, bits->written,
				   shift);
	group->touched = bits->touched;
	ktierd_levels_get(&levels, &group->heat, group->top, machine->cold_ticks);
	if (block->windows < KTIERD_SIGHTINGS)
		up = 0;
	block->levels_top |= ktierd_levels_count(&levels,
						 group->present & group->top,
						 &census->top);
	block->levels_low |= ktierd_levels_count(&levels, up, &census->low);
	census->nr_units += hweight64(group->present);
	if (!machine->late)
		census->nr_touched += hweight64(bits->touched);
	if (block->windows == 1)
		census->nr_fresh += hweight64(group->present);
}

/* Dirty bits are not asked for in each round; see mm/ktierd/sample.c. */
static bool looks_light(const struct machine *machine, const struct block *block)
{
	return block->kind == BLOCK_SMALL && block->windows > KTIERD_DIRTY_WINDOWS &&
	       machine->budget.record.windows >= KTIERD_DIRTY_WINDOWS &&
	       (block - machine->block + machine->round) % KTIERD_DIRTY_ROUNDS;
}

static bool anything_present(const struct block *block)
{
	const struct group *group = block->group;
	u64 any = 0;

	for (; group < block->group + nr_groups(block); group++)
		any |= group->present;
	return any;
}

static void sample_block(struct machine *machine, struct block *block,
			 const struct chances *chances,
			 struct ktierd_census *census)
{
	struct group *group = block->group;
	struct bits bits;

	if (!anything_present(block))
		return;
	block->levels_top = 0;
	block->levels_low = 0;
	if (!machine->late)
		block->windows += block->windows < WINDOWS_MAX;
	block->watched = !machine->late &&
			 !((block - machine->block + machine->round) %
			   machine->watch);
	block->light = looks_light(machine, block);
	for (; group < block->group + nr_groups(block); group++) {
		if (!group->present)
			continue;
		look(group, chances, &bits);
		clear_group(machine, group, bits.used);
		read_group(machine, block, group, &bits, census);
	}
}

/* A table that the walks skip: all of its pages are alike. */
static void sample_idle(const struct machine *machine, struct block *block,
			struct ktierd_census *census)
{
	unsigned int level;

	block->idle = min(block->idle + machine->ticks, KTIERD_IDLE_MAX);
	level = ktierd_idle_level(block->idle, machine->cold_ticks);
	census->top.nr[level][0] += block->nr_top;
	census->low.nr[level][0] += BLOCK_PAGES - block->nr_top;
	block->levels_top = block->nr_top ? 1U << level : 0;
	block->levels_low = 0;
}

static void add_times(struct ktierd_histogram *into,
		      const struct ktierd_histogram *from, u64 times)
{
	unsigned int level, class;

	for (level = 0; level < KTIERD_LEVELS; level++)
		for (class = 0; class < KTIERD_CLASSES; class++)
			into->nr[level][class] += from->nr[level][class] * times;
}

/*
 * What was counted stands for so many blocks; but a large machine has no more
 * of them watched than this one.  Begin anew.
 */
static void add_census(struct machine *machine, struct ktierd_census *census,
		       const struct block *block)
{
	struct ktierd_census *all = &machine->budget.census;
	u64 pages = block->weight * unit_pages(block);

	add_times(&all->top, &census->top, pages);
	add_times(&all->low, &census->low, pages);
	add_times(&all->were, &census->were, 1);
	add_times(&all->touched, &census->touched, 1);
	add_times(&all->known, &census->known, 1);
	add_times(&all->written, &census->written, 1);
	all->nr_units += census->nr_units * block->weight;
	all->nr_touched += census->nr_touched * pages;
	all->nr_fresh += census->nr_fresh * pages;
	memset(census, 0, sizeof(*census));
}

static bool alike(const struct block *a, const struct block *b)
{
	return a->kind == b->kind && a->weight == b->weight;
}

static void sample(struct machine *machine, const struct chances *chances)
{
	struct ktierd_census census = {};
	struct block *block = machine->block;
	struct block *end = block + machine->nr_blocks;

	ktierd_policy_begin(&machine->budget);
	for (; block < end; block++) {
		if (block->kind == BLOCK_IDLE)
			sample_idle(machine, block, &census);
		else
			sample_block(machine, block, chances, &census);
		if (block + 1 == end || !alike(block, block + 1))
			add_census(machine, &census, block);
	}
}

static void plan(struct machine *machine)
{
	const struct tunables *tunables = &machine->tunables;
	struct ktierd_census *census = &machine->budget.census;
	u64 slack = min(machine->headroom / SLACK_PART, (u64)SLACK_PAGES);

	if (machine->on_top > machine->top_pages)
		census->shortfall = machine->on_top - machine->top_pages;
	else if (machine->on_top + slack < machine->top_pages)
		census->room = machine->top_pages - machine->on_top - slack;
	census->may_move = -1ULL;
	if (tunables->mbps)
		census->may_move = (u64)tunables->mbps * MIB_PAGES *
				   min(machine->interval_ms, BURST_MS) / 1000;
	census->window_us = machine->window_s * 1e6;
	census->write_weight = tunables->write_weight;
	ktierd_policy_plan(&machine->budget, machine->interval_ms);
}

static bool wants(const struct machine *machine, bool promote, unsigned int rank)
{
	const struct ktierd_plan *plan = &machine->budget.plan;

	return promote ? ktierd_quota_wants_hot(&plan->promote, rank) :
			 ktierd_quota_wants_cold(&plan->demote, rank);
}

static bool has_room(const struct machine *machine, bool promote, u64 pages)
{
	return !promote || machine->on_top + pages <= machine->top_pages;
}

static void count_move(struct machine *machine, struct ktierd_quota *quota,
		       bool promote, unsigned int rank, u64 pages)
{
	ktierd_quota_take(quota, rank, min(pages, ~0U));
	*(promote ? &machine->up : &machine->down) += pages;
	machine->on_top += promote ? pages : -pages;
}

static u64 move_pages(struct machine *machine, const struct block *block,
		      struct group *group, const struct ktierd_levels *levels,
		      u64 left, struct ktierd_quota *quota, bool promote)
{
	u64 pages = block->weight * unit_pages(block), moved = 0;
	unsigned int i, level, rank;

	for (; left; left &= left - 1) {
		i = __builtin_ctzll(left);
		level = ktierd_levels_at(levels, i);
		rank = machine->budget.plan.rank[level]
						[ktierd_levels_class(levels, i)];
		if (!wants(machine, promote, rank) ||
		    !has_room(machine, promote, pages))
			continue;
		count_move(machine, quota, promote, rank, pages);
		moved |= 1ULL << i;
	}
	machine->trips += hweight64(moved & group->heat.moved) * pages;
	return moved;
}

static void move_group(struct machine *machine, const struct block *block,
		       struct group *group, struct ktierd_quota *quota,
		       bool promote)
{
	u64 here = group->present & (promote ? ~group->top : group->top);
	struct ktierd_levels levels;
	u64 moved;

	if (!here)
		return;
	ktierd_levels_get(&levels, &group->heat, group->top, machine->cold_ticks);
	moved = move_pages(machine, block, group, &levels, here, quota, promote);
	group->top ^= moved;
	ktierd_heat_moved(&group->heat, moved);
}

static void move_idle(struct machine *machine, struct block *block,
		      struct ktierd_quota *quota)
{
	unsigned int level = ktierd_idle_level(block->idle, machine->cold_ticks);
	unsigned int rank = machine->budget.plan.rank[level][0];

	while (block->nr_top && wants(machine, false, rank)) {
		count_move(machine, quota, false, rank, block->weight);
		block->nr_top--;
	}
}

static void move_block(struct machine *machine, struct block *block,
		       struct ktierd_quota *quota, bool promote)
{
	struct group *group = block->group;

	if (!(quota->levels & (promote ? block->levels_low : block->levels_top)))
		return;
	for (; group < block->group + nr_groups(block); group++)
		move_group(machine, block, group, quota, promote);
	if (block->kind == BLOCK_IDLE)
		move_idle(machine, block, quota);
	machine->walked_to_move += block->weight *
		(block->kind == BLOCK_HUGE ? costs.huge_visit :
					     BLOCK_PAGES * costs.pte_visit);
}

static void move(struct machine *machine, struct ktierd_quota *quota, bool promote)
{
	u32 i;

	for (i = 0; i < machine->nr_blocks && quota->pages; i++)
		move_block(machine, &machine->block[i], quota, promote);
}

/* The interval, or longer if the work takes more time. */
static unsigned int rest_ms(const struct machine *machine)
{
	const struct tunables *tunables = &machine->tunables;
	double ms_each = 1000 / costs.instructions_per_s;
	double scan_ms = machine->scan * ms_each, work_ms, ms;

	ms = ktierd_policy_interval(&machine->budget.record, tunables->interval_ms);
	if (!tunables->cpu_percent)
		return ms;
	work_ms = scan_ms + machine->walked_to_move * ms_each +
		  (machine->up + machine->down) * costs.page_moved * ms_each;
	ms = max(ms, scan_ms * 100 / tunables->cpu_percent);
	ms = max(ms, work_ms + machine->window_us / 1000.0);
	return min(ms, 4e9);
}

static void begin_tick(struct machine *machine)
{
	const struct tunables *tunables = &machine->tunables;
	unsigned int tick_ms;
	u64 tick;

	tick_ms = max(tunables->interval_ms, tunables->cold_age_ms / COLD_TICKS);
	tick = machine->now_ms / tick_ms;
	machine->ticks = min(tick - machine->tick, (u64)KTIERD_IDLE_MAX);
	machine->tick = tick;
	machine->cold_ticks = tunables->cold_age_ms ?
		(tunables->cold_age_ms + tick_ms - 1) / tick_ms + 1 : 0;
}

static void begin_round(struct machine *machine)
{
	double window_s = machine->window_us / 1e6;
	u64 epoch = machine->now_ms / EPOCH_MS;

	machine->up = 0;
	machine->down = 0;
	machine->trips = 0;
	machine->walked_to_move = 0;
	machine->epoch_begins = epoch != machine->epoch;
	machine->epoch = epoch;
	machine->window_s = window_s;
	if (machine->tunables.long_window)
		machine->window_s = max(window_s, machine->scan / costs.visits /
						  costs.instructions_per_s);
	machine->late = machine->window_s > window_s * LATE_TIMES + LATE_S;
	machine->rested = window_s * 1000 * FADE_PART < machine->interval_ms;
	machine->shift = ktierd_policy_shift(&machine->budget.record);
	begin_tick(machine);
}

void machine_round(struct machine *machine)
{
	const struct tunables *tunables = &machine->tunables;
	struct ktierd_plan *todo = &machine->budget.plan;
	struct chances chances[CLASSES];

	begin_round(machine);
	work_out_chances(machine, chances);
	sample(machine, chances);
	plan(machine);
	move(machine, &todo->demote, false);
	move(machine, &todo->promote, true);
	machine->round++;
	machine->interval_ms = rest_ms(machine);
	if (!machine->late)
		machine->window_us =
			ktierd_policy_window(&machine->budget,
					     tunables->window_min_us,
					     tunables->interval_ms * 1000);
	machine->now_ms += machine->interval_ms;
}
