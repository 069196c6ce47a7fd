/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_LIB_TIERS_H
#define KTIERD_LIB_TIERS_H
/* Which memory nodes are in the top tier and which in a lower one. */

#define TIERS_MAX_NODES	1024

enum tier {
	TIER_UNKNOWN,		/* not present, or on its way */
	TIER_TOP,
	TIER_LOWER,
};

/* Learn the machine's tiers. Ends the program if there is no lower one. */
void tiers_learn(void);

/* -1 if there is none. */
int tiers_first_node(enum tier tier);

/* Of a node, or of the negative errno that stands for one. */
enum tier tier_of(int node);

#endif
