// SPDX-License-Identifier: GPL-2.0
/*
 * Who belongs in the top tier: the specification of policy.c.
 */

#include <kunit/test.h>
#include <linux/bitops.h>
#include <linux/limits.h>

#include "../policy.h"
#include "model.h"

#define ROUNDS		500
#define HOTTEST		(KTIERD_LEVELS - 1)
#define WARM		KTIERD_LEVEL_USED
#define COLD		KTIERD_LEVEL_COLD
#define NO_LIMIT	U64_MAX

/* Watched pages; so many that no chance is left. */
#define MANY		1000000

/* All pages that a machine can have. */
#define ALL_PAGES	BIT_ULL(40)

static struct ktierd_budget budget;
static struct ktierd_census *const census = &budget.census;
static struct ktierd_record *const record = &budget.record;
static struct ktierd_plan *const plan = &budget.plan;
static u64 seed;

static int start(struct kunit *test)
{
	memset(&budget, 0, sizeof(budget));
	census->nr_units = 100000;
	census->may_move = NO_LIMIT;
	census->window_us = 20000;
	census->write_weight = 1;
	seed = 1;
	return 0;
}

/* Pages of a level and class were watched: this part of them was touched. */
static void watch_class(unsigned int level, unsigned int class, u64 pages,
			unsigned int percent)
{
	census->were.nr[level][class] = pages;
	census->touched.nr[level][class] = pages * percent / 100;
}

static void watch(unsigned int level, u64 pages, unsigned int percent)
{
	watch_class(level, 0, pages, percent);
}

/* A round is like the one before. */
static void rounds(unsigned int n)
{
	while (n--)
		ktierd_policy_plan(&budget, 1000);
}

/* As many as it takes to believe what was seen. */
static void make_plan(void)
{
	rounds(KTIERD_SIGHTINGS);
}

static bool goes_up(unsigned int level)
{
	return ktierd_quota_wants_hot(&plan->promote, plan->rank[level][0]);
}

static bool goes_down(unsigned int level)
{
	return ktierd_quota_wants_cold(&plan->demote, plan->rank[level][0]);
}

/* The usual: hot pages are touched in most windows, and warm ones hardly. */
static void watch_usual(void)
{
	watch(HOTTEST, MANY, 90);
	watch(WARM, MANY, 5);
	watch(COLD, MANY, 0);
}

static void hot_pages_go_up_and_warm_ones_make_room(struct kunit *test)
{
	watch_usual();
	census->top.nr[HOTTEST][0] = 50;
	census->top.nr[WARM][0] = 50;
	census->low.nr[HOTTEST][0] = 40;
	census->low.nr[WARM][0] = 500;
	make_plan();

	KUNIT_EXPECT_EQ(test, plan->exchange, 40);
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 40);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 40);
	KUNIT_EXPECT_TRUE(test, goes_up(HOTTEST));
	KUNIT_EXPECT_FALSE(test, goes_up(WARM));
	KUNIT_EXPECT_TRUE(test, goes_down(WARM));
	KUNIT_EXPECT_FALSE(test, goes_down(HOTTEST));
}

static void least_worth_make_room_first(struct kunit *test)
{
	watch_usual();
	watch(3, MANY, 10);
	watch(25, MANY, 2);
	census->top.nr[3][0] = 100;
	census->top.nr[25][0] = 100;
	census->low.nr[HOTTEST][0] = 40;
	make_plan();

	/* What counts is experience, not what a level is called. */
	KUNIT_EXPECT_TRUE(test, goes_down(25));
	KUNIT_EXPECT_FALSE(test, goes_down(3));
}

static void most_worth_go_up_first(struct kunit *test)
{
	watch_usual();
	watch(20, MANY, 80);
	watch(25, MANY, 60);
	census->top.nr[WARM][0] = 100;
	census->low.nr[20][0] = 100;
	census->low.nr[25][0] = 100;
	make_plan();

	KUNIT_EXPECT_EQ(test, plan->exchange, 100);
	KUNIT_EXPECT_TRUE(test, goes_up(20));
	KUNIT_EXPECT_FALSE(test, goes_up(25));
}

static void free_room_is_filled_before_anything_goes_down(struct kunit *test)
{
	watch_usual();
	census->room = 30;
	census->top.nr[WARM][0] = 50;
	census->low.nr[HOTTEST][0] = 40;
	make_plan();

	KUNIT_EXPECT_EQ(test, plan->promote.pages, 40);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 10);
}

/* And what can is exchanged meanwhile. */
static void room_that_page_cache_has_to_leave_is_filled_later(struct kunit *test)
{
	watch_usual();
	census->room = 30;
	census->room_later = 20;
	census->low.nr[HOTTEST][0] = 40;
	make_plan();

	KUNIT_EXPECT_EQ(test, plan->promote.pages, 10);
	KUNIT_EXPECT_EQ(test, plan->lacks, 20);

	census->top.nr[WARM][0] = 5;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 15);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 5);
	KUNIT_EXPECT_EQ(test, plan->lacks, 20);
}

static void used_pages_stay_where_page_cache_could_leave(struct kunit *test)
{
	watch_usual();
	census->shortfall = 30;
	census->shortfall_files = 30;
	census->top.nr[HOTTEST][0] = 40;
	census->top.nr[1][0] = 5;
	rounds(8);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 5);
	KUNIT_EXPECT_EQ(test, ktierd_policy_capacity(&budget), 40);

	/* But they go for what it could not. */
	census->shortfall_files = 18;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 12);
	KUNIT_EXPECT_EQ(test, ktierd_policy_capacity(&budget), 33);
}

/* Those that two windows have missed may be in use, but for cold ones. */
static void nothing_goes_for_page_cache_before_it_is_known(struct kunit *test)
{
	watch_usual();
	census->shortfall = 30;
	census->shortfall_files = 30;
	census->top.nr[HOTTEST][0] = 40;
	census->top.nr[1][0] = 20;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 0);
	KUNIT_EXPECT_EQ(test, ktierd_policy_capacity(&budget), 60);

	census->top.nr[COLD][0] = 5;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 5);
}

static void nothing_is_lacking_for_what_is_not_there(struct kunit *test)
{
	watch_usual();
	census->room = 30;
	census->room_later = 20;
	census->low.nr[HOTTEST][0] = 10;
	make_plan();

	KUNIT_EXPECT_EQ(test, plan->promote.pages, 10);
	KUNIT_EXPECT_EQ(test, plan->lacks, 0);
}

static void free_room_is_filled_across_cells(struct kunit *test)
{
	watch_usual();
	watch(25, MANY, 60);
	census->room = 30;
	census->top.nr[WARM][0] = 100;
	census->low.nr[HOTTEST][0] = 20;
	census->low.nr[25][0] = 40;
	make_plan();

	KUNIT_EXPECT_EQ(test, plan->exchange, 30);
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 60);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 30);
}

static void equally_worth_pages_fill_free_room_and_no_more(struct kunit *test)
{
	watch_usual();
	census->room = 30;
	census->top.nr[HOTTEST][0] = 100;
	census->low.nr[HOTTEST][0] = 100;
	make_plan();

	KUNIT_EXPECT_EQ(test, plan->promote.pages, 30);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 0);
}

static void equally_worth_cells_are_not_exchanged(struct kunit *test)
{
	unsigned int up, down;

	for (up = 1; up < KTIERD_LEVELS; up++)
		watch(up, MANY, 40);
	for (up = 1; up < KTIERD_LEVELS; up++) {
		for (down = 1; down < KTIERD_LEVELS; down++) {
			memset(&census->top, 0, sizeof(census->top));
			memset(&census->low, 0, sizeof(census->low));
			census->top.nr[down][0] = 100;
			census->low.nr[up][0] = 100;
			make_plan();
			KUNIT_ASSERT_EQ(test, plan->exchange, 0);
			KUNIT_ASSERT_EQ(test, plan->promote.pages, 0);
			KUNIT_ASSERT_EQ(test, plan->demote.pages, 0);
		}
	}
}

static void exchange_needs_the_least_gain(struct kunit *test)
{
	census->top.nr[18][0] = 100;
	census->low.nr[30][0] = 100;
	watch(18, MANY, 50);
	watch(30, MANY, 74);
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->exchange, 0);

	watch(30, MANY, 76);
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->exchange, 100);
}

static void exchange_in_long_windows_pays_for_its_moves(struct kunit *test)
{
	/* In a minute of these the gain comes 60 times. */
	census->window_us = 1000000;
	census->top.nr[18][0] = 100;
	census->low.nr[30][0] = 100;
	watch(18, MANY, 10);
	watch(30, MANY, 92);
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->exchange, 0);

	watch(30, MANY, 95);
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->exchange, 100);
}

static void few_watched_pages_are_no_evidence(struct kunit *test)
{
	census->top.nr[18][0] = 100;
	census->low.nr[30][0] = 100;
	watch(18, 10, 0);
	watch(30, 10, 100);
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->exchange, 0);

	watch(18, 100, 0);
	watch(30, 100, 100);
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->exchange, 100);
}

static void few_watched_pages_are_evidence_in_time(struct kunit *test)
{
	census->top.nr[18][0] = 100;
	census->low.nr[30][0] = 100;
	watch(18, 40, 0);
	watch(30, 40, 100);
	rounds(20);
	KUNIT_EXPECT_EQ(test, plan->exchange, 100);
}

/* Touched in two fifths of the windows more often: there is no end of such. */
static void small_gains_are_sought_at_first_only(struct kunit *test)
{
	census->top.nr[18][0] = 100;
	census->low.nr[25][0] = 100;
	watch(18, MANY, 20);
	watch(25, MANY, 60);
	rounds(15);
	KUNIT_EXPECT_EQ(test, plan->exchange, 100);
	rounds(1);
	KUNIT_EXPECT_EQ(test, plan->exchange, 0);

	/* When much is new, too. */
	census->nr_fresh = 1;
	rounds(1);
	census->nr_fresh = 0;
	rounds(14);
	KUNIT_EXPECT_EQ(test, plan->exchange, 100);
	rounds(2);
	KUNIT_EXPECT_EQ(test, plan->exchange, 0);

	/* But large ones always. */
	watch(25, MANY, 100);
	rounds(20);
	KUNIT_EXPECT_EQ(test, plan->exchange, 100);
}

/* Hot is what is touched more than most, be that in nearly all windows, too. */
static void change_is_told_where_most_is_touched(struct kunit *test)
{
	watch(30, 300, 100);
	watch(26, 1700, 60);
	rounds(10);
	watch(30, 300, 60);
	watch(26, 1700, 67);
	rounds(1);
	KUNIT_EXPECT_EQ(test, record->windows, 0);
}

static void cells_never_seen_are_not_exchanged(struct kunit *test)
{
	census->top.nr[WARM][0] = 100;
	census->top.nr[COLD][0] = 0;
	census->low.nr[HOTTEST][0] = 100;
	watch(20, MANY, 100);
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->exchange, 0);

	/* Nor against such as were seen. */
	watch(WARM, MANY, 5);
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->exchange, 0);
}

static void cell_never_seen_ranks_as_the_mean(struct kunit *test)
{
	watch_usual();
	make_plan();
	KUNIT_EXPECT_GT(test, plan->rank[20][0], plan->rank[WARM][0]);
	KUNIT_EXPECT_LT(test, plan->rank[20][0], plan->rank[HOTTEST][0]);
}

static void weight_of_writes_is_no_evidence(struct kunit *test)
{
	census->write_weight = 4;
	census->top.nr[WARM][0] = 100;
	census->low.nr[HOTTEST][0] = 100;
	watch(20, MANY, 100);
	census->known = census->touched;
	census->written = census->touched;
	watch(WARM, MANY, 0);
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->exchange, 0);
}

static void cold_pages_make_room_however_few_were_seen(struct kunit *test)
{
	watch(HOTTEST, MANY, 60);
	watch(WARM, MANY, 5);
	census->top.nr[COLD][0] = 1;
	census->top.nr[WARM][0] = 50;
	census->low.nr[HOTTEST][0] = 40;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->exchange, 40);
}

static void nothing_goes_up_on_one_sighting(struct kunit *test)
{
	watch_usual();
	census->room = 10;
	census->top.nr[WARM][0] = 50;
	census->low.nr[HOTTEST][0] = 40;
	rounds(1);
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 0);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 0);
	rounds(1);
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 40);
}

static void pages_hardly_ever_touched_do_not_fill_room(struct kunit *test)
{
	census->room = 1000;
	census->low.nr[KTIERD_LEVEL_PROMOTE - 1][0] = 100;
	watch_usual();
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 0);

	watch(KTIERD_LEVEL_PROMOTE, MANY, 20);
	watch(KTIERD_LEVEL_PROMOTE - 1, MANY, 10);
	census->low.nr[KTIERD_LEVEL_PROMOTE][0] = 7;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 7);
	KUNIT_EXPECT_TRUE(test, goes_up(KTIERD_LEVEL_PROMOTE));
	KUNIT_EXPECT_FALSE(test, goes_up(KTIERD_LEVEL_PROMOTE - 1));
}

static void cold_pages_go_down_even_with_room(struct kunit *test)
{
	watch_usual();
	census->room = 1000;
	census->top.nr[COLD][0] = 60;
	census->top.nr[1][0] = 40;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 60);
	KUNIT_EXPECT_TRUE(test, goes_down(COLD));
	KUNIT_EXPECT_FALSE(test, goes_down(1));
}

static void cold_pages_go_down_before_anything_is_known(struct kunit *test)
{
	census->top.nr[COLD][0] = 60;
	census->top.nr[1][0] = 40;
	rounds(1);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 60);
	KUNIT_EXPECT_TRUE(test, goes_down(COLD));
	KUNIT_EXPECT_FALSE(test, goes_down(1));
}

static void cold_pages_are_the_room_for_hot_ones(struct kunit *test)
{
	watch_usual();
	census->top.nr[COLD][0] = 60;
	census->top.nr[WARM][0] = 40;
	census->low.nr[HOTTEST][0] = 50;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 50);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 60);
}

static void cold_pages_never_go_up(struct kunit *test)
{
	census->room = 1000;
	census->low.nr[COLD][0] = 100;
	census->low.nr[COLD][KTIERD_CLASSES - 1] = 100;
	census->top.nr[WARM][0] = 100;
	watch(COLD, MANY, 100);
	watch(WARM, MANY, 0);
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 0);
	KUNIT_EXPECT_FALSE(test, goes_up(COLD));
}

static void cold_cells_rank_lowest(struct kunit *test)
{
	unsigned int level, class;

	watch(COLD, MANY, 100);
	make_plan();
	for (level = 1; level < KTIERD_LEVELS; level++)
		for (class = 0; class < KTIERD_CLASSES; class++)
			KUNIT_EXPECT_GT(test, plan->rank[level][class],
					plan->rank[COLD][class]);
}

static void headroom_is_restored_least_worth_first(struct kunit *test)
{
	watch_usual();
	watch(2, MANY, 1);
	watch(3, MANY, 2);
	census->shortfall = 50;
	census->top.nr[2][0] = 30;
	census->top.nr[3][0] = 30;
	census->top.nr[HOTTEST][0] = 100;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 0);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 50);
	KUNIT_EXPECT_EQ(test, plan->demote.rank, plan->rank[3][0]);
	KUNIT_EXPECT_EQ(test, plan->demote.at_rank, 20);
	KUNIT_EXPECT_EQ(test, plan->demote.levels, 1U << 2 | 1U << 3);
}

static void headroom_is_restored_besides_what_is_exchanged(struct kunit *test)
{
	watch_usual();
	census->shortfall = 20;
	census->top.nr[WARM][0] = 100;
	census->low.nr[HOTTEST][0] = 50;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 50);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 70);
}

static void headroom_is_never_more_than_there_is(struct kunit *test)
{
	watch_usual();
	census->shortfall = 500;
	census->top.nr[HOTTEST][0] = 10;
	census->low.nr[HOTTEST][0] = 10;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 10);
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 0);
	KUNIT_EXPECT_EQ(test, ktierd_policy_capacity(&budget), 0);
}

static void capacity_is_what_is_there_and_room(struct kunit *test)
{
	census->top.nr[HOTTEST][0] = 10;
	census->top.nr[COLD][3] = 20;
	census->room = 5;
	KUNIT_EXPECT_EQ(test, ktierd_policy_capacity(&budget), 35);
	census->room = 0;
	census->shortfall = 7;
	KUNIT_EXPECT_EQ(test, ktierd_policy_capacity(&budget), 23);
}

static void rate_limits_each_direction(struct kunit *test)
{
	watch_usual();
	census->may_move = 25;
	census->top.nr[WARM][0] = 100;
	census->low.nr[HOTTEST][0] = 80;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 25);
	KUNIT_EXPECT_EQ(test, plan->promote.over_rate, 55);
	/* Only as many go down as come up. */
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 25);
	KUNIT_EXPECT_EQ(test, plan->demote.over_rate, 0);
}

static void rate_limits_what_is_cold(struct kunit *test)
{
	census->may_move = 25;
	census->top.nr[COLD][0] = 100;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 25);
	KUNIT_EXPECT_EQ(test, plan->demote.over_rate, 75);
}

static void nothing_moves_at_rate_zero(struct kunit *test)
{
	watch_usual();
	census->may_move = 0;
	census->room = 10;
	census->top.nr[COLD][0] = 100;
	census->low.nr[HOTTEST][0] = 80;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 0);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 0);
	KUNIT_EXPECT_FALSE(test, goes_up(HOTTEST));
	KUNIT_EXPECT_FALSE(test, goes_down(COLD));
	KUNIT_EXPECT_EQ(test, plan->promote.levels | plan->demote.levels, 0);
}

/* Pages that are only written in the lower tier, and only read in the top one. */
static void written_below_read_above(unsigned int write_weight)
{
	census->write_weight = write_weight;
	census->top.nr[25][0] = 100;
	census->low.nr[25][KTIERD_CLASSES - 1] = 100;
	watch_class(25, 0, MANY, 60);
	watch_class(25, KTIERD_CLASSES - 1, MANY, 60);
	census->known = census->touched;
	census->written.nr[25][KTIERD_CLASSES - 1] = MANY * 6 / 10;
	make_plan();
}

static void written_page_beats_one_as_often_read(struct kunit *test)
{
	written_below_read_above(2);
	KUNIT_EXPECT_EQ(test, plan->exchange, 100);
}

static void write_is_worth_a_read_without_a_weight(struct kunit *test)
{
	written_below_read_above(1);
	KUNIT_EXPECT_EQ(test, plan->exchange, 0);
	written_below_read_above(0);
	KUNIT_EXPECT_EQ(test, plan->exchange, 0);
}

static void page_is_hot_from_where_all_fit(struct kunit *test)
{
	census->top.nr[HOTTEST][0] = 60;
	census->low.nr[HOTTEST][0] = 30;
	census->low.nr[HOTTEST - 1][0] = 20;
	census->room = 40;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->hot, HOTTEST);
	census->room = 50;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->hot, KTIERD_LEVEL_PROMOTE);
	census->room = 29;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->hot, KTIERD_LEVELS);
}

static void nothing_is_planned_for_nothing(struct kunit *test)
{
	census->room = 10;
	make_plan();
	KUNIT_EXPECT_EQ(test, plan->exchange, 0);
	KUNIT_EXPECT_EQ(test, plan->promote.pages, 0);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, 0);
	KUNIT_EXPECT_EQ(test, plan->hot, KTIERD_LEVEL_PROMOTE);
	KUNIT_EXPECT_EQ(test, record->windows, 0);
}

static void quota_ends_within_a_rank(struct kunit *test)
{
	struct ktierd_quota quota = { .pages = 5, .rank = 10, .at_rank = 2 };

	ktierd_quota_take(&quota, 10, 2);
	KUNIT_EXPECT_FALSE(test, ktierd_quota_wants_hot(&quota, 10));
	KUNIT_EXPECT_TRUE(test, ktierd_quota_wants_hot(&quota, 11));
	KUNIT_EXPECT_FALSE(test, ktierd_quota_wants_cold(&quota, 10));
	KUNIT_EXPECT_TRUE(test, ktierd_quota_wants_cold(&quota, 9));
	ktierd_quota_take(&quota, 11, 512);
	KUNIT_EXPECT_FALSE(test, ktierd_quota_wants_hot(&quota, 11));
	KUNIT_EXPECT_EQ(test, quota.pages, 0);
}

/* A round of any load. */
static void any_census(unsigned int most_pages)
{
	unsigned int level, class;
	u64 pages;

	for (level = 0; level < KTIERD_LEVELS; level++) {
		for (class = 0; class < KTIERD_CLASSES; class++) {
			census->top.nr[level][class] =
				random_number(&seed, most_pages);
			census->low.nr[level][class] =
				random_number(&seed, most_pages);
			pages = random_number(&seed, 1000);
			census->were.nr[level][class] = pages;
			pages = random_number(&seed, pages);
			census->touched.nr[level][class] = pages;
			census->known.nr[level][class] = pages;
			pages = random_number(&seed, pages);
			census->written.nr[level][class] = pages;
		}
	}
	census->room = random_number(&seed, 40 * most_pages);
	census->shortfall = random_number(&seed, 40 * most_pages);
	census->may_move = random_number(&seed, 100 * most_pages);
	if (random_number(&seed, 1))
		census->may_move = NO_LIMIT;
	census->write_weight = random_number(&seed, 4);
	census->window_us = random_number(&seed, 1000000);
}

static void ranks_are_a_permutation(struct kunit *test)
{
	unsigned int round, cell;
	static bool seen[KTIERD_CELLS];

	for (round = 0; round < ROUNDS; round++) {
		any_census(50);
		rounds(1);
		memset(seen, 0, sizeof(seen));
		for (cell = 0; cell < KTIERD_CELLS; cell++)
			seen[plan->rank[cell / KTIERD_CLASSES]
				       [cell % KTIERD_CLASSES]] = true;
		for (cell = 0; cell < KTIERD_CELLS; cell++)
			KUNIT_ASSERT_EQ(test, seen[cell], true);
	}
}

typedef bool wants_fn(const struct ktierd_quota *quota, unsigned int rank);

/* Walk through the pages: how many go, and of which levels? */
static u64 take_all(struct ktierd_quota quota, wants_fn *wants,
		    const struct ktierd_histogram *histogram, u32 *levels)
{
	unsigned int cell, level, class, rank;
	u64 taken = 0, left;

	*levels = 0;
	for (cell = 0; cell < KTIERD_CELLS; cell++) {
		level = cell / KTIERD_CLASSES;
		class = cell % KTIERD_CLASSES;
		rank = plan->rank[level][class];
		left = histogram->nr[level][class];
		for (; left && wants(&quota, rank); left--) {
			ktierd_quota_take(&quota, rank, 1);
			*levels |= 1U << level;
			taken++;
		}
	}
	return taken;
}

static void quotas_are_what_a_walk_takes(struct kunit *test)
{
	unsigned int round;
	u32 levels;
	u64 taken;

	for (round = 0; round < ROUNDS; round++) {
		any_census(50);
		rounds(1);
		taken = take_all(plan->promote, ktierd_quota_wants_hot,
				 &census->low, &levels);
		KUNIT_ASSERT_EQ(test, taken, plan->promote.pages);
		KUNIT_ASSERT_EQ(test, levels, plan->promote.levels);
		taken = take_all(plan->demote, ktierd_quota_wants_cold,
				 &census->top, &levels);
		KUNIT_ASSERT_EQ(test, taken, plan->demote.pages);
		KUNIT_ASSERT_EQ(test, levels, plan->demote.levels);
	}
}

static void no_more_go_up_than_find_room(struct kunit *test)
{
	unsigned int round;

	for (round = 0; round < ROUNDS; round++) {
		any_census(50);
		rounds(1);
		KUNIT_ASSERT_LE(test, plan->promote.pages,
				census->room + plan->demote.pages);
		KUNIT_ASSERT_LE(test, plan->promote.pages, census->may_move);
		KUNIT_ASSERT_LE(test, plan->demote.pages, census->may_move);
		KUNIT_ASSERT_EQ(test, plan->promote.levels & 1U << COLD, 0);
	}
}

static void begin_forgets_what_was_counted_only(struct kunit *test)
{
	watch_usual();
	rounds(3);
	ktierd_policy_begin(&budget);
	KUNIT_EXPECT_EQ(test, census->were.nr[HOTTEST][0], 0);
	KUNIT_EXPECT_EQ(test, census->window_us, 0);
	KUNIT_EXPECT_EQ(test, record->windows, 3);
	KUNIT_EXPECT_GT(test, record->were.nr[HOTTEST][0], 0);
}

static void round_without_watched_pages_teaches_nothing(struct kunit *test)
{
	static struct ktierd_record before;

	watch_usual();
	rounds(5);
	before = *record;
	ktierd_policy_begin(&budget);
	rounds(1);
	before.stable_ms = record->stable_ms;
	KUNIT_EXPECT_EQ(test, memcmp(record, &before, sizeof(before)), 0);
}

static void experience_sums_up_and_is_forgotten(struct kunit *test)
{
	watch(20, 1000, 50);
	rounds(200);
	KUNIT_EXPECT_GE(test, record->were.nr[20][0], 8000);
	KUNIT_EXPECT_LE(test, record->were.nr[20][0], 8008);
	KUNIT_EXPECT_GE(test, record->touched.nr[20][0], 4000);
	KUNIT_EXPECT_LE(test, record->touched.nr[20][0], 4008);
	watch(20, 0, 0);
	watch(21, 1, 0);
	rounds(100);
	KUNIT_EXPECT_LT(test, record->were.nr[20][0], 8);
}

static void first_windows_count_for_themselves(struct kunit *test)
{
	watch(20, 1000, 50);
	rounds(1);
	watch(20, 500, 50);
	rounds(1);
	KUNIT_EXPECT_EQ(test, record->were.nr[20][0], 500);
}

static void young_experience_is_forgotten_fast(struct kunit *test)
{
	/* A half in each of these windows. */
	watch(20, 1024, 50);
	rounds(2);
	watch(20, 0, 0);
	watch(21, 1, 0);
	rounds(5);
	KUNIT_EXPECT_EQ(test, record->windows, 7);
	KUNIT_EXPECT_EQ(test, record->were.nr[20][0], 32);
	/* And then an eighth. */
	rounds(1);
	KUNIT_EXPECT_EQ(test, record->were.nr[20][0], 28);
}

static void shift_follows_the_windows(struct kunit *test)
{
	static const unsigned int shifts[] = { 0, 1, 2, 2, 2, 2, 2, 3 };
	unsigned int n;

	watch_usual();
	for (n = 0; n < sizeof(shifts) / sizeof(*shifts); n++) {
		KUNIT_EXPECT_EQ(test, ktierd_policy_shift(record), shifts[n]);
		rounds(1);
	}
	rounds(30);
	KUNIT_EXPECT_EQ(test, ktierd_policy_shift(record), KTIERD_SHIFT_MAX);
}

/* For some windows, hot pages and others are touched in these parts of them. */
static void load(unsigned int n, unsigned int hot, unsigned int others)
{
	watch(28, 1000, hot);
	watch(WARM, 1000, others);
	rounds(n);
}

static void change_of_the_load_starts_learning_anew(struct kunit *test)
{
	load(10, 90, 10);
	KUNIT_EXPECT_EQ(test, record->windows, 10);
	load(1, 10, 90);
	KUNIT_EXPECT_EQ(test, record->windows, 0);
	KUNIT_EXPECT_EQ(test, ktierd_policy_shift(record), 0);
	/* What was known of the old load is forgotten. */
	KUNIT_EXPECT_EQ(test, record->touched.nr[28][0], 100);
}

static void other_weight_of_writes_starts_learning_anew(struct kunit *test)
{
	census->write_weight = 2;
	load(20, 90, 10);
	KUNIT_EXPECT_EQ(test, record->windows, 20);
	census->write_weight = 1;
	load(1, 90, 10);
	KUNIT_EXPECT_EQ(test, record->windows, 0);
	load(3, 90, 10);
	KUNIT_EXPECT_EQ(test, record->windows, 3);
}

static void hot_pages_that_are_dropped_are_a_change(struct kunit *test)
{
	load(10, 90, 10);
	load(1, 30, 10);
	KUNIT_EXPECT_EQ(test, record->windows, 0);
}

static void faster_load_is_no_change(struct kunit *test)
{
	load(10, 30, 3);
	load(1, 60, 6);
	load(1, 90, 9);
	KUNIT_EXPECT_EQ(test, record->windows, 12);
}

static void load_too_fast_for_the_window_is_no_change(struct kunit *test)
{
	/* Hot pages can't be touched much more, and others can. */
	load(10, 80, 5);
	load(1, 96, 10);
	load(1, 99, 19);
	load(1, 100, 34);
	KUNIT_EXPECT_EQ(test, record->windows, 13);
}

static void slower_load_is_no_change(struct kunit *test)
{
	load(10, 90, 10);
	load(1, 45, 5);
	load(1, 20, 2);
	load(1, 0, 0);
	KUNIT_EXPECT_EQ(test, record->windows, 13);
}

static void load_that_touches_all_alike_does_not_change(struct kunit *test)
{
	load(10, 50, 50);
	load(1, 20, 60);
	KUNIT_EXPECT_EQ(test, record->windows, 11);
}

static void few_pages_show_no_change(struct kunit *test)
{
	load(10, 90, 10);
	watch(28, 63, 0);
	watch(WARM, 1000, 90);
	rounds(1);
	KUNIT_EXPECT_EQ(test, record->windows, 11);
}

static void window_of_another_length_shows_no_change(struct kunit *test)
{
	load(10, 90, 10);
	census->window_us *= 2;
	load(1, 10, 90);
	KUNIT_EXPECT_EQ(test, record->windows, 11);
}

static void first_windows_show_no_change(struct kunit *test)
{
	load(3, 90, 10);
	load(1, 10, 90);
	KUNIT_EXPECT_EQ(test, record->windows, 4);
}

static void interval_stretches_with_stability(struct kunit *test)
{
	record->stable_ms = 0;
	KUNIT_EXPECT_EQ(test, ktierd_policy_interval(record, 1000), 1000);
	record->stable_ms = 8000;
	KUNIT_EXPECT_EQ(test, ktierd_policy_interval(record, 1000), 1000);
	record->stable_ms = 24000;
	KUNIT_EXPECT_EQ(test, ktierd_policy_interval(record, 1000), 3000);
	record->stable_ms = 64000;
	KUNIT_EXPECT_EQ(test, ktierd_policy_interval(record, 1000), 8000);
	record->stable_ms = U32_MAX;
	KUNIT_EXPECT_EQ(test, ktierd_policy_interval(record, 1000), 8000);
}

static void interval_is_short_again_after_a_change(struct kunit *test)
{
	load(100, 90, 10);
	KUNIT_EXPECT_EQ(test, ktierd_policy_interval(record, 1000), 8000);
	load(1, 10, 90);
	KUNIT_EXPECT_EQ(test, ktierd_policy_interval(record, 1000), 1000);
}

static void time_of_stability_adds_up_and_saturates(struct kunit *test)
{
	ktierd_policy_plan(&budget, 300);
	ktierd_policy_plan(&budget, 400);
	KUNIT_EXPECT_EQ(test, record->stable_ms, 700);
	ktierd_policy_plan(&budget, U32_MAX - 600);
	KUNIT_EXPECT_EQ(test, record->stable_ms, U32_MAX);
}

static void great_exchange_is_no_stability(struct kunit *test)
{
	watch_usual();
	census->top.nr[WARM][0] = 1000;
	census->low.nr[HOTTEST][0] = 3;
	rounds(4);
	KUNIT_EXPECT_EQ(test, record->stable_ms, 4000);
	census->low.nr[HOTTEST][0] = 4;
	rounds(1);
	KUNIT_EXPECT_EQ(test, record->stable_ms, 0);
}

static void many_new_pages_are_no_stability(struct kunit *test)
{
	census->top.nr[WARM][0] = 1000;
	census->nr_fresh = 3;
	rounds(4);
	KUNIT_EXPECT_EQ(test, record->stable_ms, 4000);
	census->nr_fresh = 4;
	rounds(1);
	KUNIT_EXPECT_EQ(test, record->stable_ms, 0);
}

static unsigned int window(void)
{
	return ktierd_policy_window(&budget, 1000, 1000000);
}

/* After a window of 20 ms that touched so many, with room for 800 of 2400. */
static unsigned int next_window(u64 nr_touched)
{
	census->room = 0;
	census->top.nr[WARM][0] = 800;
	census->low.nr[WARM][0] = 1600;
	census->nr_touched = nr_touched;
	return window();
}

static void window_shrinks_when_too_much_is_touched(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, next_window(1002), 19960);
	KUNIT_EXPECT_EQ(test, next_window(2000), 10000);
	KUNIT_EXPECT_EQ(test, next_window(8000), 2500);
	/* By no more than this at once. */
	KUNIT_EXPECT_EQ(test, next_window(1000000), 2500);
}

static void window_grows_when_too_little_is_touched(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, next_window(798), 25062);
	KUNIT_EXPECT_EQ(test, next_window(500), 40000);
	/* By no more than this at once. */
	KUNIT_EXPECT_EQ(test, next_window(50), 160000);
	KUNIT_EXPECT_EQ(test, next_window(0), 160000);
}

static void window_stays_when_enough_is_touched(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, next_window(800), 20000);
	KUNIT_EXPECT_EQ(test, next_window(900), 20000);
	KUNIT_EXPECT_EQ(test, next_window(1000), 20000);
}

/* Where nearly all fits, not all is to be touched, and that includes new pages. */
static void window_leaves_some_pages_untouched(struct kunit *test)
{
	census->top.nr[WARM][0] = 900;
	census->nr_touched = 600;
	KUNIT_EXPECT_EQ(test, window(), 20000);
	census->nr_touched = 800;
	KUNIT_EXPECT_EQ(test, window(), 15000);
	census->nr_fresh = 900;
	KUNIT_EXPECT_EQ(test, window(), 28125);
}

/* Of few, the hottest have to stand out. */
static void window_touches_less_of_few_pages(struct kunit *test)
{
	census->nr_units = 4095;
	KUNIT_EXPECT_EQ(test, next_window(602), 19933);
	census->nr_units = 4096;
	KUNIT_EXPECT_EQ(test, next_window(800), 20000);
}

static void window_that_touches_all_is_far_too_long(struct kunit *test)
{
	census->top.nr[WARM][0] = 900;
	census->nr_touched = 890;
	KUNIT_EXPECT_EQ(test, window(), 2500);
}

/* Where little fits, a quarter of all is to be touched. */
static void window_touches_enough_to_learn_from(struct kunit *test)
{
	census->top.nr[WARM][0] = 100;
	census->low.nr[WARM][0] = 3900;
	census->nr_touched = 500;
	KUNIT_EXPECT_EQ(test, window(), 40000);
}

static void window_is_short_again_after_a_change(struct kunit *test)
{
	load(10, 90, 10);
	KUNIT_EXPECT_EQ(test, next_window(900), 20000);
	load(1, 10, 90);
	KUNIT_EXPECT_EQ(test, next_window(900), 2500);
	load(1, 10, 90);
	KUNIT_EXPECT_EQ(test, next_window(900), 20000);
}

static void window_stays_within_bounds(struct kunit *test)
{
	census->window_us = 900000;
	KUNIT_EXPECT_EQ(test, next_window(0), 1000000);
	census->window_us = 1500;
	KUNIT_EXPECT_EQ(test, next_window(1000000), 1000);
	census->window_us = 5;
	KUNIT_EXPECT_EQ(test, next_window(900), 1000);
}

static void window_gets_by_without_capacity_or_length(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, window(), 160000);
	census->nr_touched = 1;
	KUNIT_EXPECT_EQ(test, window(), 2500);
	census->window_us = 0;
	KUNIT_EXPECT_EQ(test, window(), 1000);
}

static void window_is_right_on_the_largest_machine(struct kunit *test)
{
	census->window_us = 100000;
	census->top.nr[WARM][0] = ALL_PAGES / 2;
	census->low.nr[WARM][0] = ALL_PAGES / 2;
	census->nr_touched = ALL_PAGES * 5 / 16;
	KUNIT_EXPECT_EQ(test, window(), 200000);
	census->nr_touched = ALL_PAGES;
	KUNIT_EXPECT_EQ(test, window(), 12500);
}

static void plan_is_right_on_the_largest_machine(struct kunit *test)
{
	census->top.nr[WARM][0] = ALL_PAGES / 2;
	census->low.nr[HOTTEST][0] = ALL_PAGES / 2;
	census->write_weight = 2;
	watch(WARM, ALL_PAGES / 2, 10);
	watch(HOTTEST, ALL_PAGES / 2, 90);
	rounds(20);
	KUNIT_EXPECT_EQ(test, record->windows, 20);
	KUNIT_EXPECT_EQ(test, plan->promote.pages, ALL_PAGES / 2);
	KUNIT_EXPECT_EQ(test, plan->demote.pages, ALL_PAGES / 2);
	KUNIT_EXPECT_EQ(test, plan->hot, KTIERD_LEVEL_PROMOTE);
}

static void change_is_told_on_machines_of_any_size(struct kunit *test)
{
	u64 pages;

	for (pages = 1000; pages < ALL_PAGES; pages *= 3) {
		memset(record, 0, sizeof(*record));
		watch(WARM, pages / 2, 17);
		watch(HOTTEST, pages / 2, 83);
		rounds(10);
		KUNIT_EXPECT_EQ(test, record->windows, 10);
		watch(WARM, pages / 2, 83);
		watch(HOTTEST, pages / 2, 17);
		rounds(1);
		KUNIT_EXPECT_EQ(test, record->windows, 0);
	}
}

static void plan_gets_by_without_a_window(struct kunit *test)
{
	watch_usual();
	census->window_us = 0;
	census->top.nr[WARM][0] = 100;
	census->low.nr[HOTTEST][0] = 100;
	rounds(10);
	KUNIT_EXPECT_EQ(test, plan->exchange, 100);
}

/* Draws in which each ticket is tried; each wins as often as its odds are. */
#define DRAWS	4096

static void lots_are_drawn_anew(struct kunit *test)
{
	u32 nr, draw, won;
	u64 ticket;

	for (nr = 1; nr <= 64; nr++) {
		for (ticket = 1000; ticket < 1064; ticket += 8) {
			won = 0;
			for (draw = 1; draw <= DRAWS; draw++)
				won += ktierd_policy_lot(ticket, draw, nr);
			KUNIT_EXPECT_GE(test, won * nr, DRAWS / 2);
			KUNIT_EXPECT_LE(test, won * nr, DRAWS * 3 / 2);
		}
	}
}

static void one_in_so_many_wins_each_draw(struct kunit *test)
{
	u32 nr, draw, won;
	u64 ticket;

	for (nr = 1; nr <= 64; nr++) {
		for (draw = 1; draw <= 8; draw++) {
			won = 0;
			for (ticket = 0; ticket < DRAWS; ticket++)
				won += ktierd_policy_lot(ticket, draw, nr);
			KUNIT_EXPECT_GE(test, won * nr, DRAWS * 3 / 4);
			KUNIT_EXPECT_LE(test, won * nr, DRAWS * 5 / 4);
		}
	}
}

static void who_is_alone_always_wins(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, ktierd_policy_lot(0, 0, 0));
	KUNIT_EXPECT_TRUE(test, ktierd_policy_lot(U64_MAX, U32_MAX, 1));
}

static struct kunit_case policy_cases[] = {
	KUNIT_CASE(hot_pages_go_up_and_warm_ones_make_room),
	KUNIT_CASE(least_worth_make_room_first),
	KUNIT_CASE(most_worth_go_up_first),
	KUNIT_CASE(free_room_is_filled_before_anything_goes_down),
	KUNIT_CASE(room_that_page_cache_has_to_leave_is_filled_later),
	KUNIT_CASE(used_pages_stay_where_page_cache_could_leave),
	KUNIT_CASE(nothing_goes_for_page_cache_before_it_is_known),
	KUNIT_CASE(nothing_is_lacking_for_what_is_not_there),
	KUNIT_CASE(free_room_is_filled_across_cells),
	KUNIT_CASE(equally_worth_pages_fill_free_room_and_no_more),
	KUNIT_CASE(equally_worth_cells_are_not_exchanged),
	KUNIT_CASE(exchange_needs_the_least_gain),
	KUNIT_CASE(exchange_in_long_windows_pays_for_its_moves),
	KUNIT_CASE(few_watched_pages_are_no_evidence),
	KUNIT_CASE(few_watched_pages_are_evidence_in_time),
	KUNIT_CASE(small_gains_are_sought_at_first_only),
	KUNIT_CASE(change_is_told_where_most_is_touched),
	KUNIT_CASE(cells_never_seen_are_not_exchanged),
	KUNIT_CASE(cell_never_seen_ranks_as_the_mean),
	KUNIT_CASE(weight_of_writes_is_no_evidence),
	KUNIT_CASE(cold_pages_make_room_however_few_were_seen),
	KUNIT_CASE(nothing_goes_up_on_one_sighting),
	KUNIT_CASE(pages_hardly_ever_touched_do_not_fill_room),
	KUNIT_CASE(cold_pages_go_down_even_with_room),
	KUNIT_CASE(cold_pages_go_down_before_anything_is_known),
	KUNIT_CASE(cold_pages_are_the_room_for_hot_ones),
	KUNIT_CASE(cold_pages_never_go_up),
	KUNIT_CASE(cold_cells_rank_lowest),
	KUNIT_CASE(headroom_is_restored_least_worth_first),
	KUNIT_CASE(headroom_is_restored_besides_what_is_exchanged),
	KUNIT_CASE(headroom_is_never_more_than_there_is),
	KUNIT_CASE(capacity_is_what_is_there_and_room),
	KUNIT_CASE(rate_limits_each_direction),
	KUNIT_CASE(rate_limits_what_is_cold),
	KUNIT_CASE(nothing_moves_at_rate_zero),
	KUNIT_CASE(written_page_beats_one_as_often_read),
	KUNIT_CASE(write_is_worth_a_read_without_a_weight),
	KUNIT_CASE(page_is_hot_from_where_all_fit),
	KUNIT_CASE(nothing_is_planned_for_nothing),
	KUNIT_CASE(quota_ends_within_a_rank),
	KUNIT_CASE(ranks_are_a_permutation),
	KUNIT_CASE(quotas_are_what_a_walk_takes),
	KUNIT_CASE(no_more_go_up_than_find_room),
	KUNIT_CASE(begin_forgets_what_was_counted_only),
	KUNIT_CASE(round_without_watched_pages_teaches_nothing),
	KUNIT_CASE(experience_sums_up_and_is_forgotten),
	KUNIT_CASE(first_windows_count_for_themselves),
	KUNIT_CASE(young_experience_is_forgotten_fast),
	KUNIT_CASE(shift_follows_the_windows),
	KUNIT_CASE(change_of_the_load_starts_learning_anew),
	KUNIT_CASE(other_weight_of_writes_starts_learning_anew),
	KUNIT_CASE(hot_pages_that_are_dropped_are_a_change),
	KUNIT_CASE(faster_load_is_no_change),
	KUNIT_CASE(load_too_fast_for_the_window_is_no_change),
	KUNIT_CASE(slower_load_is_no_change),
	KUNIT_CASE(load_that_touches_all_alike_does_not_change),
	KUNIT_CASE(few_pages_show_no_change),
	KUNIT_CASE(window_of_another_length_shows_no_change),
	KUNIT_CASE(first_windows_show_no_change),
	KUNIT_CASE(interval_stretches_with_stability),
	KUNIT_CASE(interval_is_short_again_after_a_change),
	KUNIT_CASE(time_of_stability_adds_up_and_saturates),
	KUNIT_CASE(great_exchange_is_no_stability),
	KUNIT_CASE(many_new_pages_are_no_stability),
	KUNIT_CASE(window_shrinks_when_too_much_is_touched),
	KUNIT_CASE(window_grows_when_too_little_is_touched),
	KUNIT_CASE(window_stays_when_enough_is_touched),
	KUNIT_CASE(window_leaves_some_pages_untouched),
	KUNIT_CASE(window_touches_less_of_few_pages),
	KUNIT_CASE(window_that_touches_all_is_far_too_long),
	KUNIT_CASE(window_touches_enough_to_learn_from),
	KUNIT_CASE(window_is_short_again_after_a_change),
	KUNIT_CASE(window_stays_within_bounds),
	KUNIT_CASE(window_gets_by_without_capacity_or_length),
	KUNIT_CASE(window_is_right_on_the_largest_machine),
	KUNIT_CASE(plan_is_right_on_the_largest_machine),
	KUNIT_CASE(change_is_told_on_machines_of_any_size),
	KUNIT_CASE(plan_gets_by_without_a_window),
	KUNIT_CASE(lots_are_drawn_anew),
	KUNIT_CASE(one_in_so_many_wins_each_draw),
	KUNIT_CASE(who_is_alone_always_wins),
	{}
};

static struct kunit_suite policy_suite = {
	.name = "ktierd_policy",
	.init = start,
	.test_cases = policy_cases,
};

kunit_test_suite(policy_suite);
