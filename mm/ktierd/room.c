// SPDX-License-Identifier: GPL-2.0
/*
 * How much of a node is free for what ktierd moves.
 */

#include <linux/memory-tiers.h>
#include <linux/mmzone.h>
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

/**
 * ktierd_node_room() - how many pages may be promoted to a node?
 * @nid: a top-tier node
 *
 * Return: pages that are free beyond the headroom.
 */
u64 ktierd_node_room(int nid)
{
	u64 headroom = node_headroom(nid);
	u64 free = node_free_for_us(nid, headroom);

	return free - min(free, headroom);
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
 * @shortfall: pages by which nodes fall short of their headroom
 */
void ktierd_top_room(const nodemask_t *top, u64 *room, u64 *shortfall)
{
	int nid;

	*room = 0;
	*shortfall = 0;
	for_each_node_mask(nid, *top) {
		u64 headroom = node_headroom(nid);
		u64 slack = min(headroom / 16, (u64)KTIERD_SLACK_PAGES);
		u64 free = node_free_for_us(nid, headroom);

		if (free < headroom)
			*shortfall += headroom - free;
		else if (free > headroom + slack)
			*room += free - headroom - slack;
	}
}
