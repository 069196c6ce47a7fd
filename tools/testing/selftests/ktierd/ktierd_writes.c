// SPDX-License-Identifier: GPL-2.0
/*
 * Writes: pages that are written are worth more than pages that are read as often, by
 * vm.ktierd_write_weight; and clearing dirty bits loses nothing. Above each test stands what change
 * in the kernel would make it fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define REGION		(64 * MIB)
#define SWAPPED		(16 * MIB)

/*
 * What is free of the top tier when it holds half of the region. It varies by more than this, with
 * what CPUs keep at hand; so nothing may depend on it.
 */
#define ROOM		(4 * MIB)

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
	void *filler;
	size_t filled;
	int top;
	int low;
};

FIXTURE_VARIANT(halves) {
	long before;	/* the weight that does not tell reads from writes */
};

FIXTURE_VARIANT_ADD(halves, zero) { .before = 0 };
FIXTURE_VARIANT_ADD(halves, one) { .before = 1 };

/* What others have freed may take a moment to be free. */
static void wait_until_steady(int node)
{
	long before, now = kt_node_kb(node, "MemFree");
	int looks = 20;

	do {
		before = now;
		sleep(1);
		now = kt_node_kb(node, "MemFree");
	} while (labs(now - before) > 512 && looks--);
}

/* Memory that is not marked, until there is just so much room in the top tier. */
static int fill_top(void **filler, size_t *filled, int top, size_t room)
{
	size_t headroom = kt_node_kb(top, "MemTotal") * 1024UL * HEADROOM / 100;
	size_t free;

	wait_until_steady(top);
	free = kt_node_kb(top, "MemFree") * 1024UL;
	if (free < headroom + room + MIB)
		return -ENOMEM;
	*filled = (free - headroom - room) / MIB * MIB;
	*filler = kt_map(*filled);
	if (*filler == MAP_FAILED)
		return -ENOMEM;
	if (kt_bind(*filler, *filled, top) || mlock(*filler, *filled))
		return -errno;
	return 0;
}

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

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_set_sysctl("headroom_percent", HEADROOM));
	ASSERT_EQ(0, kt_region_make(&self->r, REGION, self->low));
	self->r.hot_step = 2;	/* KT_HOT is the written half */
	ASSERT_EQ(0, move_half(&self->r, self->top));
	ASSERT_LE(PREFERRED, kt_region_percent(&self->r, KT_IDLE, self->top));
	if (fill_top(&self->filler, &self->filled, self->top, ROOM))
		SKIP(return, "can't fill the top tier");
	self->user.region = &self->r;
	ASSERT_EQ(0, pthread_create(&self->user.thread, NULL, use_loop, &self->user));
}

FIXTURE_TEARDOWN(halves)
{
	__atomic_store_n(&self->user.stop, true, __ATOMIC_RELAXED);
	pthread_join(self->user.thread, NULL);
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
TEST_F_TIMEOUT(halves, written_pages_come_up_if_writes_weigh_more, KT_TIMEOUT)
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
	EXPECT_TRUE(KT_WAIT(written_are_preferred(&self->r, self->top), KT_PATIENCE));
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

/* How many pages are in swap, and mapped no more. */
static size_t count_swapped(const struct kt_region *r)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t *entry = calloc(r->nr, sizeof(*entry));
	size_t swapped = 0, i;

	if (fd >= 0 && entry &&
	    pread(fd, entry, r->nr * sizeof(*entry),
		  (unsigned long)r->addr / kt_page() * sizeof(*entry)) > 0)
		for (i = 0; i < r->nr; i++)
			swapped += entry[i] >> 62 & 1;
	if (fd >= 0)
		close(fd);
	free(entry);
	return swapped;
}

/* Reclaim them; some may be in a batch on the way to the LRU at any one try. */
static bool page_out(const struct kt_region *r)
{
	return KT_WAIT(!madvise(r->addr, r->nr * kt_page(), MADV_PAGEOUT) &&
		       count_swapped(r) * 100 >= KT_NEARLY_ALL * r->nr, KT_PATIENCE);
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
TEST_F_TIMEOUT(contents, what_is_written_meanwhile_is_not_lost, KT_TIMEOUT)
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

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
