// SPDX-License-Identifier: GPL-2.0
/* A record as text, for a terminal of 80 columns. */
#define _GNU_SOURCE
#include <string.h>

#include "format.h"
#include "plot.h"

#define NAME_WIDTH	15
#define SHARE_ROWS	4

/* Touched in half of the windows or more: a darker colour than other hot ones. */
#define HEAT_VERY_HOT	24

enum warmth {
	ABSENT,
	COLD,
	WARM,
	HOT,
};

static enum warmth warmth_of(unsigned char state)
{
	if (state == STATE_ABSENT)
		return ABSENT;
	if ((state & STATE_HEAT) >= HEAT_HOT)
		return HOT;
	return (state & STATE_HEAT) > HEAT_ASLEEP ? WARM : COLD;
}

/* Of the 256 colours that terminals have, those that are most like color_of()'s. */
static int terminal_color(unsigned char state)
{
	static const unsigned char top[] = { 230, 223, 173, 166 };
	static const unsigned char low[] = { 195, 153, 74, 32 };
	int shade = warmth_of(state) - COLD;

	if ((state & STATE_HEAT) >= HEAT_VERY_HOT)
		shade++;
	return state & STATE_LOW ? low[shade] : top[shade];
}

static void put_state(FILE *out, unsigned char state, bool colored)
{
	enum warmth warmth = warmth_of(state);
	char letter = (state & STATE_LOW ? " .wh" : " :WH")[warmth];

	if (!colored || warmth == ABSENT)
		putc(letter, out);
	else
		fprintf(out, "\033[48;5;%d;38;5;%dm%c\033[0m", terminal_color(state),
			warmth == HOT ? 231 : 16, letter);
}

/* The name of the mapping that has most of a row, at its middle. */
static void put_name(FILE *out, const struct picture *picture, unsigned int row)
{
	u64 row_kb = picture->cells * (picture->page_kb << picture->order) / picture->rows;
	const struct band *best = NULL;
	char text[64] = "";

	for (size_t i = 0; i < picture->nr_bands; i++) {
		const struct band *band = &picture->bands[i];

		if (band->size_kb < row_kb / 2)
			continue;
		if (row == band->row + band->rows / 2)
			best = band;
		else if (row + 1 == band->row + band->rows / 2 && band->rows > 2)
			snprintf(text, sizeof(text), "%s", size_text(band->size_kb).s);
	}
	fprintf(out, "%*.*s |", NAME_WIDTH - 2, NAME_WIDTH - 2, best ? best->name : text);
}

static void put_map(FILE *out, const struct picture *picture, bool colored)
{
	for (unsigned int row = picture->rows; row-- > 0;) {
		put_name(out, picture, row);
		for (unsigned int column = 0; column < picture->columns; column++)
			put_state(out, state_at(picture, row, column), colored);
		putc('\n', out);
	}
}

/* Is this percentage shown in this row, the highest of which is SHARE_ROWS - 1? */
static bool in_row(double share, int row)
{
	int of = share * SHARE_ROWS / 100;

	return share >= 0 && (of < SHARE_ROWS ? of : SHARE_ROWS - 1) == row;
}

static void put_shares(FILE *out, const struct picture *picture)
{
	for (int row = SHARE_ROWS - 1; row >= 0; row--) {
		fprintf(out, "%10d-%d%%|", row * 100 / SHARE_ROWS, (row + 1) * 100 / SHARE_ROWS);
		for (unsigned int column = 0; column < picture->columns; column++) {
			const struct look *look = look_at(picture, column);

			if (in_row(share_of(look->hot_top, look->hot_low), row))
				putc('H', out);
			else if (in_row(share_of(look->top, look->low), row))
				putc('a', out);
			else
				putc(' ', out);
		}
		putc('\n', out);
	}
}

static void put_time(FILE *out, const struct picture *picture)
{
	char end[32];
	int length = snprintf(end, sizeof(end), "%.0f s", picture->seconds);

	fprintf(out, "%*s+", NAME_WIDTH - 1, "");
	for (unsigned int column = 0; column < picture->columns; column++)
		putc(column % 10 == 9 ? '+' : '-', out);
	fprintf(out, "\n%*s0%*s\n", NAME_WIDTH, "", picture->columns - 1, length < 20 ? end : "");
}

static void put_legend(FILE *out, bool colored)
{
	static const unsigned char heats[] = { HEAT_MAX, 7, HEAT_COLD };
	static const char * const names[] = { "hot", "used lately", "cold" };

	for (int i = 0; i < 3; i++) {
		fprintf(out, "%s%s ", i ? "   " : "  ", names[i]);
		put_state(out, heats[i], colored);
		fputs("/", out);
		put_state(out, heats[i] | STATE_LOW, colored);
	}
	fputs("   (in DRAM/in a lower tier)\n", out);
}

void plot_as_text(const struct picture *picture, FILE *out, bool colored)
{
	fprintf(out, "%s (process %d): how hot its memory is, and in which tier%s\n",
		picture->name, picture->pid, picture->lost ? "; events were lost" : "");
	put_legend(out, colored);
	put_map(out, picture, colored);
	fputs("Share in DRAM, H: of the hot pages, a: of all  (above, each letter is a page)\n",
	      out);
	put_shares(out, picture);
	put_time(out, picture);
}
