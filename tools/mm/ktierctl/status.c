// SPDX-License-Identifier: GPL-2.0
/* ktierctl status: how things are, on one screen, or as JSON. */
#define _GNU_SOURCE
#include <getopt.h>
#include <json-c/json.h>
#include <stddef.h>
#include <string.h>

#include "format.h"
#include "ktierctl.h"
#include "sample.h"

/* Rounds may be far apart: one should be in the sample, but nobody waits for ever. */
#define MAX_WAIT	10	/* seconds */

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "seconds", required_argument, NULL, 's' },
	OPTION_HELP,
	OPTION_END
};

/* Can a round be expected? */
static bool at_work(const struct machine *machine)
{
	return machine->figure[ENABLED] && machine->figure[PROCESSES] && machine->has_lower_tier;
}

/* For some time, or without one (0) for a second and until a round has ended. */
static void take_sample(struct sample *sample, double seconds)
{
	double step = seconds ?: 1;
	double end;

	sample_next(sample);
	end = sample->after.when + (seconds ?: MAX_WAIT);
	sleep_until(sample->after.when + step);
	sample_next(sample);
	while (!seconds && at_work(&sample->after) && !grown(sample, SCANS) && now() < end) {
		sleep_until(now() + 0.1);
		machine_free(&sample->after);
		machine_read(&sample->after);
	}
}

static void show_state(const struct sample *sample)
{
	const struct machine *machine = &sample->after;
	u64 processes = machine->figure[PROCESSES];

	printf("ktierd is %s. ", machine->figure[ENABLED] ? "on" : "off");
	if (!processes)
		puts("No process has marked memory.");
	else if (!at_work(machine) || !machine->figure[INTERVAL_MS])
		printf("%llu %s marked memory.\n", processes,
		       processes == 1 ? "process has" : "processes have");
	else
		printf("It looks after %llu %s: a round every %s, window %s.\n",
		       processes, processes == 1 ? "process" : "processes",
		       time_text(machine->figure[INTERVAL_MS] * 1000).s,
		       time_text(machine->figure[WINDOW_US]).s);
}

static void show_nodes(const struct machine *machine)
{
	const struct node *node;

	puts("\nTier   Node        Size        Free      Marked         Hot        Cold");
	for (int i = 0; i < machine->nr_nodes; i++) {
		node = &machine->nodes[i];
		printf("%-5s  %4d  %10s  %10s  %10s  %10s  %10s\n",
		       node->lower ? "lower" : "top", node->id, size_text(node->size_kb).s,
		       size_text(node->free_kb).s, size_text(node->tracked_kb).s,
		       size_text(node->hot_kb).s, size_text(node->cold_kb).s);
	}
}

static void show_moves(const struct sample *sample)
{
	const u64 *figure = sample->after.figure;

	printf("\nIn %.1f s, %llu %s: promoted %s, demoted %s, moved back %s;\n"
	       "CPU time %.1f %% for sampling and %.1f %% for moving.\n",
	       sample_seconds(sample), grown(sample, SCANS),
	       grown(sample, SCANS) == 1 ? "round" : "rounds",
	       size_text(pages_to_kb(grown(sample, PAGES_PROMOTED))).s,
	       size_text(pages_to_kb(grown(sample, PAGES_DEMOTED))).s,
	       size_text(pages_to_kb(grown(sample, PAGES_RETURNED))).s,
	       cpu_percent(sample, SCAN_MS), cpu_percent(sample, MIGRATE_MS));
	printf("Since boot: promoted %s, demoted %s, moved back %s.\n",
	       size_text(pages_to_kb(figure[PAGES_PROMOTED])).s,
	       size_text(pages_to_kb(figure[PAGES_DEMOTED])).s,
	       size_text(pages_to_kb(figure[PAGES_RETURNED])).s);
}

/* The reason of most pages that is not shown yet, or -1. */
static int next_reason(const struct sample *sample, const bool *shown)
{
	int most = -1;

	for (int i = 0; i < NR_REASONS; i++)
		if (!shown[i] && failed_more(sample, i) &&
		    (most < 0 || failed_more(sample, i) > failed_more(sample, most)))
			most = i;
	return most;
}

static void show_failed(const struct sample *sample)
{
	bool shown[NR_REASONS] = { false };
	int reason = next_reason(sample, shown);

	if (reason < 0) {
		puts("In that time no page stayed that should have moved.");
		return;
	}
	puts("Pages that should have moved in that time and stayed, because they ...");
	for (int row = 0; row < 3 && reason >= 0; row++) {
		printf("%10llu  %s (%s)\n", failed_more(sample, reason), reasons[reason].means,
		       reasons[reason].name);
		shown[reason] = true;
		reason = next_reason(sample, shown);
	}
}

/* With @head before the first line, and as much space before the others. */
static void print_wrapped(const char *head, const char *text)
{
	const int margin = strlen(head), width = 79 - margin;
	int length, most;

	while (*text) {
		most = strlen(text) > (size_t)width ? width : (int)strlen(text);
		for (length = most; text[length] && length && text[length] != ' '; length--)
			;
		if (!length)
			length = most;
		printf("%*s%.*s\n", margin, head, length, text);
		text += length;
		text += strspn(text, " ");
		head = "";
	}
}

/* Those that are changed, or the others. */
static void show_some_settings(const struct machine *machine, bool changed, const char *head)
{
	char text[512] = "";
	u64 value, normal;
	bool is_changed;
	int used = 0;

	for (int i = 0; i < NR_SETTINGS; i++) {
		value = machine->setting[i];
		normal = settings[i].by_default;
		is_changed = value != normal;
		if (is_changed != changed)
			continue;
		used += snprintf(text + used, sizeof(text) - used, "%s%s %llu",
				 used ? ", " : "", settings[i].name, value);
		if (changed)
			used += snprintf(text + used, sizeof(text) - used, " (default %llu)",
					 normal);
	}
	print_wrapped(head, text);
}

static void show_settings(const struct machine *machine)
{
	puts("\nSettings, sysctl vm.ktierd_...");
	show_some_settings(machine, true, "  changed: ");
	show_some_settings(machine, false, "  default: ");
}

static void show_verdict(const struct sample *sample)
{
	const struct machine *machine = &sample->after;
	u64 hot_top = SUM(machine, false, hot_kb), hot_low = SUM(machine, true, hot_kb);
	struct finding findings[MAX_FINDINGS];
	int number = diagnose(sample, findings);

	if (!number && hot_top + hot_low)
		printf("\nNothing is in the way. Of the hot memory %s is in the top tier.\n",
		       percent_text(hot_top, hot_top + hot_low).s);
	else if (!number)
		puts("\nNothing is in the way.");
	else
		puts("\nWhat is in the way, and what to do:");
	for (int i = 0; i < number; i++) {
		print_wrapped("  ", findings[i].text);
		print_wrapped("  -> ", findings[i].advice);
	}
}

static void show(const struct sample *sample)
{
	show_state(sample);
	show_nodes(&sample->after);
	show_moves(sample);
	show_failed(sample);
	show_settings(&sample->after);
	show_verdict(sample);
}

/* The same as JSON. Its form is in status.schema.json beside the tests. */

static void add_number(struct json_object *object, const char *name, u64 value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

/* With as many digits as are worth it. */
static void add_fraction(struct json_object *object, const char *name, double value)
{
	char digits[32];

	snprintf(digits, sizeof(digits), "%.3f", value);
	json_object_object_add(object, name, json_object_new_double_s(value, digits));
}

static void add_text(struct json_object *object, const char *name, const char *value)
{
	json_object_object_add(object, name, json_object_new_string(value));
}

static void add_bool(struct json_object *object, const char *name, bool value)
{
	json_object_object_add(object, name, json_object_new_boolean(value));
}

static struct json_object *json_of_nodes(const struct machine *machine)
{
	struct json_object *list = json_object_new_array(), *object;
	const struct node *node;

	for (int i = 0; i < machine->nr_nodes; i++) {
		node = &machine->nodes[i];
		object = json_object_new_object();
		add_number(object, "node", node->id);
		add_text(object, "tier", node->lower ? "lower" : "top");
		if (node->tier >= 0)
			add_number(object, "memory_tier", node->tier);
		add_number(object, "size_kb", node->size_kb);
		add_number(object, "free_kb", node->free_kb);
		add_number(object, "tracked_kb", node->tracked_kb);
		add_number(object, "hot_kb", node->hot_kb);
		add_number(object, "cold_kb", node->cold_kb);
		json_object_array_add(list, object);
	}
	return list;
}

static struct json_object *json_of_figures(const struct machine *machine)
{
	struct json_object *object = json_object_new_object();

	for (int i = ENABLED + 1; i < NR_FIGURES; i++)
		add_number(object, figure_names[i], machine->figure[i]);
	return object;
}

static struct json_object *json_of_sample(const struct sample *sample)
{
	struct json_object *object = json_object_new_object();

	add_fraction(object, "seconds", sample_seconds(sample));
	add_number(object, "rounds", grown(sample, SCANS));
	add_number(object, "pages_promoted", grown(sample, PAGES_PROMOTED));
	add_number(object, "pages_demoted", grown(sample, PAGES_DEMOTED));
	add_number(object, "pages_returned", grown(sample, PAGES_RETURNED));
	add_fraction(object, "scan_cpu_percent", cpu_percent(sample, SCAN_MS));
	add_fraction(object, "migrate_cpu_percent", cpu_percent(sample, MIGRATE_MS));
	return object;
}

static struct json_object *json_of_failed(const struct sample *sample)
{
	struct json_object *object = json_object_new_object(), *reason;

	for (int i = 0; i < NR_REASONS; i++) {
		reason = json_object_new_object();
		add_number(reason, "total", sample->after.failed[i]);
		add_number(reason, "sample", failed_more(sample, i));
		json_object_object_add(object, reasons[i].name, reason);
	}
	return object;
}

static struct json_object *json_of_settings(const struct machine *machine)
{
	struct json_object *object = json_object_new_object(), *setting;

	for (int i = 0; i < NR_SETTINGS; i++) {
		setting = json_object_new_object();
		add_number(setting, "value", machine->setting[i]);
		add_number(setting, "default", settings[i].by_default);
		json_object_object_add(object, settings[i].name, setting);
	}
	return object;
}

static struct json_object *json_of_findings(const struct sample *sample)
{
	struct json_object *list = json_object_new_array(), *object;
	struct finding findings[MAX_FINDINGS];
	int number = diagnose(sample, findings);

	for (int i = 0; i < number; i++) {
		object = json_object_new_object();
		add_text(object, "code", findings[i].code);
		add_text(object, "text", findings[i].text);
		add_text(object, "advice", findings[i].advice);
		json_object_array_add(list, object);
	}
	return list;
}

static void show_json(const struct sample *sample)
{
	struct json_object *all = json_object_new_object();

	add_number(all, "version", 1);
	add_number(all, "page_kb", pages_to_kb(1));
	add_bool(all, "enabled", sample->after.figure[ENABLED]);
	add_bool(all, "lower_tier", sample->after.has_lower_tier);
	json_object_object_add(all, "nodes", json_of_nodes(&sample->after));
	json_object_object_add(all, "figures", json_of_figures(&sample->after));
	json_object_object_add(all, "sample", json_of_sample(sample));
	json_object_object_add(all, "failed", json_of_failed(sample));
	json_object_object_add(all, "settings", json_of_settings(&sample->after));
	json_object_object_add(all, "diagnosis", json_of_findings(sample));
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct sample sample = { 0 };
	bool as_json = false;
	double seconds = 0;
	int option;

	while ((option = getopt_long(argc, argv, ":js:h", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			as_json = true;
			break;
		case 's':
			if (!parse_seconds(self, optarg, 86400, &seconds))
				return usage_error(self);
			break;
		case 'h':
			print_command_help(self);
			return EXIT_SUCCESS;
		default:
			return wrong_option(self, option, argv);
		}
	}
	if (optind < argc) {
		complain("status takes no arguments.");
		return usage_error(self);
	}
	if (!ktierd_is_there())
		return EXIT_REFUSED;
	take_sample(&sample, seconds);
	(as_json ? show_json : show)(&sample);
	sample_free(&sample);
	return EXIT_SUCCESS;
}

const struct command command_status = {
	.name = "status",
	.synopsis = "status [--json] [--seconds SECONDS]",
	.summary = "show whether ktierd works, and what keeps it from it",
	.text =
"Tiers and nodes with the marked memory on them, what was moved and what stayed\n"
"in a sample, the settings, and a diagnosis. The sample is a second and, where\n"
"rounds are farther apart, until one has ended, ten seconds at most.\n"
"\n"
"  -j, --json             for programs\n"
"  -s, --seconds SECONDS  the length of the sample\n"
"  -h, --help             show this\n"
"\n"
"Hot is what is used often, cold what has been idle for vm.ktierd_cold_age_ms.\n"
"Hot memory belongs in the top tier, and cold memory in a lower one.\n"
"\n"
"The exit status is 0, whatever the diagnosis; 125 if the kernel has no ktierd;\n"
"2 after a usage error.\n",
	.run = run,
};
