/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_KTIERD_POLICY_H
#define _MM_KTIERD_POLICY_H
/*
 * Who belongs in the top tier.  Pure: no locks, no mm types, no allocation; it
 * compiles in user space too.
 */

#include <linux/types.h>

#include "heat.h"

/* Nothing moves up that windows hardly ever find touched: the lowest level. */
#define KTIERD_LEVEL_PROMOTE	(KTIERD_LEVEL_HOT + 1)

/* And nothing that was not seen in so many windows. */
#define KTIERD_SIGHTINGS	2

/*
 * Dirty bits are asked for in so many windows of a table, or of a load, at first,
 * and then in one of so many.
 */
#define KTIERD_DIRTY_WINDOWS	8
#define KTIERD_DIRTY_ROUNDS	16

/* A stable placement is looked at this many times less often, at most. */
#define KTIERD_STRETCH_MAX	8

/* Levels and parts of writes together. */
#define KTIERD_CELLS		(KTIERD_LEVELS * KTIERD_CLASSES)

/**
 * struct ktierd_census - what a round has found
 * @top: marked pages in the top tier that can move
 * @low: the same of lower tiers
 * @were: pages that were watched during the window, by the heat that they had
 *	before it; a huge page is one
 * @touched: those of them that were touched in the window
 * @known: those of the touched that were also watched for writes
 * @written: those that were written
 * @nr_units: all pages of tables that do not sleep, small and huge, watched or not
 * @nr_touched: pages that were touched, a huge one being many
 * @nr_fresh: pages of tables that were not known before
 * @window_us: length of the window
 * @room: pages that promotion may take: what is free, or page cache that was used once,
 *	beyond the headroom
 * @room_later: those of them that page cache has to leave before
 * @shortfall: what each node lacks of its headroom, added up
 * @shortfall_files: what of that other page cache could leave, sooner or later
 * @may_move: pages a direction may move this time, by the rate limit
 * @write_weight: how many reads a write is worth
 */
struct ktierd_census {
	struct ktierd_histogram top;
	struct ktierd_histogram low;
	struct ktierd_histogram were;
	struct ktierd_histogram touched;
	struct ktierd_histogram known;
	struct ktierd_histogram written;
	u64 nr_units;
	u64 nr_touched;
	u64 nr_fresh;
	unsigned int window_us;
	u64 room;
	u64 room_later;
	u64 shortfall;
	u64 shortfall_files;
	u64 may_move;
	unsigned int write_weight;
};

/**
 * struct ktierd_record - what earlier windows have taught
 * @were: as in the census, summed up over windows, the older the less
 * @touched: the same
 * @known: the same
 * @written: the same
 * @windows: windows since the load changed
 * @changed: that was in the last one
 * @calm: windows since then, or since much memory was new
 * @write_weight: how many reads a write was worth in the last one
 * @stable_ms: time since much had to be exchanged
 * @window_us: length of the last window
 */
struct ktierd_record {
	struct ktierd_histogram were;
	struct ktierd_histogram touched;
	struct ktierd_histogram known;
	struct ktierd_histogram written;
	unsigned int windows;
	bool changed;
	unsigned int calm;
	unsigned int write_weight;
	unsigned int stable_ms;
	unsigned int window_us;
};

/**
 * struct ktierd_quota - which pages move in one direction
 * @pages: how many in all
 * @rank: the rank at which the quota ends: all beyond it move
 * @at_rank: how many of those exactly at @rank move
 * @levels: a bit for each level that has pages to move
 * @over_rate: how many more were wanted than the rate limit allows
 */
struct ktierd_quota {
	u64 pages;
	unsigned int rank;
	u64 at_rank;
	u32 levels;
	u64 over_rate;
};

/**
 * struct ktierd_plan - what is to be done
 * @rank: by level and part of writes: the higher, the more it is worth to have
 *	such a page in the top tier
 * @hot: the level from which on a page counts as hot: that from which on
 *	everything fits into the top tier, but at least KTIERD_LEVEL_PROMOTE
 * @exchange: pages that go up against others that go down
 * @lacks: pages that would go up, as fast as they may, if page cache had left the
 *	room for them; some of them do in exchange
 * @promote: highest rank first: ranks above @promote.rank, and some at it
 * @demote: lowest rank first: ranks below @demote.rank, and some at it
 */
struct ktierd_plan {
	u8 rank[KTIERD_LEVELS][KTIERD_CLASSES];
	unsigned int hot;
	u64 exchange;
	u64 lacks;
	struct ktierd_quota promote;
	struct ktierd_quota demote;
};

/**
 * struct ktierd_ranking - what the pages of each cell are worth
 * @worth: uses a window, as learned
 * @variance: of that
 * @order: the cells, from the least worth
 * @least: what an exchange has to bring
 */
struct ktierd_ranking {
	u32 worth[KTIERD_CELLS];
	u64 variance[KTIERD_CELLS];
	u8 order[KTIERD_CELLS];
	u32 least;
};

/**
 * struct ktierd_budget - what a group of processes has of the top tier
 * @census: what this round has found of their pages
 * @record: what earlier ones have taught
 * @plan: what is to be done
 * @ranking: for whoever makes the plan; too large for a stack
 *
 * A cut belongs to a budget.  Today there is one, of all processes.
 */
struct ktierd_budget {
	struct ktierd_census census;
	struct ktierd_record record;
	struct ktierd_plan plan;
	struct ktierd_ranking ranking;
};

bool ktierd_policy_lot(u64 ticket, u32 draw, u32 nr);
void ktierd_policy_begin(struct ktierd_budget *budget);
u64 ktierd_policy_capacity(const struct ktierd_budget *budget);
void ktierd_policy_plan(struct ktierd_budget *budget, unsigned int passed_ms);
bool ktierd_policy_stable(const struct ktierd_record *record);
unsigned int ktierd_policy_shift(const struct ktierd_record *record);
unsigned int ktierd_policy_interval(const struct ktierd_record *record,
				    unsigned int interval_ms);
unsigned int ktierd_policy_window(const struct ktierd_budget *budget,
				  unsigned int min_us, unsigned int max_us);

/**
 * ktierd_quota_wants_hot() - does a page of the lower tier go up?
 * @promote: what is left of the plan's promotions
 * @rank: rank of the page
 *
 * Return: true if it does.
 */
static inline bool ktierd_quota_wants_hot(const struct ktierd_quota *promote,
					  unsigned int rank)
{
	return promote->pages &&
	       (rank > promote->rank ||
		(rank == promote->rank && promote->at_rank));
}

/**
 * ktierd_quota_wants_cold() - does a page of the top tier go down?
 * @demote: what is left of the plan's demotions
 * @rank: rank of the page
 *
 * Return: true if it does.
 */
static inline bool ktierd_quota_wants_cold(const struct ktierd_quota *demote,
					   unsigned int rank)
{
	return demote->pages &&
	       (rank < demote->rank ||
		(rank == demote->rank && demote->at_rank));
}

void ktierd_quota_take(struct ktierd_quota *quota, unsigned int rank,
		       unsigned int nr_pages);

#endif /* _MM_KTIERD_POLICY_H */
