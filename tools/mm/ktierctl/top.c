// SPDX-License-Identifier: GPL-2.0
/* ktierctl top: what ktierd does for each process, live. */
#define _GNU_SOURCE
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ktierctl.h"
#include "top.h"

static const struct option options[] = {
	{ "batch", no_argument, NULL, 'b' },
	{ "delay", required_argument, NULL, 'd' },
	{ "iterations", required_argument, NULL, 'n' },
	{ "sort", required_argument, NULL, 's' },
	OPTION_HELP,
	OPTION_END
};

struct how {
	bool batch;
	double delay;
	unsigned long iterations;
};

/* How the parts of bars look: the pair of each has the number of its place. */
static const struct {
	char letter;
	short color;
} bar_parts[] = {
	{ BAR_HOT, COLOR_RED },
	{ BAR_WARM, COLOR_YELLOW },
	{ BAR_COLD, COLOR_CYAN },
	{ BAR_UNMARKED, COLOR_WHITE },
};

/*
 * Those that end the program become readable here, so that the terminal is put back
 * before they do.
 */
static int catch_signals(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, before);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The one that came, if any, ends the program now. */
static void release_signals(int fd, const sigset_t *before)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) == sizeof(info)) {
		signal(info.ssi_signo, SIG_DFL);
		raise(info.ssi_signo);
	}
	close(fd);
	sigprocmask(SIG_SETMASK, before, NULL);
}

static void init_colors(void)
{
	if (!has_colors())
		return;
	start_color();
	use_default_colors();
	for (size_t i = 0; i < ARRAY_SIZE(bar_parts); i++)
		init_pair(i + 1, bar_parts[i].color, -1);
}

static bool open_screen(void)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		complain("top needs a terminal; for a pipe or a file use 'ktierctl top -b -n 1'.");
		return false;
	}
	setlocale(LC_CTYPE, "");
	if (!newterm(NULL, stdout, stdin)) {
		complain("the type of this terminal, TERM=%s, is not known; use 'ktierctl top -b'.",
			 getenv("TERM") ?: "");
		return false;
	}
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	init_colors();
	return true;
}

static attr_t look_of(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(bar_parts); i++)
		if (bar_parts[i].letter == letter)
			return COLOR_PAIR(i + 1);
	return A_NORMAL;
}

/* In colour only between brackets. */
static void draw_bar_line(const char *text)
{
	bool inside = false;

	for (int column = 0; *text && column < COLS; text++, column++) {
		if (*text == ']')
			inside = false;
		addch((unsigned char)*text | (inside ? look_of(*text) : A_NORMAL));
		if (*text == '[')
			inside = true;
	}
}

static void draw_line(int row, const struct line *line)
{
	move(row, 0);
	if (line->look == LOOK_BAR) {
		draw_bar_line(line->text);
		return;
	}
	if (line->look == LOOK_HEADER)
		attron(A_REVERSE);
	addnstr(line->text, COLS);
	if (line->look == LOOK_HEADER)
		hline(' ', COLS - getcurx(stdscr));
	attroff(A_REVERSE);
}

/* The last line of the screen tells of the keys. */
static void draw(struct page *page, struct view *view)
{
	static const char keys[] =
		"h help  q end  r turn  sort: m marked d dram o hot c cold u up w down p pid";

	view->width = COLS;
	compose(page, view);
	erase();
	for (int row = 0; row < page->number && row < LINES - 1; row++)
		draw_line(row, &page->lines[row]);
	attron(A_DIM);
	mvaddnstr(LINES - 1, 0, view->help ? "h back   q end" : keys, COLS - 1);
	attroff(A_DIM);
	refresh();
}

/* Returns false if that is the end. */
static bool handle_key(int key, struct view *view, bool *look_again)
{
	static const char sort_keys[NR_COLUMNS + 1] = "pmdocuw";
	const char *found;

	switch (key) {
	case 'q':
	case 'Q':
		return false;
	case 'h':
	case '?':
		view->help = !view->help;
		break;
	case 'r':
		view->reverse = !view->reverse;
		break;
	case ' ':
		*look_again = true;
		break;
	default:
		found = key > 0 && key < 128 ? strchr(sort_keys, key) : NULL;
		if (found)
			view->sort = found - sort_keys;
	}
	return true;
}

/* Wait for keys, a new size of the window, or signals. False: end. */
static bool wait_for_keys(struct page *page, struct view *view, double until, int signals)
{
	struct pollfd sources[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	bool look_again = false;
	double left;
	int key;

	while (!look_again && (left = until - now()) > 0) {
		poll(sources, ARRAY_SIZE(sources), left * 1000 + 1);
		if (sources[1].revents || sources[0].revents & (POLLHUP | POLLERR | POLLNVAL))
			return false;
		while ((key = getch()) != ERR)
			if (!handle_key(key, view, &look_again))
				return false;
		draw(page, view);
	}
	return true;
}

static int live(const struct how *how, struct view *view)
{
	struct page page = { 0 };
	sigset_t before;
	int signals;

	if (!open_screen())
		return EXIT_USAGE;
	signals = catch_signals(&before);
	for (unsigned long i = 0; i < how->iterations; i++) {
		view_next(view);
		draw(&page, view);
		if (!wait_for_keys(&page, view, now() + how->delay, signals))
			break;
	}
	endwin();
	page_free(&page);
	release_signals(signals, &before);
	return EXIT_SUCCESS;
}

/* All lines, as wide as they are. Trailing spaces are for screens. */
static void print_page(const struct page *page)
{
	int length;

	for (int i = 0; i < page->number; i++) {
		length = strlen(page->lines[i].text);
		while (length && page->lines[i].text[length - 1] == ' ')
			length--;
		printf("%.*s\n", length, page->lines[i].text);
	}
	fflush(stdout);
}

static int batch(const struct how *how, struct view *view)
{
	struct page page = { 0 };
	double next = now();

	view->width = 80;
	view_next(view);
	for (unsigned long i = 0; i < how->iterations && !ferror(stdout); i++) {
		next += how->delay;
		sleep_until(next);
		view_next(view);
		compose(&page, view);
		if (i)
			putchar('\n');
		print_page(&page);
	}
	page_free(&page);
	return EXIT_SUCCESS;
}

static bool parse_sort(const struct command *self, const char *name, enum column *sort)
{
	for (int i = 0; i < NR_COLUMNS; i++) {
		if (!strcmp(name, column_names[i])) {
			*sort = i;
			return true;
		}
	}
	complain("%s: nothing is called '%s' to sort by; see 'ktierctl help %s'.", self->name,
		 name, self->name);
	return false;
}

/* Returns what to exit with, or -1 to go on. */
static int parse(const struct command *self, int argc, char **argv, struct how *how,
		 struct view *view)
{
	bool good = true;
	int option;

	while (good && (option = getopt_long(argc, argv, ":bd:n:s:h", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			how->batch = true;
			break;
		case 'd':
			good = parse_seconds(self, optarg, 86400, &how->delay);
			break;
		case 'n':
			good = parse_count(self, "the number of iterations", optarg, 1,
					   INT_MAX, &how->iterations);
			break;
		case 's':
			good = parse_sort(self, optarg, &view->sort);
			break;
		case 'h':
			print_command_help(self);
			return EXIT_SUCCESS;
		default:
			return wrong_option(self, option, argv);
		}
	}
	if (good && optind < argc) {
		complain("top takes no arguments.");
		good = false;
	}
	return good ? -1 : usage_error(self);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct how how = { .delay = 2, .iterations = ULONG_MAX };
	struct view view = { .sort = COLUMN_MARKED };
	int status = parse(self, argc, argv, &how, &view);

	if (status >= 0)
		return status;
	if (!ktierd_is_there())
		return EXIT_REFUSED;
	status = (how.batch ? batch : live)(&how, &view);
	view_free(&view);
	return status;
}

const struct command command_top = {
	.name = "top",
	.synopsis = "top [-d SECONDS] [-n NUMBER] [-s COLUMN]\n"
		    "top -b [-d SECONDS] [-n NUMBER] [-s COLUMN]",
	.summary = "show processes and nodes live, like top",
	.text =
"  -b, --batch              print, without a terminal, as for a pipe\n"
"  -d, --delay SECONDS      between two looks (default 2)\n"
"  -n, --iterations NUMBER  end after so many\n"
"  -s, --sort COLUMN        pid, marked (default), dram, hot, cold, up or down\n"
"  -h, --help               show this\n"
"\n"
"Keys: q ends it; h explains the columns; m, d, o, c, u, w and p sort by marked,\n"
"in DRAM, hot, cold, up, down and PID; r turns the order; space looks again.\n"
"\n"
"Only root sees the processes of all users. With -b the first output comes after\n"
"the first delay.\n"
"\n"
"The exit status is 0; 125 if the kernel has no ktierd; 2 after a usage error, or\n"
"if there is no terminal.\n",
	.run = run,
};
