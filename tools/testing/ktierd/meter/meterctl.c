// SPDX-License-Identifier: GPL-2.0
/*
 * meterctl: speak to the memory meter, from within the guest.
 *
 * The meter does not answer: what it has to say is in its output, on the host.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/tiers.h"
#include "../lib/util.h"
#include "mark.h"

#define NODES		"/sys/devices/system/node"
#define MEMORY		"/sys/devices/system/memory"

#define MAX_RANGES	32
#define MAX_RAM		128
#define MAX_HOLE	8192	/* blocks of memory */
#define SAMPLES		2	/* wanted of each range, at least */

/* Of free memory, for sampling: how much at once, and what to leave. */
#define CHUNK_KIB	4096UL
#define RESERVE_KIB	65536UL

#define LINE_SIZE	64
#define KIB		1024UL

/* The frame is in a page map's entry if its bit says that the page is present. */
#define PAGEMAP_PRESENT	0x8000000000000000ULL
#define PAGEMAP_FRAME	0x007fffffffffffffULL

static const char help[] =
"Usage: meterctl COMMAND [OPTION...]\n"
"\n"
"Speak to the memory meter, a plugin of the QEMU that this guest runs in.\n"
"\n"
"  calibrate      tell the meter which memory is in which tier; as root\n"
"  start, stop    switch counting on, with an empty cache, or off\n"
"  mark N         have it write a line with all counts and the number N\n"
"  snapshot N     have it write the counts by page of what is watched\n"
"  check NODE TIER  have it check that memory of NODE is in TIER: top or lower\n"
"  pinned NODE    watch memory of NODE, set mark 1, go over the memory with\n"
"                 counting on, set mark 2, and print what was done as JSON\n"
"\n"
"Options of pinned:\n"
"  --mib=N, --kib=N  how much memory (1 MiB)\n"
"  --stores       store 8 bytes to each line of 64 bytes instead of loading them\n"
"  --zeroes       instead read() zeroes from the kernel into all of it\n"
"  --passes=N     how often (1)\n"
"  --uneven       go over the pages 1, 2, ..., N, 1, 2, ... times, N of --passes\n"
"  --move-to=NODE  move the memory there before the second pass\n"
"  --mark=N       set marks N and N + 1 instead\n"
"  --snapshot     take snapshots with the same numbers\n"
"  --help         print this\n"
"\n"
"Exit status: 0 done, 2 not. The meter's own errors are in its output.\n";

static const char *const tier_names[] = { "top", "lower" };

static void *mailbox;

/* Have memory on this node, and what is there already by @flags. */
static void bind_to(int node, char *memory, size_t size, unsigned int flags)
{
	unsigned long nodes[TIERS_MAX_NODES / (8 * sizeof(long))] = { 0 };
	const size_t bits = 8 * sizeof(long);

	nodes[node / bits] |= 1UL << node % bits;
	if (syscall(SYS_mbind, memory, size, MPOL_BIND, nodes, (unsigned long)TIERS_MAX_NODES,
		    flags))
		fail("cannot have memory of node %d (%s).", node, strerror(errno));
}

/* Small pages of this node, all there. */
static char *allocate_on(int node, size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	if (memory == MAP_FAILED)
		fail("no room for %zu KiB (%s).", size / KIB, strerror(errno));

	bind_to(node, memory, size, 0);
	madvise(memory, size, MADV_NOHUGEPAGE);
	memset(memory, 1, size);
	return memory;
}

static enum meter_tier meter_tier_of(int node)
{
	return tier_of(node) == TIER_TOP ? METER_TOP : METER_LOWER;
}

static int parse_node(const char *text)
{
	int node = parse_number("NODE", text, 0, TIERS_MAX_NODES - 1);

	tiers_learn();
	if (tier_of(node) == TIER_UNKNOWN)
		fail("node %d has no memory, or is in no tier.", node);
	return node;
}

/* Where the memory is */

struct range {
	uint64_t start;		/* bytes */
	uint64_t end;
	int node;
	int samples;
};

static struct range ranges[MAX_RANGES];
static int nr_ranges;

static struct range ram[MAX_RAM];
static int nr_ram;

/* Blocks of memory are larger than what they hold: this is what is there. */
static void read_ram(void)
{
	unsigned long long start, end;
	char line[256];
	FILE *file;

	file = fopen("/proc/iomem", "r");
	if (!file)
		fail("cannot read /proc/iomem (%s).", strerror(errno));
	while (nr_ram < MAX_RAM && fgets(line, sizeof(line), file)) {
		if (!strstr(line, " : System RAM") ||
		    sscanf(line, "%llx-%llx", &start, &end) != 2)
			continue;
		if (!end)
			fail("/proc/iomem shows no addresses; run this as root.");
		ram[nr_ram].start = start;
		ram[nr_ram++].end = end + 1;
	}
	fclose(file);
}

static bool block_is_online(int block)
{
	char path[PATH_MAX], text[64];

	snprintf(path, sizeof(path), "%s/memory%d/state", MEMORY, block);
	return read_text(path, text, sizeof(text)) && !strcmp(text, "online\n");
}

static void add_block(int node, uint64_t start, uint64_t end)
{
	struct range *last = nr_ranges ? &ranges[nr_ranges - 1] : NULL;

	if (last && last->node == node && last->end == start) {
		last->end = end;
		return;
	}
	if (nr_ranges == MAX_RANGES)
		fail("the memory is in more than %d ranges.", MAX_RANGES);
	ranges[nr_ranges].node = node;
	ranges[nr_ranges].start = start;
	ranges[nr_ranges++].end = end;
}

/* Leave out what precedes the first memory in the range and follows the last. */
static void trim(struct range *range)
{
	uint64_t start = range->end, end = range->start;

	for (int i = 0; i < nr_ram; i++) {
		if (ram[i].end <= range->start || ram[i].start >= range->end)
			continue;
		if (ram[i].start < start)
			start = ram[i].start;
		if (ram[i].end > end)
			end = ram[i].end;
	}
	if (start > range->start)
		range->start = start;
	if (end < range->end)
		range->end = end;
}

static void find_ranges(void)
{
	unsigned long long size;
	char path[PATH_MAX], text[64];
	int block, last = -1;

	if (!read_text(MEMORY "/block_size_bytes", text, sizeof(text)) ||
	    sscanf(text, "%llx", &size) != 1)
		fail("cannot read " MEMORY "/block_size_bytes.");
	/* Blocks go by address: the highest number is not known, nor are all there. */
	for (block = 0; block - last < MAX_HOLE; block++) {
		if (!block_is_online(block))
			continue;
		last = block;
		for (int node = 0; node < TIERS_MAX_NODES; node++) {
			snprintf(path, sizeof(path), NODES "/node%d/memory%d", node, block);
			if (tier_of(node) != TIER_UNKNOWN && !access(path, F_OK))
				add_block(node, block * size, (block + 1) * size);
		}
	}
	read_ram();
	for (int i = 0; i < nr_ranges; i++)
		trim(&ranges[i]);
}

/* Calibration */

static uint64_t frame_of(const void *page)
{
	static int pagemap = -1;
	uint64_t entry;

	if (pagemap < 0)
		pagemap = open("/proc/self/pagemap", O_RDONLY);
	if (pread(pagemap, &entry, sizeof(entry),
		  ((uintptr_t)page >> METER_PAGE_SHIFT) * sizeof(entry)) != sizeof(entry))
		fail("cannot read /proc/self/pagemap (%s).", strerror(errno));
	if (!(entry & PAGEMAP_PRESENT) || !(entry & PAGEMAP_FRAME))
		fail("cannot tell where a page is; run this as root.");
	return entry & PAGEMAP_FRAME;
}

static unsigned long free_kib(int node)
{
	char path[PATH_MAX], line[256];
	unsigned long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), NODES "/node%d/meminfo", node);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Node %*d MemFree: %lu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

static struct range *range_of(uint64_t frame)
{
	uint64_t address = frame << METER_PAGE_SHIFT;

	for (int i = 0; i < nr_ranges; i++)
		if (address >= ranges[i].start && address < ranges[i].end)
			return &ranges[i];
	return NULL;
}

/* The first sample teaches the meter; any other one checks what it learned. */
static void use_sample(char *page)
{
	uint64_t frame = frame_of(page);
	struct range *range = range_of(frame);

	if (!range || range->samples == SAMPLES)
		return;
	meter_sample(page, frame);
	if (range->samples++)
		meter_check(page, meter_tier_of(range->node));
	if (frame_of(page) != frame)
		fail("a page moved meanwhile; do this again.");
}

static bool needs_samples(int node)
{
	for (int i = 0; i < nr_ranges; i++)
		if (ranges[i].node == node && ranges[i].samples < SAMPLES)
			return true;
	return false;
}

/* The kernel gives the memory of some range last: keep what it gives before. */
static void sample_node(int node)
{
	const size_t size = CHUNK_KIB * KIB;

	while (needs_samples(node) && free_kib(node) > CHUNK_KIB + RESERVE_KIB) {
		char *chunk = allocate_on(node, size);

		/* The ends, so that pages are apart. */
		for (size_t i = 0; i < size / 2; i += METER_PAGE_SIZE) {
			use_sample(chunk + i);
			use_sample(chunk + size - METER_PAGE_SIZE - i);
		}
	}
}

static void tell_ranges(void)
{
	meter_stop(mailbox);
	meter_forget(mailbox);
	for (int i = 0; i < nr_ranges; i++)
		meter_range(mailbox, ranges[i].start >> METER_PAGE_SHIFT,
			    ranges[i].end >> METER_PAGE_SHIFT, meter_tier_of(ranges[i].node));
}

static void calibrate(void)
{
	bool done[2] = { false };

	tiers_learn();
	find_ranges();
	tell_ranges();
	for (int node = 0; node < TIERS_MAX_NODES; node++)
		if (tier_of(node) != TIER_UNKNOWN)
			sample_node(node);
	for (int i = 0; i < nr_ranges; i++) {
		int tier = meter_tier_of(ranges[i].node);

		printf("node %d, %s tier: %#llx-%#llx%s\n", ranges[i].node, tier_names[tier],
		       (unsigned long long)ranges[i].start, (unsigned long long)ranges[i].end,
		       ranges[i].samples ? "" : ": no page to be had, not known to the meter");
		done[tier] |= ranges[i].samples;
	}
	if (!done[METER_TOP] || !done[METER_LOWER])
		fail("the meter does not know a top and a lower tier now.");
}

static void check(const char *node_text, const char *tier_text)
{
	int tier;

	for (tier = METER_TOP; tier <= METER_LOWER; tier++)
		if (!strcmp(tier_text, tier_names[tier]))
			break;
	if (tier > METER_LOWER)
		fail("TIER is top or lower, not '%s'.", tier_text);
	meter_check(allocate_on(parse_node(node_text), METER_PAGE_SIZE), tier);
}

/* Known numbers of accesses */

struct options {
	unsigned long kib;
	unsigned long passes;
	unsigned long mark;
	int move_to;
	bool stores;
	bool zeroes;
	bool uneven;
	bool snapshot;
};

static struct options option = {
	.kib = 1024,
	.passes = 1,
	.mark = 1,
	.move_to = -1,
};

/* Exactly one access each, whatever the compiler thinks of it. */
static inline void load(const char *address)
{
	unsigned long value;

	asm volatile("movq (%1), %0" : "=r" (value) : "r" (address) : "memory");
}

static inline void store(char *address)
{
	asm volatile("movq $0, (%0)" : : "r" (address) : "memory");
}

static void walk_page(char *page)
{
	for (size_t i = 0; i < METER_PAGE_SIZE; i += LINE_SIZE) {
		if (option.stores)
			store(page + i);
		else
			load(page + i);
	}
}

static unsigned long walk(char *memory, size_t size)
{
	unsigned long walked = 0;

	for (unsigned long pass = 0; pass < option.passes; pass++) {
		if (pass == 1 && option.move_to >= 0)
			bind_to(option.move_to, memory, size, MPOL_MF_MOVE | MPOL_MF_STRICT);
		for (unsigned long page = 0; page < size >> METER_PAGE_SHIFT; page++) {
			if (option.uneven && pass > page % option.passes)
				continue;
			walk_page(memory + (page << METER_PAGE_SHIFT));
			walked++;
		}
	}
	return walked * (METER_PAGE_SIZE / LINE_SIZE);
}

/* The kernel's stores: how many it makes of it is its own affair. */
static void read_zeroes(char *memory, size_t size)
{
	int zero = open("/dev/zero", O_RDONLY);

	for (unsigned long pass = 0; pass < option.passes; pass++)
		for (size_t got = 0; got < size; got += METER_PAGE_SIZE)
			if (read(zero, memory + got, METER_PAGE_SIZE) != METER_PAGE_SIZE)
				fail("cannot read /dev/zero (%s).", strerror(errno));
	close(zero);
}

static void note(unsigned long number)
{
	meter_mark(mailbox, number);
	if (option.snapshot)
		meter_snapshot(mailbox, number);
}

static void pinned(const char *node_text)
{
	int node = parse_node(node_text);
	size_t size = option.kib * KIB;
	unsigned long accesses = 0;
	char *memory;

	memory = allocate_on(node, size);
	meter_watch(mailbox, memory, size);
	note(option.mark);
	meter_start(mailbox);
	if (option.zeroes)
		read_zeroes(memory, size);
	else
		accesses = walk(memory, size);
	meter_stop(mailbox);
	note(option.mark + 1);
	printf("{\"node\":%d,\"kind\":\"%s\",\"marks\":[%lu,%lu],\"pages\":%lu,",
	       node, option.zeroes ? "zeroes" : option.stores ? "store" : "load",
	       option.mark, option.mark + 1, size >> METER_PAGE_SHIFT);
	printf("\"passes\":%lu,\"accesses\":%lu}\n", option.passes, accesses);
}

/* The command line */

static void parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "mib", required_argument, NULL, 'm' },
		{ "kib", required_argument, NULL, 'k' },
		{ "stores", no_argument, NULL, 's' },
		{ "zeroes", no_argument, NULL, 'z' },
		{ "passes", required_argument, NULL, 'p' },
		{ "uneven", no_argument, NULL, 'u' },
		{ "move-to", required_argument, NULL, 't' },
		{ "mark", required_argument, NULL, 'n' },
		{ "snapshot", no_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'm') {
			option.kib = parse_number("--mib", optarg, 1, 1048576) * KIB;
		} else if (c == 'k') {
			option.kib = parse_number("--kib", optarg, 4, 1048576);
			if (option.kib % 4)
				fail("--kib takes a multiple of 4, not '%s'.", optarg);
		} else if (c == 's') {
			option.stores = true;
		} else if (c == 'z') {
			option.zeroes = true;
		} else if (c == 'p') {
			option.passes = parse_number("--passes", optarg, 1, 1000000);
		} else if (c == 'u') {
			option.uneven = true;
		} else if (c == 't') {
			option.move_to = parse_node(optarg);
		} else if (c == 'n') {
			option.mark = parse_number("--mark", optarg, 0, LONG_MAX);
		} else if (c == 'o') {
			option.snapshot = true;
		} else if (c == 'h') {
			fputs(help, stdout);
			exit(0);
		} else {
			fail("see 'meterctl --help'.");
		}
	}
}

static bool is_command(char **argv, int argc, const char *name, int arguments)
{
	if (!argc || strcmp(argv[0], name))
		return false;
	if (argc != arguments + 1)
		fail("'%s' takes %d argument%s; see 'meterctl --help'.", name, arguments,
		     arguments == 1 ? "" : "s");
	return true;
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	argv += optind;
	argc -= optind;
	mailbox = meter_open();
	if (!mailbox)
		fail("out of memory.");
	if (is_command(argv, argc, "calibrate", 0))
		calibrate();
	else if (is_command(argv, argc, "start", 0))
		meter_start(mailbox);
	else if (is_command(argv, argc, "stop", 0))
		meter_stop(mailbox);
	else if (is_command(argv, argc, "mark", 1))
		meter_mark(mailbox, parse_number("mark", argv[1], 0, LONG_MAX));
	else if (is_command(argv, argc, "snapshot", 1))
		meter_snapshot(mailbox, parse_number("snapshot", argv[1], 0, LONG_MAX));
	else if (is_command(argv, argc, "check", 2))
		check(argv[1], argv[2]);
	else if (is_command(argv, argc, "pinned", 1))
		pinned(argv[1]);
	else
		fail("say what to do; see 'meterctl --help'.");
	return 0;
}
