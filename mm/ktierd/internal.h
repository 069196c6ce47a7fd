/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_KTIERD_INTERNAL_H
#define _MM_KTIERD_INTERNAL_H
/*
 * What the rooms of ktierd know of each other:
 *
 *	ktierd.c	the thread: rounds, windows, intervals
 *	registry.c	which processes are registered
 *	walk.c		the walk over marked VMAs
 *	look.c		a look at one page table: accessed and dirty bits
 *	sample.c	the two walks: histories brought up to date
 *	census.c	what the reading walk found, counted
 *	history.c	where the histories of pages are kept
 *	heat.c		what a history says; pure
 *	policy.c	who belongs in the top tier; pure
 *	eligible.c	which VMAs, folios and nodes are allowed
 *	room.c		what is free on nodes, and how much of it may be taken
 *	share.c		pages that several processes map
 *	migrate.c	isolate, batch, move, put back, count why not
 *	sysfs.c		/sys/kernel/mm/ktierd
 *	proc.c		/proc/PID/ktierd_stat
 */

#include <linux/bitmap.h>
#include <linux/ktierd.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/pagewalk.h>
#include <linux/sched/clock.h>
#include <linux/tracepoint-defs.h>
#include <linux/vm_event_item.h>
#include <linux/xarray.h>

#include "../mm_slot.h"
#include "heat.h"
#include "policy.h"

/* Pages of one page table, the unit of walks and of histories. */
#define KTIERD_BLOCK_PAGES	PTRS_PER_PTE
#define KTIERD_GROUPS		(KTIERD_BLOCK_PAGES / KTIERD_GROUP_PAGES)

/**
 * enum ktierd_shape - what a block has histories of
 * @KTIERD_SMALL: each page of a page table
 * @KTIERD_HUGE: one huge page, as page 0 of its only group
 * @KTIERD_IDLE: none: all pages are alike and have not been used for a while
 */
enum ktierd_shape {
	KTIERD_SMALL,
	KTIERD_HUGE,
	KTIERD_IDLE,
};

/* A block whose pages lie on more nodes than this can't be summed up. */
#define KTIERD_SUM_NODES	4

/**
 * struct ktierd_sum - what was found below a PMD
 * @top: pages in the top tier that can move
 * @low: pages in lower tiers that can move
 * @node: present pages by node, until one with none
 */
struct ktierd_sum {
	u16 top;
	u16 low;
	struct {
		s16 nid;
		u16 nr;
	} node[KTIERD_SUM_NODES];
};

/**
 * struct ktierd_group - a group of pages of a block
 * @heat: their histories
 * @top: which of them are in the top tier, as far as is known: when they were
 *	last looked at, or moved
 */
struct ktierd_group {
	struct ktierd_heat heat;
	u64 top;
};

/**
 * struct ktierd_block - histories of the pages below one PMD
 * @tick: tick of the last clearing walk
 * @tick_ms: length of the ticks that idleness is counted in
 * @cleared: round of the last clearing walk
 * @read: round of the last reading walk
 * @epoch: pages that are noted as moved were so in this epoch
 * @batch: the last batch of moves that had some of its pages
 * @levels_top: a bit for each level that there may be in the top tier
 * @levels_low: the same for lower tiers
 * @ticks: ticks between the last two clearing walks that came here
 * @idle: ticks for which all pages have been idle, if it is KTIERD_IDLE
 * @windows: windows that it was in, up to 255
 * @shape: an enum ktierd_shape
 * @quiet: the clearing walk found the accessed bit of the PMD clear
 * @light: the last clearing walk took a light look
 * @dirty: it asked for dirty bits, too
 * @unclean: and left some that must not be cleared
 * @stale: @sum and @top of groups are not true any more, or not complete
 * @shared: some of its pages are mapped by others, too, who have all asked
 * @used: the reading walk found the huge page used; what a secondary MMU knew of
 *	that is cleared with it, and the next clearing walk does not see it
 * @sum: what is there, when it was last looked at
 * @group: KTIERD_GROUPS groups, one, or none, by the shape
 */
struct ktierd_block {
	u32 tick;
	u32 tick_ms;
	u32 cleared;
	u32 read;
	u32 epoch;
	u32 batch;
	u32 levels_top;
	u32 levels_low;
	u8 ticks;
	u8 idle;
	u8 windows;
	u8 shape;
	bool quiet;
	bool light;
	bool dirty;
	bool unclean;
	bool stale;
	bool shared;
	bool used;
	struct ktierd_sum sum;
	struct ktierd_group group[];
};

static inline unsigned int ktierd_block_groups(const struct ktierd_block *block)
{
	return block->shape == KTIERD_SMALL ? KTIERD_GROUPS :
	       block->shape == KTIERD_HUGE;
}

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

/**
 * struct ktierd_tally - pages of a process in one of the tiers
 * @found: those that the round has met so far
 * @seen: those whose heat was looked at, as many as they stand for
 * @hot: those of @seen that are hot
 * @cold: those of @seen that are cold
 * @pages: those that the last whole round has met
 * @hot_pages: about how many of @pages are hot
 * @cold_pages: about how many of them are cold
 */
struct ktierd_tally {
	u64 found;
	u64 seen;
	u64 hot;
	u64 cold;
	u64 pages;
	u64 hot_pages;
	u64 cold_pages;
};

/**
 * struct ktierd_stat - what is told of a process
 * @top: its pages in the top tier
 * @low: those in lower tiers
 * @young: pages that were touched in the windows
 * @dirty: those that were written, as far as that was looked at
 * @promoted: pages that were moved up
 * @demoted: and down
 * @returned: those of both that were moved back soon
 * @failed: pages that should have moved and stayed
 *
 * Written by the thread only; others copy it.
 */
struct ktierd_stat {
	struct ktierd_tally top;
	struct ktierd_tally low;
	u64 young;
	u64 dirty;
	u64 promoted;
	u64 demoted;
	u64 returned;
	u64 failed[KTIERD_NR_FAILS];
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
 * @budget: what it shares with other processes
 * @leaves: where history.c has the blocks; the thread's own
 * @leaf: the one that was asked for last
 * @leaf_index: which one that is
 * @nr_blocks: how many blocks there are
 * @nr_met: how many of them the clearing walks of the round have met
 * @exiting: the mm is on its way out and the thread has to free the slot
 * @forked: it has a child, so that pages are shared that were not
 * @round: round of the last visit
 * @from: the slice that is being sampled begins here
 * @next: and ends here; the next one begins there
 * @sliced: the slice that is being sampled has a part of this process
 * @cleared: round of the last complete clearing walk
 * @marked: the last clearing walk met a marked VMA
 * @busy: its mmap_lock was waited for and not to be had
 * @stuck: so it was the last time, and has not been had since
 * @missed: not all of it was read in this round
 * @waited_us: how long its mmap_lock was waited for in this round
 * @fed: how often memory for its blocks was waited for in this round
 * @nr_asked: how many mappings of others were asked for their limits
 * @doubt: for so many more visits, pages may not be where they were
 * @rss: pages it had at most, since that was so
 * @cleaned: tables with dirty bits that were cleared since the last flush
 * @present: pages that the walk has found
 * @young: those of them with the accessed bit set
 * @written: those with the dirty bit set
 * @demote: how moving down goes
 * @promote: how moving up goes
 * @stat: what is told of it
 *
 * @slot and @exiting are protected by the registry's lock, under which @forked is
 * set; all else belongs to the thread.  The slot holds a reference on mm_count,
 * never on mm_users.
 */
struct ktierd_slot {
	struct mm_slot slot;
	struct ktierd_budget *budget;
	struct xarray leaves;
	struct ktierd_leaf *leaf;
	unsigned long leaf_index;
	unsigned long nr_blocks;
	unsigned long nr_met;
	bool exiting;
	bool forked;
	bool marked;
	bool busy;
	bool stuck;
	bool missed;
	u8 doubt;
	bool sliced;
	u32 round;
	u32 cleared;
	unsigned long from;
	unsigned long next;
	unsigned long rss;
	unsigned int cleaned;
	unsigned int waited_us;
	unsigned int fed;
	unsigned long nr_asked;
	u64 present;
	u64 young;
	u64 written;
	struct ktierd_pace demote;
	struct ktierd_pace promote;
	struct ktierd_stat stat;
};

/**
 * struct ktierd_round - one visit to all marked memory
 * @nr: number of the round, never 0
 * @tick: number of the tick; idleness is counted in these
 * @tick_ms: length of a tick
 * @cold_ticks: idle for this many ticks is cold; 0: nothing is
 * @window_us: length of the sample window
 * @epoch: number of the epoch; what was moved is noted for about one
 * @write_weight: how many reads a write is worth; 0: dirty bits are left alone
 * @dirty: all tables are asked for dirty bits
 * @shift: how fast to learn
 * @slice_end_ns: the clearing walks of a slice take until then
 * @late: the window was far longer than it was to be, and tells nothing
 * @reclaim: somebody has reclaimed since the last round
 * @others: somebody else has moved many pages
 * @rested: the interval is much longer than a window
 * @stable: the placement is about what it should be
 * @watch: every so many blocks are watched for what their pages are worth, and
 *	counted for all of them
 * @top: the top-tier nodes
 */
struct ktierd_round {
	u32 nr;
	u32 tick;
	u32 epoch;
	unsigned int write_weight;
	bool dirty;
	unsigned int shift;
	u64 slice_end_ns;
	bool late;
	bool reclaim;
	bool others;
	bool rested;
	bool stable;
	unsigned int watch;
	unsigned int tick_ms;
	unsigned int cold_ticks;
	unsigned int window_us;
	nodemask_t top;
};

/*
 * The folio behind a present entry, if ktierd has a say in it: not the zero
 * page, nor device memory.  The page-table lock is held.  What is not special
 * has a struct page, so that there is no need to ask vm_normal_page().
 */
static inline struct folio *ktierd_pte_folio(struct vm_area_struct *vma,
					     unsigned long addr, pte_t pte)
{
	struct folio *folio;

	if (IS_ENABLED(CONFIG_ARCH_HAS_PTE_SPECIAL) && likely(!pte_special(pte)))
		folio = pfn_folio(pte_pfn(pte));
	else
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

/**
 * struct ktierd_barred - what keeps all pages of a VMA from changing tiers
 * @up: why they can't go up; KTIERD_MOVABLE if they can
 * @down: the same for down
 * @shared_up: why those can't go up that others map, too
 * @shared_down: the same for down
 */
struct ktierd_barred {
	enum ktierd_fail up;
	enum ktierd_fail down;
	enum ktierd_fail shared_up;
	enum ktierd_fail shared_down;
};

/**
 * enum ktierd_asked - have all asked for tiering who may map pages of a VMA?
 * @KTIERD_ALL_ASKED: yes
 * @KTIERD_NOT_ASKED: no, or they are too many
 * @KTIERD_ASK_LATER: that can't be told now
 */
enum ktierd_asked {
	KTIERD_ALL_ASKED,
	KTIERD_NOT_ASKED,
	KTIERD_ASK_LATER,
};

/**
 * struct ktierd_shared - pages of a table that others map, too
 * @pages: which; any of the table as long as that is not known
 * @top: those in the top tier
 * @levels: how hot they are in the others' use; of a huge page the first
 */
struct ktierd_shared {
	u64 pages[KTIERD_GROUPS];
	u64 top[KTIERD_GROUPS];
	struct ktierd_levels levels[KTIERD_GROUPS];
};

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
 * @next: address at which the walk begins, and goes on
 * @end: address at which it ends
 * @stop: let go of mmap_lock at the end of this PMD
 * @enough: and do not go on after that
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
	unsigned long end;
	bool stop;
	bool enough;
	bool marked;
	bool owner_known;
	struct ktierd_limits owner;
	struct ktierd_limits vma;
};

/* A bit a page of a block. */
struct ktierd_pages {
	u64 word[KTIERD_GROUPS];
};

/**
 * struct ktierd_look - what is below a PMD
 * @vma: the VMA
 * @addr: first address
 * @end: end of the last page
 * @clear: clear bits, else only read them
 * @light: leave out what needs the folio of every page: @movable, @why and @on;
 *	and @owed, unless @reclaim
 * @dirty: ask for dirty bits too
 * @reclaim: reclaim is at work, and wants to know what was used
 * @asked: all who may map pages of the VMA have asked for tiering
 * @owed: pages that were used, and reclaim was not told
 * @notify: there may be secondary MMUs, which have to be asked
 * @nonleaf: the accessed bit of the PMD tells something
 * @writes: dirty bits are asked for, and tell something
 * @quiet: the accessed bit of the PMD, which points to a table, is clear
 * @cleaned: dirty bits were cleared, and the TLB is not flushed yet
 * @unclean: there are dirty bits that must not be cleared
 * @swapped: some are not there, but will come back; of a clearing look
 * @present: pages that are there
 * @young: those with the accessed bit set; of a huge page bit 0, as below
 * @written: those with a dirty bit that means written since the last clearing
 * @movable: those that can move, as far as the folio is concerned
 * @why: why those can't that can't
 * @shared: those that others map as well; only if @asked
 * @elsewhere: those of them that are to be counted with another process
 * @sharers: of a huge page: as many count a part of it each
 * @on: pages by node; this, @written, @movable and @shared of a reading look only
 *
 * Of a light look @written has what has a dirty bit, even if it is @unclean.
 */
struct ktierd_look {
	struct vm_area_struct *vma;
	unsigned long addr;
	unsigned long end;
	bool clear;
	bool light;
	bool dirty;
	bool reclaim;
	bool asked;
	u64 owed[KTIERD_GROUPS];
	bool notify;
	bool nonleaf;
	bool writes;
	bool quiet;
	bool cleaned;
	bool unclean;
	bool swapped;
	u64 present[KTIERD_GROUPS];
	u64 young[KTIERD_GROUPS];
	u64 written[KTIERD_GROUPS];
	u64 movable[KTIERD_GROUPS];
	u64 shared[KTIERD_GROUPS];
	u64 elsewhere[KTIERD_GROUPS];
	unsigned int sharers;
	s8 why[KTIERD_BLOCK_PAGES];
	struct ktierd_pages *on;
};

/* Both looks at a block asked for dirty bits, and these tell something. */
static inline bool ktierd_writes_known(const struct ktierd_block *block,
				       const struct ktierd_look *look)
{
	return block->dirty && look->writes;
}

DECLARE_TRACEPOINT(held);

/* When a page-table lock was taken; 0 if nobody wants to know. */
static inline u64 ktierd_held_since(void)
{
	return tracepoint_enabled(held) ? local_clock() : 0;
}

/* ktierd.c */
u64 ktierd_nr_events(enum vm_event_item item);
void ktierd_arrived(void);
u32 ktierd_round_nr(void);
struct ktierd_budget *ktierd_budget(void);
void ktierd_trace_held(struct mm_struct *mm, u8 work, bool pmd,
		       unsigned int entries, u64 since);
bool ktierd_enabled(void);
void ktierd_set_enabled(bool on);
u64 ktierd_nr_rounds(void);
u64 ktierd_scan_ns(void);
unsigned int ktierd_window_us(void);
unsigned int ktierd_interval_ms(void);
unsigned int ktierd_hot_level(void);

/* registry.c */
bool ktierd_slot_alive(struct ktierd_slot *slot);
struct ktierd_slot *ktierd_next_slot(struct ktierd_slot *slot);
void ktierd_slots_lock(void);
void ktierd_slots_unlock(void);
struct ktierd_slot *ktierd_slot_find(struct mm_struct *mm);
pid_t ktierd_mm_pid(struct mm_struct *mm);
pid_t ktierd_slot_pid(struct ktierd_slot *slot);
unsigned int ktierd_nr_processes(void);
int ktierd_registry_init(void);

/* The mmap_lock of a process is waited for this long in a round. */
#define KTIERD_LOCK_WAIT_US	(100 * USEC_PER_MSEC)

/* walk.c */
int ktierd_walk_mm(struct ktierd_walk *walk);
bool ktierd_walk_limits(struct ktierd_walk *walk, struct vm_area_struct *vma);

/* sample.c */
int ktierd_sample_clear(struct ktierd_slot *slot,
			const struct ktierd_round *round);
int ktierd_sample_read(struct ktierd_slot *slot,
		       const struct ktierd_round *round);
u64 ktierd_pages_scanned(void);
u64 ktierd_pages_young(void);
u64 ktierd_pages_dirty(void);
int ktierd_sample_init(void);

/* census.c */
void ktierd_census_begin(void);
void ktierd_census_watch(struct ktierd_walk *walk,
			 const struct ktierd_block *block,
			 const struct ktierd_look *look);
void ktierd_census_count(struct ktierd_walk *walk, struct ktierd_block *block,
			 const struct ktierd_look *look,
			 const struct ktierd_barred *barred, bool count,
			 unsigned int weight);
void ktierd_census_sleeping(struct ktierd_walk *walk,
			    struct ktierd_block *block,
			    const struct ktierd_barred *barred);
void ktierd_census_tally(struct ktierd_slot *slot);
void ktierd_census_end(struct ktierd_census *census);
void ktierd_census_forget(void);
u64 ktierd_node_pages(int nid);
u64 ktierd_node_hot(int nid);
u64 ktierd_node_cold(int nid);
int ktierd_census_init(void);

/* look.c */
bool ktierd_look_nonleaf(struct vm_area_struct *vma);
unsigned int ktierd_look(struct ktierd_look *look, pmd_t *pmd);
int ktierd_look_init(struct ktierd_look *look);

/* history.c */
struct ktierd_block *ktierd_history_find(struct ktierd_slot *slot,
					 unsigned long addr);
struct ktierd_block *ktierd_history_get(struct ktierd_slot *slot,
					unsigned long addr,
					enum ktierd_shape shape, gfp_t gfp);
void ktierd_history_sweep(struct ktierd_slot *slot, u32 round);
void ktierd_history_moved(struct ktierd_block *block, unsigned int i, int from,
			  int to, bool up);
void ktierd_history_stale(struct ktierd_slot *slot, unsigned long from,
			  unsigned long to, u32 batch);
void ktierd_history_free(struct ktierd_slot *slot);
int ktierd_history_init(void);

/* eligible.c */
bool ktierd_vma_tierable(struct vm_area_struct *vma);
bool ktierd_vma_wanted(struct vm_area_struct *vma);
bool ktierd_owner_limits(struct mm_struct *mm, struct ktierd_limits *limits);
bool ktierd_policy_by_page(struct vm_area_struct *vma);
bool ktierd_vma_limits(struct vm_area_struct *vma, unsigned long addr,
		       const struct ktierd_limits *owner,
		       struct ktierd_limits *limits);
bool ktierd_owner_allows(struct mm_struct *mm, int nid);
enum ktierd_fail ktierd_allowed(nodemask_t *nodes,
				const struct ktierd_limits *limits);
enum ktierd_fail ktierd_folio_movable(struct folio *folio, bool asked);
bool ktierd_dirty_known(struct vm_area_struct *vma, struct folio *folio);
enum ktierd_fail ktierd_demotion_target(int nid, const nodemask_t *top,
					const struct ktierd_limits *limits,
					int *target);
enum ktierd_fail ktierd_promotion_target(int nid, const nodemask_t *top,
					 const struct ktierd_limits *limits,
					 const nodemask_t *roomy, int *target);
bool ktierd_cpusets_move_all(void);
bool ktierd_tiers(nodemask_t *top);

/* room.c */
u64 ktierd_node_room(int nid);
u64 ktierd_node_free_about(int nid);
bool ktierd_node_takes(int nid);
void ktierd_top_room(const nodemask_t *top, struct ktierd_census *census);
void ktierd_top_make_room(const nodemask_t *top, bool lacks);

/* share.c */
enum ktierd_asked ktierd_share_learn(struct ktierd_walk *walk,
				     struct vm_area_struct *vma);
enum ktierd_asked ktierd_share_asked(void);
void ktierd_share_begin(struct ktierd_slot *slot);
void ktierd_share_again(struct ktierd_slot *slot);
void ktierd_share_limits(struct ktierd_limits *its, bool policy);
unsigned int ktierd_share_mapped(struct folio *folio);
bool ktierd_share_elsewhere(struct mm_struct *mm, struct folio *folio);
void ktierd_share_levels(struct ktierd_shared *shared, unsigned long addr,
			 bool huge, unsigned int cold_ticks);
void ktierd_share_moved(unsigned long addr, const u64 *moved, u64 *before,
			bool huge);

/* migrate.c */
void ktierd_migrate_demote(struct ktierd_slot *slot,
			   const struct ktierd_round *round);
void ktierd_migrate_promote(struct ktierd_slot *slot,
			    const struct ktierd_round *round);
u64 ktierd_migrate_ns(void);
bool ktierd_huge_lacked(void);
void ktierd_count_fail(struct ktierd_slot *slot, enum ktierd_fail why,
		       u64 nr_pages);
u64 ktierd_pages_promoted(void);
u64 ktierd_pages_demoted(void);
u64 ktierd_pages_returned(void);
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
