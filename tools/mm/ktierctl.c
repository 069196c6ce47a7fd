// SPDX-License-Identifier: GPL-2.0
/*
 * ktierctl: run programs under ktierd, the kernel thread that keeps the hot
 * part of marked memory in fast memory and the cold part in slow memory.
 *
 * Each subcommand is a row of the table commands[] and a function that gets
 * the arguments behind the subcommand's name as an argv of its own.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_TIER
#define PR_SET_TIER	0x54494552
#endif

#define KTIERD_ENABLED	"/sys/kernel/mm/ktierd/enabled"
#define MEMORY_TIERS	"/sys/devices/virtual/memory_tiering"
#define NODES_WITH_CPU	"/sys/devices/system/node/has_cpu"

/* Exit statuses, as those of env(1), nice(1) and the shell. */
enum {
	EXIT_USAGE = 2,
	EXIT_REFUSED = 125,	/* the kernel did not do what was asked for */
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
};

struct command {
	const char *name;
	const char *synopsis;
	const char *summary;
	const char *text;
	int (*run)(const struct command *self, int argc, char **argv);
};

static int run_command(const struct command *self, int argc, char **argv);
static int help_command(const struct command *self, int argc, char **argv);

static const struct command commands[] = {
	{
		.name = "run",
		.synopsis = "run [--] PROGRAM [ARGUMENT...]",
		.summary = "run a program with all of its memory tiered",
		.text =
"All memory of PROGRAM, heap and stack included, is left to ktierd, and so is\n"
"that of every process it starts. The program itself needs no change.\n"
"\n"
"The exit status is that of PROGRAM; 127 if it was not found, 126 if it could\n"
"not be executed, 125 if the kernel has no ktierd, 2 after a usage error.\n",
		.run = run_command,
	},
	{
		.name = "help",
		.synopsis = "help [COMMAND]",
		.summary = "explain ktierctl or one of its commands",
		.text = "",
		.run = help_command,
	},
	{ .name = NULL },
};

#define complain(format, ...) \
	fprintf(stderr, "ktierctl: " format "\n", ##__VA_ARGS__)

static const struct option help_only[] = {
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const struct command *find_command(const char *name)
{
	const struct command *command;

	for (command = commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;
	return NULL;
}

static void print_help(void)
{
	const struct command *command;

	puts("Usage: ktierctl COMMAND [ARGUMENT...]\n"
	     "\n"
	     "Keep the hot memory of programs in fast memory and the cold in slow memory.\n");
	for (command = commands; command->name; command++)
		printf("  %-32s %s\n", command->synopsis, command->summary);
	puts("\n'ktierctl help COMMAND' says more about one command.");
}

static void print_command_help(const struct command *command)
{
	printf("Usage: ktierctl %s\n\n%c%s.\n", command->synopsis,
	       command->summary[0] - 'a' + 'A', command->summary + 1);
	if (command->text[0])
		printf("\n%s", command->text);
}

static int usage_error(const struct command *command)
{
	fprintf(stderr, "Usage: ktierctl %s\n", command->synopsis);
	return EXIT_USAGE;
}

/* The option that getopt_long(), which was kept silent, did not understand. */
static const char *bad_option(char **argv)
{
	static char letter[3] = { '-' };

	if (!strncmp(argv[optind - 1], "--", 2))
		return argv[optind - 1];
	letter[1] = optopt;
	return letter;
}

static int unknown_option(const struct command *command, char **argv)
{
	complain("%s has no option '%s'; see 'ktierctl help %s'.",
		 command->name, bad_option(argv), command->name);
	return usage_error(command);
}

/* The first line of a small file. False if there is none. */
static bool read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "r");
	bool got;

	if (!file)
		return false;
	got = fgets(line, size, file);
	fclose(file);
	if (got)
		line[strcspn(line, "\n")] = '\0';
	return got;
}

/* Take the first range off a list of nodes such as "0-1,4". False at its end. */
static bool next_range(const char **list, unsigned int *first, unsigned int *last)
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

/* Is a node of the list @a in the list @b too? */
static bool lists_meet(const char *a, const char *b)
{
	unsigned int a_first, a_last, b_first, b_last;
	const char *rest;

	while (next_range(&a, &a_first, &a_last))
		for (rest = b; next_range(&rest, &b_first, &b_last);)
			if (a_first <= b_last && b_first <= a_last)
				return true;
	return false;
}

/*
 * Tiers are numbered from fast to slow. As in the kernel, the top tier is the
 * slowest one that has CPUs (and all above it): a lower tier is a slower one.
 */
static bool has_lower_tier(void)
{
	char path[PATH_MAX], nodes[4096], with_cpu[4096];
	int top = -1, slowest = -1, id;
	struct dirent *entry;
	DIR *dir;

	if (!read_line(NODES_WITH_CPU, with_cpu, sizeof(with_cpu)))
		return false;
	dir = opendir(MEMORY_TIERS);
	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		if (sscanf(entry->d_name, "memory_tier%d", &id) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/nodelist", MEMORY_TIERS,
			 entry->d_name);
		if (!read_line(path, nodes, sizeof(nodes)) || !nodes[0])
			continue;
		if (id > slowest)
			slowest = id;
		if (id > top && lists_meet(nodes, with_cpu))
			top = id;
	}
	closedir(dir);
	return slowest > top;
}

/* Things that keep ktierd from moving anything but not a program from running. */
static void warn_if_idle(void)
{
	char enabled[8];

	if (read_line(KTIERD_ENABLED, enabled, sizeof(enabled)) &&
	    !strcmp(enabled, "0"))
		complain("ktierd is switched off, so no page moves until root does this:\n"
			 "  echo 1 > " KTIERD_ENABLED);
	if (!has_lower_tier())
		complain("this machine has no memory node in a lower tier, so no page moves.\n"
			 "Persistent memory is made one like this, with the names on your machine:\n"
			 "  ndctl create-namespace -m devdax\n"
			 "  daxctl reconfigure-device --mode=system-ram --movable dax0.0\n"
			 "and CXL or soft-reserved memory by the second line alone.");
}

static int tier_this_process(void)
{
	if (!prctl(PR_SET_TIER, 1, 0, 0, 0))
		return 0;
	if (errno == EINVAL)
		complain("the running kernel has no ktierd; boot one built with CONFIG_KTIERD=y.");
	else
		complain("the kernel refused to tier this process (%s); see its log, 'dmesg'.",
			 strerror(errno));
	return EXIT_REFUSED;
}

static int run_command(const struct command *self, int argc, char **argv)
{
	int option, error;

	while ((option = getopt_long(argc, argv, "+h", help_only, NULL)) != -1) {
		if (option != 'h')
			return unknown_option(self, argv);
		print_command_help(self);
		return EXIT_SUCCESS;
	}
	if (optind == argc) {
		complain("run needs the name of a program.");
		return usage_error(self);
	}
	error = tier_this_process();
	if (error)
		return error;
	warn_if_idle();

	execvp(argv[optind], argv + optind);
	if (errno == ENOENT) {
		complain("'%s' was not found; check the name or give its path.",
			 argv[optind]);
		return EXIT_NOT_FOUND;
	}
	complain("'%s' could not be executed (%s); check that it is a program and its permissions.",
		 argv[optind], strerror(errno));
	return EXIT_NOT_EXECUTABLE;
}

static int help_command(const struct command *self, int argc, char **argv)
{
	const struct command *command;
	int option;

	while ((option = getopt_long(argc, argv, "+h", help_only, NULL)) != -1) {
		if (option != 'h')
			return unknown_option(self, argv);
		print_command_help(self);
		return EXIT_SUCCESS;
	}
	if (optind == argc) {
		print_help();
		return EXIT_SUCCESS;
	}
	command = find_command(argv[optind]);
	if (!command || optind + 1 < argc) {
		complain("help takes the name of one command; 'ktierctl help' lists them.");
		return EXIT_USAGE;
	}
	print_command_help(command);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const struct command *command;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+h", help_only, NULL)) != -1) {
		if (option != 'h') {
			complain("there is no option '%s'; see 'ktierctl help'.",
				 bad_option(argv));
			return EXIT_USAGE;
		}
		print_help();
		return EXIT_SUCCESS;
	}
	if (optind == argc) {
		complain("a command is missing; 'ktierctl help' lists them.");
		return EXIT_USAGE;
	}
	command = find_command(argv[optind]);
	if (!command) {
		complain("there is no command '%s'; 'ktierctl help' lists them.",
			 argv[optind]);
		return EXIT_USAGE;
	}
	argc -= optind;
	argv += optind;
	optind = 0;	/* start afresh, see getopt(3) */
	return command->run(command, argc, argv);
}
