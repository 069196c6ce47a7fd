/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ktierd

#if !defined(_TRACE_KTIERD_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KTIERD_H

#include <linux/tracepoint.h>

/* In block: the page is in a lower tier; and what is there if it was not sampled. */
#define KTIERD_TRACE_LOW	0x20
#define KTIERD_TRACE_ABSENT	0xff

/* What a page-table lock is held for. */
#define KTIERD_TRACE_CLEAR	0
#define KTIERD_TRACE_READ	1
#define KTIERD_TRACE_MOVE	2

/**
 * scan_begin - a walk over the marked memory of a process begins
 *
 * @pid:	process id of the memory's owner, or 0 if it is gone; of its
 *		parent while it is being forked
 * @round:	number of the round
 * @clear:	it is the clearing walk, else the reading walk
 */
TRACE_EVENT(scan_begin,

	TP_PROTO(pid_t pid, u32 round, bool clear),

	TP_ARGS(pid, round, clear),

	TP_STRUCT__entry(
		__field(pid_t,	pid)
		__field(u32,	round)
		__field(bool,	clear)
	),

	TP_fast_assign(
		__entry->pid	= pid;
		__entry->round	= round;
		__entry->clear	= clear;
	),

	TP_printk("pid=%d round=%u walk=%s", __entry->pid, __entry->round,
		  __entry->clear ? "clear" : "read")
);

/**
 * scan_end - and has ended
 *
 * @pid:	as in scan_begin
 * @round:	number of the round
 * @clear:	it was the clearing walk, else the reading walk
 * @ret:	0; 1: there is more, for another slice; -EBUSY: its mmap_lock
 *		was not to be had; -ESRCH: it goes away; -EINTR: the thread was
 *		disabled
 * @pages:	pages that are present, of those that can be tiered
 * @touched:	pages that were touched in the window
 * @written:	pages that were written in it, as far as that is known
 *
 * The last three are those of the reading walks of the round so far.
 */
TRACE_EVENT(scan_end,

	TP_PROTO(pid_t pid, u32 round, bool clear, int ret, u64 pages,
		 u64 touched, u64 written),

	TP_ARGS(pid, round, clear, ret, pages, touched, written),

	TP_STRUCT__entry(
		__field(pid_t,	pid)
		__field(u32,	round)
		__field(bool,	clear)
		__field(int,	ret)
		__field(u64,	pages)
		__field(u64,	touched)
		__field(u64,	written)
	),

	TP_fast_assign(
		__entry->pid		= pid;
		__entry->round		= round;
		__entry->clear		= clear;
		__entry->ret		= ret;
		__entry->pages		= pages;
		__entry->touched	= touched;
		__entry->written	= written;
	),

	TP_printk("pid=%d round=%u walk=%s ret=%d pages=%llu touched=%llu written=%llu",
		  __entry->pid, __entry->round,
		  __entry->clear ? "clear" : "read", __entry->ret,
		  __entry->pages, __entry->touched, __entry->written)
);

/**
 * block - the reading walk has brought the histories of pages up to date
 *
 * @pid:	as in scan_begin
 * @addr:	address of the first page
 * @level:	heat of each page, and KTIERD_TRACE_LOW if it is in a lower tier;
 *		or KTIERD_TRACE_ABSENT
 * @nr:		pages in a row from there on, 1 for a huge page
 *
 * Pages of one block, which is what one PMD maps, that are in several VMAs have
 * an event for each.  A block that sleeps, in which nothing has been used for
 * some time, has none.  In the text
 * form a page is two hexadecimal digits, ff if it was not sampled: it is not
 * there, or is none that can be tiered.
 */
TRACE_EVENT(block,

	TP_PROTO(pid_t pid, unsigned long addr, const u8 *level,
		 unsigned int nr),

	TP_ARGS(pid, addr, level, nr),

	TP_STRUCT__entry(
		__field(pid_t,		pid)
		__field(unsigned long,	addr)
		__dynamic_array(u8,	level,	nr)
	),

	TP_fast_assign(
		__entry->pid	= pid;
		__entry->addr	= addr;
		memcpy(__get_dynamic_array(level), level, nr);
	),

	TP_printk("pid=%d addr=%lx levels=%s", __entry->pid, __entry->addr,
		  __print_hex_str(__get_dynamic_array(level),
				  __get_dynamic_array_len(level)))
);

/**
 * cell - what a round knows of the pages of one heat and part of writes
 *
 * @round:	number of the round
 * @level:	heat
 * @class:	part of their uses that is writes: 0 none or few, 3 all or most
 * @top:	pages in the top tier that can move
 * @low:	pages in lower tiers that can move
 * @were:	pages that were watched in the last windows
 * @touched:	those of them that were touched
 * @written:	those that were written
 * @rank:	what the cell is worth, among all; higher is more
 *
 * One event for each cell with anything in it, after the round's cut.
 */
TRACE_EVENT(cell,

	TP_PROTO(u32 round, unsigned int level, unsigned int class, u64 top,
		 u64 low, u64 were, u64 touched, u64 written,
		 unsigned int rank),

	TP_ARGS(round, level, class, top, low, were, touched, written, rank),

	TP_STRUCT__entry(
		__field(u32,		round)
		__field(unsigned int,	level)
		__field(unsigned int,	class)
		__field(u64,		top)
		__field(u64,		low)
		__field(u64,		were)
		__field(u64,		touched)
		__field(u64,		written)
		__field(unsigned int,	rank)
	),

	TP_fast_assign(
		__entry->round		= round;
		__entry->level		= level;
		__entry->class		= class;
		__entry->top		= top;
		__entry->low		= low;
		__entry->were		= were;
		__entry->touched	= touched;
		__entry->written	= written;
		__entry->rank		= rank;
	),

	TP_printk("round=%u level=%u class=%u top=%llu low=%llu were=%llu touched=%llu written=%llu rank=%u",
		  __entry->round, __entry->level, __entry->class, __entry->top,
		  __entry->low, __entry->were, __entry->touched,
		  __entry->written, __entry->rank)
);

/**
 * migrate - a batch was moved
 *
 * @pid:	as in scan_begin
 * @nid:	node that it was moved to
 * @promote:	up, else down
 * @moved:	pages that were moved
 * @stayed:	pages of the batch that were not
 */
TRACE_EVENT(migrate,

	TP_PROTO(pid_t pid, int nid, bool promote, u64 moved, u64 stayed),

	TP_ARGS(pid, nid, promote, moved, stayed),

	TP_STRUCT__entry(
		__field(pid_t,	pid)
		__field(int,	nid)
		__field(bool,	promote)
		__field(u64,	moved)
		__field(u64,	stayed)
	),

	TP_fast_assign(
		__entry->pid		= pid;
		__entry->nid		= nid;
		__entry->promote	= promote;
		__entry->moved		= moved;
		__entry->stayed		= stayed;
	),

	TP_printk("pid=%d nid=%d direction=%s moved=%llu stayed=%llu",
		  __entry->pid, __entry->nid,
		  __entry->promote ? "promote" : "demote", __entry->moved,
		  __entry->stayed)
);

/**
 * held - a page-table lock was held
 *
 * @pid:	as in scan_begin
 * @work:	what for: a clearing look, a reading look or isolating
 * @pmd:	it is the lock of a PMD: one huge page, or the accessed bit of a
 *		PMD that points to a table; else that of a page table
 * @entries:	entries that were looked at under the lock; more than a page
 *		table has if one was looked at twice
 * @ns:		for how long, without what it takes to trace it
 */
TRACE_EVENT(held,

	TP_PROTO(pid_t pid, u8 work, bool pmd, unsigned int entries, u64 ns),

	TP_ARGS(pid, work, pmd, entries, ns),

	TP_STRUCT__entry(
		__field(pid_t,		pid)
		__field(u8,		work)
		__field(bool,		pmd)
		__field(unsigned int,	entries)
		__field(u64,		ns)
	),

	TP_fast_assign(
		__entry->pid		= pid;
		__entry->work		= work;
		__entry->pmd		= pmd;
		__entry->entries	= entries;
		__entry->ns		= ns;
	),

	TP_printk("pid=%d work=%s lock=%s entries=%u ns=%llu", __entry->pid,
		  __print_symbolic(__entry->work,
				   { KTIERD_TRACE_CLEAR, "clear" },
				   { KTIERD_TRACE_READ, "read" },
				   { KTIERD_TRACE_MOVE, "move" }),
		  __entry->pmd ? "pmd" : "table", __entry->entries, __entry->ns)
);

/**
 * cut - a round has been sampled, and what will move was worked out
 *
 * @round:	number of the round
 * @window_us:	length of its sample window, in microseconds; a tunable that is
 *		changed meanwhile ends it earlier
 * @touched:	pages that were touched in the window
 * @capacity:	pages that fit into the top tier
 * @hot:	heat from which on a page counts as hot
 * @shift:	how fast it learns: a window counts for a 2^shift-th part
 * @promote:	pages that are to be promoted
 * @demote:	pages that are to be demoted
 */
TRACE_EVENT(cut,

	TP_PROTO(u32 round, unsigned int window_us, u64 touched, u64 capacity,
		 unsigned int hot, unsigned int shift, u64 promote, u64 demote),

	TP_ARGS(round, window_us, touched, capacity, hot, shift, promote, demote),

	TP_STRUCT__entry(
		__field(u32,		round)
		__field(unsigned int,	window_us)
		__field(u64,		touched)
		__field(u64,		capacity)
		__field(unsigned int,	hot)
		__field(unsigned int,	shift)
		__field(u64,		promote)
		__field(u64,		demote)
	),

	TP_fast_assign(
		__entry->round		= round;
		__entry->window_us	= window_us;
		__entry->touched	= touched;
		__entry->capacity	= capacity;
		__entry->hot		= hot;
		__entry->shift		= shift;
		__entry->promote	= promote;
		__entry->demote		= demote;
	),

	TP_printk("round=%u window_us=%u touched=%llu capacity=%llu hot=%u shift=%u promote=%llu demote=%llu",
		  __entry->round, __entry->window_us, __entry->touched,
		  __entry->capacity, __entry->hot, __entry->shift,
		  __entry->promote, __entry->demote)
);

#endif /* _TRACE_KTIERD_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
