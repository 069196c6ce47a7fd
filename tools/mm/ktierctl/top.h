/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERCTL_TOP_H
#define KTIERCTL_TOP_H
/* What 'ktierctl top' shows, line by line, for a terminal or for a pipe. */
#include "sample.h"

enum look {
	LOOK_PLAIN,
	LOOK_BAR,		/* a bar between brackets, in colour */
	LOOK_HEADER,
};

#define LINE_SIZE	256

struct line {
	char text[LINE_SIZE];
	enum look look;
};

struct page {
	struct line *lines;
	int number;
};

enum column {
	COLUMN_PID,
	COLUMN_MARKED,
	COLUMN_DRAM,
	COLUMN_HOT,
	COLUMN_COLD,
	COLUMN_UP,
	COLUMN_DOWN,
	NR_COLUMNS
};

extern const char * const column_names[NR_COLUMNS];

/* All that is known at a moment. Rates are those since the moment before. */
struct view {
	struct sample sample;
	struct process *before;
	struct process *after;
	int nr_before;
	int nr_after;		/* -1: the kernel does not tell of processes */
	bool has_rates;		/* there was a moment before */
	enum column sort;
	bool reverse;
	int width;
	bool help;
};

void view_next(struct view *view);
void view_free(struct view *view);

/* Make the lines anew. */
void compose(struct page *page, const struct view *view);
void page_free(struct page *page);

/* The letters of bars. */
#define BAR_HOT		'#'
#define BAR_WARM	'+'
#define BAR_COLD	'-'
#define BAR_UNMARKED	':'

#endif
