// SPDX-License-Identifier: GPL-2.0
/*
 * Sampling: which pages of a process were touched.
 *
 * Each round walks the marked VMAs of a process twice.  The *clearing walk*
 * reads and clears the accessed bit of every page: set means used since the
 * clearing walk before, in the whole of the interval.  Then the TLB is flushed,
 * because the processor writes an accessed bit only when it loads a
 * translation: without it the hottest pages, which never leave the TLB, would
 * look idle.  The *reading walk*, one window later, reads the bit and leaves it
 * as it is: set means touched in the window.  As it leaves the bit, the next
 * clearing walk sees the window as well as the rest after it, and nothing that
 * was touched is ever missed.
 *
 * A walk takes mmap_lock for reading, and gives it back as soon as somebody
 * waits for it.  Under the page-table lock it only notes bits and nodes, of one
 * table; histories are brought up to date with that lock dropped.
 *
 * Reclaim reads the same bits.  For each one that is cleared here PG_young is
 * set, which it takes for the bit.
 */

#include <linux/delay.h>
#include <linux/freezer.h>
#include <linux/memcontrol.h>
#include <linux/mmu_notifier.h>
#include <linux/page_idle.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <asm/tlbflush.h>
#include <trace/events/ktierd.h>

#include "../internal.h"
#include "internal.h"

/* How long to sleep between tries for mmap_lock: at first, and at last. */
#define KTIERD_LOCK_MIN_US	50
#define KTIERD_LOCK_MAX_US	50000

/* Pages in a trace event, at most. Its text is twice as many digits, in 4 KiB. */
#define KTIERD_TRACE_PAGES	512U

/* What a walk found below one PMD; the thread's own. */
static struct {
	DECLARE_BITMAP(present, KTIERD_BLOCK_PAGES);
	DECLARE_BITMAP(young, KTIERD_BLOCK_PAGES);
	s16 nid[KTIERD_BLOCK_PAGES];
	s8 why[KTIERD_BLOCK_PAGES];	/* enum ktierd_fail */
	u8 level[KTIERD_BLOCK_PAGES];
} found;

/* What keeps pages of the VMA that the walk is in from going up, and down. */
static enum ktierd_fail why_not_up, why_not_down;

/*
 * Marked pages by node and level: being counted, and as the last round left
 * them; and those of each tier that can move.
 */
static u64 (*counting)[KTIERD_LEVELS];
static u64 (*counted)[KTIERD_LEVELS];
static struct ktierd_census movable;
static u64 touched;

static atomic64_t pages_scanned;
static atomic64_t pages_young;

static bool walk_should_stop(struct ktierd_walk *walk, struct mm_struct *mm)
{
	return walk->stop || need_resched() || mmap_lock_is_contended(mm);
}

static int walk_pmd(pmd_t *pmd, unsigned long addr, unsigned long end,
		    struct mm_walk *mm_walk)
{
	struct ktierd_walk *walk = mm_walk->private;

	walk->next = end;
	walk->pmd(walk, mm_walk->vma, pmd, addr, end, &mm_walk->action);
	if (mm_walk->action == ACTION_AGAIN)
		return 0;
	return walk_should_stop(walk, mm_walk->mm);
}

static int walk_hole(unsigned long addr, unsigned long next, int depth,
		     struct mm_walk *mm_walk)
{
	struct ktierd_walk *walk = mm_walk->private;

	walk->next = next;
	return walk_should_stop(walk, mm_walk->mm);
}

/* .pmd_entry alone: a walk with .pte_entry would split huge pages. */
static const struct mm_walk_ops walk_ops = {
	.pmd_entry	= walk_pmd,
	.pte_hole	= walk_hole,
	.walk_lock	= PGWALK_RDLOCK,
};

/*
 * Whoever holds mmap_lock for writing may wait for anything, a disk or a
 * server that does not answer; the thread has others to look after. So try for
 * a tenth of a second, and only once if that was in vain the last time.
 */
static bool lock_mm(struct ktierd_slot *slot)
{
	struct mm_struct *mm = slot->slot.mm;
	unsigned int us = slot->busy ? UINT_MAX : KTIERD_LOCK_MIN_US;

	while (!mmap_read_trylock(mm)) {
		slot->busy = us > KTIERD_LOCK_MAX_US;
		if (slot->busy)
			return false;
		usleep_range_state(us, us * 2, TASK_IDLE);
		us *= 2;
	}
	slot->busy = false;
	return true;
}

/* Walk until somebody wants the lock or the processor, or to the end. */
static int walk_some(struct ktierd_walk *walk, struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, walk->next);
	struct vm_area_struct *vma;
	int ret = 0;

	if (!lock_mm(walk->slot))
		return -EBUSY;
	if (!ktierd_slot_alive(walk->slot)) {
		mmap_read_unlock(mm);
		return -ESRCH;
	}
	walk->stop = false;
	walk->owner_known = false;
	for_each_vma(vmi, vma) {
		unsigned long start = max(vma->vm_start, walk->next);

		walk->marked |= !!(vma->vm_flags & VM_TIER);
		if (ktierd_vma_wanted(vma) &&
		    (!walk->enter || walk->enter(walk, vma)))
			ret = walk_page_range_vma(vma, start, vma->vm_end,
						  &walk_ops, walk);
		if (ret)
			break;
		walk->next = vma->vm_end;
		if (walk_should_stop(walk, mm)) {
			ret = 1;
			break;
		}
	}
	mmap_read_unlock(mm);
	return ret;
}

/**
 * ktierd_walk_mm() - visit every PMD of the marked VMAs of a process
 * @walk: whose, and what to do; @next and what follows is reset
 *
 * mmap_lock is taken for reading, and dropped between PMDs whenever somebody
 * waits for it or the walk was stopped.
 *
 * Return: 0 when all was visited, -ESRCH if the process goes away, -EBUSY if
 * its mmap_lock is not to be had, -EINTR if the thread was disabled meanwhile.
 */
int ktierd_walk_mm(struct ktierd_walk *walk)
{
	int ret;

	walk->next = 0;
	walk->marked = false;
	do {
		ret = walk_some(walk, walk->slot->slot.mm);
		if (walk->unlocked)
			walk->unlocked(walk);
		if (ret > 0 && !ktierd_enabled())
			ret = -EINTR;
		cond_resched();
		try_to_freeze();
	} while (ret > 0);
	return ret;
}

/**
 * ktierd_walk_limits() - learn where the pages of a VMA may live
 * @walk: the walk that is about to go into it; @vma is the answer
 * @vma: the VMA
 *
 * Return: false if that is not known, and the VMA is to be skipped.
 */
bool ktierd_walk_limits(struct ktierd_walk *walk, struct vm_area_struct *vma)
{
	if (!walk->owner_known)
		walk->owner_known = ktierd_owner_limits(vma->vm_mm,
							&walk->owner);
	if (walk->owner_known)
		ktierd_vma_limits(vma, vma->vm_start, &walk->owner, &walk->vma);
	return walk->owner_known;
}

/* Somebody else may ask for the bit that was just cleared. */
static void give_back_young(struct folio *folio)
{
	folio_clear_idle(folio);
	if (!folio_test_young(folio))
		folio_set_young(folio);
}

static void clear_huge(struct vm_area_struct *vma, unsigned long addr,
		       pmd_t *pmd)
{
	struct folio *folio = ktierd_pmd_folio(vma, addr & PMD_MASK, *pmd);

	if (!folio)
		return;
	__set_bit(0, found.present);
	if (pmdp_clear_young_notify(vma, addr & PMD_MASK, pmd)) {
		__set_bit(0, found.young);
		give_back_young(folio);
	}
}

static void clear_pte(struct vm_area_struct *vma, unsigned long addr,
		      pte_t *pte, unsigned int i)
{
	pte_t ptent = ptep_get(pte);
	struct folio *folio;

	if (!pte_present(ptent))
		return;
	__set_bit(i, found.present);
	if (!pte_young(ptent) && !mm_has_notifiers(vma->vm_mm))
		return;
	folio = ktierd_pte_folio(vma, addr, ptent);
	if (folio && ptep_clear_young_notify(vma, addr, pte)) {
		__set_bit(i, found.young);
		give_back_young(folio);
	}
}

static void note_folio(struct folio *folio, unsigned int i)
{
	__set_bit(i, found.present);
	found.nid[i] = folio_nid(folio);
	found.why[i] = ktierd_folio_movable(folio);
}

static void read_huge(struct vm_area_struct *vma, unsigned long addr,
		      pmd_t *pmd)
{
	struct folio *folio = ktierd_pmd_folio(vma, addr & PMD_MASK, *pmd);

	if (!folio)
		return;
	note_folio(folio, 0);
	/* Testing would ask about one address only, so clear. */
	if (mmu_notifier_clear_young(vma->vm_mm, addr & PMD_MASK,
				     (addr & PMD_MASK) + PMD_SIZE) ||
	    pmd_young(*pmd))
		__set_bit(0, found.young);
}

static void read_pte(struct vm_area_struct *vma, unsigned long addr,
		     pte_t *pte, unsigned int i)
{
	pte_t ptent = ptep_get(pte);
	struct folio *folio = ktierd_pte_folio(vma, addr, ptent);

	if (!folio)
		return;
	note_folio(folio, i);
	if (pte_young(ptent) || mmu_notifier_test_young(vma->vm_mm, addr))
		__set_bit(i, found.young);
}

/*
 * Note what is below a PMD, with its page-table lock held.
 *
 * Return: pages of the block, 1 for a huge page; 0 if the table is gone.
 */
static unsigned int look(struct vm_area_struct *vma, pmd_t *pmd,
			 unsigned long addr, unsigned long end, bool clear)
{
	unsigned int i = pte_index(addr);
	pte_t *start, *pte;
	spinlock_t *ptl;	/* of the table */

	bitmap_zero(found.present, KTIERD_BLOCK_PAGES);
	bitmap_zero(found.young, KTIERD_BLOCK_PAGES);

	ptl = pmd_trans_huge_lock(pmd, vma);
	if (ptl) {
		__acquire(ptl);	/* which sparse can't see */
		if (clear)
			clear_huge(vma, addr, pmd);
		else
			read_huge(vma, addr, pmd);
		spin_unlock(ptl);
		return 1;
	}

	start = pte_offset_map_lock(vma->vm_mm, pmd, addr, &ptl);
	if (!start)
		return 0;
	__acquire(ptl);
	for (pte = start; addr != end; pte++, addr += PAGE_SIZE, i++) {
		if (clear)
			clear_pte(vma, addr, pte, i);
		else
			read_pte(vma, addr, pte, i);
	}
	pte_unmap_unlock(start, ptl);
	return KTIERD_BLOCK_PAGES;
}

/*
 * A block in a walk: memory is only got here if that is quick, because
 * somebody may come to wait for mmap_lock.  Else the walk stops, and
 * clear_unlocked() gets it.
 */
static struct ktierd_block *walk_block(struct ktierd_walk *walk,
				       unsigned long addr, unsigned int nr)
{
	return ktierd_history_get(walk->slot, addr, nr,
				  GFP_NOWAIT | __GFP_NOWARN);
}

static void block_begin(struct ktierd_block *block,
			const struct ktierd_round *round)
{
	unsigned int i;

	if (block->cleared == round->nr)
		return;
	if (block->tick_ms != round->tick_ms)
		for (i = 0; i < block->nr; i++)
			ktierd_heat_rescale(&block->heat[i], block->tick_ms,
					    round->tick_ms);
	block->tick_ms = round->tick_ms;
	block->ticks = block->cleared ?
		       min(round->tick - block->tick, KTIERD_IDLE_MAX) : 0;
	block->tick = round->tick;
	block->cleared = round->nr;
}

/* Where a clearing walk found no memory for a block, and of which shape. */
static unsigned long starved_addr;
static unsigned int starved_nr;

static void clear_pmd(struct ktierd_walk *walk, struct vm_area_struct *vma,
		      pmd_t *pmd, unsigned long addr, unsigned long end,
		      enum page_walk_action *action)
{
	unsigned int nr, i = 0, last = 0;
	struct ktierd_block *block;

	nr = look(vma, pmd, addr, end, true);
	if (!nr) {
		*action = ACTION_AGAIN;
		return;
	}
	if (bitmap_empty(found.present, nr))
		return;
	block = walk_block(walk, addr, nr);
	if (!block) {
		starved_addr = addr;
		starved_nr = nr;
		walk->stop = true;
		return;
	}
	block_begin(block, walk->round);
	if (nr > 1) {
		i = pte_index(addr);
		last = pte_index(end - 1);
	}
	for (; i <= last; i++)
		if (test_bit(i, found.present))
			ktierd_heat_age(&block->heat[i],
					test_bit(i, found.young), block->ticks);
}

/*
 * The block begins with the next round: what was read this time is lost, and
 * its pages begin as used.
 */
static void clear_unlocked(struct ktierd_walk *walk)
{
	struct ktierd_block *block;

	if (!starved_nr)
		return;
	block = ktierd_history_get(walk->slot, starved_addr, starved_nr,
				   GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
	if (block)
		block_begin(block, walk->round);
	starved_nr = 0;
}

/* Walk with what it allocates charged to the process. */
static int walk_charged(struct ktierd_walk *walk)
{
	struct mem_cgroup *memcg, *old;
	int ret;

	memcg = get_mem_cgroup_from_mm(walk->slot->slot.mm);
	old = set_active_memcg(memcg);
	ret = ktierd_walk_mm(walk);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return ret;
}

/**
 * ktierd_sample_clear() - begin the sample window of a process
 * @slot: the process
 * @round: the round
 *
 * Return: 0, or the error of ktierd_walk_mm().
 */
int ktierd_sample_clear(struct ktierd_slot *slot,
			const struct ktierd_round *round)
{
	struct ktierd_walk walk = {
		.slot		= slot,
		.round		= round,
		.pmd		= clear_pmd,
		.unlocked	= clear_unlocked,
	};
	int ret = walk_charged(&walk);

	flush_tlb_mm(slot->slot.mm);
	if (ret)
		return ret;

	ktierd_history_sweep(slot, round->nr);
	slot->marked = walk.marked;
	slot->cleared = round->nr;
	return 0;
}

static bool read_enter(struct ktierd_walk *walk, struct vm_area_struct *vma)
{
	nodemask_t up = walk->round->top, down;

	if (!ktierd_walk_limits(walk, vma))
		return false;
	nodes_andnot(down, node_states[N_MEMORY], up);
	why_not_up = ktierd_allowed(&up, &walk->vma);
	why_not_down = ktierd_allowed(&down, &walk->vma);
	return true;
}

/*
 * A page that can't move has no part in the plan: it would stand for room that
 * nobody can have, or for a promotion that never comes. If it is one that
 * belongs on the other side, count why it stays.
 */
static void count_for_plan(struct ktierd_block *block, unsigned int i,
			   unsigned int level, unsigned int nr_pages, bool top)
{
	enum ktierd_fail why = found.why[i];

	if (why == KTIERD_MOVABLE)
		why = top ? why_not_down : why_not_up;
	if (why != KTIERD_MOVABLE) {
		if (top ? level == KTIERD_LEVEL_COLD :
			  level >= ktierd_hot_level())
			ktierd_count_fail(why, nr_pages);
	} else if (top) {
		movable.top[level] += nr_pages;
		block->coldest_top = min_t(int, block->coldest_top, level);
	} else {
		movable.low[level] += nr_pages;
		block->hottest_low = max_t(int, block->hottest_low, level);
	}
}

static void count_page(struct ktierd_block *block, unsigned int i,
		       unsigned int nr_pages, const struct ktierd_round *round)
{
	int nid = found.nid[i];
	unsigned int level;

	ktierd_heat_window(&block->heat[i], test_bit(i, found.young));
	level = ktierd_heat_level(&block->heat[i], round->cold_ticks);
	found.level[i] = level;
	counting[nid][level] += nr_pages;
	count_for_plan(block, i, level, nr_pages, node_isset(nid, round->top));
}

static void trace_block(struct mm_struct *mm, unsigned long addr,
			unsigned long end, unsigned int nr)
{
	unsigned int first, last, some;
	struct task_struct *owner;
	pid_t pid;

	if (!trace_ktierd_block_enabled())
		return;
	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	pid = owner ? owner->tgid : 0;
	rcu_read_unlock();

	first = nr == 1 ? 0 : pte_index(addr);
	last = nr == 1 ? 1 : first + ((end - addr) >> PAGE_SHIFT);
	for (addr &= PMD_MASK; first < last; first += some) {
		some = min(last - first, KTIERD_TRACE_PAGES);
		trace_ktierd_block(pid, addr + first * PAGE_SIZE, first, some,
				   found.present, found.level);
	}
}

static void read_pmd(struct ktierd_walk *walk, struct vm_area_struct *vma,
		     pmd_t *pmd, unsigned long addr, unsigned long end,
		     enum page_walk_action *action)
{
	struct ktierd_block *block;
	unsigned int nr, i, nr_pages, scanned, young;

	nr = look(vma, pmd, addr, end, false);
	if (!nr) {
		*action = ACTION_AGAIN;
		return;
	}
	if (bitmap_empty(found.present, nr))
		return;
	block = walk_block(walk, addr, nr);
	if (!block)
		return;
	if (block->read != walk->round->nr) {
		block->read = walk->round->nr;
		block->coldest_top = KTIERD_LEVELS;
		block->hottest_low = -1;
	}
	nr_pages = nr == 1 ? KTIERD_BLOCK_PAGES : 1;
	for_each_set_bit(i, found.present, nr)
		count_page(block, i, nr_pages, walk->round);
	trace_block(vma->vm_mm, addr, end, nr);

	scanned = bitmap_weight(found.present, nr) * nr_pages;
	young = bitmap_weight(found.young, nr) * nr_pages;
	touched += young;
	atomic64_add(scanned, &pages_scanned);
	atomic64_add(young, &pages_young);
	count_vm_events(KTIERD_PAGES_SCANNED, scanned);
}

/**
 * ktierd_sample_read() - end the sample window of a process
 * @slot: the process
 * @round: the round, the same that began the window
 *
 * Return: 0, or the error of ktierd_walk_mm().
 */
int ktierd_sample_read(struct ktierd_slot *slot,
		       const struct ktierd_round *round)
{
	struct ktierd_walk walk = {
		.slot	= slot,
		.round	= round,
		.pmd	= read_pmd,
		.enter	= read_enter,
	};

	return walk_charged(&walk);
}

/**
 * ktierd_sample_begin() - forget what the round before has counted
 */
void ktierd_sample_begin(void)
{
	memset(counting, 0, sizeof(*counting) * nr_node_ids);
	memset(&movable, 0, sizeof(movable));
	touched = 0;
}

/**
 * ktierd_sample_end() - what the round has found
 * @census: set to the pages of each tier and level that can move
 *
 * Return: pages that were touched in the window.
 */
u64 ktierd_sample_end(struct ktierd_census *census)
{
	unsigned int level;
	int nid;

	for_each_node_state(nid, N_POSSIBLE)
		for (level = 0; level < KTIERD_LEVELS; level++)
			WRITE_ONCE(counted[nid][level], counting[nid][level]);
	*census = movable;
	return touched;
}

/**
 * ktierd_sample_forget() - nothing is marked any more
 */
void ktierd_sample_forget(void)
{
	ktierd_sample_begin();
	ktierd_sample_end(&(struct ktierd_census){});
}

u64 ktierd_pages_scanned(void)
{
	return atomic64_read(&pages_scanned);
}

u64 ktierd_pages_young(void)
{
	return atomic64_read(&pages_young);
}

/**
 * ktierd_node_pages() - marked pages of a node, as the last round left them
 * @nid: the node
 * @from: lowest level to count
 * @to: highest level to count
 *
 * Return: pages.
 */
u64 ktierd_node_pages(int nid, unsigned int from, unsigned int to)
{
	u64 pages = 0;

	for (; from <= to; from++)
		pages += READ_ONCE(counted[nid][from]);
	return pages;
}

/**
 * ktierd_sample_init() - get memory for what is counted by node
 *
 * Return: 0, or -ENOMEM.
 */
int __init ktierd_sample_init(void)
{
	counting = kcalloc(nr_node_ids, sizeof(*counting), GFP_KERNEL);
	counted = kcalloc(nr_node_ids, sizeof(*counted), GFP_KERNEL);
	return counting && counted ? 0 : -ENOMEM;
}
