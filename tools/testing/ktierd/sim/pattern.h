/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_SIM_PATTERN_H
#define KTIERD_SIM_PATTERN_H
/* The patterns of the bench, page by page. */
#include "machine.h"

/**
 * struct pattern - what accesses memory how often
 * @name: of the pattern
 * @kind: small pages or huge ones
 * @units: pages, or huge pages
 * @top: how many of them fit into the top tier
 * @fill: those that come first are in the top tier; else every second
 * @period_s: time from change to change
 * @until_s: time of the last change
 * @lay_out: classes of the units at some time; returns how many are there
 */
struct pattern {
	const char *name;
	enum block_kind kind;
	u32 units;
	bool fill;
	double period_s;
	double until_s;
	u32 (*lay_out)(const struct pattern *pattern, struct rate *rate,
		       u8 *class, double t);
};

/* NULL if there is none of this name. */
const struct pattern *pattern_find(const char *name);

void pattern_begin(const struct pattern *pattern, struct machine *machine);

/* As it is at the machine's time. */
void pattern_update(const struct pattern *pattern, struct machine *machine);

#endif
