/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_BENCH_TIERLOAD_H
#define KTIERD_BENCH_TIERLOAD_H
/*
 * What the rooms of tierload know of each other:
 *
 *	tierload.c	the memory, the threads that access it, and time
 *	tierargs.c	the command line
 *	tierseen.c	where pages are, what follows, and the lines about it
 *	pattern.c	named patterns and their oracle
 *	dist.c		distributions, and drawing from them
 *	place.c		asks the kernel where pages are
 *	slow.c		operations that take too long
 */
#include <stdbool.h>
#include <stdint.h>

#include "../lib/util.h"
#include "pattern.h"

#define PAGE_SIZE	4096UL
#define HUGE_SIZE	(2UL << 20)
#define MAX_THREADS	256

enum start {
	START_NONE,
	START_INTERLEAVE,
	START_WEIGHTED,
	START_TOP,
	START_LOW,
	NR_STARTS,
};

extern const char * const start_names[NR_STARTS];

/**
 * struct load_options - what the command line says
 * @pattern: which pattern
 * @of: what it is made of
 * @size: of the memory, in bytes
 * @unit: what is drawn, in bytes: a page or a huge page
 * @capacity: of the top tier, for the oracle, in bytes; 0: measured
 * @seconds: how long
 * @interval_s: seconds between two lines
 * @look_s: seconds between two looks at where pages are
 * @before: a command to run before the time counts, with the load running, or NULL
 * @after: a command to run at the end, with the load running, or NULL
 * @work: rounds of arithmetic an operation
 * @threads: that access memory
 * @start: where pages are first
 * @tier: mark the memory
 * @slow: count slow operations
 * @meter: tell the memory meter each line
 * @snapshots: and have it write counts by page
 */
struct load_options {
	const struct pattern *pattern;
	struct pattern_options of;
	u64 size;
	u64 unit;
	u64 capacity;
	double seconds;
	double interval_s;
	double look_s;
	const char *before;
	const char *after;
	unsigned int work;
	unsigned int threads;
	enum start start;
	bool tier;
	bool slow;
	bool meter;
	bool snapshots;
};

extern struct load_options option;

/* tierargs.c */
void parse_options(int argc, char **argv);

/* tierseen.c */
void seen_init(void);
void seen_print_start(const void *memory, const struct dist *dist);

/* A line with what was done, and with where the pages are if it is time to look. */
void seen_print_tick(double t, uint64_t ops, unsigned long number, const void *memory,
		     const struct dist *dist);

#endif
