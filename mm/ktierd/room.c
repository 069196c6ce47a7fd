// SPDX-License-Identifier: GPL-2.0
/*
 * How much of a node is free for what ktierd moves.
 *
 * DRAM is to have its headroom for others.  But page cache takes all that is free.
 * So what of it was used once counts with what is free, and promotion may take its
 * place: demotion would go on making room for it until no marked page was left, and
 * nobody else makes room for what is promoted.
 */

#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sizes.h>
#include <linux/swap.h>
#include <linux/vmstat.h>
#include <linux/compaction.h>	/* wants the others */

#include "../internal.h"
#include "internal.h"

/*
 * Promotion stops this far before the headroom, or at a sixteenth more than it
 * if that is less: else every page that somebody allocates would be answered by
 * a demotion.
 */
#define KTIERD_SLACK_PAGES	(SZ_4M / PAGE_SIZE)

/* If others pay for it, page cache is left alone for up to so many of our requests. */
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

/*
 * Below the high watermarks kswapd is awake, and works against us.  They are not
 * boosted here: that lasts for a moment, and nothing is to be demoted for it.
 */
static u64 node_watermarks(int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	u64 pages = 0;
	int z;

	for (z = 0; z < MAX_NR_ZONES; z++)
		pages += zones[z]._watermark[WMARK_HIGH];
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

/*
 * What processors keep at hand can't be given to others, and kswapd does not count
 * it.  So it is no more than a part of the headroom, and not of the watermarks.
 */
static u64 node_free_for_us(int nid, u64 headroom)
{
	u64 spare = headroom - min(headroom, node_watermarks(nid));

	return node_free(nid) + min3(node_at_hand(nid), headroom / 4, spare);
}

/*
 * Shared memory counts as mapped, and is not on the lists of page cache.  How much
 * of it is mapped nobody knows: all of it, we assume.
 */
static u64 node_mapped_files(struct pglist_data *pgdat)
{
	u64 mapped = node_page_state(pgdat, NR_FILE_MAPPED);
	u64 shmem = node_page_state(pgdat, NR_SHMEM);

	return mapped - min(mapped, shmem);
}

/*
 * Page cache that was used once, as far as reclaim knows, is clean, and is in nobody's
 * page tables: what is marked is in one.  Not more than there is beyond as much as was
 * used again: below that, at the latest, reclaim takes other memory as well.
 */
static u64 node_files_once(int nid)
{
	struct pglist_data *pgdat = NODE_DATA(nid);
	u64 once = node_page_state(pgdat, NR_INACTIVE_FILE);
	u64 kept = node_page_state(pgdat, NR_ACTIVE_FILE) +
		   node_page_state(pgdat, NR_FILE_DIRTY) +
		   node_page_state(pgdat, NR_WRITEBACK) +
		   node_mapped_files(pgdat);

	return once - min(once, kept);
}

/* All other page cache: it could leave sooner or later, whoever uses it. */
static u64 node_files_more(int nid)
{
	struct pglist_data *pgdat = NODE_DATA(nid);
	u64 files = node_page_state(pgdat, NR_ACTIVE_FILE) +
		    node_page_state(pgdat, NR_INACTIVE_FILE);

	return files - min(files, node_files_once(nid));
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
 * Asked under the page-table lock, so what each processor has not added is left out.
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

/* How much of a node promotion may take, if not now, then when page cache has left. */
static u64 node_promise(int nid, u64 usable, u64 headroom)
{
	u64 slack = min(headroom / 16, (u64)KTIERD_SLACK_PAGES);

	return min(usable - min(usable, headroom + slack),
		   node_spare(nid) + node_files_once(nid));
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
		room = node_promise(nid, usable, headroom);
		census->room += room;
		census->room_later += node_later(nid, room);
	}
}

static void node_make_room(int nid, unsigned int order)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	int z;

	for (z = ZONE_MOVABLE; z >= 0; z--) {
		if (!managed_zone(&zones[z]))
			continue;
		wakeup_kswapd(&zones[z], 0, order, ZONE_MOVABLE);
		break;
	}
}

#define KTIERD_HUGE_ORDER	ilog2(KTIERD_BLOCK_PAGES)

/*
 * Is so much free that huge pages can be made of it, wherever it lies?  Compaction wants
 * twice their size above the low watermark of a zone.
 */
static bool node_can_compact(int nid)
{
	return IS_ENABLED(CONFIG_COMPACTION) &&
	       node_spare(nid) >= node_watermarks(nid) + 2 * KTIERD_BLOCK_PAGES;
}

static void compact_top(const nodemask_t *top)
{
	int nid;

	for_each_node_mask(nid, *top) {
		if (node_can_compact(nid) &&
		    ktierd_node_room(nid) >= KTIERD_BLOCK_PAGES)
			wakeup_kcompactd(NODE_DATA(nid), KTIERD_HUGE_ORDER,
					 ZONE_MOVABLE);
	}
}

/* Is kswapd to free more than the watermarks say, for a while? */
static bool node_boosted(int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	int z;

	for (z = 0; z < MAX_NR_ZONES; z++)
		if (READ_ONCE(zones[z].watermark_boost))
			return true;
	return false;
}

/* How often in a row has kswapd found nothing?  After a number of times it gives up. */
static int node_failures(int nid)
{
	return READ_ONCE(NODE_DATA(nid)->kswapd_failures);
}

/* Is kswapd likely to find page cache at once?  Its first pass does not see less. */
static bool node_has_files(int nid, u64 files)
{
	return node_failures(nid) < MAX_RECLAIM_RETRIES / 2 &&
	       files >= 1UL << DEF_PRIORITY;
}

/*
 * For a huge page kswapd goes on until it has freed twice as much, or as much as the
 * high watermarks are, and some more.  That much has to be page cache.
 */
static unsigned int order_of_room(int nid, u64 later)
{
	u64 most = max(node_watermarks(nid), 2 * KTIERD_BLOCK_PAGES);

	if (later < most || node_can_compact(nid) || node_boosted(nid) ||
	    !node_has_files(nid, later))
		return 0;
	return KTIERD_HUGE_ORDER;
}

/* What reclaim has taken since boot; but for some races, never less than before. */
struct reclaimed {
	u64 anon;
	u64 files;
	u64 nodes;	/* of both, for nodes and not for the limits of cgroups */
	u64 runs;	/* of kswapd */
};

static struct reclaimed nr_reclaimed(void)
{
	return (struct reclaimed) {
		.anon	= ktierd_nr_events(PGSTEAL_ANON),
		.files	= ktierd_nr_events(PGSTEAL_FILE),
		.nodes	= ktierd_nr_events(PGSTEAL_KSWAPD) +
			  ktierd_nr_events(PGSTEAL_DIRECT) +
			  ktierd_nr_events(PGSTEAL_KHUGEPAGED),
		.runs	= ktierd_nr_events(PAGEOUTRUN),
	};
}

/* What kswapd was asked for last, and what has come of such requests. */
static struct {
	struct reclaimed before;
	int failures;		/* of all nodes, before */
	bool huge;
	unsigned int backoff;	/* requests to leave out after one that went wrong */
	unsigned int rest;	/* of these, yet to leave out */
	bool unsure;		/* cgroups reclaimed, so who paid is not known */
	bool open;		/* not judged yet */
} request;

/*
 * Has reclaim taken more than one page of other memory for eight of page cache?  It does
 * if what was used once is protected, or if there are many cgroups with a little each.
 * As many pages as cgroups gave for their own limits are taken off: nobody counts which
 * kind they were.
 */
static bool others_paid(s64 anon, s64 files, s64 cgroups)
{
	return anon - max(cgroups, 0) > max(files / 8, (s64)SWAP_CLUSTER_MAX);
}

static bool kswapd_works(const nodemask_t *top)
{
	int nid;

	for_each_node_mask(nid, *top) {
		/* Whatever it does next: there is another round. */
		if (!waitqueue_active(&NODE_DATA(nid)->kswapd_wait))
			return true;
	}
	return false;
}

static int count_failures(const nodemask_t *top)
{
	int nid, nr = 0;

	for_each_node_mask(nid, *top)
		nr += node_failures(nid);
	return nr;
}

/*
 * Where nothing came of single pages, kswapd had nothing to do, or failed.  If it was to
 * make a huge page it has looked for something in vain, and not only among pages.
 */
static void judge_request(const nodemask_t *top)
{
	struct reclaimed now = nr_reclaimed(), *then = &request.before;
	s64 anon = now.anon - then->anon, files = now.files - then->files;
	s64 nodes = now.nodes - then->nodes;
	bool came = nodes >= (s64)SWAP_CLUSTER_MAX;
	bool failed = count_failures(top) > request.failures;

	request.open = false;
	request.unsure = anon + files - nodes > (s64)SWAP_CLUSTER_MAX;
	if (now.runs == then->runs || (!came && !failed && !request.huge))
		return;
	if (!came || failed || others_paid(anon, files, anon + files - nodes))
		request.backoff = clamp(request.backoff * 2, 1U, KTIERD_PAY_REST);
	else
		request.backoff = 0;
	request.rest = request.backoff;
}

static void request_room(int nid, bool huge)
{
	u64 headroom = node_headroom(nid);
	u64 room = node_promise(nid, node_usable(nid, headroom), headroom);
	u64 later = node_later(nid, room);
	unsigned int order = 0;

	if (!later)
		return;
	if (huge && !request.unsure)
		order = order_of_room(nid, later);
	node_make_room(nid, order);
	request.open = true;
	if (order)
		request.huge = true;
}

/**
 * ktierd_top_make_room() - have room made for what is to be promoted, once a round
 * @top: the nodes of the top tier
 * @lacks: is there less than is to be promoted?
 *
 * By kswapd, which has page cache leave that was used once, on each node as far as its
 * high watermark, a little for a round, or further if huge pages lack room.  If others
 * pay for it, less and less often.  And by kcompactd if enough is free, but scattered.
 */
void ktierd_top_make_room(const nodemask_t *top, bool lacks)
{
	bool huge = ktierd_huge_lacked();
	int nid;

	if (huge)
		compact_top(top);
	if (kswapd_works(top))
		return;
	if (request.open)
		judge_request(top);
	if (!lacks)
		return;
	if (request.rest) {
		request.rest--;
		return;
	}
	request.before = nr_reclaimed();
	request.failures = count_failures(top);
	request.huge = false;
	for_each_node_mask(nid, *top)
		request_room(nid, huge);
}
