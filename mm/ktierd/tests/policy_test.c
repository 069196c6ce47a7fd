// SPDX-License-Identifier: GPL-2.0
/*
 * Who belongs in the top tier: the specification of policy.c.
 */

#include <kunit/test.h>

#include "../policy.h"

#define HOTTEST		(KTIERD_LEVELS - 1)
#define WARM		KTIERD_LEVEL_USED
#define NO_LIMIT	U64_MAX

static void hot_pages_go_up_and_warm_ones_make_room(struct kunit *test)
{
	struct ktierd_census census = { .may_move = NO_LIMIT };
	struct ktierd_plan plan;

	census.top[HOTTEST] = 50;
	census.top[WARM] = 50;
	census.low[HOTTEST] = 40;
	census.low[WARM] = 500;
	ktierd_policy_plan(&census, &plan);

	KUNIT_EXPECT_EQ(test, plan.promote.pages, 40);
	KUNIT_EXPECT_EQ(test, plan.demote.pages, 40);
	KUNIT_EXPECT_TRUE(test, ktierd_quota_wants_hot(&plan.promote, HOTTEST));
	KUNIT_EXPECT_FALSE(test, ktierd_quota_wants_hot(&plan.promote, WARM));
	KUNIT_EXPECT_TRUE(test, ktierd_quota_wants_cold(&plan.demote, WARM));
	KUNIT_EXPECT_FALSE(test, ktierd_quota_wants_cold(&plan.demote, HOTTEST));
}

static void free_room_is_used_before_anything_goes_down(struct kunit *test)
{
	struct ktierd_census census = { .may_move = NO_LIMIT, .room = 30 };
	struct ktierd_plan plan;

	census.top[WARM] = 50;
	census.low[HOTTEST] = 40;
	ktierd_policy_plan(&census, &plan);

	KUNIT_EXPECT_EQ(test, plan.promote.pages, 40);
	KUNIT_EXPECT_EQ(test, plan.demote.pages, 10);
}

static void equally_hot_pages_are_not_exchanged(struct kunit *test)
{
	struct ktierd_census census = { .may_move = NO_LIMIT };
	struct ktierd_plan plan;
	unsigned int level;

	for (level = 1; level < KTIERD_LEVELS; level++) {
		memset(census.top, 0, sizeof(census.top));
		memset(census.low, 0, sizeof(census.low));
		census.top[level] = 100;
		census.low[level] = 100;
		ktierd_policy_plan(&census, &plan);
		KUNIT_EXPECT_EQ(test, plan.promote.pages, 0);
		KUNIT_EXPECT_EQ(test, plan.demote.pages, 0);
	}
}

static void one_window_more_is_not_worth_a_move(struct kunit *test)
{
	struct ktierd_census census = { .may_move = NO_LIMIT };
	struct ktierd_plan plan;

	census.top[HOTTEST - 2] = 100;
	census.low[HOTTEST - 1] = 50;
	ktierd_policy_plan(&census, &plan);
	KUNIT_EXPECT_EQ(test, plan.promote.pages, 0);
	KUNIT_EXPECT_EQ(test, plan.demote.pages, 0);
}

static void nothing_goes_up_on_one_sighting(struct kunit *test)
{
	struct ktierd_census census = { .may_move = NO_LIMIT, .room = 1000 };
	struct ktierd_plan plan;

	census.low[KTIERD_LEVEL_PROMOTE - 1] = 100;
	ktierd_policy_plan(&census, &plan);
	KUNIT_EXPECT_EQ(test, plan.promote.pages, 0);

	census.low[KTIERD_LEVEL_PROMOTE] = 7;
	ktierd_policy_plan(&census, &plan);
	KUNIT_EXPECT_EQ(test, plan.promote.pages, 7);
	KUNIT_EXPECT_FALSE(test,
			   ktierd_quota_wants_hot(&plan.promote,
						  KTIERD_LEVEL_PROMOTE - 1));
}

static void equally_hot_pages_fill_free_room_and_no_more(struct kunit *test)
{
	struct ktierd_census census = { .may_move = NO_LIMIT, .room = 30 };
	struct ktierd_plan plan;

	census.top[HOTTEST] = 100;
	census.low[HOTTEST] = 100;
	ktierd_policy_plan(&census, &plan);
	KUNIT_EXPECT_EQ(test, plan.promote.pages, 30);
	KUNIT_EXPECT_EQ(test, plan.demote.pages, 0);
}

static void cold_pages_go_down_even_with_room(struct kunit *test)
{
	struct ktierd_census census = { .may_move = NO_LIMIT, .room = 1000 };
	struct ktierd_plan plan;

	census.top[KTIERD_LEVEL_COLD] = 60;
	census.top[1] = 40;
	ktierd_policy_plan(&census, &plan);
	KUNIT_EXPECT_EQ(test, plan.demote.pages, 60);
	KUNIT_EXPECT_TRUE(test, ktierd_quota_wants_cold(&plan.demote, 0));
	KUNIT_EXPECT_FALSE(test, ktierd_quota_wants_cold(&plan.demote, 1));
}

static void headroom_is_restored_coldest_first(struct kunit *test)
{
	struct ktierd_census census = { .may_move = NO_LIMIT, .shortfall = 50 };
	struct ktierd_plan plan;

	census.top[2] = 30;
	census.top[3] = 30;
	census.top[HOTTEST] = 100;
	ktierd_policy_plan(&census, &plan);
	KUNIT_EXPECT_EQ(test, plan.promote.pages, 0);
	KUNIT_EXPECT_EQ(test, plan.demote.pages, 50);
	KUNIT_EXPECT_EQ(test, plan.demote.level, 3);
	KUNIT_EXPECT_EQ(test, plan.demote.at_level, 20);
}

static void headroom_is_never_more_than_there_is(struct kunit *test)
{
	struct ktierd_census census = { .may_move = NO_LIMIT, .shortfall = 500 };
	struct ktierd_plan plan;

	census.top[HOTTEST] = 10;
	census.low[HOTTEST] = 10;
	ktierd_policy_plan(&census, &plan);
	KUNIT_EXPECT_EQ(test, plan.demote.pages, 10);
	KUNIT_EXPECT_EQ(test, plan.promote.pages, 0);
	KUNIT_EXPECT_EQ(test, ktierd_policy_capacity(&census), 0);
}

static void rate_limits_each_direction(struct kunit *test)
{
	struct ktierd_census census = { .may_move = 25 };
	struct ktierd_plan plan;

	census.top[WARM] = 100;
	census.low[HOTTEST] = 80;
	ktierd_policy_plan(&census, &plan);
	KUNIT_EXPECT_EQ(test, plan.promote.pages, 25);
	KUNIT_EXPECT_EQ(test, plan.promote.over_rate, 55);
	/* Only as many go down as come up. */
	KUNIT_EXPECT_EQ(test, plan.demote.pages, 25);
	KUNIT_EXPECT_EQ(test, plan.demote.over_rate, 0);
}

static void quota_ends_within_a_level(struct kunit *test)
{
	struct ktierd_quota quota = { .pages = 5, .level = 10, .at_level = 2 };

	ktierd_quota_take(&quota, 10, 2);
	KUNIT_EXPECT_FALSE(test, ktierd_quota_wants_hot(&quota, 10));
	KUNIT_EXPECT_TRUE(test, ktierd_quota_wants_hot(&quota, 11));
	ktierd_quota_take(&quota, 11, 512);
	KUNIT_EXPECT_FALSE(test, ktierd_quota_wants_hot(&quota, 11));
}

static void nothing_is_planned_for_nothing(struct kunit *test)
{
	struct ktierd_census census = { .may_move = NO_LIMIT, .room = 10 };
	struct ktierd_plan plan;

	ktierd_policy_plan(&census, &plan);
	KUNIT_EXPECT_EQ(test, plan.promote.pages, 0);
	KUNIT_EXPECT_EQ(test, plan.demote.pages, 0);
	KUNIT_EXPECT_EQ(test, plan.cut, 0);
	KUNIT_EXPECT_EQ(test, plan.hot, KTIERD_LEVEL_PROMOTE);
}

static void window_shrinks_when_more_is_touched_than_fits(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test,
			ktierd_policy_window(20000, 125, 100, 1000, 1000000),
			16000);
	KUNIT_EXPECT_EQ(test,
			ktierd_policy_window(20000, 9999, 100, 1000, 1000000),
			10000);
	KUNIT_EXPECT_EQ(test,
			ktierd_policy_window(1500, 9999, 100, 1000, 1000000),
			1000);
}

static void window_grows_when_less_is_touched_than_fits(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test,
			ktierd_policy_window(20000, 0, 100, 1000, 1000000),
			40000);
	KUNIT_EXPECT_EQ(test,
			ktierd_policy_window(20000, 70, 100, 1000, 1000000),
			28571);
	KUNIT_EXPECT_EQ(test,
			ktierd_policy_window(900000, 0, 100, 1000, 1000000),
			1000000);
}

static void window_stays_when_about_as_much_is_touched(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test,
			ktierd_policy_window(20000, 75, 100, 1000, 1000000),
			20000);
	KUNIT_EXPECT_EQ(test,
			ktierd_policy_window(20000, 100, 100, 1000, 1000000),
			20000);
}

static struct kunit_case policy_cases[] = {
	KUNIT_CASE(hot_pages_go_up_and_warm_ones_make_room),
	KUNIT_CASE(free_room_is_used_before_anything_goes_down),
	KUNIT_CASE(equally_hot_pages_are_not_exchanged),
	KUNIT_CASE(one_window_more_is_not_worth_a_move),
	KUNIT_CASE(nothing_goes_up_on_one_sighting),
	KUNIT_CASE(equally_hot_pages_fill_free_room_and_no_more),
	KUNIT_CASE(cold_pages_go_down_even_with_room),
	KUNIT_CASE(headroom_is_restored_coldest_first),
	KUNIT_CASE(headroom_is_never_more_than_there_is),
	KUNIT_CASE(rate_limits_each_direction),
	KUNIT_CASE(quota_ends_within_a_level),
	KUNIT_CASE(nothing_is_planned_for_nothing),
	KUNIT_CASE(window_shrinks_when_more_is_touched_than_fits),
	KUNIT_CASE(window_grows_when_less_is_touched_than_fits),
	KUNIT_CASE(window_stays_when_about_as_much_is_touched),
	{}
};

static struct kunit_suite policy_suite = {
	.name = "ktierd_policy",
	.test_cases = policy_cases,
};

kunit_test_suite(policy_suite);
