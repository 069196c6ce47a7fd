// SPDX-License-Identifier: GPL-2.0
/* The command line of tierload. */
#define _GNU_SOURCE
#include <string.h>

#include "../lib/args.h"
#include "tierload.h"

const char * const start_names[NR_STARTS] = {
	[START_NONE] = "none",
	[START_INTERLEAVE] = "interleave",
	[START_WEIGHTED] = "weighted",
	[START_TOP] = "top",
	[START_LOW] = "low",
};

struct load_options option = {
	.of = {
		.hot = 0.15, .hot_ops = 0.9, .writes = 0.3, .theta = 0.99,
		.touched = 0.05, .period_s = 20, .grown = 0.55, .seed = 1,
	},
	.size = 640UL << 20,
	.unit = PAGE_SIZE,
	.seconds = 60,
	.interval_s = 1,
	.look_s = 1,
	.work = 4,
	.threads = 1,
};

static const char doc[] =
"Access memory by a named pattern and print, as JSON, a line an interval:\n"
"operations done, where the pages are, and which share of the accesses the\n"
"top tier serves, beside the share that it could serve at best\n"
"(\"oracle\").\n"
"\vSIZE is in bytes, or with K, M or G. Times are in seconds, shares in\n"
"percent.\n"
"\n"
"Each line has an \"event\": \"start\", \"tick\" or \"end\". In a tick\n"
"\"t\" is in seconds, and \"ops\", \"up\", \"down\" and \"returns\" count\n"
"since the start: operations, pages seen to have moved to the top tier and\n"
"to a lower one, and moves that undid the one before. \"map\" is which\n"
"percentage of the pages is in the top tier, in 32 parts of the memory:\n"
"hottest first or, if the pattern is not scattered, by address. In the end\n"
"\"began\" is the start by CLOCK_MONOTONIC, and \"slow_50us\" and its like\n"
"are operations that took longer.\n"
"\n"
"Pages start where the kernel puts them (none), interleaved over both tiers\n"
"(interleave), or in one (top, low), and no policy is left behind; or by\n"
"weighted interleave (weighted), which is kept. The top tier's capacity is\n"
"what the memory has of it at first and what is free there above the\n"
"watermarks.\n"
"\n"
"To see where pages are takes root and a machine with a lower memory tier.\n"
"\n"
"Patterns:";

enum {
	OPT_HOT = 256, OPT_HOT_OPS, OPT_WRITES, OPT_THETA, OPT_TOUCHED, OPT_PERIOD, OPT_GROWN,
	OPT_SEED, OPT_WORK, OPT_THREADS, OPT_HUGE, OPT_START, OPT_TIER, OPT_CAPACITY,
	OPT_INTERVAL, OPT_LOOK, OPT_BEFORE, OPT_AFTER, OPT_SLOW, OPT_METER, OPT_SNAPSHOTS,
};

static const struct argp_option options[] = {
	{ "pattern", 'p', "NAME", 0, "which pattern (see below)", 1 },
	{ "size", 's', "SIZE", 0, "of the memory (640M)", 1 },
	{ "seconds", 't', "N", 0, "how long (60)", 1 },
	{ "hot", OPT_HOT, "%", 0, "of the memory is hot (15)", 2 },
	{ "hot-ops", OPT_HOT_OPS, "%", 0, "of the accesses go to it (90)", 2 },
	{ "writes", OPT_WRITES, "%", 0, "of the accesses are writes (30)", 2 },
	{ "theta", OPT_THETA, "X", 0, "exponent of Zipf's law (0.99)", 2 },
	{ "touched", OPT_TOUCHED, "%", 0, "of the memory is touched, with pattern idle (5)", 2 },
	{ "period", OPT_PERIOD, "N", 0, "seconds between jumps, or of growth (20)", 2 },
	{ "grown", OPT_GROWN, "%", 0, "of the memory is there before it grows (55)", 2 },
	{ "seed", OPT_SEED, "N", 0, "of all that is drawn (1)", 2 },
	{ "work", OPT_WORK, "N", 0, "rounds of arithmetic an operation (4)", 2 },
	{ "threads", OPT_THREADS, "N", 0, "that access memory (1)", 2 },
	{ "huge", OPT_HUGE, NULL, 0, "use huge pages, and draw one instead of a page", 3 },
	{ "start", OPT_START, "HOW", 0, "where pages are first (none; see below)", 3 },
	{ "tier", OPT_TIER, NULL, 0, "mark the memory with MADV_TIER", 3 },
	{ "capacity", OPT_CAPACITY, "SIZE", 0, "of the top tier, for the oracle (measured)", 4 },
	{ "interval", OPT_INTERVAL, "N", 0, "seconds between lines (1)", 4 },
	{ "look", OPT_LOOK, "N", 0, "seconds between looks where pages are (1)", 4 },
	{ "before", OPT_BEFORE, "CMD", 0, "run CMD before the time counts, the load running", 4 },
	{ "after", OPT_AFTER, "CMD", 0, "run CMD at the end, while the load still goes on", 4 },
	{ "slow", OPT_SLOW, NULL, 0, "count slow operations, at some cost for each", 4 },
	{ "meter", OPT_METER, NULL, 0, "tell the memory meter (a QEMU plugin) each line", 4 },
	{ "snapshots", OPT_SNAPSHOTS, NULL, 0, "and have it write counts by page", 4 },
	{ }
};

static enum start parse_start(const char *text, struct argp_state *state)
{
	for (enum start i = 0; i < NR_STARTS; i++)
		if (!strcmp(text, start_names[i]))
			return i;
	argp_error(state, "'%s' is not a way to start", text);
	return START_NONE;
}

static void check_options(struct argp_state *state)
{
	if (!option.pattern)
		argp_error(state, "say which pattern, with --pattern");
	option.size &= ~(option.unit - 1);
	if (option.size < 16 * option.unit || option.size / option.unit > 1U << 31)
		argp_error(state, "the memory has too few pages, or too many");
	option.meter |= option.snapshots;
	option.of.units = option.size / option.unit;
}

static const struct args_option simple[] = {
	{ 's', ARGS_SIZE, &option.size, 0, 0 },
	{ 't', ARGS_NUMBER, &option.seconds, 0.1, 1e6 },
	{ OPT_HOT, ARGS_PERCENT, &option.of.hot, 0.001, 100 },
	{ OPT_HOT_OPS, ARGS_PERCENT, &option.of.hot_ops, 0, 100 },
	{ OPT_WRITES, ARGS_PERCENT, &option.of.writes, 0, 100 },
	{ OPT_THETA, ARGS_NUMBER, &option.of.theta, 0, 5 },
	{ OPT_TOUCHED, ARGS_PERCENT, &option.of.touched, 0.001, 100 },
	{ OPT_PERIOD, ARGS_NUMBER, &option.of.period_s, 0.1, 1e6 },
	{ OPT_GROWN, ARGS_PERCENT, &option.of.grown, 1, 100 },
	{ OPT_SEED, ARGS_COUNT, &option.of.seed, 0, UINT32_MAX },
	{ OPT_WORK, ARGS_COUNT, &option.work, 0, 1e6 },
	{ OPT_THREADS, ARGS_COUNT, &option.threads, 1, MAX_THREADS },
	{ OPT_TIER, ARGS_NONE, &option.tier, 0, 0 },
	{ OPT_CAPACITY, ARGS_SIZE, &option.capacity, 0, 0 },
	{ OPT_INTERVAL, ARGS_NUMBER, &option.interval_s, 0.01, 1e6 },
	{ OPT_LOOK, ARGS_NUMBER, &option.look_s, 0.01, 1e6 },
	{ OPT_BEFORE, ARGS_TEXT, &option.before, 0, 0 },
	{ OPT_AFTER, ARGS_TEXT, &option.after, 0, 0 },
	{ OPT_SLOW, ARGS_NONE, &option.slow, 0, 0 },
	{ OPT_METER, ARGS_NONE, &option.meter, 0, 0 },
	{ OPT_SNAPSHOTS, ARGS_NONE, &option.snapshots, 0, 0 },
	{ }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'p':
		option.pattern = pattern_find(arg);
		if (!option.pattern)
			argp_error(state, "there is no pattern '%s'", arg);
		return 0;
	case OPT_HUGE:
		option.unit = HUGE_SIZE;
		return 0;
	case OPT_START:
		option.start = parse_start(arg, state);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is one argument too many", arg);
		return 0;
	case ARGP_KEY_END:
		check_options(state);
		return 0;
	default:
		return args_set(simple, key, arg, state);
	}
}

/* The list of patterns, behind what stands above. */
static char *filter(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t length;
	FILE *out;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	out = open_memstream(&list, &length);
	if (!out)
		return (char *)text;
	fputs(text, out);
	for (const struct pattern *p = patterns; p->name; p++)
		fprintf(out, "\n  %-10s %s", p->name, p->help);
	fputs("\n\nExit status: 0, or 2 if it could not run.", out);
	fclose(out);
	return list;
}

static const struct argp argp = {
	.options = options, .parser = parse, .doc = doc, .help_filter = filter,
};

void parse_options(int argc, char **argv)
{
	argp_err_exit_status = EXIT_UNABLE;
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
}
