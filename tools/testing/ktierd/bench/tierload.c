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
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../lib/tiers.h"
#include "../lib/util.h"
#include "../meter/mark.h"
#include "place.h"
#include "slow.h"
#include "tierload.h"

#ifndef MADV_TIER
#define MADV_TIER		96
#endif
#ifndef MPOL_WEIGHTED_INTERLEAVE
#define MPOL_WEIGHTED_INTERLEAVE 6
#endif

#define LINE_SIZE		64UL

/* Operations between two looks at what else there is to do. */
#define BATCH			1024

/*
 * Where the memory is, if that place is free: the same in each run, and where
 * no other program has anything.
 */
#define WHERE			((void *)0x600000000000UL)

/* A thread of the load. */
struct worker {
	alignas(LINE_SIZE) pthread_t thread;
	struct dice dice;
	uint64_t ops;		/* read by others */
	struct slow slow;
};

static struct worker worker[MAX_THREADS];
static uint64_t sink;

/* Set by the main thread, read by the others. */
static struct dist *current;
static bool measuring, stop;

static uint64_t ops_before;	/* of the measurement */

static char *memory;
static void *mailbox;

/* The load */

static inline uint64_t access_memory(const struct dist *dist, struct dice *dice,
				     uint64_t lines)
{
	struct draw draw = dist_draw(dist, dice);
	uint64_t line = draw.bits & lines;
	uint64_t *where = (void *)(memory + draw.thing * option.unit + line * LINE_SIZE);
	uint64_t x = dice->state;

	/* Atomic, so that the compiler does not think better of it. */
	if (draw.write)
		__atomic_store_n(where, x, __ATOMIC_RELAXED);
	else
		x ^= __atomic_load_n(where, __ATOMIC_RELAXED);
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
	bool slow = false;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct dist *dist = __atomic_load_n(&current, __ATOMIC_ACQUIRE);

		if (option.slow && !slow && __atomic_load_n(&measuring, __ATOMIC_RELAXED)) {
			slow_begin(&me->slow);
			slow = true;
		}
		for (int i = 0; i < BATCH; i++) {
			x += access_memory(dist, &me->dice, lines);
			if (slow)
				slow_next(&me->slow);
		}
		__atomic_store_n(&me->ops, me->ops + BATCH, __ATOMIC_RELAXED);
	}
	__atomic_fetch_add(&sink, x, __ATOMIC_RELAXED);
	return NULL;
}

static uint64_t ops_done(void)
{
	uint64_t ops = -ops_before;

	for (unsigned int i = 0; i < option.threads; i++)
		ops += __atomic_load_n(&worker[i].ops, __ATOMIC_RELAXED);
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
		__atomic_store_n((uint64_t *)(memory + i), i, __ATOMIC_RELAXED);
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
		fail("no room for %llu MiB (%s).", option.size >> 20, strerror(errno));
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
	static double populated_s;
	struct dist *next = allocate(1, sizeof(struct dist));

	if (option.pattern->units)
		populate(units_at(populated_s) * option.unit, units_at(t) * option.unit);
	populated_s = t;
	option.pattern->make(&option.of, t, next);
	__atomic_store_n(&current, next, __ATOMIC_RELEASE);
}

static void tick(double t, unsigned long number)
{
	uint64_t ops = ops_done();

	if (mailbox)
		meter_mark(mailbox, number);
	if (option.snapshots)
		meter_snapshot(mailbox, number);
	seen_print_tick(t, ops, number, memory, current);
}

static void start_workers(void)
{
	for (unsigned int i = 0; i < option.threads; i++) {
		worker[i].dice.state = option.of.seed + i * 0x5851f42d4c957f2dULL;
		if (pthread_create(&worker[i].thread, NULL, work, &worker[i]))
			fail("cannot start a thread.");
	}
}

static void stop_workers(void)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < option.threads; i++)
		pthread_join(worker[i].thread, NULL);
}

/* Both ticks and changes come when they are due; a change before its tick. */
static void run(void)
{
	double step_s = option.pattern->step_s ? option.pattern->step_s(&option.of) : INFINITY;
	double next_change = step_s, next_tick = option.interval_s;
	unsigned long number = 0, changes = 0;
	uint64_t start_ns;

	ops_before = ops_done();
	start_ns = now_ns();
	__atomic_store_n(&measuring, true, __ATOMIC_RELAXED);
	tick(0, 0);
	while (next_tick <= option.seconds + 0.001) {
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
	if (mailbox)
		meter_stop(mailbox);
	print_end(start_ns / 1e9, (now_ns() - start_ns) / 1e9, ops_done());
	/* The load goes on, so that what is then seen of the kernel is under it. */
	run_command(option.after);
	stop_workers();
}

static void start_meter(void)
{
	mailbox = meter_open();
	if (!mailbox)
		fail("out of memory.");
	meter_watch(mailbox, memory, option.size);
	meter_start(mailbox);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	seen_init();
	make_memory();
	change(0);
	seen_print_start(memory, current);
	if (option.slow)
		slow_calibrate();
	/* First: how long the commands take is chance if the machine is idle meanwhile. */
	start_workers();
	run_command(option.before);
	if (option.meter)
		start_meter();
	run();
	return 0;
}
