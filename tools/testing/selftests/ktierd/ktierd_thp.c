// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages are sampled and moved whole. Above each test stands what change in the kernel would
 * make it fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define HUGE		(2 * MIB)
#define NR_HUGE		8
#define REGION		(NR_HUGE * HUGE)
#define REGION_KB	(REGION / 1024)

#define KHUGEPAGED_REST	"/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs"
#define HUGE_SIZE	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

/* Of the size between the two, if the kernel has it. */
#define MIDDLE		(64 * 1024UL)
#define MIDDLE_DIR	"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/"
#define HUGE_DIR	"/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/"

/* Whether compaction moves locked pages, too. */
#define COMPACT_LOCKED	"/proc/sys/vm/compact_unevictable_allowed"

FIXTURE(thp) {
	struct kt_knobs saved;
	char khugepaged_rest[32];
	char compact_locked[16];
	struct kt_region r;
	pid_t child;
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
	kt_read(COMPACT_LOCKED, self->compact_locked, sizeof(self->compact_locked));
	kt_write("/proc/sys/vm/compact_memory", "1");
}

FIXTURE_TEARDOWN(thp)
{
	kt_kill(self->child);
	kt_write(COMPACT_LOCKED, self->compact_locked);
	kt_write(KHUGEPAGED_REST, self->khugepaged_rest);
	kt_knobs_restore(&self->saved);
}

static long huge_kb(const struct kt_region *r)
{
	struct kt_vma vma;

	return kt_vma_at(0, r->addr, &vma) ? vma.huge_kb : -1;
}

/* Cut a region that is larger down to @bytes that begin aligned: still a mapping of its own. */
static bool align_region(struct kt_region *r, size_t bytes, size_t align)
{
	size_t page = kt_page();
	char *addr = (char *)(((unsigned long)r->addr + page + align - 1) & ~(align - 1));
	char *end = r->addr + r->nr * page;

	if (munmap(r->addr, addr - r->addr) || munmap(addr + bytes, end - (addr + bytes)))
		return false;
	r->addr = addr;
	r->origin = addr;
	r->nr = bytes / page;
	return true;
}

/* A region of huge pages on @node, as every test here starts with. False if there are none. */
static bool make_huge_region(struct kt_region *r, int node)
{
	if (kt_region_map(r, REGION + HUGE + 2 * kt_page()) || !align_region(r, REGION, HUGE) ||
	    madvise(r->addr, REGION, MADV_HUGEPAGE))
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

/* Fails if one that two map is counted with each of them, or with either by chance. */
TEST_F_TIMEOUT(thp, one_that_two_map_is_counted_in_parts, KT_TIMEOUT)
{
	int round, right = 0;

	if (!make_huge_region(&self->r, self->low))
		SKIP(return, "no huge pages in the lower tier");
	ASSERT_EQ(0, madvise(self->r.addr, REGION, MADV_TIER));
	ASSERT_TRUE(KT_WAIT(kt_tracked_kb() == REGION_KB, KT_PATIENCE));
	self->child = kt_spawn(NULL, NULL);
	ASSERT_LT(0, self->child);
	ASSERT_TRUE(kt_wait_scans(10));
	for (round = 0; round < 10; round++) {
		right += kt_tracked_kb() == REGION_KB;
		ASSERT_TRUE(kt_wait_scans(1));
	}
	/* If a lock is taken just then, nobody can tell who else maps them. */
	EXPECT_LE(8, right);
	EXPECT_EQ(REGION_KB, huge_kb(&self->r));
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

/* Some pages of a region, in a row. */
static struct kt_region part_of(const struct kt_region *r, size_t first, size_t nr)
{
	struct kt_region part = *r;

	part.addr += first * kt_page();
	part.origin += first * kt_page();
	part.seq += first;
	part.nr = nr;
	return part;
}

/* Of folios of @size, each second is whole: whether these are on @node. */
static bool others_are_on(const struct kt_region *r, size_t size, int node)
{
	size_t nr = size / kt_page(), i;
	struct kt_region whole;

	for (i = nr; i < r->nr; i += 2 * nr) {
		whole = part_of(r, i, nr);
		if (!kt_region_is_on(0, &whole, node))
			return false;
	}
	return true;
}

/* What is left of the folios of which the first @gone bytes are. */
static long count_rest(const struct kt_region *r, size_t size, size_t gone, int node)
{
	size_t nr = size / kt_page(), i;
	struct kt_region rest;
	long count = 0;

	for (i = 0; i < r->nr; i += 2 * nr) {
		rest = part_of(r, i + gone / kt_page(), (size - gone) / kt_page());
		count += kt_region_count(0, &rest, KT_ALL, node);
	}
	return count;
}

static long wrong_in_rest(const struct kt_region *r, size_t size, size_t gone)
{
	size_t nr = size / kt_page(), i;
	struct kt_region rest;
	long wrong = 0;

	for (i = 0; i < r->nr; i += 2 * nr) {
		rest = part_of(r, i + gone / kt_page(), (size - gone) / kt_page());
		wrong += kt_region_wrong(&rest);
	}
	return wrong;
}

static int drop_parts(const struct kt_region *r, size_t size, size_t gone)
{
	size_t at;

	for (at = 0; at < r->nr * kt_page(); at += 2 * size)
		if (madvise(r->addr + at, gone, MADV_DONTNEED))
			return -errno;
	return 0;
}

/*
 * The first quarter of each second huge page is gone. Fails if the rest is moved, which would split
 * the page or move what nobody has any more; or if it is tried again and again without a word.
 */
TEST_F_TIMEOUT(thp, what_is_left_of_a_huge_page_stays, KT_TIMEOUT)
{
	long refused = kt_sysfs("failed/partial"), split;
	const size_t gone = HUGE / 4;

	if (!make_huge_region(&self->r, self->top))
		SKIP(return, "no huge pages in the top tier");
	ASSERT_EQ(0, drop_parts(&self->r, HUGE, gone));
	split = kt_vmstat("thp_split_page");
	ASSERT_EQ(0, madvise(self->r.addr, REGION, MADV_TIER));
	EXPECT_TRUE(KT_WAIT(others_are_on(&self->r, HUGE, self->low), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(NR_HUGE / 2 * (HUGE - gone) / kt_page(),
		  count_rest(&self->r, HUGE, gone, self->top));
	EXPECT_LT(refused, kt_sysfs("failed/partial"));
	EXPECT_EQ(split, kt_vmstat("thp_split_page"));
	EXPECT_EQ(REGION_KB / 2, huge_kb(&self->r));
	EXPECT_EQ(0, wrong_in_rest(&self->r, HUGE, gone));
}

/*
 * A quarter of a huge page is mapped somewhere else, and all of it is mapped. Fails if a part of a
 * page that has all of its mappings is taken for the whole.
 */
TEST_F_TIMEOUT(thp, a_huge_page_in_two_places_stays, KT_TIMEOUT)
{
	const size_t moved = HUGE / 4;
	long refused = kt_sysfs("failed/partial"), split;
	struct kt_region part, rest;
	char *to;

	if (!make_huge_region(&self->r, self->top))
		SKIP(return, "no huge pages in the top tier");
	to = kt_map(moved);
	ASSERT_NE(MAP_FAILED, to);
	ASSERT_EQ(to, mremap(self->r.addr, moved, moved, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	part = part_of(&self->r, 0, moved / kt_page());
	part.addr = to;
	rest = part_of(&self->r, moved / kt_page(), (HUGE - moved) / kt_page());
	split = kt_vmstat("thp_split_page");
	ASSERT_EQ(0, kt_mark(&part));
	ASSERT_EQ(0, madvise(rest.addr, REGION - moved, MADV_TIER));
	EXPECT_TRUE(KT_WAIT(others_are_on(&self->r, HUGE, self->low), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(part.nr, kt_region_count(0, &part, KT_ALL, self->top));
	EXPECT_EQ(rest.nr, kt_region_count(0, &rest, KT_ALL, self->top));
	EXPECT_LT(refused, kt_sysfs("failed/partial"));
	EXPECT_EQ(split, kt_vmstat("thp_split_page"));
	EXPECT_EQ(0, kt_region_wrong(&part));
	EXPECT_EQ(0, kt_region_wrong(&rest));
}

/*
 * A part of one has failed, and it could not be split as somebody held it. Fails if it is moved,
 * which reads what has failed.
 */
TEST_F_TIMEOUT(thp, one_that_has_failed_stays, KT_TIMEOUT)
{
	long busy = kt_sysfs("failed/busy"), pfn;
	const char *why = kt_can_fail();
	struct iovec held;
	int fd[2];

	if (why)
		SKIP(return, "%s", why);
	if (!make_huge_region(&self->r, self->top))
		SKIP(return, "no huge pages in the top tier");
	held.iov_base = self->r.addr + HUGE / 2;
	held.iov_len = kt_page();
	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(held.iov_len, vmsplice(fd[1], &held, 1, 0));
	pfn = kt_fail(held.iov_base);
	ASSERT_LT(0, pfn);
	close(fd[0]);
	close(fd[1]);
	EXPECT_EQ(REGION_KB, huge_kb(&self->r));

	ASSERT_EQ(0, kt_mark(&self->r));
	EXPECT_TRUE(KT_WAIT(kt_region_count(0, &self->r, KT_ALL, self->low) ==
			    (long)(self->r.nr - HUGE / kt_page()), KT_PATIENCE));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(HUGE / kt_page(), kt_region_count(0, &self->r, KT_ALL, self->top));
	EXPECT_LT(busy, kt_sysfs("failed/busy"));
	ASSERT_EQ(0, munmap(self->r.addr, REGION));
	EXPECT_TRUE(kt_unfail(pfn));
}

/*
 * A lower tier without huge pages
 */

#define PAGEMAP_PFN	((1ULL << 55) - 1)

/* So much is left free when all else is taken. */
#define SPARE		(24 * MIB)

/* What is free for how many looks in a row, and with how many tries. */
#define SETTLED_LOOKS	4
#define SETTLE_US	500000
#define TAKES		20

/* What is free on a node in huge pages, or more than that in a row. */
static long free_huge_kb(int node)
{
	FILE *f = fopen("/proc/buddyinfo", "r");
	int its, at, used, order;
	long blocks, kb = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %d, zone %*s %n", &its, &at) != 1 || its != node)
			continue;
		for (order = 0; sscanf(line + at, "%ld %n", &blocks, &used) == 1; order++) {
			if (kt_page() << order >= HUGE)
				kb += blocks * (kt_page() << order) / 1024;
			at += used;
		}
	}
	if (f)
		fclose(f);
	return kb;
}

/* Give back all but the first page of each huge page that it could be: lock that. */
static int keep_heads(char *mem, size_t nr)
{
	size_t page = kt_page(), bytes = nr * sizeof(uint64_t), i, from = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t *entry = malloc(bytes);
	int err = 0;

	if (!entry || pread(fd, entry, bytes, (unsigned long)mem / page * sizeof(*entry)) !=
		      (ssize_t)bytes)
		err = -EIO;
	for (i = 0; !err && i <= nr; i++) {
		if (i < nr && (entry[i] & PAGEMAP_PFN) % (HUGE / page))
			continue;
		if (i > from)
			err = madvise(mem + from * page, (i - from) * page, MADV_DONTNEED);
		if (!err && i < nr)
			err = mlock(mem + i * page, page);
		from = i + 1;
	}
	free(entry);
	close(fd);
	return err;
}

/* Leave nearly all of a node free, in small pages only. */
static int scatter(void *arg)
{
	int node = *(int *)arg, looks, takes = 0;
	size_t bytes = kt_node_kb(node, "MemFree") * 1024UL - SPARE;
	char *mem = kt_map(bytes);
	long kb;

	if (mem == MAP_FAILED || kt_bind(mem, bytes, node) ||
	    madvise(mem, bytes, MADV_POPULATE_WRITE) || keep_heads(mem, bytes / kt_page()))
		return -1;
	for (looks = 0; looks < SETTLED_LOOKS; looks++) {
		kb = free_huge_kb(node);
		if (kb) {
			if (takes++ == TAKES || kt_take(node, kb))
				return -1;
			looks = 0;
		}
		usleep(SETTLE_US);
	}
	return 0;
}

/*
 * Small pages go down, and huge ones when there are some. Fails if a huge page is split to fit, if
 * it is not tried again, or if it is not told what it was that it lacked.
 */
TEST_F_TIMEOUT(thp, one_that_finds_no_huge_page_stays_whole, 2 * KT_TIMEOUT)
{
	long no_room = kt_sysfs("failed/huge_no_room"), split, stay;
	int not_huge = 0;

	if (kt_write(COMPACT_LOCKED, "0"))
		SKIP(return, "compaction can't be kept from making huge pages");
	self->child = kt_spawn(scatter, &self->low);
	ASSERT_LT(0, self->child);
	/* After the fork: the child has not asked. */
	if (!make_huge_region(&self->r, self->top))
		SKIP(return, "no huge pages in the top tier");
	split = kt_vmstat("thp_split_page");
	ASSERT_EQ(0, madvise(self->r.addr, REGION, MADV_TIER));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("failed/huge_no_room") >= no_room + (long)self->r.nr,
			    KT_PATIENCE));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	TH_LOG("%ld KiB free in the lower tier, %ld in huge pages; no room for %ld pages",
	       kt_node_kb(self->low, "MemFree"), free_huge_kb(self->low),
	       kt_sysfs("failed/huge_no_room") - no_room);
	/* Somebody may give back what makes a huge page after all; it is taken whole then. */
	stay = kt_region_count(0, &self->r, KT_ALL, self->top);
	EXPECT_LE((long)self->r.nr / 2, stay);
	EXPECT_EQ(0, stay % (HUGE / kt_page()));
	EXPECT_EQ(REGION_KB, huge_kb(&self->r));

	kt_kill(self->child);
	self->child = 0;
	EXPECT_TRUE(KT_WAIT(is_whole_on(&self->r, self->low, &not_huge), KT_PATIENCE));
	EXPECT_EQ(0, not_huge);
	EXPECT_EQ(split, kt_vmstat("thp_split_page"));
	EXPECT_EQ(0, kt_region_wrong(&self->r));
}

/*
 * Folios of 64 KiB
 */

FIXTURE(middle) {
	struct kt_knobs saved;
	char middle[16];
	char huge[16];
	struct kt_region r;
	int top;
	int low;
};

/* Of a file "always [never]" what is chosen. */
static int read_choice(const char *path, char *choice, size_t size)
{
	char buf[64], *from, *to;

	choice[0] = '\0';
	if (kt_read(path, buf, sizeof(buf)) <= 0)
		return -ENOENT;
	from = strchr(buf, '[');
	to = from ? strchr(from, ']') : NULL;
	if (!to)
		return -EINVAL;
	*to = '\0';
	snprintf(choice, size, "%s", from + 1);
	return 0;
}

FIXTURE_SETUP(middle)
{
	const char *why = kt_find_tiers(&self->top, &self->low);
	size_t page = kt_page();

	if (why)
		SKIP(return, "%s", why);
	if (read_choice(MIDDLE_DIR "enabled", self->middle, sizeof(self->middle)) ||
	    read_choice(HUGE_DIR "enabled", self->huge, sizeof(self->huge)))
		SKIP(return, "no folios of 64 KiB");
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_write(HUGE_DIR "enabled", "never"));
	ASSERT_EQ(0, kt_write(MIDDLE_DIR "enabled", "always"));
	kt_write("/proc/sys/vm/compact_memory", "1");
	ASSERT_EQ(0, kt_region_map(&self->r, REGION + MIDDLE + 2 * page));
	ASSERT_TRUE(align_region(&self->r, REGION, MIDDLE));
	ASSERT_EQ(0, madvise(self->r.addr, REGION, MADV_HUGEPAGE));
	ASSERT_EQ(0, kt_region_fill(&self->r, 0, self->r.nr, self->top));
}

FIXTURE_TEARDOWN(middle)
{
	kt_write(MIDDLE_DIR "enabled", self->middle);
	kt_write(HUGE_DIR "enabled", self->huge);
	kt_knobs_restore(&self->saved);
}

#define KPF_HEAD	15

/* How many folios begin in a region that are larger than a page. */
static long count_folios(const struct kt_region *r)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	int flags = open("/proc/kpageflags", O_RDONLY);
	uint64_t entry, word;
	long count = 0;
	size_t i;

	for (i = 0; i < r->nr; i++) {
		if (pread(pagemap, &entry, sizeof(entry),
			  ((unsigned long)r->addr / kt_page() + i) * sizeof(entry)) !=
		    sizeof(entry))
			continue;
		if (pread(flags, &word, sizeof(word), (entry & PAGEMAP_PFN) * sizeof(word)) ==
		    sizeof(word))
			count += word >> KPF_HEAD & 1;
	}
	close(pagemap);
	close(flags);
	return count;
}

#define NR_MIDDLE	((long)(REGION / MIDDLE))

/* Fails if they are left out, split, or taken for partially mapped after the first move. */
TEST_F_TIMEOUT(middle, moves_down_and_up_whole, KT_TIMEOUT)
{
	long split = kt_read_long(MIDDLE_DIR "stats/split");
	long partial = kt_sysfs("failed/partial");
	struct kt_toucher toucher;

	if (count_folios(&self->r) != NR_MIDDLE)
		SKIP(return, "there was no memory for %ld folios of 64 KiB", NR_MIDDLE);
	ASSERT_EQ(0, kt_mark(&self->r));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&self->r, KT_ALL, self->low) == 100, KT_PATIENCE));
	EXPECT_EQ(NR_MIDDLE, count_folios(&self->r));
	self->r.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &self->r, false));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&self->r, KT_ALL, self->top) == 100, KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&self->r, KT_ALL, self->low) == 100, KT_PATIENCE));
	EXPECT_EQ(NR_MIDDLE, count_folios(&self->r));
	EXPECT_EQ(split, kt_read_long(MIDDLE_DIR "stats/split"));
	EXPECT_EQ(partial, kt_sysfs("failed/partial"));
	EXPECT_EQ(0, kt_region_wrong(&self->r));
}

/*
 * Has reclaim been at work since @scanned? It keeps a list of what is partially mapped, and splits
 * that when it comes by. What it has looked at is counted when it is done with that.
 */
static bool reclaim_splits(long scanned)
{
	return KT_WAIT(kt_vmstat("slabs_scanned") != scanned, KT_PATIENCE);
}

/* Fails if the part that is mapped is moved, or taken for the whole, or if it is split. */
TEST_F_TIMEOUT(middle, what_is_left_of_one_stays, 2 * KT_TIMEOUT)
{
	long scanned = kt_vmstat("slabs_scanned"), stay;
	long split = kt_read_long(MIDDLE_DIR "stats/split");
	long refused = kt_sysfs("failed/partial");
	const size_t gone = kt_page();
	const long left = NR_MIDDLE / 2 * (MIDDLE - gone) / kt_page();

	if (count_folios(&self->r) != NR_MIDDLE)
		SKIP(return, "there was no memory for %ld folios of 64 KiB", NR_MIDDLE);
	ASSERT_EQ(0, drop_parts(&self->r, MIDDLE, gone));
	ASSERT_EQ(0, kt_mark(&self->r));
	EXPECT_TRUE(KT_WAIT(others_are_on(&self->r, MIDDLE, self->low), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(0, wrong_in_rest(&self->r, MIDDLE, gone));
	EXPECT_LT(refused, kt_sysfs("failed/partial"));
	stay = count_rest(&self->r, MIDDLE, gone, self->top);
	split -= kt_read_long(MIDDLE_DIR "stats/split");
	if ((stay != left || split) && reclaim_splits(scanned))
		SKIP(return, "reclaim has split some of them");
	EXPECT_EQ(left, stay);
	EXPECT_EQ(0, split);
}

#define DEFRAG		"/sys/kernel/mm/transparent_hugepage/defrag"
#define PROACTIVE	"/proc/sys/vm/compaction_proactiveness"

/* What is free in larger pieces, beyond what a node keeps for itself. */
#define IN_PIECES	(96 * MIB)

FIXTURE(scattered) {
	struct kt_knobs saved;
	char defrag[16];
	char proactive[16];
	struct kt_region r;
	int top;
	int low;
};

/* Nobody compacts memory by himself. */
FIXTURE_SETUP(scattered)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	if (read_choice(DEFRAG, self->defrag, sizeof(self->defrag)) ||
	    kt_read(PROACTIVE, self->proactive, sizeof(self->proactive)) <= 0)
		SKIP(return, "no compaction");
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_write(DEFRAG, "never"));
	ASSERT_EQ(0, kt_write(PROACTIVE, "0"));
	kt_shorten_cpu_lists();
}

FIXTURE_TEARDOWN(scattered)
{
	kt_write(DEFRAG, self->defrag);
	kt_write(PROACTIVE, self->proactive);
	kt_restore_cpu_lists();
	kt_knobs_restore(&self->saved);
}

/*
 * Half of what was free of a node is free, in single pages: every other page of small pages is
 * given back, and then huge pages take what had been left.
 */
static bool scatter_free(int node)
{
	size_t bytes = kt_node_kb(node, "MemFree") * 1024UL, page = kt_page(), at;
	char *mem;

	if (bytes < 2 * IN_PIECES)
		return false;
	bytes = (bytes - IN_PIECES) / page * page;
	mem = kt_map(bytes);
	if (mem == MAP_FAILED || kt_bind(mem, bytes, node) ||
	    madvise(mem, bytes, MADV_POPULATE_WRITE))
		return false;
	for (at = 0; at < bytes; at += 2 * page)
		madvise(mem + at, page, MADV_DONTNEED);
	return !kt_take(node, IN_PIECES / 1024);
}

static long kcompactd_wakes(void)
{
	return kt_vmstat("compact_daemon_wake");
}

/*
 * Fails if enough is free above for huge pages, and nobody is asked to put it together. kcompactd
 * itself waits longer and longer where it had no success before, so all need not come up at once.
 */
TEST_F_TIMEOUT(scattered, room_is_to_be_put_together, KT_TIMEOUT)
{
	long wakes = kcompactd_wakes();
	struct kt_toucher toucher;

	if (!make_huge_region(&self->r, self->low))
		SKIP(return, "no huge pages in the lower tier");
	if (!scatter_free(self->top))
		SKIP(return, "most of the top tier is in use");
	EXPECT_EQ(wakes, kcompactd_wakes());
	self->r.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &self->r, true));
	ASSERT_EQ(0, kt_mark(&self->r));
	EXPECT_TRUE(KT_WAIT(kcompactd_wakes() > wakes, KT_PATIENCE));
	KT_WAIT(kt_region_percent(&self->r, KT_ALL, self->top) == 100, KT_PATIENCE / 4);
	TH_LOG("%ld%% of what is hot in the top tier, %ld KiB free; kcompactd was woken %ld times",
	       kt_region_percent(&self->r, KT_ALL, self->top), kt_node_kb(self->top, "MemFree"),
	       kcompactd_wakes() - wakes);
	EXPECT_EQ(REGION_KB, huge_kb(&self->r));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&self->r));
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
