/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_LATENCY_LATENCY_H
#define KTIERD_LATENCY_LATENCY_H
/* What the parts of tierlatency know of each other. */
#include <pthread.h>
#include <sys/types.h>

#include "../lib/util.h"

#define PAGE_SIZE	4096UL
#define TABLE_PAGES	512UL		/* entries of a page table */
#define NSEC_PER_MSEC	1000000ULL

#ifndef MADV_TIER
#define MADV_TIER	96
#endif

/* figure.c */

#define FIGURE_FINE	64		/* buckets in an octave: 1.6 percent */
#define FIGURE_BUCKETS	(FIGURE_FINE * 40)

/**
 * struct figure - how long something took
 * @nr: how often it was
 * @sum: of all times
 * @longest: of all
 * @over: how many took more than a millisecond
 * @entries: the most page-table entries that were looked at in one of them
 * @bucket: how many took about as long
 */
struct figure {
	u64 nr;
	u64 sum;
	u64 longest;
	u64 over;
	u64 entries;
	u32 bucket[FIGURE_BUCKETS];
};

void figure_add(struct figure *figure, u64 ns);
void figure_merge(struct figure *into, const struct figure *from);
void figure_head(void);
void figure_print(const char *what, const struct figure *figure);

/* load.c */

enum kind {
	KIND_SMALL,		/* no huge pages */
	KIND_MEDIUM,		/* folios smaller than a page table, if the machine is set so */
	KIND_HUGE,
	KIND_FORKED,		/* small, of parent and child */
	KIND_PROTECTED,		/* huge, with every other page write-protected */
	KINDS,
};

/* The machine is watched first without ktierd at work, then with it. */
enum period {
	PERIOD_NONE,
	PERIOD_REST,
	PERIOD_WORK,
	PERIODS,
};

/* A touch that took remarkably long. */
struct touch {
	u64 from;
	u64 ns;
	u32 page;
	pid_t pid;
};

/**
 * struct toucher - a thread that touches pages, or maps and unmaps
 * @index: of it
 * @touches: how long they took, by period
 * @noted: remarkable ones, of the second period
 * @nr_noted: how many
 * @lost: there was no room for so many more
 */
struct toucher {
	pthread_t thread;
	unsigned int index;
	struct figure touches[PERIODS];
	struct touch *noted;
	u64 nr_noted;
	u64 lost;
};

struct options {
	unsigned int mib, seconds, patience, threads, note_us, turn_s;
	enum kind kind;
};

extern struct options option;

struct load {
	char *base;
	size_t pages;
	unsigned int nr_touchers;	/* of all processes */
	struct toucher *toucher;
};

void load_start(struct load *load);
void load_period(enum period period);
void load_stop(struct load *load);

/* traced.c */

/* The trace has what threads of these names do with mmap_lock. */
#define MAPPER_NAME	"tier-mapper"
#define KTIERD_NAME	"ktierd"

enum row {
	ROW_TABLE_CLEAR,
	ROW_TABLE_READ,
	ROW_TABLE_MOVE,
	ROW_PMD_CLEAR,
	ROW_PMD_READ,
	ROW_PMD_MOVE,
	ROW_MMAP_HELD,
	ROW_MMAP_REST,
	ROW_MMAP_WAITED,
	ROW_MOVED_SMALL,
	ROW_MOVED_HUGE,
	ROWS,
};

/* A page that was being moved. */
struct move {
	u64 from;
	u64 to;
	u32 page;
	u32 pages;		/* more than one if it is a huge page */
	pid_t pid;
};

/**
 * struct traced - what the trace told
 * @row: times
 * @move: pages that were being moved, in the order of page and time
 * @nr_moves: how many
 * @batch: pages of the largest batch
 * @lost: events that there was no room for
 */
struct traced {
	struct figure row[ROWS];
	struct move *move;
	size_t nr_moves;
	u64 batch;
	u64 lost;
};

void traced_make(void);		/* before memory gets short */
void traced_start(const struct load *load);
void traced_work(u64 now);	/* from now on ktierd is at work */
void traced_stop(struct traced *traced, const struct load *load);

/* Was a page being moved at some time in between? */
bool traced_moving(const struct traced *traced, const struct touch *touch);

#endif
