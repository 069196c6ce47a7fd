/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_KTIERD_INTERNAL_H
#define _MM_KTIERD_INTERNAL_H
/*
 * What the rooms of ktierd know of each other:
 *
 *	ktierd.c	the thread, and who is registered
 *	sample.c	the walk; reads and clears accessed bits
 *	history.c	where the histories of pages are kept
 *	heat.c		what a history says; pure
 *	policy.c	who belongs in the top tier; pure
 *	eligible.c	which VMAs, folios and nodes are allowed
 *	migrate.c	isolate, batch, move, put back, count why not
 *	sysfs.c		/sys/kernel/mm/ktierd
 */

#include <linux/bitmap.h>
#include <linux/ktierd.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/pagewalk.h>
#include <linux/xarray.h>

#include "../mm_slot.h"
#include "heat.h"
#include "policy.h"

/* Pages of one page table, the unit of walks and of histories. */
#define KTIERD_BLOCK_PAGES	PTRS_PER_PTE

/**
 * struct ktierd_block - histories of the pages below one PMD
 * @ticks: ticks between the last two clearing walks that came here
 * @tick: tick of the last clearing walk
 * @tick_ms: length of the ticks that idleness is counted in
 * @cleared: round of the last clearing walk
 * @read: round of the last reading walk
 * @coldest_top: level of the coldest page that the reading walk found in the
 *	top tier, KTIERD_LEVELS if it found none there
 * @hottest_low: level of the hottest page in a lower tier, -1 if none
 * @nr: 1 for a huge page, else KTIERD_BLOCK_PAGES
 * @heat: a history a page
 */
struct ktierd_block {
	u32 tick;
	u32 tick_ms;
	u32 cleared;
	u32 read;
	u8 ticks;
	s8 coldest_top;
	s8 hottest_low;
	u16 nr;
	struct ktierd_heat heat[] __counted_by(nr);
};

/**
 * struct ktierd_pace - how moving in one direction goes for a process
 * @backoff: rounds to let pass after one that mostly failed
 * @rest: rounds still to let pass
 */
struct ktierd_pace {
	unsigned int backoff;
	unsigned int rest;
};

/**
 * struct ktierd_slot - a registered process
 * @slot: link from mm to slot, and in the list; must be first
 * @blocks: struct ktierd_block by address >> PMD_SHIFT; the thread's own
 * @exiting: the mm is on its way out and the thread has to free the slot
 * @cleared: round of the last complete clearing walk
 * @marked: the last clearing walk met a marked VMA
 * @busy: its mmap_lock was not to be had
 * @demote: how moving down goes
 * @promote: how moving up goes
 *
 * @slot and @exiting are protected by the registry's lock, all else belongs to
 * the thread.  The slot holds a reference on mm_count, never on mm_users.
 */
struct ktierd_slot {
	struct mm_slot slot;
	struct xarray blocks;
	bool exiting;
	bool marked;
	bool busy;
	u32 cleared;
	struct ktierd_pace demote;
	struct ktierd_pace promote;
};

/**
 * struct ktierd_round - one visit to all marked memory
 * @nr: number of the round, never 0
 * @tick: number of the tick; idleness is counted in these
 * @tick_ms: length of a tick
 * @cold_ticks: idle for this many ticks is cold; 0: nothing is
 * @window_us: length of the sample window
 * @top: the top-tier nodes
 */
struct ktierd_round {
	u32 nr;
	u32 tick;
	unsigned int tick_ms;
	unsigned int cold_ticks;
	unsigned int window_us;
	nodemask_t top;
};

/*
 * Why a page that should move stayed.  The names of these are the files in
 * failed/ and the rows in the manual.
 */
enum ktierd_fail {
	KTIERD_MOVABLE = -1,	/* no reason */
	KTIERD_BUSY,		/* off the LRU, or somebody holds a reference */
	KTIERD_PINNED,		/* pinned for DMA */
	KTIERD_SHARED,		/* mapped by another process, or by KSM */
	KTIERD_LOCKED,		/* folio lock or writeback */
	KTIERD_POLICY,		/* memory policy allows no node over there */
	KTIERD_CPUSET,		/* cpuset allows no node over there */
	KTIERD_NO_ROOM,		/* no free page at the target */
	KTIERD_HUGE_NO_ROOM,	/* no free huge page at the target */
	KTIERD_RATE,		/* over the rate limit */
	KTIERD_LAZYFREE,	/* MADV_FREE: about to be discarded */
	KTIERD_DIRTY,		/* page cache that has to be written first */
	KTIERD_PARTIAL,		/* large folio, only a part of it mapped here */
	KTIERD_NR_FAILS,
};

/*
 * The folio behind an entry, if ktierd has a say in it: not the zero page, nor
 * device memory. The page-table lock is held.
 */
static inline struct folio *ktierd_pte_folio(struct vm_area_struct *vma,
					     unsigned long addr, pte_t pte)
{
	struct folio *folio = NULL;

	if (pte_present(pte))
		folio = vm_normal_folio(vma, addr, pte);
	return folio && !folio_is_zone_device(folio) ? folio : NULL;
}

static inline struct folio *ktierd_pmd_folio(struct vm_area_struct *vma,
					     unsigned long addr, pmd_t pmd)
{
	if (!pmd_present(pmd) || !pmd_trans_huge(pmd))
		return NULL;
	return vm_normal_folio_pmd(vma, addr, pmd);
}

extern const char * const ktierd_fail_names[KTIERD_NR_FAILS];

/**
 * struct ktierd_limits - where the owner of a process lets its memory live
 * @cpuset: nodes of the owner's cpuset
 * @policy: nodes that the mempolicy of the VMA, or else the owner's, allows
 */
struct ktierd_limits {
	nodemask_t cpuset;
	nodemask_t policy;
};

/**
 * struct ktierd_walk - a walk over the marked VMAs of a process
 * @slot: the process
 * @round: the round it is part of
 * @pmd: called for each PMD with something below, mmap_lock held for reading;
 *	sets @stop to make the walk drop its locks
 * @enter: called for each VMA before its PMDs, may be NULL; false skips it
 * @unlocked: called whenever the walk has dropped mmap_lock, may be NULL
 * @next: address at which the walk goes on
 * @stop: let go of mmap_lock at the end of this PMD
 * @marked: a marked VMA was met
 * @owner_known: @owner is valid; it is not when mmap_lock was let go of
 * @owner: limits of the owner of the process
 * @vma: limits of the VMA that the walk is in, if ktierd_walk_limits() was
 *	called for it
 */
struct ktierd_walk {
	struct ktierd_slot *slot;
	const struct ktierd_round *round;
	void (*pmd)(struct ktierd_walk *walk, struct vm_area_struct *vma,
		    pmd_t *pmd, unsigned long addr, unsigned long end,
		    enum page_walk_action *action);
	bool (*enter)(struct ktierd_walk *walk, struct vm_area_struct *vma);
	void (*unlocked)(struct ktierd_walk *walk);
	unsigned long next;
	bool stop;
	bool marked;
	bool owner_known;
	struct ktierd_limits owner;
	struct ktierd_limits vma;
};

/* ktierd.c */
bool ktierd_slot_alive(struct ktierd_slot *slot);
struct ktierd_slot *ktierd_next_slot(struct ktierd_slot *slot);
bool ktierd_enabled(void);
void ktierd_set_enabled(bool on);
unsigned int ktierd_nr_processes(void);
u64 ktierd_nr_rounds(void);
u64 ktierd_scan_ns(void);
u64 ktierd_migrate_ns(void);
unsigned int ktierd_window_us(void);
unsigned int ktierd_hot_level(void);

/* sample.c */
int ktierd_walk_mm(struct ktierd_walk *walk);
bool ktierd_walk_limits(struct ktierd_walk *walk, struct vm_area_struct *vma);
int ktierd_sample_clear(struct ktierd_slot *slot,
			const struct ktierd_round *round);
int ktierd_sample_read(struct ktierd_slot *slot,
		       const struct ktierd_round *round);
void ktierd_sample_begin(void);
u64 ktierd_sample_end(struct ktierd_census *census);
void ktierd_sample_forget(void);
u64 ktierd_pages_scanned(void);
u64 ktierd_pages_young(void);
u64 ktierd_node_pages(int nid, unsigned int from, unsigned int to);
int ktierd_sample_init(void);

/* history.c */
struct ktierd_block *ktierd_history_find(struct ktierd_slot *slot,
					 unsigned long addr);
struct ktierd_block *ktierd_history_get(struct ktierd_slot *slot,
					unsigned long addr, unsigned int nr,
					gfp_t gfp);
void ktierd_history_sweep(struct ktierd_slot *slot, u32 round);
void ktierd_history_free(struct ktierd_slot *slot);
int ktierd_history_init(void);

/* eligible.c */
bool ktierd_vma_tierable(struct vm_area_struct *vma);
bool ktierd_vma_wanted(struct vm_area_struct *vma);
bool ktierd_owner_limits(struct mm_struct *mm, struct ktierd_limits *limits);
void ktierd_vma_limits(struct vm_area_struct *vma, unsigned long addr,
		       const struct ktierd_limits *owner,
		       struct ktierd_limits *limits);
bool ktierd_owner_allows(struct mm_struct *mm, int nid);
enum ktierd_fail ktierd_allowed(nodemask_t *nodes,
				const struct ktierd_limits *limits);
enum ktierd_fail ktierd_folio_movable(struct folio *folio);
enum ktierd_fail ktierd_demotion_target(int nid, const nodemask_t *top,
					const struct ktierd_limits *limits,
					int *target);
enum ktierd_fail ktierd_promotion_target(int nid, const nodemask_t *top,
					 const struct ktierd_limits *limits,
					 int *target);
bool ktierd_node_has_room(int nid, unsigned int nr_pages);
void ktierd_top_room(const nodemask_t *top, u64 *room, u64 *shortfall);
bool ktierd_tiers(nodemask_t *top);

/* migrate.c */
void ktierd_migrate_demote(struct ktierd_slot *slot,
			   const struct ktierd_round *round,
			   struct ktierd_quota *quota);
void ktierd_migrate_promote(struct ktierd_slot *slot,
			    const struct ktierd_round *round,
			    struct ktierd_quota *quota);
void ktierd_count_fail(enum ktierd_fail why, u64 nr_pages);
u64 ktierd_pages_promoted(void);
u64 ktierd_pages_demoted(void);
u64 ktierd_pages_failed(enum ktierd_fail why);
int ktierd_migrate_init(void);

/* sysfs.c */
#ifdef CONFIG_SYSFS
int ktierd_sysfs_init(void);
#else
static inline int ktierd_sysfs_init(void)
{
	return 0;
}
#endif

#endif /* _MM_KTIERD_INTERNAL_H */
