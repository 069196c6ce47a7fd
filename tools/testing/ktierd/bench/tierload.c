// SPDX-License-Identifier: GPL-2.0
/*
 * tierload: a load on memory whose access pattern is known exactly.
 *
 * Threads access memory by a named pattern, as fast as they can. Once an
 * interval a line says how much they did, where the pages are, what share of
 * the accesses the top tier so serves, and what share it could serve at best.
 * As the distribution is known, that takes no measuring of the accesses.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/mempolicy.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../lib/args.h"
#include "../lib/tiers.h"
#include "../lib/util.h"
#include "../meter/mark.h"
#include "pattern.h"
#include "place.h"
#include "slow.h"

#ifndef MADV_TIER
#define MADV_TIER		96
#endif
#ifndef MPOL_WEIGHTED_INTERLEAVE
#define MPOL_WEIGHTED_INTERLEAVE 6
#endif

#define LINE_SIZE		64UL
#define PAGE_SIZE		4096UL
#define HUGE_SIZE		(2UL << 20)
#define MAX_THREADS		256

/* Operations between two looks at what else there is to do. */
#define BATCH			1024

/*
 * Where the memory is, if that place is free: the same in each run, and where
 * no other program has anything.
 */
#define WHERE			((void *)0x600000000000UL)

enum start { START_NONE, START_INTERLEAVE, START_WEIGHTED, START_TOP, START_LOW };

static const char * const start_names[] = {
	[START_NONE] = "none", [START_INTERLEAVE] = "interleave",
	[START_WEIGHTED] = "weighted", [START_TOP] = "top", [START_LOW] = "low",
};

static struct {
	const struct pattern *pattern;
	struct pattern_options of;
	uint64_t size;
	uint64_t unit;		/* bytes: a page or a huge page */
	uint64_t capacity;	/* bytes; 0: measured */
	double seconds;
	double interval_s;
	double look_s;
	const char *before;	/* commands */
	const char *after;
	unsigned int work;
	unsigned int threads;
	enum start start;
	bool tier;
	bool slow;
	bool meter;
	bool snapshots;
} option = {
	.of = {
		.hot = 0.15, .hot_ops = 0.9, .writes = 0.3, .theta = 0.99,
		.touched = 0.05, .period_s = 20, .grown = 0.55, .seed = 1,
	},
	.size = 640UL << 20,
	.unit = PAGE_SIZE,
	.seconds = 60,
	.interval_s = 1,
	.look_s = 1,
	.work = 4,
	.threads = 1,
};

/* A thread of the load. */
struct worker {
	pthread_t thread;
	struct dice dice;
	atomic_ulong ops;
	struct slow slow;
} __attribute__((aligned(64)));

static struct worker worker[MAX_THREADS];
static _Atomic(struct dist *) current;
static atomic_bool stop;
static uint64_t sink;

static char *memory;
static void *mailbox;

/* What is known of each page, and what happened to it. */
static uint32_t nr_pages, pages_a_unit;
static uint8_t *place, *place_before, *last_move;
static struct {
	uint64_t up, down;	/* moves seen */
	uint64_t returns;	/* of them against the direction of the last one */
} traffic;

/* The load */

static inline uint64_t access_memory(const struct dist *dist, struct dice *dice,
				     uint64_t lines)
{
	struct draw draw = dist_draw(dist, dice);
	uint64_t line = draw.bits & lines;
	volatile uint64_t *where = (void *)(memory + draw.thing * option.unit +
					    line * LINE_SIZE);
	uint64_t x = dice->state;

	if (draw.write)
		*where = x;
	else
		x ^= *where;
	/* What an application does with what it has read. */
	for (unsigned int i = 0; i < option.work; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return x;
}

static void *work(void *arg)
{
	uint64_t lines = option.unit / LINE_SIZE - 1, x = 0;
	struct worker *me = arg;

	slow_begin(&me->slow);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		struct dist *dist = atomic_load_explicit(&current, memory_order_acquire);

		if (option.slow) {
			for (int i = 0; i < BATCH; i++) {
				x += access_memory(dist, &me->dice, lines);
				slow_next(&me->slow);
			}
		} else {
			for (int i = 0; i < BATCH; i++)
				x += access_memory(dist, &me->dice, lines);
		}
		atomic_store_explicit(&me->ops, me->ops + BATCH, memory_order_relaxed);
	}
	__atomic_fetch_add(&sink, x, __ATOMIC_RELAXED);
	return NULL;
}

static uint64_t ops_done(void)
{
	uint64_t ops = 0;

	for (unsigned int i = 0; i < option.threads; i++)
		ops += atomic_load_explicit(&worker[i].ops, memory_order_relaxed);
	return ops;
}

/* The memory */

static void set_policy(int mode, int node_a, int node_b)
{
	unsigned long nodes[TIERS_MAX_NODES / (8 * sizeof(long))] = { 0 };
	const size_t bits = 8 * sizeof(long);

	if (node_a >= 0)
		nodes[node_a / bits] |= 1UL << node_a % bits;
	if (node_b >= 0)
		nodes[node_b / bits] |= 1UL << node_b % bits;
	if (syscall(SYS_mbind, memory, option.size, mode,
		    mode == MPOL_DEFAULT ? NULL : nodes,
		    mode == MPOL_DEFAULT ? 0UL : (unsigned long)TIERS_MAX_NODES, 0))
		fail("mbind() failed (%s).", strerror(errno));
}

static void set_start_policy(void)
{
	int top = place_node(PLACE_TOP), low = place_node(PLACE_LOW);

	switch (option.start) {
	case START_INTERLEAVE:
		return set_policy(MPOL_INTERLEAVE, top, low);
	case START_WEIGHTED:
		return set_policy(MPOL_WEIGHTED_INTERLEAVE, top, low);
	case START_TOP:
		return set_policy(MPOL_PREFERRED, top, -1);
	case START_LOW:
		return set_policy(MPOL_BIND, low, -1);
	default:
		return;
	}
}

static void populate(uint64_t from, uint64_t to)
{
	for (uint64_t i = from & ~(PAGE_SIZE - 1); i < to; i += PAGE_SIZE)
		*(volatile uint64_t *)(memory + i) = i;
}

static uint32_t units_at(double t)
{
	return option.pattern->units ? option.pattern->units(&option.of, t) : option.of.units;
}

/*
 * Pages start where --start says, and no policy is left behind, unless the
 * policy is what is to be looked at.
 */
static void make_memory(void)
{
	bool huge = option.unit == HUGE_SIZE;

	memory = mmap(WHERE, option.size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		fail("no room for %lu MiB (%s).", option.size >> 20, strerror(errno));
	if (madvise(memory, option.size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) &&
	    (huge || errno != EINVAL))
		fail("the kernel has no huge pages (%s).", strerror(errno));
	set_start_policy();
	populate(0, units_at(0) * option.unit);
	if (option.start != START_NONE && option.start != START_WEIGHTED)
		set_policy(MPOL_DEFAULT, -1, -1);
	if (option.tier && madvise(memory, option.size, MADV_TIER))
		fail("madvise(MADV_TIER) failed (%s): is this a kernel with ktierd?",
		     strerror(errno));
}

/* What is seen */

/* Cells of the map of where pages are. */
#define MAP_CELLS		32

/* The segment of each unit, for the distribution that it was worked out for. */
static uint16_t *segment_of;
static const struct dist *segments_known;

static struct {
	uint64_t pages[2];			/* in the top tier, in a lower one */
	uint64_t top[DIST_SEGMENTS];		/* pages in the top tier */
	double share[NR_WORTHS];
} seen;

static void learn_segments(const struct dist *dist)
{
	if (segments_known == dist)
		return;
	segments_known = dist;
	for (uint32_t s = 0; s < dist->nr_segments; s++) {
		const struct dist_segment *segment = &dist->segment[s];

		for (uint32_t r = segment->first; r < segment->first + segment->nr; r++)
			segment_of[dist_place(dist, r)] = s;
	}
}

static void note_move(uint32_t page)
{
	if (!place[page] || !place_before[page])
		return;
	traffic.up += place[page] == PLACE_TOP;
	traffic.down += place[page] == PLACE_LOW;
	traffic.returns += last_move[page] && last_move[page] != place[page];
	last_move[page] = place[page];
}

static void count_places(const struct dist *dist)
{
	uint32_t there = dist->nr * pages_a_unit;

	memset(&seen, 0, sizeof(seen));
	for (uint32_t page = 0; page < there; page++) {
		if (place[page] != place_before[page])
			note_move(page);
		if (place[page] == PLACE_TOP)
			seen.top[segment_of[page / pages_a_unit]]++;
		seen.pages[1] += place[page] == PLACE_LOW;
	}
	for (uint32_t s = 0; s < dist->nr_segments; s++)
		seen.pages[0] += seen.top[s];
}

/* What share of the accesses the top tier serves with pages where they are. */
static void share_out(const struct dist *dist)
{
	double sum[NR_WORTHS] = { 0 };

	for (uint32_t s = 0; s < dist->nr_segments; s++) {
		const struct dist_segment *segment = &dist->segment[s];
		double top = (double)seen.top[s] / segment->nr / pages_a_unit;

		for (enum worth worth = 0; worth < NR_WORTHS; worth++) {
			double each = segment_worth(segment, worth);

			sum[worth] += each;
			seen.share[worth] += each * top;
		}
	}
	for (enum worth worth = 0; worth < NR_WORTHS; worth++)
		if (sum[worth] > 0)
			seen.share[worth] /= sum[worth];
}

static void look(const struct dist *dist)
{
	uint8_t *swap = place_before;

	place_before = place;
	place = swap;
	if (!place_look(memory, nr_pages, place))
		fail("/proc/self/pagemap does not tell frames; be root.");
	learn_segments(dist);
	count_places(dist);
	share_out(dist);
}

/* Percent of the pages in the top tier, hottest first or, in order, by address. */
static void print_map(const struct dist *dist)
{
	for (uint32_t cell = 0; cell < MAP_CELLS; cell++) {
		uint32_t rank = (uint64_t)dist->nr * cell / MAP_CELLS;
		uint32_t end = (uint64_t)dist->nr * (cell + 1) / MAP_CELLS;
		uint64_t top = 0, all = (uint64_t)(end - rank) * pages_a_unit;

		for (; rank < end; rank++) {
			uint32_t unit = dist->scattered ? dist_place(dist, rank) : rank;

			for (uint32_t i = 0; i < pages_a_unit; i++)
				top += place[unit * pages_a_unit + i] == PLACE_TOP;
		}
		printf("%s%lu", cell ? ", " : "", all ? 100 * top / all : 0);
	}
}

static void print_start(void)
{
	if (!option.capacity)
		option.capacity = (seen.pages[0] + place_top_room()) * PAGE_SIZE;
	printf("{\"event\": \"start\", \"pattern\": \"%s\", \"size_kib\": %lu, \"unit_kib\": %lu, "
	       "\"capacity_kib\": %lu, \"address\": %lu, \"start\": \"%s\", \"tier\": %s, "
	       "\"scattered\": %s, \"threads\": %u, \"work\": %u, \"seed\": %u}\n",
	       option.pattern->name, option.size >> 10, option.unit >> 10,
	       option.capacity >> 10, (unsigned long)memory, start_names[option.start],
	       option.tier ? "true" : "false", current->scattered ? "true" : "false",
	       option.threads, option.work, option.of.seed);
}

static void print_look(void)
{
	struct dist *dist = current;
	uint64_t units = option.capacity / option.unit;

	look(dist);
	printf(", \"share\": %.4f, \"share_reads\": %.4f, \"share_writes\": %.4f",
	       seen.share[WORTH_ALL], seen.share[WORTH_READS], seen.share[WORTH_WRITES]);
	printf(", \"oracle\": %.4f, \"oracle_reads\": %.4f, \"oracle_writes\": %.4f",
	       pattern_oracle(dist, units, WORTH_ALL), pattern_oracle(dist, units, WORTH_READS),
	       pattern_oracle(dist, units, WORTH_WRITES));
	printf(", \"top_pages\": %lu, \"low_pages\": %lu, \"up\": %lu, \"down\": %lu, "
	       "\"returns\": %lu, \"map\": [", seen.pages[0], seen.pages[1],
	       traffic.up, traffic.down, traffic.returns);
	print_map(dist);
	putchar(']');
}

static void print_tick(double t, uint64_t ops, unsigned long number, bool with_look)
{
	printf("{\"event\": \"tick\", \"number\": %lu, \"t\": %.4f, \"ops\": %lu",
	       number, t, ops);
	if (with_look)
		print_look();
	puts("}");
	fflush(stdout);
}

static void print_end(double began, double t, uint64_t ops)
{
	struct slow slow = { 0 };

	for (unsigned int i = 0; i < option.threads; i++)
		slow_add(&slow, &worker[i].slow);
	printf("{\"event\": \"end\", \"began\": %.6f, \"t\": %.4f, \"ops\": %lu",
	       began, t, ops);
	if (option.slow)
		slow_print(&slow);
	puts("}");
	fflush(stdout);
}

/* Time */

static void sleep_until(uint64_t ns)
{
	struct timespec until = { .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* A worker may be in a batch with the one before, so that is kept: it is small. */
static void change(double t)
{
	static double populated_t;
	struct dist *next = allocate(1, sizeof(*next));

	if (option.pattern->units)
		populate(units_at(populated_t) * option.unit, units_at(t) * option.unit);
	populated_t = t;
	option.pattern->make(&option.of, t, next);
	atomic_store_explicit(&current, next, memory_order_release);
}

static void tick(double t, unsigned long number)
{
	static double next_look;
	uint64_t ops = ops_done();
	bool with_look = t >= next_look;

	if (mailbox)
		meter_mark(mailbox, number);
	if (option.snapshots)
		meter_snapshot(mailbox, number);
	if (with_look)
		next_look += option.look_s;
	print_tick(t, ops, number, with_look);
}

static void start_workers(void)
{
	for (unsigned int i = 0; i < option.threads; i++) {
		worker[i].dice.state = option.of.seed + i * 0x5851f42d4c957f2dULL;
		if (pthread_create(&worker[i].thread, NULL, work, &worker[i]))
			fail("cannot start a thread.");
	}
}

/* Both ticks and changes come when they are due; a change before its tick. */
static void run(void)
{
	double step_s = option.pattern->step_s ? option.pattern->step_s(&option.of) : INFINITY;
	double next_change = step_s, next_tick = option.interval_s;
	unsigned long number = 0, changes = 0;
	uint64_t start_ns;

	start_workers();
	start_ns = now_ns();
	tick(0, 0);
	while (next_tick <= option.seconds + 1e-9) {
		double t = fmin(next_change, next_tick);

		sleep_until(start_ns + t * NSEC_PER_SEC);
		if (t == next_tick) {
			tick((now_ns() - start_ns) / 1e9, ++number);
			next_tick = (number + 1) * option.interval_s;
		}
		if (t == next_change) {
			change(t);
			next_change = (++changes + 1) * step_s;
		}
	}
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < option.threads; i++)
		pthread_join(worker[i].thread, NULL);
	if (mailbox)
		meter_stop(mailbox);
	print_end(start_ns / 1e9, (now_ns() - start_ns) / 1e9, ops_done());
}

static void start_meter(void)
{
	mailbox = meter_open();
	if (!mailbox)
		fail("out of memory.");
	*(volatile char *)mailbox = 0;
	meter_watch(mailbox, memory, option.size);
	meter_start(mailbox);
}

/* The command line */

static const char doc[] =
	"Access memory by a named pattern and print, as JSON, a line an interval: "
	"operations done, where the pages are, and which share of the accesses the top tier "
	"serves, beside the share that it could serve at best (\"oracle\").\v"
	"SIZE is in bytes, or with K, M or G. Times are in seconds, shares in percent.\n"
	"\n"
	"Each line has \"event\": \"start\", \"tick\" or \"end\". In a tick \"t\" is in "
	"seconds, \"ops\", \"up\", \"down\" and \"returns\" count since the start: operations, "
	"pages seen to have moved to the top tier and to a lower one, and moves that undid the "
	"one before, \"began\" is the start by CLOCK_MONOTONIC. \"map\" is which percentage of the pages is in the top tier, in 32 parts of "
	"the memory: hottest first or, if the pattern is not scattered, by address. In the end \"slow_50us\" and \"slow_200us\" are operations that took "
	"longer.\n"
	"\n"
	"To see where pages are takes root and a machine with a lower memory tier.\n"
	"\n"
	"Patterns:";

enum {
	OPT_HOT = 256, OPT_HOT_OPS, OPT_WRITES, OPT_THETA, OPT_TOUCHED, OPT_PERIOD,
	OPT_GROWN, OPT_SEED, OPT_HUGE, OPT_CAPACITY, OPT_INTERVAL, OPT_LOOK, OPT_BEFORE, OPT_AFTER, OPT_WORK, OPT_THREADS,
	OPT_START, OPT_TIER, OPT_SLOW, OPT_METER, OPT_SNAPSHOTS,
};

static const struct argp_option options[] = {
	{ "pattern", 'p', "NAME", 0, "which pattern (see below)", 1 },
	{ "size", 's', "SIZE", 0, "of the memory (640M)", 1 },
	{ "seconds", 't', "N", 0, "how long (60)", 1 },
	{ "hot", OPT_HOT, "%", 0, "of the memory is hot (15)", 2 },
	{ "hot-ops", OPT_HOT_OPS, "%", 0, "of the accesses go to it (90)", 2 },
	{ "writes", OPT_WRITES, "%", 0, "of the accesses are writes (30)", 2 },
	{ "theta", OPT_THETA, "X", 0, "exponent of Zipf's law (0.99)", 2 },
	{ "touched", OPT_TOUCHED, "%", 0, "of the memory is touched, with pattern idle (5)", 2 },
	{ "period", OPT_PERIOD, "N", 0, "seconds between jumps, or of growth (20)", 2 },
	{ "grown", OPT_GROWN, "%", 0, "of the memory is there before it grows (55)", 2 },
	{ "seed", OPT_SEED, "N", 0, "of all that is drawn (1)", 2 },
	{ "work", OPT_WORK, "N", 0, "rounds of arithmetic an operation (4)", 2 },
	{ "threads", OPT_THREADS, "N", 0, "that access memory (1)", 2 },
	{ "huge", OPT_HUGE, NULL, 0, "use huge pages, and draw one instead of a page", 3 },
	{ "start", OPT_START, "HOW", 0, "where pages are first: none (the kernel's default), "
	  "interleave, top, low; or weighted, a policy that is kept (none)", 3 },
	{ "tier", OPT_TIER, NULL, 0, "mark the memory with MADV_TIER", 3 },
	{ "capacity", OPT_CAPACITY, "SIZE", 0, "of the top tier, for the oracle (what the "
	  "memory has of it at first and what is free above the watermarks)", 4 },
	{ "interval", OPT_INTERVAL, "N", 0, "seconds between lines (1)", 4 },
	{ "look", OPT_LOOK, "N", 0, "seconds between two looks where pages are, which take some "
	  "100 instructions a page (1)", 4 },
	{ "before", OPT_BEFORE, "CMD", 0, "run CMD when the memory is there, before the load", 4 },
	{ "after", OPT_AFTER, "CMD", 0, "run CMD after the load, while the memory is there", 4 },
	{ "slow", OPT_SLOW, NULL, 0, "count slow operations, at some cost for each", 4 },
	{ "meter", OPT_METER, NULL, 0, "tell the memory meter (a QEMU plugin) each line", 4 },
	{ "snapshots", OPT_SNAPSHOTS, NULL, 0, "and have it write counts by page", 4 },
	{ }
};

static enum start start(const char *text, struct argp_state *state)
{
	for (enum start i = 0; i <= START_LOW; i++)
		if (!strcmp(text, start_names[i]))
			return i;
	argp_error(state, "'%s' is not a way to start", text);
	return START_NONE;
}

static void check_options(struct argp_state *state)
{
	if (!option.pattern)
		argp_error(state, "say which pattern, with --pattern");
	option.size &= ~(option.unit - 1);
	if (option.size < 16 * option.unit || option.size / option.unit > 1U << 31)
		argp_error(state, "the memory has too few pages, or too many");
	option.meter |= option.snapshots;
	option.of.units = option.size / option.unit;
	pages_a_unit = option.unit / PAGE_SIZE;
	nr_pages = option.size / PAGE_SIZE;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'p':
		option.pattern = pattern_find(arg);
		if (!option.pattern)
			argp_error(state, "there is no pattern '%s'", arg);
		return 0;
	case 's':
		option.size = args_size(arg, state);
		return 0;
	case 't':
		option.seconds = args_number(arg, 0.1, 1e6, state);
		return 0;
	case OPT_HOT:
		option.of.hot = args_number(arg, 0.001, 100, state) / 100;
		return 0;
	case OPT_HOT_OPS:
		option.of.hot_ops = args_number(arg, 0, 100, state) / 100;
		return 0;
	case OPT_WRITES:
		option.of.writes = args_number(arg, 0, 100, state) / 100;
		return 0;
	case OPT_THETA:
		option.of.theta = args_number(arg, 0, 5, state);
		return 0;
	case OPT_TOUCHED:
		option.of.touched = args_number(arg, 0.001, 100, state) / 100;
		return 0;
	case OPT_PERIOD:
		option.of.period_s = args_number(arg, 0.1, 1e6, state);
		return 0;
	case OPT_GROWN:
		option.of.grown = args_number(arg, 1, 100, state) / 100;
		return 0;
	case OPT_SEED:
		option.of.seed = args_number(arg, 0, UINT32_MAX, state);
		return 0;
	case OPT_WORK:
		option.work = args_number(arg, 0, 1e6, state);
		return 0;
	case OPT_THREADS:
		option.threads = args_number(arg, 1, MAX_THREADS, state);
		return 0;
	case OPT_HUGE:
		option.unit = HUGE_SIZE;
		return 0;
	case OPT_START:
		option.start = start(arg, state);
		return 0;
	case OPT_TIER:
		option.tier = true;
		return 0;
	case OPT_CAPACITY:
		option.capacity = args_size(arg, state);
		return 0;
	case OPT_INTERVAL:
		option.interval_s = args_number(arg, 0.01, 1e6, state);
		return 0;
	case OPT_LOOK:
		option.look_s = args_number(arg, 0.01, 1e6, state);
		return 0;
	case OPT_BEFORE:
		option.before = arg;
		return 0;
	case OPT_AFTER:
		option.after = arg;
		return 0;
	case OPT_SLOW:
		option.slow = true;
		return 0;
	case OPT_METER:
		option.meter = true;
		return 0;
	case OPT_SNAPSHOTS:
		option.snapshots = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is one argument too many", arg);
		return 0;
	case ARGP_KEY_END:
		check_options(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The list of patterns, behind what stands above. */
static char *filter(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t length;
	FILE *out;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	out = open_memstream(&list, &length);
	if (!out)
		return (char *)text;
	fputs(text, out);
	for (const struct pattern *p = patterns; p->name; p++)
		fprintf(out, "\n  %-10s %s", p->name, p->help);
	fputs("\n\nExit status: 0, or 2 if it could not run.", out);
	fclose(out);
	return list;
}

static const struct argp argp = {
	.options = options, .parser = parse, .doc = doc, .help_filter = filter,
};

int main(int argc, char **argv)
{
	const char *wrong;

	argp_err_exit_status = EXIT_UNABLE;
	argp_parse(&argp, argc, argv, 0, NULL, NULL);

	tiers_learn();
	wrong = place_learn();
	if (wrong)
		fail("%s.", wrong);
	place = allocate(nr_pages, sizeof(*place));
	place_before = allocate(nr_pages, sizeof(*place));
	last_move = allocate(nr_pages, sizeof(*last_move));
	segment_of = allocate(option.of.units, sizeof(*segment_of));
	make_memory();
	change(0);
	look(current);
	print_start();
	fflush(stdout);
	run_command(option.before);
	if (option.slow)
		slow_calibrate();
	if (option.meter)
		start_meter();
	run();
	run_command(option.after);
	return 0;
}
