// SPDX-License-Identifier: GPL-2.0
/*
 * torturehog: a process with memory, for chaos to kill. Each page of the memory
 * holds its number and the round in which it was written, which is looked at
 * again and again.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/args.h"

#ifndef MADV_TIER
#define MADV_TIER		96
#endif
#ifndef PR_SET_TIER
#define PR_SET_TIER		0x54494552
#endif
#define MPOL_PREFERRED		1
#define MPOL_BIND		2

#define PAGE_SIZE		4096UL
#define ANY_NODE		64
#define FILL_SECONDS		180
#define EXIT_PARTLY		3
#define HOT_SHARE		8		/* one page of so many is used all the while */

static struct {
	unsigned int mib, node, execs;
	double seconds;
	bool fill, bind, mark, mark_process;
} option = {
	.mib = 8,
	.node = ANY_NODE,
	.seconds = 1,
};

/* What is free on a node. */
static size_t free_on_node(unsigned int node)
{
	char path[64], line[128];
	size_t kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", node);
	file = fopen(path, "r");
	if (!file)
		fail("node %u is not there (%s).", node, strerror(errno));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Node %*u MemFree: %zu", &kib) == 1)
			break;
	fclose(file);
	return kib << 10;
}

static char *make_memory(size_t size)
{
	unsigned long nodes = 1UL << option.node % 64;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		fail("no room for %zu MiB (%s).", size >> 20, strerror(errno));
	if (option.node != ANY_NODE &&
	    syscall(SYS_mbind, memory, size, option.bind ? MPOL_BIND : MPOL_PREFERRED, &nodes,
		    64, 0))
		fail("node %u is not to be had (%s).", option.node, strerror(errno));
	if (option.mark && madvise(memory, size, MADV_TIER))
		fail("madvise(MADV_TIER) failed (%s).", strerror(errno));
	if (option.mark_process && prctl(PR_SET_TIER, 1, 0, 0, 0))
		fail("prctl(PR_SET_TIER) failed (%s).", strerror(errno));
	return memory;
}

static volatile u64 *word_at(char *memory, size_t i)
{
	/* Not always the same word, as KSM may be at work. */
	return (u64 *)(memory + i * PAGE_SIZE + i % 500 * 8);
}

static void check_page(char *memory, size_t i, u64 round)
{
	u64 wanted = round << 32 | i, found = *word_at(memory, i);

	if (found == wanted)
		return;
	fprintf(stderr, "torturehog: WRONG: page %zu of %u MiB holds %#llx and not %#llx\n", i,
		option.mib, found, wanted);
	exit(EXIT_FAILURE);
}

static void write_page(char *memory, size_t i, u64 round)
{
	*word_at(memory, i) = round << 32 | i;
}

static volatile sig_atomic_t stop;

static void end_early(int signal)
{
	(void)signal;
	stop = 1;
}

/*
 * As many as can be had in reasonable time: where all memory is full, and some of
 * what programs run from has to be read again and again, that may be few.
 */
static size_t fill(char *memory, size_t pages, u64 round)
{
	u64 end_ns = now_ns() + FILL_SECONDS * NSEC_PER_SEC;
	size_t i;

	for (i = 0; i < pages && now_ns() < end_ns; i++)
		write_page(memory, i, round);
	return i;
}

/* The hot pages are written again and again. All are looked at in the end. */
static bool use(char *memory, size_t wanted)
{
	u64 end_ns = now_ns() + (u64)(option.seconds * NSEC_PER_SEC), round = 1;
	size_t i, pages;

	pages = fill(memory, wanted, round);
	while (now_ns() < end_ns && !stop) {
		for (i = 0; i < pages; i += HOT_SHARE) {
			check_page(memory, i, round);
			write_page(memory, i, round + 1);
		}
		round++;
		usleep(10000);
	}
	for (i = 0; i < pages; i++)
		check_page(memory, i, i % HOT_SHARE ? 1 : round);
	/* The last ones are hardly to be had: programs are read again and again for them. */
	return pages >= wanted - wanted / 10;
}

/* If memory runs out it is us that the kernel is to kill. */
static void volunteer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1000", 4) != 4)
		fail("cannot set oom_score_adj (%s).", strerror(errno));
	close(fd);
}

/* The command line */

enum {
	OPT_MIB = 256, OPT_NODE, OPT_FILL, OPT_BIND, OPT_MARK, OPT_MARK_PROCESS, OPT_SECONDS,
	OPT_EXECS,
};

static const char doc[] =
"Have memory for a while, or until SIGTERM, and see that it is what it should be.\n"
"\vExit status: 0 it was, 1 it was not, 2 it could not run, 3 it was, but there was\n"
"less than nine tenths of it within a minute.";

static const struct argp_option options[] = {
	{ "mib", OPT_MIB, "N", 0, "memory, in MiB (8)", 0 },
	{ "node", OPT_NODE, "N", 0, "that it is to come from (any)", 0 },
	{ "fill", OPT_FILL, NULL, 0, "as much more as is free on that node", 0 },
	{ "bind", OPT_BIND, NULL, 0, "from that node only", 0 },
	{ "mark", OPT_MARK, NULL, 0, "for ktierd", 0 },
	{ "mark-process", OPT_MARK_PROCESS, NULL, 0, "for ktierd, all of it", 0 },
	{ "seconds", OPT_SECONDS, "S", 0, "how long, once it is written (1)", 0 },
	{ "execs", OPT_EXECS, "N", 0, "do it all again so many times in a new program", 0 },
	{ }
};

static const struct args_option simple[] = {
	{ OPT_MIB, ARGS_COUNT, &option.mib, 0, 1e6 },
	{ OPT_NODE, ARGS_COUNT, &option.node, 0, ANY_NODE - 1 },
	{ OPT_FILL, ARGS_NONE, &option.fill, 0, 0 },
	{ OPT_BIND, ARGS_NONE, &option.bind, 0, 0 },
	{ OPT_MARK, ARGS_NONE, &option.mark, 0, 0 },
	{ OPT_MARK_PROCESS, ARGS_NONE, &option.mark_process, 0, 0 },
	{ OPT_SECONDS, ARGS_NUMBER, &option.seconds, 0, 1e6 },
	{ OPT_EXECS, ARGS_COUNT, &option.execs, 0, 1000 },
	{ }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_END && option.fill && option.node == ANY_NODE)
		argp_error(state, "--fill wants a --node");
	return args_set(simple, key, arg, state);
}

/* The last of options of the same name counts. */
static void run_again(char **argv, int argc)
{
	char **again = allocate(argc + 2, sizeof(*again)), execs[32];

	memcpy(again, argv, argc * sizeof(*again));
	snprintf(execs, sizeof(execs), "--execs=%u", option.execs - 1);
	again[argc] = execs;
	execv("/proc/self/exe", again);
	fail("cannot run again (%s).", strerror(errno));
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse, NULL, doc, NULL, NULL, NULL };
	bool all = true;
	size_t size;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	volunteer();
	signal(SIGTERM, end_early);
	size = (size_t)option.mib << 20;
	if (option.fill)
		size += free_on_node(option.node);
	if (size)
		all = use(make_memory(size), size / PAGE_SIZE);
	if (option.execs)
		run_again(argv, argc);
	return all ? EXIT_SUCCESS : EXIT_PARTLY;
}
