/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_KTIERD_POLICY_H
#define _MM_KTIERD_POLICY_H
/*
 * Who belongs in the top tier.  Pure: no locks, no mm types, no allocation; it
 * compiles in user space too.
 */

#include <linux/types.h>

#include "heat.h"

/* Nothing moves up on one sighting: the lowest level that may. */
#define KTIERD_LEVEL_PROMOTE	(KTIERD_LEVEL_USED + 2)

/**
 * struct ktierd_census - what policy decides on
 * @top: marked pages in the top tier, by level
 * @low: marked pages in lower tiers, by level
 * @room: pages that promotion may take without touching the headroom
 * @shortfall: pages by which the headroom of some node is not there
 * @may_move: pages a direction may move this time, by the rate limit
 */
struct ktierd_census {
	u64 top[KTIERD_LEVELS];
	u64 low[KTIERD_LEVELS];
	u64 room;
	u64 shortfall;
	u64 may_move;
};

/**
 * struct ktierd_quota - which pages move in one direction
 * @pages: how many in all
 * @level: the level at which the quota ends: all beyond it move
 * @at_level: how many of those exactly at @level move
 * @over_rate: how many more were wanted than the rate limit allows
 */
struct ktierd_quota {
	u64 pages;
	unsigned int level;
	u64 at_level;
	u64 over_rate;
};

/**
 * struct ktierd_plan - what is to be done
 * @cut: the level from which on everything fits into the top tier together
 * @hot: the level from which on a page counts as hot: the cut, but never
 *	lower than KTIERD_LEVEL_PROMOTE
 * @promote: hottest first: levels above @promote.level, and some at it
 * @demote: coldest first: levels below @demote.level, and some at it
 */
struct ktierd_plan {
	unsigned int cut;
	unsigned int hot;
	struct ktierd_quota promote;
	struct ktierd_quota demote;
};

u64 ktierd_policy_capacity(const struct ktierd_census *census);
void ktierd_policy_plan(const struct ktierd_census *census,
			struct ktierd_plan *plan);
bool ktierd_quota_wants_hot(const struct ktierd_quota *promote,
			    unsigned int level);
bool ktierd_quota_wants_cold(const struct ktierd_quota *demote,
			     unsigned int level);
void ktierd_quota_take(struct ktierd_quota *quota, unsigned int level,
		       unsigned int nr_pages);
unsigned int ktierd_policy_window(unsigned int window_us, u64 touched,
				  u64 capacity, unsigned int min_us,
				  unsigned int max_us);

#endif /* _MM_KTIERD_POLICY_H */
