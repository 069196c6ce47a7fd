// SPDX-License-Identifier: GPL-2.0
/* ktierctl stat: a line an interval, like vmstat(8). */
#define _GNU_SOURCE
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "ktierctl.h"
#include "sample.h"

static const struct option options[] = {
	{ "timestamp", no_argument, NULL, 't' },
	OPTION_HELP,
	OPTION_END
};

static const char header[] =
"procs rnd ----top tier, MiB---- -lower, MiB-- -----moved, KiB/s----- stay/s  cpu%s\n"
"   nr  nr    all    hot   cold    all    hot      up    down   back   pages    %%%s\n";

static void print_header(bool timestamp)
{
	printf(header, timestamp ? " -----timestamp-----" : "",
	       timestamp ? " yyyy-mm-dd hh:mm:ss" : "");
}

static u64 failures(const struct sample *sample)
{
	u64 pages = 0;

	for (int i = 0; i < NR_REASONS; i++)
		pages += failed_more(sample, i);
	return pages;
}

#define MIB(machine, lower, field)	(SUM(machine, lower, field) >> 10)

static void print_line(const struct sample *sample, bool timestamp)
{
	const struct machine *machine = &sample->after;
	time_t seconds = time(NULL);
	char text[32] = "";

	if (timestamp)
		strftime(text, sizeof(text), " %Y-%m-%d %H:%M:%S", localtime(&seconds));
	printf("%5llu %3llu %6llu %6llu %6llu %6llu %6llu %7.0f %7.0f %6.0f %7.0f %4.1f%s\n",
	       machine->figure[PROCESSES], grown(sample, SCANS),
	       MIB(machine, false, tracked_kb), MIB(machine, false, hot_kb),
	       MIB(machine, false, cold_kb), MIB(machine, true, tracked_kb),
	       MIB(machine, true, hot_kb), kb_per_second(sample, PAGES_PROMOTED),
	       kb_per_second(sample, PAGES_DEMOTED), kb_per_second(sample, PAGES_RETURNED),
	       failures(sample) / sample_seconds(sample),
	       cpu_percent(sample, SCAN_MS) + cpu_percent(sample, MIGRATE_MS), text);
	fflush(stdout);
}

/* Is it time for another header? On a terminal one should always be in sight. */
static bool header_due(unsigned long line)
{
	struct winsize size;

	if (!line)
		return true;
	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) ||
	    size.ws_row < 4)
		return false;
	return line % (size.ws_row - 3) == 0;
}

static void print_lines(double interval, unsigned long count, bool timestamp)
{
	struct sample sample = { 0 };
	double next = now();

	sample_next(&sample);
	for (unsigned long line = 0; line < count && !ferror(stdout); line++) {
		if (header_due(line))
			print_header(timestamp);
		fflush(stdout);
		next += interval;
		sleep_until(next);
		sample_next(&sample);
		print_line(&sample, timestamp);
	}
	sample_free(&sample);
}

static int run(const struct command *self, int argc, char **argv)
{
	unsigned long count = ULONG_MAX;
	bool timestamp = false;
	double interval;
	int option;

	while ((option = getopt_long(argc, argv, ":th", options, NULL)) != -1) {
		if (option == 'h') {
			print_command_help(self);
			return EXIT_SUCCESS;
		}
		if (option != 't')
			return wrong_option(self, option, argv);
		timestamp = true;
	}
	argc -= optind;
	argv += optind;
	if (argc < 1 || argc > 2) {
		complain("stat needs an interval in seconds, and takes a count behind it.");
		return usage_error(self);
	}
	if (!parse_seconds(self, argv[0], 86400, &interval) ||
	    (argc == 2 && !parse_count(self, "the count", argv[1], 1, INT_MAX, &count)))
		return usage_error(self);
	if (!ktierd_is_there())
		return EXIT_REFUSED;
	print_lines(interval, count, timestamp);
	return EXIT_SUCCESS;
}

const struct command command_stat = {
	.name = "stat",
	.synopsis = "stat [--timestamp] INTERVAL [COUNT]",
	.summary = "print a line every INTERVAL seconds, like vmstat",
	.text =
"The first line comes after the first interval. Without COUNT it goes on until it\n"
"is interrupted.\n"
"\n"
"  -t, --timestamp  end each line with date and time\n"
"  -h, --help       show this\n"
"\n"
"  procs     processes that ktierd looks after\n"
"  rnd       rounds through all of them in the interval\n"
"  top tier  marked memory there as of the last round: all, hot, cold\n"
"  lower     the same of all lower tiers: all, hot\n"
"  moved     memory promoted, demoted, and of both what was moved back soon\n"
"  stay      pages a second that should have moved and did not: a page counts\n"
"            once a round; 'ktierctl status' tells why\n"
"  cpu       what the thread took of one CPU, in percent, sampling and moving\n"
"\n"
"The exit status is 0; 125 if the kernel has no ktierd; 2 after a usage error.\n",
	.run = run,
};
