/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_SIM_MACHINE_H
#define KTIERD_SIM_MACHINE_H
/*
 * A synthetic machine: its memory in two tiers, what touches it, and the thread
 * that goes round it with the very heat.c and policy.c of the kernel.
 */
#include <linux/types.h>

#include "heat.h"
#include "policy.h"

#define BLOCK_PAGES	512
#define BLOCK_GROUPS	(BLOCK_PAGES / KTIERD_GROUP_PAGES)

/* Pages of a class are accessed equally often. */
#define CLASSES		256

/**
 * struct rate - how often a page, or a huge page, is accessed
 * @reads: a second
 * @writes: a second
 * @worth: of it, what is to be served by the top tier
 */
struct rate {
	double reads;
	double writes;
	double worth;
};

/**
 * struct group - 64 small pages, or one huge page
 * @heat: their histories
 * @present: which are there
 * @top: which are in the top tier
 * @touched: which were touched in the last window
 * @class: what accesses them
 */
struct group {
	struct ktierd_heat heat;
	u64 present;
	u64 top;
	u64 touched;
	u8 class[KTIERD_GROUP_PAGES];
};

enum block_kind {
	BLOCK_SMALL,	/* a page table that is walked */
	BLOCK_HUGE,	/* a huge page */
	BLOCK_IDLE,	/* a page table that is skipped */
};

/**
 * struct block - what is below a PMD
 * @kind: of what kind
 * @weight: for how many equal blocks of the machine it stands
 * @windows: that it was in, up to 255
 * @watched: for what its pages are worth, in this round
 * @light: and not for what is written
 * @levels_top: a bit for each level that the round has found in the top tier
 * @levels_low: the same for the lower tier
 * @group: its groups; none if it is idle
 * @idle: if it is idle, for how many ticks
 * @nr_top: if it is idle, pages in the top tier
 */
struct block {
	enum block_kind kind;
	u64 weight;
	unsigned int windows;
	bool watched;
	bool light;
	u32 levels_top;
	u32 levels_low;
	struct group *group;
	unsigned int idle;
	unsigned int nr_top;
};

/**
 * struct tunables - what an administrator sets, and constants of the thread
 * @interval_ms: shortest interval
 * @cpu_percent: of one CPU, at most, for scanning; 0: scanning takes no time
 * @cold_age_ms: idle for so long is cold
 * @mbps: MiB a second and direction that may be moved; 0: any number
 * @write_weight: how many reads a write is worth
 * @window_min_us: shortest window
 * @watched: about so many pages are watched, a huge one being one; or all
 * @long_window: all processes are cleared before the first is read, so that
 *	a window is longer than it is set by the time that a walk takes
 */
struct tunables {
	unsigned int interval_ms;
	unsigned int cpu_percent;
	unsigned int cold_age_ms;
	unsigned int mbps;
	unsigned int write_weight;
	unsigned int window_min_us;
	unsigned int watched;
	bool long_window;
};

/**
 * struct machine - a machine
 * @tunables: as they are set
 * @block: its blocks, equal ones beside each other
 * @nr_blocks: how many
 * @watch: every so many of them are watched
 * @mms: processes
 * @rate: of each class
 * @pages: pages of each class, all over the machine
 * @top_pages: those of the top tier that marked memory may fill
 * @headroom: and those that are left free by promotion
 * @on_top: pages that are in the top tier
 * @scan: instructions that the walks of a round take
 * @history: bytes that histories take
 * @budget: census, record and plan
 * @round: rounds so far
 * @now_ms: time
 * @interval_ms: of the last round
 * @window_us: of the next round
 * @window_s: how long the window of this round really is
 * @late: it was far longer than it was to be, and tells nothing
 * @rested: the interval was much longer than it
 * @shift: how fast to learn
 * @epoch: number of the epoch
 * @epoch_begins: this round is the first in it
 * @tick: number of the tick; idleness is counted in these
 * @ticks: that have passed since the last round
 * @cold_ticks: idle for this many is cold
 * @up: pages that the last round has promoted
 * @down: and demoted
 * @trips: of both, those that were moved lately
 * @walked_to_move: instructions that looking for pages to move has taken
 */
struct machine {
	struct tunables tunables;
	struct block *block;
	u32 nr_blocks;
	unsigned int watch;
	u64 mms;
	struct rate rate[CLASSES];
	u64 pages[CLASSES];
	u64 top_pages;
	u64 headroom;
	u64 on_top;
	double scan;
	double history;
	struct ktierd_budget budget;
	unsigned int round;
	u64 now_ms;
	unsigned int interval_ms;
	unsigned int window_us;
	double window_s;
	bool late;
	bool rested;
	unsigned int shift;
	u64 epoch;
	bool epoch_begins;
	u64 tick;
	unsigned int ticks;
	unsigned int cold_ticks;
	u64 up;
	u64 down;
	u64 trips;
	double walked_to_move;
};

/* Pages that a bit of the block's groups stands for, in one such block. */
static inline unsigned int unit_pages(const struct block *block)
{
	return block->kind == BLOCK_HUGE ? BLOCK_PAGES : 1;
}

static inline unsigned int nr_groups(const struct block *block)
{
	switch (block->kind) {
	case BLOCK_SMALL:
		return BLOCK_GROUPS;
	case BLOCK_HUGE:
		return 1;
	default:
		return 0;
	}
}

/* Pages that are looked at one by one. */
static inline unsigned int nr_units(const struct block *block)
{
	return nr_groups(block) * (block->kind == BLOCK_SMALL ?
				   KTIERD_GROUP_PAGES : 1);
}

/* A block without pages, to be filled. */
void machine_add_block(struct machine *machine, enum block_kind kind, u64 weight);

/* To be called when all blocks are there, and when their pages have changed. */
void machine_count(struct machine *machine);

/* Go round once. The clock then stands at the beginning of the next round. */
void machine_round(struct machine *machine);

/* What part of what is worth it the top tier serves, and the best there is. */
double machine_share(const struct machine *machine);
double machine_oracle(const struct machine *machine);

/* Pages of the machine. */
u64 machine_pages(const struct machine *machine);

#endif
