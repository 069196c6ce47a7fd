// SPDX-License-Identifier: GPL-2.0
/*
 * What is told of a process, a mapping and a control group: /proc/PID/ktierd_stat, smaps and
 * memory.stat. Above each test stands what change in the kernel would make it fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define REGION		(16 * MIB)
#define KB(pages)	((pages) * (long)(kt_page() / 1024))

FIXTURE(report) {
	struct kt_knobs saved;
	struct kt_cgroup cgroup;
	struct kt_toucher toucher;
	struct kt_region r;
	int top;
	int low;
};

/* Half of the memory is in either tier. It is not marked yet. */
FIXTURE_SETUP(report)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_region_map(&self->r, REGION));
	ASSERT_EQ(0, kt_region_fill(&self->r, 0, self->r.nr / 2, self->low));
	ASSERT_EQ(0, kt_region_fill(&self->r, self->r.nr / 2, self->r.nr / 2, self->top));
	kt_region_stamp(&self->r);
}

FIXTURE_TEARDOWN(report)
{
	kt_knobs_restore(&self->saved);
	kt_cgroup_remove(&self->cgroup);
}

/* A line of /proc/PID/ktierd_stat, 0 for this process; -1 if there is none. */
static long stat_of(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ktierd_stat", pid ? pid : getpid());
	return kt_value_after(path, name);
}

static long count(const struct kt_region *r, int node)
{
	return kt_region_count(0, r, KT_ALL, node);
}

/* Within a tenth of what it should be. */
static bool about(long value, long right)
{
	return labs(value - right) <= right / 10;
}

/* Fails if a tier is taken for the other, or pages count twice, or those of all processes do. */
TEST_F_TIMEOUT(report, stat_says_in_which_tier_pages_are, KT_TIMEOUT)
{
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	EXPECT_EQ(0, stat_of(0, "registered"));
	ASSERT_EQ(0, kt_mark(&self->r));
	ASSERT_TRUE(kt_wait_scans(3));
	EXPECT_EQ(1, stat_of(0, "registered"));
	EXPECT_EQ(KB(count(&self->r, self->top)), stat_of(0, "top_kb"));
	EXPECT_EQ(KB(count(&self->r, self->low)), stat_of(0, "low_kb"));

	/* What is gone is not told of any longer. */
	ASSERT_EQ(0, munmap(self->r.addr, REGION / 4));
	ASSERT_TRUE(kt_wait_scans(3));
	EXPECT_EQ((long)REGION / 4096, stat_of(0, "low_kb"));
	ASSERT_EQ(0, madvise(self->r.addr + REGION / 4, REGION / 4 * 3, MADV_NOTIER));
	EXPECT_TRUE(KT_WAIT(!stat_of(0, "registered"), KT_PATIENCE));
	EXPECT_EQ(0, stat_of(0, "top_kb"));
}

/* Fails if hot or cold is of the wrong tier, or of no process, or not of this round. */
TEST_F_TIMEOUT(report, stat_says_what_is_hot_and_cold, KT_TIMEOUT)
{
	long half = REGION / 2048;

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	self->r.hot_step = 4;
	ASSERT_EQ(0, kt_mark(&self->r));
	ASSERT_EQ(0, kt_touch_start(&self->toucher, &self->r, false));
	EXPECT_TRUE(KT_WAIT(about(stat_of(0, "hot_top_kb"), half / 4), KT_PATIENCE));
	EXPECT_TRUE(KT_WAIT(about(stat_of(0, "hot_low_kb"), half / 4), KT_PATIENCE));
	EXPECT_TRUE(KT_WAIT(about(stat_of(0, "cold_top_kb"), half / 4 * 3), KT_PATIENCE));
	EXPECT_TRUE(KT_WAIT(about(stat_of(0, "cold_low_kb"), half / 4 * 3), KT_PATIENCE));
	EXPECT_LT(0, stat_of(0, "pages_young"));
	EXPECT_EQ(0, kt_touch_stop(&self->toucher));
	EXPECT_TRUE(KT_WAIT(!stat_of(0, "hot_top_kb"), KT_PATIENCE));
}

/* Another process, with memory of its own, that does not share its parent's. */
struct other {
	struct kt_region r;
	struct kt_region parents;
	int node;
};

static int be_other(void *arg)
{
	struct other *o = arg;

	if (munmap(o->parents.addr, REGION) || kt_region_fill(&o->r, 0, o->r.nr, o->node))
		return -1;
	return kt_mark(&o->r);
}

/* Its memory is in a lower tier and idle: it stays. */
static pid_t spawn_idle(const struct kt_region *parents, int low)
{
	struct other o = { .parents = *parents, .node = low };

	return kt_region_map(&o.r, REGION / 4) ? -1 : kt_spawn(be_other, &o);
}

/* Fails if moves are not counted, in the wrong direction, twice, or for all processes. */
TEST_F_TIMEOUT(report, stat_counts_the_moves_of_its_process, KT_TIMEOUT)
{
	long low_before = count(&self->r, self->low), demoted, promoted;
	long hot = self->r.nr / 4, idle = self->r.nr - hot;
	pid_t child = spawn_idle(&self->r, self->low);

	ASSERT_LT(0, child);

	self->r.hot_step = 4;
	ASSERT_EQ(0, kt_touch_start(&self->toucher, &self->r, false));
	ASSERT_EQ(0, kt_mark(&self->r));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&self->r, KT_HOT, self->top) >= KT_NEARLY_ALL &&
			    kt_region_percent(&self->r, KT_IDLE, self->low) >= KT_NEARLY_ALL,
			    KT_PATIENCE));
	ASSERT_EQ(0, kt_set_enabled(0));
	ASSERT_TRUE(KT_WAIT(count(&self->r, self->low) + count(&self->r, self->top) ==
			    (long)self->r.nr, KT_PATIENCE));
	demoted = stat_of(0, "pages_demoted");
	promoted = stat_of(0, "pages_promoted");
	EXPECT_EQ(count(&self->r, self->low) - low_before, demoted - promoted);
	/* Half of them were there already; those that are not there yet are of the others. */
	EXPECT_LE(hot / 2 - hot * (100 - KT_NEARLY_ALL) / 100, promoted);
	EXPECT_LE(idle / 2 - idle * (100 - KT_NEARLY_ALL) / 100, demoted);

	EXPECT_EQ(1, stat_of(child, "registered"));
	EXPECT_LT(0, stat_of(child, "low_kb"));
	EXPECT_EQ(0, stat_of(child, "pages_promoted"));
	EXPECT_EQ(0, stat_of(child, "pages_demoted"));
	EXPECT_EQ(0, kt_touch_stop(&self->toucher));
	kt_kill(child);
}

/* Fails if the reason is not counted, is another's, or if it counts for all processes. */
TEST_F_TIMEOUT(report, stat_says_why_pages_stay, KT_TIMEOUT)
{
	pid_t child = spawn_idle(&self->r, self->low);

	ASSERT_LT(0, child);
	ASSERT_EQ(0, kt_bind(self->r.addr + REGION / 2, REGION / 2, self->top));
	ASSERT_EQ(0, kt_mark(&self->r));
	EXPECT_TRUE(KT_WAIT(stat_of(0, "failed_policy") >= (long)self->r.nr / 2, KT_PATIENCE));
	EXPECT_EQ(0, stat_of(0, "failed_cpuset"));
	EXPECT_EQ(0, stat_of(child, "failed_policy"));
	kt_kill(child);
}

/* Fails if figures of others are told, or of nobody. */
TEST_F_TIMEOUT(report, stat_of_a_process_that_marks_nothing_is_zero, KT_TIMEOUT)
{
	char path[64], line[64], name[48];
	long value = -1;
	int lines = 0, fields;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/ktierd_stat", getpid());
	f = fopen(path, "r");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		fields = sscanf(line, "%47s %ld", name, &value);
		ASSERT_EQ(2, fields);
		EXPECT_EQ(0, value);
		lines++;
	}
	fclose(f);
	EXPECT_LT(12, lines);
	/* A kernel thread has no memory. */
	EXPECT_EQ(-1, stat_of(2, "registered"));
}

#define NOBODY	65534

/* Fails if anybody may read how another's memory is used. */
TEST_F_TIMEOUT(report, stat_is_for_those_who_may_look_into_the_process, KT_TIMEOUT)
{
	char path[64], text[64];
	int before, after;

	snprintf(path, sizeof(path), "/proc/%d/ktierd_stat", getppid());
	before = open(path, O_RDONLY);
	ASSERT_LE(0, before);
	EXPECT_LT(0, read(before, text, sizeof(text)));
	ASSERT_EQ(0, setresgid(NOBODY, NOBODY, -1));
	ASSERT_EQ(0, setresuid(NOBODY, NOBODY, -1));
	/* Nor a second time, through what was opened by somebody who may. */
	EXPECT_EQ(-1, pread(before, text, sizeof(text), 0));
	EXPECT_EQ(EACCES, errno);
	after = open(path, O_RDONLY);
	ASSERT_LE(0, after);
	EXPECT_EQ(-1, read(after, text, sizeof(text)));
	EXPECT_EQ(EACCES, errno);
	ASSERT_EQ(0, setresuid(-1, 0, -1));
}

/* A value of the mapping of an address in smaps, -1 if that has no such line. */
static long smaps_of(const void *addr, const char *name)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	bool inside = false;
	long value = -1;
	char line[512];
	int fields;

	while (f && fgets(line, sizeof(line), f)) {
		fields = sscanf(line, "%lx-%lx ", &start, &end);
		if (fields == 2)
			inside = (unsigned long)addr >= start && (unsigned long)addr < end;
		else if (inside && !strncmp(line, name, strlen(name)))
			value = strtol(line + strlen(name) + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return value;
}

/* Fails if a tier is taken for the other, huge pages count once, or unmarked memory counts. */
TEST_F_TIMEOUT(report, smaps_says_in_which_tier_pages_are, KT_TIMEOUT)
{
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	EXPECT_EQ(-1, smaps_of(self->r.addr, "TopTier"));
	EXPECT_EQ(-1, smaps_of(self->r.addr, "LowerTier"));
	EXPECT_EQ(0, kt_value_after("/proc/self/smaps_rollup", "TopTier"));
	ASSERT_EQ(0, kt_mark(&self->r));
	/* Two mappings: they were filled by different policies. */
	EXPECT_EQ(0, smaps_of(self->r.addr, "TopTier"));
	EXPECT_EQ(REGION / 2048, smaps_of(self->r.addr, "LowerTier"));
	EXPECT_EQ(REGION / 2048, smaps_of(self->r.addr + REGION / 2, "TopTier"));
	EXPECT_EQ(0, smaps_of(self->r.addr + REGION / 2, "LowerTier"));
	EXPECT_EQ(KB(count(&self->r, self->top)),
		  kt_value_after("/proc/self/smaps_rollup", "TopTier"));
	EXPECT_EQ(KB(count(&self->r, self->low)),
		  kt_value_after("/proc/self/smaps_rollup", "LowerTier"));
}

static long node_vmstat(int node, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/vmstat", node);
	return kt_value_after(path, name);
}

/* Fails if moves count in another group, on another node, or in another direction. */
TEST_F_TIMEOUT(report, memory_stat_counts_the_moves_of_its_group, KT_TIMEOUT)
{
	const char *why = kt_cgroup_make(&self->cgroup, "memory");
	struct kt_cgroup *cg = &self->cgroup;
	struct other o = { .parents = self->r, .node = self->top };
	long node, all, demoted;
	pid_t child;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_region_map(&o.r, REGION / 2));
	node = node_vmstat(self->top, "pgdemote_ktierd");
	all = kt_vmstat("pgdemote_ktierd");
	ASSERT_LE(0, node);
	child = kt_spawn_in(cg, be_other, &o);
	ASSERT_LT(0, child);
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(child, &o.r, self->low), KT_PATIENCE));
	/* Memory of somebody else who is in no such group. */
	ASSERT_EQ(0, kt_mark(&self->r));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &self->r, self->low), KT_PATIENCE));
	ASSERT_EQ(0, kt_set_enabled(0));
	ASSERT_TRUE(KT_WAIT(kt_cgroup_stat(cg, "memory.stat", "pgdemote_ktierd") ==
			    stat_of(child, "pages_demoted"), KT_PATIENCE));
	demoted = stat_of(child, "pages_demoted") + stat_of(0, "pages_demoted");
	EXPECT_LE((long)o.r.nr, stat_of(child, "pages_demoted"));
	EXPECT_EQ(0, kt_cgroup_stat(cg, "memory.stat", "pgpromote_ktierd"));
	/* Node counters are brought together by and by. */
	EXPECT_TRUE(KT_WAIT(about(node_vmstat(self->top, "pgdemote_ktierd") - node, demoted),
			    KT_PATIENCE));
	EXPECT_TRUE(KT_WAIT(about(kt_vmstat("pgdemote_ktierd") - all, demoted), KT_PATIENCE));
	kt_kill(child);
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
