// SPDX-License-Identifier: GPL-2.0
/*
 * ktierd-sim pattern NAME [OPTION...]
 * ktierd-sim machine SCENARIO [OPTION...]
 *
 * Simulate one machine, and print what happened as JSON.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/minmax.h>

#include "costs.h"
#include "pattern.h"
#include "random.h"
#include "scenario.h"

#define WINDOW_START_US	20000

/* Wrong usage. */
#define EXIT_USAGE	2

struct options {
	struct size size;
	u64 seed;
	u64 rounds;
	u64 seconds;
	u64 cpu_percent;
	u64 mbps;
	u64 long_window;
	u64 window_min_us;
	u64 watched;
};

struct option_value {
	const char *name;
	u64 *value;
};

static struct options options = {
	.size = { .memory = 16ULL << 30, .mms = 1, .sample = 65536 },
	.rounds = -1ULL,
	.seconds = -1ULL,
	.cpu_percent = 5,
	.window_min_us = 5,
	.watched = 65536,
};

static u64 sample = 65536;

static const struct option_value option_values[] = {
	{ "memory", &options.size.memory },
	{ "dram", &options.size.dram },
	{ "busy", &options.size.busy },
	{ "mms", &options.size.mms },
	{ "sample", &sample },
	{ "seed", &options.seed },
	{ "rounds", &options.rounds },
	{ "seconds", &options.seconds },
	{ "cpu-percent", &options.cpu_percent },
	{ "mbps", &options.mbps },
	{ "long-window", &options.long_window },
	{ "window-min-us", &options.window_min_us },
	{ "watched", &options.watched },
	{ }
};

static void usage(const char *what)
{
	fprintf(stderr, "ktierd-sim: %s: not known\n", what);
	exit(EXIT_USAGE);
}

/* NAME=NUMBER */
static void parse_option(const char *text)
{
	const struct option_value *option;
	size_t length = strcspn(text, "=");
	char *end;

	for (option = option_values; option->name; option++)
		if (strlen(option->name) == length &&
		    !strncmp(option->name, text, length))
			break;
	if (!option->name || !text[length])
		usage(text);
	errno = 0;
	*option->value = strtoull(text + length + 1, &end, 0);
	if (errno || *end || !text[length + 1])
		usage(text);
}

static void print_round(const struct machine *machine, u64 began_ms,
			unsigned int window_us)
{
	const struct ktierd_budget *budget = &machine->budget;
	u64 capacity = ktierd_policy_capacity(budget);

	printf("%s{\"t\": %.3f, \"share\": %.5f, \"oracle\": %.5f, ",
	       machine->round > 1 ? ",\n" : "", began_ms / 1000.0,
	       machine_share(machine), machine_oracle(machine));
	printf("\"up\": %llu, \"down\": %llu, \"trips\": %llu, ",
	       (unsigned long long)machine->up, (unsigned long long)machine->down,
	       (unsigned long long)machine->trips);
	printf("\"exchange\": %llu, \"touched\": %.4f, \"shift\": %u, ",
	       (unsigned long long)budget->plan.exchange,
	       budget->census.nr_touched / (double)max(capacity, 1ULL),
	       ktierd_policy_shift(&budget->record));
	printf("\"late\": %d, \"windows\": %u, ", machine->late, budget->record.windows);
	printf("\"interval_ms\": %u, \"window_us\": %u, \"move\": %.6g}",
	       machine->interval_ms, window_us,
	       machine->walked_to_move +
	       (machine->up + machine->down) * costs.page_moved);
}

static u64 real_blocks(const struct machine *machine, enum block_kind kind)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < machine->nr_blocks; i++)
		if (machine->block[i].kind == kind)
			sum += machine->block[i].weight;
	return sum;
}

static u64 sampled_groups(const struct machine *machine)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < machine->nr_blocks; i++)
		sum += nr_groups(&machine->block[i]);
	return sum;
}

static void print_machine(const struct machine *machine)
{
	printf("\"pages\": %llu, \"mms\": %llu, \"scan\": %.8g, ",
	       (unsigned long long)machine_pages(machine),
	       (unsigned long long)machine->mms, machine->scan);
	printf("\"history\": %.8g, \"top_pages\": %llu, ", machine->history,
	       (unsigned long long)machine->top_pages);
	printf("\"small\": %llu, \"huge\": %llu, \"idle\": %llu, ",
	       (unsigned long long)real_blocks(machine, BLOCK_SMALL),
	       (unsigned long long)real_blocks(machine, BLOCK_HUGE),
	       (unsigned long long)real_blocks(machine, BLOCK_IDLE));
	printf("\"groups\": %llu, ", (unsigned long long)sampled_groups(machine));
	costs_print();
}

static void run(struct machine *machine, const struct pattern *pattern)
{
	unsigned int window_us;
	u64 began_ms;

	printf("{\"rounds\": [\n");
	while (machine->round < options.rounds &&
	       machine->now_ms / 1000 < options.seconds) {
		if (pattern)
			pattern_update(pattern, machine);
		began_ms = machine->now_ms;
		window_us = machine->window_us;
		machine_round(machine);
		print_round(machine, began_ms, window_us);
	}
	printf("],\n");
	print_machine(machine);
	printf("}\n");
}

static void set_tunables(struct machine *machine)
{
	machine->tunables = (struct tunables) {
		.interval_ms	= 1000,
		.cpu_percent	= options.cpu_percent,
		.cold_age_ms	= 120000,
		.mbps		= options.mbps,
		.write_weight	= 2,
		.window_min_us	= options.window_min_us,
		.watched	= max(options.watched, 1ULL),
		.long_window	= options.long_window,
	};
	machine->interval_ms = machine->tunables.interval_ms;
	machine->window_us = WINDOW_START_US;
}

int main(int argc, char **argv)
{
	const struct scenario *scenario = NULL;
	const struct pattern *pattern = NULL;
	static struct machine machine;
	int i;

	if (argc > 2 && !strcmp(argv[1], "pattern"))
		pattern = pattern_find(argv[2]);
	else if (argc > 2 && !strcmp(argv[1], "machine"))
		scenario = scenario_find(argv[2]);
	if (!pattern && !scenario)
		usage(argc > 2 ? argv[2] : "nothing");
	for (i = 3; i < argc; i++)
		parse_option(argv[i]);
	if (options.rounds == -1ULL && options.seconds == -1ULL)
		usage("an end");

	options.size.sample = sample;
	random_seed(options.seed);
	set_tunables(&machine);
	if (pattern)
		pattern_begin(pattern, &machine);
	else
		scenario_begin(scenario, &options.size, &machine);
	run(&machine, pattern);
	return 0;
}
