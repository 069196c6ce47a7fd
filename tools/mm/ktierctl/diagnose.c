// SPDX-License-Identifier: GPL-2.0
/*
 * What keeps ktierd from doing its work: the manual's list of symptoms, gone through
 * by a program.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "sample.h"

/* The threshold where all that is touched often enough to be hot fits into DRAM. */
#define ALL_FITS	18

struct findings {
	struct finding *list;
	int number;
};

static char *new_finding(struct findings *findings, const char *code, const char *advice)
{
	struct finding *finding = &findings->list[findings->number];

	if (findings->number < MAX_FINDINGS - 1)
		findings->number++;
	finding->code = code;
	snprintf(finding->advice, sizeof(finding->advice), "%s", advice);
	return finding->text;
}

#define find(findings, code, advice, ...) \
	snprintf(new_finding(findings, code, advice), FINDING_SIZE, __VA_ARGS__)

/* Then nothing can move, whatever else is the matter. */
static void why_nothing_works(const struct machine *machine, struct findings *findings)
{
	if (!machine->figure[ENABLED])
		find(findings, "switched_off", "echo 1 > " KTIERD_DIR "/enabled",
		     "ktierd is switched off: nothing is looked at, and nothing moves.");
	if (!machine->has_lower_tier)
		find(findings, "no_lower_tier",
		     "'ktierctl setup-node' makes one of persistent or CXL memory.",
		     "No memory node is in a lower tier: there is nowhere to move to.");
	if (!machine->figure[PROCESSES])
		find(findings, "nothing_marked",
		     "'ktierctl run -- PROGRAM', or 'ktierctl run --pid PID' for one that runs.",
		     "No process has marked memory: there is nothing to move.");
}

static u64 tracked_kb(const struct machine *machine)
{
	return SUM(machine, false, tracked_kb) + SUM(machine, true, tracked_kb);
}

static void why_nothing_moves(const struct machine *machine, struct findings *findings)
{
	if (!machine->setting[MIGRATE_MBPS])
		find(findings, "rate_is_zero", "sysctl vm.ktierd_migrate_mbps=1024",
		     "vm.ktierd_migrate_mbps is 0: pages are sampled and counted, and none moves.");
	if (!tracked_kb(machine))
		find(findings, "nothing_present",
		     "If it stays so, that memory was not touched yet, is swapped out, or is PROT_NONE.",
		     "Processes are registered, but the last round found none of their marked memory.");
}

/* Pages a round. */
static u64 stay(const struct sample *sample, int reason)
{
	u64 rounds = grown(sample, SCANS);

	return rounds ? failed_more(sample, reason) / rounds : 0;
}

/* Are these so many percent of what is marked? */
static bool many(const struct sample *sample, u64 pages, int percent)
{
	return pages && pages_to_kb(pages) >= tracked_kb(&sample->after) * percent / 100;
}

static u64 no_room(const struct sample *sample)
{
	u64 pages = 0;

	for (int i = 0; i < NR_REASONS; i++)
		if (strstr(reasons[i].name, "no_room"))
			pages += stay(sample, i);
	return pages;
}

/* In the top tier; figures are of several moments. */
static u64 unmarked_kb(const struct machine *machine)
{
	u64 others = SUM(machine, false, free_kb) + SUM(machine, false, tracked_kb);
	u64 size = SUM(machine, false, size_kb);

	return size > others ? size - others : 0;
}

/* Is it the slow memory that is full, or DRAM, and of what? */
static void why_no_room(const struct sample *sample, struct findings *findings)
{
	static const char advice[] =
		"Mark more of what runs, run less beside it, or lower vm.ktierd_headroom_percent.";
	const struct machine *machine = &sample->after;
	u64 unmarked = unmarked_kb(machine), size = SUM(machine, false, size_kb);
	u64 pages = no_room(sample);

	if (many(sample, pages, 2) &&
	    SUM(machine, true, free_kb) < SUM(machine, true, size_kb) / 50)
		find(findings, "lower_tier_full", "Add slow memory, or mark less.",
		     "The lower tier is full: %s a round can't be demoted.",
		     size_text(pages_to_kb(pages)).s);
	else if (many(sample, pages, 2))
		find(findings, "top_tier_full", advice,
		     "%s of hot memory finds no room: of the top tier's %s, %s are in use and not marked.",
		     size_text(SUM(machine, true, hot_kb)).s, size_text(size).s,
		     size_text(unmarked).s);
	else if (machine->figure[HOT_THRESHOLD] > ALL_FITS &&
		 SUM(machine, false, tracked_kb) < unmarked / 4)
		find(findings, "top_tier_full", advice,
		     "What is used most does not fit into DRAM: of %s, %s are in use, not marked.",
		     size_text(size).s, size_text(unmarked).s);
}

/*
 * The reason that holds most pages, if they are many. A few always stay, such as those
 * of libraries that all programs use.
 */
static void why_pages_stay(const struct sample *sample, struct findings *findings)
{
	int most = -1;

	for (int i = 0; i < NR_REASONS; i++)
		if (!strstr(reasons[i].name, "no_room") &&
		    (most < 0 || stay(sample, i) > stay(sample, most)))
			most = i;
	if (!many(sample, stay(sample, most), 10))
		return;
	find(findings, "pages_stay",
	     reasons[most].advice ?: "Nothing, unless it goes on; they are tried again.",
	     "%s should have moved in a round and stayed: these pages %s.",
	     size_text(pages_to_kb(stay(sample, most))).s, reasons[most].means);
}

static void why_restless(const struct sample *sample, struct findings *findings)
{
	const struct machine *machine = &sample->after;
	u64 moved = grown(sample, PAGES_PROMOTED) + grown(sample, PAGES_DEMOTED);
	u64 set = machine->setting[SCAN_INTERVAL_MS];

	if (many(sample, moved, 1) && grown(sample, PAGES_RETURNED) > moved / 5)
		find(findings, "back_and_forth",
		     "Raise vm.ktierd_cold_age_ms, if what is moved is used in turns.",
		     "Pages go back and forth: %s of what moved had moved just before.",
		     percent_text(grown(sample, PAGES_RETURNED), moved).s);
	/* Where nothing changes the interval is up to eight times as long. */
	if (machine->figure[INTERVAL_MS] > 9 * set)
		find(findings, "cpu_limit", "Raise vm.ktierd_cpu_percent, or mark less.",
		     "A round takes %s and not %s: the thread has reached vm.ktierd_cpu_percent.",
		     time_text(machine->figure[INTERVAL_MS] * 1000).s, time_text(set * 1000).s);
}

int diagnose(const struct sample *sample, struct finding list[MAX_FINDINGS])
{
	struct findings findings = { .list = list };

	why_nothing_works(&sample->after, &findings);
	if (findings.number)
		return findings.number;
	why_nothing_moves(&sample->after, &findings);
	if (findings.number)
		return findings.number;
	why_no_room(sample, &findings);
	why_pages_stay(sample, &findings);
	why_restless(sample, &findings);
	return findings.number;
}
