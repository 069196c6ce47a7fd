/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_TORTURE_TORTURE_H
#define KTIERD_TORTURE_TORTURE_H
/* What the parts of dirtytorture know of each other. */
#include <pthread.h>

#include "../lib/dice.h"
#include "page.h"

#define MAX_THREADS		64
#define HUGE_PAGES		512UL		/* pages in a huge page */
#define RECORDS			8		/* operations that a page remembers */

/* What was done, in memory that children share. */
struct tally {
	u64 *done;		/* by operation */
	u64 *in_vain;		/* by operation: it failed, or there was nothing to do */
	u64 verified;		/* pages */
	u64 in_children;	/* operations */
	u64 damaged;		/* pages */
};

/* An operation on a page or a region, for the report. */
struct record {
	u32 ms;
	u32 what;		/* an operation, plus 1 */
};

struct history {
	u32 next;
	struct record record[RECORDS];
};

/* How its memory comes in huge pages; and what it is. */
enum region_kind {
	REGION_SMALL,		/* not at all */
	REGION_HUGE,		/* from the start */
	REGION_COLLAPSED,	/* only if collapsed */
	REGION_SHARED,		/* so, too: a memfd, of which a child has no copy */
	REGION_FILE,		/* not at all: shared, too, of a file on a disk */
	REGION_KINDS,
};

/*
 * Others read @base and @hammered. What is known of shared memory is shared, too: of
 * the thread and its child one at a time may write.
 */
struct region {
	int fd;				/* of shared memory */
	int disk;			/* of its file, past the page cache */
	char *base;
	size_t hammered;		/* the first page of some, plus 1, or 0 */
	size_t pages;
	enum region_kind kind;
	struct expected *expected;	/* by page */
	struct history *history;	/* by page, and at last of the whole region */
};

struct worker {
	pthread_t thread;
	unsigned int index;
	struct region region;
	struct tally *tally;
	struct dice dice;
	unsigned int operation;		/* being done */
	size_t sweep;			/* the page that is next */
	u64 steps;
	bool child;
};

struct range {
	size_t first, pages;
};

/* Operations that can do damage. */
enum place {
	NOWHERE,
	IN_FIXED,
	IN_PIPE,
	IN_MISSING,
	IN_WRITE_PROTECT,
	IN_SOFT_DIRTY,
	IN_CORE,
	IN_READ,
};

struct options {
	unsigned int seconds, mib, seed, threads;
	const char *direct, *core, *files;
	bool self_check;
};

/* dirty.c */
extern struct options option;
extern struct worker workers[MAX_THREADS];
extern u64 started_ns;
extern int direct_fd;		/* or -1 */

/* Have memory of a region looked after, with huge pages as its kind wants them. */
bool mark_memory(const struct region *region, void *from, size_t size);

/*
 * Map memory at its place in a region, with flags of mmap() besides: fresh zeros, or if
 * it is shared what it holds.
 */
void *map_memory(const struct region *region, void *from, size_t size, int flags);

/* operations.c */

extern const unsigned int nr_operations;

const char *operation_name(unsigned int operation);

/* Would it have been done in so many steps, and those of children, had it not failed? */
bool operation_is_missed(unsigned int operation, u64 steps, u64 child_steps);

/* Do something. It ends the program if something is wrong. */
void step(struct worker *me);

/* region.c */

u64 draw(struct worker *me);
u64 below(struct worker *me, u64 limit);
u64 *page_at(const struct region *region, size_t i);
bool is_shared(const struct worker *me);	/* also if it is a file */
bool is_file(const struct worker *me);
void fill(struct worker *me, size_t i);
void bump(struct worker *me, size_t i);
void verify_range(struct worker *me, struct range range);

/*
 * Where a region may be: at one of some places in a lane of its own, and there
 * at some page.
 */
char *place_in_lane(const struct worker *me, u64 place, u64 page);

/* op_file.c */

/* See what the disk holds once all is written back. */
void verify_disk(struct worker *me);

/* damage.c */

extern const unsigned int nr_damages;

/* Have no damage, or this kind; the first one is none at all. */
void damage_choose(unsigned int kind);
const char *damage_name(unsigned int kind);
bool damage_is_wanted(unsigned int kind);

/* Does it come during the steps, whenever? Then there is no need to go on after it. */
bool damage_is_sudden(unsigned int kind);

/* After a step, after the last one, and when all of a file was written back. */
void damage_during(struct worker *me);
void damage_at_end(struct worker *me);
void damage_on_disk(struct worker *me);

/* Is the operation to do damage itself, where only it can? */
bool damage_inside(struct worker *me, enum place place);

#endif
