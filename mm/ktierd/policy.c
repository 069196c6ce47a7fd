// SPDX-License-Identifier: GPL-2.0
/*
 * Who belongs in the top tier, and what is worth moving to get there.
 *
 * All pages of a budget, of both tiers, are sorted into cells, by level of heat
 * and by the part of their uses that is writes.  What a cell is *worth* is not
 * derived from its name but from experience: how many of the pages that were in
 * it before a window were touched, and how many written, in that window.  So it
 * is what having such a page in the top tier can be expected to bring, whatever
 * the noise of scores: where all pages are equally warm, chance spreads them
 * over many levels, and all of these turn out to be worth the same.
 *
 * Pages are exchanged in pairs, the most valuable of the lower tier against the
 * least valuable of the top tier, for as long as this pays.  It pays if the
 * difference makes up for the two moves, and if it is surely no chance.  The
 * result is the placement of an oracle that sorts by frequency, up to what is
 * not worth a move.
 *
 * The levels themselves stay as they are; the ranks of cells, which the plan
 * gives, are what the migrating walk compares.
 */

#include <linux/hash.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "policy.h"

/* Fixed point: uses of a page in a window. */
#define ONE			4096

/*
 * An exchange brings this many uses in a window, or it is not worth it.  Later
 * it has to bring more: by then all that stands out has been found, and what
 * else there is to gain is small, and never comes to an end.
 */
#define LEAST_GAIN		(ONE / 4)
#define SETTLED_GAIN		(LEAST_GAIN * 3)
#define SETTLED_WINDOWS		16

/*
 * It must also pay for itself: two moves, each as dear as some 25 accesses that
 * go to the lower tier, within a minute.
 */
#define MOVES_COST		50
#define MOVES_PAY_US		(60 * 1000000ULL)

/* And be this many times the standard deviation of what cells are worth. */
#define SURE			2

/* How many watched pages weigh as much as the assumption of a mean cell. */
#define PRIOR			8

/* Fixed point: a part of pages, and so large that it fits times any number. */
#define PART			(1024 * 1024ULL)

/* Too few pages to tell a change of the load from chance. */
#define CHANGE_PAGES		64

/* Of fewer than this, only the hottest can be told from the others. */
#define FEW_UNITS		4096

/* What is known well. */
#define STABLE_WINDOWS		8

/*
 * When more than this part of the pages is exchanged, or was not there before,
 * things are on the move.
 */
#define UNSTABLE_PART		256

static unsigned int cell_level(unsigned int cell)
{
	return cell / KTIERD_CLASSES;
}

static u64 cell_pages(const struct ktierd_histogram *histogram,
		      unsigned int cell)
{
	return histogram->nr[cell_level(cell)][cell % KTIERD_CLASSES];
}

static u64 level_pages(const struct ktierd_histogram *histogram,
		       unsigned int level)
{
	unsigned int class;
	u64 sum = 0;

	for (class = 0; class < KTIERD_CLASSES; class++)
		sum += histogram->nr[level][class];
	return sum;
}

static u64 pages_from(const struct ktierd_histogram *histogram,
		      unsigned int level)
{
	u64 sum = 0;

	for (; level < KTIERD_LEVELS; level++)
		sum += level_pages(histogram, level);
	return sum;
}

/**
 * ktierd_policy_lot() - is it this one that counts what several have?
 * @ticket: what they have, and who asks
 * @draw: lots are drawn anew for each number
 * @nr: how many have it
 *
 * Return: true for one in @nr; always, if there is nobody else.
 */
bool ktierd_policy_lot(u64 ticket, u32 draw, u32 nr)
{
	u64 drawn = hash_64(ticket + ((u64)draw << 40), 32);

	/* Not the remainder: of that the draw would change nothing for small @nr. */
	return !(drawn * nr >> 32);
}

/**
 * ktierd_policy_begin() - a round begins
 * @budget: whose
 */
void ktierd_policy_begin(struct ktierd_budget *budget)
{
	memset(&budget->census, 0, sizeof(budget->census));
}

/*
 * How many pages go down for the headroom.  Those in use do not for what page cache
 * could leave as well: it would take their place, until none was left.  And which
 * are in use the first windows cannot tell.
 */
static u64 find_shortfall(const struct ktierd_budget *budget)
{
	const struct ktierd_census *census = &budget->census;
	u64 all = pages_from(&census->top, 0), unused = 0;
	u64 files = min(census->shortfall, census->shortfall_files);

	if (budget->record.windows >= STABLE_WINDOWS)
		unused = all - pages_from(&census->top, KTIERD_LEVEL_PROMOTE);
	return max(min(census->shortfall, unused),
		   min(census->shortfall - files, all));
}

/**
 * ktierd_policy_capacity() - what of the top tier marked memory may fill
 * @budget: the census is complete
 *
 * Return: pages.
 */
u64 ktierd_policy_capacity(const struct ktierd_budget *budget)
{
	u64 top = pages_from(&budget->census.top, 0);

	return top + budget->census.room - min(top, find_shortfall(budget));
}

/* By more than three times the root of what was expected. */
static bool surely_less(u64 nr, u64 expected)
{
	u64 less = expected - min(nr, expected);

	return less > U32_MAX || less * less > 9 * expected;
}

/* What part of the pages of a cell used to be touched in a window. */
static u64 part_touched(const struct ktierd_record *record, unsigned int cell)
{
	u64 were = cell_pages(&record->were, cell);

	return were ? cell_pages(&record->touched, cell) * PART / were : 0;
}

static u64 mean_part_touched(const struct ktierd_record *record)
{
	u64 were = pages_from(&record->were, 0);

	return were ? pages_from(&record->touched, 0) * PART / were : 0;
}

/*
 * Has the load changed?  If pages that used to be touched in more windows than
 * the mean are not any more, in proportion to what others are.  Only the proportion
 * counts, because a load that does more of the same touches more of everything.
 */
static bool load_changed(const struct ktierd_record *record,
			 const struct ktierd_census *census)
{
	u64 nr[2] = {}, touched[2] = {}, expected[2] = {}, part;
	u64 mean = mean_part_touched(record);
	unsigned int cell, hot;

	for (cell = 0; cell < KTIERD_CELLS; cell++) {
		if (!cell_pages(&record->were, cell))
			continue;
		part = part_touched(record, cell);
		hot = part > mean;
		nr[hot] += cell_pages(&census->were, cell);
		touched[hot] += cell_pages(&census->touched, cell);
		expected[hot] += cell_pages(&census->were, cell) * part;
	}
	if (nr[0] < CHANGE_PAGES || nr[1] < CHANGE_PAGES)
		return false;
	/* Of a load that is faster: a page is not touched more than always. */
	if (!surely_less(touched[1], expected[1] / PART))
		return false;
	for (hot = 0; hot < 2; hot++) {
		expected[hot] /= nr[hot];
		touched[hot] = touched[hot] * PART / nr[hot];
	}
	/* They were no hotter than the others to begin with. */
	if (expected[1] * 4 < expected[0] * 5)
		return false;
	return touched[1] * expected[0] * 4 < touched[0] * expected[1] * 3;
}

/* With a window of another length all expectations are off. */
static bool same_window(const struct ktierd_record *record,
			const struct ktierd_census *census)
{
	u64 last = record->window_us, now = census->window_us;

	return now * 4 <= last * 5 && last * 4 <= now * 5;
}

static void fold(struct ktierd_histogram *into,
		 const struct ktierd_histogram *from, unsigned int shift)
{
	unsigned int cell;
	u64 *nr;

	for (cell = 0; cell < KTIERD_CELLS; cell++) {
		nr = &into->nr[cell_level(cell)][cell % KTIERD_CLASSES];
		*nr += cell_pages(from, cell) - (*nr >> shift);
	}
}

/*
 * While scores are young, pages pass from cell to cell, and what a cell was
 * worth a few windows ago says nothing.
 */
static unsigned int record_shift(const struct ktierd_record *record)
{
	if (record->windows < 3)
		return 0;
	return record->windows < 8 ? 1 : 3;
}

/* Is nothing worth what it was? */
static bool begins_anew(const struct ktierd_record *record,
			const struct ktierd_census *census)
{
	if (record->windows > 1 && record->write_weight != census->write_weight)
		return true;
	return record->windows > 4 && same_window(record, census) &&
	       load_changed(record, census);
}

static void learn(struct ktierd_record *record,
		  const struct ktierd_census *census)
{
	unsigned int shift;

	record->changed = false;
	if (!pages_from(&census->were, 0))
		return;
	record->windows++;
	record->calm++;
	if (begins_anew(record, census)) {
		record->changed = true;
		record->windows = 0;
		record->calm = 0;
		record->stable_ms = 0;
	}
	shift = record_shift(record);
	fold(&record->were, &census->were, shift);
	fold(&record->touched, &census->touched, shift);
	fold(&record->known, &census->known, shift);
	fold(&record->written, &census->written, shift);
	record->window_us = census->window_us;
	record->write_weight = census->write_weight;
}

/* Not all that are watched are watched for writes. */
static u64 weighted_uses(const struct ktierd_record *record, unsigned int cell,
			 unsigned int write_weight)
{
	u64 touched = cell_pages(&record->touched, cell);
	u64 known = cell_pages(&record->known, cell), part;

	if (write_weight <= 1 || !known)
		return touched;
	part = cell_pages(&record->written, cell) * ONE / known;
	return touched + (write_weight - 1) * (touched * part / ONE);
}

static u32 mean_worth(const struct ktierd_record *record,
		      unsigned int write_weight)
{
	u64 pages = 0, uses = 0;
	unsigned int cell;

	for (cell = 0; cell < KTIERD_CELLS; cell++) {
		pages += cell_pages(&record->were, cell);
		uses += weighted_uses(record, cell, write_weight);
	}
	return pages ? uses * ONE / pages : 0;
}

/* What an exchange has to bring to pay for its moves. */
static u32 least_gain(const struct ktierd_record *record)
{
	u64 gain = (u64)record->window_us * MOVES_COST * ONE / MOVES_PAY_US;

	return max_t(u64, gain, record->calm < SETTLED_WINDOWS ?
				LEAST_GAIN : SETTLED_GAIN);
}

static void rank_cells(struct ktierd_ranking *ranking,
		       const struct ktierd_record *record,
		       unsigned int write_weight)
{
	u64 mean = mean_worth(record, write_weight), uses, pages;
	u64 weight = max(write_weight, 1U);
	unsigned int cell, i;

	ranking->least = least_gain(record);
	for (cell = 0; cell < KTIERD_CELLS; cell++) {
		uses = weighted_uses(record, cell, write_weight) * ONE;
		pages = cell_pages(&record->were, cell);
		ranking->worth[cell] = (uses + PRIOR * mean) / (pages + PRIOR);
		/* of a part of n: at most a 4n-th, and each use may be written */
		ranking->variance[cell] = weight * weight * ONE * (ONE / 4) /
					  (pages + 1);
		/* This is what cold means, however few were seen. */
		if (cell_level(cell) == KTIERD_LEVEL_COLD) {
			ranking->worth[cell] = 0;
			ranking->variance[cell] = 0;
		}
		for (i = cell; i; i--) {
			if (ranking->worth[ranking->order[i - 1]] <=
			    ranking->worth[cell])
				break;
			ranking->order[i] = ranking->order[i - 1];
		}
		ranking->order[i] = cell;
	}
}

/* Is that an exchange pays more than chance? */
static bool is_sure(const struct ktierd_ranking *ranking, unsigned int up,
		    unsigned int down)
{
	s64 gain = (s64)ranking->worth[up] - ranking->worth[down] -
		   ranking->least;

	return gain * gain >= SURE * SURE * (s64)(ranking->variance[up] +
						  ranking->variance[down]);
}

/**
 * struct cursor - going through the pages of a tier in the order of worth
 * @histogram: the pages
 * @at: the place in the order
 * @left: pages of the cell there that were not passed yet
 */
struct cursor {
	const struct ktierd_histogram *histogram;
	int at;
	u64 left;
};

/* Pass over empty cells, and over pages that are spoken for. */
static bool cursor_find(struct cursor *cursor,
			const struct ktierd_ranking *ranking, int step,
			u64 *skip)
{
	u64 passed;

	while (!cursor->left) {
		cursor->at += step;
		if (cursor->at < 0 || cursor->at >= (int)KTIERD_CELLS)
			return false;
		cursor->left = cell_pages(cursor->histogram,
					  ranking->order[cursor->at]);
		passed = min(cursor->left, *skip);
		cursor->left -= passed;
		*skip -= passed;
	}
	return true;
}

/*
 * How many pages go up against others that go down?
 * @filling: go up anyway, into room that is free
 * @shortfall: go down anyway
 */
static u64 find_exchange(const struct ktierd_ranking *ranking,
			 const struct ktierd_census *census, u64 filling,
			 u64 shortfall)
{
	struct cursor low = { &census->low, KTIERD_CELLS, 0 };
	struct cursor top = { &census->top, -1, 0 };
	u64 pages, sum = 0, sure = 0;
	unsigned int up, down;

	/* Cells that are hardly known must not stand in the way of others. */
	while (cursor_find(&low, ranking, -1, &filling) &&
	       cursor_find(&top, ranking, 1, &shortfall)) {
		up = ranking->order[low.at];
		down = ranking->order[top.at];
		if (ranking->worth[up] < ranking->worth[down] + ranking->least)
			break;
		pages = min(low.left, top.left);
		low.left -= pages;
		top.left -= pages;
		sum += pages;
		if (is_sure(ranking, up, down))
			sure = sum;
	}
	return sure;
}

static unsigned int find_hot(const struct ktierd_budget *budget)
{
	const struct ktierd_census *census = &budget->census;
	u64 capacity = ktierd_policy_capacity(budget), sum = 0;
	unsigned int level = KTIERD_LEVELS;

	while (level > KTIERD_LEVEL_PROMOTE) {
		sum += level_pages(&census->top, level - 1) +
		       level_pages(&census->low, level - 1);
		if (sum > capacity)
			break;
		level--;
	}
	return level;
}

static void set_quota(struct ktierd_quota *quota, u64 pages, u64 may_move)
{
	memset(quota, 0, sizeof(*quota));
	quota->pages = min(pages, may_move);
	quota->over_rate = pages - quota->pages;
}

/* Where a quota ends that is filled in the order of worth. */
static void end_quota(struct ktierd_quota *quota,
		      const struct ktierd_ranking *ranking,
		      const struct ktierd_histogram *histogram, int step)
{
	int at = step > 0 ? 0 : KTIERD_CELLS - 1;
	int end = step > 0 ? KTIERD_CELLS - 1 : 0;
	u64 left = quota->pages, here;

	for (;; at += step) {
		here = cell_pages(histogram, ranking->order[at]);
		if (here && left)
			quota->levels |= 1U << cell_level(ranking->order[at]);
		if (at == end || left <= here)
			break;
		left -= here;
	}
	quota->rank = at;
	quota->at_rank = left;
}

static void make_plan(struct ktierd_budget *budget, bool sure)
{
	const struct ktierd_census *census = &budget->census;
	const struct ktierd_ranking *ranking = &budget->ranking;
	struct ktierd_plan *plan = &budget->plan;
	u64 now = census->room - min(census->room, census->room_later);
	u64 shortfall = find_shortfall(budget), filling = 0, hot, down;
	unsigned int i, cell;

	for (i = 0; i < KTIERD_CELLS; i++) {
		cell = ranking->order[i];
		plan->rank[cell_level(cell)][cell % KTIERD_CLASSES] = i;
	}
	plan->hot = find_hot(budget);

	plan->exchange = 0;
	plan->lacks = 0;
	if (sure) {
		hot = pages_from(&census->low, KTIERD_LEVEL_PROMOTE);
		hot = min(hot, census->room);
		filling = min(hot, now);
		plan->lacks = min(hot - filling, census->may_move);
		plan->exchange = find_exchange(ranking, census, filling,
					       shortfall);
	}

	set_quota(&plan->promote, filling + plan->exchange, census->may_move);
	end_quota(&plan->promote, ranking, &census->low, -1);

	down = shortfall;
	if (plan->promote.pages > filling)
		down += plan->promote.pages - filling;
	down = max(down, level_pages(&census->top, KTIERD_LEVEL_COLD));
	set_quota(&plan->demote, down, census->may_move);
	end_quota(&plan->demote, ranking, &census->top, 1);
}

/**
 * ktierd_policy_plan() - learn from a round, and say what is to be moved
 * @budget: the census is complete; the record is brought up to date, and the
 *	plan made
 * @passed_ms: time since the last round
 *
 * Demoted are the pages that are cold, those whose place more valuable ones
 * take, and as many as the headroom lacks; whichever is most of the first and
 * the other two together.  Promoted are the pages that are worth an exchange,
 * and as many as there is room for anyway, if they are hot at all.
 */
void ktierd_policy_plan(struct ktierd_budget *budget, unsigned int passed_ms)
{
	struct ktierd_census *census = &budget->census;
	struct ktierd_record *record = &budget->record;
	struct ktierd_ranking *ranking = &budget->ranking;
	u64 pages;

	record->stable_ms += min(passed_ms, (unsigned int)-1 - record->stable_ms);
	learn(record, census);
	rank_cells(ranking, record, census->write_weight);
	make_plan(budget, record->windows >= KTIERD_SIGHTINGS);

	pages = pages_from(&census->top, 0) + pages_from(&census->low, 0);
	if (census->nr_fresh > pages / UNSTABLE_PART)
		record->calm = 0;
	if (budget->plan.exchange + budget->plan.lacks + census->nr_fresh >
	    pages / UNSTABLE_PART)
		record->stable_ms = 0;
}

/**
 * ktierd_policy_stable() - is the placement about what it should be?
 * @record: what is known
 *
 * Return: true if the load has been the same for a while, and nothing much had
 * to be exchanged.
 */
bool ktierd_policy_stable(const struct ktierd_record *record)
{
	return record->windows >= STABLE_WINDOWS && record->stable_ms;
}

/**
 * ktierd_policy_shift() - how fast to learn
 * @record: what is known already
 *
 * Return: the shift for the next window; see ktierd_heat_window().
 */
unsigned int ktierd_policy_shift(const struct ktierd_record *record)
{
	return ktierd_heat_shift(record->windows);
}

/**
 * ktierd_policy_interval() - how long until the next round
 * @record: what is known
 * @interval_ms: shortest interval
 *
 * What has not changed for a while will not change the next moment: go on
 * looking after an eighth of that while.
 *
 * Return: milliseconds.
 */
unsigned int ktierd_policy_interval(const struct ktierd_record *record,
				    unsigned int interval_ms)
{
	return clamp(record->stable_ms / 8, interval_ms,
		     interval_ms * KTIERD_STRETCH_MAX);
}

/**
 * ktierd_policy_window() - the length of the next sample window
 * @budget: what the last one has found
 * @min_us: shortest window
 * @max_us: longest window
 *
 * The bits tell most of the pages that are touched in about half of the windows.
 * Those should be the ones about the cut; so a little more should be touched in
 * all than fits into the top tier.  But where that is a small part of all, too
 * few touches are seen, and where it is nearly all, everything is touched.  So
 * the goal is five quarters of it, from a quarter to two thirds of all, and a
 * fifth less will do.  Length and touched pages grow together, though not in
 * proportion; so follow the proportion.
 *
 * The very hottest stand out in a short window.  So begin with a short one when
 * the load has changed.  And of few pages, as of huge ones, chance hides all
 * finer differences: then half as much is the goal.
 *
 * Return: length in microseconds.
 */
unsigned int ktierd_policy_window(const struct ktierd_budget *budget,
				  unsigned int min_us, unsigned int max_us)
{
	const struct ktierd_census *census = &budget->census;
	u64 pages = pages_from(&census->top, 0) + pages_from(&census->low, 0);
	/* Those of the lower tier that are new are not among them. */
	u64 all = pages + census->nr_fresh;
	u64 goal = clamp(ktierd_policy_capacity(budget) *
			 (census->nr_units < FEW_UNITS ? 5 : 10) / 8, pages / 4,
			 all * 2 / 3);
	u64 window = census->window_us;

	/* Where all is touched, there is no proportion. */
	if (budget->record.changed || census->nr_touched > all - all / 16)
		window /= 8;
	else if (census->nr_touched > goal)
		window = max(window / 8, window * goal / census->nr_touched);
	else if (census->nr_touched * 8 <= goal)
		window = window * 8;
	else if (census->nr_touched * 5 < goal * 4)
		window = window * goal / census->nr_touched;

	return clamp_t(u64, window, min_us, max_us);
}

/**
 * ktierd_quota_take() - count a page that goes
 * @quota: the quota that wanted it
 * @rank: rank of the page
 * @nr_pages: its size; the last huge page may overdraw the quota
 */
void ktierd_quota_take(struct ktierd_quota *quota, unsigned int rank,
		       unsigned int nr_pages)
{
	quota->pages -= min_t(u64, quota->pages, nr_pages);
	if (rank == quota->rank)
		quota->at_rank -= min_t(u64, quota->at_rank, nr_pages);
}
