/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the demonstration programs share: where pages are, what ktierd did so
 * far, and one line a second about both.
 */
#ifndef KTIERD_DEMO_H
#define KTIERD_DEMO_H

#include "../lib/dice.h"
#include "../lib/ktierd.h"
#include "../lib/pageset.h"
#include "../lib/tiers.h"
#include "../lib/util.h"

#define DEMO_PAGE_SIZE	PAGESET_PAGE_SIZE

/* Exit statuses. */
enum {
	DEMO_MET = 0,		/* every bar was met */
	DEMO_NOT_MET = 1,
	DEMO_UNABLE = EXIT_UNABLE,	/* wrong usage, or not the machine for it */
};

/* What the command line says. */
struct options {
	bool takes_socket;	/* --socket is one of them */
	const char *socket;
	unsigned long mib;
	unsigned long seconds;
	unsigned long hot_percent;
	unsigned long seed;
	const char *summary;	/* a file */
};

/* Take the options; what is wrong with them is said in a sentence, and the end. */
void parse_options(int argc, char **argv, const char *help, struct options *options);

u32 roll_below(struct dice *dice, u32 limit);

/* Draw @picked of @total things; the first @picked of the result are it. */
u32 *draw(struct dice *dice, u32 total, u32 picked);

struct placement {
	unsigned long hot, hot_top;
	unsigned long idle, idle_lower;
};

/* The table: a line a second, and what is needed to judge it. */
struct report {
	struct pageset *set;
	unsigned long seconds;		/* at least */
	unsigned long patience;		/* and at most, waiting for the hot bar */
	double hot_within_s;		/* the hot bar's time; 0: by the end */
	const char *work;		/* column head: what the load counts */
	u64 (*work_done)(void);	/* so far */
	/* Filled in: */
	struct placement last;
	double time_s;			/* of the last line */
	double reached_s;		/* hot bar first reached, or < 0 */
	struct figures total;
};

#define HOT_BAR_PERCENT	98.0

double percent(unsigned long part, unsigned long whole);
/* Rounded down to one digit: 97.96 is not 98.0 to someone who reads it. */
double shown(double percentage);
void report_run(struct report *report);

/* Begin a line of a summary that tells of a bar. Returns @met. */
bool judge(FILE *out, bool met);
bool judge_hot(FILE *out, const struct report *report, const char *what);
void summary_cost(FILE *out, const struct report *report);
FILE *summary_open(const char *path);

#endif
