// SPDX-License-Identifier: GPL-2.0
/*
 * ktierd beside the page cache, which takes all DRAM that is free: marked memory that is used does
 * not make room for it, and takes the place of what was read once, but not of what is read again
 * and again. Files have holes only, so that reading them reads no disk. Above each test stands what
 * change in the kernel would make it fail.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktierd_test.h"
#include "../kselftest_harness.h"

#define LRU_GEN		"/sys/kernel/mm/lru_gen/enabled"
#define DISK		(128 * MIB)
#define CHUNK		MIB
#define HOT		(48 * MIB)
#define REUSED		(24 * MIB)
#define DIRTY		(64 * MIB)	/* at most */

/* Far more than what reclaim leaves free, also on a small machine. */
#define HEADROOM	10

#define DIR_SIZE	32

/* Pauses after a MiB: as fast as memory is, nearly, and as a disk. */
#define AT_ONCE		1000
#define AS_A_DISK	20000
#define NEVER_US	1000000000

/* What a reader shares with the test. */
struct reader {
	int fd;
	off_t size;		/* begin again there; 0: never */
	long pause_us;		/* after each chunk */
	bool go;
	unsigned long chunks;	/* read so far */
};

/* When pages are written to disk; in the test of dirty ones, not. */
static const char *const writeback[] = {
	"/proc/sys/vm/dirty_writeback_centisecs",
	"/proc/sys/vm/dirty_background_ratio",
	"/proc/sys/vm/dirty_ratio",
};

static const char *const no_writeback[] = { "0", "80", "100" };

FIXTURE(cache) {
	struct kt_knobs saved;
	char lru_gen[16];
	char writeback[ARRAY_SIZE(writeback)][16];
	struct kt_zram disk;
	struct kt_zram swap;
	struct kt_cgroup cg;
	char dir[DIR_SIZE];
	struct reader *once;
	struct reader *reused;
	pid_t once_pid;
	pid_t reused_pid;
	int top;
	int low;
};

/* What reclaim goes by. */
FIXTURE_VARIANT(cache) {
	const char *lru_gen;
};

FIXTURE_VARIANT_ADD(cache, by_generations) { .lru_gen = "y" };
FIXTURE_VARIANT_ADD(cache, by_two_lists) { .lru_gen = "n" };

static int run(char *const argv[])
{
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) ||
	    waitpid(pid, &status, 0) != pid)
		return -1;
	return status ? -1 : 0;
}

static const char *mount_disk(struct kt_zram *disk, char *dir)
{
	char *const mkfs[] = { "mkfs.ext4", "-q", disk->path, NULL };
	const char *why = kt_zram_make(disk, DISK);

	if (why)
		return why;
	if (run(mkfs))
		return "needs mkfs.ext4";
	snprintf(dir, DIR_SIZE, "/tmp/ktierd-XXXXXX");
	if (!mkdtemp(dir)) {
		dir[0] = 0;
		return "no directory";
	}
	return mount(disk->path, dir, "ext4", 0, NULL) ? "can't mount ext4" : NULL;
}

static void remove_disk(struct kt_zram *disk, char *dir)
{
	if (dir[0]) {
		umount(dir);
		rmdir(dir);
	}
	if (disk->number >= 0)
		kt_zram_remove(disk);
}

static struct reader *make_reader(const char *dir, const char *name, off_t size)
{
	struct reader *r = mmap(NULL, kt_page(), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	r->size = size;
	r->pause_us = size ? AS_A_DISK : AT_ONCE;
	r->fd = open(path, O_RDWR | O_CREAT, 0600);
	if (r->fd < 0 || ftruncate(r->fd, size ?: 1L << 40))
		return NULL;
	return r;
}

static int read_chunk(struct reader *r, char *buf)
{
	unsigned long chunk = r->chunks;

	if (r->size)
		chunk %= r->size / CHUNK;
	if (pread(r->fd, buf, CHUNK, chunk * CHUNK) != CHUNK)
		return -1;
	__atomic_store_n(&r->chunks, r->chunks + 1, __ATOMIC_RELEASE);
	return 0;
}

/* A child, which is made before there is anything that it could share. */
static void be_reader(struct reader *r)
{
	static char buf[CHUNK];

	while (!__atomic_load_n(&r->go, __ATOMIC_ACQUIRE))
		usleep(1000);
	while (!read_chunk(r, buf))
		usleep(__atomic_load_n(&r->pause_us, __ATOMIC_RELAXED));
	_exit(1);
}

static pid_t start_reader(struct reader *r)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		be_reader(r);
	}
	return pid;
}

static void let_read(struct reader *r)
{
	__atomic_store_n(&r->go, true, __ATOMIC_RELEASE);
}

FIXTURE_SETUP(cache)
{
	const char *why = kt_find_tiers(&self->top, &self->low);
	size_t i;

	self->disk.number = -1;
	self->swap.number = -1;
	if (why)
		SKIP(return, "%s", why);
	kt_read(LRU_GEN, self->lru_gen, sizeof(self->lru_gen));
	if (variant->lru_gen[0] == 'y' && kt_write(LRU_GEN, "y"))
		SKIP(return, "no generations in this kernel");
	why = mount_disk(&self->disk, self->dir);
	if (why) {
		remove_disk(&self->disk, self->dir);
		kt_write(LRU_GEN, self->lru_gen);
		SKIP(return, "%s", why);
	}
	kt_write(LRU_GEN, variant->lru_gen);
	for (i = 0; i < ARRAY_SIZE(writeback); i++)
		kt_read(writeback[i], self->writeback[i], sizeof(self->writeback[i]));
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_set_sysctl("headroom_percent", HEADROOM));
	/* Who gets no processor for a while is not to be taken for idle. */
	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 0));
	self->once = make_reader(self->dir, "once", 0);
	self->reused = make_reader(self->dir, "reused", REUSED);
	ASSERT_NE(NULL, self->once);
	ASSERT_NE(NULL, self->reused);
	self->once_pid = start_reader(self->once);
	self->reused_pid = start_reader(self->reused);
	ASSERT_LT(0, self->once_pid);
	ASSERT_LT(0, self->reused_pid);
}

FIXTURE_TEARDOWN(cache)
{
	size_t i;

	kt_kill(self->once_pid);
	kt_kill(self->reused_pid);
	kt_cgroup_remove(&self->cg);
	kt_swap_remove(&self->swap);
	kt_trace_remove();
	if (self->once)
		close(self->once->fd);
	if (self->reused)
		close(self->reused->fd);
	remove_disk(&self->disk, self->dir);
	kt_write(LRU_GEN, self->lru_gen);
	for (i = 0; i < ARRAY_SIZE(writeback); i++)
		kt_write(writeback[i], self->writeback[i]);
	kt_restore_cpu_lists();
	kt_knobs_restore(&self->saved);
}

static long headroom_kb(int node)
{
	return kt_node_kb(node, "MemTotal") * HEADROOM / 100;
}

/* Let a file fill the top tier, until less than the headroom is free. */
static bool fill(struct reader *r, int node)
{
	char *buf = malloc(CHUNK);
	long chunks = kt_node_kb(node, "MemTotal") / 1024 * 4;
	bool full = false;

	while (!full && chunks-- && !read_chunk(r, buf))
		full = kt_node_kb(node, "MemFree") < headroom_kb(node) * 3 / 4;
	free(buf);
	return full;
}

static unsigned long chunks_read(const struct reader *r)
{
	return __atomic_load_n(&r->chunks, __ATOMIC_ACQUIRE);
}

/*
 * A file is read that is larger than all memory. Fails if marked pages that are in use go down to
 * restore the headroom: what they leave is filled by the file, until there are none left.
 */
TEST_F_TIMEOUT(cache, drives_nothing_out_that_is_used, KT_TIMEOUT)
{
	unsigned long chunks;
	struct kt_toucher toucher;
	struct kt_region r;

	ASSERT_EQ(0, kt_region_make(&r, HOT, self->top));
	r.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, true));
	ASSERT_EQ(0, kt_mark(&r));
	ASSERT_TRUE(kt_wait_scans(10));
	ASSERT_TRUE(fill(self->once, self->top));
	let_read(self->once);
	chunks = chunks_read(self->once);
	ASSERT_TRUE(kt_wait_scans(50));
	ASSERT_TRUE(KT_WAIT(chunks_read(self->once) - chunks > 2 * HOT / CHUNK, KT_PATIENCE));
	TH_LOG("%ld KiB free, %ld%% of what is hot in the top tier, %lu MiB read",
	       kt_node_kb(self->top, "MemFree"), kt_region_percent(&r, KT_ALL, self->top),
	       chunks_read(self->once) - chunks);
	EXPECT_LE(KT_NEARLY_ALL, kt_region_percent(&r, KT_ALL, self->top));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/* Pages stay dirty: nobody writes as they are old, or too many, in memory or of a disk. */
static bool leave_dirty(const struct kt_zram *disk)
{
	char path[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(writeback); i++)
		if (kt_write(writeback[i], no_writeback[i]))
			return false;
	snprintf(path, sizeof(path), "/sys/block/zram%d/bdi/min_ratio", disk->number);
	return !kt_write(path, "90");
}

/* The same with what is written to a file, and stays dirty. A node takes no more than that. */
static bool fill_dirty(const char *dir, int node)
{
	static char chunk[CHUNK];
	char path[64];
	size_t done;
	bool full = false;
	int fd;

	snprintf(path, sizeof(path), "%s/dirty", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	for (done = 0; !full && done < DIRTY; done += CHUNK) {
		if (write(fd, chunk, CHUNK) != CHUNK)
			break;
		full = kt_node_kb(node, "MemFree") < headroom_kb(node) * 7 / 8;
	}
	close(fd);
	return full;
}

/*
 * Somebody writes a file, so that all page cache is dirty and less than the headroom is free. Fails
 * if marked pages that are in use go down for what will be clean again; or where windows are as
 * short as here and find little touched, if one is believed.
 */
TEST_F_TIMEOUT(cache, that_is_dirty_drives_nothing_out, KT_TIMEOUT)
{
	struct kt_toucher toucher;
	struct kt_region r;
	long dirty;

	ASSERT_TRUE(leave_dirty(&self->disk));
	ASSERT_EQ(0, kt_region_make(&r, HOT, self->top));
	r.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, true));
	ASSERT_EQ(0, kt_mark(&r));
	kt_drop_page_cache();
	if (kt_leave_free(self->top, headroom_kb(self->top) + DIRTY / 1024 / 4))
		SKIP(return, "more than half of the top tier is in use");
	/* Until all are known to be in use. */
	ASSERT_TRUE(kt_wait_scans(16));
	ASSERT_TRUE(fill_dirty(self->dir, self->top));
	ASSERT_TRUE(kt_wait_scans(10));
	dirty = kt_node_kb(self->top, "Dirty");
	TH_LOG("%ld KiB free, %ld the headroom, %ld dirty; %ld%% of what is hot in the top tier",
	       kt_node_kb(self->top, "MemFree"), headroom_kb(self->top), dirty,
	       kt_region_percent(&r, KT_ALL, self->top));
	/* Otherwise nothing was tried. */
	EXPECT_LE((long)(DIRTY / 1024 / 4), dirty);
	EXPECT_GT(headroom_kb(self->top) * 15 / 16, kt_node_kb(self->top, "MemFree"));
	EXPECT_LE(99, kt_region_percent(&r, KT_ALL, self->top));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/* What is there besides DRAM that is full of page cache. */
enum how {
	PLAIN	= 0,
	READER	= 1,	/* somebody who goes on reading a file */
	HUGE	= 2,	/* the hot pages are huge */
	SHARED	= 4,	/* a third of DRAM is shared memory that is mapped */
};

static bool make_region(struct kt_region *r, enum how how, int node)
{
	return !kt_region_map(r, HOT) &&
	       (!(how & HUGE) || !madvise(r->addr, HOT, MADV_HUGEPAGE)) &&
	       !kt_region_fill(r, 0, r->nr, node);
}

static bool is_huge(const struct kt_region *r)
{
	struct kt_vma vma;

	return kt_vma_at(0, r->addr, &vma) && vma.huge_kb >= (long)(HOT / 1024) * 9 / 10;
}

static bool share_a_third(int node)
{
	size_t bytes = kt_node_kb(node, "MemTotal") / 3 * 1024;
	char *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED || kt_bind(mem, bytes, node))
		return false;
	memset(mem, 1, bytes);
	return true;
}

/* Hot pages are below, DRAM is full of what was read once, and somebody uses a file. */
static void come_up(struct __test_metadata *const _metadata, struct reader *once,
		    struct reader *reused, enum how how, int top, int low)
{
	long refaults = kt_vmstat("workingset_refault_file");
	struct kt_toucher toucher;
	struct kt_region r;

	ASSERT_TRUE(!(how & SHARED) || share_a_third(top));
	let_read(reused);
	ASSERT_TRUE(KT_WAIT(chunks_read(reused) > 4 * REUSED / CHUNK, KT_PATIENCE));
	ASSERT_TRUE(make_region(&r, how, low));
	if (how & HUGE && !is_huge(&r))
		SKIP(return, "no huge pages in the lower tier");
	ASSERT_TRUE(fill(once, top));
	if (how & READER) {
		once->pause_us = AS_A_DISK;
		let_read(once);
	}
	r.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, true));
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&r, KT_ALL, top) >= KT_NEARLY_ALL, 3 * KT_PATIENCE));
	refaults = kt_vmstat("workingset_refault_file") - refaults;
	TH_LOG("%ld KiB free, %ld%% of what is hot in the top tier; %ld of %zu pages read again",
	       kt_node_kb(top, "MemFree"), kt_region_percent(&r, KT_ALL, top), refaults,
	       REUSED / kt_page());
	EXPECT_GE((long)(REUSED / kt_page() / 10), refaults);
	EXPECT_TRUE(!(how & HUGE) || is_huge(&r));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/*
 * Fails if hot pages stay in the lower tier as long as nobody else frees memory above; or if that
 * costs what is in use: its pages are evicted, and have to be read again.
 */
TEST_F_TIMEOUT(cache, gives_way_to_hot_pages, 2 * KT_TIMEOUT)
{
	come_up(_metadata, self->once, self->reused, PLAIN, self->top, self->low);
}

/*
 * Fails if kswapd is asked for single pages where huge ones are to come up: those that it frees are
 * scattered.
 */
TEST_F_TIMEOUT(cache, gives_way_to_huge_pages, 2 * KT_TIMEOUT)
{
	come_up(_metadata, self->once, self->reused, HUGE, self->top, self->low);
}

/* Fails if shared memory, which counts as mapped files, hides page cache that was used once. */
TEST_F_TIMEOUT(cache, gives_way_beside_shared_memory, 2 * KT_TIMEOUT)
{
	come_up(_metadata, self->once, self->reused, SHARED, self->top, self->low);
}

/*
 * Fails if who reads as fast as a disk is takes all that was freed for them. Who reads much faster
 * does take most of it.
 */
TEST_F_TIMEOUT(cache, gives_way_while_it_is_filled, 2 * KT_TIMEOUT)
{
	come_up(_metadata, self->once, self->reused, READER, self->top, self->low);
}

#define IDLE		(64 * MIB)	/* what others have, and do not use */
#define HOTTER		(96 * MIB)	/* more than is free */
#define ROUNDS		60

/* Requests in so many rounds: after one round, two, four, and so on. */
#define FEW_REQUESTS	10

/* Others wake kswapd, too, when they allocate. */
static long count_requests(void)
{
	FILE *trace = kt_trace_open();
	long nr = 0;
	char *line;

	while ((line = kt_trace_line(trace, "mm_vmscan_wakeup_kswapd"))) {
		free(line);
		nr++;
	}
	if (trace)
		fclose(trace);
	return nr;
}

/* A file fills the top tier, and those who read it are not to lose it. */
static bool fill_protected(struct kt_cgroup *cg, struct reader *r, pid_t pid, int node)
{
	bool full;

	if (kt_cgroup_set(cg, "memory.min", "max") || kt_cgroup_enter(cg, pid))
		return false;
	let_read(r);
	full = KT_WAIT(kt_node_kb(node, "MemFree") < headroom_kb(node) * 3 / 4, KT_PATIENCE);
	__atomic_store_n(&r->pause_us, NEVER_US, __ATOMIC_RELAXED);
	return full;
}

/*
 * Page cache is protected that was used once, and who pays for what is asked of it are others.
 * Fails if they do in each round: kswapd works all the time, and they go to swap.
 */
TEST_F_TIMEOUT(cache, is_asked_less_often_if_others_pay, 2 * KT_TIMEOUT)
{
	struct kt_toucher toucher;
	long requests, swapped;
	struct kt_region r;
	char *idle;

	if (variant->lru_gen[0] == 'n')
		SKIP(return, "by two lists others may keep kswapd at work, and it is not asked");
	if (kt_swap_make(&self->swap, 2 * IDLE))
		SKIP(return, "no swap");
	if (kt_cgroup_make(&self->cg, "memory"))
		SKIP(return, "no control groups");
	if (kt_trace_make() || kt_trace_caused("vmscan/mm_vmscan_wakeup_kswapd"))
		SKIP(return, "no trace events");
	ASSERT_EQ(0, kt_region_make(&r, HOTTER, self->low));
	r.hot_step = 1;
	idle = kt_map(IDLE);
	ASSERT_EQ(0, kt_bind(idle, IDLE, self->top));
	memset(idle, 1, IDLE);
	ASSERT_TRUE(fill_protected(&self->cg, self->once, self->once_pid, self->top));
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, true));
	swapped = kt_vmstat("pswpout");
	ASSERT_EQ(0, kt_mark(&r));
	/* What is free is used first. */
	ASSERT_TRUE(KT_WAIT(count_requests() > 0, KT_PATIENCE));
	ASSERT_TRUE(KT_WAIT(kt_vmstat("pswpout") > swapped, KT_PATIENCE));
	kt_trace_clear();
	ASSERT_TRUE(kt_wait_scans(ROUNDS));
	requests = count_requests();
	swapped = kt_vmstat("pswpout") - swapped;
	TH_LOG("kswapd woken %ld times, %ld pages to swap; %ld%% of what is hot in the top tier",
	       requests, swapped, kt_region_percent(&r, KT_ALL, self->top));
	/* Bound to a node that is full, it would not come back from swap. */
	munmap(idle, IDLE);
	EXPECT_GE(FEW_REQUESTS, requests);
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
