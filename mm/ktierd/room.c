// SPDX-License-Identifier: GPL-2.0
/*
 * How much of a node is free for what ktierd moves.
 *
 * DRAM is to have its headroom for others.  But page cache takes all that is free
 * and gives it back when somebody allocates.  So what of it was used once counts
 * with what is free: demotion would go on making room for it until no marked page
 * was left, and promotion would wait for room that nobody makes.
 */

#include <linux/math.h>
#include <linux/mmzone.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "../internal.h"
#include "internal.h"

/*
 * Promotion stops this far before the headroom, or at a sixteenth more than it
 * if that is less: else every page that somebody allocates would be answered by
 * a demotion.
 */
#define KTIERD_SLACK_PAGES	(SZ_4M / PAGE_SIZE)

static u64 node_managed(int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	u64 pages = 0;
	int z;

	for (z = 0; z < MAX_NR_ZONES; z++)
		pages += zone_managed_pages(&zones[z]);
	return pages;
}

/* Below the high watermarks kswapd is awake, and works against us. */
static u64 node_watermarks(int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	u64 pages = 0;
	int z;

	for (z = 0; z < MAX_NR_ZONES; z++)
		pages += high_wmark_pages(&zones[z]);
	return pages;
}

static u64 node_headroom(int nid)
{
	unsigned int percent = READ_ONCE(ktierd_tunables.headroom_percent);

	return max(node_watermarks(nid), node_managed(nid) * percent / 100);
}

/*
 * Pages that processors keep at hand are free, too.  What a demotion frees comes
 * to lie there first: without them, it would have to be done twice.
 */
static u64 node_at_hand(int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	u64 pages = 0;
	int cpu, z;

	for (z = 0; z < MAX_NR_ZONES; z++) {
		struct per_cpu_pages __percpu *sets;

		sets = READ_ONCE(zones[z].per_cpu_pageset);
		if (!populated_zone(&zones[z]))
			continue;
		for_each_online_cpu(cpu)
			pages += READ_ONCE(per_cpu_ptr(sets, cpu)->count);
	}
	return pages;
}

/* With what processors have not added yet, as kswapd counts near its marks. */
static u64 node_free(int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	u64 pages = 0;
	int z;

	for (z = 0; z < MAX_NR_ZONES; z++)
		if (populated_zone(&zones[z]))
			pages += zone_page_state_snapshot(&zones[z],
							  NR_FREE_PAGES);
	return pages;
}

/* But others can't be given them, and kswapd does not count them. */
static u64 node_free_for_us(int nid, u64 headroom)
{
	u64 spare = headroom - min(headroom, node_watermarks(nid));

	return node_free(nid) + min3(node_at_hand(nid), headroom / 4, spare);
}

/*
 * Page cache that was used once, as far as reclaim knows.  It takes nothing else as
 * long as there is more of it than it wants beside what is used again: see
 * inactive_is_low().
 */
static u64 node_files_once(int nid)
{
	struct pglist_data *pgdat = NODE_DATA(nid);
	u64 active = node_page_state(pgdat, NR_ACTIVE_FILE);
	u64 once = node_page_state(pgdat, NR_INACTIVE_FILE);
	u64 ratio = int_sqrt(10 * ((active + once) >> (30 - PAGE_SHIFT))) ?: 1;
	u64 kept = active / ratio + node_page_state(pgdat, NR_FILE_DIRTY) +
		   node_page_state(pgdat, NR_WRITEBACK);

	return once - min(once, kept);
}

/* What can be had without going where only those go who may reclaim. */
static u64 node_spare(int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	u64 pages = 0, free, kept;
	int z;

	for (z = 0; z <= ZONE_MOVABLE; z++) {
		if (!populated_zone(&zones[z]))
			continue;
		free = zone_page_state_snapshot(&zones[z], NR_FREE_PAGES);
		kept = low_wmark_pages(&zones[z]) +
		       zones[z].lowmem_reserve[ZONE_MOVABLE];
		pages += free - min(free, kept);
	}
	return pages;
}

/**
 * ktierd_node_room() - how many pages may be promoted to a node now?
 * @nid: a top-tier node
 *
 * Return: pages beyond the headroom, that are free.
 */
u64 ktierd_node_room(int nid)
{
	u64 headroom = node_headroom(nid);
	u64 free = node_free_for_us(nid, headroom) + node_files_once(nid);

	return min(free - min(free, headroom), node_spare(nid));
}

/**
 * ktierd_node_free_about() - how many pages are free, as far as that costs nothing?
 * @nid: a node
 *
 * To see whether others have allocated since ktierd_node_room() was asked.
 *
 * Return: free pages, without what each processor has not added yet.
 */
u64 ktierd_node_free_about(int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	u64 pages = 0;
	int z;

	for (z = 0; z < MAX_NR_ZONES; z++)
		pages += zone_page_state(&zones[z], NR_FREE_PAGES);
	return pages;
}

/**
 * ktierd_node_takes() - does a node take what is demoted?
 * @nid: a node of a lower tier
 *
 * Asked for under the page-table lock: not each processor is.
 *
 * Return: true if more than a few pages are free.
 */
bool ktierd_node_takes(int nid)
{
	return ktierd_node_free_about(nid) > node_managed(nid) / 1024;
}

/**
 * ktierd_top_room() - what is free in the top tier
 * @top: its nodes
 * @room: pages that promotion may take
 * @later: those of them that page cache has to leave before
 * @shortfall: pages by which nodes fall short of their headroom
 */
void ktierd_top_room(const nodemask_t *top, u64 *room, u64 *later,
		     u64 *shortfall)
{
	int nid;

	*room = 0;
	*later = 0;
	*shortfall = 0;
	for_each_node_mask(nid, *top) {
		u64 headroom = node_headroom(nid);
		u64 slack = min(headroom / 16, (u64)KTIERD_SLACK_PAGES);
		u64 free = node_free_for_us(nid, headroom) +
			   node_files_once(nid);
		u64 here = free - min(free, headroom + slack);

		if (free < headroom)
			*shortfall += headroom - free;
		*room += here;
		*later += here - min(here, node_spare(nid));
	}
}

static void node_make_room(int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	int z;

	for (z = ZONE_MOVABLE; z >= 0; z--) {
		if (!managed_zone(&zones[z]))
			continue;
		wakeup_kswapd(&zones[z], 0, 0, ZONE_MOVABLE);
		break;
	}
}

/**
 * ktierd_top_make_room() - have page cache leave
 * @top: the nodes of the top tier
 *
 * By kswapd, and on each node as far as its high watermark: a little for a round.
 */
void ktierd_top_make_room(const nodemask_t *top)
{
	int nid;

	for_each_node_mask(nid, *top)
		if (node_files_once(nid))
			node_make_room(nid);
}
