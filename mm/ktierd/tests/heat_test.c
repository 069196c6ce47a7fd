// SPDX-License-Identifier: GPL-2.0
/*
 * What a page's history says: the specification of heat.c.
 */

#include <kunit/test.h>

#include "../heat.h"

#define COLD_TICKS	100

static unsigned int level(u8 windows, u8 idle_ticks)
{
	struct ktierd_heat heat = { windows, idle_ticks };

	return ktierd_heat_level(&heat, COLD_TICKS);
}

static void page_idle_for_the_cold_age_is_cold(struct kunit *test)
{
	KUNIT_EXPECT_NE(test, level(0, COLD_TICKS - 1), KTIERD_LEVEL_COLD);
	KUNIT_EXPECT_EQ(test, level(0, COLD_TICKS), KTIERD_LEVEL_COLD);
	KUNIT_EXPECT_EQ(test, level(0xff, COLD_TICKS), KTIERD_LEVEL_COLD);
}

static void nothing_is_cold_without_a_cold_age(struct kunit *test)
{
	struct ktierd_heat heat = { 0, KTIERD_IDLE_MAX };

	KUNIT_EXPECT_EQ(test, ktierd_heat_level(&heat, 0), 1);
}

static void warm_pages_sort_by_recency(struct kunit *test)
{
	unsigned int idle;

	KUNIT_EXPECT_EQ(test, level(0, 0), KTIERD_LEVEL_USED);
	for (idle = 1; idle < COLD_TICKS; idle++)
		KUNIT_EXPECT_LE(test, level(0, idle), level(0, idle - 1));
	KUNIT_EXPECT_EQ(test, level(0, COLD_TICKS - 1), 1);
}

static void hot_pages_sort_by_frequency(struct kunit *test)
{
	unsigned int n;

	KUNIT_EXPECT_GT(test, level(1, 0), level(0, 0));
	for (n = 1; n < KTIERD_WINDOWS; n++)
		KUNIT_EXPECT_EQ(test, level((2 << n) - 1, 0),
				level((1 << n) - 1, 0) + 1);
	KUNIT_EXPECT_EQ(test, level(0xff, 0), KTIERD_LEVELS - 1);
	/* The order of windows says nothing. */
	KUNIT_EXPECT_EQ(test, level(0x81, 0), level(0x03, 0));
}

static void window_is_forgotten_after_eight(struct kunit *test)
{
	struct ktierd_heat heat = {};
	int i;

	ktierd_heat_window(&heat, true);
	for (i = 1; i < KTIERD_WINDOWS; i++)
		ktierd_heat_window(&heat, false);
	KUNIT_EXPECT_EQ(test, ktierd_heat_level(&heat, COLD_TICKS),
			KTIERD_LEVEL_USED + 1);
	ktierd_heat_window(&heat, false);
	KUNIT_EXPECT_EQ(test, ktierd_heat_level(&heat, COLD_TICKS),
			KTIERD_LEVEL_USED);
}

static void idleness_adds_up_until_used(struct kunit *test)
{
	struct ktierd_heat heat = {};

	ktierd_heat_age(&heat, false, 3);
	ktierd_heat_age(&heat, false, 4);
	KUNIT_EXPECT_EQ(test, heat.idle_ticks, 7);
	ktierd_heat_age(&heat, true, 5);
	KUNIT_EXPECT_EQ(test, heat.idle_ticks, 0);
}

static void touch_in_a_window_is_use(struct kunit *test)
{
	struct ktierd_heat heat = { 0, 50 };

	ktierd_heat_window(&heat, false);
	KUNIT_EXPECT_EQ(test, heat.idle_ticks, 50);
	ktierd_heat_window(&heat, true);
	KUNIT_EXPECT_EQ(test, heat.idle_ticks, 0);
}

static void idleness_saturates(struct kunit *test)
{
	struct ktierd_heat heat = {};

	ktierd_heat_age(&heat, false, 200);
	ktierd_heat_age(&heat, false, 200);
	KUNIT_EXPECT_EQ(test, heat.idle_ticks, KTIERD_IDLE_MAX);
}

static void idleness_survives_another_tick(struct kunit *test)
{
	struct ktierd_heat heat = { 0, 60 };

	ktierd_heat_rescale(&heat, 1000, 3000);
	KUNIT_EXPECT_EQ(test, heat.idle_ticks, 20);
	ktierd_heat_rescale(&heat, 3000, 1000);
	KUNIT_EXPECT_EQ(test, heat.idle_ticks, 60);
	ktierd_heat_rescale(&heat, 3600 * 1000, 100);
	KUNIT_EXPECT_EQ(test, heat.idle_ticks, KTIERD_IDLE_MAX);
}

static void demoted_page_starts_again(struct kunit *test)
{
	struct ktierd_heat heat = { 0xff, 0 };

	ktierd_heat_demoted(&heat);
	KUNIT_EXPECT_EQ(test, ktierd_heat_level(&heat, COLD_TICKS),
			KTIERD_LEVEL_USED);
}

static void whole_is_as_hot_as_its_parts_together(struct kunit *test)
{
	struct ktierd_heat whole = { 0x01, 50 };
	const struct ktierd_heat part = { 0x02, 7 };

	ktierd_heat_merge(&whole, &part);
	KUNIT_EXPECT_EQ(test, whole.windows, 0x03);
	KUNIT_EXPECT_EQ(test, whole.idle_ticks, 7);
}

static struct kunit_case heat_cases[] = {
	KUNIT_CASE(page_idle_for_the_cold_age_is_cold),
	KUNIT_CASE(nothing_is_cold_without_a_cold_age),
	KUNIT_CASE(warm_pages_sort_by_recency),
	KUNIT_CASE(hot_pages_sort_by_frequency),
	KUNIT_CASE(window_is_forgotten_after_eight),
	KUNIT_CASE(idleness_adds_up_until_used),
	KUNIT_CASE(touch_in_a_window_is_use),
	KUNIT_CASE(idleness_saturates),
	KUNIT_CASE(idleness_survives_another_tick),
	KUNIT_CASE(demoted_page_starts_again),
	KUNIT_CASE(whole_is_as_hot_as_its_parts_together),
	{}
};

static struct kunit_suite heat_suite = {
	.name = "ktierd_heat",
	.test_cases = heat_cases,
};

kunit_test_suite(heat_suite);
