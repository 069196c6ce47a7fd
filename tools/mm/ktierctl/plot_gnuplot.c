// SPDX-License-Identifier: GPL-2.0
/* PNG and SVG of a record, by gnuplot, which gets script and data on its input. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format.h"
#include "ktierctl.h"
#include "plot.h"

/* In pixels: the picture, and where the map is in it. */
#define WIDTH		1160
#define HEIGHT		680
#define LEFT		170
#define TOP		66
#define SHARE_HEIGHT	110
#define SHARE_TOP	(TOP + MAP_HEIGHT + 32)
#define LEGEND_LEFT	(LEFT + MAP_WIDTH + 30)
#define LEGEND_WIDTH	130
#define LEGEND_HEIGHT	224

/* Rows that a mapping must have to be named, and to be named in two lines. */
#define NAME_ROWS	15
#define NAME_ROWS_TWO	34

/* Lines between mappings of less would hide them. */
#define LINE_ROWS	4

/* As that of the hottest. */
#define HOT_COLOR	"#c85200"

/* What the axis of time is in. */
struct unit {
	const char *name;
	double seconds;
};

static const struct unit *unit_of(const struct picture *picture)
{
	static const struct unit seconds = { "seconds", 1 };
	static const struct unit minutes = { "minutes", 60 };
	static const struct unit hours = { "hours", 3600 };

	return picture->seconds <= 300 ? &seconds : picture->seconds <= 18000 ? &minutes : &hours;
}

static FILE *start_gnuplot(pid_t *pid)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return NULL;
	*pid = fork();
	if (!*pid) {
		dup2(ends[0], STDIN_FILENO);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execlp("gnuplot", "gnuplot", "-", NULL);
		_exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
	}
	close(ends[0]);
	if (*pid < 0) {
		close(ends[1]);
		return NULL;
	}
	return fdopen(ends[1], "w");
}

/* In single quotes, in which gnuplot takes everything as it is. */
static void put_quoted(FILE *out, const char *text)
{
	putc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			putc('\'', out);
		putc(*text, out);
	}
	putc('\'', out);
}

static void put_terminal(FILE *out, enum format format, const char *file)
{
	if (format == PNG)
		fprintf(out, "set terminal pngcairo size %d,%d font 'sans,10' noenhanced\n", WIDTH,
			HEIGHT);
	else
		fprintf(out, "set terminal svg size %d,%d font 'sans-serif,13' \\\n"
			"noenhanced background 'white'\n", WIDTH, HEIGHT);
	fputs("set output ", out);
	put_quoted(out, file);
	fputs("\n", out);
}

/* Where the next plot goes, from above and from the left. */
static void put_place(FILE *out, int left, int top, int width, int height)
{
	fprintf(out, "set lmargin at screen %.5f\nset rmargin at screen %.5f\n",
		(double)left / WIDTH, (double)(left + width) / WIDTH);
	fprintf(out, "set tmargin at screen %.5f\nset bmargin at screen %.5f\n",
		1 - (double)top / HEIGHT, 1 - (double)(top + height) / HEIGHT);
}

static void put_label(FILE *out, int x, int y, const char *how, const char *text)
{
	fputs("set label ", out);
	put_quoted(out, text);
	fprintf(out, " at screen %.5f,%.5f %s\n", (double)x / WIDTH, 1 - (double)y / HEIGHT, how);
}

static void put_titles(FILE *out, const struct picture *picture)
{
	u64 cell_kb = picture->page_kb << picture->order;
	char text[256], lost[64] = "";

	snprintf(text, sizeof(text), "How hot the memory of %s is, and in which tier",
		 picture->name);
	put_label(out, LEFT, 20, "left font ',14'", text);
	if (picture->lost)
		snprintf(lost, sizeof(lost), "; %llu trace events were lost", picture->lost);
	if (picture->order)
		snprintf(text, sizeof(text),
			 "process %d, Linux %s; each point is one page, drawn from %s%s",
			 picture->pid, picture->kernel,
			 size_text(cell_kb * picture->cells / picture->rows).s, lost);
	else
		snprintf(text, sizeof(text), "process %d, Linux %s; all %zu pages of %s%s",
			 picture->pid, picture->kernel, picture->cells,
			 size_text(picture->page_kb).s, lost);
	put_label(out, LEFT, 44, "left tc rgb '#505050'", text);
}

static void put_bands(FILE *out, const struct picture *picture)
{
	for (size_t i = 0; i < picture->nr_bands; i++) {
		const struct band *band = &picture->bands[i];
		double middle = band->row + band->rows / 2.0;
		char text[128];

		if (band->rows >= LINE_ROWS && band->row)
			fprintf(out, "set arrow from graph 0, first %u to graph 1, first %u \\\n"
				"nohead front lc rgb '#303030' lw 1\n", band->row, band->row);
		if (band->rows < NAME_ROWS)
			continue;
		if (band->rows >= NAME_ROWS_TWO)
			snprintf(text, sizeof(text), "%.18s, %s", band->name,
				 size_text(band->size_kb).s);
		else
			snprintf(text, sizeof(text), "%.22s", band->name);
		fputs("set label ", out);
		put_quoted(out, text);
		fprintf(out, " at graph -0.012, first %g right%s\n", middle,
			band->rows >= NAME_ROWS_TWO ? " offset 0,0.5" : "");
		if (band->rows >= NAME_ROWS_TWO)
			fprintf(out, "set label '%llx' at graph -0.012, first %g \\\n"
				"right offset 0,-0.6 tc rgb '#707070'\n", band->address, middle);
	}
}

static void put_colors(FILE *out, const struct picture *picture)
{
	for (unsigned int row = 0; row < picture->rows; row++)
		for (unsigned int column = 0; column < picture->columns; column++) {
			struct rgb color = color_of(state_at(picture, row, column));

			fwrite(&color, sizeof(color), 1, out);
		}
}

static void put_map(FILE *out, const struct picture *picture)
{
	double width = picture->seconds / unit_of(picture)->seconds;

	put_place(out, LEFT, TOP, MAP_WIDTH, MAP_HEIGHT);
	put_titles(out, picture);
	put_bands(out, picture);
	fprintf(out, "set border 15 lc rgb '#505050'\nunset key\nunset ytics\n");
	put_label(out, 14, TOP + MAP_HEIGHT / 2, "center rotate", "address, without gaps");
	fprintf(out, "set xrange [0:%g]\nset yrange [0:%u]\nset xtics out nomirror format ''\n",
		width, picture->rows);
	fprintf(out, "plot '-' binary array=(%u,%u) format='%%uchar' \\\n"
		"dx=%g dy=1 origin=(%g,0.5) using 1:2:3 with rgbimage\n",
		picture->columns, picture->rows, width / picture->columns,
		width / picture->columns / 2);
	put_colors(out, picture);
	fputs("\nunset label\nunset arrow\n", out);
}

/* A number of which @of tells what share it is; what there is nothing of is left out. */
static void put_line(FILE *out, const struct picture *picture, bool hot)
{
	double unit = unit_of(picture)->seconds;

	for (unsigned int column = 0; column < picture->columns; column++) {
		const struct look *look = look_at(picture, column);
		double share = hot ? share_of(look->hot_top, look->hot_low) :
			       share_of(look->top, look->low);

		if (share >= 0)
			fprintf(out, "%g %.1f\n", column_time(picture, column) / unit, share);
		else
			fputs("\n", out);
	}
	fputs("e\n", out);
}

static void put_shares(FILE *out, const struct picture *picture)
{
	put_place(out, LEFT, SHARE_TOP, MAP_WIDTH, SHARE_HEIGHT);
	put_label(out, LEFT, SHARE_TOP - 14, "left", "Share that is in DRAM");
	put_label(out, LEFT + MAP_WIDTH - 160, SHARE_TOP - 14, "right tc rgb '" HOT_COLOR "'",
		  "of the hot pages (thick)");
	put_label(out, LEFT + MAP_WIDTH, SHARE_TOP - 14, "right tc rgb '#505050'",
		  "of all pages (thin)");
	fprintf(out, "set xlabel '%s since the record began'\n", unit_of(picture)->name);
	fputs("set ylabel '%' offset 1,0\nset yrange [0:105]\nset ytics 25 nomirror out\n"
	      "set grid ytics lc rgb '#d8d8d8'\n"
	      "set xtics out nomirror format '%g'\n"
	      "plot '-' using 1:2 with lines lw 3 lc rgb '" HOT_COLOR "', \\\n"
	      "'-' using 1:2 with lines lw 1.5 lc rgb '#505050'\n",
	      out);
	put_line(out, picture, true);
	put_line(out, picture, false);
	fputs("unset label\nunset grid\nunset xlabel\nunset ylabel\n", out);
}

static void put_legend_texts(FILE *out)
{
	put_label(out, LEGEND_LEFT, TOP + 6, "left", "How often a page is used");
	put_label(out, LEGEND_LEFT + LEGEND_WIDTH / 4, TOP + 34, "center", "DRAM");
	put_label(out, LEGEND_LEFT + LEGEND_WIDTH * 3 / 4, TOP + 34, "center", "lower tier");
	put_label(out, LEGEND_LEFT, TOP + 44 + LEGEND_HEIGHT + 24, "left tc rgb '#505050'",
		  "white: no page");
	fputs("set y2tics out nomirror ('always' 31.5, 'half the time' 24.5, \\\n"
	      "'seldom' 17.5, 'used lately' 7.5, 'idle' 0.5)\n", out);
}

static void put_legend(FILE *out)
{
	put_place(out, LEGEND_LEFT, TOP + 44, LEGEND_WIDTH, LEGEND_HEIGHT);
	put_legend_texts(out);
	fputs("unset xtics\nunset ytics\nset xrange [0:2]\nset yrange [0:32]\nset y2range [0:32]\n"
	      "plot '-' binary array=(2,32) format='%uchar' \\\n"
	      "dx=1 dy=1 origin=(0.5,0.5) using 1:2:3 with rgbimage\n",
	      out);
	for (unsigned int heat = 0; heat <= HEAT_MAX; heat++)
		for (unsigned int low = 0; low <= STATE_LOW; low += STATE_LOW) {
			struct rgb color = color_of(heat | low);

			fwrite(&color, sizeof(color), 1, out);
		}
	fputs("\n", out);
}

static bool finish_gnuplot(pid_t pid, const char *file)
{
	int status = -1;

	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	unlink(file);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOT_FOUND)
		complain("pictures are made by gnuplot: apt install gnuplot-nox; or use --text.");
	else
		complain("gnuplot did not make %s; what it said is above.", file);
	return false;
}

/* gnuplot would write to its output what it can't write to a file. */
static bool make_file(const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0) {
		complain("%s can't be written (%s).", file, strerror(errno));
		return false;
	}
	close(fd);
	return true;
}

bool plot_with_gnuplot(const struct picture *picture, enum format format, const char *file)
{
	FILE *out;
	pid_t pid;

	if (!make_file(file))
		return false;
	fflush(stdout);
	signal(SIGPIPE, SIG_IGN);
	out = start_gnuplot(&pid);
	if (!out) {
		complain("gnuplot can't be started (%s).", strerror(errno));
		return false;
	}
	put_terminal(out, format, file);
	fputs("set multiplot\n", out);
	put_map(out, picture);
	put_shares(out, picture);
	put_legend(out);
	fputs("unset multiplot\nunset output\n", out);
	fclose(out);
	return finish_gnuplot(pid, file);
}
