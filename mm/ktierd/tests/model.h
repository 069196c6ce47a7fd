/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_KTIERD_TESTS_MODEL_H
#define _MM_KTIERD_TESTS_MODEL_H
/*
 * The histories of a group once more, page by page and with plain numbers: what
 * the bit-sliced ones have to agree with.
 */

#include <linux/bitops.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>

#include "../heat.h"

#define MODEL_MOVED_BIAS	31U

struct model_page {
	unsigned int score;
	unsigned int writes;
	unsigned int idle;
	unsigned int moved;
};

struct model {
	struct model_page page[KTIERD_GROUP_PAGES];
};

/* Pseudo-random and always the same: what fails must fail again. */
static inline u64 random_bits(u64 *state)
{
	u64 bits = 0;
	int i;

	for (i = 0; i < 2; i++) {
		*state = *state * 6364136223846793005ULL +
			 1442695040888963407ULL;
		bits = bits << 32 | *state >> 32;
	}
	return bits;
}

/* Any pages, few pages, most pages, none or all. */
static inline u64 random_pages(u64 *state)
{
	u64 pages = random_bits(state);

	switch (random_bits(state) % 8) {
	case 0:
		return 0;
	case 1:
		return ~0ULL;
	case 2:
		return pages & random_bits(state) & random_bits(state);
	case 3:
		return pages | random_bits(state) | random_bits(state);
	default:
		return pages;
	}
}

/* Any number, the ends more often than the others. */
static inline unsigned int random_number(u64 *state, unsigned int most)
{
	switch (random_bits(state) % 8) {
	case 0:
		return 0;
	case 1:
		return most;
	default:
		return random_bits(state) % (most + 1);
	}
}

static inline void model_random(struct model *model, u64 *state)
{
	struct model_page *page;
	unsigned int i;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
		page = &model->page[i];
		page->score = random_number(state, KTIERD_SCORE_MAX);
		page->writes = random_number(state, KTIERD_WRITES_MAX);
		page->idle = random_number(state, KTIERD_IDLE_MAX);
		page->moved = random_number(state, 1);
	}
}

static inline void model_slice(u64 *words, unsigned int bits, unsigned int i,
			       unsigned int value)
{
	unsigned int k;

	for (k = 0; k < bits; k++)
		words[k] |= (u64)(value >> k & 1) << i;
}

static inline void model_to_heat(const struct model *model,
				 struct ktierd_heat *heat)
{
	const struct model_page *page;
	unsigned int i;

	memset(heat, 0, sizeof(*heat));
	for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
		page = &model->page[i];
		model_slice(heat->score, KTIERD_SCORE_BITS, i, page->score);
		model_slice(heat->writes, KTIERD_WRITES_BITS, i, page->writes);
		model_slice(heat->idle, KTIERD_IDLE_BITS, i, page->idle);
		model_slice(&heat->moved, 1, i, page->moved);
	}
}

/* How many pages have another history? */
static inline unsigned int model_differs(const struct model *model,
					 const struct ktierd_heat *heat)
{
	struct ktierd_heat expected;
	u64 differs;
	unsigned int k;

	model_to_heat(model, &expected);
	differs = heat->moved ^ expected.moved;
	for (k = 0; k < KTIERD_SCORE_BITS; k++)
		differs |= heat->score[k] ^ expected.score[k];
	for (k = 0; k < KTIERD_WRITES_BITS; k++)
		differs |= heat->writes[k] ^ expected.writes[k];
	for (k = 0; k < KTIERD_IDLE_BITS; k++)
		differs |= heat->idle[k] ^ expected.idle[k];
	return hweight64(differs);
}

static inline void model_age(struct model *model, u64 used, u64 unused,
			     unsigned int ticks)
{
	struct model_page *page;
	unsigned int i;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
		page = &model->page[i];
		if (used >> i & 1)
			page->idle = 0;
		else if (unused >> i & 1)
			page->idle = min((u64)page->idle + ticks,
					 (u64)KTIERD_IDLE_MAX);
	}
}

static inline void model_fade(struct model *model, u64 pages)
{
	unsigned int i;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++)
		if (pages >> i & 1)
			model->page[i].score /= 2;
}

static inline void model_rescale(struct model *model, unsigned int from_ms,
				 unsigned int to_ms)
{
	unsigned int i;
	u64 ms;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
		ms = (u64)model->page[i].idle * from_ms;
		model->page[i].idle = min(ms / to_ms, (u64)KTIERD_IDLE_MAX);
	}
}

/* Move a part of the way, 1 / @part, to the upper or the lower end. */
static inline unsigned int model_average(unsigned int value, unsigned int most,
					 unsigned int part, bool up)
{
	if (up)
		return min(value - value / part + (most + 1) / part, most);
	return value - (value + part - 1) / part;
}

static inline void model_window_page(struct model_page *page, bool touched,
				     bool written, unsigned int shift)
{
	bool known = page->score && shift;

	page->score = model_average(page->score, KTIERD_SCORE_MAX, 1U << shift,
				    touched);
	if (!touched)
		return;
	page->idle = 0;
	if (known)
		page->writes = model_average(page->writes, KTIERD_WRITES_MAX,
					     4, written);
	else
		page->writes = written ? KTIERD_WRITES_MAX : 0;
}

static inline void model_window(struct model *model, u64 touched, u64 written,
				unsigned int shift)
{
	unsigned int i;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++)
		model_window_page(&model->page[i], touched >> i & 1,
				  written >> i & 1, shift);
}

static inline void model_moved(struct model *model, u64 pages)
{
	unsigned int i;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++)
		model->page[i].moved |= pages >> i & 1;
}

static inline void model_settled(struct model *model)
{
	unsigned int i;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++)
		model->page[i].moved = 0;
}

static inline void model_merge(struct model *into, const struct model *from,
			       u64 pages)
{
	struct model_page *whole = &into->page[0];
	const struct model_page *part;
	unsigned int i;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
		part = &from->page[i];
		if (!(pages >> i & 1))
			continue;
		if (part->score > whole->score) {
			whole->score = part->score;
			whole->writes = part->writes;
		}
		whole->idle = min(whole->idle, part->idle);
	}
}

static inline void model_spread(struct model *into, const struct model *from)
{
	unsigned int i;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++)
		into->page[i] = from->page[0];
}

static inline unsigned int model_hotness(const struct model_page *page,
					 bool top)
{
	if (page->moved && top)
		return min(page->score + MODEL_MOVED_BIAS, KTIERD_SCORE_MAX);
	if (page->moved)
		return page->score - min(page->score, MODEL_MOVED_BIAS);
	return page->score;
}

static inline unsigned int model_warmth(unsigned int idle,
					unsigned int cold_ticks)
{
	unsigned int level = KTIERD_LEVEL_USED;

	if (cold_ticks && idle >= cold_ticks)
		return KTIERD_LEVEL_COLD;
	for (; idle; idle /= 2)
		level--;
	return level;
}

static inline unsigned int model_level(const struct model_page *page, bool top,
				       unsigned int cold_ticks)
{
	unsigned int level = model_warmth(page->idle, cold_ticks);
	unsigned int hotness = model_hotness(page, top);

	if (level != KTIERD_LEVEL_COLD && hotness >= 16)
		level = 16 + hotness / 16;
	return level;
}

static inline unsigned int model_class(const struct model_page *page, bool top,
				       unsigned int cold_ticks)
{
	if (model_level(page, top, cold_ticks) < KTIERD_LEVEL_HOT)
		return 0;
	return page->writes / 2;
}

#endif /* _MM_KTIERD_TESTS_MODEL_H */
