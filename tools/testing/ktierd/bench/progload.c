// SPDX-License-Identifier: GPL-2.0
/*
 * progload: a load by Zipf's law on a real program, which knows nothing of it.
 *
 * It runs the program, fills it with values, puts its pages into both tiers by
 * the throw of a coin, and then reads and writes values as fast as the program
 * can. What is drawn depends on the seed alone. Lines of JSON say what was done.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wordexp.h>

#include "../lib/args.h"
#include "../lib/ktierd.h"
#include "../lib/tiers.h"
#include "../meter/mark.h"
#include "prog.h"

#define EXIT_WRONG	1
#define MAX_PREFIX	64	/* words */
#define MIN_KEYS	1024
#define MAX_KEYS	1000000000

/* How long a program may be busy with itself, and how little that is at rest. */
#define SETTLE_TRIES	60
#define SETTLE_NS	500000000ULL
#define SETTLED_PERCENT	1

static const struct program *const programs[] = { &prog_redis, &prog_sqlite };

static struct {
	const struct program *program;
	const char *prefix;
	const char *before;	/* commands */
	const char *after;
	u64 bytes;
	double seconds;
	double interval_s;
	double theta;
	double writes;
	u32 seed;
	u32 keys;
	bool tier;
	bool interleave;
	bool meter;
} option = {
	.bytes = 256 << 20, .seconds = 60, .interval_s = 1, .theta = 0.99, .writes = 0.1,
	.seed = 1, .interleave = true,
};

/* The words before the program's own, ended by NULL. */
static char *prefix[MAX_PREFIX + 1];

static struct dist dist;
static struct dice dice;
static pid_t pid;
static u64 ops, wrong;
static void *mailbox;

/* What has passed, and what it cost in CPU time. */
struct moment {
	u64 ns;
	u64 program_cpu_ns;
	u64 driver_cpu_ns;
};

static void take_moment(struct moment *now)
{
	now->ns = now_ns();
	now->program_cpu_ns = child_cpu_ns(pid);
	now->driver_cpu_ns = child_cpu_ns(getpid());
}

static double seconds_since(u64 ns)
{
	return (now_ns() - ns) / 1e9;
}

static void make_prefix(void)
{
	static char * const tiered[] = { "ktierctl", "run", "--" };
	size_t nr = 0;
	wordexp_t words;

	if (option.prefix) {
		if (wordexp(option.prefix, &words, WRDE_NOCMD | WRDE_UNDEF))
			fail("cannot take '%s' apart into words.", option.prefix);
		nr = words.we_wordc;
		if (nr + ARRAY_SIZE(tiered) > MAX_PREFIX)
			fail("the prefix has too many words.");
		memcpy(prefix, words.we_wordv, nr * sizeof(*prefix));
	}
	if (option.tier)
		memcpy(prefix + nr, tiered, sizeof(tiered));
}

/*
 * A program may go on for a while after what it was told: Redis moves its keys
 * to a larger table. That is not to be a part of the load.
 */
static void settle(void)
{
	struct timespec pause = { .tv_nsec = SETTLE_NS };
	u64 before = child_cpu_ns(pid), now;

	for (int i = 0; i < SETTLE_TRIES; i++) {
		nanosleep(&pause, NULL);
		now = child_cpu_ns(pid);
		if ((now - before) * 100 < SETTLE_NS * SETTLED_PERCENT)
			return;
		before = now;
	}
}

/* Have the program with all values, at rest. Returns the seconds that filling took. */
static double fill(void)
{
	u64 start = now_ns();
	double fill_s;

	option.program->fill(option.keys);
	fill_s = seconds_since(start);
	settle();
	if (option.interleave)
		pages_interleave(pid, option.seed);
	return fill_s;
}

/*
 * ktierd rests until all is in place, as what it would do before that depends on
 * how long it takes. The program begins while it is on: ktierctl looks at that.
 */
static double set_up(void)
{
	const struct program *program = option.program;
	bool switched = option.tier && ktierd_is_there();
	double fill_s;

	pid = program->start(prefix);
	child_wait_for(pid, program->command);
	if (switched)
		ktierd_switch(false);
	fill_s = fill();
	if (switched)
		ktierd_switch(true);
	return fill_s;
}

static void print_pages(struct child_pages pages)
{
	printf("\"rss_kib\":%lu,\"top_pages\":%lu,\"low_pages\":%lu", child_rss_kib(pid),
	       pages.top, pages.low);
}

static void print_line_end(void)
{
	puts("}");
	fflush(stdout);
}

static void print_start(double fill_s)
{
	struct child_pages pages = pages_count(pid);

	printf("{\"event\":\"start\",\"program\":\"%s\",\"pid\":%d,\"keys\":%u,",
	       option.program->name, pid, option.keys);
	printf("\"theta\":%g,\"writes\":%g,\"seed\":%u,\"fill_s\":%.3f,",
	       option.theta, option.writes, option.seed, fill_s);
	print_pages(pages);
	print_line_end();
}

static void print_end(const struct moment *start)
{
	struct moment end;

	take_moment(&end);
	printf("{\"event\":\"end\",\"t\":%.4f,\"ops\":%llu,\"wrong\":%llu,",
	       (end.ns - start->ns) / 1e9, ops, wrong);
	printf("\"program_cpu_s\":%.4f,\"driver_cpu_s\":%.4f,",
	       (end.program_cpu_ns - start->program_cpu_ns) / 1e9,
	       (end.driver_cpu_ns - start->driver_cpu_ns) / 1e9);
	print_pages(pages_count(pid));
	print_line_end();
}

/* The meter tells apart what is done to most of the program's memory. */
static void start_meter(void)
{
	unsigned long start, end;

	mailbox = meter_open();
	if (!mailbox)
		fail("out of memory.");
	pages_largest(pid, &start, &end);
	meter_watch(mailbox, (void *)start, end - start);
	meter_start(mailbox);
}

static void note_time(unsigned long number, double t)
{
	if (mailbox)
		meter_mark(mailbox, number);
	printf("{\"event\":\"tick\",\"number\":%lu,\"t\":%.4f,\"ops\":%llu", number, t, ops);
	print_line_end();
}

static void run_batch(void)
{
	struct draw draws[PROG_BATCH];

	for (u32 i = 0; i < PROG_BATCH; i++)
		draws[i] = dist_draw(&dist, &dice);
	wrong += option.program->batch(draws, PROG_BATCH);
	ops += PROG_BATCH;
}

static void run(u64 start_ns)
{
	unsigned long number = 0;
	double t;

	note_time(number, 0);
	do {
		run_batch();
		t = seconds_since(start_ns);
		if (t >= (number + 1) * option.interval_s) {
			/* A slow machine may have missed some. */
			number = t / option.interval_s;
			note_time(number, t);
		}
	} while (t < option.seconds);
	if (mailbox)
		meter_stop(mailbox);
}

/* Go on with the load while a command runs, so that what it sees is under load. */
static void run_beside(const char *command)
{
	int status = 0;
	pid_t shell;

	if (!command)
		return;
	shell = fork();
	if (!shell) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(EXIT_UNABLE);
	}
	while (shell > 0 && !waitpid(shell, &status, WNOHANG))
		run_batch();
	if (shell < 0 || status)
		fail("the command '%s' failed.", command);
}

/* The command line */

enum {
	OPT_THETA = 256, OPT_WRITES, OPT_SEED, OPT_TIER, OPT_PREFIX, OPT_START, OPT_INTERVAL,
	OPT_BEFORE, OPT_AFTER, OPT_METER,
};

static const struct argp_option options[] = {
	{ "size", 's', "SIZE", 0, "of all values (256M)", 1 },
	{ "seconds", 't', "N", 0, "how long (60)", 1 },
	{ "theta", OPT_THETA, "X", 0, "exponent of Zipf's law (0.99)", 2 },
	{ "writes", OPT_WRITES, "%", 0, "of the operations are writes (10)", 2 },
	{ "seed", OPT_SEED, "N", 0, "of all that is drawn (1)", 2 },
	{ "tier", OPT_TIER, NULL, 0, "run the program by 'ktierctl run'", 3 },
	{ "prefix", OPT_PREFIX, "CMD", 0, "run it by CMD, such as 'numactl --membind=0'", 3 },
	{ "start", OPT_START, "HOW", 0, "where pages are first (interleave; see below)", 3 },
	{ "interval", OPT_INTERVAL, "N", 0, "seconds between lines (1)", 4 },
	{ "before", OPT_BEFORE, "CMD", 0, "run CMD before the time counts, the load running", 4 },
	{ "after", OPT_AFTER, "CMD", 0, "run CMD at the end, while the load still goes on", 4 },
	{ "meter", OPT_METER, NULL, 0, "tell the memory meter (a QEMU plugin) each line", 4 },
	{ }
};

static const char doc[] =
"Run PROGRAM, redis or sqlite, fill it with values, read and write them by\n"
"Zipf's law, and print, as JSON, a line an interval.\n"
"\vredis is redis-server with values of 512 to 1023 bytes, used through a Unix\n"
"socket. sqlite is the sqlite3 shell with a database in memory, in rows of 500\n"
"bytes. Of both nothing but what a client may do is asked, in batches, and all\n"
"replies are checked.\n"
"\n"
"Pages start where the kernel puts them (none) or, when the program is filled,\n"
"half of them are moved to a lower tier (interleave). With --tier, ktierd is\n"
"off until the load begins. What --prefix runs must become the program.\n"
"\n"
"Exit status: 0, 1 if a reply was wrong, 2 if it could not run.";

static void find_program(const char *name, struct argp_state *state)
{
	if (option.program)
		argp_error(state, "'%s' is one argument too many.", name);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (!strcmp(programs[i]->name, name))
			option.program = programs[i];
	if (!option.program)
		argp_error(state, "there is no program '%s': say redis or sqlite.", name);
}

static void check_options(struct argp_state *state)
{
	u64 keys;

	if (!option.program)
		argp_error(state, "say which program: redis or sqlite.");
	keys = option.program->keys(option.bytes);
	if (keys < MIN_KEYS || keys > MAX_KEYS)
		argp_error(state, "the size is too small, or too large.");
	option.keys = keys;
}

static bool parse_start(const char *text, struct argp_state *state)
{
	if (strcmp(text, "interleave") && strcmp(text, "none"))
		argp_error(state, "'%s' is not a way to start.", text);
	return text[0] == 'i';
}

static const struct args_option simple[] = {
	{ 's', ARGS_SIZE, &option.bytes, 0, 0 },
	{ 't', ARGS_NUMBER, &option.seconds, 0.1, 1e6 },
	{ OPT_THETA, ARGS_NUMBER, &option.theta, 0, 5 },
	{ OPT_WRITES, ARGS_PERCENT, &option.writes, 0, 100 },
	{ OPT_SEED, ARGS_COUNT, &option.seed, 0, UINT32_MAX },
	{ OPT_TIER, ARGS_NONE, &option.tier, 0, 0 },
	{ OPT_PREFIX, ARGS_TEXT, &option.prefix, 0, 0 },
	{ OPT_INTERVAL, ARGS_NUMBER, &option.interval_s, 0.01, 1e6 },
	{ OPT_BEFORE, ARGS_TEXT, &option.before, 0, 0 },
	{ OPT_AFTER, ARGS_TEXT, &option.after, 0, 0 },
	{ OPT_METER, ARGS_NONE, &option.meter, 0, 0 },
	{ }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case OPT_START:
		option.interleave = parse_start(arg, state);
		return 0;
	case ARGP_KEY_ARG:
		find_program(arg, state);
		return 0;
	case ARGP_KEY_END:
		check_options(state);
		return 0;
	default:
		return args_set(simple, key, arg, state);
	}
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "PROGRAM", .doc = doc,
};

int main(int argc, char **argv)
{
	struct moment start;

	argp_err_exit_status = EXIT_UNABLE;
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	make_prefix();
	tiers_learn();
	prog_values_init();
	dist_zipf(&dist, option.keys, option.theta, option.writes);
	dist_set_scattered(&dist, option.seed);
	dice.state = option.seed;

	print_start(set_up());
	run_beside(option.before);
	ops = 0;
	if (option.meter)
		start_meter();
	take_moment(&start);
	run(start.ns);
	print_end(&start);
	run_beside(option.after);
	child_stop(pid);
	return wrong ? EXIT_WRONG : 0;
}
