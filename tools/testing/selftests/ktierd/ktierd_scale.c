// SPDX-License-Identifier: GPL-2.0
/*
 * Many processes, many VMAs, much memory: that nobody is left out, that the thread holds its share
 * of a CPU, that it looks less often where nothing changes, and what histories cost. Above each
 * test stands what change in the kernel would make it fail.
 *
 * Times are those of machines of very different speed. So no test asks how long something takes,
 * only for how many rounds.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define PROCESSES	1000
#define PAGES_EACH	4
#define VMAS		20000
#define HUGE_PAGE	(2 * MIB)	/* what one page table maps */
#define SMALL		(16 * MIB)
#define LARGE_MIN	(128 * MIB)
#define LARGE_MAX	(256 * MIB)

#define INTERVAL_MS	100		/* that of kt_knobs_fast() */
#define STRETCH_MAX	8

FIXTURE(scale) {
	struct kt_knobs saved;
	bool traced;
	int node;
};

FIXTURE_SETUP(scale)
{
	const char *why = kt_trace_make();

	if (why)
		SKIP(return, "%s", why);
	self->traced = true;
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	self->node = kt_read_long("/sys/devices/system/node/online");
}

FIXTURE_TEARDOWN(scale)
{
	kt_knobs_restore(&self->saved);
	if (self->traced)
		kt_trace_remove();
}

/* What reading walks were traced of a process. */
struct reads {
	pid_t pid;
	int rounds;
	unsigned int last;
	unsigned long long least_pages;	/* of a round */
};

static struct reads *reads_of(struct reads *reads, size_t nr, pid_t pid)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (reads[i].pid == pid)
			return &reads[i];
	return NULL;
}

/* Fill in what was traced of some processes. Returns how many rounds were, complete or not. */
static int traced_reads(struct reads *reads, size_t nr)
{
	unsigned int round, last = 0;
	unsigned long long pages;
	FILE *trace = kt_trace_open();
	struct reads *r;
	int pid, ret, rounds = 0;
	char *line;

	while ((line = kt_trace_line(trace, "scan_end"))) {
		if (sscanf(line, "pid=%d round=%u walk=read ret=%d pages=%llu", &pid, &round, &ret,
			   &pages) != 4)
			ret = -1;
		free(line);
		if (ret)
			continue;
		rounds += round != last;
		last = round;
		r = reads_of(reads, nr, pid);
		if (!r)
			continue;
		/* One in several slices has several, and the last of them tells of all. */
		if (r->last != round) {
			r->rounds++;
			if (!r->least_pages || pages < r->least_pages)
				r->least_pages = pages;
		}
		r->last = round;
	}
	if (trace)
		fclose(trace);
	return rounds;
}

/* A child that has pages of its own in memory that is marked, and sleeps. */
static pid_t fork_marked(const struct kt_region *r, int *ready)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	memset(r->addr, 1, r->nr * kt_page());
	__atomic_fetch_add(ready, 1, __ATOMIC_RELAXED);
	for (;;)
		pause();
}

static void end_all(const struct reads *reads, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (reads[i].pid > 0)
			kill(reads[i].pid, SIGKILL);
	for (i = 0; i < nr; i++)
		if (reads[i].pid > 0)
			waitpid(reads[i].pid, NULL, 0);
}

/* Fails if a round leaves out a process when there are many, or does not look at its pages. */
TEST_F_TIMEOUT(scale, of_many_processes_each_is_sampled, KT_TIMEOUT)
{
	struct reads *reads = calloc(PROCESSES, sizeof(*reads));
	int *ready = mmap(NULL, kt_page(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	long before = kt_sysfs("processes");
	int rounds, missed = 0, i;
	struct kt_region r;

	ASSERT_NE(NULL, reads);
	ASSERT_NE(MAP_FAILED, ready);
	ASSERT_EQ(0, kt_region_map(&r, PAGES_EACH * kt_page()));
	ASSERT_EQ(0, kt_mark(&r));
	for (i = 0; i < PROCESSES; i++) {
		reads[i].pid = fork_marked(&r, ready);
		if (reads[i].pid < 0)
			break;
	}
	EXPECT_EQ(PROCESSES, i);
	EXPECT_TRUE(KT_WAIT(__atomic_load_n(ready, __ATOMIC_RELAXED) == i, KT_PATIENCE));
	EXPECT_EQ(before + 1 + i, kt_sysfs("processes"));

	/* The round that is under way may have begun before the last of them. */
	EXPECT_TRUE(kt_wait_scans(2));
	EXPECT_TRUE(kt_trace_rounds("scan_end", 4));
	end_all(reads, i);
	rounds = traced_reads(reads, i);
	EXPECT_LE(4, rounds);
	while (i--) {
		/* The first and the last may be traced in part. */
		if (reads[i].rounds >= rounds - 2 && reads[i].least_pages == PAGES_EACH)
			continue;
		if (!missed++)
			printf("# process %d: %d of %d rounds, %llu pages\n", i, reads[i].rounds,
			       rounds, reads[i].least_pages);
	}
	EXPECT_EQ(0, missed);
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") <= before + 1, KT_PATIENCE));
	free(reads);
}

static long tracked_kb(void)
{
	long kb, sum = 0;
	int node;

	for (node = 0; (kb = kt_node_sysfs(node, "tracked_kb")) >= 0; node++)
		sum += kb;
	return sum;
}

/*
 * Fails if a walk ends before the last VMA or leaves some out, if pages are counted again for each
 * VMA of a page table, or if others have to wait for more than a round.
 */
TEST_F_TIMEOUT(scale, a_process_of_many_vmas_is_sampled_and_holds_nobody_up, KT_TIMEOUT)
{
	long before = tracked_kb(), page = kt_page(), kb;
	struct kt_region many, other;
	struct reads reads[2] = {};
	int ready = 0, rounds, i;

	ASSERT_EQ(0, kt_region_map(&other, PAGES_EACH * page));
	ASSERT_EQ(0, kt_mark(&other));
	reads[0].pid = fork_marked(&other, &ready);
	ASSERT_LT(0, reads[0].pid);
	ASSERT_EQ(0, kt_unmark(&other));

	ASSERT_EQ(0, kt_region_make(&many, VMAS * page, self->node));
	for (i = 0; i < VMAS; i += 2)
		ASSERT_EQ(0, mprotect(many.addr + i * page, page, PROT_READ));
	ASSERT_EQ(0, kt_mark(&many));
	reads[1].pid = getpid();

	kb = (VMAS + PAGES_EACH) * page / 1024;
	EXPECT_TRUE(KT_WAIT(tracked_kb() == before + kb, KT_PATIENCE)) {
		printf("# tracked: %ld kB, to be %ld kB\n", tracked_kb(), before + kb);
	}
	EXPECT_TRUE(kt_trace_rounds("scan_end", 5));
	rounds = traced_reads(reads, 2);
	EXPECT_LE(5, rounds);
	EXPECT_LE(rounds - 2, reads[0].rounds);
	EXPECT_EQ(PAGES_EACH, reads[0].least_pages);
	EXPECT_LE(rounds - 2, reads[1].rounds);
	end_all(reads, 1);
	EXPECT_EQ(0, kt_region_wrong(&many));
}

static bool is_named(const char *pid, const char *name)
{
	char path[64], comm[32];

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	if (kt_read(path, comm, sizeof(comm)) <= 0)
		return false;
	comm[strcspn(comm, "\n")] = '\0';
	return !strcmp(comm, name);
}

/* The process id of ktierd's thread, -1 if it is not to be seen. */
static long find_thread(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	long pid = -1;

	while (dir && pid < 0 && (d = readdir(dir)))
		if (isdigit(d->d_name[0]) && is_named(d->d_name, "ktierd"))
			pid = atol(d->d_name);
	if (dir)
		closedir(dir);
	return pid;
}

/* Nanoseconds that it has run. */
static double cpu_ns(long pid)
{
	char path[64], buf[96];

	snprintf(path, sizeof(path), "/proc/%ld/schedstat", pid);
	return kt_read(path, buf, sizeof(buf)) > 0 ? strtod(buf, NULL) : -1;
}

/* Percent of a CPU that it takes for some time, from the end of a round to the end of another. */
static double cpu_share(long pid, double secs)
{
	double start, ran;

	if (!kt_wait_scans(1))
		return -1;
	start = kt_now();
	ran = cpu_ns(pid);
	usleep(secs * 1000000);
	if (!kt_wait_scans(1))
		return -1;
	return (cpu_ns(pid) - ran) / (kt_now() - start) / 1e7;
}

/* Memory whose page tables are all its own, as much as is there and no more than needed. */
static char *map_large(size_t *bytes)
{
	size_t free = 0;
	char *mem, *base;
	int node;
	long kb;

	for (node = 0; (kb = kt_node_kb(node, "MemFree")) >= 0; node++)
		free += kb * 1024UL;
	*bytes = free / 2 / HUGE_PAGE * HUGE_PAGE;
	if (*bytes > LARGE_MAX)
		*bytes = LARGE_MAX;
	if (*bytes < LARGE_MIN)
		return NULL;
	base = kt_map(*bytes + HUGE_PAGE);
	if (base == MAP_FAILED)
		return NULL;
	mem = (char *)(((unsigned long)base + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
	return madvise(mem, *bytes, MADV_POPULATE_WRITE) ? NULL : mem;
}

/* All of it is read over and over. */
struct reader {
	pthread_t thread;
	const char *mem;
	size_t bytes;
	bool stop;
	unsigned long passes;
	unsigned long sum;
};

static void *read_loop(void *arg)
{
	struct reader *r = arg;
	size_t page = kt_page(), i;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < r->bytes; i += page)
			r->sum += __atomic_load_n(r->mem + i, __ATOMIC_RELAXED);
		__atomic_fetch_add(&r->passes, 1, __ATOMIC_RELAXED);
		usleep(1000);
	}
	return NULL;
}

static int start_reader(struct reader *r, const char *mem, size_t bytes)
{
	memset(r, 0, sizeof(*r));
	r->mem = mem;
	r->bytes = bytes;
	return pthread_create(&r->thread, NULL, read_loop, r);
}

static void stop_reader(struct reader *r)
{
	__atomic_store_n(&r->stop, true, __ATOMIC_RELAXED);
	pthread_join(r->thread, NULL);
}

#define SHARE		1	/* percent */

/*
 * Much memory, all of it in use, looked at often. Fails if the interval is not stretched so that
 * scanning takes no more than its share, or if it is not said by how much.
 */
TEST_F_TIMEOUT(scale, the_share_of_a_cpu_is_held, KT_TIMEOUT)
{
	long pid = find_thread();
	struct reader reader;
	double share;
	size_t bytes;
	char *mem;

	if (cpu_ns(pid) < 0)
		SKIP(return, "can't see what the thread runs");
	mem = map_large(&bytes);
	if (!mem)
		SKIP(return, "needs %lu MiB", LARGE_MIN / MIB);
	ASSERT_EQ(0, start_reader(&reader, mem, bytes));
	ASSERT_EQ(0, madvise(mem, bytes, MADV_TIER));
	share = cpu_share(pid, 3);
	printf("# %zu MiB; %.1f%% without a limit\n", bytes / MIB, share);
	/* Stretched, it would take an eighth of that, and has half a second to its credit. */
	if (share < 25 * SHARE) {
		stop_reader(&reader);
		SKIP(return, "takes too little to use up its credit in time");
	}

	ASSERT_EQ(0, kt_set_sysctl("cpu_percent", SHARE));
	/*
	 * What it had to its credit is used up when the interval is longer than it would be because
	 * nothing changes.
	 */
	EXPECT_TRUE(KT_WAIT(kt_sysfs("scan_interval_effective_ms") > STRETCH_MAX * INTERVAL_MS,
			    KT_PATIENCE));
	sleep(5);
	share = cpu_share(pid, 20);
	printf("# %.2f%% with one of %d%%, interval %ld ms\n", share, SHARE,
	       kt_sysfs("scan_interval_effective_ms"));
	EXPECT_LT(0, share);
	/* Not all that the thread does is sampling. */
	EXPECT_GE(SHARE * 1.4, share);
	EXPECT_LT(STRETCH_MAX * INTERVAL_MS, kt_sysfs("scan_interval_effective_ms"));
	stop_reader(&reader);
}

/*
 * Fails if the interval stays as it was set where nothing changes, or if it gets longer than eight
 * times that.
 */
TEST_F_TIMEOUT(scale, the_interval_stretches_where_nothing_changes, KT_TIMEOUT)
{
	struct kt_toucher toucher;
	struct kt_region r;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->node));
	r.hot_step = 4;
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, false));
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("scan_interval_effective_ms") == STRETCH_MAX * INTERVAL_MS,
			    2 * KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(2));
	EXPECT_GE(STRETCH_MAX * INTERVAL_MS, kt_sysfs("scan_interval_effective_ms"));

	EXPECT_EQ(0, kt_touch_stop(&toucher));
}

/* Of a slab cache: objects that are in use, and their size. False if it is not to be seen. */
static bool slab_objects(const char *name, long *objects, long *size, long *per_slab)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	bool found = false;
	char line[512];
	char cache[64];

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%63s %ld %*d %ld %ld", cache, objects, size, per_slab) == 4 &&
			!strcmp(cache, name);
	if (f)
		fclose(f);
	return found;
}

static long nr_blocks(void)
{
	long objects, size, per_slab;

	return slab_objects("ktierd_block", &objects, &size, &per_slab) ? objects : -1;
}

/*
 * Fails if a page costs more than it should, if a table that nobody uses keeps the histories of its
 * pages, or if it does not get them again when it is used.
 */
TEST_F_TIMEOUT(scale, histories_cost_little_and_those_of_idle_memory_less, KT_TIMEOUT)
{
	long objects, size, per_slab, spare;
	struct reader reader;
	size_t bytes, tables;
	double percent;
	char *mem;

	if (!slab_objects("ktierd_block", &objects, &size, &per_slab))
		SKIP(return, "can't see the slab caches");
	mem = map_large(&bytes);
	if (!mem)
		SKIP(return, "needs %lu MiB", LARGE_MIN / MIB);
	tables = bytes / HUGE_PAGE;
	/* A slab that a CPU holds counts as full. */
	spare = (sysconf(_SC_NPROCESSORS_CONF) + 1) * per_slab;
	/* With an interval of many windows, pages that are not used lose their score soon. */
	ASSERT_EQ(0, kt_set_sysctl("sample_window_ms", 5));

	ASSERT_EQ(0, start_reader(&reader, mem, bytes));
	ASSERT_EQ(0, madvise(mem, bytes, MADV_TIER));
	EXPECT_TRUE(KT_WAIT(reader.passes > 2 && nr_blocks() >= (long)tables, KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(10));
	percent = (nr_blocks() - spare) * size * 100. / bytes;
	printf("# in use: %ld blocks of %ld bytes for %zu tables, %.3f%% or more\n", nr_blocks(),
	       size, tables, percent);
	EXPECT_LE((long)tables, nr_blocks());
	EXPECT_GT((long)tables + spare, nr_blocks());
	EXPECT_GT(0.06, (double)size * 100 / HUGE_PAGE);

	stop_reader(&reader);
	EXPECT_TRUE(KT_WAIT(nr_blocks() <= spare, 2 * KT_PATIENCE));
	printf("# idle: %ld blocks, no more than %ld that may be free\n", nr_blocks(), spare);
	EXPECT_GT(0.02, spare * size * 100. / bytes);
	EXPECT_EQ((long)(bytes / 1024), tracked_kb());

	ASSERT_EQ(0, start_reader(&reader, mem, bytes));
	EXPECT_TRUE(KT_WAIT(nr_blocks() >= (long)tables, KT_PATIENCE));
	stop_reader(&reader);
}

/* How many events tell of the heat of pages in a range of this process. */
static int traced_blocks(const char *from, const char *to)
{
	FILE *trace = kt_trace_open();
	unsigned long addr;
	int pid, found = 0;
	char *line;

	while ((line = kt_trace_line(trace, "block"))) {
		if (sscanf(line, "pid=%d addr=%lx", &pid, &addr) == 2 && pid == getpid())
			found += addr >= (unsigned long)from && addr < (unsigned long)to;
		free(line);
	}
	if (trace)
		fclose(trace);
	kt_trace_clear();
	return found;
}

/* Wait until some rounds tell nothing of the range. */
static bool falls_asleep(const char *from, const char *to)
{
	int tries;

	for (tries = 0; tries < 20; tries++)
		if (kt_trace_rounds("block", 3) && !traced_blocks(from, to))
			return true;
	return false;
}

/*
 * Pages in the lower tier, of tables that nobody has looked into for a while. Fails if the use of
 * a table asleep is not noticed, or if its pages have no history from then on.
 */
TEST_F_TIMEOUT(scale, a_table_that_wakes_up_has_its_pages_promoted, KT_TIMEOUT)
{
	struct kt_toucher toucher;
	const char *from, *to;
	struct kt_region r;
	const char *why;
	int top, low;

	why = kt_find_tiers(&top, &low);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 1048576));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, low));
	r.hot_step = 8;
	/* Tables that the region has for itself. */
	from = (char *)(((unsigned long)r.addr + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
	to = (char *)((unsigned long)(r.addr + SMALL) / HUGE_PAGE * HUGE_PAGE);

	ASSERT_EQ(0, kt_mark(&r));
	ASSERT_TRUE(kt_trace_rounds("block", 1));
	EXPECT_LT(0, traced_blocks(from, to));
	ASSERT_TRUE(falls_asleep(from, to));
	EXPECT_EQ((long)SMALL / 1024, tracked_kb());

	ASSERT_EQ(0, kt_touch_start(&toucher, &r, false));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&r, KT_HOT, top) >= KT_NEARLY_ALL, KT_PATIENCE));
	EXPECT_LE(KT_NEARLY_ALL, kt_region_percent(&r, KT_IDLE, low));
	ASSERT_TRUE(kt_trace_rounds("block", 2));
	EXPECT_LE((to - from) / (long)HUGE_PAGE, traced_blocks(from, to));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
