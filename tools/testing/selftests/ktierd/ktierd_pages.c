// SPDX-License-Identifier: GPL-2.0
/*
 * Anonymous pages that somebody else has a word about: MADV_FREE, KSM, userfaultfd, PROT_NONE,
 * memory that fails; and what others still find out about pages that ktierd has sampled.
 * Above each test stands what change in the kernel would make it fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE		0x08
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef __NR_memfd_secret
#define __NR_memfd_secret	447
#endif

#define SMALL		(8 * MIB)
#define NR_REPLACED	8
#define KSM		"/sys/kernel/mm/ksm/"

FIXTURE(pages) {
	struct kt_knobs saved;
	char ksm_run[16], ksm_pages[16], ksm_sleep[16];
	struct kt_region r;
	struct kt_zram swap;
	int top;
	int low;
};

FIXTURE_SETUP(pages)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	self->swap.number = -1;
	kt_knobs_save(&self->saved);
	kt_read(KSM "run", self->ksm_run, sizeof(self->ksm_run));
	kt_read(KSM "pages_to_scan", self->ksm_pages, sizeof(self->ksm_pages));
	kt_read(KSM "sleep_millisecs", self->ksm_sleep, sizeof(self->ksm_sleep));
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_region_make(&self->r, SMALL, self->top));
}

FIXTURE_TEARDOWN(pages)
{
	kt_write(KSM "sleep_millisecs", self->ksm_sleep);
	kt_write(KSM "pages_to_scan", self->ksm_pages);
	kt_write(KSM "run", self->ksm_run);
	kt_swap_remove(&self->swap);
	kt_knobs_restore(&self->saved);
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

/* How many pages of it are not there. */
static long count_gone(const struct kt_region *r)
{
	int *nodes = kt_nodes_of(0, r->addr, r->nr);
	long gone = 0;
	size_t i;

	for (i = 0; i < r->nr; i++)
		gone += nodes[i] < 0;
	free(nodes);
	return gone;
}

static bool page_out(const struct kt_region *r)
{
	return !madvise(r->addr, r->nr * kt_page(), MADV_PAGEOUT);
}

static bool is_zero(const char *page)
{
	size_t i;

	for (i = 0; i < kt_page(); i++)
		if (page[i])
			return false;
	return true;
}

/* How many pages neither say what they said nor are empty, now that they may be either. */
static long count_half_freed(const struct kt_region *r)
{
	struct kt_region page;
	long wrong = 0;
	size_t i;

	for (i = 0; i < r->nr; i++) {
		page = part_of(r, i, 1);
		wrong += !is_zero(page.addr) && kt_region_wrong(&page);
	}
	return wrong;
}

/*
 * A half is freed lazily, and a half of that is written again, before anybody has come for it.
 * Fails if such pages are moved, which makes them pages that stay; or if their dirty bits are
 * cleared, as these alone tell what was written again from what is free.
 */
TEST_F_TIMEOUT(pages, that_are_lazily_freed_stay_and_are_freed, KT_TIMEOUT)
{
	struct kt_region kept = part_of(&self->r, 0, self->r.nr / 2);
	struct kt_region freed = part_of(&self->r, self->r.nr / 2, self->r.nr / 4);
	struct kt_region written = part_of(&self->r, self->r.nr * 3 / 4, self->r.nr / 4);
	long refused = kt_sysfs("failed/lazyfree");
	struct kt_toucher toucher;

	ASSERT_EQ(0, madvise(freed.addr, (freed.nr + written.nr) * kt_page(), MADV_FREE));
	written.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &written, true));
	ASSERT_TRUE(KT_WAIT(__atomic_load_n(&toucher.rounds, __ATOMIC_RELAXED), KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));

	ASSERT_EQ(0, kt_mark(&self->r));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &kept, self->low), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(freed.nr, kt_region_count(0, &freed, KT_ALL, self->top) + count_gone(&freed));
	EXPECT_EQ(written.nr, kt_region_count(0, &written, KT_ALL, self->top));
	EXPECT_LT(refused, kt_sysfs("failed/lazyfree"));

	/* Reclaim takes what is free, and finds that the rest is not; then that may move. */
	EXPECT_TRUE(KT_WAIT(page_out(&freed) && page_out(&written) &&
			    count_gone(&freed) * 100 >= KT_NEARLY_ALL * (long)freed.nr,
			    KT_PATIENCE));
	EXPECT_EQ(0, count_half_freed(&freed));
	EXPECT_EQ(0, kt_region_wrong(&written));
	EXPECT_EQ(0, kt_region_wrong(&kept));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &written, self->low), KT_PATIENCE));
	EXPECT_EQ(0, kt_region_wrong(&written));
}

/* Pages that look like those of a region. */
static char *make_twin(const struct kt_region *r, int node)
{
	size_t bytes = r->nr * kt_page();
	char *twin = kt_map(bytes);

	if (twin == MAP_FAILED || kt_bind(twin, bytes, node))
		return MAP_FAILED;
	return memcpy(twin, r->addr, bytes);
}

/*
 * Merged pages, of which one mapping is left, so that they look like anybody's. Fails if it is not
 * asked whether KSM has them in its hands.
 */
TEST_F_TIMEOUT(pages, that_are_merged_stay, KT_TIMEOUT)
{
	long shared = kt_sysfs("failed/shared");
	char *twin;

	if (access(KSM "run", W_OK))
		SKIP(return, "no KSM");
	twin = make_twin(&self->r, self->top);
	ASSERT_NE(MAP_FAILED, twin);
	ASSERT_EQ(0, kt_write(KSM "pages_to_scan", "10000"));
	ASSERT_EQ(0, kt_write(KSM "sleep_millisecs", "20"));
	ASSERT_EQ(0, madvise(twin, SMALL, MADV_MERGEABLE));
	ASSERT_EQ(0, madvise(self->r.addr, SMALL, MADV_MERGEABLE));
	ASSERT_EQ(0, kt_write(KSM "run", "1"));
	ASSERT_TRUE(KT_WAIT(kt_read_long(KSM "pages_shared") >= (long)self->r.nr, KT_PATIENCE));
	ASSERT_EQ(0, kt_write(KSM "run", "0"));
	ASSERT_EQ(0, munmap(twin, SMALL));
	EXPECT_EQ(self->r.nr, kt_region_count(0, &self->r, KT_ALL, self->top));

	ASSERT_EQ(0, kt_mark(&self->r));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(self->r.nr, kt_region_count(0, &self->r, KT_ALL, self->top));
	EXPECT_LT(shared, kt_sysfs("failed/shared"));

	/* Its own again. */
	ASSERT_EQ(0, madvise(self->r.addr, SMALL, MADV_UNMERGEABLE));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &self->r, self->low), KT_PATIENCE));
	EXPECT_EQ(0, kt_region_wrong(&self->r));
}

/* Fails if a mapping without access is sampled, and looks idle; or if it is left out for good. */
TEST_F_TIMEOUT(pages, without_access_are_passed_over_until_they_have_some, KT_TIMEOUT)
{
	ASSERT_EQ(0, mprotect(self->r.addr, SMALL, PROT_NONE));
	ASSERT_EQ(0, kt_mark(&self->r));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(self->r.nr, kt_region_count(0, &self->r, KT_ALL, self->top));

	ASSERT_EQ(0, mprotect(self->r.addr, SMALL, PROT_READ));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &self->r, self->low), KT_PATIENCE));

	/* Once more, now that it is known to be cold. */
	ASSERT_EQ(0, kt_set_enabled(0));
	ASSERT_EQ(0, kt_bind(self->r.addr, SMALL, self->top));
	ASSERT_EQ(0, kt_unbind(self->r.addr, SMALL));
	EXPECT_EQ(self->r.nr, kt_region_count(0, &self->r, KT_ALL, self->top));
	ASSERT_EQ(0, mprotect(self->r.addr, SMALL, PROT_NONE));
	ASSERT_EQ(0, kt_set_enabled(1));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(self->r.nr, kt_region_count(0, &self->r, KT_ALL, self->top));
	ASSERT_EQ(0, mprotect(self->r.addr, SMALL, PROT_READ));
	EXPECT_EQ(0, kt_region_wrong(&self->r));
}

/*
 * What can't be tiered, in a process that has marked all that it has
 */

#define NR_STRANGE	8
#define STRANGE_HUGE	(2 * MIB)

/* hugetlb pages of a node; how many there were before. */
static long set_huge_pages(int node, long nr)
{
	char path[128], text[16];
	long before;

	snprintf(path, sizeof(path),
		 "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages", node);
	before = kt_read_long(path);
	snprintf(text, sizeof(text), "%ld", nr);
	kt_write(path, text);
	return before;
}

static char *map_strange(size_t bytes, int flags, int fd)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd,
		    0);
}

/* Have the first byte of each page there, and on a node; whether it could be done. */
static bool touch_on(char *mem, size_t bytes, int node)
{
	size_t i;
	int *at;
	bool on;

	if (mem == MAP_FAILED)
		return false;
	for (i = 0; i < bytes; i += kt_page())
		mem[i] = 1;
	at = kt_nodes_of(0, mem, 1);
	on = *at == node;
	free(at);
	return on;
}

static long count_on(const char *mem, size_t bytes, int node)
{
	struct kt_region r = { .addr = (char *)mem, .nr = bytes / kt_page() };

	return kt_region_count(0, &r, KT_ALL, node);
}

/*
 * hugetlb, memfd_secret() and MAP_DROPPABLE, idle, in the top tier. Fails if it is asked only when
 * memory is marked whether it can be tiered.
 */
TEST_F_TIMEOUT(pages, that_cannot_be_tiered_stay_in_a_marked_process, KT_TIMEOUT)
{
	const size_t bytes[] = { 2 * STRANGE_HUGE, NR_STRANGE * kt_page(), NR_STRANGE * kt_page() };
	int secret = syscall(__NR_memfd_secret, 0);
	char *mem[ARRAY_SIZE(bytes)];
	long huge_pages, nr = 0;
	bool on[ARRAY_SIZE(bytes)];
	size_t i;

	ASSERT_EQ(0, prctl(PR_SET_TIER, 1, 0, 0, 0));
	huge_pages = set_huge_pages(self->top, 2);
	mem[0] = map_strange(bytes[0], MAP_PRIVATE | MAP_HUGETLB | (21 << 26), -1);
	mem[1] = secret >= 0 && !ftruncate(secret, bytes[1]) ?
		 map_strange(bytes[1], MAP_SHARED, secret) : MAP_FAILED;
	mem[2] = map_strange(bytes[2], MAP_DROPPABLE, -1);
	for (i = 0; i < ARRAY_SIZE(bytes); i++) {
		on[i] = touch_on(mem[i], bytes[i], self->top);
		nr += on[i];
	}
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &self->r, self->low), KT_PATIENCE));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	for (i = 0; i < ARRAY_SIZE(bytes); i++) {
		if (!on[i])
			continue;
		EXPECT_EQ(bytes[i] / kt_page(), count_on(mem[i], bytes[i], self->top)) {
			TH_LOG("mapping %zu", i);
		}
		munmap(mem[i], bytes[i]);
	}
	set_huge_pages(self->top, huge_pages);
	TH_LOG("%ld of %zu kinds of memory", nr, ARRAY_SIZE(bytes));
	if (nr < (long)ARRAY_SIZE(bytes))
		SKIP(return, "not all of these kinds are to be had");
}

/*
 * userfaultfd: a thread that answers faults
 */

struct faults {
	struct kt_region *r;
	pthread_t thread;
	int fd;
	bool wp;		/* lift the protection; else make the page */
	bool stop;
	long answered;
	long failed;
};

/* A page as it should be, at an address where it can be made. */
static int copy_page(const struct faults *f, size_t i, char *room)
{
	struct kt_region page = { .addr = room, .nr = 1, .seq = f->r->seq + i };
	struct uffdio_copy copy = {
		.dst = (unsigned long)f->r->addr + i * kt_page(),
		.src = (unsigned long)room,
		.len = kt_page(),
	};

	page.origin = f->r->origin + i * kt_page();
	kt_region_stamp(&page);
	return ioctl(f->fd, UFFDIO_COPY, &copy);
}

static int protect(int fd, const char *addr, size_t bytes, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (unsigned long)addr, .len = bytes },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(fd, UFFDIO_WRITEPROTECT, &wp);
}

static void answer(struct faults *f, const struct uffd_msg *msg, char *room)
{
	size_t i = (msg->arg.pagefault.address - (unsigned long)f->r->addr) / kt_page();
	bool wp = msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP;
	int err;

	/* First: the answer wakes who will ask for the number. */
	__atomic_fetch_add(&f->answered, 1, __ATOMIC_RELAXED);
	f->failed += msg->event != UFFD_EVENT_PAGEFAULT || i >= f->r->nr || wp != f->wp;
	err = wp ? protect(f->fd, f->r->addr + i * kt_page(), kt_page(), false) :
		   copy_page(f, i, room);
	f->failed += err != 0;
}

static void *answer_loop(void *arg)
{
	struct faults *f = arg;
	struct pollfd poll_fd = { .fd = f->fd, .events = POLLIN };
	char *room = kt_map(kt_page());
	struct uffd_msg msg;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		if (poll(&poll_fd, 1, KT_POLL_US / 1000) > 0 &&
		    read(f->fd, &msg, sizeof(msg)) == sizeof(msg))
			answer(f, &msg, room);
	}
	return NULL;
}

/* Returns NULL, or why there is no userfaultfd. */
static const char *answer_start(struct faults *f, struct kt_region *r, bool wp)
{
	struct uffdio_register reg = {
		.range = { .start = (unsigned long)r->addr, .len = r->nr * kt_page() },
		.mode = wp ? UFFDIO_REGISTER_MODE_WP : UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = wp ? UFFD_FEATURE_PAGEFAULT_FLAG_WP : 0,
	};

	memset(f, 0, sizeof(*f));
	f->r = r;
	f->wp = wp;
	f->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0 || ioctl(f->fd, UFFDIO_API, &api))
		return "no userfaultfd of this kind";
	if (ioctl(f->fd, UFFDIO_REGISTER, &reg))
		return "can't register with userfaultfd";
	return pthread_create(&f->thread, NULL, answer_loop, f) ? "no thread" : NULL;
}

static void answer_stop(struct faults *f)
{
	__atomic_store_n(&f->stop, true, __ATOMIC_RELAXED);
	pthread_join(f->thread, NULL);
	close(f->fd);
}

/* Down while idle and up when hot; what is there, and with as few faults as there were. */
static void move_down_and_up(struct __test_metadata *const _metadata, struct kt_region *r,
			     int top, int low)
{
	struct kt_toucher toucher;

	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, r, low), KT_PATIENCE));
	r->hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, r, false));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, r, top), KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
}

/*
 * The first half is there, the second half is made by whoever answers faults. Fails if such memory
 * is left out; if a page on its way is taken for a missing one, or a missing one for a page.
 */
TEST_F_TIMEOUT(pages, that_are_missing_fault_and_others_move, KT_TIMEOUT)
{
	struct kt_region *r = &self->r;
	struct kt_region here = part_of(r, 0, r->nr / 2);
	struct kt_region missing = part_of(r, r->nr / 2, r->nr / 2);
	struct faults faults;
	const char *why;

	ASSERT_EQ(0, madvise(missing.addr, missing.nr * kt_page(), MADV_DONTNEED));
	why = answer_start(&faults, r, false);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_mark(r));
	move_down_and_up(_metadata, &here, self->top, self->low);
	EXPECT_EQ(0, faults.answered);
	EXPECT_EQ(missing.nr, count_gone(&missing));

	EXPECT_EQ(0, kt_region_wrong(&missing));
	EXPECT_EQ(missing.nr, faults.answered);
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &missing, self->low), KT_PATIENCE));

	/* One that was moved and is taken away is missing again. */
	ASSERT_EQ(0, madvise(r->addr, kt_page(), MADV_DONTNEED));
	EXPECT_EQ(0, kt_region_wrong(r));
	EXPECT_EQ(missing.nr + 1, faults.answered);
	answer_stop(&faults);
	EXPECT_EQ(0, faults.failed);
}

/* Fails if the protection gets lost on the way, or is taken for no access at all. */
TEST_F_TIMEOUT(pages, that_are_write_protected_move_and_stay_so, KT_TIMEOUT)
{
	struct kt_region *r = &self->r;
	struct faults faults;
	const char *why = answer_start(&faults, r, true);
	size_t i;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, protect(faults.fd, r->addr, SMALL, true));
	ASSERT_EQ(0, kt_mark(r));
	move_down_and_up(_metadata, r, self->top, self->low);
	EXPECT_EQ(0, faults.answered);

	for (i = 0; i < r->nr; i++)
		r->seq[i]++;
	kt_region_stamp(r);
	EXPECT_EQ(r->nr, faults.answered);
	EXPECT_EQ(0, kt_region_wrong(r));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, r, self->low), KT_PATIENCE));
	answer_stop(&faults);
	EXPECT_EQ(0, faults.failed);
	EXPECT_EQ(0, kt_region_wrong(r));
}

/* Memory that is about to fail is replaced. A page that is on its way is busy. */
static bool replace(char *page, long *pfn)
{
	*pfn = kt_pfn(page);
	return *pfn > 0 && !madvise(page, kt_page(), MADV_SOFT_OFFLINE);
}

/* Here and there, while it moves. */
static int replace_some(const struct kt_region *r, long *pfn, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (!KT_WAIT(replace(r->addr + r->nr / nr * i * kt_page(), &pfn[i]), KT_PATIENCE))
			break;
	return i;
}

/*
 * Fails if a page that is lost comes back as if nothing had happened, or keeps others from moving;
 * or if ktierd does not let go of those that are to be replaced.
 */
TEST_F_TIMEOUT(pages, that_fail_are_lost_and_no_others, KT_TIMEOUT)
{
	struct kt_region *r = &self->r;
	struct kt_region before = part_of(r, 0, r->nr / 2);
	struct kt_region after = part_of(r, r->nr / 2 + 1, r->nr / 2 - 1);
	char *bad = r->addr + before.nr * kt_page();
	const char *why = kt_can_fail();
	struct kt_toucher toucher;
	long pfn[NR_REPLACED], bad_pfn;
	int replaced, i;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_mark(r));
	ASSERT_TRUE(KT_WAIT(kt_region_count(0, r, KT_ALL, self->low) == (long)r->nr, KT_PATIENCE));
	bad_pfn = kt_fail(bad);
	ASSERT_LT(0, bad_pfn);
	EXPECT_TRUE(kt_is_lost(bad));

	/* So slowly that the others are still at it. */
	before.hot_step = 1;
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 1));
	ASSERT_EQ(0, kt_touch_start(&toucher, &before, true));
	EXPECT_TRUE(KT_WAIT(kt_region_count(0, &before, KT_ALL, self->top), KT_PATIENCE));
	replaced = replace_some(&before, pfn, NR_REPLACED);
	EXPECT_EQ(NR_REPLACED, replaced);
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 1048576));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &before, self->top), KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_TRUE(kt_is_lost(bad));
	EXPECT_EQ(after.nr, kt_region_count(0, &after, KT_ALL, self->low));
	EXPECT_EQ(0, kt_region_wrong(&before) + kt_region_wrong(&after));
	EXPECT_TRUE(kt_unfail(bad_pfn));
	for (i = 0; i < replaced; i++)
		EXPECT_TRUE(kt_unfail(pfn[i]));
}

#define TABLE_PAGES	512

/* What the first page table maps that is all the region's. */
static struct kt_region first_table(const struct kt_region *r)
{
	size_t bytes = TABLE_PAGES * kt_page();

	return part_of(r, (-(unsigned long)r->addr & (bytes - 1)) / kt_page(), TABLE_PAGES);
}

/*
 * Forget which pages were used, use one, and let ktierd clear what says so. Does anything still?
 * That the first does not flush translations does no harm: each look of ktierd does.
 */
static bool still_looks_used(const struct kt_region *r, size_t page)
{
	struct kt_vma vma;

	if (kt_write("/proc/self/clear_refs", "1"))
		return false;
	__atomic_load_n(r->addr + page * kt_page(), __ATOMIC_RELAXED);
	return kt_wait_scans(2) && kt_vma_at(0, r->addr, &vma) && vma.used_kb;
}

/*
 * khugepaged passes by a page table if no page of it was used. Fails if most looks at accessed
 * bits leave nothing of them to others. Reclaim may ask in between, and takes it.
 */
TEST_F_TIMEOUT(pages, that_were_used_are_so_for_others, KT_TIMEOUT)
{
	struct kt_region table = first_table(&self->r);
	int tries = 30, used = 0, i;

	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 0));
	ASSERT_EQ(0, kt_mark(&table));
	/* So that it knows them, and takes a light look. */
	ASSERT_TRUE(kt_wait_scans(30));
	for (i = 0; i < tries; i++)
		used += still_looks_used(&table, i * 37 % TABLE_PAGES);
	EXPECT_LE(tries - 3, used);
}

/* khugepaged wants more of a table some of which is swapped out: half of it. */
TEST_F_TIMEOUT(pages, that_were_used_beside_swap_are_all_so, KT_TIMEOUT)
{
	struct kt_region table = first_table(&self->r);
	/* Not all of them, or the table falls asleep as one whose pages are all alike. */
	struct kt_region used = part_of(&table, 1, TABLE_PAGES * 3 / 4);
	struct kt_region out = part_of(&table, 0, 1);
	const char *why = kt_swap_make(&self->swap, SMALL);
	int tries = 10, all = 0, i;
	struct kt_vma vma;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 0));
	ASSERT_EQ(0, kt_mark(&table));
	ASSERT_TRUE(KT_WAIT(page_out(&out) && count_gone(&out), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(30));
	for (i = 0; i < tries; i++) {
		ASSERT_EQ(0, kt_write("/proc/self/clear_refs", "1"));
		ASSERT_EQ(0, kt_region_wrong(&used));
		ASSERT_TRUE(kt_wait_scans(2));
		ASSERT_TRUE(kt_vma_at(0, table.addr, &vma));
		all += vma.used_kb >= (long)(TABLE_PAGES / 2 * kt_page() / 1024);
	}
	EXPECT_EQ(1, count_gone(&out));
	EXPECT_LE(tries - 2, all);
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
