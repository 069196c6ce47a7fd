/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_SIM_COSTS_H
#define KTIERD_SIM_COSTS_H
/* What the work of the thread costs, in instructions, and its memory, in bytes. */

/**
 * struct costs - the model of what work costs
 * @pte_visit: a present PTE, each time that a walk comes by; heat.c is in it
 * @idle_visit: a page table that a walk skips, because its PMD was not accessed
 * @sum_rounds: but its pages are counted anew once in so many rounds
 * @huge_visit: a huge page, each time that a walk comes by; heat.c is in it
 * @table: a page table that is walked, once a round: its lock, and the flush
 * @mm: a process, each walk: mmap_lock, its VMAs
 * @page_moved: a page that is moved, either way
 * @heat_small: of @pte_visit, heat.c: a group of 64 small pages, a round
 * @heat_huge: of @huge_visit, heat.c: a huge page, a round
 * @visits: walks a round
 * @block_small: the history of a page table, with its place in the xarray
 * @block_huge: the same of a huge page
 * @block_idle: the same of a table that is skipped
 * @instructions_per_s: how fast the processor is
 */
struct costs {
	double pte_visit;
	double idle_visit;
	double sum_rounds;
	double huge_visit;
	double table;
	double mm;
	double page_moved;
	double heat_small;
	double heat_huge;
	double visits;
	double block_small;
	double block_huge;
	double block_idle;
	double instructions_per_s;
};

extern struct costs costs;

void costs_print(void);

#endif
