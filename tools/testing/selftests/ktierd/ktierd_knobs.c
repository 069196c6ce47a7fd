// SPDX-License-Identifier: GPL-2.0
/*
 * The sysctls vm.ktierd_* and the files of /sys/kernel/mm/ktierd: which values they take, and that
 * what they show is real. Above each test stands what change in the kernel would make it fail.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define REGION		(16 * MIB)

FIXTURE(sysctl) {
	struct kt_knobs saved;
	char path[128];
};

FIXTURE_VARIANT(sysctl) {
	const char *name;
	long min;
	long max;
};

FIXTURE_VARIANT_ADD(sysctl, scan_interval_ms) {
	.name = "scan_interval_ms", .min = 100, .max = 3600000,
};

/* Its limit is the interval, which the setup sets. */
FIXTURE_VARIANT_ADD(sysctl, sample_window_ms) {
	.name = "sample_window_ms", .min = 0, .max = 1000,
};

FIXTURE_VARIANT_ADD(sysctl, cpu_percent) {
	.name = "cpu_percent", .min = 1, .max = 100,
};

FIXTURE_VARIANT_ADD(sysctl, cold_age_ms) {
	.name = "cold_age_ms", .min = 0, .max = 86400000,
};

FIXTURE_VARIANT_ADD(sysctl, headroom_percent) {
	.name = "headroom_percent", .min = 0, .max = 50,
};

FIXTURE_VARIANT_ADD(sysctl, migrate_mbps) {
	.name = "migrate_mbps", .min = 0, .max = 1048576,
};

FIXTURE_VARIANT_ADD(sysctl, write_weight) {
	.name = "write_weight", .min = 0, .max = 8,
};

FIXTURE_SETUP(sysctl)
{
	if (geteuid() != 0)
		SKIP(return, "needs root");
	kt_knobs_save(&self->saved);
	snprintf(self->path, sizeof(self->path), KT_SYSCTL "%s", variant->name);
	kt_set_sysctl("sample_window_ms", 0);
	ASSERT_EQ(0, kt_set_sysctl("scan_interval_ms", 1000));
}

FIXTURE_TEARDOWN(sysctl)
{
	kt_knobs_restore(&self->saved);
}

/* Fails if a limit is off by one, or what is read back is not what was written. */
TEST_F(sysctl, takes_its_range)
{
	long mid = variant->min + (variant->max - variant->min) / 2;

	EXPECT_EQ(0, kt_set_sysctl(variant->name, variant->min));
	EXPECT_EQ(variant->min, kt_sysctl(variant->name));
	EXPECT_EQ(0, kt_set_sysctl(variant->name, mid));
	EXPECT_EQ(mid, kt_sysctl(variant->name));
	EXPECT_EQ(0, kt_set_sysctl(variant->name, variant->max));
	EXPECT_EQ(variant->max, kt_sysctl(variant->name));
}

/* Fails if a bad value is clamped or taken instead of refused. */
TEST_F(sysctl, refuses_other_values_unchanged)
{
	static const char * const bad[] = {
		"-1", "-2147483648", "2147483648", "4294967396", "99999999999999999999",
		"abc", "100abc", "1.5", "\n", " ",
	};
	long mid = variant->min + (variant->max - variant->min) / 2;
	size_t i;

	ASSERT_EQ(0, kt_set_sysctl(variant->name, mid));
	EXPECT_EQ(-EINVAL, kt_set_sysctl(variant->name, variant->min - 1));
	EXPECT_EQ(mid, kt_sysctl(variant->name));
	EXPECT_EQ(-EINVAL, kt_set_sysctl(variant->name, variant->max + 1));
	EXPECT_EQ(mid, kt_sysctl(variant->name));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, kt_write(self->path, bad[i]))
			TH_LOG("'%s' was taken", bad[i]);
		EXPECT_EQ(mid, kt_sysctl(variant->name));
	}
	/* Nothing at all is no error, but no change either. */
	kt_write(self->path, "");
	EXPECT_EQ(mid, kt_sysctl(variant->name));
}

FIXTURE(sysfs) {
	struct kt_knobs saved;
};

FIXTURE_SETUP(sysfs)
{
	if (geteuid() != 0)
		SKIP(return, "needs root");
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
}

FIXTURE_TEARDOWN(sysfs)
{
	kt_knobs_restore(&self->saved);
}

/* Fails if the file takes more than 0 and 1, or does not take these. */
TEST_F(sysfs, enabled_is_zero_or_one)
{
	static const char * const bad[] = { "2", "-1", "10", "abc", "0x1y", "1 0", "\n", " " };
	size_t i;
	int on;

	for (on = 0; on <= 1; on++) {
		EXPECT_EQ(0, kt_set_enabled(on));
		EXPECT_EQ(on, kt_sysfs("enabled"));
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			EXPECT_EQ(-EINVAL, kt_write(KT_SYSFS "enabled", bad[i]))
				TH_LOG("'%s' was taken", bad[i]);
			EXPECT_EQ(on, kt_sysfs("enabled"));
		}
	}
}

/* Whether the file holds one number and a line's end. */
static bool is_one_number(const char *path)
{
	char buf[64];
	char *p = buf;

	if (kt_read(path, buf, sizeof(buf)) <= 0 || !isdigit(*p))
		return false;
	while (isdigit(*p))
		p++;
	return !strcmp(p, "\n");
}

static bool is_read_only(const char *path)
{
	int fd = open(path, O_WRONLY);
	bool refused;

	if (fd < 0)
		return true;
	refused = write(fd, "0\n", 2) < 0;
	close(fd);
	return refused;
}

/* Fails if a file is missing, shows more than a number, or a counter can be written. */
TEST_F(sysfs, every_file_is_one_number)
{
	static const char * const files[] = {
		"processes", "scans", "pages_scanned", "pages_young", "pages_dirty",
		"pages_promoted", "pages_demoted", "pages_returned", "scan_interval_effective_ms",
		"sample_window_us", "hot_threshold", "scan_ms", "migrate_ms", "failed/busy",
		"failed/pinned", "failed/shared", "failed/locked", "failed/policy",
		"failed/cpuset", "failed/no_room", "failed/huge_no_room", "failed/rate",
		"failed/lazyfree", "failed/dirty", "failed/partial",
	};
	char path[128];
	size_t i;

	EXPECT_TRUE(is_one_number(KT_SYSFS "enabled"));
	EXPECT_FALSE(is_read_only(KT_SYSFS "enabled"));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), KT_SYSFS "%s", files[i]);
		EXPECT_TRUE(is_one_number(path))
			TH_LOG("%s is not a number", path);
		EXPECT_TRUE(is_read_only(path))
			TH_LOG("%s can be written", path);
	}
}

/* Fails if a possible node has no folder, or one of its files is missing. */
TEST_F(sysfs, every_possible_node_has_a_folder)
{
	static const char * const files[] = { "tracked_kb", "hot_kb", "cold_kb" };
	char buf[256], path[128];
	char *p = buf;
	long first, last, node;
	size_t i;

	ASSERT_LT(0, kt_read("/sys/devices/system/node/possible", buf, sizeof(buf)));
	while (isdigit(*p)) {
		first = strtol(p, &p, 10);
		last = *p == '-' ? strtol(p + 1, &p, 10) : first;
		for (node = first; node <= last; node++) {
			for (i = 0; i < ARRAY_SIZE(files); i++) {
				snprintf(path, sizeof(path), KT_SYSFS "node%ld/%s", node, files[i]);
				EXPECT_TRUE(is_one_number(path))
					TH_LOG("%s is not a number", path);
				EXPECT_TRUE(is_read_only(path));
			}
		}
		if (*p == ',')
			p++;
	}
}

/* Fails if a counter is not in /proc/vmstat. */
TEST_F(sysfs, vmstat_has_the_counters)
{
	EXPECT_LE(0, kt_vmstat("ktierd_pages_scanned"));
	EXPECT_LE(0, kt_vmstat("ktierd_pages_promoted"));
	EXPECT_LE(0, kt_vmstat("ktierd_pages_demoted"));
	EXPECT_LE(0, kt_vmstat("ktierd_pages_failed"));
}

static int mark_region(void *arg)
{
	struct kt_region *r = arg;

	return madvise(r->addr, r->nr * kt_page(), MADV_TIER);
}

/* Fails if a process is not registered when it marks, or not dropped when it is gone. */
TEST_F_TIMEOUT(sysfs, processes_counts_who_marked, KT_TIMEOUT)
{
	long before = kt_sysfs("processes");
	struct kt_region r;
	pid_t a, b;

	ASSERT_EQ(0, kt_region_map(&r, 64 * kt_page()));
	a = kt_spawn(mark_region, &r);
	ASSERT_LT(0, a);
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == before + 1, KT_PATIENCE));
	b = kt_spawn(mark_region, &r);
	ASSERT_LT(0, b);
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == before + 2, KT_PATIENCE));
	kt_kill(a);
	kt_kill(b);
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == before, KT_PATIENCE));
}

/* Fails if a process without any marked memory is kept for good. */
TEST_F_TIMEOUT(sysfs, processes_forgets_who_unmarked, KT_TIMEOUT)
{
	long before = kt_sysfs("processes");
	struct kt_region r;

	ASSERT_EQ(0, kt_region_map(&r, 64 * kt_page()));
	ASSERT_EQ(0, mark_region(&r));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == before + 1, KT_PATIENCE));
	ASSERT_EQ(0, madvise(r.addr, r.nr * kt_page(), MADV_NOTIER));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == before, KT_PATIENCE));
	/* And can come back. */
	ASSERT_EQ(0, mark_region(&r));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == before + 1, KT_PATIENCE));
}

/* Fails if the thread keeps scanning, or counting, when nobody marked anything. */
TEST_F(sysfs, nothing_marked_nothing_scanned)
{
	long scans;

	if (!KT_WAIT(kt_sysfs("processes") == 0, 5))
		SKIP(return, "another process has marked memory");
	sleep(1);
	scans = kt_sysfs("scans");
	sleep(2);
	EXPECT_EQ(scans, kt_sysfs("scans"));
}

/* Fails if a scan does not visit all pages, misses what was touched, or spends no time. */
TEST_F_TIMEOUT(sysfs, scanning_is_counted, KT_TIMEOUT)
{
	long scans, scanned, young, scan_ms, vmstat;
	int node = kt_read_long("/sys/devices/system/node/online");
	struct kt_toucher toucher;
	struct kt_region r;

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	ASSERT_EQ(0, kt_region_make(&r, REGION, node));
	r.hot_step = 1;
	scanned = kt_sysfs("pages_scanned");
	young = kt_sysfs("pages_young");
	scans = kt_sysfs("scans");
	scan_ms = kt_sysfs("scan_ms");
	vmstat = kt_vmstat("ktierd_pages_scanned");

	ASSERT_EQ(0, mark_region(&r));
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, false));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("scans") >= scans + 10, KT_PATIENCE));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("scan_ms") > scan_ms, KT_PATIENCE));
	EXPECT_TRUE(KT_WAIT(kt_node_sysfs(node, "hot_kb") >= REGION / 1024 / 2, KT_PATIENCE));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("pages_young") >= young + 5 * (long)r.nr, KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_LE(scanned + 10 * (long)r.nr, kt_sysfs("pages_scanned"));
	EXPECT_LE(vmstat + 10 * (long)r.nr, kt_vmstat("ktierd_pages_scanned"));
}

/* Fails if idle memory is counted as touched. */
TEST_F_TIMEOUT(sysfs, idle_memory_is_not_young, KT_TIMEOUT)
{
	int node = kt_read_long("/sys/devices/system/node/online");
	struct kt_region r;
	long young;

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	ASSERT_EQ(0, kt_region_make(&r, REGION, node));
	ASSERT_EQ(0, mark_region(&r));
	/* The first scans see that it was filled. */
	ASSERT_TRUE(kt_wait_scans(3));
	young = kt_sysfs("pages_young");
	ASSERT_TRUE(kt_wait_scans(10));
	EXPECT_GT(young + (long)r.nr, kt_sysfs("pages_young"));
}

/*
 * Fails if writes are not seen or not counted, if dirty bits are looked at although a write is
 * worth nothing, or if the new weight takes no effect.
 */
TEST_F_TIMEOUT(sysfs, written_pages_are_counted_unless_a_write_is_worth_nothing, KT_TIMEOUT)
{
	int node = kt_read_long("/sys/devices/system/node/online");
	struct kt_toucher toucher;
	struct kt_region r;
	long dirty;

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	ASSERT_EQ(0, kt_region_make(&r, REGION, node));
	r.hot_step = 1;
	dirty = kt_sysfs("pages_dirty");
	ASSERT_EQ(0, mark_region(&r));
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, true));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("pages_dirty") >= dirty + 2 * (long)r.nr, KT_PATIENCE));

	ASSERT_EQ(0, kt_set_sysctl("write_weight", 0));
	/* The round that is under way may end. */
	ASSERT_TRUE(kt_wait_scans(2));
	dirty = kt_sysfs("pages_dirty");
	/* In as many each page has its turn. */
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(dirty, kt_sysfs("pages_dirty"));

	ASSERT_EQ(0, kt_set_sysctl("write_weight", 2));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("pages_dirty") >= dirty + (long)r.nr, KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/* Fails if pages that are only read are taken for written ones, or dirty bits are not cleared. */
TEST_F_TIMEOUT(sysfs, pages_that_are_only_read_are_not_dirty, KT_TIMEOUT)
{
	int node = kt_read_long("/sys/devices/system/node/online");
	struct kt_toucher toucher;
	struct kt_region r;
	long dirty, young;

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	ASSERT_EQ(0, kt_region_make(&r, REGION, node));
	r.hot_step = 1;
	ASSERT_EQ(0, mark_region(&r));
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, false));
	ASSERT_TRUE(kt_wait_scans(2));
	dirty = kt_sysfs("pages_dirty");
	young = kt_sysfs("pages_young");
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(dirty, kt_sysfs("pages_dirty"));
	EXPECT_LE(young + 5 * (long)r.nr, kt_sysfs("pages_young"));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
}

/* Fails if the node's numbers don't follow what is marked on it. */
TEST_F_TIMEOUT(sysfs, tracked_memory_is_counted_per_node, KT_TIMEOUT)
{
	const char *why;
	struct kt_region r;
	int top, low, node;
	long before, kb;

	why = kt_find_tiers(&top, &low);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	for (node = top; ; node = low) {
		ASSERT_EQ(0, kt_region_make(&r, REGION, node));
		kb = REGION / 1024;
		before = kt_node_sysfs(node, "tracked_kb");
		ASSERT_LE(0, before);
		ASSERT_EQ(0, mark_region(&r));
		EXPECT_TRUE(KT_WAIT(kt_node_sysfs(node, "tracked_kb") >= before + kb, KT_PATIENCE));
		EXPECT_TRUE(KT_WAIT(kt_node_sysfs(node, "cold_kb") >= kb * 9 / 10, KT_PATIENCE));
		EXPECT_GE(kt_node_sysfs(node, "tracked_kb"), kt_node_sysfs(node, "cold_kb"));
		ASSERT_EQ(0, madvise(r.addr, REGION, MADV_NOTIER));
		EXPECT_TRUE(KT_WAIT(kt_node_sysfs(node, "tracked_kb") <= before, KT_PATIENCE));
		if (node == low)
			break;
	}
}

/* Fails if a new interval takes effect only when the old one is over. */
TEST_F_TIMEOUT(sysfs, a_new_interval_takes_effect_at_once, KT_TIMEOUT)
{
	struct kt_region r;
	long scans;

	ASSERT_EQ(0, kt_region_map(&r, 64 * kt_page()));
	ASSERT_EQ(0, mark_region(&r));
	ASSERT_TRUE(kt_wait_scans(2));
	ASSERT_EQ(0, kt_set_sysctl("scan_interval_ms", 3600000));
	/* What is under way may end. */
	sleep(2);
	scans = kt_sysfs("scans");
	sleep(2);
	EXPECT_EQ(scans, kt_sysfs("scans"));
	ASSERT_EQ(0, kt_set_sysctl("scan_interval_ms", 100));
	EXPECT_TRUE(kt_wait_scans(2));
}

/* Percent of a CPU that a few scans took for sampling. */
static double share_of_scans(void)
{
	long scan_ms = kt_sysfs("scan_ms");
	double start = kt_now();

	if (!kt_wait_scans(4))
		return 100;
	return (kt_sysfs("scan_ms") - scan_ms) / (kt_now() - start) / 10;
}

/*
 * Much to walk, little of it to hold: each page is the zero page. Fails if the interval is not
 * stretched so that scanning takes no more than its share, once it has used up what it may run
 * ahead of it. Twice the share is allowed, as scans are not all alike.
 */
TEST_F_TIMEOUT(sysfs, the_share_of_the_cpu_is_held, KT_TIMEOUT)
{
	size_t bytes = 128 * MIB;
	char *mem = kt_map(bytes);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, madvise(mem, bytes, MADV_POPULATE_READ));
	ASSERT_EQ(0, kt_set_sysctl("cpu_percent", 1));
	ASSERT_EQ(0, madvise(mem, bytes, MADV_TIER));
	ASSERT_TRUE(kt_wait_scans(2));
	EXPECT_TRUE(KT_WAIT(share_of_scans() <= 2, KT_PATIENCE));
}

/* Fails if the window set is not the window used, or 0 is taken for a window of no length. */
TEST_F_TIMEOUT(sysfs, the_window_is_as_set, KT_TIMEOUT)
{
	struct kt_region r;

	ASSERT_EQ(0, kt_set_sysctl("scan_interval_ms", 200));
	ASSERT_EQ(0, kt_region_map(&r, 64 * kt_page()));
	ASSERT_EQ(0, mark_region(&r));
	ASSERT_EQ(0, kt_set_sysctl("sample_window_ms", 50));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("sample_window_us") == 50000, KT_PATIENCE));
	ASSERT_EQ(0, kt_set_sysctl("sample_window_ms", 0));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("sample_window_us") != 50000, KT_PATIENCE));
	EXPECT_LT(0, kt_sysfs("sample_window_us"));
	EXPECT_GE(200000, kt_sysfs("sample_window_us"));
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
