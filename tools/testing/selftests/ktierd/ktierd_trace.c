// SPDX-License-Identifier: GPL-2.0
/*
 * The trace events ktierd:*, in a trace instance of our own. Above each test stands what change in
 * the kernel would make it fail.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define TRACEFS		"/sys/kernel/tracing/"
#define TRACING		TRACEFS "instances/ktierd_trace/"

#define REGION		(16 * MIB)
#define HOT_LEVEL	9		/* touched in two of the last eight windows */

FIXTURE(trace) {
	struct kt_knobs saved;
	struct kt_toucher toucher;
	struct kt_region r;
	int *heat;
};

/* Memory of which some pages are hot and the others idle, for long enough to be known. */
FIXTURE_SETUP(trace)
{
	if (geteuid() != 0)
		SKIP(return, "needs root");
	if (access(TRACEFS "events/ktierd", F_OK))
		SKIP(return, "no trace events");
	ASSERT_TRUE(!mkdir(TRACING, 0700) || errno == EEXIST);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));

	ASSERT_EQ(0, kt_region_make(&self->r, REGION,
				    kt_read_long("/sys/devices/system/node/online")));
	self->heat = calloc(self->r.nr, sizeof(*self->heat));
	ASSERT_NE(NULL, self->heat);
	self->r.hot_step = 4;
	ASSERT_EQ(0, kt_mark(&self->r));
	ASSERT_EQ(0, kt_touch_start(&self->toucher, &self->r, false));
	ASSERT_TRUE(kt_wait_scans(20));
}

FIXTURE_TEARDOWN(trace)
{
	EXPECT_EQ(0, kt_touch_stop(&self->toucher));
	free(self->heat);
	kt_knobs_restore(&self->saved);
	EXPECT_EQ(0, rmdir(TRACING));
}

/* Have an event traced for some rounds, and nothing else before. */
static bool trace_rounds(const char *event, int rounds)
{
	char path[256];
	bool done;

	snprintf(path, sizeof(path), TRACING "events/ktierd/%s/enable", event);
	if (kt_write(path, "1"))
		return false;
	done = kt_wait_scans(rounds);
	return !kt_write(path, "0") && done;
}

/* The heat of pages in this line, if it tells of this process's. Returns how many of ours. */
static size_t take_heat(const char *line, const struct kt_region *r, int *heat)
{
	unsigned long start = (unsigned long)r->addr, addr, page;
	char wanted[64];
	unsigned int level;
	size_t found = 0;
	int used;

	snprintf(wanted, sizeof(wanted), "ktierd_block: pid=%d addr=", getpid());
	line = strstr(line, wanted);
	if (!line || sscanf(line + strlen(wanted), "%lx levels=%n", &addr, &used) != 1)
		return 0;
	for (line += strlen(wanted) + used; sscanf(line, "%2x", &level) == 1; line += 2) {
		page = (addr - start) / kt_page();
		if (addr >= start && page < r->nr) {
			heat[page] = level == 0xff ? -1 : (int)level;
			found++;
		}
		addr += kt_page();
	}
	return found;
}

/* What the last event of each page says: its heat, -1 if it is not there or has no event. */
static size_t traced_heat(const struct kt_region *r, int *heat)
{
	FILE *trace = fopen(TRACING "trace", "r");
	char *line = NULL;
	size_t size = 0, found = 0, i;

	for (i = 0; i < r->nr; i++)
		heat[i] = -1;
	while (trace && getline(&line, &size, trace) > 0)
		found += take_heat(line, r, heat);
	if (trace)
		fclose(trace);
	free(line);
	return found;
}

/* Pages whose heat is not what it should be. */
static size_t wrong_heat(const struct kt_region *r, const int *heat)
{
	size_t wrong = 0, i;

	for (i = 0; i < r->nr; i++) {
		bool hot = i % r->hot_step == r->phase;
		bool told_hot = heat[i] >= HOT_LEVEL;

		if (heat[i] < 0 || hot != told_hot) {
			ksft_print_msg("page %zu, %s, has level %d\n", i, hot ? "hot" : "idle",
				       heat[i]);
			wrong++;
		}
	}
	return wrong;
}

/* Fails if an event is missing, or tells the heat of another page, or of none. */
TEST_F_TIMEOUT(trace, heat_of_each_page, KT_TIMEOUT)
{
	ASSERT_TRUE(trace_rounds("ktierd_block", 3));
	EXPECT_LE(self->r.nr, traced_heat(&self->r, self->heat));
	EXPECT_EQ(0, wrong_heat(&self->r, self->heat));
}

/* Fails if an event tells of pages of another VMA than the one that was walked. */
TEST_F_TIMEOUT(trace, a_vma_has_events_of_its_own, KT_TIMEOUT)
{
	size_t page = kt_page(), first = self->r.nr / 2 + 3, rounds;

	ASSERT_EQ(0, madvise(self->r.addr + first * page, 5 * page, MADV_DONTDUMP));
	ASSERT_TRUE(kt_wait_scans(3));
	rounds = kt_sysfs("scans");
	ASSERT_TRUE(trace_rounds("ktierd_block", 3));
	rounds = kt_sysfs("scans") - rounds;
	/* The first and the last round may be traced in part. */
	EXPECT_GE((rounds + 1) * self->r.nr, traced_heat(&self->r, self->heat));
	EXPECT_EQ(0, wrong_heat(&self->r, self->heat));
}

/* Fails if there is no event, or if it does not tell what is known of the round. */
TEST_F_TIMEOUT(trace, what_a_round_found, KT_TIMEOUT)
{
	unsigned long long touched = 0, capacity = 0;
	unsigned int window = 0, cut = 0, hot = 0;
	char *line = NULL, *at;
	size_t size = 0;
	int found = 0;
	FILE *trace;

	ASSERT_TRUE(trace_rounds("ktierd_cut", 3));
	trace = fopen(TRACING "trace", "r");
	ASSERT_NE(NULL, trace);
	while (getline(&line, &size, trace) > 0) {
		at = strstr(line, "ktierd_cut: round=");
		if (at && sscanf(strstr(at, "window_us="),
				 "window_us=%u touched=%llu capacity=%llu cut=%u hot=%u",
				 &window, &touched, &capacity, &cut, &hot) == 5)
			found++;
	}
	fclose(trace);
	free(line);
	ASSERT_LE(2, found);
	EXPECT_LT(0, window);
	EXPECT_LT(0, touched);
	EXPECT_LT(self->r.nr / 4, capacity);
	EXPECT_GE(HOT_LEVEL, hot);
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
