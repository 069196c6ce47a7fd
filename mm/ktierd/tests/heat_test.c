// SPDX-License-Identifier: GPL-2.0
/*
 * What a page's history says: the specification of heat.c.
 */

#include <kunit/test.h>

#include "../heat.h"
#include "model.h"

#define ROUNDS		2000
#define COLD_TICKS	10
#define ALL		(~0ULL)

static struct ktierd_heat heat;
static struct model model;
static u64 seed;

static int start(struct kunit *test)
{
	memset(&heat, 0, sizeof(heat));
	memset(&model, 0, sizeof(model));
	seed = 1;
	return 0;
}

static u64 any_pages(void)
{
	return random_pages(&seed);
}

static unsigned int any_number(unsigned int most)
{
	return random_number(&seed, most);
}

static void any_histories(void)
{
	model_random(&model, &seed);
	model_to_heat(&model, &heat);
}

/* All pages have the same history. */
static void all_have(unsigned int score, unsigned int writes,
		     unsigned int idle)
{
	unsigned int i;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++)
		model.page[i] = (struct model_page){ score, writes, idle, 0 };
	model_to_heat(&model, &heat);
}

static unsigned int differing(void)
{
	return model_differs(&model, &heat);
}

/* Heat of page 0. */
static unsigned int level(u64 top, unsigned int cold_ticks)
{
	struct ktierd_levels levels;

	ktierd_levels_get(&levels, &heat, top, cold_ticks);
	return ktierd_levels_at(&levels, 0);
}

static unsigned int class(void)
{
	struct ktierd_levels levels;

	ktierd_levels_get(&levels, &heat, 0, 0);
	return ktierd_levels_class(&levels, 0);
}

static void windows(unsigned int n, u64 touched, u64 written,
		    unsigned int shift)
{
	while (n--)
		ktierd_heat_window(&heat, touched, written, shift);
}

static void idleness_adds_up_until_used(struct kunit *test)
{
	ktierd_heat_age(&heat, 0, ALL, 3);
	ktierd_heat_age(&heat, 0, ALL, 4);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 5), 7);
	ktierd_heat_age(&heat, 1ULL << 5, ALL & ~(1ULL << 5), 5);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 5), 0);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 6), 12);
}

static void idleness_saturates(struct kunit *test)
{
	all_have(0, 0, KTIERD_IDLE_MAX - 1);
	ktierd_heat_age(&heat, 0, ALL, 1);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 63), KTIERD_IDLE_MAX);
	ktierd_heat_age(&heat, 0, ALL, 1);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 63), KTIERD_IDLE_MAX);
	ktierd_heat_age(&heat, 0, ALL, ~0U);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 63), KTIERD_IDLE_MAX);
}

static void history_of_what_is_absent_stands_still(struct kunit *test)
{
	any_histories();
	ktierd_heat_age(&heat, 0, 0, 9);
	KUNIT_EXPECT_EQ(test, differing(), 0);
}

static void aging_is_right_page_by_page(struct kunit *test)
{
	unsigned int round, ticks;
	u64 used, unused;

	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		used = any_pages();
		unused = any_pages() & ~used;
		ticks = any_number(2 * KTIERD_IDLE_MAX);
		model_age(&model, used, unused, ticks);
		ktierd_heat_age(&heat, used, unused, ticks);
		KUNIT_ASSERT_EQ(test, differing(), 0);
	}
}

static void idleness_survives_another_tick(struct kunit *test)
{
	all_have(0, 0, 12);
	ktierd_heat_rescale(&heat, 1000, 3000);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 9), 4);
	ktierd_heat_rescale(&heat, 3000, 1000);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 9), 12);
	ktierd_heat_rescale(&heat, ~0U, 1);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 9), KTIERD_IDLE_MAX);
	ktierd_heat_rescale(&heat, 1, ~0U);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 9), 0);
}

static void rescaling_is_right_page_by_page(struct kunit *test)
{
	unsigned int round, from, to;

	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		from = any_number(100000);
		to = any_number(100000) + 1;
		model_rescale(&model, from, to);
		ktierd_heat_rescale(&heat, from, to);
		KUNIT_ASSERT_EQ(test, differing(), 0);
	}
}

static void fading_halves_scores_page_by_page(struct kunit *test)
{
	unsigned int round;
	u64 pages;

	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		pages = any_pages();
		model_fade(&model, pages);
		ktierd_heat_fade(&heat, pages);
		KUNIT_ASSERT_EQ(test, differing(), 0);
	}
}

static void faded_page_ends_without_a_score(struct kunit *test)
{
	unsigned int i;

	all_have(KTIERD_SCORE_MAX, 0, 0);
	for (i = 0; i < KTIERD_SCORE_BITS; i++) {
		KUNIT_EXPECT_FALSE(test, ktierd_heat_scoreless(&heat));
		ktierd_heat_fade(&heat, ALL);
	}
	KUNIT_EXPECT_TRUE(test, ktierd_heat_scoreless(&heat));
}

static void one_page_with_a_score_is_noticed(struct kunit *test)
{
	unsigned int i, score;

	for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
		for (score = 1; score <= KTIERD_SCORE_MAX; score *= 2) {
			all_have(0, KTIERD_WRITES_MAX, KTIERD_IDLE_MAX);
			model.page[i].score = score;
			model_to_heat(&model, &heat);
			KUNIT_ASSERT_EQ(test, ktierd_heat_scoreless(&heat), 0);
		}
	}
}

static void window_is_right_page_by_page(struct kunit *test)
{
	unsigned int round, shift;
	u64 touched, written;

	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		touched = any_pages();
		written = any_pages() & touched;
		shift = any_number(KTIERD_SHIFT_MAX);
		model_window(&model, touched, written, shift);
		ktierd_heat_window(&heat, touched, written, shift);
		KUNIT_ASSERT_EQ(test, differing(), 0);
	}
}

static void many_windows_are_right_page_by_page(struct kunit *test)
{
	unsigned int round, shift;
	u64 touched, written;

	for (round = 0; round < ROUNDS; round++) {
		touched = any_pages();
		written = any_pages() & touched;
		shift = ktierd_heat_shift(round);
		model_window(&model, touched, written, shift);
		ktierd_heat_window(&heat, touched, written, shift);
		KUNIT_ASSERT_EQ(test, differing(), 0);
	}
}

static void every_score_grows_to_the_largest(struct kunit *test)
{
	unsigned int shift, from, score, before;

	for (shift = 0; shift <= KTIERD_SHIFT_MAX; shift++) {
		for (from = 0; from <= KTIERD_SCORE_MAX; from++) {
			all_have(from, 0, 0);
			score = from;
			while (score < KTIERD_SCORE_MAX) {
				before = score;
				windows(1, ALL, 0, shift);
				score = ktierd_heat_score(&heat, 17);
				KUNIT_ASSERT_GT(test, score, before);
			}
			windows(1, ALL, 0, shift);
			score = ktierd_heat_score(&heat, 17);
			KUNIT_ASSERT_EQ(test, score, KTIERD_SCORE_MAX);
		}
	}
}

static void every_score_falls_to_nothing(struct kunit *test)
{
	unsigned int shift, from, score, before;

	for (shift = 0; shift <= KTIERD_SHIFT_MAX; shift++) {
		for (from = 0; from <= KTIERD_SCORE_MAX; from++) {
			all_have(from, 0, 0);
			score = from;
			while (score) {
				before = score;
				windows(1, 0, 0, shift);
				score = ktierd_heat_score(&heat, 17);
				KUNIT_ASSERT_LT(test, score, before);
			}
			windows(1, 0, 0, shift);
			KUNIT_ASSERT_EQ(test, differing(), from ? 64 : 0);
		}
	}
}

static void first_window_is_all_that_counts(struct kunit *test)
{
	any_histories();
	windows(1, 0xf0, 0x30, 0);
	KUNIT_EXPECT_EQ(test, ktierd_heat_score(&heat, 3), 0);
	KUNIT_EXPECT_EQ(test, ktierd_heat_score(&heat, 4), KTIERD_SCORE_MAX);
}

static void score_tells_how_often_a_page_is_touched(struct kunit *test)
{
	unsigned int part, i, sum;

	/* Touched in one window out of so many. */
	for (part = 2; part <= 8; part *= 2) {
		all_have(0, 0, 0);
		for (i = 0; i < 512; i++)
			windows(1, i % part ? 0 : ALL, 0, KTIERD_SHIFT_MAX);
		sum = 0;
		for (i = 0; i < 64; i++) {
			windows(1, i % part ? 0 : ALL, 0, KTIERD_SHIFT_MAX);
			sum += ktierd_heat_score(&heat, 0);
		}
		KUNIT_EXPECT_GE(test, sum / 64, 256 / part * 7 / 8 - 8);
		KUNIT_EXPECT_LE(test, sum / 64, 256 / part * 9 / 8 + 8);
	}
}

static void touch_in_a_window_is_use(struct kunit *test)
{
	all_have(0, 0, 12);
	windows(1, 1, 0, 2);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 0), 0);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 1), 12);
}

static void first_touch_tells_reading_from_writing(struct kunit *test)
{
	unsigned int shift;

	for (shift = 0; shift <= KTIERD_SHIFT_MAX; shift++) {
		all_have(0, 3, 0);
		windows(1, ALL, 0, shift);
		windows(20, ALL, 0, KTIERD_SHIFT_MAX);
		KUNIT_EXPECT_EQ(test, class(), 0);
		all_have(0, 3, 0);
		windows(1, ALL, ALL, shift);
		windows(20, ALL, ALL, KTIERD_SHIFT_MAX);
		KUNIT_EXPECT_EQ(test, class(), KTIERD_CLASSES - 1);
	}
	all_have(0, KTIERD_WRITES_MAX, 0);
	windows(1, ALL, 0, 2);
	KUNIT_EXPECT_EQ(test, class(), 0);
	all_have(0, 0, 0);
	windows(1, ALL, ALL, 2);
	KUNIT_EXPECT_EQ(test, class(), KTIERD_CLASSES - 1);
}

static void page_only_written_reaches_the_top_class(struct kunit *test)
{
	all_have(KTIERD_SCORE_MAX, 0, 0);
	windows(8, ALL, ALL, KTIERD_SHIFT_MAX);
	KUNIT_EXPECT_EQ(test, class(), KTIERD_CLASSES - 1);
}

static void page_only_read_falls_to_the_lowest_class(struct kunit *test)
{
	all_have(KTIERD_SCORE_MAX, KTIERD_WRITES_MAX, 0);
	windows(8, ALL, 0, KTIERD_SHIFT_MAX);
	KUNIT_EXPECT_EQ(test, class(), 0);
}

static void untouched_page_keeps_its_part_of_writes(struct kunit *test)
{
	all_have(KTIERD_SCORE_MAX, 5, 0);
	windows(10, 0, 0, KTIERD_SHIFT_MAX);
	KUNIT_EXPECT_EQ(test, class(), 2);
}

static void learning_slows_down_with_windows(struct kunit *test)
{
	static const unsigned int shifts[] = { 0, 1, 2, 2, 2, 2, 2, 3, 3 };
	unsigned int n;

	for (n = 0; n < sizeof(shifts) / sizeof(*shifts); n++)
		KUNIT_EXPECT_EQ(test, ktierd_heat_shift(n), shifts[n]);
	KUNIT_EXPECT_EQ(test, ktierd_heat_shift(14), 3);
	KUNIT_EXPECT_EQ(test, ktierd_heat_shift(15), 4);
	KUNIT_EXPECT_EQ(test, ktierd_heat_shift(30), 4);
	for (n = 31; n < 1U << 30; n *= 2)
		KUNIT_EXPECT_EQ(test, ktierd_heat_shift(n), KTIERD_SHIFT_MAX);
}

static void pages_that_are_all_alike_are_alike(struct kunit *test)
{
	unsigned int idle;

	for (idle = 0; idle <= KTIERD_IDLE_MAX; idle++) {
		any_histories();
		ktierd_heat_uniform(&heat, idle);
		memset(&model, 0, sizeof(model));
		model_age(&model, 0, ALL, idle);
		KUNIT_ASSERT_EQ(test, differing(), 0);
	}
	ktierd_heat_uniform(&heat, KTIERD_IDLE_MAX + 1);
	KUNIT_EXPECT_EQ(test, differing(), 0);
}

static void whole_is_as_hot_as_its_hottest_part(struct kunit *test)
{
	struct ktierd_heat part;

	all_have(40, 2, 9);
	part = heat;
	all_have(30, 5, 4);
	ktierd_heat_merge(&heat, &part, 1ULL << 63);
	KUNIT_EXPECT_EQ(test, ktierd_heat_score(&heat, 0), 40);
	KUNIT_EXPECT_EQ(test, ktierd_heat_idle(&heat, 0), 4);
	KUNIT_EXPECT_EQ(test, class(), 1);
}

static void merging_is_right_page_by_page(struct kunit *test)
{
	struct ktierd_heat parts;
	static struct model from;
	unsigned int round;
	u64 pages;

	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		from = model;
		parts = heat;
		any_histories();
		pages = any_pages();
		model_merge(&model, &from, pages);
		ktierd_heat_merge(&heat, &parts, pages);
		KUNIT_ASSERT_EQ(test, differing(), 0);
	}
}

static void parts_are_what_their_whole_was(struct kunit *test)
{
	struct ktierd_heat whole;
	static struct model from;
	unsigned int round;

	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		from = model;
		whole = heat;
		any_histories();
		model_spread(&model, &from);
		ktierd_heat_spread(&heat, &whole);
		KUNIT_ASSERT_EQ(test, differing(), 0);
	}
}

static void idle_range_is_right_page_by_page(struct kunit *test)
{
	unsigned int round, i, least, most, expected_least, expected_most;
	u64 pages;

	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		pages = any_pages() | 1ULL << any_number(63);
		expected_least = KTIERD_IDLE_MAX;
		expected_most = 0;
		for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
			if (!(pages >> i & 1))
				continue;
			expected_least = min(expected_least,
					     model.page[i].idle);
			expected_most = max(expected_most, model.page[i].idle);
		}
		ktierd_heat_idle_range(&heat, pages, &least, &most);
		KUNIT_ASSERT_EQ(test, least, expected_least);
		KUNIT_ASSERT_EQ(test, most, expected_most);
	}
}

static void page_idle_for_the_cold_age_is_cold(struct kunit *test)
{
	unsigned int cold;

	for (cold = 1; cold <= KTIERD_IDLE_MAX; cold++) {
		all_have(KTIERD_SCORE_MAX, 0, cold - 1);
		KUNIT_EXPECT_NE(test, level(0, cold), KTIERD_LEVEL_COLD);
		all_have(KTIERD_SCORE_MAX, 0, cold);
		KUNIT_EXPECT_EQ(test, level(0, cold), KTIERD_LEVEL_COLD);
		all_have(0, 0, KTIERD_IDLE_MAX);
		KUNIT_EXPECT_EQ(test, level(ALL, cold), KTIERD_LEVEL_COLD);
	}
}

static void cold_page_that_was_moved_is_cold(struct kunit *test)
{
	all_have(KTIERD_SCORE_MAX, KTIERD_WRITES_MAX, COLD_TICKS);
	ktierd_heat_moved(&heat, ALL);
	KUNIT_EXPECT_EQ(test, level(ALL, COLD_TICKS), KTIERD_LEVEL_COLD);
}

static void nothing_is_cold_without_a_cold_age(struct kunit *test)
{
	all_have(0, 0, KTIERD_IDLE_MAX);
	KUNIT_EXPECT_GT(test, level(0, 0), KTIERD_LEVEL_COLD);
	KUNIT_EXPECT_GT(test, ktierd_idle_level(KTIERD_IDLE_MAX, 0),
			KTIERD_LEVEL_COLD);
}

static void nothing_is_cold_before_an_age_out_of_reach(struct kunit *test)
{
	all_have(0, 0, KTIERD_IDLE_MAX);
	KUNIT_EXPECT_GT(test, level(0, KTIERD_IDLE_MAX + 1),
			KTIERD_LEVEL_COLD);
	KUNIT_EXPECT_GT(test, level(0, ~0U), KTIERD_LEVEL_COLD);
}

static void warm_pages_sort_by_recency(struct kunit *test)
{
	unsigned int idle, before = KTIERD_LEVEL_USED;

	all_have(0, 0, 0);
	KUNIT_EXPECT_EQ(test, level(0, 0), KTIERD_LEVEL_USED);
	for (idle = 1; idle <= KTIERD_IDLE_MAX; idle++) {
		all_have(0, 0, idle);
		/* One lower for each doubling. */
		KUNIT_EXPECT_EQ(test, level(0, 0),
				before - !(idle & (idle - 1)));
		before = level(0, 0);
	}
	KUNIT_EXPECT_GT(test, before, KTIERD_LEVEL_COLD);
}

static void hot_pages_sort_by_frequency(struct kunit *test)
{
	unsigned int score, before = KTIERD_LEVEL_USED, steps = 0;

	for (score = 1; score <= KTIERD_SCORE_MAX; score++) {
		all_have(score, 0, 0);
		KUNIT_EXPECT_GE(test, level(0, 0), before);
		steps += level(0, 0) != before;
		before = level(0, 0);
	}
	KUNIT_EXPECT_EQ(test, before, KTIERD_LEVELS - 1);
	/* Each level is somebody's. */
	KUNIT_EXPECT_EQ(test, steps, KTIERD_LEVELS - KTIERD_LEVEL_HOT);
}

static void hot_page_is_hotter_than_any_warm_one(struct kunit *test)
{
	all_have(KTIERD_SCORE_MAX / 8, 0, KTIERD_IDLE_MAX);
	KUNIT_EXPECT_GE(test, level(0, 0), KTIERD_LEVEL_HOT);
	KUNIT_EXPECT_GT(test, KTIERD_LEVEL_HOT, KTIERD_LEVEL_USED);
}

static void page_moved_up_counts_as_hotter_there(struct kunit *test)
{
	unsigned int before;

	all_have(100, 0, 0);
	before = level(ALL, 0);
	ktierd_heat_moved(&heat, ALL);
	KUNIT_EXPECT_GT(test, level(ALL, 0), before);
	ktierd_heat_settled(&heat);
	KUNIT_EXPECT_EQ(test, level(ALL, 0), before);
}

static void page_moved_down_counts_as_colder_there(struct kunit *test)
{
	unsigned int before;

	all_have(100, 0, 0);
	before = level(0, 0);
	ktierd_heat_moved(&heat, ALL);
	KUNIT_EXPECT_LT(test, level(0, 0), before);
	ktierd_heat_settled(&heat);
	KUNIT_EXPECT_EQ(test, level(0, 0), before);
}

static void move_counts_no_further_than_to_the_ends(struct kunit *test)
{
	all_have(KTIERD_SCORE_MAX - 1, 0, 0);
	ktierd_heat_moved(&heat, ALL);
	KUNIT_EXPECT_EQ(test, level(ALL, 0), KTIERD_LEVELS - 1);
	all_have(1, 0, 0);
	ktierd_heat_moved(&heat, ALL);
	KUNIT_EXPECT_EQ(test, level(0, 0), KTIERD_LEVEL_USED);
}

static void only_what_is_moved_counts_as_moved(struct kunit *test)
{
	unsigned int round;
	u64 pages;

	for (round = 0; round < ROUNDS; round++) {
		if (any_number(9)) {
			pages = any_pages();
			model_moved(&model, pages);
			ktierd_heat_moved(&heat, pages);
		} else {
			model_settled(&model);
			ktierd_heat_settled(&heat);
		}
		KUNIT_ASSERT_EQ(test, differing(), 0);
	}
}

static void levels_are_right_page_by_page(struct kunit *test)
{
	unsigned int round, i, cold;
	struct ktierd_levels levels;
	const struct model_page *page;
	u64 top;

	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		top = any_pages();
		cold = any_number(KTIERD_IDLE_MAX + 2);
		ktierd_levels_get(&levels, &heat, top, cold);
		for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
			page = &model.page[i];
			KUNIT_ASSERT_EQ(test, ktierd_levels_at(&levels, i),
					model_level(page, top >> i & 1, cold));
			KUNIT_ASSERT_EQ(test, ktierd_levels_class(&levels, i),
					model_class(page, top >> i & 1, cold));
		}
	}
}

static void levels_without_scores_come_from_idleness(struct kunit *test)
{
	unsigned int idle, cold;

	for (idle = 0; idle <= KTIERD_IDLE_MAX; idle++) {
		all_have(0, 0, idle);
		for (cold = 0; cold <= KTIERD_IDLE_MAX + 1; cold++) {
			KUNIT_ASSERT_EQ(test, ktierd_idle_level(idle, cold),
					model_warmth(idle, cold));
			KUNIT_ASSERT_EQ(test, level(0, cold),
					model_warmth(idle, cold));
		}
	}
}

static void count_is_the_sum_over_pages(struct kunit *test)
{
	static struct ktierd_histogram histogram, expected;
	unsigned int round, i, j;
	struct ktierd_levels levels;
	u64 pages;

	memset(&histogram, 0, sizeof(histogram));
	memset(&expected, 0, sizeof(expected));
	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		pages = any_pages();
		ktierd_levels_get(&levels, &heat, any_pages(), COLD_TICKS);
		ktierd_levels_count(&levels, pages, &histogram);
		for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
			j = ktierd_levels_class(&levels, i);
			expected.nr[ktierd_levels_at(&levels, i)][j] +=
				pages >> i & 1;
		}
		KUNIT_ASSERT_EQ(test, memcmp(&histogram, &expected,
					     sizeof(expected)), 0);
	}
}

static void pages_from_a_level_on_are_found(struct kunit *test)
{
	unsigned int round, i, from;
	struct ktierd_levels levels;
	u64 expected;

	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		ktierd_levels_get(&levels, &heat, any_pages(), COLD_TICKS);
		from = any_number(KTIERD_LEVELS);
		expected = 0;
		for (i = 0; i < KTIERD_GROUP_PAGES; i++)
			if (ktierd_levels_at(&levels, i) >= from)
				expected |= 1ULL << i;
		KUNIT_ASSERT_EQ(test, ktierd_levels_from(&levels, from),
				expected);
	}
}

static void pages_of_some_levels_are_found(struct kunit *test)
{
	unsigned int round, i;
	struct ktierd_levels levels;
	u64 expected;
	u32 some;

	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		ktierd_levels_get(&levels, &heat, any_pages(), COLD_TICKS);
		some = any_pages();
		expected = 0;
		for (i = 0; i < KTIERD_GROUP_PAGES; i++)
			if (some >> ktierd_levels_at(&levels, i) & 1)
				expected |= 1ULL << i;
		KUNIT_ASSERT_EQ(test, ktierd_levels_among(&levels, some),
				expected);
	}
}

static void any_levels(struct ktierd_levels *levels)
{
	any_histories();
	ktierd_levels_get(levels, &heat, any_pages(), COLD_TICKS);
}

static void expect_same(struct kunit *test, const struct ktierd_levels *a,
			unsigned int i, const struct ktierd_levels *b,
			unsigned int j)
{
	KUNIT_ASSERT_EQ(test, ktierd_levels_at(a, i), ktierd_levels_at(b, j));
	KUNIT_ASSERT_EQ(test, ktierd_levels_class(a, i),
			ktierd_levels_class(b, j));
}

static void levels_of_pages_all_alike_are_alike(struct kunit *test)
{
	struct ktierd_levels levels;
	unsigned int i, n, level, class;

	for (n = 0; n < KTIERD_LEVELS * KTIERD_CLASSES; n++) {
		level = n / KTIERD_CLASSES;
		class = n % KTIERD_CLASSES;
		ktierd_levels_uniform(&levels, level, class);
		for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
			KUNIT_ASSERT_EQ(test, ktierd_levels_at(&levels, i), level);
			KUNIT_ASSERT_EQ(test, ktierd_levels_class(&levels, i),
					class);
		}
	}
}

static void pages_of_two_groups_are_joined(struct kunit *test)
{
	struct ktierd_levels low, high, joined;
	unsigned int i, first;

	for (first = 0; first < KTIERD_GROUP_PAGES; first++) {
		any_levels(&low);
		any_levels(&high);
		ktierd_levels_join(&joined, &low, &high, first);
		for (i = 0; i < KTIERD_GROUP_PAGES - first; i++)
			expect_same(test, &joined, i, &low, first + i);
		for (; i < KTIERD_GROUP_PAGES; i++)
			expect_same(test, &joined, i, &high,
				    first + i - KTIERD_GROUP_PAGES);
	}
}

static void hottest_part_is_the_level_of_the_whole(struct kunit *test)
{
	struct ktierd_levels parts, whole;
	unsigned int i, n, best;

	for (n = 0; n < ROUNDS; n++) {
		any_levels(&parts);
		for (best = 0, i = 1; i < KTIERD_GROUP_PAGES; i++)
			if (ktierd_levels_at(&parts, i) >=
			    ktierd_levels_at(&parts, best))
				best = i;
		whole = parts;
		ktierd_levels_whole(&whole);
		for (i = 0; i < KTIERD_GROUP_PAGES; i++)
			expect_same(test, &whole, i, &parts, best);
	}
}

static void hotter_use_of_two_counts(struct kunit *test)
{
	struct ktierd_levels mine, other, both;
	unsigned int i, n;
	u64 pages;

	for (n = 0; n < ROUNDS; n++) {
		any_levels(&mine);
		any_levels(&other);
		pages = any_pages();
		both = mine;
		ktierd_levels_max(&both, &other, pages);
		for (i = 0; i < KTIERD_GROUP_PAGES; i++) {
			bool its = pages >> i & 1 &&
				   ktierd_levels_at(&other, i) >
				   ktierd_levels_at(&mine, i);

			expect_same(test, &both, i, its ? &other : &mine, i);
		}
	}
}

static void levels_that_are_there_are_named(struct kunit *test)
{
	static struct ktierd_histogram histogram;
	unsigned int round, i;
	struct ktierd_levels levels;
	u64 pages;
	u32 seen;

	for (round = 0; round < ROUNDS; round++) {
		any_histories();
		pages = any_pages() & any_pages();
		ktierd_levels_get(&levels, &heat, any_pages(), COLD_TICKS);
		seen = 0;
		for (i = 0; i < KTIERD_GROUP_PAGES; i++)
			if (pages >> i & 1)
				seen |= 1U << ktierd_levels_at(&levels, i);
		KUNIT_ASSERT_EQ(test, ktierd_levels_count(&levels, pages,
							  &histogram), seen);
	}
}

static struct kunit_case heat_cases[] = {
	KUNIT_CASE(idleness_adds_up_until_used),
	KUNIT_CASE(idleness_saturates),
	KUNIT_CASE(history_of_what_is_absent_stands_still),
	KUNIT_CASE(aging_is_right_page_by_page),
	KUNIT_CASE(idleness_survives_another_tick),
	KUNIT_CASE(rescaling_is_right_page_by_page),
	KUNIT_CASE(fading_halves_scores_page_by_page),
	KUNIT_CASE(faded_page_ends_without_a_score),
	KUNIT_CASE(one_page_with_a_score_is_noticed),
	KUNIT_CASE(window_is_right_page_by_page),
	KUNIT_CASE(many_windows_are_right_page_by_page),
	KUNIT_CASE(every_score_grows_to_the_largest),
	KUNIT_CASE(every_score_falls_to_nothing),
	KUNIT_CASE(first_window_is_all_that_counts),
	KUNIT_CASE(score_tells_how_often_a_page_is_touched),
	KUNIT_CASE(touch_in_a_window_is_use),
	KUNIT_CASE(first_touch_tells_reading_from_writing),
	KUNIT_CASE(page_only_written_reaches_the_top_class),
	KUNIT_CASE(page_only_read_falls_to_the_lowest_class),
	KUNIT_CASE(untouched_page_keeps_its_part_of_writes),
	KUNIT_CASE(learning_slows_down_with_windows),
	KUNIT_CASE(pages_that_are_all_alike_are_alike),
	KUNIT_CASE(whole_is_as_hot_as_its_hottest_part),
	KUNIT_CASE(merging_is_right_page_by_page),
	KUNIT_CASE(parts_are_what_their_whole_was),
	KUNIT_CASE(idle_range_is_right_page_by_page),
	KUNIT_CASE(page_idle_for_the_cold_age_is_cold),
	KUNIT_CASE(cold_page_that_was_moved_is_cold),
	KUNIT_CASE(nothing_is_cold_without_a_cold_age),
	KUNIT_CASE(nothing_is_cold_before_an_age_out_of_reach),
	KUNIT_CASE(warm_pages_sort_by_recency),
	KUNIT_CASE(hot_pages_sort_by_frequency),
	KUNIT_CASE(hot_page_is_hotter_than_any_warm_one),
	KUNIT_CASE(page_moved_up_counts_as_hotter_there),
	KUNIT_CASE(page_moved_down_counts_as_colder_there),
	KUNIT_CASE(move_counts_no_further_than_to_the_ends),
	KUNIT_CASE(only_what_is_moved_counts_as_moved),
	KUNIT_CASE(levels_are_right_page_by_page),
	KUNIT_CASE(levels_without_scores_come_from_idleness),
	KUNIT_CASE(count_is_the_sum_over_pages),
	KUNIT_CASE(pages_from_a_level_on_are_found),
	KUNIT_CASE(pages_of_some_levels_are_found),
	KUNIT_CASE(levels_that_are_there_are_named),
	KUNIT_CASE(levels_of_pages_all_alike_are_alike),
	KUNIT_CASE(pages_of_two_groups_are_joined),
	KUNIT_CASE(hottest_part_is_the_level_of_the_whole),
	KUNIT_CASE(hotter_use_of_two_counts),
	{}
};

static struct kunit_suite heat_suite = {
	.name = "ktierd_heat",
	.init = start,
	.test_cases = heat_cases,
};

kunit_test_suite(heat_suite);
