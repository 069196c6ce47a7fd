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

/*
 * Fails if a walk ends before the last VMA or leaves some out, if pages are counted again for each
 * VMA of a page table, or if others have to wait for more than a round.
 */
TEST_F_TIMEOUT(scale, a_process_of_many_vmas_is_sampled_and_holds_nobody_up, KT_TIMEOUT)
{
	long before = kt_tracked_kb(), page = kt_page(), kb;
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
	EXPECT_TRUE(KT_WAIT(kt_tracked_kb() == before + kb, KT_PATIENCE)) {
		printf("# tracked: %ld kB, to be %ld kB\n", kt_tracked_kb(), before + kb);
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

/* Where in a mapping, HUGE_PAGE larger than needed, page tables begin that are all its own. */
static char *first_table(void *base)
{
	if (base == MAP_FAILED)
		return NULL;
	return (char *)(((unsigned long)base + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
}

/* Such an address range without memory, to map something there. */
static char *reserve_tables(size_t bytes)
{
	return first_table(mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0));
}

/* Memory in such tables, as much as is there and no more than needed. */
static char *map_large(size_t *bytes)
{
	size_t free = 0;
	char *mem;
	int node;
	long kb;

	for (node = 0; (kb = kt_node_kb(node, "MemFree")) >= 0; node++)
		free += kb * 1024UL;
	*bytes = free / 2 / HUGE_PAGE * HUGE_PAGE;
	if (*bytes > LARGE_MAX)
		*bytes = LARGE_MAX;
	if (*bytes < LARGE_MIN)
		return NULL;
	mem = first_table(kt_map(*bytes + HUGE_PAGE));
	return mem && !madvise(mem, *bytes, MADV_POPULATE_WRITE) ? mem : NULL;
}

/* A page of each step is read, over and over. */
struct reader {
	pthread_t thread;
	const char *mem;
	size_t bytes;
	size_t step;
	bool stop;
	unsigned long passes;
	unsigned long sum;
};

static void *read_loop(void *arg)
{
	struct reader *r = arg;
	size_t i;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < r->bytes; i += r->step)
			r->sum += __atomic_load_n(r->mem + i, __ATOMIC_RELAXED);
		__atomic_fetch_add(&r->passes, 1, __ATOMIC_RELAXED);
		usleep(1000);
	}
	return NULL;
}

static int start_reader(struct reader *r, const char *mem, size_t bytes, size_t step)
{
	memset(r, 0, sizeof(*r));
	r->mem = mem;
	r->bytes = bytes;
	r->step = step;
	return pthread_create(&r->thread, NULL, read_loop, r);
}

static void stop_reader(struct reader *r)
{
	__atomic_store_n(&r->stop, true, __ATOMIC_RELAXED);
	pthread_join(r->thread, NULL);
}

/*
 * Much to look at in little memory: views of the same file, one behind the other. A page of each
 * table is in use, so that no table sleeps.
 */
struct views {
	int fd;
	char *mem;
	size_t nr;
	struct reader reader;
};

#define VIEW		(16 * MIB)
#define VIEWS_MIN	8
#define VIEWS_MAX	512

static int views_make(struct views *v)
{
	char *file;

	memset(v, 0, sizeof(*v));
	v->mem = reserve_tables(VIEWS_MAX * VIEW);
	v->fd = memfd_create("ktierd-views", 0);
	if (!v->mem || v->fd < 0 || ftruncate(v->fd, VIEW))
		return -errno;
	file = mmap(NULL, VIEW, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (file == MAP_FAILED || madvise(file, VIEW, MADV_POPULATE_WRITE))
		return -errno;
	return munmap(file, VIEW) ? -errno : 0;
}

static int views_add(struct views *v)
{
	char *at = v->mem + v->nr * VIEW;

	if (mmap(at, VIEW, PROT_READ, MAP_SHARED | MAP_FIXED, v->fd, 0) == MAP_FAILED ||
	    madvise(at, VIEW, MADV_POPULATE_READ) || madvise(at, VIEW, MADV_TIER))
		return -errno;
	v->nr++;
	return 0;
}

/*
 * So much memory is new at each scan that it can't be overlooked: a part of an address range is
 * mapped, and unmapped two scans later. A part comes again when it has long been forgotten.
 */
struct renewer {
	pthread_t thread;
	char *mem;
	size_t part;
	bool stop;
	unsigned long failed;
};

#define PARTS		16
#define PART_MIN	(4 * MIB)
#define NEW_PART	128	/* of all that is marked; half of that would do */

static int map_part(const struct renewer *r, size_t i, int prot)
{
	char *at = r->mem + i % PARTS * r->part;

	if (mmap(at, r->part, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -errno;
	if (prot == PROT_NONE)
		return 0;
	madvise(at, r->part, MADV_NOHUGEPAGE);
	if (madvise(at, r->part, MADV_POPULATE_WRITE) || madvise(at, r->part, MADV_TIER))
		return -errno;
	return 0;
}

static void *renew_loop(void *arg)
{
	struct renewer *r = arg;
	long scans, last = -1;
	size_t i;

	for (i = 0; !__atomic_load_n(&r->stop, __ATOMIC_RELAXED); usleep(10000)) {
		scans = kt_sysfs("scans");
		if (scans == last)
			continue;
		last = scans;
		r->failed += !!map_part(r, i + PARTS - 2, PROT_NONE);
		r->failed += !!map_part(r, i++, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

static int start_renewer(struct renewer *r, size_t marked)
{
	memset(r, 0, sizeof(*r));
	r->part = (marked / NEW_PART + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	if (r->part < PART_MIN)
		r->part = PART_MIN;
	r->mem = reserve_tables(PARTS * r->part);
	return r->mem ? -pthread_create(&r->thread, NULL, renew_loop, r) : -ENOMEM;
}

/* Returns how often it could not do what it should. */
static unsigned long stop_renewer(struct renewer *r)
{
	__atomic_store_n(&r->stop, true, __ATOMIC_RELAXED);
	pthread_join(r->thread, NULL);
	munmap(r->mem, PARTS * r->part);
	return r->failed;
}

/*
 * What a round costs, in percent of the interval as it is set; -1 if there are none. The least of
 * some looks, as a host that is busy with something else makes it more.
 */
static double cost_of_round(long pid)
{
	double ran, cost, least = -1;
	long scans;
	int i;

	/* The first ones learn what is there. */
	if (!kt_wait_scans(5))
		return -1;
	for (i = 0; i < 4; i++) {
		scans = kt_sysfs("scans");
		ran = cpu_ns(pid);
		if (!kt_wait_scans(5))
			return -1;
		cost = (cpu_ns(pid) - ran) / (kt_sysfs("scans") - scans) / INTERVAL_MS / 1e4;
		if (least < 0 || cost < least)
			least = cost;
	}
	return least;
}

/*
 * Of some rounds, percent of a CPU that they take, and the interval: as it is said to be after
 * each, and as it is. The time that a round has to wait for comes after it.
 */
struct rounds {
	double share;
	double said_ms;
	double is_ms;
};

/* A round in which the guest stood still may have run up a debt that takes long to pay. */
static bool wait_round(void)
{
	return kt_wait_scans(1) || kt_wait_scans(1);
}

static bool watch_rounds(struct rounds *r, long pid, int nr)
{
	double ran, start = 0;
	int i;

	memset(r, 0, sizeof(*r));
	if (!wait_round())
		return false;
	ran = cpu_ns(pid);
	for (i = 0; i < nr; i++) {
		if (!wait_round())
			return false;
		if (!i)
			start = kt_now();
		/* It says so a moment after the round. */
		usleep(10000);
		r->said_ms += (double)kt_sysfs("scan_interval_effective_ms") / nr;
	}
	ran = cpu_ns(pid) - ran;
	if (!wait_round())
		return false;
	r->is_ms = (kt_now() - start) * 1000 / nr;
	r->share = ran / nr / r->is_ms / 1e4;
	return true;
}

#define SHARE		5	/* percent */
#define TIMES_SHARE	4	/* what it would take if it were let */
#define WATCHED		20	/* rounds */

/*
 * Much to look at, and so much of it new that it is looked at often. Fails if the interval is not
 * stretched so that scanning takes its share of a CPU, neither more nor much less; or if it is not
 * said by how much.
 */
TEST_F_TIMEOUT(scale, the_share_of_a_cpu_is_held, KT_TIMEOUT)
{
	struct renewer renewer;
	struct rounds rounds;
	long pid = find_thread();
	struct views views;
	double cost = 0;
	size_t nr;

	if (cpu_ns(pid) < 0)
		SKIP(return, "can't see what the thread runs");
	/* So that a round fits into the interval. */
	ASSERT_EQ(0, kt_set_sysctl("sample_window_ms", INTERVAL_MS / 5));
	ASSERT_EQ(0, views_make(&views));
	for (nr = VIEWS_MIN; cost < TIMES_SHARE * SHARE && nr <= VIEWS_MAX; nr *= 2) {
		if (views.nr) {
			stop_reader(&views.reader);
			EXPECT_EQ(0, stop_renewer(&renewer));
		}
		while (views.nr < nr)
			ASSERT_EQ(0, views_add(&views));
		ASSERT_EQ(0, start_reader(&views.reader, views.mem, nr * VIEW, HUGE_PAGE));
		ASSERT_EQ(0, start_renewer(&renewer, nr * VIEW));
		cost = cost_of_round(pid);
		ASSERT_LT(0, cost);
		printf("# a round over %zu MiB takes %.1f%% of %d ms\n", nr * VIEW / MIB, cost,
		       INTERVAL_MS);
	}
	if (cost < TIMES_SHARE * SHARE) {
		stop_reader(&views.reader);
		stop_renewer(&renewer);
		SKIP(return, "takes too little, whatever there is to look at");
	}
	/* Whatever it is stretched to from now on, it is for the sake of the share. */
	EXPECT_EQ(INTERVAL_MS, kt_sysfs("scan_interval_effective_ms"));

	ASSERT_EQ(0, kt_set_sysctl("cpu_percent", SHARE));
	/* What it has to its credit is used up first. */
	EXPECT_TRUE(KT_WAIT(kt_sysfs("scan_interval_effective_ms") > 2 * INTERVAL_MS,
			    2 * KT_PATIENCE));
	ASSERT_TRUE(watch_rounds(&rounds, pid, WATCHED));
	printf("# %.2f%% of a CPU with a share of %d%%; interval %.0f ms, said to be %.0f ms\n",
	       rounds.share, SHARE, rounds.is_ms, rounds.said_ms);
	EXPECT_LE(SHARE * 0.8, rounds.share);
	EXPECT_GE(SHARE * 1.2, rounds.share);
	EXPECT_LE(rounds.is_ms * 0.8, rounds.said_ms);
	EXPECT_GE(rounds.is_ms * 1.2, rounds.said_ms);

	stop_reader(&views.reader);
	EXPECT_EQ(0, stop_renewer(&renewer));
}

/*
 * Fails if the interval stays as it was set where nothing changes, if it gets longer than eight
 * times that, or if it stays so when a round has found that much is new.
 */
TEST_F_TIMEOUT(scale, the_interval_follows_how_much_changes, KT_TIMEOUT)
{
	struct kt_toucher toucher;
	struct kt_region r, more;

	/* Long enough that no window is so late that nothing is learned from it. */
	ASSERT_EQ(0, kt_set_sysctl("sample_window_ms", INTERVAL_MS / 2));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->node));
	r.hot_step = 4;
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, false));
	ASSERT_EQ(0, kt_mark(&r));
	ASSERT_EQ(0, kt_region_make(&more, SMALL, self->node));
	ASSERT_TRUE(KT_WAIT(kt_sysfs("scan_interval_effective_ms") == STRETCH_MAX * INTERVAL_MS,
			    2 * KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(2));
	EXPECT_GE(STRETCH_MAX * INTERVAL_MS, kt_sysfs("scan_interval_effective_ms"));

	/* The round under way may have come by already, but the next one does. */
	ASSERT_EQ(0, kt_mark(&more));
	ASSERT_TRUE(kt_wait_scans(2));
	/* It says so a moment after the round, and is slow to stretch again. */
	usleep(INTERVAL_MS / 2 * 1000);
	EXPECT_GE(2 * INTERVAL_MS, kt_sysfs("scan_interval_effective_ms"));
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

static bool has_kasan(void)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	bool found = false;
	char line[256];

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, " kasan_report\n");
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
	if (has_kasan())
		SKIP(return, "KASAN makes objects larger, and keeps those that were freed");
	mem = map_large(&bytes);
	if (!mem)
		SKIP(return, "needs %lu MiB", LARGE_MIN / MIB);
	tables = bytes / HUGE_PAGE;
	/* A slab that a CPU holds counts as full. */
	spare = (sysconf(_SC_NPROCESSORS_CONF) + 1) * per_slab;
	/* With an interval of many windows, pages that are not used lose their score soon. */
	ASSERT_EQ(0, kt_set_sysctl("sample_window_ms", 5));

	ASSERT_EQ(0, start_reader(&reader, mem, bytes, kt_page()));
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
	EXPECT_EQ((long)(bytes / 1024), kt_tracked_kb());

	ASSERT_EQ(0, start_reader(&reader, mem, bytes, kt_page()));
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
	/* Not yet: all of it is read to be seen awake, and for longer where rounds take long. */
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, low));
	r.hot_step = 8;
	/* Tables that the region has for itself. */
	from = (char *)(((unsigned long)r.addr + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
	to = (char *)((unsigned long)(r.addr + SMALL) / HUGE_PAGE * HUGE_PAGE);

	ASSERT_EQ(0, kt_mark(&r));
	/* Where rounds take long it may have fallen asleep before the first that is traced. */
	EXPECT_TRUE(KT_WAIT(!kt_region_wrong(&r) && kt_trace_rounds("block", 1) &&
			    traced_blocks(from, to) > 0, KT_PATIENCE));
	ASSERT_TRUE(falls_asleep(from, to));
	EXPECT_EQ((long)SMALL / 1024, kt_tracked_kb());

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 1048576));
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
