// SPDX-License-Identifier: GPL-2.0
/*
 * ktierctl metrics: all figures in the text format of Prometheus, for the textfile
 * collector of its node_exporter.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ktierctl.h"
#include "sample.h"

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	OPTION_HELP,
	OPTION_END
};

static const char *type_of(const char *name)
{
	static const char end[] = "_total";
	size_t length = strlen(name);

	if (length >= sizeof(end) && !strcmp(name + length - strlen(end), end))
		return "counter";
	return "gauge";
}

static void family(FILE *to, const char *name, const char *help)
{
	fprintf(to, "# HELP ktierd_%s %s\n# TYPE ktierd_%s %s\n", name, help, name,
		type_of(name));
}

/* Those with one value. What is counted in pages becomes bytes by @unit. */
struct single {
	const char *name;
	double unit;
	const char *help;
};

/* Instead of a unit. */
#define PAGES	0

static const struct single singles[NR_FIGURES] = {
	[ENABLED]	 = { "enabled", 1,
			     "Whether ktierd is switched on." },
	[PROCESSES]	 = { "processes", 1,
			     "Processes that are registered for tiering." },
	[SCANS]		 = { "rounds_total", 1,
			     "Rounds through all registered processes." },
	[PAGES_SCANNED]	 = { "scanned_bytes_total", PAGES,
			     "Memory that was there when a sample window ended." },
	[PAGES_YOUNG]	 = { "touched_bytes_total", PAGES,
			     "Memory that was touched in a sample window." },
	[PAGES_DIRTY]	 = { "written_bytes_total", PAGES,
			     "Memory that was found written in a sample window." },
	[PAGES_PROMOTED] = { "promoted_bytes_total", PAGES,
			     "Memory moved to the top tier." },
	[PAGES_DEMOTED]	 = { "demoted_bytes_total", PAGES,
			     "Memory moved to a lower tier." },
	[PAGES_RETURNED] = { "returned_bytes_total", PAGES,
			     "Memory moved back soon after an earlier move." },
	[INTERVAL_MS]	 = { "scan_interval_seconds", 0.001,
			     "Time from the start of a round to the next, in effect." },
	[WINDOW_US]	 = { "sample_window_seconds", 0.000001,
			     "Length of the sample window, in effect." },
	[HOT_THRESHOLD]	 = { "hot_threshold", 1,
			     "Heat, 18 to 32, from which on a page counts as hot." },
	[SCAN_MS]	 = { "scan_cpu_seconds_total", 0.001,
			     "CPU time taken for all but moving." },
	[MIGRATE_MS]	 = { "migrate_cpu_seconds_total", 0.001,
			     "CPU time taken for moving." },
};

static const struct single setting_metrics[NR_SETTINGS] = {
	[SCAN_INTERVAL_MS] = { "setting_scan_interval_seconds", 0.001,
			       "The sysctl vm.ktierd_scan_interval_ms." },
	[SAMPLE_WINDOW_MS] = { "setting_sample_window_seconds", 0.001,
			       "The sysctl vm.ktierd_sample_window_ms; 0: tuned." },
	[CPU_PERCENT]	   = { "setting_cpu_ratio", 0.01,
			       "The sysctl vm.ktierd_cpu_percent." },
	[COLD_AGE_MS]	   = { "setting_cold_age_seconds", 0.001,
			       "The sysctl vm.ktierd_cold_age_ms; 0: nothing is cold." },
	[HEADROOM_PERCENT] = { "setting_headroom_ratio", 0.01,
			       "The sysctl vm.ktierd_headroom_percent." },
	[MIGRATE_MBPS]	   = { "setting_migrate_bytes_per_second", 1 << 20,
			       "The sysctl vm.ktierd_migrate_mbps; 0: nothing moves." },
	[WRITE_WEIGHT]	   = { "setting_write_weight", 1,
			       "The sysctl vm.ktierd_write_weight." },
};

/* Whole numbers as such: a double has not enough digits for some. */
static void print_single(FILE *to, const struct single *single, u64 value)
{
	family(to, single->name, single->help);
	if (single->unit == PAGES)
		fprintf(to, "ktierd_%s %llu\n", single->name, pages_to_kb(value) * 1024);
	else if (single->unit >= 1)
		fprintf(to, "ktierd_%s %llu\n", single->name, value * (u64)single->unit);
	else
		fprintf(to, "ktierd_%s %.15g\n", single->name, value * single->unit);
}

static const struct {
	const char *name;
	size_t field;
	bool pages;
	const char *help;
} node_metrics[] = {
	{ "node_size_bytes", offsetof(struct node, size_kb), false,
	  "Memory of the node." },
	{ "node_free_bytes", offsetof(struct node, free_kb), false,
	  "Free memory of the node." },
	{ "node_tracked_bytes", offsetof(struct node, tracked_kb), false,
	  "Marked memory on the node, as of the last round." },
	{ "node_hot_bytes", offsetof(struct node, hot_kb), false,
	  "The hot part of the marked memory on the node." },
	{ "node_cold_bytes", offsetof(struct node, cold_kb), false,
	  "The cold part of the marked memory on the node." },
	{ "node_promoted_bytes_total", offsetof(struct node, promoted), true,
	  "Memory that ktierd promoted to this node." },
	{ "node_demoted_bytes_total", offsetof(struct node, demoted), true,
	  "Memory that ktierd demoted from this node." },
};

static void print_nodes(FILE *to, const struct machine *machine)
{
	const struct node *node;
	u64 value;

	for (size_t i = 0; i < ARRAY_SIZE(node_metrics); i++) {
		family(to, node_metrics[i].name, node_metrics[i].help);
		for (int n = 0; n < machine->nr_nodes; n++) {
			node = &machine->nodes[n];
			value = *(const u64 *)((const char *)node + node_metrics[i].field);
			fprintf(to, "ktierd_%s{node=\"%d\",tier=\"%s\"} %llu\n",
				node_metrics[i].name, node->id, node->lower ? "lower" : "top",
				(node_metrics[i].pages ? pages_to_kb(value) : value) * 1024);
		}
	}
}

static void print_failed(FILE *to, const struct machine *machine)
{
	family(to, "failed_bytes_total",
	       "Memory that should have moved and stayed; once a round, by reason.");
	for (int i = 0; i < NR_REASONS; i++)
		fprintf(to, "ktierd_failed_bytes_total{reason=\"%s\"} %llu\n", reasons[i].name,
			pages_to_kb(machine->failed[i]) * 1024);
}

static void print_metrics(FILE *to)
{
	struct machine machine;

	machine_read(&machine);
	for (int i = 0; i < NR_FIGURES; i++)
		print_single(to, &singles[i], machine.figure[i]);
	family(to, "lower_tier", "Whether a memory node is in a lower tier.");
	fprintf(to, "ktierd_lower_tier %d\n", machine.has_lower_tier);
	print_failed(to, &machine);
	print_nodes(to, &machine);
	for (int i = 0; i < NR_SETTINGS; i++)
		print_single(to, &setting_metrics[i], machine.setting[i]);
	machine_free(&machine);
}

/* Write all and give it the mode that a new file has. Returns 0 or an errno. */
static int fill_file(int fd)
{
	mode_t mask = umask(0);
	FILE *file = fdopen(fd, "w");
	int error;

	umask(mask);
	if (!file)
		return errno;
	print_metrics(file);
	error = ferror(file) || fchmod(fd, 0666 & ~mask) || fflush(file) ? errno : 0;
	if (fclose(file) && !error)
		error = errno;
	return error;
}

/* A reader finds the old file or the new one, and never a part. */
static int write_file(const char *path)
{
	char *temporary;
	int fd, error;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		abort();
	fd = mkostemp(temporary, O_CLOEXEC);
	error = fd < 0 ? errno : fill_file(fd);
	if (!error && rename(temporary, path))
		error = errno;
	if (error) {
		if (fd >= 0)
			unlink(temporary);
		complain("'%s' could not be written (%s).", path, strerror(error));
	}
	free(temporary);
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *path = NULL;
	int option;

	while ((option = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
		if (option == 'h') {
			print_command_help(self);
			return EXIT_SUCCESS;
		}
		if (option != 'o')
			return wrong_option(self, option, argv);
		path = optarg;
	}
	if (optind < argc) {
		complain("metrics takes no arguments.");
		return usage_error(self);
	}
	if (!ktierd_is_there())
		return EXIT_REFUSED;
	if (path)
		return write_file(path);
	print_metrics(stdout);
	return EXIT_SUCCESS;
}

const struct command command_metrics = {
	.name = "metrics",
	.synopsis = "metrics [--output FILE]",
	.summary = "print all figures for Prometheus",
	.text =
"The format is the text format of Prometheus. For the textfile collector of its\n"
"node_exporter let a timer run, with the directory that is set there:\n"
"\n"
"  ktierctl metrics -o /var/lib/prometheus/node-exporter/ktierd.prom\n"
"\n"
"  -o, --output FILE  write to FILE, which is replaced as a whole\n"
"  -h, --help         show this\n"
"\n"
"The exit status is 0; 1 if FILE could not be written; 125 if the kernel has no\n"
"ktierd; 2 after a usage error. Unless it is 0, FILE is as it was before.\n",
	.run = run,
};
