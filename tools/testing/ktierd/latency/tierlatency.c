// SPDX-License-Identifier: GPL-2.0
/*
 * tierlatency: what others wait for while ktierd works.
 *
 * Threads touch marked memory of which other pages become busy after some
 * seconds, so that pages are moved both ways, and one changes mappings. It tells
 * how long ktierd holds page-table locks and mmap_lock, how long pages are on
 * their way, and how long those wait who touch one of these or want the lock;
 * and beside that what it is like while ktierd rests.
 *
 * How long something takes is told and not judged. That nothing was missed is,
 * and that under one page-table lock no more is looked at than a table has.
 */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

#include "../lib/args.h"
#include "../lib/ktierd.h"
#include "../lib/tiers.h"
#include "latency.h"

struct options option = {
	.mib = 4096,
	.seconds = 30,
	.patience = 600,
	.threads = 2,
	.note_us = 2,
	.turn_s = 10,
};

static const char *kind_name = "small";

static const char * const kind_names[KINDS] = {
	[KIND_SMALL] = "small",
	[KIND_MEDIUM] = "medium",
	[KIND_HUGE] = "huge",
	[KIND_FORKED] = "forked",
	[KIND_PROTECTED] = "protected",
};

static const char * const row_names[ROWS] = {
	[ROW_TABLE_CLEAR] = "page table's lock: clearing look",
	[ROW_TABLE_READ] = "page table's lock: reading look",
	[ROW_TABLE_MOVE] = "page table's lock: isolating",
	[ROW_PMD_CLEAR] = "PMD's lock: clearing look",
	[ROW_PMD_READ] = "PMD's lock: reading look",
	[ROW_PMD_MOVE] = "PMD's lock: isolating",
	[ROW_MMAP_HELD] = "mmap_lock: ktierd has it",
	[ROW_MMAP_WAITED] = "mmap_lock: a writer waits",
	[ROW_MMAP_REST] = "mmap_lock: a writer waits, ktierd at rest",
	[ROW_MOVED_SMALL] = "a small page is on its way",
	[ROW_MOVED_HUGE] = "a huge page is on its way",
};

enum {
	OPT_KIND = 'k', OPT_MIB = 'm', OPT_SECONDS = 's', OPT_PATIENCE = 'p', OPT_THREADS = 't',
	OPT_NOTE = 'n', OPT_TURN = 'u',
};

static const struct argp_option options[] = {
	{ "kind", OPT_KIND, "KIND", 0,
	  "small, medium, huge, forked, or protected in parts: of memory (small)", 0 },
	{ "mib", OPT_MIB, "N", 0, "marked memory, in MiB (4096)", 0 },
	{ "seconds", OPT_SECONDS, "N", 0,
	  "with ktierd at work, at least; half as long with it at rest (30)", 0 },
	{ "patience", OPT_PATIENCE, "N", 0,
	  "so many seconds at most, until enough was moved both ways (600)", 0 },
	{ "threads", OPT_THREADS, "N", 0, "that touch memory, in each process (2)", 0 },
	{ "note-us", OPT_NOTE, "N", 0, "a touch that waited took at least this long (2)", 0 },
	{ "turn-s", OPT_TURN, "N", 0, "after so many seconds other pages are busy (10)", 0 },
	{ }
};

static const struct args_option settings[] = {
	{ OPT_KIND, ARGS_TEXT, &kind_name, 0, 0 },
	{ OPT_MIB, ARGS_COUNT, &option.mib, 2, 1 << 20 },
	{ OPT_SECONDS, ARGS_COUNT, &option.seconds, 1, 86400 },
	{ OPT_PATIENCE, ARGS_COUNT, &option.patience, 1, 86400 },
	{ OPT_THREADS, ARGS_COUNT, &option.threads, 1, 64 },
	{ OPT_NOTE, ARGS_COUNT, &option.note_us, 1, 1000000 },
	{ OPT_TURN, ARGS_COUNT, &option.turn_s, 1, 3600 },
	{ }
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	unsigned int kind;

	if (key != ARGP_KEY_END)
		return args_set(settings, key, text, state);
	for (kind = 0; kind < KINDS && strcmp(kind_name, kind_names[kind]); kind++)
		;
	if (kind == KINDS)
		argp_error(state, "there is no kind '%s'.", kind_name);
	option.kind = kind;
	return 0;
}

static bool wrong(bool is, const char *what)
{
	if (is)
		printf("WRONG: %s\n", what);
	return is;
}

/* Both ways, so that some are touched on their way. */
#define ENOUGH_PAGES	5000
#define ENOUGH_HUGE	50

static bool moved_enough(const struct figures *before, struct figures *did)
{
	u64 enough = option.kind == KIND_HUGE ? ENOUGH_HUGE * TABLE_PAGES : ENOUGH_PAGES;

	ktierd_figures(did);
	did->promoted -= before->promoted;
	did->demoted -= before->demoted;
	return did->promoted >= enough && did->demoted >= enough;
}

/* Slow machines need longer. Of folios that stay there is nothing to wait for. */
static void work(struct figures *did)
{
	struct figures before;
	unsigned int passed;

	ktierd_figures(&before);
	ktierd_switch(true);
	for (passed = 0; passed < option.seconds ||
	     (passed < option.patience && option.kind != KIND_PROTECTED &&
	      !moved_enough(&before, did)); passed++)
		sleep(1);
	option.seconds = passed;
	moved_enough(&before, did);
}

static struct load load;
static struct traced traced;
static struct figure touches[PERIODS], waits;
static u64 lost_touches;

static void sum_touchers(void)
{
	for (unsigned int i = 0; i < load.nr_touchers; i++) {
		const struct toucher *toucher = &load.toucher[i];

		for (unsigned int period = 0; period < PERIODS; period++)
			figure_merge(&touches[period], &toucher->touches[period]);
		for (u64 j = 0; j < toucher->nr_noted; j++)
			if (traced_moving(&traced, &toucher->noted[j]))
				figure_add(&waits, toucher->noted[j].ns);
		lost_touches += toucher->lost;
	}
}

static void report(const struct figures *did)
{
	printf("%s: %u MiB, %u threads, %ld processors, %u s\n", kind_name, option.mib,
	       load.nr_touchers, sysconf(_SC_NPROCESSORS_ONLN), option.seconds);
	printf("%llu pages promoted, %llu demoted, at most %llu in a batch\n", did->promoted,
	       did->demoted, traced.batch);
	figure_head();
	for (unsigned int row = 0; row < ROWS; row++)
		figure_print(row_names[row], &traced.row[row]);
	figure_print("touch of a page on its way", &waits);
	figure_print("any touch", &touches[PERIOD_WORK]);
	figure_print("any touch, ktierd at rest", &touches[PERIOD_REST]);
}

/* Has all happened that is to be measured? */
static bool all_seen(const struct figures *did)
{
	const struct figure *row = traced.row;
	unsigned int first = option.kind == KIND_HUGE ? ROW_PMD_CLEAR : ROW_TABLE_CLEAR;
	bool bad = false;

	for (unsigned int i = first; i < first + 3; i++)
		bad |= wrong(!row[i].nr, "a lock was not seen held");
	bad |= wrong(!row[ROW_MMAP_HELD].nr || !row[ROW_MMAP_WAITED].nr ||
		     !row[ROW_MMAP_REST].nr, "mmap_lock was not seen held or waited for");
	bad |= wrong(!touches[PERIOD_REST].nr || !touches[PERIOD_WORK].nr, "nothing was touched");
	bad |= wrong(traced.lost, "events were lost");
	bad |= wrong(lost_touches, "there was no room for all touches that took long");
	/* Folios of which the parts are mapped in different ways stay. */
	if (option.kind == KIND_PROTECTED)
		return !bad;
	bad |= wrong(!traced.nr_moves, "no page was seen on its way");
	bad |= wrong(!did->promoted || !did->demoted, "pages were not moved both ways");
	bad |= wrong(!waits.nr, "no page on its way was touched: how long that takes is not known");
	return !bad;
}

static bool bounded(void)
{
	bool bad = false;

	for (unsigned int i = ROW_TABLE_CLEAR; i <= ROW_PMD_MOVE; i++)
		bad |= wrong(traced.row[i].entries > TABLE_PAGES,
			     "under one page-table lock more was looked at than a table has");
	return !bad;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "What others wait for while ktierd works.",
	};
	struct figures did;
	bool good;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	tiers_learn();
	ktierd_find();
	ktierd_switch(false);
	traced_make();
	load_start(&load);
	traced_start(&load);
	load_period(PERIOD_REST);
	sleep((option.seconds + 1) / 2);
	traced_work(now_ns());
	load_period(PERIOD_WORK);
	work(&did);
	load_period(PERIOD_NONE);
	load_stop(&load);
	traced_stop(&traced, &load);
	sum_touchers();
	report(&did);
	good = all_seen(&did);
	return bounded() && good ? EXIT_SUCCESS : EXIT_FAILURE;
}
