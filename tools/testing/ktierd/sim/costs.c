// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include <linux/types.h>

#include "costs.h"

/*
 * THE table.  What was measured belongs in here: the bench counts what a visit
 * of a page takes, of small and of huge pages, in a guest ("visits" in its
 * workloads).  heat_small and heat_huge are what Callgrind counts in heat.c;
 * "sim" counts them anew and puts them in the place of these.
 */
struct costs costs = {
	.pte_visit		= 47,
	.idle_visit		= 280,
	.sum_rounds		= 512,
	.huge_visit		= 900,
	.table			= 2000,
	.mm			= 3000,
	.page_moved		= 7000,
	.heat_small		= 3000,
	.heat_huge		= 1300,
	.visits			= 2,
	.block_small		= 1088 + 64 + 9,
	.block_huge		= 192 + 9,
	.block_idle		= 64 + 9,
	.instructions_per_s	= 3e9,
};

/* As a member of a JSON object. */
void costs_print(void)
{
	printf("\"costs\": {");
	printf("\"pte_visit\": %g, \"idle_visit\": %g, \"sum_rounds\": %g, ",
	       costs.pte_visit, costs.idle_visit, costs.sum_rounds);
	printf("\"huge_visit\": %g, \"table\": %g, \"mm\": %g, ",
	       costs.huge_visit, costs.table, costs.mm);
	printf("\"page_moved\": %g, \"heat_small\": %g, \"heat_huge\": %g, ",
	       costs.page_moved, costs.heat_small, costs.heat_huge);
	printf("\"visits\": %g, \"block_small\": %g, \"block_huge\": %g, ",
	       costs.visits, costs.block_small, costs.block_huge);
	printf("\"block_idle\": %g, \"instructions_per_s\": %.10g}",
	       costs.block_idle, costs.instructions_per_s);
}
