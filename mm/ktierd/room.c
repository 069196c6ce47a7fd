// SPDX-License-Identifier: GPL-2.0
/*
 * How much of a node is free for what ktierd moves.
 *
 * DRAM is to have its headroom for others.  But page cache takes all that is free.
 * So what of it was used once counts with what is free, and promotion may take its
 * place: demotion would go on making room for it until no marked page was left, and
 * nobody else makes room for what is promoted.
 */

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sizes.h>
#include <linux/vmstat.h>

#include "../internal.h"
#include "internal.h"

/*
 * Promotion stops this far before the headroom, or at a sixteenth more than it
 * if that is less: else every page that somebody allocates would be answered by
 * a demotion.
 */
#define KTIERD_SLACK_PAGES	(SZ_4M / PAGE_SIZE)

/* So many rounds page cache is left alone if others pay for it. */
#define KTIERD_PAY_REST		64U

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

static u64 node_unclean(struct pglist_data *pgdat)
{
	return node_page_state(pgdat, NR_FILE_DIRTY) +
	       node_page_state(pgdat, NR_WRITEBACK);
}

/*
 * Page cache that was used once, as far as reclaim knows, and is in nobody's page
 * tables, so that it is not marked.  Not more than there is beyond as much as was used
 * again: that far reclaim has enough of it, and leaves the rest alone.
 */
static u64 node_files_once(int nid)
{
	struct pglist_data *pgdat = NODE_DATA(nid);
	u64 once = node_page_state(pgdat, NR_INACTIVE_FILE);
	u64 kept = node_page_state(pgdat, NR_ACTIVE_FILE) +
		   node_page_state(pgdat, NR_FILE_MAPPED) + node_unclean(pgdat);

	return once - min(once, kept);
}

/* And all else that could leave, whoever uses it. */
static u64 node_files_more(int nid)
{
	struct pglist_data *pgdat = NODE_DATA(nid);
	u64 files = node_page_state(pgdat, NR_ACTIVE_FILE) +
		    node_page_state(pgdat, NR_INACTIVE_FILE);
	u64 kept = node_files_once(nid) + node_unclean(pgdat);

	return files - min(files, kept);
}

/* What there is for the headroom, and for what is promoted beyond it. */
static u64 node_usable(int nid, u64 headroom)
{
	return node_free_for_us(nid, headroom) + node_files_once(nid);
}

/* What can be had above the low watermarks, beyond which only those go who must. */
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
		       zones[z].lowmem_reserve[ZONE_MOVABLE] +
		       READ_ONCE(zones[z].nr_free_highatomic);
		pages += free - min(free, kept);
	}
	return pages;
}

/**
 * ktierd_node_room() - how many pages may be promoted to a node now?
 * @nid: a top-tier node
 *
 * Return: pages that are free, of those that are usable beyond the headroom.
 */
u64 ktierd_node_room(int nid)
{
	u64 headroom = node_headroom(nid);
	u64 usable = node_usable(nid, headroom);

	return min(usable - min(usable, headroom), node_spare(nid));
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

/* Of what promotion may take: how much is not free yet? */
static u64 node_later(int nid, u64 room)
{
	return room - min(room, node_spare(nid));
}

/* How much of a node promotion may take. */
static u64 node_promise(u64 usable, u64 headroom)
{
	u64 slack = min(headroom / 16, (u64)KTIERD_SLACK_PAGES);

	return usable - min(usable, headroom + slack);
}

/**
 * ktierd_top_room() - what is free in the top tier
 * @top: its nodes
 * @census: the room and the shortfall are written there
 */
void ktierd_top_room(const nodemask_t *top, struct ktierd_census *census)
{
	u64 headroom, usable, missing, room;
	int nid;

	census->room = 0;
	census->room_later = 0;
	census->shortfall = 0;
	census->shortfall_files = 0;
	for_each_node_mask(nid, *top) {
		headroom = node_headroom(nid);
		usable = node_usable(nid, headroom);
		missing = headroom - min(headroom, usable);
		census->shortfall += missing;
		census->shortfall_files += min(missing, node_files_more(nid));
		room = node_promise(usable, headroom);
		census->room += room;
		census->room_later += node_later(nid, room);
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

/*
 * Has reclaim, since this was asked last, taken more than an eighth as many pages that
 * are not page cache as are?  It does if what was used once is protected, or if there are many
 * cgroups with a little each.
 */
static bool others_pay(void)
{
	static u64 anon_before, files_before;
	u64 anon = ktierd_nr_events(PGSTEAL_ANON);
	u64 files = ktierd_nr_events(PGSTEAL_FILE);
	bool pay = (s64)(anon - anon_before) > (s64)(files - files_before) / 8;

	anon_before = anon;
	files_before = files;
	return pay;
}

/**
 * ktierd_top_make_room() - have page cache leave that was used once
 * @top: the nodes of the top tier
 *
 * By kswapd, and on each node as far as its high watermark: a little for a round.
 * If others pay for it, or anybody's memory is reclaimed anyway, less and less often.
 */
void ktierd_top_make_room(const nodemask_t *top)
{
	static unsigned int rest, backoff;
	u64 headroom, room;
	int nid;

	if (rest) {
		rest--;
		return;
	}
	backoff = others_pay() ? clamp(backoff * 2, 1U, KTIERD_PAY_REST) : 0;
	rest = backoff;
	for_each_node_mask(nid, *top) {
		headroom = node_headroom(nid);
		room = node_promise(node_usable(nid, headroom), headroom);
		if (node_later(nid, room))
			node_make_room(nid);
	}
}
