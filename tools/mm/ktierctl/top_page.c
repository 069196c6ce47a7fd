// SPDX-License-Identifier: GPL-2.0
/* The lines that 'ktierctl top' shows. */
#define _GNU_SOURCE
#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "format.h"
#include "ktierctl.h"
#include "top.h"

/* More nodes than these leave no room for processes. */
#define MAX_BARS	8

const char * const column_names[NR_COLUMNS] = {
	[COLUMN_PID]	= "pid",
	[COLUMN_MARKED]	= "marked",
	[COLUMN_DRAM]	= "dram",
	[COLUMN_HOT]	= "hot",
	[COLUMN_COLD]	= "cold",
	[COLUMN_UP]	= "up",
	[COLUMN_DOWN]	= "down",
};

/* A process with what it is sorted by. */
struct row {
	const struct process *process;
	double value[NR_COLUMNS];
};

void view_next(struct view *view)
{
	view->has_rates = view->sample.after.nodes;
	sample_next(&view->sample);
	free(view->before);
	view->before = view->after;
	view->nr_before = view->nr_after;
	view->nr_after = processes_read(&view->after);
}

void view_free(struct view *view)
{
	sample_free(&view->sample);
	free(view->before);
	free(view->after);
}

static char *new_line(struct page *page, enum look look)
{
	struct line *line;

	page->lines = realloc(page->lines, (page->number + 1) * sizeof(*line));
	if (!page->lines)
		abort();
	line = &page->lines[page->number++];
	line->look = look;
	return line->text;
}

#define add_line(page, look, ...) \
	snprintf(new_line(page, look), LINE_SIZE, __VA_ARGS__)

void page_free(struct page *page)
{
	free(page->lines);
	*page = (struct page) { 0 };
}

static void add_summary(struct page *page, const struct view *view)
{
	const struct sample *sample = &view->sample;
	const u64 *figure = sample->after.figure;
	time_t seconds = time(NULL);
	char clock[16], others[48] = "";

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime(&seconds));
	if (view->nr_after >= 0 && figure[PROCESSES] > (u64)view->nr_after)
		snprintf(others, sizeof(others), " (%llu of other users)",
			 figure[PROCESSES] - view->nr_after);
	add_line(page, LOOK_PLAIN, "ktierd %s  %s, %llu %s%s, round %s, window %s",
		 clock, figure[ENABLED] ? "on" : "OFF", figure[PROCESSES],
		 figure[PROCESSES] == 1 ? "process" : "processes", others,
		 time_text(figure[INTERVAL_MS] * 1000).s, time_text(figure[WINDOW_US]).s);
	if (view->has_rates)
		add_line(page, LOOK_PLAIN,
			 "promoted %s/s  demoted %s/s  moved back %s/s  thread %.1f %% of a CPU",
			 size_text(kb_per_second(sample, PAGES_PROMOTED)).s,
			 size_text(kb_per_second(sample, PAGES_DEMOTED)).s,
			 size_text(kb_per_second(sample, PAGES_RETURNED)).s,
			 cpu_percent(sample, SCAN_MS) + cpu_percent(sample, MIGRATE_MS));
	else
		add_line(page, LOOK_PLAIN, "promoted, demoted: a moment, please");
}

/* Fill @bar up to where @kb more of @size ends. Returns what is filled then. */
static int fill(char *bar, int width, int from, u64 *sum, u64 kb, u64 size, char letter)
{
	int to;

	*sum += kb;
	to = size ? (*sum * width + size / 2) / size : 0;
	if (to > width)
		to = width;
	if (to > from)
		memset(bar + from, letter, to - from);
	return to > from ? to : from;
}

/* Parts of what is marked, then what else is in use. Figures are of several moments. */
static void draw_bar(char *bar, int width, const struct node *node)
{
	u64 known = node->hot_kb + node->cold_kb, sum = 0;
	u64 warm = node->tracked_kb > known ? node->tracked_kb - known : 0;
	u64 used = node->size_kb > node->free_kb ? node->size_kb - node->free_kb : 0;
	int at = 0;

	memset(bar, ' ', width);
	bar[width] = '\0';
	at = fill(bar, width, at, &sum, node->hot_kb, node->size_kb, BAR_HOT);
	at = fill(bar, width, at, &sum, warm, node->size_kb, BAR_WARM);
	at = fill(bar, width, at, &sum, node->cold_kb, node->size_kb, BAR_COLD);
	fill(bar, width, at, &sum, used > sum ? used - sum : 0, node->size_kb, BAR_UNMARKED);
}

static void add_bars(struct page *page, const struct view *view)
{
	const struct machine *machine = &view->sample.after;
	const struct node *node;
	int width = view->width - 44;
	char bar[128];

	if (width > (int)sizeof(bar) - 1)
		width = sizeof(bar) - 1;
	if (width < 10)
		width = 10;
	for (int i = 0; i < machine->nr_nodes && i < MAX_BARS; i++) {
		node = &machine->nodes[i];
		draw_bar(bar, width, node);
		add_line(page, LOOK_BAR, "node %-3d %-5s [%s] %8s, %8s free", node->id,
			 node->lower ? "lower" : "top", bar, size_text(node->size_kb).s,
			 size_text(node->free_kb).s);
	}
	if (machine->nr_nodes > MAX_BARS)
		add_line(page, LOOK_PLAIN, "and %d more nodes: see 'ktierctl status'",
			 machine->nr_nodes - MAX_BARS);
	add_line(page, LOOK_BAR, "marked memory: [%c]hot [%c]warm [%c]cold   other: [%c]",
		 BAR_HOT, BAR_WARM, BAR_COLD, BAR_UNMARKED);
}

/* What is in the way, if anything. */
static void add_notice(struct page *page, const struct view *view)
{
	struct finding findings[MAX_FINDINGS];

	if (diagnose(&view->sample, findings))
		add_line(page, LOOK_PLAIN, "%s", findings[0].text);
	else if (view->nr_after < 0)
		add_line(page, LOOK_PLAIN, "This kernel has no /proc/PID/ktierd_stat.");
	else
		add_line(page, LOOK_PLAIN, "%s", "");
}

static int compare_pids(const void *a, const void *b)
{
	return ((const struct process *)a)->pid - ((const struct process *)b)->pid;
}

/* KiB a second. Counters begin anew if it executes another program. */
static double process_rate(const struct view *view, const struct process *process,
			   enum process_figure figure)
{
	const struct process *before;

	if (!view->has_rates || view->nr_before <= 0)
		return 0;
	before = bsearch(process, view->before, view->nr_before, sizeof(*before), compare_pids);
	if (!before || before->figure[figure] > process->figure[figure])
		return 0;
	return pages_to_kb(process->figure[figure] - before->figure[figure]) /
	       sample_seconds(&view->sample);
}

static void fill_row(struct row *row, const struct view *view, const struct process *process)
{
	const u64 *figure = process->figure;

	row->process = process;
	row->value[COLUMN_PID] = -process->pid;
	row->value[COLUMN_MARKED] = figure[TOP_KB] + figure[LOW_KB];
	row->value[COLUMN_DRAM] = figure[TOP_KB];
	row->value[COLUMN_HOT] = figure[HOT_TOP_KB] + figure[HOT_LOW_KB];
	row->value[COLUMN_COLD] = figure[COLD_TOP_KB] + figure[COLD_LOW_KB];
	row->value[COLUMN_UP] = process_rate(view, process, PROMOTED);
	row->value[COLUMN_DOWN] = process_rate(view, process, DEMOTED);
}

/* The largest first, and of equal ones the first process. */
static int compare_rows(const void *a, const void *b, void *data)
{
	const struct row *first = a, *second = b;
	const struct view *view = data;
	double difference = first->value[view->sort] - second->value[view->sort];

	if (!difference)
		return first->process->pid - second->process->pid;
	return (difference < 0) != view->reverse ? 1 : -1;
}

static const char *user_name(uid_t uid)
{
	static char text[32];
	static uid_t last = -1;
	struct passwd *user;

	if (uid == last && text[0])
		return text;
	user = getpwuid(uid);
	if (user)
		snprintf(text, sizeof(text), "%s", user->pw_name);
	else
		snprintf(text, sizeof(text), "%u", uid);
	last = uid;
	return text;
}

static void add_row(struct page *page, const struct row *row, bool has_rates)
{
	const struct process *process = row->process;
	const u64 *figure = process->figure;
	struct text up = { "-" }, down = { "-" };

	if (has_rates) {
		up = short_size(row->value[COLUMN_UP]);
		down = short_size(row->value[COLUMN_DOWN]);
	}
	add_line(page, LOOK_PLAIN, "%7d %-8.8s %7s %7s %7s %7s %7s %6s %6s  %s", process->pid,
		 user_name(process->uid), short_size(row->value[COLUMN_MARKED]).s,
		 short_size(figure[TOP_KB]).s, short_size(row->value[COLUMN_HOT]).s,
		 percent_text(figure[HOT_TOP_KB], figure[HOT_TOP_KB] + figure[HOT_LOW_KB]).s,
		 short_size(row->value[COLUMN_COLD]).s, up.s, down.s, process->name);
}

static void add_processes(struct page *page, const struct view *view)
{
	struct row *rows;

	add_line(page, LOOK_HEADER,
		 "    PID USER      MARKED IN-DRAM     HOT  IN-DRAM  COLD   UP/s DOWN/s  COMMAND");
	if (view->nr_after <= 0)
		return;
	rows = calloc(view->nr_after, sizeof(*rows));
	if (!rows)
		abort();
	for (int i = 0; i < view->nr_after; i++)
		fill_row(&rows[i], view, &view->after[i]);
	qsort_r(rows, view->nr_after, sizeof(*rows), compare_rows, (void *)view);
	for (int i = 0; i < view->nr_after; i++)
		add_row(page, &rows[i], view->has_rates);
	free(rows);
}

static void add_help(struct page *page, const struct view *view)
{
	static const char * const lines[] = {
		"q  end                       space  look again now",
		"h  this help, and back       r  the other way round",
		"Sort by  m marked   d in DRAM   o hot   c cold   u up   w down   p PID",
		"",
		"MARKED   memory that ktierd looks after, as of the last round, if present",
		"IN-DRAM  what of it is in the top tier",
		"HOT      what of it is used often; IN-DRAM behind it: how much of that is",
		"         in the top tier, which should be nearly all",
		"COLD     what was idle for vm.ktierd_cold_age_ms; belongs in a lower tier",
		"UP/s     promoted, and DOWN/s demoted, since the last look, a second",
		"",
		"Sizes are in KiB (K), MiB (M), GiB (G), TiB (T).",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		add_line(page, LOOK_PLAIN, "%s", lines[i]);
	add_line(page, LOOK_PLAIN, "%s", "");
	add_line(page, LOOK_PLAIN, "Now sorted by %s%s.", column_names[view->sort],
		 view->reverse ? ", the other way round" : "");
}

void compose(struct page *page, const struct view *view)
{
	page->number = 0;
	add_summary(page, view);
	add_bars(page, view);
	add_notice(page, view);
	if (view->help)
		add_help(page, view);
	else
		add_processes(page, view);
}
