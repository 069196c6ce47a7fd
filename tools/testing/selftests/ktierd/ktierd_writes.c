// SPDX-License-Identifier: GPL-2.0
/*
 * Writes: pages that are written are worth more than pages that are read as often, by
 * vm.ktierd_write_weight; clearing dirty bits loses nothing; and nor are soft-dirty bits lost where
 * pages move. Above each test stands what change in the kernel would make it fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define REGION		(64 * MIB)
#define SWAPPED		(16 * MIB)

/* What is free of the top tier when it holds half of the region. Nothing may depend on it. */
#define ROOM_KB		(4 * 1024)

/* Percent of a half that is in the top tier if it is preferred and fits. */
#define PREFERRED	95

/* By so many percent what chance puts there of one half may be more than of the other. */
#define CHANCE		10

/* Percent of both halves that never fits. */
#define TOO_MUCH	90

/*
 * Percent of a node's memory that promotion leaves free. More than the high watermarks of a small
 * node with huge pages: these would take the room, and kswapd would make some of the page cache.
 */
#define HEADROOM	10

/*
 * All pages are used alike, one by one and at random: every other one is only written, the ones in
 * between are only read. Not at full speed, so that a window finds a part of them touched.
 */
struct user {
	struct kt_region *region;
	pthread_t thread;
	bool stop;
	unsigned long sum;
};

#define USES_AT_ONCE	64
#define USER_REST_US	100

static void use_page(struct user *u, size_t i)
{
	unsigned long *word = (unsigned long *)(u->region->addr + i * kt_page());

	if (i % u->region->hot_step == u->region->phase)
		__atomic_store_n(word, i, __ATOMIC_RELAXED);
	else
		u->sum += __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void *use_loop(void *arg)
{
	struct user *u = arg;
	uint64_t random = 1;
	int i;

	while (!__atomic_load_n(&u->stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < USES_AT_ONCE; i++) {
			random = random * 6364136223846793005ULL + 1442695040888963407ULL;
			use_page(u, (random >> 32) % u->region->nr);
		}
		usleep(USER_REST_US);
	}
	return NULL;
}

FIXTURE(halves) {
	struct kt_knobs saved;
	struct kt_region r;
	struct user user;
	int top;
	int low;
};

FIXTURE_VARIANT(halves) {
	long before;	/* the weight that does not tell reads from writes */
};

FIXTURE_VARIANT_ADD(halves, zero) { .before = 0 };
FIXTURE_VARIANT_ADD(halves, one) { .before = 1 };

/* Move every other page, from the second on. */
static int move_half(const struct kt_region *r, int node)
{
	size_t nr = r->nr / 2, i;
	void **pages = calloc(nr, sizeof(*pages));
	int *nodes = calloc(nr, sizeof(*nodes));
	int *status = calloc(nr, sizeof(*status));
	int err = -ENOMEM;

	if (pages && nodes && status) {
		for (i = 0; i < nr; i++) {
			pages[i] = r->addr + (2 * i + 1) * kt_page();
			nodes[i] = node;
		}
		err = syscall(SYS_move_pages, 0, nr, pages, nodes, status, MPOL_MF_MOVE);
	}
	free(pages);
	free(nodes);
	free(status);
	return err;
}

/* The half that will be read starts in the top tier, the other one in the lower tier. */
FIXTURE_SETUP(halves)
{
	const char *why = kt_find_tiers(&self->top, &self->low);
	long headroom_kb;

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_set_sysctl("headroom_percent", HEADROOM));
	/* On a slow machine some pages are not used for as long as makes others cold. */
	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 0));
	ASSERT_EQ(0, kt_region_make(&self->r, REGION, self->low));
	self->r.hot_step = 2;	/* KT_HOT is the written half */
	ASSERT_EQ(0, move_half(&self->r, self->top));
	ASSERT_LE(PREFERRED, kt_region_percent(&self->r, KT_IDLE, self->top));
	headroom_kb = kt_node_kb(self->top, "MemTotal") * HEADROOM / 100;
	if (kt_leave_free(self->top, headroom_kb + ROOM_KB))
		SKIP(return, "can't fill the top tier");
	self->user.region = &self->r;
	ASSERT_EQ(0, pthread_create(&self->user.thread, NULL, use_loop, &self->user));
}

FIXTURE_TEARDOWN(halves)
{
	__atomic_store_n(&self->user.stop, true, __ATOMIC_RELAXED);
	pthread_join(self->user.thread, NULL);
	kt_restore_cpu_lists();
	kt_knobs_restore(&self->saved);
}

static long on_top(const struct kt_region *r, enum kt_which which, int top)
{
	return kt_region_percent(r, which, top);
}

/* Where there is no room for all that is written, hardly anything else is there. */
static bool written_are_preferred(const struct kt_region *r, int top)
{
	long written = on_top(r, KT_HOT, top), other = on_top(r, KT_IDLE, top);

	return written >= PREFERRED ||
	       (other <= 100 - PREFERRED && written > other + CHANCE);
}

static void say_halves(const struct kt_region *r, int top)
{
	printf("# in the top tier: %ld%% of the written, %ld%% of the read\n",
	       on_top(r, KT_HOT, top), on_top(r, KT_IDLE, top));
}

/*
 * Fails if writes are not told from reads page by page, if the weight is not asked, or if it counts
 * where a write is worth as much as a read, or nothing.
 */
TEST_F_TIMEOUT(halves, written_pages_come_up_if_writes_weigh_more, 2 * KT_TIMEOUT)
{
	ASSERT_EQ(0, kt_set_sysctl("write_weight", variant->before));
	ASSERT_EQ(0, kt_mark(&self->r));
	/* What fits may come up, but takes nobody's place. */
	ASSERT_TRUE(kt_wait_scans(40));
	say_halves(&self->r, self->top);
	EXPECT_GE(TOO_MUCH, on_top(&self->r, KT_ALL, self->top));
	EXPECT_GE(on_top(&self->r, KT_IDLE, self->top) + CHANCE,
		  on_top(&self->r, KT_HOT, self->top));

	ASSERT_EQ(0, kt_set_sysctl("write_weight", 2));
	EXPECT_TRUE(KT_WAIT(written_are_preferred(&self->r, self->top), 3 * KT_PATIENCE));
	say_halves(&self->r, self->top);
	EXPECT_GE(TOO_MUCH, on_top(&self->r, KT_ALL, self->top));
}

static long swap_free_kb(void)
{
	char buf[4096];
	char *at;

	if (kt_read("/proc/meminfo", buf, sizeof(buf)) <= 0)
		return 0;
	at = strstr(buf, "SwapFree:");
	return at ? strtol(at + strlen("SwapFree:"), NULL, 10) : 0;
}

FIXTURE(contents) {
	struct kt_knobs saved;
	struct kt_region r;
	struct kt_zram swap;
};

FIXTURE_SETUP(contents)
{
	const char *why;

	if (geteuid() != 0)
		SKIP(return, "needs root");
	self->swap.number = -1;
	if (swap_free_kb() * 1024UL < 2 * SWAPPED) {
		why = kt_swap_make(&self->swap, 4 * SWAPPED);
		if (why)
			SKIP(return, "%s", why);
	}
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	/* Sampling only, and each look a full one as long as tables are young. */
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	ASSERT_EQ(0, kt_region_make(&self->r, SWAPPED,
				    kt_read_long("/sys/devices/system/node/online")));
}

FIXTURE_TEARDOWN(contents)
{
	munmap(self->r.addr, SWAPPED);
	kt_swap_remove(&self->swap);
	kt_knobs_restore(&self->saved);
}

/* Bits of the pagemap. */
#define IN_SWAP		62
#define SOFT_DIRTY	55

/* Of how many pages the pagemap has this bit; -1 is an error. */
static long count_bits(const char *addr, size_t nr, int bit)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t *entry = calloc(nr, sizeof(*entry));
	ssize_t size = nr * sizeof(*entry);
	long count = -1;

	if (fd >= 0 && entry &&
	    pread(fd, entry, size, (uintptr_t)addr / kt_page() * sizeof(*entry)) == size)
		for (count = 0; nr--; )
			count += entry[nr] >> bit & 1;
	if (fd >= 0)
		close(fd);
	free(entry);
	return count;
}

/* Reclaim them; some may be in a batch on the way to the LRU at any one try. */
static bool page_out(const struct kt_region *r)
{
	return KT_WAIT(!madvise(r->addr, r->nr * kt_page(), MADV_PAGEOUT) &&
		       count_bits(r->addr, r->nr, IN_SWAP) * 100 >=
		       KT_NEARLY_ALL * (long)r->nr, KT_PATIENCE);
}

/* Have all pages touched, and their bits looked at and cleared, some times. */
static unsigned long touch_for(struct kt_region *r, bool write, int rounds)
{
	struct kt_toucher toucher;
	bool done;

	r->hot_step = 1;
	if (kt_touch_start(&toucher, r, write))
		return -1;
	done = kt_wait_scans(rounds);
	return kt_touch_stop(&toucher) || !done;
}

/*
 * Pages are written, and then only read for as long as the dirty bit of each is cleared; then they
 * go to swap, and come back, and it all begins anew with pages that have a copy in swap. Fails if a
 * dirty bit is cleared and nothing else says that the page was written: then it is dropped, or its
 * old copy comes back.
 */
TEST_F_TIMEOUT(contents, what_was_written_outlives_its_dirty_bit, KT_TIMEOUT)
{
	long dirty = kt_sysfs("pages_dirty");
	int i;

	ASSERT_EQ(0, kt_mark(&self->r));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, touch_for(&self->r, true, 4));
		EXPECT_EQ(0, touch_for(&self->r, false, 20));
		ASSERT_TRUE(page_out(&self->r));
		EXPECT_EQ(0, kt_region_wrong(&self->r));
		/* And once more, without having been written. */
		EXPECT_EQ(0, touch_for(&self->r, false, 4));
		ASSERT_TRUE(page_out(&self->r));
		EXPECT_EQ(0, kt_region_wrong(&self->r));
	}
	/* Otherwise nothing was tried. */
	EXPECT_LE(dirty + (long)self->r.nr, kt_sysfs("pages_dirty"));
}

/* The same, with reclaim and sampling at work while pages are written. */
TEST_F_TIMEOUT(contents, what_is_written_meanwhile_is_not_lost, 2 * KT_TIMEOUT)
{
	struct kt_toucher toucher;
	int i;

	self->r.hot_step = 1;
	ASSERT_EQ(0, kt_mark(&self->r));
	ASSERT_EQ(0, kt_touch_start(&toucher, &self->r, true));
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(0, madvise(self->r.addr, SWAPPED, MADV_PAGEOUT));
		ASSERT_TRUE(kt_wait_scans(1));
	}
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&self->r));
}

#define TOUCHERS	3
#define FEW_FAULTS	4	/* of who counts them */

static long count_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? -1 : usage.ru_minflt;
}

/*
 * Fails if an entry of a page table is empty while its bits are cleared: who touches the page just
 * then takes a fault, and is charged a page for it. That is seen where checks of page tables make
 * the moment long; without them it may pass nevertheless.
 */
TEST_F_TIMEOUT(contents, are_sampled_without_a_fault, KT_TIMEOUT)
{
	struct kt_toucher toucher[TOUCHERS];
	long faults, dirty;
	int i;

	self->r.hot_step = 1;
	ASSERT_EQ(0, kt_mark(&self->r));
	ASSERT_EQ(0, kt_touch_start(&toucher[0], &self->r, true));
	for (i = 1; i < TOUCHERS; i++)
		ASSERT_EQ(0, kt_touch_start_restless(&toucher[i], &self->r));
	ASSERT_TRUE(kt_wait_scans(2));
	dirty = kt_sysfs("pages_dirty");
	faults = count_faults();
	ASSERT_TRUE(kt_wait_scans(20));
	faults = count_faults() - faults;
	dirty = kt_sysfs("pages_dirty") - dirty;
	for (i = 0; i < TOUCHERS; i++)
		kt_touch_stop(&toucher[i]);
	TH_LOG("%ld dirty bits cleared, %ld faults", dirty, faults);
	EXPECT_LT(0, dirty);
	EXPECT_GE(FEW_FAULTS, faults);
}

/*
 * Soft-dirty bits. ktierd has to do with them as it moves pages of those who ask for them; so does
 * whoever else moves, and here it is move_pages(), as often as can be.
 */
#define WATCHED		(4 * MIB)
#define HUGE_PAGE	(2 * MIB)

/* Who moves it to and fro. */
struct mover {
	char *addr;
	size_t step;			/* bytes that move as one */
	int node[2];
	bool stop;
	unsigned long moved;
	pthread_t thread;
};

FIXTURE(soft_dirty) {
	struct kt_knobs saved;
	struct mover mover;
	char *addr;
	size_t nr;
};

/* A huge page that is dirty is soft-dirty after a migration; that of a clean one may be missing. */
FIXTURE_VARIANT(soft_dirty) {
	int advice;
	int watches;
	int rounds;			/* of sampling before each, which clears dirty bits */
};

FIXTURE_VARIANT_ADD(soft_dirty, small) {
	.advice = MADV_NOHUGEPAGE, .watches = 100
};

FIXTURE_VARIANT_ADD(soft_dirty, huge) {
	.advice = MADV_HUGEPAGE, .watches = 50, .rounds = 2
};

FIXTURE_SETUP(soft_dirty)
{
	const char *why = kt_find_tiers(&self->mover.node[0], &self->mover.node[1]);
	char *map;

	if (why)
		SKIP(return, "%s", why);
	if (access("/proc/self/clear_refs", W_OK))
		SKIP(return, "no clear_refs");
	map = kt_map(WATCHED + HUGE_PAGE);
	ASSERT_NE(MAP_FAILED, map);
	self->addr = (char *)(((uintptr_t)map + HUGE_PAGE - 1) & -HUGE_PAGE);
	self->nr = WATCHED / kt_page();
	self->mover.addr = self->addr;
	self->mover.step = variant->advice == MADV_HUGEPAGE ? HUGE_PAGE : kt_page();
	if (madvise(self->addr, WATCHED, variant->advice))
		SKIP(return, "no huge pages");
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	memset(self->addr, 1, WATCHED);
	ASSERT_EQ(0, madvise(self->addr, WATCHED, MADV_TIER));
}

FIXTURE_TEARDOWN(soft_dirty)
{
	kt_knobs_restore(&self->saved);
}

static void *move_loop(void *arg)
{
	struct mover *m = arg;
	size_t nr = WATCHED / m->step, i;
	int *node = calloc(nr, sizeof(*node));
	int *status = calloc(nr, sizeof(*status));
	void **page = calloc(nr, sizeof(*page));
	int to = 1;

	for (; !__atomic_load_n(&m->stop, __ATOMIC_RELAXED); to = !to) {
		for (i = 0; i < nr; i++) {
			page[i] = m->addr + i * m->step;
			node[i] = m->node[to];
			status[i] = -1;
		}
		syscall(SYS_move_pages, 0, nr, page, node, status, MPOL_MF_MOVE);
		for (i = 0; i < nr; i++)
			m->moved += status[i] == m->node[to];
	}
	return NULL;
}

/*
 * Fails if a page that is under migration when its soft-dirty bit is cleared can be written
 * afterwards without a fault.
 */
TEST_F_TIMEOUT(soft_dirty, of_pages_under_migration_tells_of_each_write, KT_TIMEOUT)
{
	size_t i;
	int n;

	ASSERT_EQ(0, kt_write("/proc/self/clear_refs", "4"));
	if (count_bits(self->addr, self->nr, SOFT_DIRTY))
		SKIP(return, "no soft-dirty bits");
	ASSERT_EQ(0, pthread_create(&self->mover.thread, NULL, move_loop, &self->mover));
	for (n = 0; n < variant->watches; n++) {
		ASSERT_TRUE(kt_wait_scans(variant->rounds));
		EXPECT_EQ(0, kt_write("/proc/self/clear_refs", "4"));
		for (i = 0; i < self->nr; i++)
			__atomic_store_n(self->addr + i * kt_page(), n, __ATOMIC_RELAXED);
		ASSERT_EQ(self->nr, count_bits(self->addr, self->nr, SOFT_DIRTY));
	}
	__atomic_store_n(&self->mover.stop, true, __ATOMIC_RELAXED);
	EXPECT_EQ(0, pthread_join(self->mover.thread, NULL));
	TH_LOG("%lu pages of %zu bytes moved meanwhile", self->mover.moved, self->mover.step);
	EXPECT_LE(WATCHED / self->mover.step, self->mover.moved);
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
