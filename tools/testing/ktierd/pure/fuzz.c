// SPDX-License-Identifier: GPL-2.0
/*
 * heat.c and policy.c, driven by any sequence of operations: the histories must
 * be those of the naive model, and plans must hold what they promise.
 */

#include <stdio.h>
#include <stdlib.h>

#include <linux/bitops.h>
#include <linux/limits.h>

#include "policy.h"
#include "tests/model.h"

/* Two groups, so that one can be made of the other. */
#define GROUPS		2

/* All pages of a machine fit into 40 bits, and there are 2^7 cells. */
#define CELL_PAGES	BIT_ULL(33)

struct input {
	const u8 *data;
	size_t left;
};

static struct ktierd_heat heat[GROUPS];
static struct model model[GROUPS];
static struct ktierd_budget budget;
static struct ktierd_census *const census = &budget.census;

#define REQUIRE(condition)						\
do {									\
	if (!(condition)) {						\
		fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__,	\
			__LINE__, #condition);				\
		abort();						\
	}								\
} while (0)

static u64 take(struct input *input, unsigned int bytes)
{
	u64 value = 0;

	for (; bytes && input->left; bytes--) {
		value = value << 8 | *input->data++;
		input->left--;
	}
	return value;
}

static unsigned int take_number(struct input *input, unsigned int most)
{
	return take(input, most > 255 ? 4 : 1) % (most + 1ULL);
}

static void change_history(struct input *input, unsigned int i)
{
	u64 pages = take(input, 8), others = take(input, 8);
	unsigned int number;

	switch (take_number(input, 7)) {
	case 0:
		number = take_number(input, 40);
		ktierd_heat_age(&heat[i], pages, others & ~pages, number);
		model_age(&model[i], pages, others & ~pages, number);
		break;
	case 1:
		ktierd_heat_fade(&heat[i], pages);
		model_fade(&model[i], pages);
		break;
	case 2:
		number = take_number(input, 5000);
		ktierd_heat_rescale(&heat[i], number, 1000);
		model_rescale(&model[i], number, 1000);
		break;
	case 3:
		ktierd_heat_moved(&heat[i], pages);
		model_moved(&model[i], pages);
		break;
	case 4:
		ktierd_heat_settled(&heat[i]);
		model_settled(&model[i]);
		break;
	case 5:
		ktierd_heat_merge(&heat[i], &heat[!i], pages);
		model_merge(&model[i], &model[!i], pages);
		break;
	case 6:
		ktierd_heat_spread(&heat[i], &heat[!i]);
		model_spread(&model[i], &model[!i]);
		break;
	case 7:
		number = take_number(input, KTIERD_IDLE_MAX);
		ktierd_heat_uniform(&heat[i], number);
		memset(&model[i], 0, sizeof(model[i]));
		model_age(&model[i], 0, ~0ULL, number);
		break;
	}
	REQUIRE(!model_differs(&model[i], &heat[i]));
}

static void window(struct input *input, unsigned int i)
{
	u64 touched = take(input, 8), written = take(input, 8);
	unsigned int shift = take_number(input, KTIERD_SHIFT_MAX);

	ktierd_heat_window(&heat[i], touched, written, shift);
	model_window(&model[i], touched, written, shift);
	REQUIRE(!model_differs(&model[i], &heat[i]));
}

static u64 pages_in(const struct ktierd_histogram *histogram)
{
	const u64 *nr = &histogram->nr[0][0];
	unsigned int cell;
	u64 sum = 0;

	for (cell = 0; cell < KTIERD_CELLS; cell++)
		sum += nr[cell];
	return sum;
}

/* What is counted is what the model has, and no page is lost. */
static void count(struct input *input, unsigned int i,
		  struct ktierd_histogram *histogram)
{
	u64 pages = take(input, 8), top = take(input, 8);
	unsigned int cold = take_number(input, KTIERD_IDLE_MAX + 1);
	u64 before = pages_in(histogram);
	struct ktierd_levels levels;
	const struct model_page *page;
	unsigned int j, level;
	u32 seen = 0;

	ktierd_levels_get(&levels, &heat[i], top, cold);
	for (j = 0; j < KTIERD_GROUP_PAGES; j++) {
		page = &model[i].page[j];
		level = model_level(page, top >> j & 1, cold);
		REQUIRE(ktierd_levels_at(&levels, j) == level);
		REQUIRE(ktierd_levels_class(&levels, j) ==
			model_class(page, top >> j & 1, cold));
		if (pages >> j & 1)
			seen |= 1U << level;
	}
	REQUIRE(ktierd_levels_count(&levels, pages, histogram) == seen);
	REQUIRE(pages_in(histogram) == before + hweight64(pages));
}

static struct ktierd_histogram *any_histogram(struct input *input)
{
	struct ktierd_histogram *histograms[] = {
		&census->top, &census->low, &census->were, &census->touched,
		&census->known, &census->written,
	};

	return histograms[take_number(input, 5)];
}

static void set_cell(struct input *input)
{
	struct ktierd_histogram *histogram = any_histogram(input);
	unsigned int level = take_number(input, KTIERD_LEVELS - 1);
	unsigned int class = take_number(input, KTIERD_CLASSES - 1);
	unsigned int bytes = take_number(input, 5);

	histogram->nr[level][class] = take(input, bytes) % CELL_PAGES;
}

static u64 random_cell(u64 *seed, unsigned int bits)
{
	return random_pages(seed) & ((1ULL << bits) - 1);
}

/* A busy machine: the input only says which. */
static void set_cells(struct input *input)
{
	unsigned int bits = take_number(input, 32), cell;
	u64 seed = take(input, 2);

	for (cell = 0; cell < KTIERD_CELLS; cell++) {
		(&census->top.nr[0][0])[cell] = random_cell(&seed, bits);
		(&census->low.nr[0][0])[cell] = random_cell(&seed, bits);
		(&census->were.nr[0][0])[cell] = random_cell(&seed, bits);
		(&census->touched.nr[0][0])[cell] = random_cell(&seed, bits);
		(&census->known.nr[0][0])[cell] = random_cell(&seed, bits);
		(&census->written.nr[0][0])[cell] = random_cell(&seed, bits);
	}
	census->room = 0;
	census->room_later = 0;
	census->shortfall = 0;
	census->shortfall_files = 0;
	census->may_move = U64_MAX;
}

/* How the world is: sizes of any magnitude. */
static void set_limits(struct input *input)
{
	census->room = take(input, take_number(input, 5));
	census->room_later = take(input, take_number(input, 5));
	census->shortfall = take(input, take_number(input, 5));
	census->shortfall_files = take(input, take_number(input, 5));
	census->may_move = take(input, take_number(input, 8));
	census->nr_touched = take(input, take_number(input, 5));
	census->nr_fresh = take(input, take_number(input, 5));
	census->window_us = take_number(input, 1000000);
	census->write_weight = take_number(input, 16);
}

/* Only what was watched is touched, and only what is touched is written. */
static void make_consistent(void)
{
	u64 *were = &census->were.nr[0][0];
	u64 *touched = &census->touched.nr[0][0];
	u64 *known = &census->known.nr[0][0];
	u64 *written = &census->written.nr[0][0];
	unsigned int cell;

	for (cell = 0; cell < KTIERD_CELLS; cell++) {
		touched[cell] = min(touched[cell], were[cell]);
		known[cell] = min(known[cell], touched[cell]);
		written[cell] = min(written[cell], known[cell]);
	}
}

/* Cells beyond the end of a quota, and what it takes at the end, are all. */
static void check_quota(const struct ktierd_quota *quota,
			const struct ktierd_histogram *histogram, bool up)
{
	const u8 *rank = &budget.plan.rank[0][0];
	const u64 *nr = &histogram->nr[0][0];
	u64 sum = 0, here;
	unsigned int cell;
	u32 levels = 0;

	for (cell = 0; cell < KTIERD_CELLS; cell++) {
		here = 0;
		if (rank[cell] == quota->rank) {
			REQUIRE(quota->at_rank <= nr[cell]);
			here = quota->at_rank;
		} else if ((rank[cell] > quota->rank) == up) {
			here = nr[cell];
		}
		sum += here;
		if (here)
			levels |= 1U << cell / KTIERD_CLASSES;
	}
	REQUIRE(sum == quota->pages);
	REQUIRE(levels == quota->levels);
	REQUIRE(quota->pages <= census->may_move);
}

static void check_ranks(void)
{
	const u8 *rank = &budget.plan.rank[0][0];
	bool seen[KTIERD_CELLS] = {};
	unsigned int cell;

	for (cell = 0; cell < KTIERD_CELLS; cell++) {
		REQUIRE(rank[cell] < KTIERD_CELLS);
		REQUIRE(!seen[rank[cell]]);
		seen[rank[cell]] = true;
	}
}

static void check_plan(void)
{
	const struct ktierd_plan *plan = &budget.plan;

	check_ranks();
	check_quota(&plan->promote, &census->low, true);
	check_quota(&plan->demote, &census->top, false);
	REQUIRE(plan->promote.pages <= census->room + plan->demote.pages);
	REQUIRE(!(plan->promote.levels & 1U << KTIERD_LEVEL_COLD));
	REQUIRE(plan->exchange <= pages_in(&census->top));
	REQUIRE(plan->exchange <= pages_in(&census->low));
	REQUIRE(plan->hot >= KTIERD_LEVEL_PROMOTE);
	REQUIRE(plan->hot <= KTIERD_LEVELS);
}

static void plan(struct input *input)
{
	unsigned int rounds = 1 + take_number(input, 3), interval, length;

	make_consistent();
	while (rounds--) {
		ktierd_policy_plan(&budget, take_number(input, 100000));
		check_plan();
	}
	REQUIRE(ktierd_policy_shift(&budget.record) <= KTIERD_SHIFT_MAX);
	interval = ktierd_policy_interval(&budget.record, 1000);
	REQUIRE(interval >= 1000 && interval <= 1000 * KTIERD_STRETCH_MAX);
	length = ktierd_policy_window(&budget, 1000, 1000000);
	REQUIRE(length >= 1000 && length <= 1000000);
}

/* A walk takes pages of any size: it ends, and never below nothing. */
static void walk(struct input *input)
{
	struct ktierd_quota quota = budget.plan.promote;
	unsigned int rank, size;
	u64 before;

	while (quota.pages && input->left) {
		before = quota.pages;
		rank = take_number(input, KTIERD_CELLS - 1);
		size = 1 + take_number(input, 511);
		if (!ktierd_quota_wants_hot(&quota, rank))
			continue;
		ktierd_quota_take(&quota, rank, size);
		REQUIRE(quota.pages < before);
	}
}

int fuzz_one(const u8 *data, size_t size);

int fuzz_one(const u8 *data, size_t size)
{
	struct input input = { data, size };
	unsigned int i;

	memset(heat, 0, sizeof(heat));
	memset(model, 0, sizeof(model));
	memset(&budget, 0, sizeof(budget));
	while (input.left) {
		i = take_number(&input, GROUPS - 1);
		switch (take_number(&input, 8)) {
		case 0:
			change_history(&input, i);
			break;
		case 1:
			window(&input, i);
			break;
		case 2:
			count(&input, i, any_histogram(&input));
			break;
		case 3:
			set_cell(&input);
			break;
		case 4:
			set_limits(&input);
			break;
		case 5:
			plan(&input);
			break;
		case 6:
			walk(&input);
			break;
		case 7:
			ktierd_policy_begin(&budget);
			break;
		case 8:
			set_cells(&input);
			break;
		}
	}
	return 0;
}
