// SPDX-License-Identifier: GPL-2.0
/* The operations of dirtytorture. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#ifndef MADV_COLD
#define MADV_COLD		20
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MPOL_MF_MOVE
#define MPOL_MF_MOVE		2
#endif

#define NODES			2
#define MAX_RANGE		64UL		/* pages of most operations on ranges */
#define HOT_SHARE		64		/* one page of so many is hot */
#define HAMMERED		4UL		/* pages written without pause, */
#define HAMMER_NS		(NSEC_PER_SEC / 8)	/* and for how long */
#define HOT_NS			(4 * NSEC_PER_SEC)
#define DIRECT_PAGES		1024		/* of the file, for a thread */
#define CHILD_STEPS		100
#define CHILD_PAGES		128		/* that it verifies in the end */

/*
 * Regions are far from what the kernel would choose for anything else, each in
 * a lane of its own in which it moves.
 */
#define LANES			0x500000000000UL
#define LANE_SIZE		0x1000000000UL
#define LANE_PLACES		64UL

struct operation {
	const char *name;
	unsigned int weight;
	void (*run)(struct worker *me);
	bool not_in_child;
};

static const struct operation operations[];

/* Chance */

u64 draw(struct worker *me)
{
	u64 x = me->random += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

u64 below(struct worker *me, u64 limit)
{
	return draw(me) % limit;
}

/* Half of the time one of the hot ones, which are others every few seconds. */
static size_t some_page(struct worker *me)
{
	size_t pages = me->region.pages, hot = pages / HOT_SHARE;
	u64 era = (now_ns() - started_ns) / HOT_NS;

	if (below(me, 2))
		return below(me, pages);
	return (era * 7 * hot + me->index * hot + below(me, hot)) % pages;
}

static struct range some_range(struct worker *me, size_t max)
{
	size_t pages = 1 + below(me, max), first = some_page(me);

	if (first + pages > me->region.pages)
		first = me->region.pages - pages;
	return (struct range){ .first = first, .pages = pages };
}

/* Some small pages, or sometimes, where there may be one, a huge page. */
static struct range choose_range(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);

	if (me->region.kind == REGION_SMALL || below(me, 4))
		return range;
	return (struct range){
		.first = range.first & ~(HUGE_PAGES - 1), .pages = HUGE_PAGES,
	};
}

/* Pages */

u64 *page_at(const struct region *region, size_t i)
{
	return (u64 *)(region->base + i * PAGE_SIZE);
}

static u64 page_id(const struct worker *me, size_t i)
{
	return (u64)(me->index + 1) << 32 | i;
}

static void record(struct worker *me, size_t i)
{
	struct history *history = &me->region.history[i];

	history->record[history->next++ % RECORDS] = (struct record){
		.ms = (now_ns() - started_ns) / 1000000, .what = me->operation + 1,
	};
}

static void record_range(struct worker *me, struct range range)
{
	for (size_t i = range.first; i < range.first + range.pages; i++)
		record(me, i);
}

static void append(char *text, size_t size, const char *format, ...)
{
	size_t length = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + length, size - length, format, args);
	va_end(args);
}

static void append_history(char *text, size_t size, const char *whose,
			   const struct history *history)
{
	append(text, size, "  last on %s:", whose);
	for (u32 i = 0; i < RECORDS; i++) {
		const struct record *one = &history->record[(history->next + i) % RECORDS];

		if (one->what)
			append(text, size, " %s %.3f s,", operations[one->what - 1].name,
			       one->ms / 1000.0);
	}
	append(text, size, " now %.3f s\n", (now_ns() - started_ns) / 1e9);
}

static void write_out(const char *text)
{
	/* Not stdio, whose locks another thread may have at a fork. */
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(EXIT_UNABLE);
}

/* Tell it in one write, as others may have something to tell, and end it all. */
static void wrong_page(struct worker *me, size_t i)
{
	const struct region *region = &me->region;
	u64 *page = page_at(region, i);
	char text[4096];

	snprintf(text, sizeof(text),
		 "dirtytorture: WRONG: page %zu of region %u%s, at %p, in '%s', step %llu, seed %u\n",
		 i, me->index, me->child ? " in a child" : "", page,
		 operations[me->operation].name, me->steps, option.seed);
	page_describe(page, &region->expected[i], page_id(me, i), text + strlen(text),
		      sizeof(text) - strlen(text));
	append_history(text, sizeof(text), "this page", &region->history[i]);
	append_history(text, sizeof(text), "the region", &region->history[region->pages]);
	write_out(text);
	_exit(EXIT_FAILURE);
}

static void verify(struct worker *me, size_t i)
{
	struct region *region = &me->region;

	if (!page_check(page_at(region, i), &region->expected[i], page_id(me, i)))
		wrong_page(me, i);
	__atomic_fetch_add(&me->tally->verified, 1, __ATOMIC_RELAXED);
}

void verify_range(struct worker *me, struct range range)
{
	for (size_t i = range.first; i < range.first + range.pages; i++)
		verify(me, i);
}

void fill(struct worker *me, size_t i)
{
	struct region *region = &me->region;

	page_fill(page_at(region, i), &region->expected[i], page_id(me, i), draw(me));
}

void bump(struct worker *me, size_t i)
{
	struct region *region = &me->region;

	if (!page_bump(page_at(region, i), &region->expected[i], page_id(me, i)))
		wrong_page(me, i);
}

static void poke(struct worker *me, size_t i)
{
	struct region *region = &me->region;

	if (!page_poke(page_at(region, i), &region->expected[i], page_id(me, i), draw(me)))
		wrong_page(me, i);
}

static void patch(struct worker *me, size_t i)
{
	struct region *region = &me->region;

	if (!page_patch(page_at(region, i), &region->expected[i], page_id(me, i), draw(me)))
		wrong_page(me, i);
}

static void write_somehow(struct worker *me, size_t i)
{
	static void (* const ways[])(struct worker *me, size_t i) = {
		fill, bump, poke, patch,
	};

	ways[below(me, ARRAY_SIZE(ways))](me, i);
}

/*
 * What fails for want of memory, or as a page is busy, leaves all as it was. It
 * must not be an error of ours.
 */
static bool advise(struct worker *me, int advice, struct range range)
{
	record_range(me, range);
	if (!madvise(page_at(&me->region, range.first), range.pages * PAGE_SIZE, advice))
		return true;
	if (errno == EINVAL && advice != MADV_COLLAPSE)
		fail("the kernel does not know madvise() %d.", advice);
	return false;
}

/* Operations on a page */

static void do_write(struct worker *me)
{
	size_t i = some_page(me);

	record(me, i);
	fill(me, i);
}

static void do_patch(struct worker *me)
{
	size_t i = some_page(me);

	record(me, i);
	patch(me, i);
}

static void do_bump(struct worker *me)
{
	size_t i = some_page(me);

	record(me, i);
	bump(me, i);
}

static void do_verify(struct worker *me)
{
	verify(me, some_page(me));
}

/* One after the other, so that those untouched for long have their turn. */
static void do_sweep(struct worker *me)
{
	verify(me, me->sweep++ % me->region.pages);
}

/*
 * Write to few pages without pause, through translations that are cached, while
 * others swap them out and move them.
 */
static void do_hammer(struct worker *me)
{
	struct range range = some_range(me, HAMMERED);
	u64 end_ns = now_ns() + HAMMER_NS;

	record_range(me, range);
	__atomic_store_n(&me->region.hammered, range.first + 1, __ATOMIC_RELAXED);
	do {
		for (int round = 0; round < 100; round++)
			for (size_t i = range.first; i < range.first + range.pages; i++)
				poke(me, i);
	} while (now_ns() < end_ns);
	__atomic_store_n(&me->region.hammered, 0, __ATOMIC_RELAXED);
	verify_range(me, range);
}

/* Operations on ranges */

/* What is read back is clean, and in the swap cache. Then it is written. */
static void do_reuse(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);

	advise(me, MADV_PAGEOUT, range);
	verify_range(me, range);
	for (size_t i = range.first; i < range.first + range.pages; i++)
		if (below(me, 2))
			write_somehow(me, i);
}

static void do_pageout(struct worker *me)
{
	advise(me, MADV_PAGEOUT, choose_range(me));
}

/*
 * Others' memory may be on its way to another place, so never mind what comes
 * of these.
 */

static void advise_other(const struct region *other, int advice, struct range range)
{
	char *base = __atomic_load_n(&other->base, __ATOMIC_RELAXED);

	madvise(base + range.first * PAGE_SIZE, range.pages * PAGE_SIZE, advice);
}

static struct region *some_region(struct worker *me)
{
	return &workers[below(me, option.threads)].region;
}

static void do_pageout_other(struct worker *me)
{
	advise_other(some_region(me), MADV_PAGEOUT, some_range(me, MAX_RANGE));
}

/* Again and again, as long as somebody writes to it without pause. */
static void do_chase(struct worker *me)
{
	u64 end_ns = now_ns() + HAMMER_NS;
	struct region *other = some_region(me);
	size_t hammered;

	do {
		hammered = __atomic_load_n(&other->hammered, __ATOMIC_RELAXED);
		if (!hammered)
			return;
		advise_other(other, MADV_PAGEOUT, (struct range){
			.first = hammered - 1, .pages = HAMMERED,
		});
		usleep(below(me, 2000));
	} while (now_ns() < end_ns);
}

static void do_cold(struct worker *me)
{
	advise(me, MADV_COLD, choose_range(me));
}

/*
 * Some of the pages are written again, and these must stay. Without
 * --free-shared a child first makes all of them its own: Linux 6.12 loses pages
 * that were read from zram, shared by fork() and then freed by the child.
 */
static void do_free(struct worker *me)
{
	struct range range = choose_range(me);
	struct expected *expected = me->region.expected;

	for (size_t i = range.first; i < range.first + range.pages; i++)
		if (me->child && !option.free_shared)
			fill(me, i);
	if (range.pages == HUGE_PAGES && below(me, 2))
		advise(me, MADV_COLLAPSE, range);
	/* It may have freed some of them before it failed. */
	advise(me, MADV_FREE, range);
	for (size_t i = range.first; i < range.first + range.pages; i++)
		if (expected[i].kind == PAGE_FULL)
			expected[i].kind = PAGE_LAZY;
	for (size_t i = range.first; i < range.first + range.pages; i++)
		if (!below(me, 3))
			write_somehow(me, i);
}

static void do_dontneed(struct worker *me)
{
	struct range range = choose_range(me);

	if (!advise(me, MADV_DONTNEED, range))
		fail("madvise(MADV_DONTNEED) failed (%s).", strerror(errno));
	for (size_t i = range.first; i < range.first + range.pages; i++)
		page_thrown_away(&me->region.expected[i]);
	if (below(me, 2))
		verify_range(me, range);
}

static void do_populate(struct worker *me)
{
	advise(me, MADV_POPULATE_WRITE, choose_range(me));
}

static void do_collapse(struct worker *me)
{
	struct range range = {
		.first = some_page(me) & ~(HUGE_PAGES - 1), .pages = HUGE_PAGES,
	};

	if (me->region.kind != REGION_SMALL)
		advise(me, MADV_COLLAPSE, range);
}

static void do_protect(struct worker *me)
{
	struct range range = choose_range(me);
	u64 *from = page_at(&me->region, range.first);

	record_range(me, range);
	if (mprotect(from, range.pages * PAGE_SIZE, PROT_READ))
		return;
	verify_range(me, range);
	if (mprotect(from, range.pages * PAGE_SIZE, PROT_READ | PROT_WRITE))
		fail("mprotect() failed (%s).", strerror(errno));
	write_somehow(me, range.first);
}

/* Each page to a node of its own choice. Some are busy, and stay. */
static void move_range(struct worker *me, const struct region *region, struct range range)
{
	int node[MAX_RANGE], status[MAX_RANGE];
	char *base = __atomic_load_n(&region->base, __ATOMIC_RELAXED);
	void *page[MAX_RANGE];

	for (size_t i = 0; i < range.pages; i++) {
		page[i] = base + (range.first + i) * PAGE_SIZE;
		node[i] = below(me, NODES);
	}
	if (syscall(SYS_move_pages, 0, range.pages, page, node, status, MPOL_MF_MOVE) < 0 &&
	    (errno == ENODEV || errno == EPERM))
		fail("cannot move pages (%s); are there %d nodes?", strerror(errno), NODES);
}

static void do_nodes(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);

	record_range(me, range);
	move_range(me, &me->region, range);
}

static void do_nodes_other(struct worker *me)
{
	move_range(me, some_region(me), some_range(me, MAX_RANGE));
}

/* Out to a block device, by the device itself, and back in. */
static void do_direct(struct worker *me)
{
	struct region *region = &me->region;
	size_t i = some_page(me);
	off_t where = (me->index * DIRECT_PAGES + i % DIRECT_PAGES) * PAGE_SIZE;
	struct expected before = region->expected[i];

	if (direct_fd < 0 || before.kind == PAGE_LAZY)
		return;
	record(me, i);
	if (pwrite(direct_fd, page_at(region, i), PAGE_SIZE, where) != PAGE_SIZE)
		fail("cannot write to %s (%s).", option.direct, strerror(errno));
	fill(me, i);
	if (pread(direct_fd, page_at(region, i), PAGE_SIZE, where) != PAGE_SIZE)
		fail("cannot read from %s (%s).", option.direct, strerror(errno));
	region->expected[i] = before;
}

/* Operations on a region */

/* Huge pages want places like their own, others had better not have them. */
char *place_in_lane(const struct worker *me, u64 place, u64 page)
{
	u64 lane = LANES + (me->index + 1) * LANE_SIZE;

	if (me->region.kind != REGION_SMALL)
		page = 0;
	return (char *)(lane + place * (LANE_SIZE / LANE_PLACES) + page * PAGE_SIZE);
}

static void do_mremap(struct worker *me)
{
	struct region *region = &me->region;
	char *to = place_in_lane(me, below(me, LANE_PLACES), below(me, HUGE_PAGES));
	size_t size = region->pages * PAGE_SIZE;
	u64 distance = to > region->base ? to - region->base : region->base - to;

	if (distance < size)
		return;
	record(me, region->pages);
	if (mremap(region->base, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to)
		__atomic_store_n(&region->base, to, __ATOMIC_RELAXED);
	else if (errno != EFAULT && errno != ENOMEM)
		fail("mremap() failed (%s).", strerror(errno));
}

/* All that the child has is a copy, and so is what it expects. */
static void be_child(struct worker *me)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	me->child = true;
	me->random ^= 0x6368696c64ULL;
	for (int i = 0; i < CHILD_STEPS; i++)
		step(me);
	for (int i = 0; i < CHILD_PAGES; i++)
		verify(me, below(me, me->region.pages));
	_exit(EXIT_SUCCESS);
}

static void end_child(struct worker *me, pid_t pid)
{
	char text[256];
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("waitpid() failed (%s).", strerror(errno));
	if (!status)
		return;
	snprintf(text, sizeof(text), "dirtytorture: a child of region %u %s %d; seed %u\n",
		 me->index, WIFSIGNALED(status) ? "was killed by signal" : "ended with",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), option.seed);
	write_out(text);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

/* Go on beside the child, so that both write what they share. */
static void do_fork(struct worker *me)
{
	pid_t pid;

	record(me, me->region.pages);
	pid = fork();
	if (!pid)
		be_child(me);
	if (pid < 0)
		return;
	for (int i = 0; i < CHILD_STEPS; i++)
		write_somehow(me, some_page(me));
	end_child(me, pid);
}

static const struct operation operations[] = {
	{ "write", 1500, do_write, false },
	{ "patch", 2500, do_patch, false },
	{ "bump", 1200, do_bump, false },
	{ "verify", 2500, do_verify, false },
	{ "sweep", 1200, do_sweep, false },
	{ "hammer", 4, do_hammer, false },
	{ "reuse", 60, do_reuse, false },
	{ "pageout", 40, do_pageout, false },
	{ "pageout-other", 60, do_pageout_other, true },
	{ "chase", 200, do_chase, true },
	{ "cold", 50, do_cold, false },
	{ "free", 50, do_free, false },
	{ "dontneed", 20, do_dontneed, false },
	{ "populate", 30, do_populate, false },
	{ "collapse", 15, do_collapse, false },
	{ "protect", 40, do_protect, false },
	{ "nodes", 40, do_nodes, false },
	{ "nodes-other", 40, do_nodes_other, true },
	{ "direct", 60, do_direct, true },
	{ "mremap", 10, do_mremap, false },
	{ "fork", 5, do_fork, true },
};

const unsigned int nr_operations = ARRAY_SIZE(operations);

const char *operation_name(unsigned int operation)
{
	return operations[operation].name;
}

static unsigned int weight_for(const struct operation *operation, bool child)
{
	return child && operation->not_in_child ? 0 : operation->weight;
}

static unsigned int some_operation(struct worker *me)
{
	unsigned int i, total = 0;
	u64 left;

	for (i = 0; i < nr_operations; i++)
		total += weight_for(&operations[i], me->child);
	left = below(me, total);
	for (i = 0; left >= weight_for(&operations[i], me->child); i++)
		left -= weight_for(&operations[i], me->child);
	return i;
}

void step(struct worker *me)
{
	struct tally *tally = me->tally;

	me->operation = some_operation(me);
	me->steps++;
	operations[me->operation].run(me);
	__atomic_fetch_add(&tally->done[me->operation], 1, __ATOMIC_RELAXED);
	if (me->child)
		__atomic_fetch_add(&tally->in_children, 1, __ATOMIC_RELAXED);
	damage_during(me);
}
