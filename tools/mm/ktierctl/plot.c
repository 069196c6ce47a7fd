// SPDX-License-Identifier: GPL-2.0
/* ktierctl plot: a picture of a record, on a terminal or as PNG and SVG. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "ktierctl.h"
#include "plot.h"

static int plot(const struct command *self, int argc, char **argv);

const struct command command_plot = {
	.name = "plot",
	.synopsis = "plot FILE [--text]\n"
		    "plot FILE -o NAME [--png] [--svg] [--text]",
	.summary = "show a record: address over time, hot in colour, and the tiers",
	.text =
"      --text         for a terminal of 80 columns; that is done if none of these\n"
"                     options is given. In colour on a terminal, unless NO_COLOR\n"
"                     is set\n"
"  -o, --output=NAME  make NAME.png and NAME.svg; or one of them, if that is what\n"
"                     NAME ends with or what --png or --svg asks for; or with\n"
"                     --text, write that to NAME. A file that is there is\n"
"                     overwritten\n"
"      --png, --svg   without -o, FILE.png or FILE.svg is made\n"
"  -h, --help         show this\n"
"\n"
"FILE was made by 'ktierctl record', which may still be writing it. Pictures are\n"
"made by gnuplot (Debian: gnuplot-nox).\n"
"\n"
"The lowest addresses are at the bottom; gaps are left out. The hotter a page the\n"
"darker it is, orange in the top tier (DRAM) and blue in a lower tier. In text: H\n"
"and h hot, W and w used lately, : and . cold, the first of each in the top tier,\n"
"the second in a lower one. Each point is one page, drawn at random from those\n"
"that it stands for. Below is which share of the hot memory, and of all, is in\n"
"the top tier.\n"
"\n"
"Exit status: 0, 1 it could not be plotted, 2 wrong usage.\n",
	.run = plot,
};

struct plotting {
	const char *file;
	const char *output;
	bool text, png, svg;
};

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text);

	return length > strlen(end) && !strcmp(text + length - strlen(end), end);
}

/* What to make, if it was not said, follows from the name. */
static void choose_formats(struct plotting *plotting)
{
	const char *output = plotting->output;

	if (plotting->text || plotting->png || plotting->svg)
		return;
	plotting->text = !output;
	plotting->png = output && !ends_with(output, ".svg");
	plotting->svg = output && !ends_with(output, ".png");
}

static bool plot_text(const struct plotting *plotting)
{
	struct picture picture = { .rows = TEXT_ROWS, .columns = TEXT_COLUMNS };
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	FILE *out = stdout;
	bool good;

	good = picture_read(&picture, plotting->file, true);
	if (good && plotting->output)
		out = fopen(plotting->output, "we");
	if (good && out)
		plot_as_text(&picture, out, isatty(fileno(out)) && term &&
			     strcmp(term, "dumb") && !(no_color && *no_color));
	if (!out || (out != stdout && fclose(out))) {
		complain("%s can't be written (%s).", plotting->output, strerror(errno));
		good = false;
	}
	picture_free(&picture);
	return good;
}

static bool plot_image(const struct plotting *plotting, const struct picture *picture,
		       enum format format)
{
	const char *end = format == PNG ? ".png" : ".svg";
	const char *name = plotting->output ?: plotting->file;
	char path[PATH_MAX];

	if (plotting->output && ends_with(name, end))
		end = "";
	if (snprintf(path, sizeof(path), "%s%s", name, end) >= (int)sizeof(path)) {
		complain("plot: the name '%s' is too long.", name);
		return false;
	}
	return plot_with_gnuplot(picture, format, path);
}

static bool plot_images(const struct plotting *plotting)
{
	struct picture picture = { .rows = MAP_HEIGHT, .columns = MAP_WIDTH };
	bool good = picture_read(&picture, plotting->file, false);

	if (good && plotting->png)
		good = plot_image(plotting, &picture, PNG);
	if (good && plotting->svg)
		good = plot_image(plotting, &picture, SVG);
	picture_free(&picture);
	return good;
}

enum {
	OPTION_TEXT = 256,
	OPTION_PNG,
	OPTION_SVG,
};

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "text", no_argument, NULL, OPTION_TEXT },
	{ "png", no_argument, NULL, OPTION_PNG },
	{ "svg", no_argument, NULL, OPTION_SVG },
	OPTION_HELP,
	OPTION_END,
};

static void set_option(struct plotting *plotting, int option)
{
	if (option == 'o')
		plotting->output = optarg;
	else if (option == OPTION_TEXT)
		plotting->text = true;
	else if (option == OPTION_PNG)
		plotting->png = true;
	else
		plotting->svg = true;
}

/* Returns -1, or what to exit with. */
static int parse_options(const struct command *self, struct plotting *plotting, int argc,
			 char **argv)
{
	int option;

	/* Options may stand behind the file. */
	while ((option = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return wrong_option(self, option, argv);
		if (option == 'h') {
			print_command_help(self);
			return EXIT_SUCCESS;
		}
		set_option(plotting, option);
	}
	if (optind + 1 != argc) {
		complain("plot takes one file, a record.");
		return usage_error(self);
	}
	plotting->file = argv[optind];
	choose_formats(plotting);
	if (plotting->text && (plotting->png || plotting->svg)) {
		complain("plot makes text or pictures, not both at once.");
		return usage_error(self);
	}
	return -1;
}

static int plot(const struct command *self, int argc, char **argv)
{
	struct plotting plotting = { };
	int status = parse_options(self, &plotting, argc, argv);

	if (status >= 0)
		return status;
	if (plotting.text)
		return plot_text(&plotting) ? EXIT_SUCCESS : EXIT_FAILURE;
	return plot_images(&plotting) ? EXIT_SUCCESS : EXIT_FAILURE;
}
