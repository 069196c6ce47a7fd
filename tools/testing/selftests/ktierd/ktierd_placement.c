// SPDX-License-Identifier: GPL-2.0
/*
 * The main job: hot pages come up, cold ones go down, and nothing else moves. Above each test
 * stands what change in the kernel would make it fail.
 *
 * Where a test says that something does not move, other memory does move meanwhile: so it is not
 * only late.
 */
#include <errno.h>
#include <sys/mman.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define REGION		(32 * MIB)
#define SMALL		(8 * MIB)

/* Every eighth page is hot, where a test does not say otherwise. */
#define HOT_STEP	8

FIXTURE(placement) {
	struct kt_knobs saved;
	int top;
	int low;
};

FIXTURE_SETUP(placement)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
}

FIXTURE_TEARDOWN(placement)
{
	kt_knobs_restore(&self->saved);
}

static bool is_placed(const struct kt_region *r, int top, int low)
{
	return kt_region_percent(r, KT_HOT, top) >= KT_NEARLY_ALL &&
	       kt_region_percent(r, KT_IDLE, low) >= KT_NEARLY_ALL;
}

static void say_where(const struct kt_region *r, int top, int low)
{
	printf("# hot: %ld%% top, %ld%% low; idle: %ld%% top, %ld%% low\n",
	       kt_region_percent(r, KT_HOT, top), kt_region_percent(r, KT_HOT, low),
	       kt_region_percent(r, KT_IDLE, top), kt_region_percent(r, KT_IDLE, low));
}

FIXTURE(hot_cold) {
	struct kt_knobs saved;
	int top;
	int low;
};

FIXTURE_VARIANT(hot_cold) {
	bool write;
};

FIXTURE_VARIANT_ADD(hot_cold, read) { .write = false };
FIXTURE_VARIANT_ADD(hot_cold, write) { .write = true };

FIXTURE_SETUP(hot_cold)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
}

FIXTURE_TEARDOWN(hot_cold)
{
	kt_knobs_restore(&self->saved);
}

/*
 * Half of the region starts in each tier, so that hot and idle pages are on the wrong side in both.
 * Fails if A bits are not cleared, not flushed or not read, if promotion or demotion is missing or
 * goes to the wrong node, if pages are judged together with their neighbours, if a move loses what
 * is written meanwhile, or if moves are not counted.
 */
TEST_F_TIMEOUT(hot_cold, hot_comes_up_and_cold_goes_down, KT_TIMEOUT)
{
	long vm_promoted = kt_vmstat("ktierd_pages_promoted");
	long vm_demoted = kt_vmstat("ktierd_pages_demoted");
	long promoted = kt_sysfs("pages_promoted");
	long demoted = kt_sysfs("pages_demoted");
	struct kt_toucher toucher;
	struct kt_region r;
	long up, down;

	ASSERT_EQ(0, kt_region_map(&r, REGION));
	r.hot_step = HOT_STEP;
	ASSERT_EQ(0, kt_region_fill(&r, 0, r.nr / 2, self->top));
	ASSERT_EQ(0, kt_region_fill(&r, r.nr / 2, r.nr / 2, self->low));
	up = kt_region_count(0, &r, KT_HOT, self->low);
	down = kt_region_count(0, &r, KT_IDLE, self->top);
	ASSERT_LT(0, up);
	ASSERT_LT(0, down);

	ASSERT_EQ(0, kt_touch_start(&toucher, &r, variant->write));
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(is_placed(&r, self->top, self->low), 2 * KT_PATIENCE)) {
		say_where(&r, self->top, self->low);
	}
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));

	up = up * 9 / 10;
	down = down * 9 / 10;
	EXPECT_LE(promoted + up, kt_sysfs("pages_promoted"));
	EXPECT_LE(demoted + down, kt_sysfs("pages_demoted"));
	EXPECT_LE(vm_promoted + up, kt_vmstat("ktierd_pages_promoted"));
	EXPECT_LE(vm_demoted + down, kt_vmstat("ktierd_pages_demoted"));
}

/*
 * Fails if heat is never forgotten, if a page moves only once, or if a move loses what several
 * threads write meanwhile.
 */
TEST_F_TIMEOUT(placement, it_follows_a_hot_set_that_changes, KT_TIMEOUT)
{
	struct kt_region r[2];
	struct kt_toucher toucher[2];
	int phase, i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, kt_region_make(&r[i], SMALL, i ? self->low : self->top));
		r[i].hot_step = HOT_STEP;
		ASSERT_EQ(0, kt_mark(&r[i]));
	}
	for (phase = 0; phase < 3; phase++) {
		for (i = 0; i < 2; i++) {
			r[i].phase = phase;
			ASSERT_EQ(0, kt_touch_start(&toucher[i], &r[i], true));
		}
		for (i = 0; i < 2; i++) {
			EXPECT_TRUE(KT_WAIT(is_placed(&r[i], self->top, self->low), KT_PATIENCE)) {
				say_where(&r[i], self->top, self->low);
			}
		}
		for (i = 0; i < 2; i++)
			EXPECT_EQ(0, kt_touch_stop(&toucher[i]));
	}
	EXPECT_EQ(0, kt_region_wrong(&r[0]));
	EXPECT_EQ(0, kt_region_wrong(&r[1]));
}

/*
 * A few pages that are read without a pause, and so stay in the TLB. Fails if the TLB is not
 * flushed after A bits were cleared: then the hottest pages look idle.
 */
TEST_F_TIMEOUT(placement, the_hottest_pages_stay_up, KT_TIMEOUT)
{
	struct kt_toucher toucher;
	struct kt_region r;
	long hot, down = 0;
	double end;

	/* Longer than an emulated CPU may stand still. */
	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 3000));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	r.hot_step = r.nr / 4;
	ASSERT_EQ(0, kt_touch_start_restless(&toucher, &r));
	hot = kt_region_count(0, &r, KT_HOT, self->top);
	ASSERT_EQ(4, hot);
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&r, KT_IDLE, self->low) >= KT_NEARLY_ALL,
			    KT_PATIENCE));
	/* A page may be on its way at a look, but not in the lower tier. */
	for (end = kt_now() + 6; kt_now() < end; usleep(KT_POLL_US))
		down += kt_region_count(0, &r, KT_HOT, self->low);
	EXPECT_EQ(0, down);
	EXPECT_EQ(0, kt_touch_stop(&toucher));
}

/*
 * One mapping, a third of it marked, a third never, a third no longer. Fails if VMAs without the
 * mark are scanned, or a registered process is taken as a whole.
 */
TEST_F_TIMEOUT(placement, unmarked_memory_stays, KT_TIMEOUT)
{
	struct kt_region r, marked, never, no_longer;
	struct kt_region hot;
	struct kt_toucher toucher;

	ASSERT_EQ(0, kt_region_make(&r, 3 * SMALL, self->top));
	marked = r;
	marked.nr = r.nr / 3;
	never = marked;
	never.addr += SMALL;
	no_longer = marked;
	no_longer.addr += 2 * SMALL;
	/* Unmarked and hot, in the lower tier. */
	ASSERT_EQ(0, kt_region_make(&hot, SMALL, self->low));
	hot.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &hot, true));

	ASSERT_EQ(0, kt_mark(&no_longer));
	ASSERT_EQ(0, madvise(no_longer.addr, SMALL, MADV_NOTIER));
	ASSERT_EQ(0, kt_mark(&marked));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &marked, self->low), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(never.nr, kt_region_count(0, &never, KT_ALL, self->top));
	EXPECT_EQ(no_longer.nr, kt_region_count(0, &no_longer, KT_ALL, self->top));
	EXPECT_EQ(hot.nr, kt_region_count(0, &hot, KT_ALL, self->low));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/* Fails if NOTIER leaves the memory under ktierd's care, or brings it back. */
TEST_F_TIMEOUT(placement, notier_leaves_pages_where_they_are, KT_TIMEOUT)
{
	struct kt_region r, control;
	struct kt_toucher toucher;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	r.hot_step = 1;
	ASSERT_EQ(0, kt_mark(&r));
	ASSERT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	ASSERT_EQ(0, madvise(r.addr, SMALL, MADV_NOTIER));

	/* Hot now, but no longer its business, while other memory comes up. */
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, true));
	ASSERT_EQ(0, kt_region_make(&control, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&control));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &control, self->low), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_TRUE(kt_region_is_on(0, &r, self->low));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
}

/* Fails if `enabled' does not stop scanning or moving, or does not start it again. */
TEST_F_TIMEOUT(placement, disabled_does_nothing, KT_TIMEOUT)
{
	struct kt_region r;
	long scans;

	ASSERT_EQ(0, kt_set_enabled(0));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	/* What is under way may end. */
	sleep(1);
	scans = kt_sysfs("scans");
	sleep(3);
	EXPECT_EQ(scans, kt_sysfs("scans"));
	EXPECT_EQ(r.nr, kt_region_count(0, &r, KT_ALL, self->top));

	ASSERT_EQ(0, kt_set_enabled(1));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));

	/* In the middle of the work, too. */
	scans = kt_sysfs("scans");
	ASSERT_EQ(0, kt_set_enabled(0));
	sleep(1);
	scans = kt_sysfs("scans");
	sleep(1);
	EXPECT_EQ(scans, kt_sysfs("scans"));
}

/* Fails if 0 is taken for no limit, or stops the sampling too. */
TEST_F_TIMEOUT(placement, a_rate_of_zero_samples_and_moves_nothing, KT_TIMEOUT)
{
	struct kt_region r;
	long scanned;

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	scanned = kt_sysfs("pages_scanned");
	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("pages_scanned") >= scanned + 10 * (long)r.nr, KT_PATIENCE));
	/* And long enough to be cold. */
	sleep(2);
	ASSERT_TRUE(kt_wait_scans(10));
	EXPECT_EQ(r.nr, kt_region_count(0, &r, KT_ALL, self->top));

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 1048576));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
}

/*
 * Fails if the rate is not held, as 1 MiB a second can't have moved 8 MiB in two, or if what it
 * holds back is not counted.
 */
TEST_F_TIMEOUT(placement, the_rate_is_held, KT_TIMEOUT)
{
	long held_back = kt_sysfs("failed/rate");
	struct kt_region r;
	double start;
	long moved;

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 1));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	ASSERT_TRUE(KT_WAIT(kt_region_count(0, &r, KT_ALL, self->low) > 0, KT_PATIENCE));
	start = kt_now();
	sleep(2);
	moved = kt_region_count(0, &r, KT_ALL, self->low) * kt_page();
	/* Twice the rate, and a second's worth that may have been saved up before. */
	EXPECT_GE(2 * (kt_now() - start) * MIB + MIB, moved);
	EXPECT_LT(0, moved);
	EXPECT_LT(held_back, kt_sysfs("failed/rate"));
}

/* Fails if 0 is taken for "at once": then idle memory goes down although there is room. */
TEST_F_TIMEOUT(placement, without_a_cold_age_idle_memory_stays_while_there_is_room, KT_TIMEOUT)
{
	struct kt_region r;

	if (kt_node_kb(self->top, "MemFree") < kt_node_kb(self->top, "MemTotal") / 10)
		SKIP(return, "the top tier is nearly full");
	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 0));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	ASSERT_TRUE(kt_wait_scans(20));
	sleep(2);
	EXPECT_EQ(r.nr, kt_region_count(0, &r, KT_ALL, self->top));

	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 1000));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
}

/* Fails if locked memory is left out: mlock means in memory, not in fast memory. */
TEST_F_TIMEOUT(placement, locked_memory_may_move, KT_TIMEOUT)
{
	struct kt_region r;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, mlock(r.addr, SMALL));
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/* Fails if an address range that was never touched is populated, or stops the scan. */
TEST_F_TIMEOUT(placement, empty_memory_stays_empty, KT_TIMEOUT)
{
	struct kt_region sparse, control;
	struct kt_vma vma;

	ASSERT_EQ(0, kt_region_map(&sparse, 1024 * MIB));
	sparse.addr[512 * MIB] = 1;
	ASSERT_EQ(0, kt_mark(&sparse));
	ASSERT_EQ(0, kt_region_make(&control, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&control));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &control, self->low), KT_PATIENCE));
	ASSERT_TRUE(kt_vma_at(0, sparse.addr, &vma));
	EXPECT_EQ(kt_page() / 1024, vma.rss_kb);
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
