// SPDX-License-Identifier: GPL-2.0
/*
 * tierdemo: mark memory with MADV_TIER, use a scattered part of it, and show
 * how the hot pages end up in DRAM and the idle ones in PMEM.
 *
 * Half of all pages, hot or not, start in PMEM. Every page carries its own
 * address and the number of times it was touched, which are checked at each
 * touch, and for all pages at the end.
 */
#define _GNU_SOURCE
#include <linux/mempolicy.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "demo.h"

#ifndef MADV_TIER
#define MADV_TIER	96
#endif

#define PAGES_PER_MIB	(1048576 / DEMO_PAGE_SIZE)
#define SECRET		0x6b7469657264ULL
#define ERRORS_SHOWN	5

#define HOT_BAR_SECONDS		30.0
#define IDLE_BAR_PERCENT	90.0

struct stamp {
	u64 address;
	u64 touched;	/* times */
	u64 check;		/* of the two above */
};

static struct options option = {
	.mib = 384,
	.seconds = 40,
	.hot_percent = 10,
	.seed = 1,
};

static struct pageset pages;
static u32 *touched;	/* what each page's stamp has to say */
static u32 *hot_page;
static u32 nr_hot;

static atomic_ulong touches, wrong_pages;
static atomic_bool stop;

static const char help[] =
"Usage: tierdemo [OPTION...]\n"
"\n"
"Mark memory with MADV_TIER, touch a scattered part of its pages without pause,\n"
"and print each second where the hot and the idle pages are.\n"
"\n"
"  --mib=N          memory to mark, in MiB (384)\n"
"  --hot-percent=N  share of the pages that is touched (10)\n"
"  --seconds=N      how long (40)\n"
"  --seed=N         of the draw of the hot pages (1)\n"
"  --summary=FILE   append the summary to FILE instead of printing it\n"
"  --help           print this\n"
"\n"
"Exit status: 0 all bars met, 1 one not met, 2 could not run.\n";

static u64 check_of(const struct stamp *stamp)
{
	return (stamp->address ^ SECRET) * 0x9e3779b97f4a7c15ULL + stamp->touched;
}

static void write_stamp(u32 page)
{
	struct stamp *stamp = pages.page[page];

	stamp->address = (unsigned long)stamp;
	stamp->touched = touched[page];
	stamp->check = check_of(stamp);
}

static void check_stamp(u32 page)
{
	struct stamp *stamp = pages.page[page];

	if (stamp->address == (unsigned long)stamp && stamp->touched == touched[page] &&
	    stamp->check == check_of(stamp))
		return;
	if (atomic_fetch_add(&wrong_pages, 1) < ERRORS_SHOWN)
		fprintf(stderr,
			"tierdemo: page %p holds address %#llx, touched %llu times; it was touched %u times.\n",
			stamp, stamp->address, stamp->touched, touched[page]);
}

/* The application: it uses its hot pages and knows nothing of tiers. */
static void *touch_hot_pages(void *unused)
{
	(void)unused;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		for (u32 i = 0; i < nr_hot; i++) {
			u32 page = hot_page[i];

			check_stamp(page);
			touched[page]++;
			write_stamp(page);
		}
		atomic_fetch_add_explicit(&touches, nr_hot, memory_order_relaxed);
	}
	return NULL;
}

static u64 touches_done(void)
{
	return atomic_load(&touches);
}

static void set_policy(char *memory, size_t size, int mode, int node_a, int node_b)
{
	unsigned long nodes[1024 / (8 * sizeof(long))] = { 0 };
	const size_t bits = 8 * sizeof(long);

	if (node_a >= 0)
		nodes[node_a / bits] |= 1UL << node_a % bits;
	if (node_b >= 0)
		nodes[node_b / bits] |= 1UL << node_b % bits;
	if (syscall(SYS_mbind, memory, size, mode, mode == MPOL_DEFAULT ? NULL : nodes,
		    mode == MPOL_DEFAULT ? 0UL : 1024UL, 0))
		fail("mbind() failed (%s).", strerror(errno));
}

/*
 * Every second page of fresh memory in DRAM, the others in PMEM, and then no
 * policy any more: where they go from here is for ktierd to say.
 */
static void make_pages(void)
{
	unsigned long count = option.mib * PAGES_PER_MIB;
	size_t size = count * DEMO_PAGE_SIZE;
	char *memory;

	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		fail("no room for %lu MiB (%s); try a smaller --mib.", option.mib,
		     strerror(errno));
	if (madvise(memory, size, MADV_NOHUGEPAGE) && errno != EINVAL)
		fail("madvise(MADV_NOHUGEPAGE) failed (%s).", strerror(errno));

	pageset_alloc(&pages, 0, count);
	touched = allocate(count, sizeof(*touched));
	set_policy(memory, size, MPOL_INTERLEAVE, tiers_first_node(TIER_TOP),
		   tiers_first_node(TIER_LOWER));
	for (pages.count = 0; pages.count < count; pages.count++) {
		pages.page[pages.count] = memory + pages.count * DEMO_PAGE_SIZE;
		write_stamp(pages.count);
	}
	set_policy(memory, size, MPOL_DEFAULT, -1, -1);

	if (madvise(memory, size, MADV_TIER))
		fail("madvise(MADV_TIER) failed (%s); boot a kernel built with CONFIG_KTIERD=y.",
		     strerror(errno));
}

static void choose_hot_pages(void)
{
	struct dice dice = { .state = option.seed };

	nr_hot = pages.count * option.hot_percent / 100;
	hot_page = draw(&dice, pages.count, nr_hot);
	for (u32 i = 0; i < nr_hot; i++)
		pages.hot[hot_page[i]] = true;
}

static bool summarize(const struct report *report)
{
	FILE *out = summary_open(option.summary);
	double idle = percent(report->last.idle_lower, report->last.idle);
	bool met;

	fprintf(out, "tierdemo: %lu MiB marked with MADV_TIER, %u of %lu pages hot, %.0f s\n",
		option.mib, nr_hot, pages.count, report->time_s);
	met = judge_hot(out, report, "the hot pages");
	met &= judge(out, idle >= IDLE_BAR_PERCENT);
	fprintf(out, "%5.1f %% of the idle pages are in PMEM (bar: %.0f %%)\n",
		shown(idle), IDLE_BAR_PERCENT);
	met &= judge(out, !wrong_pages);
	fprintf(out, "%5lu pages had wrong contents, in %lu touches and a last check\n",
		wrong_pages, touches);
	summary_cost(out, report);
	if (out != stdout)
		fclose(out);
	return met;
}

int main(int argc, char **argv)
{
	struct report report = {
		.set = &pages,
		.work = "touches",
		.work_done = touches_done,
	};
	pthread_t application;

	parse_options(argc, argv, help, &option);
	report.seconds = option.seconds;
	report.patience = option.seconds;
	report.hot_within_s = HOT_BAR_SECONDS;
	tiers_learn();
	ktierd_find();
	make_pages();
	choose_hot_pages();
	printf("%lu MiB are marked with MADV_TIER. %u of the %lu pages, drawn with seed %lu,\n"
	       "are hot: touched without pause. The others are idle. Every second page starts\n"
	       "in PMEM (node %d), the others in DRAM (node %d).\n",
	       option.mib, nr_hot, pages.count, option.seed,
	       tiers_first_node(TIER_LOWER), tiers_first_node(TIER_TOP));

	if (pthread_create(&application, NULL, touch_hot_pages, NULL))
		fail("cannot start a thread.");
	report_run(&report);
	stop = true;
	pthread_join(application, NULL);

	for (u32 page = 0; page < pages.count; page++)
		check_stamp(page);
	return summarize(&report) ? DEMO_MET : DEMO_NOT_MET;
}
