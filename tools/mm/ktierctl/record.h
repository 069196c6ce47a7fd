/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERCTL_RECORD_H
#define KTIERCTL_RECORD_H
/*
 * Records of how hot the pages of a process are, and in which tier.
 *
 *	record.c	the command, and what it writes
 *	record_trace.c	ktierd's trace events, which tell the heat
 *	record_cells.c	the latest that is known of each cell
 *	record_maps.c	the mappings of the process, and where pages are
 *	plot.c ...	reads it, see plot.h
 *
 * A record is text, a line for each thing that became known, and a letter in front
 * of each line. Numbers are decimal but for addresses, page numbers and states, which
 * are hexadecimal. A reader passes over lines with letters that it does not know, and
 * over a last line that has no end: a record may be read while it is being written,
 * or after it was cut off anywhere.
 *
 *	ktierctl-record 1	the first line: what this is, and its version
 *	i KEY VALUE		about the whole record: pid, name, kernel, page (size in
 *				bytes), started (seconds since 1970), interval (seconds)
 *	o ORDER			from here on a cell is 2^ORDER pages, naturally aligned;
 *				comes first, and again when cells become larger
 *	m FROM-TO NAME		addresses of a mapping that has cells, and its name:
 *				"anonymous", "[heap]", "[stack]", "[anon:NAME]" or a path
 *	f TIME ROUND HOT TOP LOW HOT_TOP HOT_LOW COLD_TOP COLD_LOW PROMOTED DEMOTED
 *				a frame: what is known TIME seconds after the start. The
 *				number of the last round and the heat from which on it
 *				took a page for hot; then from /proc/PID/ktierd_stat, in
 *				KiB: marked memory in the top tier and in lower ones, the
 *				hot and the cold part of it in each; and pages that were
 *				moved up and down so far
 *	p CELL STATES		state of this cell and of those behind it, two digits
 *				each. A frame has only what is new in it
 *	l NUMBER		so many trace events were lost since the last frame
 *	e TIME REASON		the end: "exited", "time" or "signal"
 *
 * CELL is the number of the cell's first page shifted right by ORDER. The state is not
 * a mean: it is that of one page of the cell, which stands for all of them and is the
 * same all the time, that of sample_page(). So shares that are counted in cells are
 * estimates of shares of pages. When cells become larger, half of the pages go on
 * standing for the others.
 */
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "machine.h"

#define RECORD_MAGIC	"ktierctl-record"
#define RECORD_VERSION	1

/* The state of a page: its heat, as in the trace event ktierd:block, and more. */
#define STATE_HEAT	0x1f
#define STATE_LOW	0x20	/* in a lower tier */
#define STATE_UNKNOWN	0x40	/* its heat is not known yet */
#define STATE_ABSENT	0xff	/* there is no page */

#define HEAT_COLD	0
/* Of a page in a page table in which nothing was used for some time; not the kernel's. */
#define HEAT_ASLEEP	1
#define HEAT_HOT	17
#define HEAT_MAX	31

/* The page that stands for a cell of 2^order pages: by chance, and always the same. */
static inline u64 sample_page(u64 cell, unsigned int order)
{
	u64 mixed;

	while (order--) {
		mixed = (cell * 0x9e3779b97f4a7c15ULL + order) * 0xbf58476d1ce4e5b9ULL;
		cell = cell * 2 + (mixed >> 63);
	}
	return cell;
}

struct cell {
	u64 number;
	u64 when;		/* time of the last event, or 0 */
	unsigned char state;
	unsigned char written;	/* the state that the record has last */
};

struct cells {
	struct cell *cell;	/* by number */
	size_t count;
	size_t room;
	size_t most;		/* if there are more they get larger */
	unsigned int order;
};

/* @most: cells that a record has room for. @pages: what there is at first. */
void cells_init(struct cells *cells, size_t most, u64 pages);
void cells_free(struct cells *cells);

/* Pages from this number on might be there. */
void cells_add(struct cells *cells, u64 page, u64 pages);

/* A trace event told this of pages in a row; or one state of all if @whole. */
void cells_learn(struct cells *cells, u64 page, u64 pages, const unsigned char *states,
		 bool whole, u64 when);

/* The one that this page stands for, or NULL. */
struct cell *cells_find(const struct cells *cells, u64 page);

/* Make them larger until there are no more than there should be. True if they became. */
bool cells_fit(struct cells *cells);

/* A mapping of the process. */
struct mapping {
	u64 from, to;
	char *name;
	bool written;
};

struct mappings {
	struct mapping *mapping;	/* by address */
	size_t count;
};

/*
 * Read the mappings of a process. With @cells, also which of them are marked, and add
 * these to the cells. False if it is gone.
 */
bool mappings_read(struct mappings *mappings, pid_t pid, struct cells *cells, size_t most);
void mappings_free(struct mappings *mappings);

/* The one with this address, or NULL. */
struct mapping *mapping_find(const struct mappings *mappings, u64 address);

/*
 * Ask the kernel where the page of each cell is. What has had no event since @silent
 * is asleep, or gone. False if the kernel does not tell.
 */
bool cells_locate(struct cells *cells, pid_t pid, u64 silent);

struct trace;

struct trace_handler {
	void (*block)(void *data, u64 address, const unsigned char *states, unsigned int count,
		      u64 when);
	void (*cut)(void *data, u64 round, u64 hot, u64 when);
	void *data;
};

/*
 * Have the kernel trace what it learns of a process, for us alone. NULL after
 * complaining. trace_close() leaves nothing behind.
 */
struct trace *trace_open(pid_t pid);
void trace_close(struct trace *trace);

/* File descriptors to poll() for input until much has come. */
int trace_descriptors(const struct trace *trace, const int **fds);

/* Take all that has come. Returns how many events were lost. */
u64 trace_read(struct trace *trace, const struct trace_handler *handler);

#endif
