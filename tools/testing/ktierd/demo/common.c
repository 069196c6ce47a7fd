// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"

#define KTIERD		"/sys/kernel/mm/ktierd"
#define MEMORY_TIERS	"/sys/devices/virtual/memory_tiering"
#define NODES_WITH_CPU	"/sys/devices/system/node/has_cpu"

#define MAX_NODES	1024
#define MAX_TIERS	1024

/* Pages asked about, or moved, in one call. */
#define CHUNK_PAGES	4096UL

static unsigned long parse_number(const char *option, const char *text,
				  unsigned long min, unsigned long max)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' ||
	    number < min || number > max)
		fail("%s takes a number from %lu to %lu, not '%s'.",
		     option, min, max, text);
	return number;
}

void parse_options(int argc, char **argv, const char *help, struct options *options)
{
	static const struct option known[] = {
		{ "mib", required_argument, NULL, 'm' },
		{ "hot-percent", required_argument, NULL, 'p' },
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "summary", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ "socket", required_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'm') {
			options->mib = parse_number("--mib", optarg, 1, 1048576);
		} else if (c == 'p') {
			options->hot_percent = parse_number("--hot-percent", optarg, 1, 100);
		} else if (c == 's') {
			options->seconds = parse_number("--seconds", optarg, 1, 86400);
		} else if (c == 'r') {
			options->seed = parse_number("--seed", optarg, 0, ~0UL);
		} else if (c == 'o') {
			options->summary = optarg;
		} else if (c == 'u' && options->takes_socket) {
			options->socket = optarg;
		} else if (c == 'h') {
			fputs(help, stdout);
			exit(0);
		} else {
			fail("see '%s --help'.", program_invocation_short_name);
		}
	}
	if (optind < argc)
		fail("'%s' is one argument too many; see '%s --help'.", argv[optind],
		     program_invocation_short_name);
}

void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		fail("out of memory; give the machine more or ask for less.");
	return memory;
}

u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

u64 roll(struct dice *dice)
{
	u64 z = dice->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

u32 roll_below(struct dice *dice, u32 limit)
{
	return (roll(dice) >> 32) * limit >> 32;
}

u32 *draw(struct dice *dice, u32 total, u32 picked)
{
	u32 *things = allocate(total, sizeof(*things));

	for (u32 i = 0; i < total; i++)
		things[i] = i;
	for (u32 i = 0; i < picked; i++) {
		u32 other = i + roll_below(dice, total - i);
		u32 swap = things[i];

		things[i] = things[other];
		things[other] = swap;
	}
	return things;
}

/* The tiers */

static enum tier tier_of_node[MAX_NODES];

static bool read_text(const char *path, char *text, int size)
{
	FILE *file = fopen(path, "r");
	bool got;

	if (!file)
		return false;
	got = fgets(text, size, file);
	fclose(file);
	return got;
}

/* Set those of @nodes that the file at @path lists, as in "0-1,4". */
static bool read_nodes(const char *path, bool nodes[MAX_NODES])
{
	unsigned int first, last;
	char text[4096];
	char *range;
	int found;

	if (!read_text(path, text, sizeof(text)))
		return false;
	for (range = strtok(text, ","); range; range = strtok(NULL, ",")) {
		found = sscanf(range, "%u-%u", &first, &last);
		if (found < 1)
			return false;
		if (found == 1)
			last = first;
		for (; first <= last && first < MAX_NODES; first++)
			nodes[first] = true;
	}
	return true;
}

static bool read_tier(int id, bool nodes[MAX_NODES])
{
	char path[PATH_MAX];

	memset(nodes, 0, MAX_NODES * sizeof(*nodes));
	snprintf(path, sizeof(path), "%s/memory_tier%d/nodelist", MEMORY_TIERS, id);
	return read_nodes(path, nodes);
}

/*
 * Tiers are numbered from fast to slow. As in the kernel, the slowest one with
 * CPUs and all above it are the top, and what is slower is lower.
 */
void tiers_learn(void)
{
	static bool nodes[MAX_NODES], with_cpu[MAX_NODES];
	int top = -1;

	read_nodes(NODES_WITH_CPU, with_cpu);
	for (int id = 0; id < MAX_TIERS; id++) {
		if (!read_tier(id, nodes))
			continue;
		for (int node = 0; node < MAX_NODES; node++)
			if (nodes[node] && with_cpu[node])
				top = id;
	}
	for (int id = 0; id < MAX_TIERS; id++) {
		if (!read_tier(id, nodes))
			continue;
		for (int node = 0; node < MAX_NODES; node++)
			if (nodes[node])
				tier_of_node[node] = id <= top ? TIER_TOP : TIER_LOWER;
	}
	if (tiers_first_node(TIER_TOP) < 0 || tiers_first_node(TIER_LOWER) < 0)
		fail("this machine has no memory node in a lower tier (see %s).\n"
		     "Make one of persistent memory with 'ndctl create-namespace -m devdax' and\n"
		     "'daxctl reconfigure-device --mode=system-ram --movable daxX.Y'.",
		     MEMORY_TIERS);
}

int tiers_first_node(enum tier tier)
{
	for (int node = 0; node < MAX_NODES; node++)
		if (tier_of_node[node] == tier)
			return node;
	return -1;
}

static enum tier tier_of(int node)
{
	return node < 0 || node >= MAX_NODES ? TIER_UNKNOWN : tier_of_node[node];
}

/* Pages */

void pageset_alloc(struct pageset *set, pid_t pid, unsigned long capacity)
{
	set->pid = pid;
	set->count = 0;
	set->page = allocate(capacity, sizeof(*set->page));
	set->node = allocate(capacity, sizeof(*set->node));
	set->hot = allocate(capacity, sizeof(*set->hot));
}

static unsigned long chunk(const struct pageset *set, unsigned long from)
{
	unsigned long rest = set->count - from;

	return rest < CHUNK_PAGES ? rest : CHUNK_PAGES;
}

void pageset_locate(struct pageset *set, struct placement *placement)
{
	memset(placement, 0, sizeof(*placement));
	for (unsigned long i = 0; i < set->count; i += CHUNK_PAGES)
		if (syscall(SYS_move_pages, set->pid, chunk(set, i),
			    set->page + i, NULL, set->node + i, 0))
			fail("the kernel did not say where pages are (%s); run it as root.",
			     strerror(errno));
	for (unsigned long i = 0; i < set->count; i++) {
		enum tier tier = tier_of(set->node[i]);

		if (set->hot[i]) {
			placement->hot++;
			placement->hot_top += tier == TIER_TOP;
		} else {
			placement->idle++;
			placement->idle_lower += tier == TIER_LOWER;
		}
	}
}

static void move_to(const struct pageset *set, int node)
{
	static int nodes[CHUNK_PAGES], status[CHUNK_PAGES];
	static void *page[CHUNK_PAGES];
	unsigned long i = 0, n;

	for (n = 0; n < CHUNK_PAGES; n++)
		nodes[n] = node;
	while (i < set->count) {
		for (n = 0; n < CHUNK_PAGES && i < set->count; i++)
			if (set->node[i] == node)
				page[n++] = set->page[i];
		/* A positive result is a number of pages that stayed: the report shows. */
		if (n && syscall(SYS_move_pages, set->pid, n, page, nodes, status,
				 MPOL_MF_MOVE_ALL) < 0)
			fail("the kernel did not move pages (%s); run it as root.",
			     strerror(errno));
	}
}

void pageset_move(const struct pageset *set)
{
	/* Node by node: pages for different nodes are not moved in one go. */
	for (int node = 0; node < MAX_NODES; node++)
		if (tier_of_node[node] != TIER_UNKNOWN)
			move_to(set, node);
}

/* ktierd */

static clockid_t ktierd_clock;

static u64 ktierd_count(const char *name)
{
	char path[PATH_MAX], text[64];

	snprintf(path, sizeof(path), "%s/%s", KTIERD, name);
	if (!read_text(path, text, sizeof(text)))
		fail("cannot read %s; boot a kernel built with CONFIG_KTIERD=y.", path);
	return strtoull(text, NULL, 10);
}

static pid_t find_thread(const char *name)
{
	char path[PATH_MAX], comm[64];
	struct dirent *entry;
	pid_t found = 0;
	DIR *proc = opendir("/proc");

	if (!proc)
		fail("cannot read /proc (%s).", strerror(errno));
	while (!found && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (!read_text(path, comm, sizeof(comm)))
			continue;
		comm[strcspn(comm, "\n")] = '\0';
		if (!strcmp(comm, name))
			found = atoi(entry->d_name);
	}
	closedir(proc);
	return found;
}

void ktierd_find(void)
{
	pid_t pid;

	if (!ktierd_count("enabled"))
		fail("ktierd is switched off; do 'echo 1 > %s/enabled' first.", KTIERD);
	pid = find_thread("ktierd");
	if (!pid || clock_getcpuclockid(pid, &ktierd_clock))
		fail("there is no thread ktierd; see the kernel's log, 'dmesg'.");
}

static void switch_on(void)
{
	FILE *file = fopen(KTIERD "/enabled", "w");

	if (file) {
		fputs("1", file);
		fclose(file);
	}
}

void ktierd_switch(bool on)
{
	static bool promised;
	FILE *file;

	if (!promised && atexit(switch_on))
		fail("out of memory.");
	promised = true;
	file = fopen(KTIERD "/enabled", "w");
	if (!file || fprintf(file, "%d", on) < 0 || fclose(file))
		fail("cannot write to %s/enabled (%s); run it as root.", KTIERD,
		     strerror(errno));
}

void ktierd_figures(struct figures *figures)
{
	struct timespec cpu;

	if (clock_gettime(ktierd_clock, &cpu))
		fail("the thread ktierd is gone; see the kernel's log, 'dmesg'.");
	figures->cpu_ns = cpu.tv_sec * NSEC_PER_SEC + cpu.tv_nsec;
	figures->promoted = ktierd_count("pages_promoted");
	figures->demoted = ktierd_count("pages_demoted");
}

/* The report */

#define BAR_WIDTH 10

double percent(unsigned long part, unsigned long whole)
{
	return whole ? 100.0 * part / whole : 100.0;
}

double shown(double percentage)
{
	return (int)(percentage * 10) / 10.0;
}

static const char *bar(double percentage)
{
	static const char full[] = "##########", empty[] = "..........";
	static char bars[2][BAR_WIDTH + 1];
	static int turn;
	int length = percentage * BAR_WIDTH / 100 + 0.5;

	turn = !turn;
	snprintf(bars[turn], sizeof(bars[turn]), "%.*s%s", length, full,
		 empty + length);
	return bars[turn];
}

static void print_head(const struct report *report)
{
	printf("\n"
	       "time  hot pages in DRAM  idle pages in PMEM  promoted   demoted  ktierd %8s\n"
	       "   s      %%                   %%                 pages     pages  CPU ms %8s\n",
	       report->work, "a second");
}

/* What is read at the beginning of a line; a line shows the difference of two. */
struct moment {
	u64 ns;
	u64 work;
	struct figures ktierd;
};

static void take_moment(const struct report *report, struct moment *now)
{
	now->ns = now_ns();
	now->work = report->work_done();
	ktierd_figures(&now->ktierd);
}

static void print_line(const struct report *report, const struct moment *before,
		       const struct moment *now)
{
	const struct placement *last = &report->last;
	double hot = percent(last->hot_top, last->hot);
	double idle = percent(last->idle_lower, last->idle);
	double passed_s = (now->ns - before->ns) / 1e9;

	printf("%4.0f  %5.1f %s    %5.1f %s  %8llu  %8llu  %6.0f %8.0f\n",
	       report->time_s, shown(hot), bar(hot), shown(idle), bar(idle),
	       report->total.promoted, report->total.demoted,
	       (now->ktierd.cpu_ns - before->ktierd.cpu_ns) / 1e6,
	       report->time_s < 1 ? 0 : (now->work - before->work) / passed_s);
	fflush(stdout);
}

static void sleep_until(u64 ns)
{
	struct timespec until = {
		.tv_sec = ns / NSEC_PER_SEC,
		.tv_nsec = ns % NSEC_PER_SEC,
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static bool hot_enough(const struct placement *placement)
{
	return percent(placement->hot_top, placement->hot) >= HOT_BAR_PERCENT;
}

static bool finished(const struct report *report, unsigned long second)
{
	return second > report->seconds &&
	       (second > report->patience || hot_enough(&report->last));
}

void report_run(struct report *report)
{
	struct moment start, before, now;

	print_head(report);
	take_moment(report, &start);
	before = start;
	report->reached_s = -1;

	for (unsigned long second = 0; !finished(report, second);) {
		sleep_until(start.ns + second * NSEC_PER_SEC);
		take_moment(report, &now);
		pageset_locate(report->set, &report->last);

		report->time_s = (now.ns - start.ns) / 1e9;
		report->total.promoted = now.ktierd.promoted - start.ktierd.promoted;
		report->total.demoted = now.ktierd.demoted - start.ktierd.demoted;
		report->total.cpu_ns = now.ktierd.cpu_ns - start.ktierd.cpu_ns;
		if (report->reached_s < 0 && hot_enough(&report->last))
			report->reached_s = report->time_s;
		print_line(report, &before, &now);

		before = now;
		/* On a slow machine a line may take longer than a second. */
		second = (now_ns() - start.ns) / NSEC_PER_SEC + 1;
	}
}

FILE *summary_open(const char *path)
{
	FILE *out = path ? fopen(path, "a") : stdout;

	if (!out)
		fail("cannot write to %s (%s).", path, strerror(errno));
	return out;
}

bool judge(FILE *out, bool met)
{
	fputs(met ? "  met      " : "  NOT MET  ", out);
	return met;
}

bool judge_hot(FILE *out, const struct report *report, const char *what)
{
	bool in_time = !report->hot_within_s ||
		       (report->reached_s >= 0 &&
			report->reached_s <= report->hot_within_s);
	bool met = judge(out, in_time && hot_enough(&report->last));

	fprintf(out, "%5.1f %% of %s are in DRAM (bar: %.0f %%",
		shown(percent(report->last.hot_top, report->last.hot)), what,
		HOT_BAR_PERCENT);
	if (report->hot_within_s)
		fprintf(out, " within %.0f s", report->hot_within_s);
	if (report->reached_s < 0)
		fprintf(out, ";\n                   never reached)\n");
	else
		fprintf(out, ";\n                   first reached after %.0f s)\n",
			report->reached_s);
	return met;
}

void summary_cost(FILE *out, const struct report *report)
{
	fprintf(out, "           %llu pages promoted, %llu demoted\n",
		report->total.promoted, report->total.demoted);
	fprintf(out, "           %5.1f %% of one CPU used by ktierd\n",
		report->total.cpu_ns / 1e7 / report->time_s);
}
