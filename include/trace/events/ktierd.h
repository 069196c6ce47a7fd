/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ktierd

#if !defined(_TRACE_KTIERD_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KTIERD_H

#include <linux/tracepoint.h>

/* The level of a page that was not sampled, in ktierd_block. */
#define KTIERD_TRACE_ABSENT	0xff

/**
 * ktierd_block - the reading walk has brought the histories of pages up to date
 *
 * @pid:	process id of the memory's owner, or 0 if it is gone; of its
 *		parent while it is being forked
 * @addr:	address of the first page
 * @first:	its number in the block, which is what one PMD maps
 * @nr:		pages in a row from there on, 1 for a huge page
 * @present:	which pages of the block were sampled
 * @level:	heat of each page of the block, from 0
 *
 * Pages of one block that are in several VMAs have an event for each. In the
 * text form a page is two hexadecimal digits, ff if it was not sampled: it is
 * not there, or is none that can be tiered.
 */
TRACE_EVENT(ktierd_block,

	TP_PROTO(pid_t pid, unsigned long addr, unsigned int first,
		 unsigned int nr, const unsigned long *present,
		 const u8 *level),

	TP_ARGS(pid, addr, first, nr, present, level),

	TP_STRUCT__entry(
		__field(pid_t,		pid)
		__field(unsigned long,	addr)
		__dynamic_array(u8,	level,	nr)
	),

	TP_fast_assign(
		u8 *to = __get_dynamic_array(level);
		unsigned int i;

		__entry->pid	= pid;
		__entry->addr	= addr;
		for (i = 0; i < nr; i++)
			to[i] = test_bit(first + i, present) ?
				level[first + i] : KTIERD_TRACE_ABSENT;
	),

	TP_printk("pid=%d addr=%lx levels=%s", __entry->pid, __entry->addr,
		  __print_hex_str(__get_dynamic_array(level),
				  __get_dynamic_array_len(level)))
);

/**
 * ktierd_cut - a round has been sampled, and what will move was worked out
 *
 * @round:	number of the round
 * @window_us:	length of its sample window, in microseconds; a tunable that is
 *		changed meanwhile ends it earlier
 * @touched:	pages that were touched in the window
 * @capacity:	pages that fit into the top tier
 * @cut:	heat from which on everything fits into it
 * @hot:	heat from which on a page counts as hot
 * @promote:	pages that are to be promoted
 * @demote:	pages that are to be demoted
 */
TRACE_EVENT(ktierd_cut,

	TP_PROTO(u32 round, unsigned int window_us, u64 touched, u64 capacity,
		 unsigned int cut, unsigned int hot, u64 promote, u64 demote),

	TP_ARGS(round, window_us, touched, capacity, cut, hot, promote, demote),

	TP_STRUCT__entry(
		__field(u32,		round)
		__field(unsigned int,	window_us)
		__field(u64,		touched)
		__field(u64,		capacity)
		__field(unsigned int,	cut)
		__field(unsigned int,	hot)
		__field(u64,		promote)
		__field(u64,		demote)
	),

	TP_fast_assign(
		__entry->round		= round;
		__entry->window_us	= window_us;
		__entry->touched	= touched;
		__entry->capacity	= capacity;
		__entry->cut		= cut;
		__entry->hot		= hot;
		__entry->promote	= promote;
		__entry->demote		= demote;
	),

	TP_printk("round=%u window_us=%u touched=%llu capacity=%llu cut=%u hot=%u promote=%llu demote=%llu",
		  __entry->round, __entry->window_us, __entry->touched,
		  __entry->capacity, __entry->cut, __entry->hot,
		  __entry->promote, __entry->demote)
);

#endif /* _TRACE_KTIERD_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
