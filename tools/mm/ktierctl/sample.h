/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERCTL_SAMPLE_H
#define KTIERCTL_SAMPLE_H
/* The machine at two moments, and what happened between them. */
#include "machine.h"

struct sample {
	struct machine before;
	struct machine after;
};

/* Let the second moment be the first, and take a new second one. */
void sample_next(struct sample *sample);
void sample_free(struct sample *sample);

double sample_seconds(const struct sample *sample);
u64 grown(const struct sample *sample, enum figure figure);
u64 failed_more(const struct sample *sample, int reason);

/* KiB a second, of a figure that counts pages. */
double kb_per_second(const struct sample *sample, enum figure figure);

/* Percent of one CPU, of a figure that counts milliseconds of it. */
double cpu_percent(const struct sample *sample, enum figure figure);

u64 pages_to_kb(u64 pages);

/* Sleep until a moment of now(). */
void sleep_until(double moment);

#define MAX_FINDINGS	8
#define FINDING_SIZE	256

/* A thing that is not as it should be, and what to do. */
struct finding {
	const char *code;	/* for programs */
	char text[FINDING_SIZE];
	char advice[FINDING_SIZE];
};

/* What keeps ktierd from doing its work, the most important first. Their number. */
int diagnose(const struct sample *sample, struct finding findings[MAX_FINDINGS]);

#endif
