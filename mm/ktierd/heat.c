// SPDX-License-Identifier: GPL-2.0
/*
 * The history of pages, and what it says about them.
 *
 * Two facts come in a scan.  The clearing walk tells whether a page was *used*
 * at any time since the clearing walk before; that is exact, and tells used
 * from idle.  The reading walk tells whether it was *touched* in the short
 * window between the two, and whether it was written; averaged over windows,
 * that tells hot from warm.  Neither can stand for the other: over a second
 * everything in a busy process is used, and in 20 ms a page touched once a
 * second is nearly always untouched and yet not cold.
 *
 * The average is a moving one: a window takes away the 2^shift-th part of the
 * score and adds as much again if the page was touched and written.  A small
 * shift learns fast, a large one tells pages apart that differ by little.
 *
 * All numbers are bit-sliced.  Adding to, comparing and counting the numbers of
 * 64 pages so takes as many instructions as for a single one.
 */

#include <linux/bitops.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "heat.h"

/* Of a score, the bits that make a level. */
#define LEVEL_SHIFT		(KTIERD_SCORE_BITS - KTIERD_LEVEL_BITS + 1)

/* How fast the part of writes is learned: about the last eight touches. */
#define WRITES_SHIFT		2

/*
 * A page that was moved lately has to be this much hotter or colder to move
 * back.
 */
#define MOVED_BIAS		(KTIERD_SCORE_MAX / 8)

/* Add a number to those of some pages; what is too large becomes the largest. */
static void add(u64 *number, unsigned int bits, unsigned int value, u64 pages)
{
	u64 carry = 0, addend, sum;
	unsigned int k;

	for (k = 0; k < bits; k++) {
		addend = value >> k & 1 ? pages : 0;
		sum = number[k] ^ addend ^ carry;
		carry = (number[k] & addend) | (carry & (number[k] ^ addend));
		number[k] = sum;
	}
	if (value >> bits)
		carry = pages;
	if (carry)
		for (k = 0; k < bits; k++)
			number[k] |= carry;
}

/* Subtract a number from those of some pages, down to 0. */
static void subtract(u64 *number, unsigned int bits, unsigned int value,
		     u64 pages)
{
	unsigned int k;

	for (k = 0; k < bits; k++)
		number[k] ^= pages;
	add(number, bits, value, pages);
	for (k = 0; k < bits; k++)
		number[k] ^= pages;
}

/* Which pages have at least this number? */
static u64 at_least(const u64 *number, unsigned int bits, unsigned int value)
{
	u64 more = 0, same = ~0ULL;

	if (value >> bits)
		return 0;
	while (bits--) {
		if (!(value >> bits & 1))
			more |= same & number[bits];
		same &= value >> bits & 1 ? number[bits] : ~number[bits];
	}
	return more | same;
}

static unsigned int one_of(const u64 *number, unsigned int bits, unsigned int i)
{
	unsigned int value = 0;

	while (bits--)
		value = value << 1 | (number[bits] >> i & 1);
	return value;
}

static void set_one(u64 *number, unsigned int bits, unsigned int i,
		    unsigned int value)
{
	unsigned int k;

	for (k = 0; k < bits; k++) {
		number[k] &= ~(1ULL << i);
		number[k] |= (u64)(value >> k & 1) << i;
	}
}

/**
 * ktierd_heat_age() - what the clearing walk found
 * @heat: the histories
 * @used: pages used since the last clearing walk
 * @unused: pages that are there and were not
 * @ticks: ticks that have passed since that walk
 *
 * Where nothing is present, the history stands still.
 */
void ktierd_heat_age(struct ktierd_heat *heat, u64 used, u64 unused,
		     unsigned int ticks)
{
	unsigned int k;

	if (used)
		for (k = 0; k < KTIERD_IDLE_BITS; k++)
			heat->idle[k] &= ~used;
	if (ticks && unused)
		add(heat->idle, KTIERD_IDLE_BITS, ticks, unused);
}

/**
 * ktierd_heat_fade() - halve the scores of pages that were not even used
 * @heat: the histories
 * @pages: those not used in a time much longer than a window
 */
void ktierd_heat_fade(struct ktierd_heat *heat, u64 pages)
{
	unsigned int k;
	u64 half;

	for (k = 0; k < KTIERD_SCORE_BITS; k++) {
		half = k + 1 < KTIERD_SCORE_BITS ? heat->score[k + 1] : 0;
		heat->score[k] = (heat->score[k] & ~pages) | (half & pages);
	}
}

/**
 * ktierd_heat_rescale() - count idleness in ticks of another length
 * @heat: the histories
 * @from_ms: length of the ticks so far
 * @to_ms: length of the ticks from now on
 */
void ktierd_heat_rescale(struct ktierd_heat *heat, unsigned int from_ms,
			 unsigned int to_ms)
{
	unsigned int i;
	u64 idle_ms;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
		idle_ms = (u64)ktierd_heat_idle(heat, i) * from_ms;
		set_one(heat->idle, KTIERD_IDLE_BITS, i,
			min(idle_ms / to_ms, (u64)KTIERD_IDLE_MAX));
	}
}

/*
 * Take away the 2^shift-th part of the numbers of some pages.  Of the others it
 * is rounded up, so that a number can reach both ends.
 */
static void decay(u64 *number, unsigned int bits, unsigned int shift,
		  u64 pages, u64 up)
{
	u64 borrow = 0, part, difference;
	unsigned int k;

	for (k = 0; k < min(shift, bits); k++)
		borrow |= number[k];
	borrow &= up & pages;
	for (k = 0; k < bits; k++) {
		part = k + shift < bits ? number[k + shift] & pages : 0;
		difference = number[k] ^ part ^ borrow;
		borrow = (~number[k] & (part | borrow)) | (part & borrow);
		number[k] = difference;
	}
}

/* Of what had no score, the first touch is all that is known. */
static void learn_writes(struct ktierd_heat *heat, u64 touched, u64 written,
			 u64 scored)
{
	u64 fresh = touched & ~scored;
	unsigned int k;

	scored &= touched;
	decay(heat->writes, KTIERD_WRITES_BITS, WRITES_SHIFT, scored, ~written);
	add(heat->writes, KTIERD_WRITES_BITS,
	    (KTIERD_WRITES_MAX + 1) >> WRITES_SHIFT, scored & written);
	for (k = 0; k < KTIERD_WRITES_BITS; k++)
		heat->writes[k] = (heat->writes[k] & ~fresh) | (fresh & written);
}

static u64 pages_scored(const struct ktierd_heat *heat)
{
	unsigned int k;
	u64 any = 0;

	for (k = 0; k < KTIERD_SCORE_BITS; k++)
		any |= heat->score[k];
	return any;
}

/**
 * ktierd_heat_touch() - what a reading walk found that did not look for writes
 * @heat: the histories
 * @touched: pages that were touched in the window, and so used as well
 * @shift: how fast to learn; 0 believes this window alone
 */
void ktierd_heat_touch(struct ktierd_heat *heat, u64 touched,
		       unsigned int shift)
{
	unsigned int k;

	if (!touched && ktierd_heat_scoreless(heat))
		return;
	decay(heat->score, KTIERD_SCORE_BITS, shift, ~0ULL, ~touched);
	if (!touched)
		return;
	add(heat->score, KTIERD_SCORE_BITS, (KTIERD_SCORE_MAX + 1) >> shift,
	    touched);
	for (k = 0; k < KTIERD_IDLE_BITS; k++)
		heat->idle[k] &= ~touched;
}

/**
 * ktierd_heat_window() - what the reading walk found
 * @heat: the histories
 * @touched: pages that were touched in the window, and so used as well
 * @written: those of them that were written
 * @shift: how fast to learn; 0 believes this window alone
 */
void ktierd_heat_window(struct ktierd_heat *heat, u64 touched, u64 written,
			unsigned int shift)
{
	if (touched)
		learn_writes(heat, touched, written,
			     shift ? pages_scored(heat) : 0);
	ktierd_heat_touch(heat, touched, shift);
}

/**
 * ktierd_heat_shift() - how fast to learn
 * @windows: how many windows there were before
 *
 * Of the first two each counts for what it is, and from then on a score is an
 * average, of ever more windows.
 *
 * Return: the shift of the next window, see ktierd_heat_window().
 */
unsigned int ktierd_heat_shift(unsigned int windows)
{
	if (windows < 2)
		return windows;
	return clamp(fls(windows + 1) - 1, 2, KTIERD_SHIFT_MAX);
}

/**
 * ktierd_heat_moved() - note which pages are moved, up or down
 * @heat: the histories
 * @pages: the pages
 */
void ktierd_heat_moved(struct ktierd_heat *heat, u64 pages)
{
	heat->moved |= pages;
}

/**
 * ktierd_heat_settled() - the last moves of a group were long ago
 * @heat: the histories
 */
void ktierd_heat_settled(struct ktierd_heat *heat)
{
	heat->moved = 0;
}

/**
 * ktierd_heat_uniform() - histories of pages that are all alike
 * @heat: the histories
 * @idle: ticks for which all have been idle
 */
void ktierd_heat_uniform(struct ktierd_heat *heat, unsigned int idle)
{
	memset(heat, 0, sizeof(*heat));
	add(heat->idle, KTIERD_IDLE_BITS, idle, ~0ULL);
}

/**
 * ktierd_heat_merge() - the history of a whole from that of its parts
 * @into: the history of the whole so far, as page 0
 * @from: histories of more parts
 * @pages: which of them count
 *
 * A huge page is as hot as its hottest part, and as idle as its least idle.
 */
void ktierd_heat_merge(struct ktierd_heat *into, const struct ktierd_heat *from,
		       u64 pages)
{
	unsigned int least, most, best = 0, i;

	if (!pages)
		return;
	for (i = 0; i < KTIERD_GROUP_PAGES; i++)
		if (pages >> i & 1 && (!(pages >> best & 1) ||
				       ktierd_heat_score(from, i) >
				       ktierd_heat_score(from, best)))
			best = i;
	if (ktierd_heat_score(from, best) > ktierd_heat_score(into, 0)) {
		set_one(into->score, KTIERD_SCORE_BITS, 0,
			ktierd_heat_score(from, best));
		set_one(into->writes, KTIERD_WRITES_BITS, 0,
			one_of(from->writes, KTIERD_WRITES_BITS, best));
	}
	ktierd_heat_idle_range(from, pages, &least, &most);
	set_one(into->idle, KTIERD_IDLE_BITS, 0,
		min(ktierd_heat_idle(into, 0), least));
}

/**
 * ktierd_heat_spread() - the histories of parts from that of their whole
 * @into: histories of the parts
 * @from: history of the whole, as page 0
 */
void ktierd_heat_spread(struct ktierd_heat *into, const struct ktierd_heat *from)
{
	unsigned int writes = one_of(from->writes, KTIERD_WRITES_BITS, 0);

	ktierd_heat_uniform(into, ktierd_heat_idle(from, 0));
	add(into->score, KTIERD_SCORE_BITS, ktierd_heat_score(from, 0), ~0ULL);
	add(into->writes, KTIERD_WRITES_BITS, writes, ~0ULL);
	into->moved = from->moved & 1 ? ~0ULL : 0;
}

/**
 * ktierd_heat_used() - which pages were used lately
 * @heat: the histories
 * @ticks: how lately, less than KTIERD_IDLE_MAX
 *
 * Return: a bit a page.
 */
u64 ktierd_heat_used(const struct ktierd_heat *heat, unsigned int ticks)
{
	return ~at_least(heat->idle, KTIERD_IDLE_BITS, ticks + 1);
}

/**
 * ktierd_heat_scoreless() - has no page of a group a score?
 * @heat: the histories
 *
 * Return: true if all scores are 0.
 */
bool ktierd_heat_scoreless(const struct ktierd_heat *heat)
{
	return !pages_scored(heat);
}

/**
 * ktierd_heat_idle_range() - for how long some pages have been idle
 * @heat: the histories
 * @pages: which of them count; at least one
 * @least: ticks of the one that was used last
 * @most: ticks of the one that was used first
 */
void ktierd_heat_idle_range(const struct ktierd_heat *heat, u64 pages,
			    unsigned int *least, unsigned int *most)
{
	unsigned int k = KTIERD_IDLE_BITS;
	u64 low = pages, high = pages;

	*least = 0;
	*most = 0;
	while (k--) {
		if (low & ~heat->idle[k])
			low &= ~heat->idle[k];
		else
			*least |= 1U << k;
		if (high & heat->idle[k]) {
			high &= heat->idle[k];
			*most |= 1U << k;
		}
	}
}

/**
 * ktierd_heat_score() - the score of one page
 * @heat: the histories
 * @i: which page of the group
 *
 * Return: 0 to KTIERD_SCORE_MAX.
 */
unsigned int ktierd_heat_score(const struct ktierd_heat *heat, unsigned int i)
{
	return one_of(heat->score, KTIERD_SCORE_BITS, i);
}

/**
 * ktierd_heat_idle() - for how long one page has been idle
 * @heat: the histories
 * @i: which page of the group
 *
 * Return: ticks, 0 to KTIERD_IDLE_MAX.
 */
unsigned int ktierd_heat_idle(const struct ktierd_heat *heat, unsigned int i)
{
	return one_of(heat->idle, KTIERD_IDLE_BITS, i);
}

/*
 * Warm levels are powers of two of idleness: what separates two pages is the
 * ratio of their idle times, not the difference.  That is, for each doubling
 * one level down from KTIERD_LEVEL_USED.
 */
static void warm_levels(struct ktierd_levels *levels, const u64 *idle)
{
	unsigned int k = KTIERD_IDLE_BITS, level = KTIERD_LEVEL_USED - k, j;
	u64 left = ~0ULL, here;

	memset(levels, 0, sizeof(*levels));
	for (;; level++) {
		here = k ? left & idle[--k] : left;
		left &= ~here;
		for (j = 0; j < 3; j++)
			levels->bit[j] |= level >> j & 1 ? here : 0;
		if (level == KTIERD_LEVEL_USED)
			break;
	}
}

/**
 * ktierd_levels_get() - how hot the pages of a group are
 * @levels: the answer
 * @heat: the histories
 * @top: which pages are in the top tier
 * @cold_ticks: idle for this many ticks is cold; 0: nothing is
 *
 * One that was moved lately counts as a little hotter in the top tier and a
 * little colder in a lower one than it is, so that it does not go to and fro.
 */
void ktierd_levels_get(struct ktierd_levels *levels,
		       const struct ktierd_heat *heat, u64 top,
		       unsigned int cold_ticks)
{
	u64 score[KTIERD_SCORE_BITS], hot = 0, cold = 0;
	unsigned int k;

	memcpy(score, heat->score, sizeof(score));
	if (heat->moved) {
		add(score, KTIERD_SCORE_BITS, MOVED_BIAS, heat->moved & top);
		subtract(score, KTIERD_SCORE_BITS, MOVED_BIAS,
			 heat->moved & ~top);
	}
	for (k = LEVEL_SHIFT; k < KTIERD_SCORE_BITS; k++)
		hot |= score[k];
	if (cold_ticks)
		cold = at_least(heat->idle, KTIERD_IDLE_BITS, cold_ticks);
	hot &= ~cold;

	warm_levels(levels, heat->idle);
	for (k = 0; k < KTIERD_LEVEL_BITS - 1; k++) {
		levels->bit[k] &= ~(hot | cold);
		levels->bit[k] |= score[k + LEVEL_SHIFT] & hot;
	}
	levels->bit[KTIERD_LEVEL_BITS - 1] = hot;
	for (k = 0; k < KTIERD_CLASS_BITS; k++)
		levels->class[k] = hot & heat->writes[k + KTIERD_WRITES_BITS -
						      KTIERD_CLASS_BITS];
}

/* All pages that are as hot as the hottest of some. */
static u64 hottest(const struct ktierd_levels *levels, u64 pages,
		   unsigned int *level)
{
	unsigned int k = KTIERD_LEVEL_BITS;

	*level = 0;
	while (k--) {
		if (pages & levels->bit[k]) {
			pages &= levels->bit[k];
			*level |= 1U << k;
		}
	}
	return pages;
}

/**
 * ktierd_levels_count() - add up pages by level and part of writes
 * @levels: heat of the group
 * @pages: which of them count
 * @histogram: what they are added to
 *
 * Return: the levels that there are, a bit a level.
 */
u32 ktierd_levels_count(const struct ktierd_levels *levels, u64 pages,
			struct ktierd_histogram *histogram)
{
	unsigned int level, class;
	u64 here, some;
	u32 seen = 0;

	while (pages) {
		here = hottest(levels, pages, &level);
		pages &= ~here;
		seen |= 1U << level;
		for (class = 0; class < KTIERD_CLASSES; class++) {
			some = here;
			some &= class & 1 ? levels->class[0] : ~levels->class[0];
			some &= class & 2 ? levels->class[1] : ~levels->class[1];
			if (some)
				histogram->nr[level][class] += hweight64(some);
		}
	}
	return seen;
}

/**
 * ktierd_levels_from() - which pages are this hot or hotter?
 * @levels: heat of the group
 * @level: the level
 *
 * Return: a bit a page.
 */
u64 ktierd_levels_from(const struct ktierd_levels *levels, unsigned int level)
{
	return at_least(levels->bit, KTIERD_LEVEL_BITS, level);
}

/**
 * ktierd_levels_among() - which pages are of some levels?
 * @levels: heat of the group
 * @some: the levels, a bit a level
 *
 * Return: a bit a page.
 */
u64 ktierd_levels_among(const struct ktierd_levels *levels, u32 some)
{
	unsigned int level, k;
	u64 pages = 0, here;

	for (level = 0; level < KTIERD_LEVELS; level++) {
		if (!(some >> level & 1))
			continue;
		here = ~0ULL;
		for (k = 0; k < KTIERD_LEVEL_BITS; k++)
			here &= level >> k & 1 ? levels->bit[k] :
						 ~levels->bit[k];
		pages |= here;
	}
	return pages;
}

/**
 * ktierd_levels_at() - how hot a page is
 * @levels: heat of the group
 * @i: which page of the group
 *
 * Return: a level below KTIERD_LEVELS, higher is hotter.
 */
unsigned int ktierd_levels_at(const struct ktierd_levels *levels,
			      unsigned int i)
{
	return one_of(levels->bit, KTIERD_LEVEL_BITS, i);
}

/**
 * ktierd_levels_class() - what part of the uses of a page is writes
 * @levels: heat of the group
 * @i: which page of the group
 *
 * Return: a class below KTIERD_CLASSES, higher is more.
 */
unsigned int ktierd_levels_class(const struct ktierd_levels *levels,
				 unsigned int i)
{
	return one_of(levels->class, KTIERD_CLASS_BITS, i);
}

/**
 * ktierd_levels_uniform() - pages that are all alike
 * @levels: the answer
 * @level: how hot they are
 * @class: what part of their uses is writes
 */
void ktierd_levels_uniform(struct ktierd_levels *levels, unsigned int level,
			   unsigned int class)
{
	unsigned int k;

	for (k = 0; k < KTIERD_LEVEL_BITS; k++)
		levels->bit[k] = level >> k & 1 ? ~0ULL : 0;
	for (k = 0; k < KTIERD_CLASS_BITS; k++)
		levels->class[k] = class >> k & 1 ? ~0ULL : 0;
}

static u64 join(u64 low, u64 high, unsigned int first)
{
	return first ? low >> first | high << (KTIERD_GROUP_PAGES - first) : low;
}

/**
 * ktierd_levels_join() - as many pages as a group has, from two groups in a row
 * @levels: the answer; may be @low
 * @low: the group where they begin
 * @high: the one after it
 * @first: the page of @low where they begin
 */
void ktierd_levels_join(struct ktierd_levels *levels,
			const struct ktierd_levels *low,
			const struct ktierd_levels *high, unsigned int first)
{
	unsigned int k;

	for (k = 0; k < KTIERD_LEVEL_BITS; k++)
		levels->bit[k] = join(low->bit[k], high->bit[k], first);
	for (k = 0; k < KTIERD_CLASS_BITS; k++)
		levels->class[k] = join(low->class[k], high->class[k], first);
}

/**
 * ktierd_levels_whole() - a whole is as hot as its hottest part
 * @levels: heat of the parts, and then of the whole
 */
void ktierd_levels_whole(struct ktierd_levels *levels)
{
	unsigned int level;
	u64 pages = hottest(levels, ~0ULL, &level);

	ktierd_levels_uniform(levels, level,
			      ktierd_levels_class(levels, fls64(pages) - 1));
}

static void choose(u64 *number, const u64 *other, unsigned int bits, u64 pages)
{
	while (bits--)
		number[bits] = (number[bits] & ~pages) | (other[bits] & pages);
}

/**
 * ktierd_levels_max() - what several use is as hot as its hottest use
 * @levels: heat of the group
 * @other: heat of the same pages in another's use
 * @pages: which of them it is asked for
 */
void ktierd_levels_max(struct ktierd_levels *levels,
		       const struct ktierd_levels *other, u64 pages)
{
	u64 hotter = 0, same = pages;
	unsigned int k = KTIERD_LEVEL_BITS;

	while (k--) {
		hotter |= same & other->bit[k] & ~levels->bit[k];
		same &= ~(other->bit[k] ^ levels->bit[k]);
	}
	choose(levels->bit, other->bit, KTIERD_LEVEL_BITS, hotter);
	choose(levels->class, other->class, KTIERD_CLASS_BITS, hotter);
}

/**
 * ktierd_idle_level() - how warm a page without a score is
 * @idle: ticks for which it has been idle
 * @cold_ticks: idle for this many ticks is cold; 0: nothing is
 *
 * Return: the level.
 */
unsigned int ktierd_idle_level(unsigned int idle, unsigned int cold_ticks)
{
	if (cold_ticks && idle >= cold_ticks)
		return KTIERD_LEVEL_COLD;
	return KTIERD_LEVEL_USED - fls(idle);
}
