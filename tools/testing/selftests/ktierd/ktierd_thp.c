// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages are sampled and moved whole. Above each test stands what change in the kernel would
 * make it fail.
 */
#include <errno.h>
#include <sys/mman.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define HUGE		(2 * MIB)
#define NR_HUGE		8
#define REGION		(NR_HUGE * HUGE)
#define REGION_KB	(REGION / 1024)

#define KHUGEPAGED_REST	"/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs"
#define HUGE_SIZE	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

FIXTURE(thp) {
	struct kt_knobs saved;
	char khugepaged_rest[32];
	struct kt_region r;
	int top;
	int low;
};

/*
 * khugepaged rests meanwhile: it could put together again what should not have been split.
 * Compaction helps to get huge pages after tests that filled the memory.
 */
FIXTURE_SETUP(thp)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	if (kt_read_long(HUGE_SIZE) != HUGE)
		SKIP(return, "no huge pages of 2 MiB");
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	kt_read(KHUGEPAGED_REST, self->khugepaged_rest, sizeof(self->khugepaged_rest));
	kt_write(KHUGEPAGED_REST, "3600000");
	kt_write("/proc/sys/vm/compact_memory", "1");
}

FIXTURE_TEARDOWN(thp)
{
	kt_write(KHUGEPAGED_REST, self->khugepaged_rest);
	kt_knobs_restore(&self->saved);
}

static long huge_kb(const struct kt_region *r)
{
	struct kt_vma vma;

	return kt_vma_at(0, r->addr, &vma) ? vma.huge_kb : -1;
}

/* A region of huge pages on @node, as every test here starts with. False if there are none. */
static bool make_huge_region(struct kt_region *r, int node)
{
	size_t page = kt_page();
	char *addr;

	if (kt_region_map(r, REGION + HUGE + 2 * page))
		return false;
	/* Aligned, and still a mapping of its own. */
	addr = (char *)(((unsigned long)r->addr + page + HUGE - 1) & ~(HUGE - 1));
	munmap(r->addr, addr - r->addr);
	munmap(addr + REGION, r->addr + r->nr * page - (addr + REGION));
	r->addr = addr;
	r->origin = addr;
	r->nr = REGION / page;
	if (madvise(addr, REGION, MADV_HUGEPAGE))
		return false;
	return !kt_region_fill(r, 0, r->nr, node) && huge_kb(r) == REGION_KB;
}

static long splits(void)
{
	return kt_vmstat("thp_split_page") + kt_vmstat("thp_split_pmd");
}

/* Whether all is on @node, and still in huge pages; counts how often it was not in huge pages. */
static bool is_whole_on(const struct kt_region *r, int node, int *not_huge)
{
	*not_huge += huge_kb(r) != REGION_KB;
	return kt_region_percent(r, KT_ALL, node) == 100;
}

/* Fails if huge pages are left out, split before or in the move, or counted as one page each. */
TEST_F_TIMEOUT(thp, moves_down_and_up_whole, KT_TIMEOUT)
{
	long promoted, demoted, before;
	struct kt_toucher toucher;
	int not_huge = 0;

	if (!make_huge_region(&self->r, self->top))
		SKIP(return, "no huge pages in the top tier");
	before = splits();
	demoted = kt_sysfs("pages_demoted");
	promoted = kt_sysfs("pages_promoted");

	ASSERT_EQ(0, madvise(self->r.addr, REGION, MADV_TIER));
	EXPECT_TRUE(KT_WAIT(is_whole_on(&self->r, self->low, &not_huge), KT_PATIENCE));
	EXPECT_EQ(0, not_huge);
	EXPECT_LE(demoted + (long)self->r.nr, kt_sysfs("pages_demoted"));

	/* One small page of each is enough to make it hot. */
	self->r.hot_step = HUGE / kt_page();
	self->r.phase = 7;
	ASSERT_EQ(0, kt_touch_start(&toucher, &self->r, true));
	EXPECT_TRUE(KT_WAIT(is_whole_on(&self->r, self->top, &not_huge), KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, not_huge);
	EXPECT_LE(promoted + (long)self->r.nr, kt_sysfs("pages_promoted"));
	EXPECT_EQ(REGION_KB, huge_kb(&self->r));
	EXPECT_EQ(before, splits());
	EXPECT_EQ(0, kt_region_wrong(&self->r));
}

/* Whether the huge pages of even number are on @even, the others on @odd. */
static bool alternate(const struct kt_region *r, int even, int odd)
{
	int *nodes = kt_nodes_of(0, r->addr, r->nr);
	size_t per_huge = HUGE / kt_page();
	bool yes = true;
	size_t i;

	for (i = 0; i < r->nr; i++)
		yes &= nodes[i] == (i / per_huge % 2 ? odd : even);
	free(nodes);
	return yes;
}

/* Fails if a huge page is judged by its neighbours. */
TEST_F_TIMEOUT(thp, each_is_judged_by_itself, KT_TIMEOUT)
{
	struct kt_toucher toucher;

	if (!make_huge_region(&self->r, self->top))
		SKIP(return, "no huge pages in the top tier");
	self->r.hot_step = 2 * HUGE / kt_page();
	ASSERT_EQ(0, kt_touch_start(&toucher, &self->r, false));
	ASSERT_EQ(0, madvise(self->r.addr, REGION, MADV_TIER));
	EXPECT_TRUE(KT_WAIT(alternate(&self->r, self->top, self->low), KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(REGION_KB, huge_kb(&self->r));
	EXPECT_EQ(0, kt_region_wrong(&self->r));
}

/* Fails if the page-table walk has a pte_entry and no pmd_entry: it splits all that it meets. */
TEST_F_TIMEOUT(thp, sampling_does_not_split, KT_TIMEOUT)
{
	struct kt_toucher toucher;
	long before, scanned;

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	if (!make_huge_region(&self->r, self->top))
		SKIP(return, "no huge pages in the top tier");
	before = splits();
	scanned = kt_sysfs("pages_scanned");
	self->r.hot_step = HUGE / kt_page();
	ASSERT_EQ(0, kt_touch_start(&toucher, &self->r, true));
	ASSERT_EQ(0, madvise(self->r.addr, REGION, MADV_TIER));
	/* A huge page counts as the small ones that it is made of. */
	EXPECT_TRUE(KT_WAIT(kt_sysfs("pages_scanned") >= scanned + 10 * (long)self->r.nr,
			    KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(REGION_KB, huge_kb(&self->r));
	EXPECT_EQ(before, splits());
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
