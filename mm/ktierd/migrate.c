// SPDX-License-Identifier: GPL-2.0
/*
 * Moving pages: isolate, batch, move, put back, and count why not.
 *
 * A walk over the blocks that have something to move isolates folios under the
 * page-table lock.  Once a batch is together the walk lets go of all locks, and
 * migrate_pages() moves it: asynchronously, which batches its TLB flushes and
 * never waits for a folio.  A thread of the application that faults on a page
 * in a batch waits for that batch, so its size bounds what tiering can cost
 * anyone at once.
 *
 * Pages are allocated at the target or not at all.  Promotion never goes into
 * reclaim, nor below the headroom.  Demotion wakes the target's kswapd, so that
 * a lower tier that is full makes room for a later try.
 */

#include <linux/memory-tiers.h>
#include <linux/migrate.h>
#include <linux/slab.h>

#include "../internal.h"
#include "internal.h"

/*
 * A walk stops for its batch when it has this many pages: with what one more
 * page table may add it stays near the 512 that migrate_pages() moves at once.
 */
#define KTIERD_BATCH_PAGES	256

/* After a round that mostly failed, let up to this many pass. */
#define KTIERD_BACKOFF_MAX	8U

/**
 * struct ktierd_move - moving pages of a process in one direction
 * @walk: the walk that isolates them
 * @quota: what is still to be moved
 * @promote: up, else down
 * @batch: pages that are isolated
 * @moved: pages that were moved
 * @failed: pages that were wanted and stayed
 */
struct ktierd_move {
	struct ktierd_walk walk;
	struct ktierd_quota *quota;
	bool promote;
	unsigned int batch;
	u64 moved;
	u64 failed;
};

/*
 * What is isolated, by target node.  Large folios apart: migrate_pages() gives
 * a list up when an allocation fails, and a want of huge pages must not stop
 * small ones.
 */
static struct {
	struct list_head small;
	struct list_head large;
} *isolated;

/* Where pages of a node go, worked out once for each VMA and lock hold. */
static struct {
	bool known;
	enum ktierd_fail why;
	int nid;
} *targets;

const char * const ktierd_fail_names[KTIERD_NR_FAILS] = {
	[KTIERD_BUSY]		= "busy",
	[KTIERD_PINNED]		= "pinned",
	[KTIERD_SHARED]		= "shared",
	[KTIERD_LOCKED]		= "locked",
	[KTIERD_POLICY]		= "policy",
	[KTIERD_CPUSET]		= "cpuset",
	[KTIERD_NO_ROOM]	= "no_room",
	[KTIERD_HUGE_NO_ROOM]	= "huge_no_room",
	[KTIERD_RATE]		= "rate",
	[KTIERD_LAZYFREE]	= "lazyfree",
	[KTIERD_DIRTY]		= "dirty",
	[KTIERD_PARTIAL]	= "partial",
};

static atomic64_t pages_promoted;
static atomic64_t pages_demoted;
static atomic64_t pages_failed[KTIERD_NR_FAILS];

u64 ktierd_pages_promoted(void)
{
	return atomic64_read(&pages_promoted);
}

u64 ktierd_pages_demoted(void)
{
	return atomic64_read(&pages_demoted);
}

u64 ktierd_pages_failed(enum ktierd_fail why)
{
	return atomic64_read(&pages_failed[why]);
}

/**
 * ktierd_count_fail() - count pages that should have moved
 * @why: why they stayed
 * @nr_pages: how many
 */
void ktierd_count_fail(enum ktierd_fail why, u64 nr_pages)
{
	atomic64_add(nr_pages, &pages_failed[why]);
	count_vm_events(KTIERD_PAGES_FAILED, nr_pages);
}

static void count_stay(struct ktierd_move *move, enum ktierd_fail why,
		       unsigned int nr_pages)
{
	ktierd_count_fail(why, nr_pages);
	move->failed += nr_pages;
}

static void count_moved(struct ktierd_move *move, u64 nr_pages)
{
	move->moved += nr_pages;
	if (move->promote) {
		atomic64_add(nr_pages, &pages_promoted);
		count_vm_events(KTIERD_PAGES_PROMOTED, nr_pages);
	} else {
		atomic64_add(nr_pages, &pages_demoted);
		count_vm_events(KTIERD_PAGES_DEMOTED, nr_pages);
	}
}

/**
 * struct ktierd_dst - where migrate_pages() gets target folios
 * @nid: the target node
 * @promote: it is in the top tier, and has headroom to keep
 * @no_room: a folio was not to be had
 * @nr_pages: pages that were got and not given back: those that have moved
 */
struct ktierd_dst {
	int nid;
	bool promote;
	bool no_room;
	u64 nr_pages;
};

static gfp_t dst_gfp(const struct ktierd_dst *dst, unsigned int order)
{
	gfp_t gfp = order ? GFP_TRANSHUGE_LIGHT :
			    GFP_HIGHUSER_MOVABLE | __GFP_NOMEMALLOC |
			    __GFP_NOWARN;

	gfp &= ~__GFP_RECLAIM;
	if (!dst->promote)
		gfp |= __GFP_KSWAPD_RECLAIM;
	return gfp | __GFP_THISNODE;
}

static struct folio *dst_alloc(struct folio *src, unsigned long private)
{
	struct ktierd_dst *dst = (struct ktierd_dst *)private;
	unsigned int order = folio_order(src);
	struct folio *folio = NULL;

	/* The node may have gone offline since it was chosen. */
	if (node_state(dst->nid, N_MEMORY) &&
	    (!dst->promote || ktierd_node_has_room(dst->nid, 1U << order)))
		folio = __folio_alloc_node(dst_gfp(dst, order), order,
					   dst->nid);
	if (folio)
		dst->nr_pages += 1U << order;
	else
		dst->no_room = true;
	return folio;
}

static void dst_put(struct folio *folio, unsigned long private)
{
	struct ktierd_dst *dst = (struct ktierd_dst *)private;

	dst->nr_pages -= folio_nr_pages(folio);
	folio_put(folio);
}

static enum ktierd_fail why_left(struct folio *folio,
				 const struct ktierd_dst *dst)
{
	if (folio_maybe_dma_pinned(folio))
		return KTIERD_PINNED;
	if (folio_test_locked(folio) || folio_test_writeback(folio))
		return KTIERD_LOCKED;
	if (dst->no_room)
		return folio_test_large(folio) ? KTIERD_HUGE_NO_ROOM :
						 KTIERD_NO_ROOM;
	return KTIERD_BUSY;
}

static void move_list(struct ktierd_move *move, struct list_head *list, int nid)
{
	struct ktierd_dst dst = { .nid = nid, .promote = move->promote };
	struct folio *folio;
	bool allowed;

	if (list_empty(list))
		return;
	allowed = ktierd_owner_allows(move->walk.slot->slot.mm, nid);
	if (allowed)
		migrate_pages(list, dst_alloc, dst_put, (unsigned long)&dst,
			      MIGRATE_ASYNC, MR_KTIERD, NULL);
	count_moved(move, dst.nr_pages);

	list_for_each_entry(folio, list, lru)
		count_stay(move, allowed ? why_left(folio, &dst) :
					   KTIERD_CPUSET,
			   folio_nr_pages(folio));
	putback_movable_pages(list);
}

/* No lock is held. */
static void move_batch(struct ktierd_walk *walk)
{
	struct ktierd_move *move = container_of(walk, struct ktierd_move, walk);
	int nid;

	if (move->batch) {
		for_each_node_state(nid, N_POSSIBLE) {
			move_list(move, &isolated[nid].small, nid);
			move_list(move, &isolated[nid].large, nid);
		}
		move->batch = 0;
	}
	if (!READ_ONCE(ktierd_tunables.migrate_mbps))
		move->quota->pages = 0;
}

static bool move_enter(struct ktierd_walk *walk, struct vm_area_struct *vma)
{
	struct ktierd_move *move = container_of(walk, struct ktierd_move, walk);

	if (!move->quota->pages || !ktierd_walk_limits(walk, vma))
		return false;
	memset(targets, 0, sizeof(*targets) * nr_node_ids);
	return true;
}

/* Shared memory may have a policy for each range of the file. */
static bool policy_by_page(struct vm_area_struct *vma)
{
	return vma->vm_ops && vma->vm_ops->get_policy;
}

static enum ktierd_fail find_target(struct ktierd_move *move,
				    struct vm_area_struct *vma,
				    unsigned long addr, int nid)
{
	const nodemask_t *top = &move->walk.round->top;
	const struct ktierd_limits *limits = &move->walk.vma;

	if (policy_by_page(vma))
		ktierd_vma_limits(vma, addr, &move->walk.owner,
				  &move->walk.vma);
	else if (targets[nid].known)
		return targets[nid].why;

	if (move->promote)
		targets[nid].why = ktierd_promotion_target(nid, top, limits,
							   &targets[nid].nid);
	else
		targets[nid].why = ktierd_demotion_target(nid, top, limits,
							  &targets[nid].nid);
	targets[nid].known = true;
	return targets[nid].why;
}

static enum ktierd_fail isolate(struct ktierd_move *move, struct folio *folio,
				struct vm_area_struct *vma, unsigned long addr,
				bool whole)
{
	int nid = folio_nid(folio);
	struct list_head *list;
	enum ktierd_fail why;

	if (!whole)
		return KTIERD_PARTIAL;
	why = ktierd_folio_movable(folio);
	if (why == KTIERD_MOVABLE)
		why = find_target(move, vma, addr, nid);
	if (why != KTIERD_MOVABLE)
		return why;

	list = folio_test_large(folio) ? &isolated[targets[nid].nid].large :
					 &isolated[targets[nid].nid].small;
	if (!isolate_folio_to_list(folio, list))
		return KTIERD_BUSY;
	/* Not to the youngest generation over there. */
	if (!move->promote)
		folio_clear_active(folio);
	return KTIERD_MOVABLE;
}

static bool wanted(const struct ktierd_move *move, unsigned int level)
{
	return move->promote ? ktierd_quota_wants_hot(move->quota, level) :
			       ktierd_quota_wants_cold(move->quota, level);
}

/*
 * Isolate a folio if it is to move.
 * @heat: histories of the @nr pages of it that are mapped here
 */
static void consider(struct ktierd_move *move, struct folio *folio,
		     struct vm_area_struct *vma, unsigned long addr,
		     struct ktierd_heat *heat, unsigned int nr, bool whole)
{
	const struct ktierd_round *round = move->walk.round;
	bool top = node_isset(folio_nid(folio), round->top);
	unsigned int nr_pages = whole ? folio_nr_pages(folio) : nr;
	unsigned int i, level = 0;
	enum ktierd_fail why;

	if (top == move->promote)
		return;
	for (i = 0; i < nr; i++)
		level = max(level, ktierd_heat_level(&heat[i],
						     round->cold_ticks));
	if (!wanted(move, level))
		return;

	why = isolate(move, folio, vma, addr, whole);
	if (why != KTIERD_MOVABLE) {
		count_stay(move, why, nr_pages);
		return;
	}
	ktierd_quota_take(move->quota, level, nr_pages);
	if (!move->promote)
		for (i = 0; i < nr; i++)
			ktierd_heat_demoted(&heat[i]);
	move->batch += nr_pages;
	if (move->batch >= KTIERD_BATCH_PAGES)
		move->walk.stop = true;
}

static unsigned int consider_pte(struct ktierd_move *move,
				 struct vm_area_struct *vma, unsigned long addr,
				 pte_t *pte, unsigned int max_nr,
				 struct ktierd_heat *heat)
{
	const fpb_t fpb_flags = FPB_IGNORE_DIRTY | FPB_IGNORE_SOFT_DIRTY;
	pte_t ptent = ptep_get(pte);
	unsigned int nr = 1;
	struct folio *folio;

	folio = ktierd_pte_folio(vma, addr, ptent);
	if (!folio)
		return 1;
	if (folio_test_large(folio))
		nr = folio_pte_batch(folio, addr, pte, ptent, max_nr, fpb_flags,
				     NULL, NULL, NULL);
	consider(move, folio, vma, addr, heat, nr,
		 nr == folio_nr_pages(folio));
	return nr;
}

/* Has the block anything that would go in this direction? */
static bool block_wanted(const struct ktierd_move *move,
			 const struct ktierd_block *block)
{
	if (!block || block->read != move->walk.round->nr)
		return false;
	if (move->promote)
		return block->hottest_low >= 0 &&
		       wanted(move, block->hottest_low);
	return block->coldest_top < KTIERD_LEVELS &&
	       wanted(move, block->coldest_top);
}

static void move_pmd(struct ktierd_walk *walk, struct vm_area_struct *vma,
		     pmd_t *pmd, unsigned long addr, unsigned long end,
		     enum page_walk_action *action)
{
	struct ktierd_move *move = container_of(walk, struct ktierd_move, walk);
	struct ktierd_block *block = ktierd_history_find(walk->slot, addr);
	struct folio *folio;
	unsigned int i, nr;
	pte_t *start, *pte;
	spinlock_t *ptl;	/* of the table */

	if (!block_wanted(move, block))
		return;

	ptl = pmd_trans_huge_lock(pmd, vma);
	if (ptl) {
		__acquire(ptl);	/* which sparse can't see */
		folio = ktierd_pmd_folio(vma, addr, *pmd);
		if (folio && block->nr == 1)
			consider(move, folio, vma, addr, block->heat, 1, true);
		spin_unlock(ptl);
		return;
	}
	if (block->nr == 1)	/* split since it was sampled */
		return;

	start = pte_offset_map_lock(vma->vm_mm, pmd, addr, &ptl);
	if (!start) {
		*action = ACTION_AGAIN;
		return;
	}
	__acquire(ptl);
	for (pte = start; addr != end; pte += nr, addr += nr * PAGE_SIZE) {
		i = pte_index(addr);
		nr = consider_pte(move, vma, addr, pte,
				  (end - addr) >> PAGE_SHIFT, &block->heat[i]);
	}
	pte_unmap_unlock(start, ptl);
}

static void move_process(struct ktierd_slot *slot,
			 const struct ktierd_round *round,
			 struct ktierd_quota *quota, bool promote)
{
	struct ktierd_pace *pace = promote ? &slot->promote : &slot->demote;
	struct ktierd_move move = {
		.walk = {
			.slot		= slot,
			.round		= round,
			.pmd		= move_pmd,
			.enter		= move_enter,
			.unlocked	= move_batch,
		},
		.quota		= quota,
		.promote	= promote,
	};

	if (!quota->pages)
		return;
	if (pace->rest) {
		pace->rest--;
		return;
	}
	ktierd_walk_mm(&move.walk);

	if (move.failed > move.moved) {
		pace->backoff = clamp(pace->backoff * 2, 1U, KTIERD_BACKOFF_MAX);
		pace->rest = pace->backoff;
	} else if (move.moved) {
		pace->backoff = 0;
	}
}

/**
 * ktierd_migrate_demote() - move pages of a process down
 * @slot: the process
 * @round: the round that has sampled it
 * @quota: what is to be moved, and afterwards what is left of it
 */
void ktierd_migrate_demote(struct ktierd_slot *slot,
			   const struct ktierd_round *round,
			   struct ktierd_quota *quota)
{
	move_process(slot, round, quota, false);
}

/**
 * ktierd_migrate_promote() - move pages of a process up
 * @slot: the process
 * @round: the round that has sampled it
 * @quota: what is to be moved, and afterwards what is left of it
 */
void ktierd_migrate_promote(struct ktierd_slot *slot,
			    const struct ktierd_round *round,
			    struct ktierd_quota *quota)
{
	move_process(slot, round, quota, true);
}

/**
 * ktierd_migrate_init() - get memory for what is kept by node
 *
 * Return: 0, or -ENOMEM.
 */
int __init ktierd_migrate_init(void)
{
	int nid;

	isolated = kcalloc(nr_node_ids, sizeof(*isolated), GFP_KERNEL);
	targets = kcalloc(nr_node_ids, sizeof(*targets), GFP_KERNEL);
	if (!isolated || !targets)
		return -ENOMEM;
	for (nid = 0; nid < nr_node_ids; nid++) {
		INIT_LIST_HEAD(&isolated[nid].small);
		INIT_LIST_HEAD(&isolated[nid].large);
	}
	return 0;
}
