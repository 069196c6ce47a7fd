/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_BENCH_PATTERN_H
#define KTIERD_BENCH_PATTERN_H
/* Named patterns of access, and what an oracle would make of them. */
#include "dist.h"

/**
 * struct pattern_options - what a pattern is made of
 * @units: pages, or huge pages, of the whole memory
 * @hot: share of the memory that is hot, 0 to 1
 * @hot_ops: share of the accesses that go there, 0 to 1
 * @writes: share of the accesses that are writes, 0 to 1
 * @theta: exponent of Zipf's law
 * @touched: share of the memory that is touched at all, where most is idle
 * @period_s: seconds between two changes, or until memory has grown
 * @grown: share of the memory that is there at first, where it grows
 * @seed: of what is drawn
 */
struct pattern_options {
	uint32_t units;
	double hot;
	double hot_ops;
	double writes;
	double theta;
	double touched;
	double period_s;
	double grown;
	uint32_t seed;
};

/**
 * struct pattern - a named pattern
 * @name: its name
 * @help: what it is, for --help
 * @make: fill in the distribution @t seconds after the start
 * @step_s: seconds from one change to the next; NULL: it does not change
 * @units: how much of the memory is there; NULL: all
 */
struct pattern {
	const char *name;
	const char *help;
	void (*make)(const struct pattern_options *options, double t, struct dist *dist);
	double (*step_s)(const struct pattern_options *options);
	uint32_t (*units)(const struct pattern_options *options, double t);
};

extern const struct pattern patterns[];	/* ends with an empty one */

const struct pattern *pattern_find(const char *name);

/* What a segment's accesses are worth: all, or its reads or writes only. */
enum worth {
	WORTH_ALL,
	WORTH_READS,
	WORTH_WRITES,
	NR_WORTHS,
};

double segment_worth(const struct dist_segment *segment, enum worth worth);

/* The share that @capacity things serve at best. */
double pattern_oracle(const struct dist *dist, uint64_t capacity, enum worth worth);

#endif
