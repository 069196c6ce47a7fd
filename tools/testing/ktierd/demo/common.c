// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <getopt.h>
#include <string.h>
#include <time.h>

#include "demo.h"

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

u32 roll_below(struct dice *dice, u32 limit)
{
	return (dice_roll(dice) >> 32) * limit >> 32;
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

static void take_placement(const struct pageset *set, struct placement *placement)
{
	memset(placement, 0, sizeof(*placement));
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
		pageset_locate(report->set);
		take_placement(report->set, &report->last);

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
