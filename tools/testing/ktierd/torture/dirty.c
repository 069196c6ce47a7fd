// SPDX-License-Identifier: GPL-2.0
/*
 * dirtytorture: is a byte ever lost of memory that ktierd looks after?
 *
 * Threads, each with a region of memory marked with MADV_TIER, private and
 * anonymous or shared and of a memfd or of a file on a disk, and now and then a
 * child of each, do at random whatever writes memory, frees it, moves it, merges
 * it, pins it, watches it, dumps it, swaps it out or writes it back. What every
 * page has to hold is known at any time, and is kept in memory that is not marked
 * and that is locked. Only the thread itself, or its child, changes what its pages
 * hold, but others, too, swap them out and move them meanwhile.
 *
 * It is to run in a control group that is smaller than its memory, on a machine
 * with swap and two tiers: see the script beside.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/args.h"
#include "operations.h"

#define PROGRESS_S		10
#define SUDDEN_TIMES		24	/* the time that a damage has to be noticed */

struct options option = {
	.seconds = 1200,
	.mib = 192,
	.threads = 6,
};

struct worker workers[MAX_THREADS];
u64 started_ns;
int direct_fd = -1;
static bool stop;

static void *work(void *arg)
{
	struct worker *me = arg;
	struct range all = { .first = 0, .pages = me->region.pages };

	for (size_t i = 0; i < all.pages; i++)
		fill(me, i);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		step(me);
	damage_at_end(me);
	verify_range(me, all);
	if (is_file(me))
		verify_disk(me);
	return NULL;
}

/* Memory for what is known, which is to be neither swapped nor moved. */
static void *locked_memory(size_t size, int flags)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	if (memory == MAP_FAILED || mlock(memory, size))
		fail("cannot have %zu KiB of locked memory (%s).", size >> 10, strerror(errno));
	madvise(memory, size, MADV_DONTDUMP);
	return memory;
}

bool mark_memory(const struct region *region, void *from, size_t size)
{
	static const int advice[] = {
		[REGION_SMALL] = MADV_NOHUGEPAGE, [REGION_HUGE] = MADV_HUGEPAGE,
	};

	return (region->kind >= REGION_COLLAPSED ||
		!madvise(from, size, advice[region->kind])) && !madvise(from, size, MADV_TIER);
}

void *map_memory(const struct region *region, void *from, size_t size, int flags)
{
	off_t where = (char *)from - region->base;

	if (region->kind >= REGION_SHARED)
		return mmap(from, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, region->fd,
			    where);
	return mmap(from, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

/* It has no name: nothing is left of it, and a core dump takes it for memory. */
static int open_file(void)
{
	return open(option.files, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* The same file, past the page cache. */
static int open_disk(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static void make_file(struct region *region)
{
	bool on_disk = region->kind == REGION_FILE;

	region->fd = on_disk ? open_file() : memfd_create("dirtytorture", MFD_CLOEXEC);
	if (region->fd < 0 || ftruncate(region->fd, region->pages * PAGE_SIZE))
		fail("cannot have a %s (%s).", on_disk ? "file" : "memfd", strerror(errno));
	region->disk = on_disk ? open_disk(region->fd) : -1;
	if (on_disk && region->disk < 0)
		fail("cannot open a file in %s with O_DIRECT (%s).", option.files,
		     strerror(errno));
}

static void make_region(struct worker *me)
{
	struct region *region = &me->region;
	int known = MAP_PRIVATE;
	size_t size;

	region->kind = me->index % (option.files ? REGION_KINDS : REGION_FILE);
	region->pages = option.mib / option.threads * (1048576 / PAGE_SIZE) & ~(HUGE_PAGES - 1);
	size = region->pages * PAGE_SIZE;
	if (is_shared(me)) {
		known = MAP_SHARED;
		make_file(region);
	}
	region->expected = locked_memory(region->pages * sizeof(*region->expected), known);
	region->history = locked_memory((region->pages + 1) * sizeof(*region->history), known);
	region->base = place_in_lane(me, 0, 0);
	if (map_memory(region, region->base, size, MAP_FIXED_NOREPLACE) == MAP_FAILED)
		fail("no room for %zu MiB (%s).", size >> 20, strerror(errno));
	if (!mark_memory(region, region->base, size))
		fail("madvise() failed (%s): is this a kernel with huge pages and ktierd?",
		     strerror(errno));
}

static void make_worker(unsigned int index)
{
	struct worker *me = &workers[index];

	me->index = index;
	me->dice.state = ((u64)option.seed << 32) + index;
	me->dice.state = draw(me);
	me->tally = locked_memory(sizeof(*me->tally) + 2 * nr_operations * sizeof(u64), MAP_SHARED);
	me->tally->done = (u64 *)(me->tally + 1);
	me->tally->in_vain = me->tally->done + nr_operations;
	make_region(me);
}

/* What is printed */

static u64 vm_counter(const char *name)
{
	char line[128], found[64];
	u64 value;
	FILE *file = fopen("/proc/vmstat", "re");

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %llu", found, &value) == 2 && !strcmp(found, name)) {
			fclose(file);
			return value;
		}
	fclose(file);
	return 0;
}

static u64 sum_done(unsigned int operation)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < option.threads; i++)
		sum += __atomic_load_n(&workers[i].tally->done[operation], __ATOMIC_RELAXED);
	return sum;
}

static u64 sum_in_vain(unsigned int operation)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < option.threads; i++)
		sum += __atomic_load_n(&workers[i].tally->in_vain[operation], __ATOMIC_RELAXED);
	return sum;
}

static u64 all_done(void)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < nr_operations; i++)
		sum += sum_done(i) + sum_in_vain(i);
	return sum;
}

static u64 all_verified(void)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < option.threads; i++)
		sum += __atomic_load_n(&workers[i].tally->verified, __ATOMIC_RELAXED);
	return sum;
}

static u64 all_in_children(void)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < option.threads; i++)
		sum += __atomic_load_n(&workers[i].tally->in_children, __ATOMIC_RELAXED);
	return sum;
}

static void print_progress(void)
{
	static const struct {
		const char *what, *counter;
	} counters[] = {
		{ "swapped in", "pswpin" }, { "out", "pswpout" },
		{ "promoted", "ktierd_pages_promoted" }, { "demoted", "ktierd_pages_demoted" },
	};
	static u64 first[ARRAY_SIZE(counters)];
	static bool begun;

	if (begun)
		printf("%5.0f s: %llu operations, %llu pages verified",
		       (now_ns() - started_ns) / 1e9, all_done(), all_verified());
	for (unsigned int i = 0; i < ARRAY_SIZE(counters); i++) {
		if (!begun)
			first[i] = vm_counter(counters[i].counter);
		else
			printf(", %s %llu", counters[i].what,
			       vm_counter(counters[i].counter) - first[i]);
	}
	if (begun)
		printf("\n");
	begun = true;
	fflush(stdout);
}

/* True if all operations were done that should have been, in so many steps. */
static bool print_table(void)
{
	u64 in_children = all_in_children();
	bool all = true;

	printf("dirtytorture: %-14s %12s %12s\n", "operation", "done", "in vain");
	for (unsigned int i = 0; i < nr_operations; i++) {
		bool missed = !sum_done(i) &&
			      operation_is_missed(i, all_done() - in_children, in_children);

		printf("dirtytorture: %-14s %12llu %12llu%s\n", operation_name(i), sum_done(i),
		       sum_in_vain(i), missed ? " NEVER DONE" : "");
		all &= !missed;
	}
	printf("dirtytorture: %llu operations, %llu of them in children\n", all_done(),
	       in_children);
	printf("dirtytorture: %llu pages verified, 0 wrong\n", all_verified());
	return all;
}

/* All of it. It returns if no page was wrong: false if it was not all. */
static bool torture(void)
{
	unsigned int i;

	for (i = 0; i < option.threads; i++)
		make_worker(i);
	started_ns = now_ns();
	print_progress();
	for (i = 0; i < option.threads; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			fail("cannot start a thread.");
	for (i = 0; i < option.seconds; i++) {
		if (i && i % PROGRESS_S == 0)
			print_progress();
		sleep(1);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < option.threads; i++)
		pthread_join(workers[i].thread, NULL);
	print_progress();
	return print_table();
}

/* The check of the checker */

static void torture_silently(unsigned int kind)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	damage_choose(kind);
	if (damage_is_sudden(kind))
		option.seconds *= SUDDEN_TIMES;
	torture();
	exit(EXIT_SUCCESS);
}

static const char *verdict(int status, int wanted)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) > EXIT_FAILURE)
		return "COULD NOT RUN";
	if (wanted == EXIT_SUCCESS)
		return WEXITSTATUS(status) ? "WRONG" : "nothing wrong";
	return WEXITSTATUS(status) ? "noticed" : "NOT NOTICED";
}

/* Is a damage noticed, and nothing where there is none? */
static bool notices(unsigned int kind)
{
	int status, wanted = damage_is_wanted(kind) ? EXIT_FAILURE : EXIT_SUCCESS;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		torture_silently(kind);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		fail("cannot start a process (%s).", strerror(errno));
	printf("dirtytorture: damaged: %s: %s\n", damage_name(kind), verdict(status, wanted));
	return WIFEXITED(status) && WEXITSTATUS(status) == wanted;
}

static int self_check(void)
{
	unsigned int good = 0;

	for (unsigned int kind = 0; kind < nr_damages; kind++)
		good += notices(kind);
	printf("dirtytorture: self-check: %u of %u as they should be\n", good, nr_damages);
	return good == nr_damages ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The command line */

enum {
	OPT_SECONDS = 256, OPT_MIB, OPT_SEED, OPT_THREADS, OPT_DIRECT, OPT_CORE,
	OPT_FILES, OPT_SELF_CHECK,
};

static const char doc[] =
"Write, free, swap out and move memory that is marked for ktierd, at random and\n"
"in several threads and processes, and see that no byte of it is ever lost.\n"
"\vExit status: 0 nothing was wrong, 1 something was, 2 it could not run.";

static const struct argp_option options[] = {
	{ "seconds", OPT_SECONDS, "N", 0, "how long (1200)", 0 },
	{ "mib", OPT_MIB, "N", 0, "memory, in MiB, of all threads together (192)", 0 },
	{ "seed", OPT_SEED, "N", 0, "of all that is drawn (by chance)", 0 },
	{ "threads", OPT_THREADS, "N", 0, "that work (6)", 0 },
	{ "direct", OPT_DIRECT, "FILE", 0,
	  "also do direct input and output with FILE, which is overwritten", 0 },
	{ "core", OPT_CORE, "DIRECTORY", 0,
	  "also dump core: the kernel's core_pattern must be DIRECTORY/core.%p", 0 },
	{ "files", OPT_FILES, "DIRECTORY", 0,
	  "also have memory of files in DIRECTORY, on a disk", 0 },
	{ "self-check", OPT_SELF_CHECK, NULL, 0,
	  "damage pages, and see that it is noticed: --seconds for what is seen at the end", 0 },
	{ }
};

static const struct args_option simple[] = {
	{ OPT_SECONDS, ARGS_COUNT, &option.seconds, 1, 1e7 },
	{ OPT_MIB, ARGS_COUNT, &option.mib, 2, 1e6 },
	{ OPT_SEED, ARGS_COUNT, &option.seed, 1, UINT32_MAX },
	{ OPT_THREADS, ARGS_COUNT, &option.threads, 1, MAX_THREADS },
	{ OPT_DIRECT, ARGS_TEXT, &option.direct, 0, 0 },
	{ OPT_CORE, ARGS_TEXT, &option.core, 0, 0 },
	{ OPT_FILES, ARGS_TEXT, &option.files, 0, 0 },
	{ OPT_SELF_CHECK, ARGS_NONE, &option.self_check, 0, 0 },
	{ }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is one argument too many", arg);
		return 0;
	case ARGP_KEY_END:
		if (option.mib / option.threads < 2)
			argp_error(state, "a thread wants 2 MiB at least");
		if (option.self_check && option.threads < REGION_KINDS)
			argp_error(state, "--self-check wants %u threads at least", REGION_KINDS);
		return 0;
	default:
		return args_set(simple, key, arg, state);
	}
}

static void open_direct(void)
{
	if (!option.direct)
		return;
	direct_fd = open(option.direct, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (direct_fd < 0)
		fail("cannot open %s (%s).", option.direct, strerror(errno));
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse, NULL, doc, NULL, NULL, NULL };

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	while (!option.seed)
		if (getrandom(&option.seed, sizeof(option.seed), 0) < 0)
			fail("there is no chance (%s).", strerror(errno));
	printf("dirtytorture: seed %u, %u threads, %u MiB, %u s\n", option.seed,
	       option.threads, option.mib, option.seconds);
	fflush(stdout);
	open_direct();
	if (option.self_check)
		return self_check();
	return torture() ? EXIT_SUCCESS : EXIT_FAILURE;
}
