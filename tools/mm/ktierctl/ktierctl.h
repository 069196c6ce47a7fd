/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERCTL_H
#define KTIERCTL_H
/* What the commands of ktierctl share: how they are called and how they complain. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Exit statuses, as those of env(1), nice(1) and the shell. */
enum {
	EXIT_USAGE = 2,
	EXIT_REFUSED = 125,	/* the kernel did not do what was asked for */
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
};

/*
 * A command is a row in main.c's table. Its function gets the arguments behind the
 * command's name as an argv of its own, with the name as argv[0].
 */
struct command {
	const char *name;
	const char *synopsis;	/* with all that belongs behind "Usage: ktierctl " */
	const char *summary;	/* begins with a small letter, has no full stop */
	const char *text;	/* what the help says below these */
	int (*run)(const struct command *self, int argc, char **argv);
};

extern const struct command command_run;
extern const struct command command_unmark;
extern const struct command command_status;
extern const struct command command_top;
extern const struct command command_stat;
extern const struct command command_metrics;
extern const struct command command_record;
extern const struct command command_plot;
extern const struct command command_setup_node;

#define complain(format, ...) \
	fprintf(stderr, "ktierctl: " format "\n", ##__VA_ARGS__)

void print_command_help(const struct command *command);

/* Show the synopsis. Returns the exit status. */
int usage_error(const struct command *command);

/*
 * Tell of the option that getopt_long() returned '?' or ':' for; opterr is 0, and
 * option strings begin with '+' or ':' (or both). Returns the exit status.
 */
int wrong_option(const struct command *command, int option, char **argv);

/* The help's last row: no more options than that. */
#define OPTION_HELP	{ "help", no_argument, NULL, 'h' }
#define OPTION_END	{ NULL, 0, NULL, 0 }

/*
 * For commands without any option but --help. Returns what to exit with, or -1 to go
 * on with the arguments from optind on.
 */
int only_help(const struct command *command, int argc, char **argv);

/*
 * A positive number of seconds, such as 2 or 0.5, up to @max. Returns false after
 * complaining.
 */
bool parse_seconds(const struct command *command, const char *text, double max, double *value);

/* The same for a whole number from @min on. */
bool parse_count(const struct command *command, const char *what, const char *text,
		 unsigned long min, unsigned long max, unsigned long *value);

#endif
