/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the demonstration programs share: where pages are, what ktierd did so
 * far, and one line a second about both.
 */
#ifndef KTIERD_DEMO_H
#define KTIERD_DEMO_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

typedef unsigned int u32;
typedef unsigned long long u64;

#define DEMO_PAGE_SIZE	4096UL
#define NSEC_PER_SEC	1000000000ULL

/* Exit statuses. */
enum {
	DEMO_MET = 0,		/* every bar was met */
	DEMO_NOT_MET = 1,
	DEMO_UNABLE = 2,	/* wrong usage, or not the machine for it */
};

#define fail(format, ...)						\
	do {								\
		fprintf(stderr, "%s: " format "\n",			\
			program_invocation_short_name, ##__VA_ARGS__);	\
		exit(DEMO_UNABLE);					\
	} while (0)

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
void *allocate(size_t count, size_t size);
u64 now_ns(void);

/* A seeded generator of pseudo-random numbers (splitmix64). */
struct dice {
	u64 state;
};

u64 roll(struct dice *dice);
u32 roll_below(struct dice *dice, u32 limit);

/* Draw @picked of @total things; the first @picked of the result are it. */
u32 *draw(struct dice *dice, u32 total, u32 picked);

enum tier {
	TIER_UNKNOWN,		/* not present, or on its way */
	TIER_TOP,
	TIER_LOWER,
};

/* Learn the machine's tiers. Ends the program if there is no lower one. */
void tiers_learn(void);
int tiers_first_node(enum tier tier);

/*
 * The pages of a process and where they are. Asking does not touch them: the
 * kernel looks at the page table only, and leaves the accessed bit alone.
 */
struct pageset {
	pid_t pid;		/* 0: this process */
	unsigned long count;
	void **page;
	int *node;		/* or a negative errno */
	bool *hot;
};

struct placement {
	unsigned long hot, hot_top;
	unsigned long idle, idle_lower;
};

void pageset_alloc(struct pageset *set, pid_t pid, unsigned long capacity);
void pageset_locate(struct pageset *set, struct placement *placement);
/* Move every page to the node that ->node names, leaving no policy behind. */
void pageset_move(const struct pageset *set);

/* What ktierd did, or did since some other such figures were taken. */
struct figures {
	u64 promoted;	/* pages */
	u64 demoted;	/* pages */
	u64 cpu_ns;	/* the thread's own CPU time */
};

/* Find the thread. Ends the program if this kernel has no ktierd. */
void ktierd_find(void);
/* Let it work or rest. When the program ends it works. */
void ktierd_switch(bool on);
void ktierd_figures(struct figures *figures);

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
