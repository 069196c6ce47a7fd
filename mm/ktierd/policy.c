// SPDX-License-Identifier: GPL-2.0
/*
 * Who belongs in the top tier, and what is worth moving to get there.
 *
 * All marked pages, of both tiers, are sorted by heat.  The *capacity* is what
 * they occupy in the top tier plus what is free there beyond the headroom; the
 * *cut* is the level from which on everything fits into it.  Putting what is
 * above the cut into the top tier and the rest below is the placement of an
 * oracle that sorts by frequency.
 *
 * A move costs more than many slow accesses, so the plan asks for less than
 * that.  To exchange two pages, the one that goes up must be clearly hotter
 * than the one that goes down: two levels above the cut against one below it.
 * Where everything is equally warm the level at the cut is never exchanged,
 * and nothing moves.  Only into room that is free anyway do pages go up without
 * that margin.
 */

#include <linux/minmax.h>

#include "policy.h"

/*
 * How far above the cut a page must be to push another one out.  One window
 * more or less is chance; two together with the one level that victims are
 * below the cut make three windows out of eight.
 */
#define KTIERD_EXCHANGE_MARGIN	2

static u64 pages_from(const u64 *nr, unsigned int level)
{
	u64 sum = 0;

	for (; level < KTIERD_LEVELS; level++)
		sum += nr[level];
	return sum;
}

static u64 pages_below(const u64 *nr, unsigned int level)
{
	u64 sum = 0;

	while (level--)
		sum += nr[level];
	return sum;
}

/**
 * ktierd_policy_capacity() - what of the top tier marked memory may fill
 * @census: the state of things
 *
 * Return: pages.
 */
u64 ktierd_policy_capacity(const struct ktierd_census *census)
{
	u64 top = pages_from(census->top, 0);

	return top + census->room - min(top, census->shortfall);
}

/* KTIERD_LEVELS if not even the hottest level fits, 0 if everything does. */
static unsigned int find_cut(const struct ktierd_census *census)
{
	u64 capacity = ktierd_policy_capacity(census);
	unsigned int level = KTIERD_LEVELS;
	u64 sum = 0;

	while (level) {
		sum += census->top[level - 1] + census->low[level - 1];
		if (sum > capacity)
			break;
		level--;
	}
	return level;
}

static unsigned int exchange_level(unsigned int cut)
{
	if (cut >= KTIERD_LEVELS)
		return KTIERD_LEVELS;
	return clamp(cut + KTIERD_EXCHANGE_MARGIN, KTIERD_LEVEL_PROMOTE,
		     KTIERD_LEVELS - 1);
}

/* Fill what is free with the next hottest, as far as they are hot at all. */
static u64 fill_room(const struct ktierd_census *census, u64 pages,
		     unsigned int level)
{
	while (pages < census->room && level > KTIERD_LEVEL_PROMOTE)
		pages = min(pages + census->low[--level], census->room);
	return pages;
}

static void limit_rate(struct ktierd_quota *quota, u64 pages, u64 may_move)
{
	quota->pages = min(pages, may_move);
	quota->over_rate = pages - quota->pages;
}

static void hottest_first(struct ktierd_quota *quota, const u64 *nr)
{
	u64 left = quota->pages;
	unsigned int level = KTIERD_LEVELS - 1;

	while (level && left > nr[level])
		left -= nr[level--];
	quota->level = level;
	quota->at_level = left;
}

static void coldest_first(struct ktierd_quota *quota, const u64 *nr)
{
	u64 left = quota->pages;
	unsigned int level = 0;

	while (level < KTIERD_LEVELS - 1 && left > nr[level])
		left -= nr[level++];
	quota->level = level;
	quota->at_level = left;
}

/**
 * ktierd_policy_plan() - what is to be moved
 * @census: the state of things
 * @plan: the answer
 *
 * Demoted are the pages that are cold, those whose place hotter ones need, and
 * as many as the headroom lacks; whichever is most of the first and the other
 * two together.  Promoted are the pages that are clearly above the cut, as far
 * as there is room or can be made, and others that are hot into what room is
 * left.
 */
void ktierd_policy_plan(const struct ktierd_census *census,
			struct ktierd_plan *plan)
{
	unsigned int exchange;
	u64 shortfall, victims, up, down;

	plan->cut = find_cut(census);
	plan->hot = max(plan->cut, KTIERD_LEVEL_PROMOTE);

	shortfall = min(census->shortfall, pages_from(census->top, 0));
	victims = pages_below(census->top, plan->cut);
	victims -= min(victims, shortfall);

	exchange = exchange_level(plan->cut);
	up = min(pages_from(census->low, exchange), census->room + victims);
	up = fill_room(census, up, exchange);
	limit_rate(&plan->promote, up, census->may_move);
	hottest_first(&plan->promote, census->low);

	down = shortfall;
	if (plan->promote.pages > census->room)
		down += plan->promote.pages - census->room;
	down = max(down, census->top[KTIERD_LEVEL_COLD]);
	limit_rate(&plan->demote, down, census->may_move);
	coldest_first(&plan->demote, census->top);
}

/**
 * ktierd_quota_wants_hot() - does a page of the lower tier go up?
 * @promote: what is left of the plan's promotions
 * @level: heat of the page
 *
 * Return: true if it does.
 */
bool ktierd_quota_wants_hot(const struct ktierd_quota *promote,
			    unsigned int level)
{
	return promote->pages &&
	       (level > promote->level ||
		(level == promote->level && promote->at_level));
}

/**
 * ktierd_quota_wants_cold() - does a page of the top tier go down?
 * @demote: what is left of the plan's demotions
 * @level: heat of the page
 *
 * Return: true if it does.
 */
bool ktierd_quota_wants_cold(const struct ktierd_quota *demote,
			     unsigned int level)
{
	return demote->pages &&
	       (level < demote->level ||
		(level == demote->level && demote->at_level));
}

/**
 * ktierd_quota_take() - count a page that goes
 * @quota: the quota that wanted it
 * @level: heat of the page
 * @nr_pages: its size; the last huge page may overdraw the quota
 */
void ktierd_quota_take(struct ktierd_quota *quota, unsigned int level,
		       unsigned int nr_pages)
{
	quota->pages -= min_t(u64, quota->pages, nr_pages);
	if (level == quota->level)
		quota->at_level -= min_t(u64, quota->at_level, nr_pages);
}

/**
 * ktierd_policy_window() - the length of the next sample window
 * @window_us: length of the last one
 * @touched: pages that were touched in it
 * @capacity: pages that fit into the top tier
 * @min_us: shortest window
 * @max_us: longest window
 *
 * The bits tell most when about as much is touched as fits into the top tier:
 * between three quarters of it and all.  Length and touched pages grow
 * together, though not in proportion; so follow the proportion, by a factor of
 * two at most.
 *
 * Return: length in microseconds.
 */
unsigned int ktierd_policy_window(unsigned int window_us, u64 touched,
				  u64 capacity, unsigned int min_us,
				  unsigned int max_us)
{
	u64 window = window_us;

	if (touched > capacity)
		window = max(window / 2, window * capacity / touched);
	else if (touched * 2 <= capacity)
		window = window * 2;
	else if (touched * 4 < capacity * 3)
		window = window * capacity / touched;

	return clamp_t(u64, window, min_us, max_us);
}
