// SPDX-License-Identifier: GPL-2.0
/*
 * The walk over the marked VMAs of a process, for those who sample and for
 * those who move.
 *
 * It takes mmap_lock for reading, and gives it back as soon as somebody waits
 * for it.  Whoever holds the lock for writing may wait for anything; so the walk
 * tries for it and never waits.
 */

#include <linux/delay.h>
#include <linux/freezer.h>
#include <linux/sched/mm.h>

#include "../internal.h"
#include "internal.h"

/* How long to sleep between tries for mmap_lock: at first, and at last. */
#define KTIERD_LOCK_MIN_US	50
#define KTIERD_LOCK_MAX_US	25000

/* And how long in a round, for the locks of all processes. */
#define KTIERD_LOCK_WAIT_ALL_US	(500 * USEC_PER_MSEC)

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

/* For how long the locks of all processes have been waited for in this round. */
static unsigned int all_waited_us;
static u32 waited_round;

static bool waited_enough(struct ktierd_slot *slot, u32 round)
{
	if (waited_round != round)
		all_waited_us = 0;
	waited_round = round;
	slot->busy = slot->stuck || slot->waited_us >= KTIERD_LOCK_WAIT_US;
	return slot->busy || all_waited_us >= KTIERD_LOCK_WAIT_ALL_US;
}

/*
 * Whoever holds mmap_lock for writing may wait for anything, a disk or a
 * server that does not answer; the thread has others to look after. So try for
 * a tenth of a second, in all that is done in a round, and no more than half a
 * second for all processes; and only once if that was not enough the last time.
 * A lock that was then to be had is not stuck, but taken often, and waited for.
 */
static bool lock_mm(struct ktierd_walk *walk)
{
	struct ktierd_slot *slot = walk->slot;
	struct mm_struct *mm = slot->slot.mm;
	unsigned int us = KTIERD_LOCK_MIN_US, passed;
	u64 start;

	while (!mmap_read_trylock(mm)) {
		if (waited_enough(slot, walk->round->nr))
			return false;
		start = ktime_get_ns();
		usleep_range_state(us, us * 2, TASK_IDLE);
		passed = div_u64(ktime_get_ns() - start, NSEC_PER_USEC);
		slot->waited_us += passed;
		all_waited_us += passed;
		us = min(us * 2, KTIERD_LOCK_MAX_US);
	}
	slot->stuck = false;
	return true;
}

/* Walk until somebody wants the lock or the processor, or to the end. */
static int walk_some(struct ktierd_walk *walk, struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, walk->next);
	struct vm_area_struct *vma;
	int ret = 0;

	if (!lock_mm(walk))
		return -EBUSY;
	if (!ktierd_slot_alive(walk->slot)) {
		mmap_read_unlock(mm);
		return -ESRCH;
	}
	walk->stop = false;
	walk->owner_known = false;
	for_each_vma(vmi, vma) {
		unsigned long start = max(vma->vm_start, walk->next);
		unsigned long end = min(vma->vm_end, walk->end);

		if (start >= walk->end)
			break;
		walk->marked |= !!(vma->vm_flags & VM_TIER);
		if (ktierd_vma_wanted(vma) &&
		    (!walk->enter || walk->enter(walk, vma)))
			ret = walk_page_range_vma(vma, start, end, &walk_ops,
						  walk);
		if (ret)
			break;
		walk->next = end;
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
 * @walk: whose, from where to where, and what to do
 *
 * mmap_lock is taken for reading, and dropped between PMDs whenever somebody
 * waits for it or the walk was stopped.
 *
 * Return: 0 when all was visited, 1 if it was enough, -ESRCH if the process goes
 * away, -EBUSY if its mmap_lock is not to be had, -EINTR if the thread was
 * disabled meanwhile.
 */
int ktierd_walk_mm(struct ktierd_walk *walk)
{
	int ret;

	do {
		ret = walk_some(walk, walk->slot->slot.mm);
		if (walk->unlocked)
			walk->unlocked(walk);
		if (ret > 0 && !ktierd_enabled())
			ret = -EINTR;
		cond_resched();
		try_to_freeze();
	} while (ret > 0 && !walk->enough);
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
