// SPDX-License-Identifier: GPL-2.0
/*
 * Where pages may not go: the cpuset, the memory policy and the headroom. Above each test stands
 * what change in the kernel would make it fail.
 *
 * Memory that nothing holds moves in the same test, so that a page that stays is not only late.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define SMALL		(8 * MIB)

/* Of the top tier's memory, in the tests of it. */
#define HEADROOM	50

FIXTURE(limits) {
	struct kt_knobs saved;
	struct kt_cgroup cgroup;
	int top;
	int low;
};

FIXTURE_SETUP(limits)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	/* What was used once counts as free. */
	kt_drop_page_cache();
}

FIXTURE_TEARDOWN(limits)
{
	kt_restore_cpu_lists();
	kt_knobs_restore(&self->saved);
	kt_cgroup_remove(&self->cgroup);
}

/* Memory of a child of its own: nobody shares its pages. */
struct owner {
	struct kt_region r;
	int node;
	bool bind_process;
	bool hot;
};

static int set_policy(int mode, int node)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_set_mempolicy, mode, mode == MPOL_DEFAULT ? NULL : &mask, 8 * sizeof(mask)))
		return -errno;
	return 0;
}

static struct kt_toucher child_toucher;

static int be_owner(void *arg)
{
	struct owner *o = arg;

	if (kt_region_fill(&o->r, 0, o->r.nr, o->node))
		return -1;
	if (o->bind_process && set_policy(MPOL_BIND, o->node))
		return -1;
	o->r.hot_step = o->hot;
	if (o->hot && kt_touch_start(&child_toucher, &o->r, true))
		return -1;
	return kt_mark(&o->r);
}

static int set_mems(const struct kt_cgroup *cg, int a, int b)
{
	char text[32];

	snprintf(text, sizeof(text), "%d,%d", a, b);
	return kt_cgroup_set(cg, "cpuset.mems", text);
}

/*
 * Fails if the cpuset is not asked, if that of the kernel thread is, or if it is remembered from
 * before the change.
 */
TEST_F_TIMEOUT(limits, a_cpuset_without_the_lower_tier_keeps_memory_up, KT_TIMEOUT)
{
	struct owner o = { .node = self->top };
	const char *why = kt_cgroup_make(&self->cgroup, "cpuset");
	long refused = kt_sysfs("failed/cpuset");
	pid_t child;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, set_mems(&self->cgroup, self->top, self->top));
	ASSERT_EQ(0, kt_region_map(&o.r, SMALL));
	child = kt_spawn_in(&self->cgroup, be_owner, &o);
	ASSERT_LT(0, child);
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(o.r.nr, kt_region_count(child, &o.r, KT_ALL, self->top));
	EXPECT_LT(refused, kt_sysfs("failed/cpuset"));

	ASSERT_EQ(0, set_mems(&self->cgroup, self->top, self->low));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(child, &o.r, self->low), KT_PATIENCE));
	kt_kill(child);
}

/*
 * The lower tier may be ZONE_MOVABLE only, which limits what a process in such a cpuset can do: so
 * it goes there with all that it needs. Fails if the cpuset is asked for demotions only.
 */
TEST_F_TIMEOUT(limits, a_cpuset_without_the_top_tier_keeps_memory_down, KT_TIMEOUT)
{
	struct owner o = { .node = self->low, .hot = true };
	const char *why = kt_cgroup_make(&self->cgroup, "cpuset");
	pid_t child;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, set_mems(&self->cgroup, self->low, self->low));
	ASSERT_EQ(0, kt_region_map(&o.r, SMALL));
	ASSERT_EQ(0, kt_set_enabled(0));
	child = kt_spawn(be_owner, &o);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, kt_cgroup_enter(&self->cgroup, child));
	ASSERT_EQ(0, kt_set_enabled(1));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(o.r.nr, kt_region_count(child, &o.r, KT_ALL, self->low));

	ASSERT_EQ(0, set_mems(&self->cgroup, self->top, self->low));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(child, &o.r, self->top), KT_PATIENCE));
	kt_kill(child);
}

/* Fails if the VMA's policy is not asked, or what it forbids is not counted. */
TEST_F_TIMEOUT(limits, memory_bound_to_the_top_tier_stays, KT_TIMEOUT)
{
	long refused = kt_sysfs("failed/policy");
	struct kt_region r;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, kt_bind(r.addr, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(r.nr, kt_region_count(0, &r, KT_ALL, self->top));
	EXPECT_LT(refused, kt_sysfs("failed/policy"));

	ASSERT_EQ(0, kt_unbind(r.addr, SMALL));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
}

/* Fails if the VMA's policy is asked for demotions only. */
TEST_F_TIMEOUT(limits, memory_bound_to_the_lower_tier_stays, KT_TIMEOUT)
{
	struct kt_toucher toucher;
	struct kt_region r;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->low));
	r.hot_step = 1;
	ASSERT_EQ(0, kt_bind(r.addr, SMALL, self->low));
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, true));
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(r.nr, kt_region_count(0, &r, KT_ALL, self->low));

	ASSERT_EQ(0, kt_unbind(r.addr, SMALL));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->top), KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/* Fails if the process's policy is not asked, or the kernel thread's is asked in its place. */
TEST_F_TIMEOUT(limits, a_process_bound_to_the_top_tier_stays, KT_TIMEOUT)
{
	struct owner o = { .node = self->top, .bind_process = true };
	pid_t child;

	ASSERT_EQ(0, kt_region_map(&o.r, SMALL));
	child = kt_spawn(be_owner, &o);
	ASSERT_LT(0, child);
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(o.r.nr, kt_region_count(child, &o.r, KT_ALL, self->top));
	kt_kill(child);
}

/* Fails if the process's policy is remembered, or outweighs the VMA's. */
TEST_F_TIMEOUT(limits, the_policy_may_change, KT_TIMEOUT)
{
	struct kt_region process, vma;

	/* The VMA's policy allows both nodes where the process's does not. */
	ASSERT_EQ(0, kt_region_make(&process, SMALL, self->top));
	ASSERT_EQ(0, kt_region_make(&vma, SMALL, self->top));
	ASSERT_EQ(0, kt_bind_two(vma.addr, SMALL, self->top, self->low));
	ASSERT_EQ(0, set_policy(MPOL_BIND, self->top));
	ASSERT_EQ(0, kt_mark(&process));
	ASSERT_EQ(0, kt_mark(&vma));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &vma, self->low), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(10));
	EXPECT_EQ(process.nr, kt_region_count(0, &process, KT_ALL, self->top));
	ASSERT_EQ(0, set_policy(MPOL_DEFAULT, 0));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &process, self->low), KT_PATIENCE));
}

static long headroom_kb(int node)
{
	return kt_node_kb(node, "MemTotal") * HEADROOM / 100;
}

/* The node's free memory is counted by CPU, and others use some: as much as it may be off. */
#define SLACK_KB	(8 * 1024)

/* Fails if promotion does not look at the headroom, stops short of it, or never comes back. */
TEST_F_TIMEOUT(limits, promotion_stops_at_the_headroom, KT_TIMEOUT)
{
	long headroom = headroom_kb(self->top);
	size_t bytes = 48 * MIB;
	struct kt_toucher toucher;
	struct kt_region r;
	long up;

	ASSERT_EQ(0, kt_set_sysctl("headroom_percent", HEADROOM));
	ASSERT_EQ(0, kt_region_make(&r, bytes, self->low));
	r.hot_step = 1;
	if (kt_leave_free(self->top, headroom + 24 * 1024))
		SKIP(return, "more than half of the top tier is in use");
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, true));
	ASSERT_EQ(0, kt_mark(&r));

	/* Some, as there is room for 24 MiB and not for 48. */
	EXPECT_TRUE(KT_WAIT(kt_region_count(0, &r, KT_ALL, self->top) >= 1024, KT_PATIENCE));
	do {
		up = kt_region_count(0, &r, KT_ALL, self->top);
		sleep(1);
		ASSERT_TRUE(kt_wait_scans(10));
	} while (kt_region_count(0, &r, KT_ALL, self->top) > up);
	EXPECT_LE(headroom - SLACK_KB, kt_node_kb(self->top, "MemFree"));
	EXPECT_GT(r.nr * 3 / 4, up);

	ASSERT_EQ(0, kt_set_sysctl("headroom_percent", 3));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->top), KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/* Fails if demotion waits for a promotion to need room, or for the cold age. */
TEST_F_TIMEOUT(limits, demotion_restores_the_headroom, KT_TIMEOUT)
{
	long headroom = headroom_kb(self->top);
	size_t bytes = 48 * MIB;
	struct kt_region r;

	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 0));
	ASSERT_EQ(0, kt_set_sysctl("headroom_percent", 0));
	ASSERT_EQ(0, kt_region_make(&r, bytes, self->top));
	if (kt_leave_free(self->top, headroom - 24 * 1024))
		SKIP(return, "more than half of the top tier is in use");
	ASSERT_EQ(0, kt_mark(&r));
	ASSERT_TRUE(kt_wait_scans(10));
	EXPECT_EQ(r.nr, kt_region_count(0, &r, KT_ALL, self->top));

	ASSERT_EQ(0, kt_set_sysctl("headroom_percent", HEADROOM));
	EXPECT_TRUE(KT_WAIT(kt_node_kb(self->top, "MemFree") >= headroom - SLACK_KB, KT_PATIENCE));
	EXPECT_LT(0, kt_region_count(0, &r, KT_ALL, self->low));
	/* And no more than that. */
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_LT(0, kt_region_count(0, &r, KT_ALL, self->top));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/*
 * The top tier full, all of it marked: half idle, half of the lower tier's part hot. Fails if
 * promotion gives up when there is no room instead of having some made.
 */
TEST_F_TIMEOUT(limits, a_full_top_tier_exchanges_idle_for_hot, KT_TIMEOUT)
{
	long headroom = headroom_kb(self->top);
	struct kt_region idle, hot;
	struct kt_toucher toucher;

	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 0));
	ASSERT_EQ(0, kt_set_sysctl("headroom_percent", HEADROOM));
	ASSERT_EQ(0, kt_region_make(&idle, 2 * SMALL, self->top));
	ASSERT_EQ(0, kt_region_make(&hot, SMALL, self->low));
	hot.hot_step = 1;
	if (kt_leave_free(self->top, headroom))
		SKIP(return, "more than half of the top tier is in use");
	ASSERT_EQ(0, kt_touch_start(&toucher, &hot, true));
	ASSERT_EQ(0, kt_mark(&idle));
	ASSERT_EQ(0, kt_mark(&hot));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&hot, KT_ALL, self->top) >= 90, KT_PATIENCE));
	EXPECT_LE(hot.nr / 2, kt_region_count(0, &idle, KT_ALL, self->low));
	EXPECT_LE(headroom - 2 * SLACK_KB, kt_node_kb(self->top, "MemFree"));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&hot));
	EXPECT_EQ(0, kt_region_wrong(&idle));
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
