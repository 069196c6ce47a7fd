// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ktierctl.h"
#include "machine.h"

const char * const figure_names[NR_FIGURES] = {
	[ENABLED]	 = "enabled",
	[PROCESSES]	 = "processes",
	[SCANS]		 = "scans",
	[PAGES_SCANNED]	 = "pages_scanned",
	[PAGES_YOUNG]	 = "pages_young",
	[PAGES_DIRTY]	 = "pages_dirty",
	[PAGES_PROMOTED] = "pages_promoted",
	[PAGES_DEMOTED]	 = "pages_demoted",
	[PAGES_RETURNED] = "pages_returned",
	[INTERVAL_MS]	 = "scan_interval_effective_ms",
	[WINDOW_US]	 = "sample_window_us",
	[HOT_THRESHOLD]	 = "hot_threshold",
	[SCAN_MS]	 = "scan_ms",
	[MIGRATE_MS]	 = "migrate_ms",
};

/* As in kernel/sysctl-fragment/ktierd.c. */
const struct setting_kind settings[NR_SETTINGS] = {
	[SCAN_INTERVAL_MS] = { "scan_interval_ms", 1000 },
	[SAMPLE_WINDOW_MS] = { "sample_window_ms", 0 },
	[CPU_PERCENT]	   = { "cpu_percent", 5 },
	[COLD_AGE_MS]	   = { "cold_age_ms", 120000 },
	[HEADROOM_PERCENT] = { "headroom_percent", 3 },
	[MIGRATE_MBPS]	   = { "migrate_mbps", 1024 },
	[WRITE_WEIGHT]	   = { "write_weight", 2 },
};

const struct reason reasons[NR_REASONS] = {
	{ "busy", "are in use by the kernel, as during I/O", NULL },
	{ "pinned", "are pinned for DMA and can't move",
	  "Do not mark memory that is pinned." },
	{ "shared", "are mapped by a process that has not asked for tiering, too",
	  "Mark the other processes as well: ktierctl run --pid PID" },
	{ "locked", "are locked or being written to disk", NULL },
	{ "policy", "may not leave the nodes of their memory policy",
	  "Start the program without numactl --membind or --interleave." },
	{ "cpuset", "may not leave the nodes of their cpuset",
	  "Add the other tier's node to cpuset.mems of the control group." },
	{ "no_room", "find no free page on the other side", NULL },
	{ "huge_no_room", "are huge and find no free huge page on the other side", NULL },
	{ "rate", "wait for their turn: vm.ktierd_migrate_mbps is reached",
	  "Raise vm.ktierd_migrate_mbps if it goes on." },
	{ "lazyfree", "are about to be thrown away (MADV_FREE)", NULL },
	{ "dirty", "are of a file and have to be written to disk first", NULL },
	{ "partial", "belong to a huge page that is mapped in part only", NULL },
};

static const char * const process_names[NR_PROCESS_FIGURES] = {
	[REGISTERED]  = "registered",
	[TOP_KB]      = "top_kb",
	[LOW_KB]      = "low_kb",
	[HOT_TOP_KB]  = "hot_top_kb",
	[HOT_LOW_KB]  = "hot_low_kb",
	[COLD_TOP_KB] = "cold_top_kb",
	[COLD_LOW_KB] = "cold_low_kb",
	[YOUNG]	      = "pages_young",
	[DIRTY]	      = "pages_dirty",
	[PROMOTED]    = "pages_promoted",
	[DEMOTED]     = "pages_demoted",
	[RETURNED]    = "pages_returned",
};

bool read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");
	bool got;

	if (!file)
		return false;
	got = fgets(line, size, file);
	fclose(file);
	if (got)
		line[strcspn(line, "\n")] = '\0';
	return got;
}

bool read_number(const char *path, u64 *value)
{
	char line[32];

	*value = 0;
	if (!read_line(path, line, sizeof(line)) || line[0] < '0' || line[0] > '9')
		return false;
	*value = strtoull(line, NULL, 10);
	return true;
}

bool next_range(const char **list, unsigned int *first, unsigned int *last)
{
	int found = sscanf(*list, "%u-%u", first, last);

	if (found < 1)
		return false;
	if (found == 1)
		*last = *first;
	*list += strcspn(*list, ",");
	*list += strspn(*list, ",");
	return true;
}

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

bool ktierd_is_there(void)
{
	if (!access(KTIERD_DIR "/enabled", F_OK))
		return true;
	if (access("/sys/kernel", F_OK))
		complain("sysfs is not mounted: mount -t sysfs none /sys");
	else if (!access("/proc/sys/vm/ktierd_cpu_percent", F_OK))
		complain("ktierd does not work on this machine; 'dmesg | grep ktierd' tells why.");
	else
		complain("the running kernel has no ktierd; boot one built with CONFIG_KTIERD=y.");
	return false;
}

/* Is this node in the list? */
static bool list_has(const char *list, unsigned int node)
{
	unsigned int first, last;

	while (next_range(&list, &first, &last))
		if (node >= first && node <= last)
			return true;
	return false;
}

static bool lists_meet(const char *a, const char *b)
{
	unsigned int first, last;

	while (next_range(&a, &first, &last))
		for (; first <= last; first++)
			if (list_has(b, first))
				return true;
	return false;
}

/* Calls @each with the number and the nodes of all tiers that have any. */
static void each_tier(void (*each)(int tier, const char *nodes, void *data), void *data)
{
	char path[PATH_MAX], nodes[4096];
	struct dirent *entry;
	DIR *dir;
	int id;

	dir = opendir(TIERS_DIR);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (sscanf(entry->d_name, "memory_tier%d", &id) != 1)
			continue;
		snprintf(path, sizeof(path), TIERS_DIR "/%s/nodelist", entry->d_name);
		if (read_line(path, nodes, sizeof(nodes)) && nodes[0])
			each(id, nodes, data);
	}
	closedir(dir);
}

/*
 * Tiers are numbered from fast to slow. As in the kernel, the top tier is the
 * slowest one that has CPUs (and all above it): a lower tier is a slower one.
 */
struct tiers {
	char with_cpu[4096];
	int top;
	int slowest;
};

static void learn_tier(int tier, const char *nodes, void *data)
{
	struct tiers *tiers = data;

	if (tier > tiers->slowest)
		tiers->slowest = tier;
	if (tier > tiers->top && lists_meet(nodes, tiers->with_cpu))
		tiers->top = tier;
}

static void learn_tiers(struct tiers *tiers)
{
	tiers->top = -1;
	tiers->slowest = -1;
	if (read_line(NODES_DIR "/has_cpu", tiers->with_cpu, sizeof(tiers->with_cpu)))
		each_tier(learn_tier, tiers);
}

bool has_lower_tier(void)
{
	struct tiers tiers;

	learn_tiers(&tiers);
	return tiers.slowest > tiers.top;
}

static u64 node_number(int node, const char *file)
{
	char path[PATH_MAX];
	u64 value;

	snprintf(path, sizeof(path), KTIERD_DIR "/node%d/%s", node, file);
	read_number(path, &value);
	return value;
}

/* The number behind a word, in a file of a node of which lines end so. */
static u64 node_line(int node, const char *file, const char *word)
{
	char path[PATH_MAX], line[256];
	FILE *lines;
	u64 value = 0;
	char *found;

	snprintf(path, sizeof(path), NODES_DIR "/node%d/%s", node, file);
	lines = fopen(path, "re");
	if (!lines)
		return 0;
	while (fgets(line, sizeof(line), lines)) {
		found = strstr(line, word);
		if (found && sscanf(found + strlen(word), " %llu", &value) == 1)
			break;
	}
	fclose(lines);
	return value;
}

static void add_node(struct machine *machine, int id)
{
	struct node *node;

	machine->nodes = realloc(machine->nodes, (machine->nr_nodes + 1) * sizeof(*node));
	if (!machine->nodes)
		abort();
	node = &machine->nodes[machine->nr_nodes++];
	*node = (struct node) {
		.id = id,
		.tier = -1,
		.size_kb = node_line(id, "meminfo", "MemTotal:"),
		.free_kb = node_line(id, "meminfo", "MemFree:"),
		.tracked_kb = node_number(id, "tracked_kb"),
		.hot_kb = node_number(id, "hot_kb"),
		.cold_kb = node_number(id, "cold_kb"),
		.promoted = node_line(id, "vmstat", "pgpromote_ktierd"),
		.demoted = node_line(id, "vmstat", "pgdemote_ktierd"),
	};
}

static void put_into_tier(int tier, const char *nodes, void *data)
{
	struct machine *machine = data;

	for (int i = 0; i < machine->nr_nodes; i++)
		if (list_has(nodes, machine->nodes[i].id))
			machine->nodes[i].tier = tier;
}

static void read_nodes(struct machine *machine)
{
	unsigned int first, last;
	struct tiers tiers;
	char list[4096];
	const char *rest = list;

	if (!read_line(NODES_DIR "/has_memory", list, sizeof(list)))
		return;
	while (next_range(&rest, &first, &last))
		for (; first <= last; first++)
			add_node(machine, first);
	each_tier(put_into_tier, machine);
	learn_tiers(&tiers);
	for (int i = 0; i < machine->nr_nodes; i++)
		machine->nodes[i].lower = machine->nodes[i].tier > tiers.top;
	machine->has_lower_tier = tiers.slowest > tiers.top;
}

void machine_read(struct machine *machine)
{
	char path[PATH_MAX];

	memset(machine, 0, sizeof(*machine));
	for (int i = 0; i < NR_FIGURES; i++) {
		snprintf(path, sizeof(path), KTIERD_DIR "/%s", figure_names[i]);
		read_number(path, &machine->figure[i]);
	}
	machine->when = now();
	for (int i = 0; i < NR_REASONS; i++) {
		snprintf(path, sizeof(path), KTIERD_DIR "/failed/%s", reasons[i].name);
		read_number(path, &machine->failed[i]);
	}
	for (int i = 0; i < NR_SETTINGS; i++) {
		snprintf(path, sizeof(path), "/proc/sys/vm/ktierd_%s", settings[i].name);
		read_number(path, &machine->setting[i]);
	}
	read_nodes(machine);
}

void machine_free(struct machine *machine)
{
	free(machine->nodes);
	machine->nodes = NULL;
}

u64 sum_over_tier(const struct machine *machine, bool lower, size_t field)
{
	u64 sum = 0;

	for (int i = 0; i < machine->nr_nodes; i++)
		if (machine->nodes[i].lower == lower)
			sum += *(u64 *)((char *)&machine->nodes[i] + field);
	return sum;
}

/* Name and owner. False if the process is gone. */
static bool read_identity(struct process *process)
{
	struct stat stat_of_dir;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d", process->pid);
	if (stat(path, &stat_of_dir))
		return false;
	process->uid = stat_of_dir.st_uid;
	snprintf(path, sizeof(path), "/proc/%d/comm", process->pid);
	if (!read_line(path, process->name, sizeof(process->name)))
		return false;
	for (char *c = process->name; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	return true;
}

bool process_read(struct process *process)
{
	char path[64], name[64];
	u64 value;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/ktierd_stat", process->pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fscanf(file, "%63s %llu", name, &value) == 2) {
		for (int i = 0; i < NR_PROCESS_FIGURES; i++)
			if (!strcmp(name, process_names[i]))
				process->figure[i] = value;
		if (!strcmp(name, process_names[REGISTERED]) && !value)
			break;
	}
	fclose(file);
	return process->figure[REGISTERED] && read_identity(process);
}

static int by_pid(const void *a, const void *b)
{
	const struct process *first = a, *second = b;

	return first->pid < second->pid ? -1 : first->pid > second->pid;
}

int processes_read(struct process **list)
{
	struct process process;
	struct dirent *entry;
	int number = 0;
	DIR *dir;

	*list = NULL;
	dir = opendir("/proc");
	if (!dir || access("/proc/self/ktierd_stat", F_OK)) {
		if (dir)
			closedir(dir);
		return -1;
	}
	while ((entry = readdir(dir))) {
		process = (struct process) { .pid = atoi(entry->d_name) };
		if (process.pid <= 0 || !process_read(&process))
			continue;
		if (!(number & (number - 1)))
			*list = realloc(*list, 2 * (number + 1) * sizeof(**list));
		if (!*list)
			abort();
		(*list)[number++] = process;
	}
	closedir(dir);
	qsort(*list, number, sizeof(**list), by_pid);
	return number;
}
