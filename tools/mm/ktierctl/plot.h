/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERCTL_PLOT_H
#define KTIERCTL_PLOT_H
/*
 * Pictures of records (see record.h): address over time, heat as darkness and the
 * tier as colour, and below it which share is in the top tier.
 *
 *	plot.c		the command
 *	plot_read.c	a record is read and brought to the size of the picture
 *	plot_gnuplot.c	PNG and SVG, by gnuplot
 *	plot_text.c	text, for terminals
 */
#include "record.h"

/* What one mapping takes of the rows. */
struct band {
	unsigned int row, rows;
	u64 address;
	u64 size_kb;		/* that is there, estimated by cells */
	char name[32];
};

/* What /proc/PID/ktierd_stat said at a time. */
struct look {
	double time;
	u64 top, low, hot_top, hot_low;
	u64 promoted, demoted;
};

struct picture {
	/* of the record */
	char name[32];
	char kernel[64];
	int pid;
	long long started;
	u64 page_kb;
	unsigned int order;
	double seconds;
	u64 lost;
	bool ended;
	size_t cells;
	struct look *looks;
	size_t nr_looks;
	/* brought to size: row 0 has the lowest addresses */
	unsigned int rows, columns;
	unsigned char *states;
	struct band *bands;
	size_t nr_bands;
};

/*
 * Read a record into ->rows and ->columns, which are set. What is not a single page
 * to a row is drawn by lot: one for the whole row or, with @mixed, for each column.
 * False after complaining.
 */
bool picture_read(struct picture *picture, const char *file, bool mixed);
void picture_free(struct picture *picture);

static inline unsigned char state_at(const struct picture *picture, unsigned int row,
				     unsigned int column)
{
	return picture->states[(size_t)row * picture->columns + column];
}

/* The time of a column's middle. */
static inline double column_time(const struct picture *picture, unsigned int column)
{
	return (column + 0.5) * picture->seconds / picture->columns;
}

/* The look that a column shows. */
const struct look *look_at(const struct picture *picture, unsigned int column);

/* Percentage of the part; -1 of nothing. */
double share_of(u64 part, u64 other);

struct rgb {
	unsigned char r, g, b;
};

struct rgb color_of(unsigned char state);

enum format {
	PNG,
	SVG,
};

/* Size of the map in pixels. */
#define MAP_WIDTH	720
#define MAP_HEIGHT	400

/* False after complaining. */
bool plot_with_gnuplot(const struct picture *picture, enum format format, const char *file);

#define TEXT_ROWS	13
#define TEXT_COLUMNS	63

void plot_as_text(const struct picture *picture, FILE *out, bool colored);

#endif
