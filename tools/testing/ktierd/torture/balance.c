// SPDX-License-Identifier: GPL-2.0
/*
 * torturebalance: do ktierd's counters say what it did? Where nobody else moves
 * pages, the pages that a process has more on the nodes of the top tier are those
 * that were promoted less those that were demoted: be they small or huge, mapped by
 * a child as well, and however many stay as allocations or isolation fail.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/args.h"
#include "../lib/ktierd.h"
#include "../lib/tiers.h"

#ifndef MADV_TIER
#define MADV_TIER	96
#endif
#define MPOL_BIND	2
#define MPOL_MF_MOVE_ALL	4

#define PAGE_SIZE	4096UL
#define HUGE_PAGES	512UL		/* pages in a huge page */
#define PATIENCE_S	600
#define STILL_S		3		/* that nothing may happen until it counts as still */
#define MOVED_PART	16		/* of the memory must move, up and down */

static struct {
	unsigned int mib;
	bool huge, forked, shared, failing, cheat;
} option = {
	.mib = 32,
};

static char *memory;
static size_t pages;

/* What is known at a moment in which ktierd is at rest. */
struct state {
	struct figures figures;
	u64 migrated;		/* pages, by anybody */
	u64 huge;		/* huge pages of those */
	u64 no_room, busy;	/* pages that stayed, for want of a page or of isolation */
	long top, lower, nowhere;	/* pages */
};

static u64 vm_counter(const char *name)
{
	char line[128], found[64];
	u64 value = 0;
	FILE *file = fopen("/proc/vmstat", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s %llu", found, &value) == 2 && !strcmp(found, name))
			break;
		value = 0;
	}
	if (file)
		fclose(file);
	return value;
}

static void move_to(void **page, const int *node, int *status, size_t nr)
{
	if (syscall(SYS_move_pages, 0, nr, page, node, status, MPOL_MF_MOVE_ALL) < 0)
		fail("move_pages() failed (%s).", strerror(errno));
}

static void count_pages(struct state *state)
{
	void **page = allocate(pages, sizeof(*page));
	int *node = allocate(pages, sizeof(*node));

	for (size_t i = 0; i < pages; i++)
		page[i] = memory + i * PAGE_SIZE;
	move_to(page, NULL, node, pages);
	state->top = 0;
	state->lower = 0;
	state->nowhere = 0;
	for (size_t i = 0; i < pages; i++)
		switch (tier_of(node[i])) {
		case TIER_TOP:
			state->top++;
			break;
		case TIER_LOWER:
			state->lower++;
			break;
		default:
			state->nowhere++;
		}
	free(page);
	free(node);
}

/* After the batch that was under way when it was switched off. */
static void wait_until_still(struct state *state)
{
	struct figures now;
	int still = 0;

	ktierd_figures(&state->figures);
	for (int i = 0; still < STILL_S; i++) {
		if (i == PATIENCE_S)
			fail("ktierd is switched off and does not rest.");
		sleep(1);
		ktierd_figures(&now);
		still = memcmp(&now, &state->figures, sizeof(now)) ? 0 : still + 1;
		state->figures = now;
	}
}

static void take_failures(struct state *state)
{
	state->no_room = ktierd_count("failed/no_room") + ktierd_count("failed/huge_no_room");
	state->busy = ktierd_count("failed/busy");
}

static void take_state(struct state *state)
{
	ktierd_switch(false);
	wait_until_still(state);
	state->migrated = vm_counter("pgmigrate_success");
	state->huge = vm_counter("thp_migration_success");
	take_failures(state);
	count_pages(state);
}

static void bind(char *from, size_t size, int node)
{
	unsigned long nodes[TIERS_MAX_NODES / 64] = { };

	nodes[node / 64] = 1UL << node % 64;
	if (syscall(SYS_mbind, from, size, MPOL_BIND, nodes, TIERS_MAX_NODES, 0))
		fail("cannot have memory of node %d (%s).", node, strerror(errno));
	memset(from, 1, size);
	if (syscall(SYS_mbind, from, size, 0, NULL, 0, 0))
		fail("cannot let go of node %d (%s).", node, strerror(errno));
}

/*
 * Half of it is in each tier. khugepaged, which moves pages as well, keeps away from
 * what it is told to make no huge pages of; those that are there stay.
 */
static void make_memory(void)
{
	size_t size = (size_t)option.mib << 20;
	int kind = option.shared ? MAP_SHARED : MAP_PRIVATE;
	char *from = mmap(NULL, size + HUGE_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			  kind | MAP_ANONYMOUS, -1, 0);

	if (from == MAP_FAILED)
		fail("no room for %u MiB (%s).", option.mib, strerror(errno));
	pages = size / PAGE_SIZE;
	memory = from + -(uintptr_t)from % (HUGE_PAGES * PAGE_SIZE);
	if (madvise(memory, size, option.huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		fail("this kernel has no huge pages (%s).", strerror(errno));
	bind(memory, size / 2, tiers_first_node(TIER_TOP));
	bind(memory + size / 2, size / 2, tiers_first_node(TIER_LOWER));
	madvise(memory, size, MADV_NOHUGEPAGE);
	if (madvise(memory, size, MADV_TIER))
		fail("madvise(MADV_TIER) failed (%s).", strerror(errno));
}

/*
 * Every other page is hot, the rest is not used at all. What is shared until it is
 * written is only read: a copy would be where no counter says.
 */
static void use_memory(void)
{
	size_t unit = option.huge ? HUGE_PAGES : 1;

	for (size_t i = 0; i < pages; i += 2 * unit) {
		char *page = memory + i * PAGE_SIZE;

		if (option.forked)
			__atomic_load_n(page, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(page, 1, __ATOMIC_RELAXED);
	}
	usleep(5000);
}

/* A child that maps the same memory and uses it, too, until it is killed. */
static pid_t start_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("cannot start a process (%s).", strerror(errno));
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() != 1)
		use_memory();
	_exit(EXIT_SUCCESS);
}

/* Has all been seen that is to be counted: moves both ways, and what may be wanted besides? */
static bool seen_enough(const struct state *before)
{
	struct state now;
	u64 wanted = pages / MOVED_PART;

	ktierd_figures(&now.figures);
	if (now.figures.promoted - before->figures.promoted < wanted ||
	    now.figures.demoted - before->figures.demoted < wanted)
		return false;
	if (option.huge && vm_counter("thp_migration_success") == before->huge)
		return false;
	take_failures(&now);
	return !option.failing ||
	       (now.no_room > before->no_room && now.busy > before->busy);
}

static void use_until_moved(const struct state *before)
{
	u64 end_ns = now_ns() + PATIENCE_S * NSEC_PER_SEC;

	do {
		if (now_ns() > end_ns)
			fail("ktierd does not move pages both ways, or none failed that should.");
		for (int round = 0; round < 20; round++)
			use_memory();
	} while (!seen_enough(before));
}

/* Move a page, as ktierd might without counting it. */
static void cheat(void)
{
	int top = tiers_first_node(TIER_TOP), lower = tiers_first_node(TIER_LOWER), node;
	void *page = memory;

	move_to(&page, NULL, &node, 1);
	node = tier_of(node) == TIER_TOP ? lower : top;
	move_to(&page, &node, &(int){ 0 }, 1);
}

static int compare(const struct state *before, const struct state *after)
{
	long up = after->figures.promoted - before->figures.promoted;
	long down = after->figures.demoted - before->figures.demoted;
	long more = after->top - before->top, migrated = after->migrated - before->migrated;
	bool good = more == up - down && migrated >= up + down &&
		    !before->nowhere && !after->nowhere;

	printf("torturebalance: %ld pages promoted, %ld demoted; ", up, down);
	printf("%ld more in the top tier; %ld migrated, %llu of them huge; ", more, migrated,
	       after->huge - before->huge);
	printf("%llu had no room, %llu were busy\n", after->no_room - before->no_room,
	       after->busy - before->busy);
	if (good)
		return EXIT_SUCCESS;
	printf("torturebalance: WRONG: that does not agree; %ld and %ld pages were nowhere\n",
	       before->nowhere, after->nowhere);
	return EXIT_FAILURE;
}

enum { OPT_MIB = 256, OPT_HUGE, OPT_FORKED, OPT_SHARED, OPT_FAILING, OPT_CHEAT };

static const char doc[] =
"Have ktierd move pages up and down, and compare where they are with its counters.\n"
"Nobody else may have marked memory, or move pages, meanwhile.\n"
"\vExit status: 0 they agree, 1 they do not, 2 it could not run.";

static const struct argp_option options[] = {
	{ "mib", OPT_MIB, "N", 0, "memory, in MiB (32)", 0 },
	{ "huge", OPT_HUGE, NULL, 0, "in huge pages", 0 },
	{ "forked", OPT_FORKED, NULL, 0, "that a child of fork() has not copied yet", 0 },
	{ "shared", OPT_SHARED, NULL, 0, "that a child shares, and writes to", 0 },
	{ "failing", OPT_FAILING, NULL, 0,
	  "go on until pages have stayed for want of a page and of isolation", 0 },
	{ "cheat", OPT_CHEAT, NULL, 0, "move a page more, which must be noticed", 0 },
	{ }
};

static const struct args_option simple[] = {
	{ OPT_MIB, ARGS_COUNT, &option.mib, 2, 1e6 },
	{ OPT_HUGE, ARGS_NONE, &option.huge, 0, 0 },
	{ OPT_FORKED, ARGS_NONE, &option.forked, 0, 0 },
	{ OPT_SHARED, ARGS_NONE, &option.shared, 0, 0 },
	{ OPT_FAILING, ARGS_NONE, &option.failing, 0, 0 },
	{ OPT_CHEAT, ARGS_NONE, &option.cheat, 0, 0 },
	{ }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_END && option.huge && option.shared)
		argp_error(state, "shared memory has no huge pages by default");
	return args_set(simple, key, arg, state);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse, NULL, doc, NULL, NULL, NULL };
	static struct state before, after;
	pid_t child = 0;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	tiers_learn();
	ktierd_find();
	ktierd_switch(false);
	make_memory();
	if (option.forked || option.shared)
		child = start_child();
	take_state(&before);
	ktierd_switch(true);
	use_until_moved(&before);
	take_state(&after);
	if (option.cheat) {
		cheat();
		count_pages(&after);
	}
	if (child) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return compare(&before, &after);
}
