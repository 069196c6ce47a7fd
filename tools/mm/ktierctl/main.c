// SPDX-License-Identifier: GPL-2.0
/*
 * ktierctl: see, tune and use ktierd, the kernel thread that keeps the hot part of
 * marked memory in fast memory and the cold part in slow memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <string.h>

#include "ktierctl.h"

static int help_command(const struct command *self, int argc, char **argv);

static const struct command command_help = {
	.name = "help",
	.synopsis = "help [COMMAND]",
	.summary = "explain ktierctl or one of its commands",
	.text = "",
	.run = help_command,
};

static const struct command * const commands[] = {
	&command_run,
	&command_unmark,
	&command_status,
	&command_top,
	&command_stat,
	&command_metrics,
	&command_record,
	&command_plot,
	&command_setup_node,
	&command_help,
};

static const struct option help_only[] = { OPTION_HELP, OPTION_END };

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static void print_help(void)
{
	puts("Usage: ktierctl COMMAND [ARGUMENT...]\n"
	     "\n"
	     "Keep the hot memory of programs in fast memory and the cold in slow memory.\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-12s %s\n", commands[i]->name, commands[i]->summary);
	puts("\n'ktierctl help COMMAND' says more about one command.");
}

/* A synopsis may have several lines. */
static void print_synopsis(FILE *to, const char *synopsis)
{
	const char *head = "Usage:";
	int length;

	for (; *synopsis; synopsis += length + (synopsis[length] == '\n')) {
		length = strcspn(synopsis, "\n");
		fprintf(to, "%-6s ktierctl %.*s\n", head, length, synopsis);
		head = "";
	}
}

void print_command_help(const struct command *command)
{
	print_synopsis(stdout, command->synopsis);
	printf("\n%c%s.\n", command->summary[0] - 'a' + 'A', command->summary + 1);
	if (command->text[0])
		printf("\n%s", command->text);
}

int usage_error(const struct command *command)
{
	print_synopsis(stderr, command->synopsis);
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

int wrong_option(const struct command *command, int option, char **argv)
{
	if (option == ':')
		complain("%s: the option '%s' needs a value; see 'ktierctl help %s'.",
			 command->name, bad_option(argv), command->name);
	else
		complain("%s has no option '%s'; see 'ktierctl help %s'.",
			 command->name, bad_option(argv), command->name);
	return usage_error(command);
}

int only_help(const struct command *command, int argc, char **argv)
{
	int option = getopt_long(argc, argv, "+h", help_only, NULL);

	if (option == -1)
		return -1;
	if (option != 'h')
		return wrong_option(command, option, argv);
	print_command_help(command);
	return EXIT_SUCCESS;
}

bool parse_seconds(const struct command *command, const char *text, double max, double *value)
{
	char *end;

	*value = strtod(text, &end);
	if (end != text && !*end && isfinite(*value) && *value >= 0.01 && *value <= max)
		return true;
	complain("%s: '%s' is not a number of seconds from 0.01 to %.0f.", command->name, text,
		 max);
	return false;
}

bool parse_count(const struct command *command, const char *what, const char *text,
		 unsigned long min, unsigned long max, unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno &&
	    *value >= min && *value <= max)
		return true;
	complain("%s: %s '%s' is not a number from %lu to %lu.", command->name, what, text,
		 min, max);
	return false;
}

static int help_command(const struct command *self, int argc, char **argv)
{
	const struct command *command;
	int status = only_help(self, argc, argv);

	if (status >= 0)
		return status;
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

/* Has all that was printed arrived? A full disk is no success. */
static int close_output(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	if (errno != EPIPE)
		complain("the output could not be written (%s).", strerror(errno));
	return status ? status : EXIT_FAILURE;
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
		return close_output(EXIT_SUCCESS);
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
	return close_output(command->run(command, argc, argv));
}
